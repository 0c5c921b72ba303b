package backup

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/command"
)

const (
	defaultPgBackRest = "/usr/bin/pgbackrest"
	// pgBackRestLimit is how long pgbackrest info may take. A local
	// repository takes 10 ms, an object store some seconds.
	pgBackRestLimit = 20 * time.Second
	maxList         = 4 << 20 // bytes of JSON; a backup takes 500
)

// pgBackRest asks pgbackrest info, or reads what it said to somebody else.
type pgBackRest struct {
	stanzas  []string
	repo     int
	config   string
	tool     string
	jsonFile string
}

func newPgBackRest(fs *pflag.FlagSet) *pgBackRest {
	p := &pgBackRest{}
	fs.StringArrayVar(&p.stanzas, "stanza", nil, "pgBackRest: stanza to look at; repeat for several (default all)")
	fs.IntVar(&p.repo, "repo", 0, "pgBackRest: key of the repository to look at (default all, each on its own)")
	fs.StringVar(&p.config, "config", "", "pgBackRest: configuration file (default pgbackrest's own)")
	fs.StringVar(&p.tool, "pgbackrest-path", defaultPgBackRest, "pgBackRest: the program")
	fs.StringVar(&p.jsonFile, "json-file", "", "pgBackRest: read the output of 'pgbackrest info --output=json' from this file, which cron writes, and judge its age too")
	return p
}

func (p *pgBackRest) name() string { return "pgbackrest" }

func (p *pgBackRest) given() string {
	switch {
	case len(p.stanzas) > 0:
		return "stanza"
	case p.repo != 0:
		return "repo"
	case p.config != "":
		return "config"
	case p.jsonFile != "":
		return "json-file"
	case p.tool != defaultPgBackRest:
		return "pgbackrest-path"
	}
	return ""
}

func (p *pgBackRest) prepare() (target string, err error) {
	if err := command.CheckPath(p.tool); err != nil {
		return "", fmt.Errorf("--pgbackrest-path: %w", err)
	}
	for option, path := range map[string]string{"config": p.config, "json-file": p.jsonFile} {
		if path != "" && !filepath.IsAbs(path) {
			return "", fmt.Errorf("--%s %q is no absolute path", option, path)
		}
	}
	if p.repo < 0 {
		return "", fmt.Errorf("--repo %d: keys of repositories begin at 1", p.repo)
	}
	if p.jsonFile != "" && (p.config != "" || p.tool != defaultPgBackRest) {
		return "", errors.New("--json-file is read in place of running pgbackrest: leave out --config and --pgbackrest-path")
	}
	for i, stanza := range p.stanzas {
		if stanza == "" || slices.Contains(p.stanzas[:i], stanza) {
			return "", fmt.Errorf("--stanza %q is empty or given twice", stanza)
		}
	}
	if len(p.stanzas) > 0 {
		return strings.Join(p.stanzas, " "), nil
	}
	return "pgbackrest", nil
}

func (p *pgBackRest) list(ctx context.Context, _ moment) (*listing, error) {
	output, written, err := p.read(ctx)
	if err != nil {
		return nil, err
	}
	stage, peer := "list the backups with", p.tool
	if p.jsonFile != "" {
		stage, peer = "read", p.jsonFile
	}
	var stanzas []stanza
	before, err := command.DecodeJSON(output, &stanzas)
	if err != nil {
		return nil, check.Faultf(check.Data, stage, peer, "not the output of 'pgbackrest info --output=json': %w", err)
	}
	sets, err := setsOf(stanzas, p.stanzas, p.repo, func(message string) error { return p.refusal(stage, peer, message) })
	if err != nil {
		return nil, check.Faultf(check.Data, stage, peer, "%w", err)
	}
	l := &listing{sets: sets}
	if p.jsonFile != "" {
		l.lists = []list{{path: p.jsonFile, written: written}}
	}
	if before != "" {
		l.notes = append(l.notes, "before its JSON pgbackrest says: "+before)
	}
	return l, nil
}

// read returns the JSON, and when it was written where somebody else did.
func (p *pgBackRest) read(ctx context.Context) (output []byte, written time.Time, err error) {
	if p.jsonFile == "" {
		out, err := command.Command{
			Stage: "list the backups with", Path: p.tool, Args: p.args(), Limit: pgBackRestLimit, Max: maxList,
		}.Run(ctx)
		if err != nil {
			return nil, time.Time{}, toolFault(err)
		}
		return out.Stdout, time.Time{}, nil
	}
	a, err := readList(p.jsonFile, maxList)
	if err != nil {
		return nil, time.Time{}, err
	}
	return a.output, a.lists[0].written, nil
}

// args asks without logging: what a configuration sends to the console would
// stand among the JSON, and this user may not write the log file.
func (p *pgBackRest) args() []string {
	args := []string{"info", "--output=json", "--log-level-console=off", "--log-level-file=off", "--log-level-stderr=error"}
	if p.config != "" {
		args = append(args, "--config="+p.config)
	}
	// It takes one stanza or all of them.
	if len(p.stanzas) == 1 {
		args = append(args, "--stanza="+p.stanzas[0])
	}
	if p.repo > 0 {
		args = append(args, fmt.Sprintf("--repo=%d", p.repo))
	}
	return args
}

// Exit codes of pgbackrest that are the operator's to mend (its
// build/error/error.yaml): an option that is invalid, required or missing a
// value, and a file that is missing.
var configExits = []int{31, 32, 33, 37, 55}

// toolFault sorts out why pgbackrest failed.
func toolFault(err error) error {
	var exit *command.ExitError
	var fault *check.Fault
	if !errors.As(err, &exit) || !errors.As(err, &fault) {
		return err
	}
	sorted := *fault
	switch {
	case strings.Contains(exit.Stderr, deniedText):
		sorted.Reason = check.Permission
		sorted.Err = fmt.Errorf("permission denied%s: %w", grantIn(exit.Stderr), fault.Err)
	case slices.Contains(configExits, exit.Code):
		sorted.Reason = check.Config
	}
	return &sorted
}

// refusal is the fault of a repository with status 99: pgbackrest ran and
// could not look at it.
func (p *pgBackRest) refusal(stage, peer, message string) error {
	if !strings.Contains(message, deniedText) {
		return check.Faultf(check.Data, stage, peer, "%s", message)
	}
	if p.jsonFile != "" {
		return check.Faultf(check.Permission, stage, peer, "the user who wrote it may not look: %s", message)
	}
	// What to grant first: messages of pgBackRest can be longer than a line.
	return check.Faultf(check.Permission, stage, peer, "permission denied%s: %s", grantIn(message), message)
}
