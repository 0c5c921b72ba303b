package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/command"
)

const defaultBarman = "/usr/bin/barman"

// barman asks barman list-backup, or reads what it said to somebody else.
type barman struct {
	servers []string
	config  string
	tool    string
	files   []string
}

func newBarman(fs *pflag.FlagSet) *barman {
	s := &barman{}
	fs.StringArrayVar(&s.servers, "barman-server", nil, "Barman: server to look at, 'all' for all; repeat for several. Only Barman's own user may run it")
	fs.StringVar(&s.config, "barman-config", "", "Barman: configuration file (default Barman's own)")
	fs.StringVar(&s.tool, "barman-path", defaultBarman, "Barman: the program")
	fs.StringArrayVar(&s.files, "barman-json-file", nil, "Barman: read the output of 'barman -f json list-backup' or 'barman -f json check' from this file, which cron writes, and judge its age too; repeat for several")
	return s
}

func (s *barman) name() string { return "barman" }

func (s *barman) given() string {
	switch {
	case len(s.servers) > 0:
		return "barman-server"
	case len(s.files) > 0:
		return "barman-json-file"
	case s.config != "":
		return "barman-config"
	case s.tool != defaultBarman:
		return "barman-path"
	}
	return ""
}

func (s *barman) prepare() (target string, err error) {
	if len(s.servers) == 0 && len(s.files) == 0 {
		return "", fmt.Errorf("--%s goes with --barman-server", s.given())
	}
	if len(s.files) > 0 && (s.config != "" || s.tool != defaultBarman) {
		return "", errors.New("--barman-json-file is read in place of running barman: leave out --barman-config and --barman-path")
	}
	if err := command.CheckPath(s.tool); err != nil {
		return "", fmt.Errorf("--barman-path: %w", err)
	}
	if err := errors.Join(checkFiles("barman-json-file", s.files), checkFiles("barman-config", optional(s.config))); err != nil {
		return "", err
	}
	for i, server := range s.servers {
		if server == "" || strings.HasPrefix(server, "-") || slices.Contains(s.servers[:i], server) {
			return "", fmt.Errorf("--barman-server %q is empty, no name, or given twice", server)
		}
	}
	if len(s.servers) > 1 && slices.Contains(s.servers, "all") {
		return "", errors.New("--barman-server all: leave out the others")
	}
	return joined("barman", s.servers, s.files), nil
}

func (s *barman) list(ctx context.Context, at moment) (*listing, error) {
	var all []barmanServer
	l := &listing{}
	read := func(a *answer) error {
		servers, before, err := parseBarman(a.output, time.Local, at.now)
		if err != nil {
			return a.refused("the output of 'barman -f json list-backup' or 'barman -f json check'", err)
		}
		l.lists = append(l.lists, a.lists...)
		l.notes = append(l.notes, a.beforeJSON("barman", before)...)
		all = append(all, servers...)
		return nil
	}
	// Both are answers about the same servers, so that they are joined.
	if len(s.files) == 0 {
		a, err := s.ask(ctx)
		if err == nil {
			err = read(a)
		}
		if err != nil {
			return nil, err
		}
	}
	for _, path := range s.files {
		a, err := readList(path, maxList)
		if err == nil {
			err = read(a)
		}
		if err != nil {
			return nil, err
		}
	}
	var err error
	l.sets, err = barmanSets(all, s.servers)
	if err != nil {
		return nil, check.Faultf(check.Data, "understand the lists of", "barman", "%w", err)
	}
	return l, nil
}

// barmanWrongs are the words of Barman 2 and 3.
var barmanWrongs = []wrong{
	{says: "please run barman as", reason: check.Permission, means: "only Barman's own user may run it"},
	{says: "Permission denied", reason: check.Permission, means: "permission denied"},
	{says: "PermissionError", reason: check.Permission, means: "permission denied"},
	{says: "Unknown server", reason: check.Config, means: "Barman has no such server"},
	{says: "No section", reason: check.Config, means: "its configuration is not in order"},
}

func (s *barman) ask(ctx context.Context) (*answer, error) {
	var args []string
	if s.config != "" {
		args = append(args, "-c", s.config)
	}
	args = append(args, "-f", "json", "list-backup")
	out, err := command.Command{
		Stage: "list the backups with", Path: s.tool, Args: append(args, s.servers...), Limit: wholeLook, Max: maxList,
	}.Run(ctx)
	if err != nil {
		return nil, toolRefusal(out, err, "", ": use --barman-json-file", barmanWrongs)
	}
	return &answer{from: s.tool, output: out.Stdout}, nil
}

// barmanServer is what one output tells of one server.
type barmanServer struct {
	name    string
	listed  bool // it is a list of backups
	set     set
	checked []string // names of the checks that failed
}

// barmanBackup is a backup of barman list-backup. Those that are not finished
// have only an id and a status.
type barmanBackup struct {
	ID     string          `json:"backup_id"`
	Type   string          `json:"backup_type"` // since 3.11: full, incremental, rsync, snapshot
	Status string          `json:"status"`
	End    json.RawMessage `json:"end_time_timestamp"` // Unix seconds, as text
	Size   *int64          `json:"size_bytes"`
}

