package testbed

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/belfry-monitoring/belfry/testbed/certs"
)

const (
	icingaAccount = "nagios" // Debian's Icinga runs as it, too
	icingaBinary  = "/usr/sbin/icinga2"
)

// IcingaOptions say what Bed.Icinga starts.
type IcingaOptions struct {
	Name      string            // default "icinga"; also its NodeName
	Files     map[string]string // configuration, by file name, read in their order
	Constants map[string]string // further or other ones of constants.conf, as strings
	// Zones are Endpoint and Zone objects in place of those of a lone master;
	// $PORT$ is the port of the API, $DIR$ the directory of its files.
	Zones string
	Port  int // of the API; default: a new one
}

// Icinga is a running Icinga 2 with its API on the loopback interface.
type Icinga struct {
	*Server
	Port int

	password string
	client   *http.Client
}

// Icinga starts Icinga 2 in the foreground, as Debian's user for it, with the Icinga Template Library and nothing of the
// system's configuration, and waits until its API answers.
func (b *Bed) Icinga(options IcingaOptions) *Icinga {
	b.t.Helper()
	if options.Name == "" {
		options.Name = "icinga"
	}
	if options.Port == 0 {
		options.Port = b.Port()
	}
	s := b.serverOf(icingaAccount, options.Name)
	i := &Icinga{Server: s, Port: options.Port, password: rand.Text()}
	ca := b.icingaCertificate(s.Dir, options.Name)
	options.Files = maps.Clone(options.Files)
	if options.Files == nil {
		options.Files = make(map[string]string)
	}
	options.Files["00-api.conf"] = fmt.Sprintf(`object ApiListener "api" {
  bind_host = "127.0.0.1"
  bind_port = %d
  accept_commands = true
  accept_config = true
}
object ApiUser "testbed" {
  password = %q
  permissions = [ "*" ]
}
object CheckerComponent "checker" { }
object NotificationComponent "notification" { }
`, options.Port, i.password)
	s.argv = append([]string{icingaBinary, "daemon"}, b.icingaArguments(s.Dir, b.icingaConfig(s.Dir, options))...)
	s.env = b.environ(s.Dir)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	i.client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: options.Name}, DisableKeepAlives: true,
	}}
	s.ready = func() error {
		_, err := i.call(http.MethodGet, "/v1/status/IcingaApplication", nil)
		return err
	}
	i.Start()
	return i
}

// VerifyIcinga has icinga2 daemon -C judge the configuration. Its error, also about warnings alone, and its output hold what
// Icinga prints.
func (b *Bed) VerifyIcinga(options IcingaOptions) (output string, err error) {
	b.t.Helper()
	dir, err := os.MkdirTemp(b.dir, "icinga-verify-")
	if err != nil {
		return "", err
	}
	if err := b.giveTo(icingaAccount, dir); err != nil {
		return "", err
	}
	if options.Name == "" {
		options.Name = "icinga"
	}
	out, err := b.icinga2(dir, append([]string{"daemon", "-C"}, b.icingaArguments(dir, b.icingaConfig(dir, options))...)...)
	for line := range strings.Lines(string(out)) {
		// An apply rule that has nothing to do is no mistake.
		if err == nil && strings.Contains(line, "warning/") && !strings.Contains(line, "does not match anywhere") {
			err = fmt.Errorf("icinga2 daemon -C warns: %s", line)
		}
	}
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, out)
	}
	return string(out), err
}

// icinga2 runs a command of icinga2 as Icinga's user.
func (b *Bed) icinga2(dir string, args ...string) ([]byte, error) {
	credential, err := credentialOf(icingaAccount)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, icingaBinary, args...)
	cmd.Env, cmd.Dir = b.environ(dir), dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: credential}
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("icinga2 %s: %w", args[0], err)
	}
	return out, err
}

// icingaArguments place everything that Icinga writes into dir.
func (b *Bed) icingaArguments(dir, config string) []string {
	args := []string{"-c", config}
	for name, below := range map[string]string{
		"ConfigDir": "", "DataDir": "data", "CacheDir": "cache", "LogDir": "log.d", "SpoolDir": "spool", "InitRunDir": "run",
	} {
		args = append(args, "-D", "Configuration."+name+"="+filepath.Join(dir, below))
	}
	args = append(args, "-D", "Configuration.PidPath="+filepath.Join(dir, "run", "pid"))
	if user, err := osUser(icingaAccount); err == nil {
		args = append(args, "-D", "Configuration.RunAsUser="+user, "-D", "Configuration.RunAsGroup="+groupOf(user))
	}
	return args
}

