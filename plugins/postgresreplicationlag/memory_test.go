package postgresreplicationlag

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

// cell is a memory for one check.
type cell struct {
	data []byte
	at   time.Time
}

func (c *cell) Load() ([]byte, time.Time, error)      { return c.data, c.at, nil }
func (c *cell) Store(data []byte, at time.Time) error { c.data, c.at = data, at; return nil }

// looks are looks one after the other, at times of the test.
type looks struct {
	memory cell
	want   expectation
}

func remembered(want expectation) *looks { return &looks{want: want} }

// run judges answers at a second.
func (l *looks) run(second float64, answers ...*facts) *check.Result {
	now := time.Unix(1_800_000_000, 0).Add(time.Duration(second * float64(time.Second)))
	one := &check.Look{
		Definition: Definition, Check: &recorded{answers: answers, want: l.want}, Memory: &l.memory,
		Now: func() time.Time { return now },
	}
	return one.Run(context.Background())
}

// look is run, with what must come of it.
func (l *looks) look(t *testing.T, second float64, state check.State, text string, answers ...*facts) *check.Result {
	t.Helper()
	r := l.run(second, answers...)
	var lines []string
	for _, row := range r.Rows {
		lines = append(lines, row.State.String()+" "+row.Text)
	}
	if got := strings.Join(lines, "\n"); r.State != state || !strings.Contains(got, text) {
		t.Errorf("look at second %g: %s\n%s\nwant %s with %q", second, r.State, got, state, text)
	}
	return r
}
