package options

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// -a and -p hold passwords in other suites: what is glued to them must not be
// repeated in an output that is stored and mailed.
func TestErrorsDoNotRepeatWhatMayBeASecret(t *testing.T) {
	for args, want := range map[string]string{
		"-ahunter2":                   "unknown option -a",
		"-vahunter2":                  "unknown option -a",
		"-phunter2":                   "option --port: not a number of its kind (int): invalid syntax",
		"--port=hunter2":              "option --port: not a number of its kind (int): invalid syntax",
		"--dbpass=hunter2":            "unknown flag: --dbpass",
		"--password=hunter2":          "--password on the command line can be read by every local user: use --password-file FILE",
		"--port=99999999999999999999": "option --port: not a number of its kind (int): value out of range",
	} {
		fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
		fs.IntP("port", "p", 1, "port")
		fs.CountP("verbose", "v", "say more")
		SecretFlags(fs, "password", "password")
		err := FromArgs(fs, []string{args})
		if err == nil || err.Error() != want || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("FromArgs(%s) = %v; want %s", args, err, want)
		}
	}
}

// TestFromEnvironment tells what only the environment says.
func TestFromEnvironment(t *testing.T) {
	fs := pflag.NewFlagSet("check_x", pflag.ContinueOnError)
	fs.String("host", "", "")
	fs.String("port", "", "")
	Env(fs, "host", "XHOST")
	Env(fs, "port", "XPORT")
	if err := FromArgs(fs, []string{"--host", "a"}); err != nil {
		t.Fatal(err)
	}
	if err := FromEnv(fs, func(name string) (string, bool) { return "b", true }); err != nil {
		t.Fatal(err)
	}
	if FromEnvironment(fs, "host") || !FromEnvironment(fs, "port") {
		t.Errorf("FromEnvironment of host, port = %t, %t; want false, true", FromEnvironment(fs, "host"), FromEnvironment(fs, "port"))
	}
}

// What stands in place of a secret is what the refusal of one says.
func TestInstead(t *testing.T) {
	fs := pflag.NewFlagSet("check_x", pflag.ContinueOnError)
	SecretFlags(fs, "password", "", "XPASSWORD")
	SecretFlags(fs, "key", "")
	fs.String("proxy", "", "")
	fs.String("host", "", "")
	MayHoldPassword(fs, "proxy", "--proxy-user and --proxy-password-file")
	for flag, want := range map[string]string{
		"password": "--password-file FILE or the environment variable XPASSWORD", "key": "--key-file FILE",
		"proxy": "--proxy-user and --proxy-password-file", "host": "", "password-file": "",
	} {
		if got := Instead(fs.Lookup(flag)); got != want {
			t.Errorf("Instead(%s) = %q; want %q", flag, got, want)
		}
	}
}