// icingaConfig writes icinga2.conf and what it includes into dir and returns its path.
func (b *Bed) icingaConfig(dir string, options IcingaOptions) string {
	b.t.Helper()
	for _, name := range []string{"data", "cache", "log.d", "spool", "run", "conf.d"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(path, 0o755); err != nil {
			b.fail("%v", err)
		}
		if err := b.giveTo(icingaAccount, path); err != nil {
			b.fail("%v", err)
		}
	}
	constants := map[string]string{
		"PluginDir": "/usr/lib/nagios/plugins", "PluginContribDir": "/usr/lib/nagios/plugins", "ManubulonPluginDir": "/usr/lib/nagios/plugins",
		"NodeName": options.Name, "ZoneName": options.Name, "TicketSalt": "",
	}
	maps.Copy(constants, options.Constants)
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(constants)) {
		fmt.Fprintf(&text, "const %s = %q\n", name, constants[name])
	}
	text.WriteString("include <itl>\ninclude <plugins>\ninclude <plugins-contrib>\n")
	if options.Zones == "" {
		options.Zones = "object Endpoint NodeName { }\nobject Zone ZoneName { endpoints = [ NodeName ] }\n"
	}
	text.WriteString(options.Zones)
	for _, name := range slices.Sorted(maps.Keys(options.Files)) {
		path := b.WriteFileFor(icingaAccount, filepath.Join(dir, "conf.d", name), options.Files[name], 0o600)
		fmt.Fprintf(&text, "include %q\n", path)
	}
	return b.WriteFileFor(icingaAccount, filepath.Join(dir, "icinga2.conf"), text.String(), 0o600)
}

// icingaCertificate gives the node of that directory a certificate of the bed's own authority, and returns the authority's.
// Icinga's own way (icinga2 pki) makes RSA keys of 4,096 bits, which take seconds.
func (b *Bed) icingaCertificate(dir, name string) (ca []byte) {
	b.t.Helper()
	b.mu.Lock()
	if b.icingaCA == nil {
		authority, err := certs.NewAuthority("Icinga CA of a testbed")
		if err != nil {
			b.mu.Unlock()
			b.fail("%v", err)
		}
		b.icingaCA = authority
	}
	authority := b.icingaCA
	b.mu.Unlock()
	// Icinga asks for a new certificate when the one that it has ends soon.
	leaf := certs.Leaf{CommonName: name, Names: []string{name, "localhost", "127.0.0.1"}, Peer: true, NotAfter: time.Now().AddDate(1, 0, 0)}
	certificate, err := authority.Issue(leaf)
	if err != nil {
		b.fail("%v", err)
	}
	place := filepath.Join(dir, "data", "certs")
	for _, path := range []string{filepath.Dir(place), place} {
		if err := b.mkdirFor(icingaAccount, path, 0o700); err != nil {
			b.fail("%v", err)
		}
	}
	for file, content := range map[string][]byte{name + ".crt": certificate.CertPEM, name + ".key": certificate.KeyPEM, "ca.crt": authority.CertPEM} {
		b.WriteFileFor(icingaAccount, filepath.Join(place, file), string(content), 0o600)
	}
	return authority.CertPEM
}

// IcingaState is what Icinga knows of a service.
type IcingaState struct {
	State    int  // 0 to 3
	Hard     bool // after max_check_attempts
	Checked  bool
	Exit     int    // exit code of the newest look
	Output   string // all lines, without performance data
	PerfData []string
	Command  []string // the newest look's command line
	Began    float64  // when the newest look began, in seconds since 1970
}

// Status is what Icinga knows of each service ("web!disk").
func (i *Icinga) Status() map[string]IcingaState {
	i.bed.t.Helper()
	states, err := i.status()
	if err != nil {
		i.bed.fail("%v", err)
	}
	return states
}

func (i *Icinga) status() (map[string]IcingaState, error) {
	answer, err := i.call(http.MethodGet, "/v1/objects/services", nil)
	if err != nil {
		return nil, err
	}
	return parseIcingaServices(answer)
}

// parseIcingaServices reads the answer of /v1/objects/services.
func parseIcingaServices(answer []byte) (map[string]IcingaState, error) {
	var objects struct {
		Results []struct {
			Name  string
			Attrs struct {
				State     float64
				StateType float64 `json:"state_type"`
				Result    *struct {
					Exit     float64 `json:"exit_status"`
					Output   string
					Began    float64         `json:"execution_start"`
					PerfData []string        `json:"performance_data"`
					Command  json.RawMessage // an array, or null for what runs no program
				} `json:"last_check_result"`
			}
		}
	}
	if err := json.Unmarshal(answer, &objects); err != nil {
		return nil, fmt.Errorf("read the answer of Icinga's API: %w", err)
	}
	states := make(map[string]IcingaState)
	for _, o := range objects.Results {
		state := IcingaState{State: int(o.Attrs.State), Hard: o.Attrs.StateType == 1}
		if r := o.Attrs.Result; r != nil {
			state.Checked, state.Began = true, r.Began
			state.Exit, state.Output, state.PerfData = int(r.Exit), r.Output, r.PerfData
			_ = json.Unmarshal(r.Command, &state.Command) // a string where Icinga has no array of it
		}
		states[o.Name] = state
	}
	return states, nil
}

