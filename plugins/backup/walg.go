package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/command"
)

const defaultWALG = "/usr/local/bin/wal-g"

// walg asks wal-g or wal-e backup-list, or reads what it said to somebody
// else.
type walg struct {
	run   bool
	env   *environment
	tool  string
	files []string
}

func newWALG(fs *pflag.FlagSet) *walg {
	s := &walg{}
	fs.BoolVar(&s.run, "wal-g", false, "wal-g: run 'wal-g backup-list --detail --json'")
	s.env = newEnvironment(fs, "wal-g", "WALG_", "WALE_", "AWS_", "PG", "GOOGLE_", "AZURE_", "SWIFT_", "OS_", "SSH_")
	fs.StringVar(&s.tool, "wal-g-path", defaultWALG, "wal-g: the program, or one that calls it with its environment, such as Zulip's env-wal-g")
	fs.StringArrayVar(&s.files, "wal-g-list-file", nil, "wal-g, wal-e: read the output of 'wal-g backup-list --detail --json', or the text of 'wal-g backup-list --detail' or 'wal-e backup-list', from this file, which cron writes, and judge its age too; repeat for several")
	return s
}

func (s *walg) name() string { return "wal-g" }

func (s *walg) given() string {
	switch {
	case s.run:
		return "wal-g"
	case len(s.files) > 0:
		return "wal-g-list-file"
	case s.env.path != "":
		return s.env.option
	case s.tool != defaultWALG:
		return "wal-g-path"
	}
	return ""
}

func (s *walg) prepare() (target string, err error) {
	if len(s.files) > 0 && (s.run || s.env.path != "" || s.tool != defaultWALG) {
		return "", errors.New("--wal-g-list-file is read in place of running wal-g: leave out --wal-g, --wal-g-env-file and --wal-g-path")
	}
	if !s.run && len(s.files) == 0 {
		return "", fmt.Errorf("--%s goes with --wal-g", s.given())
	}
	if err := command.CheckPath(s.tool); err != nil {
		return "", fmt.Errorf("--wal-g-path: %w", err)
	}
	return joined("wal-g", s.files), errors.Join(checkFiles("wal-g-list-file", s.files), checkFiles(s.env.option, optional(s.env.path)))
}

func (s *walg) list(ctx context.Context, at moment) (*listing, error) {
	asks := files(s.files)
	if s.run {
		asks = []ask{{name: "wal-g", read: s.ask}}
	}
	return gather(ctx, asks, func(a *answer) ([]set, []string, error) {
		one, notes, err := parseWALG(a.output)
		if err != nil {
			return nil, nil, a.refused("the output of 'wal-g backup-list --detail --json'", err)
		}
		one.name = "wal-g"
		if len(asks) > 1 {
			one.name = a.from
		}
		one.place = a.from
		return []set{one}, notes, nil
	})
}

// walgWrongs are the words of wal-g.
var walgWrongs = []wrong{
	{says: "permission denied", reason: check.Permission, means: "permission denied"},
	{says: "AccessDenied", reason: check.Permission, means: "the object store denies access"},
	{says: "SignatureDoesNotMatch", reason: check.Auth, means: "the object store refuses the key"},
	{says: "InvalidAccessKeyId", reason: check.Auth, means: "the object store does not know the key"},
	{says: "no storage is configured", reason: check.Config, means: "no storage is configured: give --wal-g-env-file"},
	{says: "Failed to find any configured storage", reason: check.Config, means: "no storage is configured: give --wal-g-env-file"},
}

func (s *walg) ask(ctx context.Context) (*answer, error) {
	env, err := s.env.read()
	if err != nil {
		return nil, err
	}
	out, err := command.Command{
		Stage: "list the backups with", Path: s.tool, Args: []string{"backup-list", "--detail", "--json"}, Env: env, Limit: wholeLook, Max: maxList,
	}.Run(ctx)
	if err != nil {
		return nil, toolRefusal(out, err, "", ": use --wal-g-list-file", walgWrongs)
	}
	return &answer{from: "wal-g", output: out.Stdout}, nil
}

// walgBackup is an element of the output of wal-g backup-list. Its time,
// creation_time and modification_time are those of the object: a copy of the
// bucket renews them, so that they say nothing of the backup.
type walgBackup struct {
	Name      string    `json:"backup_name"`
	Start     time.Time `json:"start_time"`
	Finish    time.Time `json:"finish_time"`
	Permanent bool      `json:"is_permanent"`
	System    uint64    `json:"system_identifier"` // beyond what a float64 can hold
	Size      *int64    `json:"uncompressed_size"` // of the database
}

// errNoFinish says that a list cannot tell when its backups ended.
var errNoFinish = errors.New("it has no finish_time, and a copy renews the object's own time: list with --detail")

// noneFound is how wal-g says that there is none, in some versions on
// standard output.
var noneFound = regexp.MustCompile(`(?i)\bno backups found\b`)

