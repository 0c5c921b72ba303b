package workermemory

import (
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/procs"
)

func TestDefinition(t *testing.T) {
	if err := Definition.Validate(); err != nil {
		t.Error(err)
	}
	if Definition.Plugin() != pluginName {
		t.Errorf("the plugin is called %s; want %s, by which its own runs are told apart", Definition.Plugin(), pluginName)
	}
}

func TestPrepareRefuses(t *testing.T) {
	tests := []struct{ args, want string }{
		{"--pattern=(", "--pattern \"(\""},
		{"--pattern=x --label-regex=[", "--label-regex \"[\""},
		{"--pattern=x --label-regex=pool", "a group in parentheses"},
		{"--label-regex=(x)", "needs --pattern"},
		{"--expect=x", "--expect x"},
		{"--expect=-1", "--expect -1"},
		{"--expect=~:5", "--expect ~:5"},
		{"--expect=@1:2", "--expect @1:2"},
		{"--expect=5:1", "--expect 5:1"},
		{"--expect=4.5", "--expect 4.5"},
		{"--expect=1.5:", "--expect 1.5:"},
		{"--user=no-such-user", "--user no-such-user"},
		{"--user=-1", "--user -1"},
		{"--user=99999999999", "--user 99999999999"},
		{"--parent=(", "--parent \"(\""},
		{"--parent=99999999999999999999", "--parent 99999999999999999999"},
		{"--oom-window=-1s", "--oom-window"},
		{"--restart-window=1m", "--restart-window 1m0s: give 6m0s to 24h0m0s"},
		{"--restart-window=25h", "--restart-window 25h0m0s"},
		{"--quiet-window=Sun", "--quiet-window \"Sun\": write days"},
		{"--quiet-window=Son,03:00-04:00", "--quiet-window"},
		{"--group=http", "--group \"http\": write NAME=REGEX"},
		{"--group=a=x --group=a=y", "given twice"},
		{"--group=a#b=x", "a name is"},
		{"--group=a=(", "--group \"(\""},
		{"--group=a=x --pattern=y", "give groups only"},
		{"--group=a=x --group-expect=b=1", "--group-expect \"b=1\""},
		{"--group=a=x --group-expect=a=few", "--group-expect few"},
		{"--group-expect=a=1", "--group-expect \"a=1\""},
	}
	for _, tt := range tests {
		fs := pflag.NewFlagSet("", pflag.ContinueOnError)
		c := Definition.New(fs)
		if err := fs.Parse(strings.Fields(tt.args)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Prepare(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: Prepare: %v; want an error with %q", tt.args, err, tt.want)
		}
	}
}

func TestExpected(t *testing.T) {
	inf := math.Inf(1)
	tests := []struct {
		text              string
		warning, critical check.Range
		none              bool
	}{
		{"15", check.Range{Start: 15, End: 15}, check.Range{Start: 15, End: inf}, false},
		{"4:", check.Range{Start: 4, End: inf}, check.Range{Start: 4, End: inf}, false},
		{"10:20", check.Range{Start: 10, End: 20}, check.Range{Start: 10, End: inf}, false},
		{"0", check.Range{}, check.Range{End: inf}, true},
	}
	for _, tt := range tests {
		limits, none, err := expected("--expect", tt.text)
		if err != nil || len(limits) != 2 || limits[0].Range != tt.critical || limits[1].Range != tt.warning || none != tt.none {
			t.Errorf("expected(%q) = %v, %t, %v; want critical %v, warning %v, %t", tt.text, limits, none, err, tt.critical, tt.warning, tt.none)
		}
	}
}

func TestThreadLimits(t *testing.T) {
	tests := []struct {
		machine           uint64
		warning, critical float64
	}{
		{0, 2e9, 2.5e9}, // not known
		{2_000_000_000, 8e8, 1.1e9},
		{3_500_000_000, 1.4e9, 1.925e9},
		{64_000_000_000, 2e9, 2.5e9},
	}
	for _, tt := range tests {
		l := threadLimits(tt.machine)
		if math.Abs(l[0].Range.End-tt.warning) > 1 || math.Abs(l[1].Range.End-tt.critical) > 1 {
			t.Errorf("threadLimits(%d) = %v; want %v and %v", tt.machine, l, tt.warning, tt.critical)
		}
	}
}

func TestUserID(t *testing.T) {
	if uid, err := userID(""); uid != nil || err != nil {
		t.Errorf(`userID("") = %v, %v; want any`, uid, err)
	}
	for text, want := range map[string]int{"root": 0, "0": 0, "1001": 1001} {
		if uid, err := userID(text); err != nil || uid == nil || *uid != want {
			t.Errorf("userID(%q) = %v, %v; want %d", text, uid, err, want)
		}
	}
}

func TestOwnUserIsNeverHidden(t *testing.T) {
	own, other := os.Geteuid(), os.Geteuid()+1
	for _, tt := range []struct {
		uid  *int
		want bool
	}{{nil, false}, {&own, true}, {&other, false}} {
		c := &workerMemory{query: procs.Query{UID: tt.uid}}
		if got := c.ownUser(); got != tt.want {
			t.Errorf("ownUser() with --user %v = %t; want %t", tt.uid, got, tt.want)
		}
	}
}

// TestNeverItsOwnRuns: the command line of this check carries the pattern.
func TestNeverItsOwnRuns(t *testing.T) {
	c := &workerMemory{pattern: "gunicorn", restartWindow: time.Hour}
	if _, err := c.Prepare(); err != nil {
		t.Fatal(err)
	}
	for command, want := range map[procs.CommandLine]bool{
		"gunicorn: worker [app]\x00": true,
		"/usr/lib/nagios/plugins/check_worker_memory\x00--pattern\x00gunicorn\x00":                false,
		"sh\x00-c\x00/usr/lib/nagios/plugins/check_worker_memory --pattern gunicorn\x00":          false,
		"ssh\x00host\x00check_worker_memory\x00--pattern\x00gunicorn\x00":                         false,
		"/usr/sbin/nrpe\x00-c\x00check_worker_memory\x00-a\x00gunicorn\x00":                       false,
		"/usr/lib/nagios/plugins/check_nrpe\x00-c\x00check_worker_memory\x00-a\x00'gunicorn'\x00": false,
	} {
		if got := c.wanted(command); got != want {
			t.Errorf("wanted(%q) = %t; want %t", command, got, want)
		}
	}
}
