package nagios_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belfry-monitoring/belfry/nagios"
	"github.com/belfry-monitoring/belfry/plugins"
	"github.com/belfry-monitoring/belfry/testbed"
)

// What Nagios shows when the way to a plugin is broken: never OK, and a text
// that tells where.
func TestLiveNagiosOverABrokenWay(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	usr := bed.MkdirFor("root", "usr", 0o755)
	for _, name := range []string{"check_nrpe", "check_by_ssh"} {
		if err := os.Symlink("/usr/lib/nagios/plugins/"+name, filepath.Join(usr, name)); err != nil {
			t.Fatal(err)
		}
	}
	cronFile := bed.Build("./plugins/cronfile/check_cron_file")
	open := bed.WriteFileFor("root", "open.ini", "[fine]\nfile=/x\n", 0o644)
	closed := bed.WriteFileFor("root", "closed.ini", "[fine]\nfile=/x\n", 0o600)
	script := func(name, text string, mode os.FileMode) string {
		return bed.WriteFileFor("root", filepath.Join(usr, name), "#!/bin/sh\n"+text+"\n", mode)
	}
	lines := map[string]string{
		"fine": script("fine", "echo 'FINE OK: fine | a=1'", 0o755), "plain": script("plain", "echo fine", 0o644), "gone": filepath.Join(usr, "gone"),
		"hangs": script("hangs", "exec sleep 300", 0o755), "silent": script("silent", "exit 0", 0o755), "killed": script("killed", "kill -9 $$", 0o755),
		"odd": script("odd", "echo odd; exit 42", 0o755), "open": cronFile + " --extra-opts=fine@" + open, "closed": cronFile + " --extra-opts=fine@" + closed,
		"moved": cronFile + " --extra-opts=fine@" + usr + "/none.ini",
	}
	var commands strings.Builder
	commands.WriteString("command_timeout=2\n")
	for _, name := range sortedKeys(lines) {
		fmt.Fprintf(&commands, "command[%s]=%s\n", name, lines[name])
	}
	nrpe := bed.NRPE(testbed.NRPEOptions{Commands: map[string]string{"broken.cfg": commands.String()}})
	ssh := bed.SSH(sshAccount, dispatcher(t, bed)+" "+bed.WriteFileFor("root", "commands.cfg", commands.String(), 0o644))
	stranger := bed.WriteFileFor("nagios", "no_hosts", "", 0o644)

	// The shipped limits, scaled down.
	remote := strings.NewReplacer("-t 55:UNKNOWN", "-t 5:UNKNOWN", "-t 55 ", "-t 8 ", "ConnectTimeout=20", "ConnectTimeout=4", "-t 10:CRITICAL", "-t 3:CRITICAL").Replace(string(nagios.Remote(plugins.Catalog())))
	var services strings.Builder
	services.WriteString(hostHere)
	service := func(name, use, command string, more ...string) {
		every := 5
		if name == "alive" || strings.HasSuffix(name, "-fine") {
			every = 2 // seconds
		}
		fmt.Fprintf(&services, "define service {\n  use %s\n  host_name here\n  service_description %s\n  check_command %s\n  check_interval %d\n  retry_interval %d\n  %s\n}\n", use, name, command, every, every, strings.Join(more, "\n  "))
	}
	port := fmt.Sprintf("_NRPE_PORT %d", nrpe.Port)
	service("alive", "belfry-nrpe", "belfry_nrpe_alive", port)
	key := []string{fmt.Sprintf("_SSH_PORT %d", ssh.Port), "_SSH_USER " + ssh.User, "_SSH_KEY " + ssh.KeyFile, "_SSH_KNOWN_HOSTS " + ssh.KnownHosts}
	for _, name := range append(sortedKeys(lines), "undefined") {
		service("nrpe-"+name, "belfry-nrpe", "belfry_nrpe!"+name, port)
		service("ssh-"+name, "belfry-ssh", "belfry_ssh!"+name, key...)
	}
	service("ssh-words", "belfry-ssh", `belfry_ssh!fine\; id`, key...)
	service("ssh-stranger", "belfry-ssh", "belfry_ssh!fine", append(key[:3:3], "_SSH_KNOWN_HOSTS "+stranger)...)
	service("ssh-key", "belfry-ssh", "belfry_ssh!fine", append(key[:2:2], "_SSH_KEY "+stranger, key[3])...)
	script("check_worker_memory", "echo fine", 0o644)
	service("local-gone", "belfry-backup", "check_backup")
	service("local-plain", "belfry-worker-memory", "check_worker_memory")
	config := objects(t, map[string]string{"live.cfg": services.String()})
	config["remote.cfg"] = remote
	live := bed.Nagios(testbed.NagiosOptions{Objects: config, Macros: map[string]string{"USER1": usr}})

	// A look that was under way when something broke may say it in other words.
	want := func(name string, state int, text string) {
		t.Helper()
		testbed.WaitFor(t, patience, fmt.Sprintf("%s to be in state %d with %q", name, state, text), func() error {
			if got := live.Status()["here/"+name]; !got.Checked || got.State != state || !strings.Contains(got.Output, text) {
				return fmt.Errorf("it is in state %d: %s", got.State, got.Output)
			}
			return nil
		})
	}
	want("alive", 0, "NRPE v")
	for _, way := range []string{"nrpe-", "ssh-"} {
		want(way+"fine", 0, "FINE OK: fine")
		want(way+"open", 3, "mode 0644 lets others read or write it")
		want(way+"closed", 3, "permission denied")
		want(way+"moved", 3, "none.ini: no such file or directory")
	}
	want("nrpe-gone", 3, "Unable to read output")
	want("nrpe-plain", 3, "Unable to read output")
	want("nrpe-undefined", 3, "not defined")
	want("nrpe-hangs", 3, "timed out")
	want("nrpe-silent", 3, "Unable to read output")
	want("nrpe-killed", 3, "Unable to read output")
	want("nrpe-odd", 3, "odd")
	want("ssh-gone", 3, "gone is not there, or this user may not run it")
	want("ssh-plain", 3, "plain is not there, or this user may not run it")
	want("ssh-undefined", 3, "no command[undefined]")
	want("ssh-words", 3, "must send the name of a command and nothing else")
	want("ssh-stranger", 3, "SSH connection failed")
	want("ssh-key", 3, "SSH connection failed")

	want("local-gone", 2, "No such file or directory")
	want("local-plain", 2, "out of bounds")

	nrpe.Freeze()
	want("alive", 2, "Socket timeout")
	want("nrpe-fine", 3, "Socket timeout")
	nrpe.Thaw()
	want("alive", 0, "")
	want("nrpe-fine", 0, "")
	nrpe.Stop()
	want("alive", 2, "Connection refused")
	want("nrpe-fine", 3, "Connection refused")
	ssh.Freeze()
	want("ssh-fine", 3, "SSH connection failed")
	ssh.Thaw()
	want("ssh-fine", 0, "")
	ssh.Stop()
	want("ssh-fine", 3, "SSH connection failed")
}
