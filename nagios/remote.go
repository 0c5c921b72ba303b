package nagios

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/options"
	"github.com/belfry-monitoring/belfry/common/plugin"
)

// The time limits of a check on another machine, each longer than the one
// inside it, so that the innermost one that can speak does: the plugin names
// the step that hangs, NRPE the command, check_nrpe only the machine, and
// Nagios itself nothing.
const (
	longestPlugin  = 45 * time.Second // of a definition that is run through NRPE or ssh
	commandTimeout = 50 * time.Second // of nrpe.cfg
	clientTimeout  = 55 * time.Second // of check_nrpe and check_by_ssh
	// service_check_timeout of nagios.cfg is 60 s unless somebody changed it.
)

// Where the files lie on a machine that is looked at.
const (
	pluginDir = "/usr/lib/nagios/plugins"
	iniFile   = "/etc/belfry/plugins.ini"
	stateDir  = "/var/lib/nagios_state"
)

// Remote renders Nagios's side of NRPE and ssh: the commands, and a service
// template for every check and way. What goes over the wire is the name of a
// command, never an option.
func Remote(catalog []*check.Definition) []byte {
	var b strings.Builder
	b.WriteString(header)
	fmt.Fprintf(&b, `
# Time limits: the plugin's own (at most %[2]g s) < command_timeout of NRPE (%[3]g s) < these (%[1]g s) < service_check_timeout of
# nagios.cfg (60 s). A machine that does not answer is UNKNOWN: nothing was seen of what is looked at there.
define command {
  command_name  belfry_nrpe
  command_line  $USER1$/check_nrpe -H '$HOSTADDRESS$' -p '$_SERVICENRPE_PORT$' -t %[1]g:UNKNOWN -c '$ARG1$'
}

# Asks NRPE for its version.
define command {
  command_name  belfry_nrpe_alive
  command_line  $USER1$/check_nrpe -H '$HOSTADDRESS$' -p '$_SERVICENRPE_PORT$' -t 10:CRITICAL
}

# ssh gives up on a machine before check_by_ssh does, which would say CRITICAL. What shells and ssh write to stderr is no verdict (-E).
define command {
  command_name  belfry_ssh
  command_line  $USER1$/check_by_ssh -H '$HOSTADDRESS$' -p '$_SERVICESSH_PORT$' -l '$_SERVICESSH_USER$' -i '$_SERVICESSH_KEY$' -t %[1]g -U -E -q -o BatchMode=yes -o ConnectTimeout=20 -o ServerAliveInterval=10 -o ServerAliveCountMax=2 -o 'UserKnownHostsFile=$_SERVICESSH_KNOWN_HOSTS$' -C '$ARG1$'
}

define service {
  name            belfry-nrpe
  use             belfry-service
  register        0
  _NRPE_PORT      5666
}
define service {
  name              belfry-ssh
  use               belfry-service
  register          0
  _SSH_PORT         22
  _SSH_USER         belfry
  _SSH_KEY          /var/lib/nagios/.ssh/id_ed25519
  _SSH_KNOWN_HOSTS  /var/lib/nagios/.ssh/known_hosts
}
`, clientTimeout.Seconds(), longestPlugin.Seconds(), commandTimeout.Seconds())
	for _, d := range catalog {
		for _, way := range []string{"nrpe", "ssh"} {
			fmt.Fprintf(&b, "\n# %s, by %s\ndefine service {\n  name            belfry-%s-%s\n  use             belfry-%s\n  check_command   belfry_%s!%s\n%s}\n",
				d.Plugin(), way, dashed(d.Name), way, way, way, d.Plugin(), schedule(d))
		}
	}
	return []byte(b.String())
}

// NRPE renders the commands of a machine that is looked at, for NRPE and for
// belfry_dispatch behind ssh. None takes an argument from the wire. A look
// that may take longer than NRPE waits is made by a timer, and its file read.
func NRPE(catalog []*check.Definition) []byte {
	var b strings.Builder
	b.WriteString(header)
	fmt.Fprintf(&b, `#
# Install it as /etc/nagios/nrpe.d/belfry.cfg for NRPE (leave dont_blame_nrpe=0), or as /etc/belfry/commands.cfg for
# ssh/belfry_dispatch. Options stand in a section of %s, secrets too. A second command of the same
# check is a line of your own in a file of your own, with a section of its own:
#   command[check_backup_uploads]=%s/check_backup --extra-opts=uploads@%s

# Longer than any plugin's own limit, shorter than that of check_nrpe.
command_timeout=%g
`, iniFile, pluginDir, iniFile, commandTimeout.Seconds())
	for _, d := range catalog {
		fmt.Fprintf(&b, "\n# %s; looks for %s at most.\n# %s\n", d.Summary, check.FormatDuration(d.Timeout), page(d))
		line := fmt.Sprintf("%s --extra-opts=%s@%s", d.Plugin(), d.Plugin(), iniFile)
		if d.Timeout > longestPlugin {
			fmt.Fprintf(&b, "# That is longer than NRPE waits: a timer runs it with --state-file, and this reads the file.\n")
			line = fmt.Sprintf("check_cron_file --file %s/%s -c %gs", stateDir, d.Plugin(), 3*d.Interval.Seconds())
		}
		fmt.Fprintf(&b, "command[%s]=%s/%s\n", d.Plugin(), pluginDir, line)
	}
	return []byte(b.String())
}

// PluginsINI renders a section for every check with all its options as
// comments, for --extra-opts. Unlike a command line it may hold secrets.
func PluginsINI(catalog []*check.Definition) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `%s#
# Install it as %s, mode 0640, owned by root and the group of the user who runs the plugins: a file that others may read is
# refused. Take away the # of what you set; a name may stand several times. A section that is all comments takes the defaults.
`, header, iniFile)
	skip := map[string]bool{"help": true, "version": true, "verbose": true, "output": true, "target": true, "extra-opts": true, "state-file": true}
	for _, d := range catalog {
		fmt.Fprintf(&b, "\n# %s\n# %s\n[%s]\n", d.Summary, page(d), d.Plugin())
		plugin.Flags(d).VisitAll(func(f *pflag.Flag) {
			if skip[f.Name] {
				return
			}
			_, usage := pflag.UnquoteUsage(f)
			if options.IsSecret(f) {
				usage, _, _ = strings.Cut(usage, " (refused")
			}
			value := f.DefValue
			if value == "[]" {
				value = ""
			}
			fmt.Fprintf(&b, "# %s\n#%s=%s\n", short(usage, 130), f.Name, value)
		})
	}
	return []byte(b.String())
}
