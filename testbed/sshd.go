package testbed

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// SSH is a running ssh server that lets in one key of the user nagios, for one command.
type SSH struct {
	*Server
	Port       int
	User       string // whom the key logs in as
	KeyFile    string // private, readable for nagios only
	KnownHosts string // holds the server's key
}

// SSH starts sshd on a private port of the loopback interface as the system user account, which must have a shell, with keys
// of its own. The key of nagios is restricted to the command.
func (b *Bed) SSH(account, command string) *SSH {
	b.t.Helper()
	user, err := osUser(account)
	if err != nil {
		b.fail("%v", err)
	}
	s := &SSH{Server: b.serverOf(account, "sshd"), Port: b.Port(), User: user}
	hostKey, hostPublic := b.sshKey(account, filepath.Join(s.Dir, "host"))
	var public string
	s.KeyFile, public = b.sshKey(nagiosAccount, filepath.Join(b.dir, "id_nagios"))
	s.KnownHosts = b.WriteFileFor(nagiosAccount, filepath.Join(b.dir, "known_hosts"), fmt.Sprintf("[127.0.0.1]:%d %s", s.Port, hostPublic), 0o644)
	authorized := b.WriteFileFor(account, filepath.Join(s.Dir, "authorized_keys"), fmt.Sprintf("restrict,command=%q %s", command, public), 0o600)
	config := fmt.Sprintf(`Port %d
ListenAddress 127.0.0.1
HostKey %s
AuthorizedKeysFile %s
PidFile none
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
AcceptEnv LANG LC_*
# Sessions that have not logged in yet; the default drops some of ten that come at once.
MaxStartups 200
# The directories above are those of a test, in one that everybody can write.
StrictModes no
`, s.Port, hostKey, authorized)
	s.argv = []string{"/usr/sbin/sshd", "-D", "-e", "-f", b.WriteFileFor(account, filepath.Join(s.Dir, "sshd_config"), config, 0o600)}
	s.env = b.environ(s.Dir)
	s.ready = func() error { return dialable(s.Port) }
	s.Start()
	return s
}

// sshKey makes a key pair without a passphrase, whose private half belongs to the account; it returns its path and the public half.
func (b *Bed) sshKey(account, path string) (private, public string) {
	b.t.Helper()
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "testbed", "-f", path).CombinedOutput(); err != nil {
		b.fail("make a key: %v (testbed/install.sh test brings ssh)\n%s", err, out)
	}
	text, err := os.ReadFile(path + ".pub")
	if err == nil {
		err = b.giveTo(account, path)
	}
	if err != nil {
		b.fail("make a key: %v", err)
	}
	return path, strings.TrimSpace(string(text)) + "\n"
}
