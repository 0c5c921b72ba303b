package testbed

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const nagiosAccount = "nagios"

// NagiosOptions say what Bed.Nagios starts.
type NagiosOptions struct {
	Name    string            // default "nagios"
	Objects map[string]string // object definitions, by file name
	Macros  map[string]string // of the resource file: "USER1" is $USER1$
	Config  map[string]string // further or other directives of nagios.cfg
}

// Nagios is a running Nagios Core 4 that counts intervals in seconds.
type Nagios struct {
	*Server
	StatusFile string
}

// Nagios starts Nagios in the foreground as the user nagios, with nothing of the system's configuration, and waits for its
// first status. Plugins get PATH, HOME, LANG and TESTBED_DIR only.
func (b *Bed) Nagios(options NagiosOptions) *Nagios {
	b.t.Helper()
	if options.Name == "" {
		options.Name = "nagios"
	}
	s := b.serverOf(nagiosAccount, options.Name)
	n := &Nagios{Server: s, StatusFile: filepath.Join(s.Dir, "status.dat")}
	s.argv = []string{"/usr/sbin/nagios4", b.nagiosConfig(s.Dir, options)}
	s.env = b.environ(s.Dir)
	s.ready = func() error {
		_, err := os.Stat(n.StatusFile)
		return err
	}
	n.Start()
	return n
}

// VerifyNagios has nagios4 -v judge the configuration; its error holds what Nagios prints about errors and warnings.
func (b *Bed) VerifyNagios(options NagiosOptions) error {
	b.t.Helper()
	credential, err := credentialOf(nagiosAccount)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(b.dir, "nagios-verify-")
	if err != nil {
		return err
	}
	if err := b.giveTo(nagiosAccount, dir); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/usr/sbin/nagios4", "-v", b.nagiosConfig(dir, options))
	cmd.Env, cmd.Dir = b.environ(dir), dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: credential}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("nagios4 -v: %w\n%s", err, out)
	}
	if !strings.Contains(string(out), "Total Warnings: 0") {
		return fmt.Errorf("nagios4 -v has warnings\n%s", out)
	}
	return nil
}

// nagiosConfig writes nagios.cfg and its files into dir and returns its path.
func (b *Bed) nagiosConfig(dir string, options NagiosOptions) string {
	b.t.Helper()
	write := func(name, content string, mode fs.FileMode) string {
		return b.WriteFileFor(nagiosAccount, filepath.Join(dir, name), content, mode)
	}
	user, err := osUser(nagiosAccount)
	if err != nil {
		b.fail("%v", err)
	}
	var macros strings.Builder
	for _, name := range slices.Sorted(maps.Keys(options.Macros)) {
		fmt.Fprintf(&macros, "$%s$=%s\n", name, options.Macros[name])
	}
	config := map[string]string{
		"log_file": filepath.Join(dir, "nagios.log"), "use_syslog": "0", "log_initial_states": "1",
		"resource_file":     write("resource.cfg", macros.String(), 0o600),
		"object_cache_file": filepath.Join(dir, "objects.cache"), "precached_object_file": filepath.Join(dir, "objects.precache"),
		"status_file": filepath.Join(dir, "status.dat"), "status_update_interval": "1",
		"state_retention_file": filepath.Join(dir, "retention.dat"), "retain_state_information": "0",
		"lock_file": filepath.Join(dir, "pid"), "temp_file": filepath.Join(dir, "tmp"), "temp_path": dir,
		"check_result_path": dir, "query_socket": filepath.Join(dir, "query.sock"),
		"check_external_commands": "1", "command_file": filepath.Join(dir, "command"),
		"nagios_user": user, "interval_length": "1", "check_result_reaper_frequency": "1", "cached_service_check_horizon": "0",
		"service_inter_check_delay_method": "n", "host_inter_check_delay_method": "n",
		"check_for_updates": "0", "enable_notifications": "0", "enable_flap_detection": "0", "daemon_dumps_core": "0",
		"illegal_macro_output_chars": "`~$&|'\"<>", "service_check_timeout": "60", "host_check_timeout": "30",
	}
	if os.Getuid() == 0 {
		config["nagios_group"] = nagiosAccount
	}
	maps.Copy(config, options.Config)
	var lines strings.Builder
	for _, key := range slices.Sorted(maps.Keys(config)) {
		fmt.Fprintf(&lines, "%s=%s\n", key, config[key])
	}
	for _, name := range slices.Sorted(maps.Keys(options.Objects)) {
		fmt.Fprintf(&lines, "cfg_file=%s\n", write("objects-"+name, options.Objects[name], 0o644))
	}
	return write("nagios.cfg", lines.String(), 0o644)
}

// Status is what Nagios knows of each host ("web") and service ("web/disk").
func (n *Nagios) Status() map[string]NagiosState {
	n.bed.t.Helper()
	states, err := n.status()
	if err != nil {
		n.bed.fail("%v", err)
	}
	return states
}

func (n *Nagios) status() (map[string]NagiosState, error) {
	text, err := os.ReadFile(n.StatusFile) // replaced by renaming, so never half
	if err != nil {
		return nil, err
	}
	return parseStatus(string(text))
}

// Await waits until a check of the host or service has come out with the state (0 to 3) and returns it, soft states included.
func (n *Nagios) Await(limit time.Duration, name string, state int) NagiosState {
	n.bed.t.Helper()
	var found NagiosState
	err := poll(limit, n.ended(), func() error {
		states, err := n.status()
		if err != nil {
			return err
		}
		var known bool
		if found, known = states[name]; !known || !found.Checked || found.State != state {
			return fmt.Errorf("%q is %+v", name, found)
		}
		return nil
	})
	if err != nil {
		n.bed.fail("%s: waited %v for state %d: %v", n.Name, limit, state, err)
	}
	return found
}