// parseWALG reads the output of wal-g or wal-e in JSON or text.
func parseWALG(output []byte) (s set, notes []string, err error) {
	s.absent = "wal-g lists none"
	text := bytes.TrimSpace(output)
	if len(text) == 0 || string(text) == "null" || !bytes.ContainsAny(text, "[{") && noneFound.Match(text) {
		return s, nil, nil
	}
	if header, rows := walgTable(string(text)); header != nil {
		return walgText(header, rows)
	}
	var all []walgBackup
	before, err := command.DecodeJSON(output, &all)
	if err != nil {
		if noneFound.Match(text) && !bytes.Contains(text, []byte(`"backup_name"`)) {
			return s, nil, nil
		}
		return set{}, nil, err
	}
	if before != "" {
		notes = append(notes, "before its JSON wal-g says: "+check.Clean(before))
	}
	more, err := s.takeWALG(all)
	return s, append(notes, more...), err
}

// takeWALG adds backups of wal-g to a set: those of the database system of
// the newest, as others hold nothing that was written since an upgrade.
func (s *set) takeWALG(all []walgBackup) (notes []string, err error) {
	var newest walgBackup
	for _, b := range all {
		if b.Name == "" {
			return nil, errors.New("a backup has no name")
		}
		if b.Finish.IsZero() {
			return nil, fmt.Errorf("backup %s: %w", b.Name, errNoFinish)
		}
		if b.Finish.After(newest.Finish) {
			newest = b
		}
	}
	former := 0
	for _, b := range all {
		if b.System != newest.System {
			former++
			continue
		}
		one := backup{name: b.Name, kind: "full", full: true, class: "base", ended: b.Finish, size: -1}
		// Whatever its kind, uncompressed_size is what the database had.
		if b.Size != nil && *b.Size > 0 {
			one.size = *b.Size
		}
		if !b.Start.IsZero() && !b.Start.After(b.Finish) {
			one.started = b.Start
		}
		if base, parent, delta := strings.Cut(b.Name, "_D_"); delta {
			one.kind, one.full, one.class = "delta", false, "delta"
			if !hasParent(all, base, parent) {
				one.problem = "it builds on base_" + parent + ", which the storage does not have: it cannot be restored"
			}
		}
		if b.Permanent {
			one.kind += " permanent"
		}
		s.backups = append(s.backups, one)
	}
	if former > 0 {
		notes = append(notes, fmt.Sprintf("%d backups of another database system than the newest's (%d) do not count", former, newest.System))
	}
	return notes, nil
}

// hasParent tells whether the backup is there whose WAL segment a delta
// names: base_000000010000000000000007_D_000000010000000000000005.
func hasParent(all []walgBackup, base, parent string) bool {
	for _, b := range all {
		rest, ok := strings.CutPrefix(b.Name, "base_"+parent)
		if ok && (rest == "" || strings.HasPrefix(rest, "_")) && b.Name != base {
			return true
		}
	}
	return false
}

// walgTable splits a table of text: its header begins with "name". Lines of
// a logger before it are left out.
func walgTable(text string) (header []string, rows [][]string) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0:
		case header != nil:
			rows = append(rows, fields)
		case fields[0] == "name" && len(fields) > 1:
			header = fields
		case strings.HasPrefix(fields[0], "[") || strings.HasPrefix(fields[0], "{"):
			return nil, nil
		}
	}
	return header, rows
}

// walgText takes a table: of wal-g with --detail, which has a finish_time,
// or of wal-e, which knows nothing but when the object was written.
func walgText(header []string, rows [][]string) (s set, notes []string, err error) {
	s.absent = "the list is empty"
	column := func(names ...string) int {
		for i, h := range header {
			for _, name := range names {
				if h == name {
					return i
				}
			}
		}
		return -1
	}
	finish, start := column("finish_time"), column("start_time")
	written, size := column("last_modified"), column("expanded_size_bytes")
	wale := finish < 0 && written >= 0 && size >= 0
	if finish < 0 && !wale && len(rows) > 0 {
		return set{}, nil, errNoFinish
	}
	var all []walgBackup
	for _, row := range rows {
		if len(row) < 2 || !strings.HasPrefix(row[0], "base_") {
			return set{}, nil, fmt.Errorf("row %q is no backup", check.CleanMax(strings.Join(row, " "), 60))
		}
		if slices.ContainsFunc(row[1:], func(cell string) bool { return strings.Contains(cell, "base_") }) { // some versions end no line
			return set{}, nil, fmt.Errorf("two backups on one line (%s): list with --json", check.CleanMax(row[0], 60))
		}
		// An empty cell would move the others: then no column is sure.
		if finish >= 0 && len(row) < len(header) {
			return set{}, nil, fmt.Errorf("row %q has %d columns of %d: list with --json", check.CleanMax(row[0], 60), len(row), len(header))
		}
		b := walgBackup{Name: row[0]}
		if wale {
			if b.Finish, err = walTime(row[written]); err != nil {
				return set{}, nil, err
			}
		} else if b.Finish, err = walTime(row[finish]); err != nil {
			return set{}, nil, err
		}
		if start >= 0 {
			if b.Start, err = walTime(row[start]); err != nil {
				return set{}, nil, err
			}
		}
		all = append(all, b)
	}
	if wale && len(rows) > 0 {
		s.absent = "wal-e lists none"
		notes = append(notes, "wal-e tells only when an object was last written, which a copy renews")
	}
	more, err := s.takeWALG(all)
	return s, append(notes, more...), err
}

// walTime reads a time of wal-g and wal-e. Without a zone it is UTC, as
// object stores tell it.
func walTime(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time", check.CleanMax(text, 40))
}