// parseBarman reads barman list-backup and barman check, both by server. Ids
// of backups are times in the given zone, that of Barman's host.
func parseBarman(output []byte, zone *time.Location, now time.Time) (servers []barmanServer, before string, err error) {
	var document map[string]json.RawMessage
	if before, err = command.DecodeJSON(output, &document); err != nil {
		return nil, "", err
	}
	for _, name := range slices.Sorted(maps.Keys(document)) {
		if name == "_INFO" || name == "_WARNING" || name == "_ERROR" { // what it says beside
			continue
		}
		one := barmanServer{name: name, set: set{name: name, absent: "Barman lists none"}}
		var backups []barmanBackup
		var checks map[string]struct {
			Status string `json:"status"`
			Hint   string `json:"hint"`
		}
		switch errList := json.Unmarshal(document[name], &backups); {
		case errList == nil && backups != nil:
			one.listed = true
			for _, b := range backups {
				if err := one.set.takeBarman(b, zone, now); err != nil {
					return nil, "", fmt.Errorf("server %s: %w", name, err)
				}
			}
			one.set.settleRunning()
		case json.Unmarshal(document[name], &checks) == nil && len(checks) > 0:
			for _, key := range slices.Sorted(maps.Keys(checks)) {
				switch checks[key].Status {
				case "OK":
				case "FAILED":
					text := key
					if hint := checks[key].Hint; hint != "" {
						text += " (" + hint + ")"
					}
					one.checked = append(one.checked, text)
				default:
					return nil, "", fmt.Errorf("server %s: check %q has the status %q", name, key, checks[key].Status)
				}
			}
		default:
			return nil, "", fmt.Errorf("server %s is neither a list of backups nor one of checks", name)
		}
		servers = append(servers, one)
	}
	return servers, before, nil
}

// waitForWAL is how long a backup may wait for the WAL that makes it
// consistent: it is archived with the next full segment.
const waitForWAL = time.Hour

// takeBarman adds a backup of Barman to a set.
func (s *set) takeBarman(b barmanBackup, zone *time.Location, now time.Time) error {
	if b.ID == "" {
		return errors.New("a backup has no id")
	}
	one := backup{name: b.ID, kind: b.Type, full: b.Type != "incremental", class: b.Type, size: -1}
	if one.kind == "" {
		one.kind = "base"
	}
	began, errID := time.ParseInLocation("20060102T150405", b.ID, zone)
	if errID == nil {
		one.started = began
	}
	if b.Size != nil && *b.Size >= 0 {
		one.size = *b.Size
	}
	switch b.Status {
	case "DONE", "WAITING_FOR_WALS":
		end, err := strconv.ParseInt(strings.Trim(string(b.End), `"`), 10, 64)
		if err != nil || end <= 0 || end > maxUnix {
			return fmt.Errorf("backup %s: its end %s is no time", b.ID, check.CleanMax(string(b.End), 40))
		}
		one.ended = time.Unix(end, 0)
		if b.Status == "WAITING_FOR_WALS" {
			if now.Sub(one.ended) < waitForWAL {
				s.running, s.since = true, later(s.since, one.started)
				return nil
			}
			one.problem = "it waits for WAL that was not archived: it cannot be restored"
		}
	case "STARTED", "EMPTY", "SYNCING":
		if errID != nil {
			return fmt.Errorf("backup %s: its id is no time", b.ID)
		}
		s.running, s.since = true, later(s.since, began)
		return nil
	case "FAILED":
		if errID != nil {
			return fmt.Errorf("backup %s: its id is no time", b.ID)
		}
		one.ended, one.started = began, time.Time{} // when it failed is not told
		one.problem = "it failed (see Barman's log)"
	default:
		return fmt.Errorf("backup %s has the status %q", b.ID, b.Status)
	}
	s.backups = append(s.backups, one)
	return nil
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// settleRunning forgets a backup that is being made where a later one has
// ended well: it was killed, and nobody tidied up.
func (s *set) settleRunning() {
	for _, b := range s.backups {
		if b.problem == "" && s.running && b.started.After(s.since) {
			s.running, s.since = false, time.Time{}
		}
	}
}

// barmanSets joins what several outputs tell of a server. Wanted are the
// servers to look at; none or "all" for all.
func barmanSets(servers []barmanServer, wanted []string) ([]set, error) {
	all := len(wanted) == 0 || slices.Contains(wanted, "all")
	joined := make(map[string]*set)
	listed := make(map[string]bool)
	for _, one := range servers {
		if !all && !slices.Contains(wanted, one.name) {
			continue
		}
		s := joined[one.name]
		if s == nil {
			s = &set{name: one.name, place: "Barman"}
			joined[one.name] = s
		}
		if one.listed {
			if listed[one.name] {
				return nil, fmt.Errorf("the backups of server %s stand there twice", one.name)
			}
			listed[one.name] = true
			wrong := s.wrong
			*s = one.set
			s.wrong, s.place = append(wrong, s.wrong...), "Barman"
		}
		if len(one.checked) > 0 {
			s.wrong = append(s.wrong, "barman check says: FAILED: "+strings.Join(one.checked, ", "))
		}
	}
	for name, s := range joined {
		if !listed[name] {
			s.faults = append(s.faults, check.Faultf(check.Config, "list the backups of", name, "its checks are there and its list of backups is not: add the output of 'barman -f json list-backup'"))
		}
	}
	for _, name := range wanted {
		if name != "all" && joined[name] == nil {
			joined[name] = &set{name: name, wrong: []string{"Barman knows no such server"}}
		}
	}
	if len(joined) == 0 {
		joined["barman"] = &set{name: "barman", absent: "Barman knows no server"}
	}
	return sorted(joined), nil
}
