package icinga2_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/options"
	"github.com/belfry-monitoring/belfry/common/plugin"
	"github.com/belfry-monitoring/belfry/nagios/icinga2"
	"github.com/belfry-monitoring/belfry/plugins"
)

// No secret is an argument; every other option is one, by a variable of its
// own.
func TestEveryOptionIsAnArgumentButSecrets(t *testing.T) {
	variables := make(map[string]string)
	for _, d := range plugins.Catalog() {
		commands := string(icinga2.Commands([]*check.Definition{d}))
		plugin.Flags(d).VisitAll(func(f *pflag.Flag) {
			argument := strings.Contains(commands, fmt.Sprintf("    %q = {\n", "--"+f.Name))
			prints := slices.Contains([]string{"help", "version", "output"}, f.Name)
			if want := !prints && !options.IsSecret(f); argument != want {
				t.Errorf("%s: --%s is an argument: %t; want %t", d.Plugin(), f.Name, argument, want)
			}
		})
		for _, o := range icinga2.Options(d) {
			if other := variables[o.Variable]; other != "" {
				t.Errorf("%s of %s is a variable of %s, too", o.Variable, d.Plugin(), other)
			}
			variables[o.Variable] = d.Plugin()
			if o.Kind == icinga2.Secret && strings.Count(commands, "$"+o.Variable+"$") != len(o.Env) {
				t.Errorf("%s: the secret %s stands elsewhere than in env", d.Plugin(), o.Variable)
			}
		}
	}
}

// What an operator writes into a check's dictionary beside options must not
// be the name of an option.
func TestKeysOfServicesAreNoOptions(t *testing.T) {
	services := string(icinga2.Services(nil))
	_, list, _ := strings.Cut(services, "BelfryAttributes = [")
	list, _, _ = strings.Cut(list, "]")
	keys := append(strings.Split(strings.ReplaceAll(strings.ReplaceAll(list, `"`, ""), " ", ""), ","), "groups", "vars", "needs")
	if len(keys) < 10 {
		t.Fatalf("attributes are %q", keys)
	}
	for _, d := range plugins.Catalog() {
		for _, o := range icinga2.Options(d) {
			if slices.Contains(keys, o.Key) {
				t.Errorf("%s: --%s is also an attribute of the service", d.Plugin(), o.Name)
			}
		}
	}
}

func TestTimesOfATemplate(t *testing.T) {
	for _, row := range []struct {
		interval, timeout time.Duration
		want              []string
	}{
		{time.Minute, 10 * time.Second, []string{"check_interval = 1m\n", "retry_interval = 1m\n", "max_check_attempts = 3\n", "timeout = 1m\n"}},
		{15 * time.Second, 10 * time.Second, []string{"check_interval = 15s\n", "retry_interval = 15s\n", "max_check_attempts = 3\n"}},
		{20 * time.Minute, 10 * time.Second, []string{"retry_interval = 4m\n"}},
		{24 * time.Hour, 2 * time.Hour, []string{"check_interval = 24h\n", "retry_interval = 15m\n", "timeout = 7230s\n"}},
	} {
		d := &check.Definition{Name: "x_y", Title: "X", Summary: `costs "$5"`, Interval: row.interval, Timeout: row.timeout, New: func(*pflag.FlagSet) check.Check { return nil }}
		text := string(icinga2.Templates([]*check.Definition{d})) + string(icinga2.Commands([]*check.Definition{d}))
		for _, want := range append(row.want, `notes = "costs \"$$5\""`, `notes_url = "https://github.com/belfry-monitoring/belfry/blob/main/docs/checks/x_y.md"`) {
			if !strings.Contains(text, want) {
				t.Errorf("Templates(every %v, -t %v) lacks %q:\n%s", row.interval, row.timeout, want, text)
			}
		}
	}
}

// shipped are the files that an operator copies, from the repository.
func shipped(t *testing.T, more map[string]string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	for _, name := range []string{"belfry-commands.conf", "belfry-templates.conf", "belfry-services.conf", "belfry-service.conf"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(text)
	}
	for name, text := range more {
		files[name] = text
	}
	return files
}

// Whatever the example looks at is in a group that its notifications are for:
// else a machine that sends its results would be CRITICAL and tell nobody.
func TestExampleNotifies(t *testing.T) {
	text, err := os.ReadFile("example.conf")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), `assign where "belfry" in service.groups || host.vars.machine`) {
		t.Fatal("example.conf assigns notifications in another way than this test knows")
	}
	rules := strings.Split(string(text), "\napply Service ")[1:]
	if len(rules) < 8 {
		t.Fatalf("example.conf has %d rules for services; want eight at least", len(rules))
	}
	for _, rule := range rules {
		body, _, _ := strings.Cut(rule, "\n}\n")
		name, _, _ := strings.Cut(body, "{")
		// Templates of Belfry are in the group; the machine's are of hosts with vars.machine.
		if !strings.Contains(body, `import "belfry-" + check`) && !strings.Contains(body, `groups = [ "belfry" ]`) && !strings.Contains(body, `import "machine-service"`) {
			t.Errorf("apply Service %s is in no group that is notified of", name)
		}
	}
}
