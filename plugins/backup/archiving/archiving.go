package archiving

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/options"
	"github.com/belfry-monitoring/belfry/common/postgres"
)

// Archiving is the configured look.
type Archiving struct {
	fs      *pflag.FlagSet
	wanted  bool
	options *postgres.Options
	servers []*postgres.Server
}

// choosing are the options that ask for a look or say at what.
func choosing() []string { return []string{"host", "service", "port", "user", "dbname"} }

// Flags declares --archiving and the options of PostgreSQL. Environment
// variables say here where backup tools find their server, so that PGHOST and
// the like ask for no look at the archive and do not direct one.
func Flags(fs *pflag.FlagSet) *Archiving {
	a := &Archiving{fs: fs}
	fs.BoolVar(&a.wanted, "archiving", false, "look also at the archive of PostgreSQL's log (WAL), of the server on this machine; --host or --service ask for it, too")
	a.options = postgres.Flags(fs)
	for _, flag := range choosing() {
		options.Env(fs, flag)
	}
	return a
}

// Given names the option that asks for the look, empty for none.
func (a *Archiving) Given() string {
	if a.wanted {
		return "archiving"
	}
	for _, name := range choosing() {
		if f := a.fs.Lookup(name); f != nil && f.Changed && f.Value.String() != "" && f.Value.String() != "[]" {
			return name
		}
	}
	return ""
}

// Prepare settles the servers and opens nothing. Notice is what line 1 must
// say.
func (a *Archiving) Prepare() (target, notice string, err error) {
	switch given := a.Given(); given {
	case "archiving", "host", "service":
	default:
		return "", "", fmt.Errorf("--%s goes with --archiving, --host or --service", given)
	}
	if a.servers, err = a.options.Servers(); err != nil {
		return "", "", err
	}
	return postgres.Names(a.servers), postgres.Notice(a.servers), nil
}

// Memory is what a look leaves to the next, by server.
type Memory map[string]Seen

// Seen is what a look saw of one server.
type Seen struct {
	At      time.Time `json:"at"`
	Waiting int       `json:"waiting"`
	Last    string    `json:"last,omitempty"` // archived
	Since   time.Time `json:"since,omitzero"` // when it was first seen to be the last while others wait
}

// sight is what was seen of one server.
type sight struct {
	server string
	facts  *facts
	err    error
}

// Sights are what a look has seen, to be reported.
type Sights struct {
	all    []sight
	before Memory
}

// Look asks all servers side by side. It fails only as a whole: what keeps a
// server from answering is reported with the others.
func (a *Archiving) Look(ctx context.Context, before Memory) (*Sights, error) {
	s := &Sights{all: make([]sight, len(a.servers)), before: before}
	looks := make([]func(context.Context) error, len(a.servers))
	for i, server := range a.servers {
		looks[i] = func(ctx context.Context) error {
			f, err := ask(ctx, server)
			s.all[i] = sight{server: server.String(), facts: f, err: err}
			return nil
		}
	}
	return s, check.Go(ctx, looks...)
}

// oldest is the oldest version that has pg_ls_archive_statusdir().
const oldest = 12

func ask(ctx context.Context, server *postgres.Server) (*facts, error) {
	const stage = "read the state of the archiver from"
	conn, err := server.Connect(ctx, "belfry check_backup")
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if v := conn.Version(); v != 0 && v < oldest {
		return nil, check.Faultf(check.Config, stage, server.String(), "PostgreSQL %d is too old to look at its archiver, %d is the oldest", v, oldest)
	}
	answer, err := conn.QueryValue(ctx, stage, factsQuery)
	if err != nil {
		return nil, err
	}
	f, err := parseFacts(answer)
	if err == nil && f.Listable && f.archives() {
		if answer, err = conn.QueryValue(ctx, "list what waits to be archived on", statusQuery); err != nil {
			return nil, err
		}
		f.status, err = parseStatus(answer)
	}
	if err != nil {
		return nil, &check.Fault{Reason: check.Data, Stage: stage, Peer: server.String(), Err: err}
	}
	return f, nil
}

// archives tells whether the server is one that is to archive: a standby does
// so only with archive_mode always.
func (f *facts) archives() bool { return f.Mode == "always" || f.Mode == "on" && !*f.Recovery }

// errNotListable asks for the grant without which nothing can be said.
var errNotListable = errors.New("it cannot be seen whether anything waits to be archived")
