package postgresreplicationlag

import (
	"context"
	_ "embed"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/postgres"
)

//go:embed query.sql
var query string

//go:embed errors.sql
var errorsQuery string

// countsErrors is the first version with pg_stat_subscription_stats.
const countsErrors = 15

// oldest is the first version whose views have all that the query asks for
// (reply_time of pg_stat_replication).
const oldest = 12

// application is what the server's own views show of the look.
const application = "check_postgres_replication_lag"

// lagCheck is the check bound to its options.
type lagCheck struct {
	options *postgres.Options
	want    expectation
	delayed []string
	servers []*postgres.Server
}

func newCheck(fs *pflag.FlagSet) check.Check {
	c := &lagCheck{options: postgres.Flags(fs)}
	fs.IntVar(&c.want.standbys, "standbys", unsaid, "number of standbys that must be connected to a primary: fewer is critical, more a warning; 0: it stands alone, -1: not said")
	fs.StringArrayVar(&c.want.names, "standby", nil, "application_name, or a glob, of a standby that must be connected to one of the servers; several: repeat")
	fs.StringVar(&c.want.role, "expect", "", "primary or standby: what every server given must be (default: either)")
	fs.StringArrayVar(&c.want.ignoredSlots, "ignore-slot", nil, "name, or a glob, of replication slots that may be inactive or lost; several: repeat")
	fs.BoolVar(&c.want.archive, "archive", false, "standbys without a connection are meant to be: they restore from an archive (restore_command)")
	fs.StringArrayVar(&c.delayed, "delayed", nil, "NAME=DELAY, such as offsite=1h: application_name, or a glob, of a standby that a primary shows and that replays late on purpose (recovery_min_apply_delay); several: repeat")
	fs.DurationVar(&c.want.forget, "forget", 24*time.Hour, "how long a standby that is gone, or a server that was replaced, is spoken of")
	return c
}

// Prepare settles servers and passwords.
func (c *lagCheck) Prepare() (check.Setup, error) {
	if err := c.want.validate(); err != nil {
		return check.Setup{}, err
	}
	delays, err := parseDelays(c.delayed)
	if err != nil {
		return check.Setup{}, err
	}
	c.want.delays = delays
	servers, err := c.options.Servers()
	if err != nil {
		return check.Setup{}, err
	}
	c.servers = servers
	return check.Setup{Target: postgres.Names(servers), Notice: postgres.Notice(servers)}, nil
}

// Run looks at all servers side by side; one that fails hides nothing of the
// others.
func (c *lagCheck) Run(ctx context.Context, r *check.Report) error {
	answers := make([]*facts, len(c.servers))
	looks := make([]func(context.Context) error, len(c.servers))
	for i, s := range c.servers {
		looks[i] = func(ctx context.Context) (err error) {
			answers[i], err = look(ctx, s)
			return err
		}
	}
	err := check.Go(ctx, looks...)
	judge(r, answers, c.want)
	return err
}

// Close has nothing to give back: every look dials afresh.
func (c *lagCheck) Close() error { return nil }

// look asks one server.
func look(ctx context.Context, s *postgres.Server) (*facts, error) {
	const stage = "read the replication of"
	conn, err := s.Connect(ctx, application)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if v := conn.Version(); v != 0 && v < oldest {
		return nil, check.Faultf(check.Config, stage, s.String(), "PostgreSQL %d is too old for this check, %d is the oldest", v, oldest)
	}
	answer, err := conn.QueryValue(ctx, stage, query)
	if err != nil {
		return nil, err
	}
	f, err := parse(s.String(), answer)
	if err != nil {
		return nil, &check.Fault{Reason: check.Data, Stage: stage, Peer: s.String(), Err: err}
	}
	if len(f.Subscriptions) == 0 || conn.Version() < countsErrors {
		return f, nil
	}
	if answer, err = conn.QueryValue(ctx, stage, errorsQuery); err != nil {
		return nil, err
	}
	if answer == nil {
		return f, nil
	}
	if err := f.addErrors(answer); err != nil {
		return nil, &check.Fault{Reason: check.Data, Stage: stage, Peer: s.String(), Err: err}
	}
	return f, nil
}

// unsaid is a number of standbys that nobody gave.
const unsaid = -1

// expectation is what the operator says there must be.
type expectation struct {
	standbys     int // unsaid for none
	names        []string
	role         string
	ignoredSlots []string
	archive      bool // standbys may be fed by restore_command alone
	delays       []delay
	forget       time.Duration
}

// delay is what --delayed says of a standby.
type delay struct {
	glob    string
	seconds float64
}

// parseDelays reads NAME=DELAY; a plain number is in seconds.
func parseDelays(texts []string) ([]delay, error) {
	var delays []delay
	for _, text := range texts {
		equals := strings.LastIndexByte(text, '=')
		if equals < 1 {
			return nil, fmt.Errorf("--delayed %q: write NAME=DELAY, such as offsite=1h", text)
		}
		r, err := check.ParseRange(text[equals+1:], check.Seconds)
		if err != nil || r.Start != 0 || r.Inside || !(r.End > 0) || math.IsInf(r.End, 1) {
			return nil, fmt.Errorf("--delayed %q: %q is no delay, such as 90s, 30min or 1h", text, text[equals+1:])
		}
		delays = append(delays, delay{glob: text[:equals], seconds: r.End})
	}
	return delays, nil
}

func (e *expectation) validate() error {
	if e.standbys < unsaid {
		return fmt.Errorf("--standbys %d: a number of standbys, 0 for a server that stands alone", e.standbys)
	}
	if e.forget < 0 {
		return fmt.Errorf("--forget %v: a time, 0 to say nothing", e.forget)
	}
	switch e.role {
	case "", rolePrimary, roleStandby:
	default:
		return fmt.Errorf("--expect %q is neither primary nor standby", e.role)
	}
	for _, name := range e.names {
		if name == "" {
			return fmt.Errorf("--standby without a name")
		}
	}
	return nil
}

func (e *expectation) ignores(slot string) bool {
	for _, glob := range e.ignoredSlots {
		if check.Glob(glob, slot) {
			return true
		}
	}
	return false
}

// The values of --expect.
const (
	rolePrimary = "primary"
	roleStandby = "standby"
)