// Await waits until accept returns nil for the service, and fails after limit with accept's last error.
func (i *Icinga) Await(limit time.Duration, name string, accept func(IcingaState) error) IcingaState {
	i.bed.t.Helper()
	var found IcingaState
	err := poll(limit, i.ended(), func() (err error) {
		found, err = i.try(name, accept)
		return err
	})
	if err != nil {
		i.bed.fail("%s: waited %v: %v", i.Name, limit, err)
	}
	return found
}

// Try says whether accept returns nil for the service now.
func (i *Icinga) Try(name string, accept func(IcingaState) error) error {
	_, err := i.try(name, accept)
	return err
}

func (i *Icinga) try(name string, accept func(IcingaState) error) (IcingaState, error) {
	states, err := i.status()
	if err != nil {
		return IcingaState{}, err
	}
	found, known := states[name]
	if !known || !found.Checked {
		return found, fmt.Errorf("%q was not looked at", name)
	}
	if err := accept(found); err != nil {
		return found, fmt.Errorf("%q: %w; it is %+v", name, err, found)
	}
	return found, nil
}

// Checked accepts every look that has ended.
func Checked(IcingaState) error { return nil }

// InState accepts a state (0 to 3), soft ones included.
func InState(state int) func(IcingaState) error {
	return func(s IcingaState) error {
		if s.State != state {
			return fmt.Errorf("state %d; want %d", s.State, state)
		}
		return nil
	}
}

// InHardState accepts a hard state.
func InHardState(state int) func(IcingaState) error {
	return func(s IcingaState) error {
		if s.State != state || !s.Hard {
			return fmt.Errorf("state %d, hard %t; want %d, hard", s.State, s.Hard, state)
		}
		return nil
	}
}

// CheckAllNow lets Icinga look at every service at once, which it would do within a minute from its start.
func (i *Icinga) CheckAllNow() {
	i.bed.t.Helper()
	i.Action("reschedule-check", map[string]any{"type": "Service", "filter": "true", "force": true})
}

// CheckNow lets Icinga look at the service ("web!disk") at once.
func (i *Icinga) CheckNow(name string) {
	i.bed.t.Helper()
	i.Action("reschedule-check", map[string]any{"type": "Service", "service": name, "force": true})
}

// Look lets Icinga look at the service and waits for what comes of it.
func (i *Icinga) Look(limit time.Duration, name string) IcingaState {
	i.bed.t.Helper()
	before := i.Status()[name]
	i.CheckNow(name)
	return i.Await(limit, name, func(s IcingaState) error {
		if s.Began == before.Began {
			return fmt.Errorf("no new look")
		}
		return nil
	})
}

// Action calls /v1/actions/NAME.
func (i *Icinga) Action(name string, parameters map[string]any) {
	i.bed.t.Helper()
	if _, err := i.call(http.MethodPost, "/v1/actions/"+name, parameters); err != nil {
		i.bed.fail("%v", err)
	}
}

// Get reads a path of the API, such as /v1/objects/checkcommands.
func (i *Icinga) Get(path string) []byte {
	i.bed.t.Helper()
	answer, err := i.call(http.MethodGet, path, nil)
	if err != nil {
		i.bed.fail("%v", err)
	}
	return answer
}

// User and Password are those of the API.
func (i *Icinga) User() (name, password string) { return "testbed", i.password }

// URL is the address of the API.
func (i *Icinga) URL() string { return fmt.Sprintf("https://127.0.0.1:%d", i.Port) }

func (i *Icinga) call(method, path string, parameters any) ([]byte, error) {
	var body io.Reader
	if parameters != nil {
		text, err := json.Marshal(parameters)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	request, err := http.NewRequest(method, i.URL()+path, body)
	if err != nil {
		return nil, err
	}
	request.SetBasicAuth(i.User())
	request.Header.Set("Accept", "application/json")
	response, err := i.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 64<<20))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: status %d: %s", method, path, response.StatusCode, tail(string(answer), 5))
	}
	return answer, err
}
