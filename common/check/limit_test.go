package check

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

var (
	depth  = &Metric{Family: "test", Key: "depth", Labels: []string{"queue", "vhost"}, Help: "Depth.", Warning: "10", Critical: "20"}
	share  = &Metric{Family: "test", Key: "share", Unit: Ratio, Help: "Share.", Warning: "80%"}
	ended  = &Metric{Family: "test", Key: "ended", Kind: Since, Help: "End.", Warning: "25h", Critical: "49h"}
	expiry = &Metric{Family: "test", Key: "expiry", Kind: Until, Help: "End.", Critical: "7d:"}
	plain  = &Metric{Family: "test", Key: "plain", Help: "Informative."}
	gone   = &Finding{Key: "gone", Help: "something is gone", State: Critical}
)

func testDefinition(run func(*Report) error) (*Definition, Check) {
	c := &funcCheck{run: run}
	return &Definition{
		Name: "test", Title: "TEST", Summary: "looks", Examples: []string{"check_test"}, Peer: "none", Privileges: []string{"none"},
		Interval: time.Minute, Timeout: 5 * time.Second,
		Metrics: []*Metric{depth, share, ended, expiry, plain}, Findings: []*Finding{gone},
		Parts: []Part{{Name: "one"}, {Name: "two"}},
		New:   func(*pflag.FlagSet) Check { return c },
	}, c
}

func TestDefinitionValidate(t *testing.T) {
	d, _ := testDefinition(nil)
	if err := d.Validate(); err != nil {
		t.Errorf("Validate() = %v; want nil", err)
	}
	d.Metrics = append(d.Metrics, &Metric{Family: "test", Key: "depth", Help: "x", Warning: "20:10", Labels: []string{"check"}})
	d.Title = "Test|"
	err := d.Validate()
	for _, want := range []string{"title", "metric depth twice", "start is above end", `label "check" is taken`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate() = %v; want it to name %q", err, want)
		}
	}
}

func TestParseLimits(t *testing.T) {
	d, _ := testDefinition(nil)
	tests := []struct {
		values []string
		want   string // limits joined by blanks
	}{
		{[]string{"10"}, "depth=10"},
		{[]string{""}, ""},
		{[]string{"", "share=5%"}, "share=5"},
		{[]string{"10,share=80%"}, "depth=10 share=80"},
		{[]string{"depth{queue=a*,vhost=/}=3:4,share=~:7"}, "depth{queue=a*,vhost=/}=3:4 share=~:7"},
		{[]string{`depth{queue="x"}=1`}, "depth{queue=x}=1"},
		{[]string{"ended=25h"}, "ended=90000"},
		{[]string{"10", "20"}, "depth=10 depth=20"},
	}
	for _, tt := range tests {
		limits, err := ParseLimits(d, Warning, tt.values)
		var got []string
		for _, l := range limits {
			got = append(got, l.String())
		}
		if err != nil || strings.Join(got, " ") != tt.want {
			t.Errorf("ParseLimits(%q) = %v, %v; want %s", tt.values, got, err, tt.want)
		}
	}
}

func TestParseLimitsRefuses(t *testing.T) {
	d, _ := testDefinition(nil)
	for value, want := range map[string]string{
		"10,6,4":                   "two ranges for depth",
		"detph=5":                  `no metric "detph"; there are depth, share`,
		"depth{q=x}=5":             `no label "q"; it has queue, vhost`,
		"depth{queue=x=5":          "no closing brace",
		"depth{queue=x}5":          "no = after the braces",
		"depth}=5":                 "braces do not match",
		"depth{queue}=5":           "write label=glob",
		"share=5MB":                "is no number of per cent",
		"depth{queue=x}=":          "empty",
		"depth=":                   "empty",
		"depth{queue=a,queue=b}=1": "twice",
		"10,":                      "empty",
	} {
		if limits, err := ParseLimits(d, Warning, []string{value}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseLimits(%q) = %v, %v; want an error with %q", value, limits, err, want)
		}
	}
}

func TestGlob(t *testing.T) {
	tests := []struct {
		pattern, text string
		want          bool
	}{
		{"*", "", true}, {"*", "a/b.c", true}, {"a*", "abc", true}, {"a*", "ba", false}, {"*_shard?", "x_shard1", true}, {"*_shard?", "x_shard12", false},
		{"a*b*c", "aXbYc", true}, {"a*b*c", "aXbY", false}, {"", "", true}, {"", "x", false}, {"?", "ä", true}, {"[ab]", "a", false},
	}
	for _, tt := range tests {
		if got := Glob(tt.pattern, tt.text); got != tt.want {
			t.Errorf("Glob(%q, %q) = %v; want %v", tt.pattern, tt.text, got, tt.want)
		}
	}
}

func FuzzParseLimits(f *testing.F) {
	for _, s := range []string{"10", "depth{queue=a*,vhost=/}=3:4,share=~:7", "depth{", "}", "=,=", "ended=25h"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		d, _ := testDefinition(nil)
		limits, err := ParseLimits(d, Critical, []string{value})
		if err != nil {
			return
		}
		for _, l := range limits {
			again, err := ParseLimits(d, Critical, []string{l.String()})
			if err != nil || len(again) != 1 || again[0].Range != l.Range || again[0].Metric != l.Metric {
				t.Fatalf("ParseLimits(%q) has %s, which reads back as %v, %v", value, l, again, err)
			}
		}
	})
}
