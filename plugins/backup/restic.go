package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/command"
	"github.com/belfry-monitoring/belfry/common/options"
	"github.com/belfry-monitoring/belfry/common/safefile"
)

const defaultRestic = "/usr/bin/restic"

// restic asks restic snapshots, or reads what it said to somebody else.
type restic struct {
	repos        []string
	passwordFile string
	env          *environment
	groupBy      string
	tool         string
	files        []string
	lax          *bool
}

func newRestic(fs *pflag.FlagSet) *restic {
	s := &restic{lax: options.InsecurePermissions(fs)}
	fs.StringArrayVar(&s.repos, "restic-repo", nil, "restic: repository to look at, as restic writes it; repeat for several")
	fs.StringVar(&s.passwordFile, "restic-password-file", "", "restic: file that holds the password of the repositories")
	s.env = newEnvironment(fs, "restic", "RESTIC_", "AWS_", "B2_", "AZURE_", "GOOGLE_", "OS_", "ST_", "RCLONE_")
	fs.StringVar(&s.groupBy, "restic-group-by", defaultGroupBy, "restic: snapshots that differ in one of these are different sets: host, paths, tags")
	fs.StringVar(&s.tool, "restic-path", defaultRestic, "restic: the program")
	fs.StringArrayVar(&s.files, "restic-json-file", nil, "restic: read the output of 'restic snapshots --json' from this file, which cron writes, and judge its age too; repeat for several")
	return s
}

const defaultGroupBy = "host,paths"

func (s *restic) name() string { return "restic" }

func (s *restic) given() string {
	switch {
	case len(s.repos) > 0:
		return "restic-repo"
	case len(s.files) > 0:
		return "restic-json-file"
	case s.passwordFile != "":
		return "restic-password-file"
	case s.env.path != "":
		return s.env.option
	case s.groupBy != defaultGroupBy:
		return "restic-group-by"
	case s.tool != defaultRestic:
		return "restic-path"
	}
	return ""
}

func (s *restic) prepare() (target string, err error) {
	if len(s.repos) == 0 && len(s.files) == 0 {
		return "", fmt.Errorf("--%s goes with --restic-repo", s.given())
	}
	if len(s.repos) == 0 && (s.passwordFile != "" || s.env.path != "" || s.tool != defaultRestic) {
		return "", errors.New("--restic-json-file is read in place of running restic: leave out --restic-password-file, --restic-env-file and --restic-path")
	}
	if err := command.CheckPath(s.tool); err != nil {
		return "", fmt.Errorf("--restic-path: %w", err)
	}
	for _, one := range []struct {
		option string
		paths  []string
	}{{"restic-json-file", s.files}, {"restic-password-file", optional(s.passwordFile)}, {s.env.option, optional(s.env.path)}} {
		if err := checkFiles(one.option, one.paths); err != nil {
			return "", err
		}
	}
	if s.groupBy == "" {
		return "", errors.New("--restic-group-by is empty: all would be one set")
	}
	for by := range strings.SplitSeq(s.groupBy, ",") {
		if !slices.Contains([]string{"host", "paths", "tags"}, by) {
			return "", fmt.Errorf("--restic-group-by %q: write host, paths, tags, separated by commas", s.groupBy)
		}
	}
	names := make([]string, 0, len(s.repos))
	for i, repo := range s.repos {
		l := parseLocation(repo)
		if repo == "" || slices.Contains(s.repos[:i], repo) || slices.Contains(names, l.text) {
			return "", fmt.Errorf("--restic-repo %q is empty or given twice", l.text)
		}
		if l.path != "" && !strings.HasPrefix(l.path, "/") {
			return "", fmt.Errorf("--restic-repo %q is no absolute path", repo)
		}
		names = append(names, l.text)
	}
	return joined("restic", names, s.files), nil
}

func optional(path string) []string {
	if path == "" {
		return nil
	}
	return []string{path}
}

func (s *restic) list(ctx context.Context, at moment) (*listing, error) {
	var asks []ask
	for _, repo := range s.repos {
		l := parseLocation(repo)
		asks = append(asks, ask{name: l.text, read: func(ctx context.Context) (*answer, error) { return s.ask(ctx, repo, l) }})
	}
	return gather(ctx, append(asks, files(s.files)...), func(a *answer) ([]set, []string, error) {
		snapshots, before, err := parseRestic(a.output)
		if err != nil {
			return nil, nil, a.refused("the output of 'restic snapshots --json'", err)
		}
		sets, err := resticSets(snapshots, strings.Split(s.groupBy, ","))
		if err != nil {
			return nil, nil, a.refused("the output of 'restic snapshots --json'", err)
		}
		if len(sets) == 0 {
			sets = []set{{name: a.from, absent: "the repository has no snapshot"}}
		}
		settle(ctx, sets, a, at)
		return sets, a.beforeJSON("restic", before), nil
	})
}

// settle says of the sets of a repository where they lie.
func settle(ctx context.Context, sets []set, a *answer, at moment) {
	for i := range sets {
		sets[i].place = a.from
		if !a.file {
			place, can := parseLocation(a.from).where(ctx)
			sets[i].place = place
			if at.offsite {
				sets[i].reach = can
			}
		}
	}
}

// resticWrongs are the words and exit codes of restic 0.12 to 0.18: 10 to 12
// since 0.17.
var resticWrongs = []wrong{
	{says: "permission denied", reason: check.Permission, means: "permission denied"},
	{code: 12, reason: check.Auth, means: "wrong password"},
	{says: "wrong password or no key found", reason: check.Auth, means: "wrong password, or the repository has lost its keys"},
	{says: "an empty password is not a password", reason: check.Config, means: "no password: give --restic-password-file"},
	{code: 10, gone: true, reason: check.Data, means: "there is no repository"},
	{says: "config: no such file or directory", gone: true, reason: check.Data, means: "there is no repository: moved away or not mounted"},
}

// ask runs restic without taking a lock and without a cache: it changes
// nothing, and the user need not be able to write anywhere.
func (s *restic) ask(ctx context.Context, repo string, l location) (*answer, error) {
	env, err := s.env.read()
	if err != nil {
		return nil, err
	}
	if s.passwordFile != "" {
		if _, err := safefile.ReadSecret(s.passwordFile, *s.lax); err != nil { // who may read it
			return nil, withGrant(err, s.passwordFile)
		}
		env = append(env, "RESTIC_PASSWORD_FILE="+s.passwordFile)
	}
	// Not in the arguments, which every local user can read: it may hold a
	// password.
	env = append(env, "RESTIC_REPOSITORY="+repo)
	out, err := command.Command{
		Stage: "list the snapshots of " + l.text + " with", Path: s.tool, Env: env, Limit: wholeLook, Max: maxList,
		Args: []string{"snapshots", "--json", "--no-lock", "--no-cache"},
	}.Run(ctx)
	if err != nil {
		return nil, toolRefusal(out, err, l.path, ", or use --restic-json-file", resticWrongs)
	}
	return &answer{from: l.text, output: out.Stdout, wrong: lostSnapshots(out.Log)}, nil
}

// lostSnapshots are the snapshots that restic cannot read. It says so, leaves
// them out and ends well.
func lostSnapshots(log string) []string {
	lost := 0
	first := ""
	for line := range strings.Lines(log) {
		if strings.Contains(line, "could not load snapshot") || strings.Contains(line, "Ignoring ") {
			if lost++; first == "" {
				first = check.Clean(line)
			}
		}
	}
	switch lost {
	case 0:
		return nil
	case 1:
		return []string{"restic says: " + first}
	}
	return []string{fmt.Sprintf("restic says: %s, and %d more", first, lost-1)}
}

// snapshot is an element of the output of restic snapshots --json.
type snapshot struct {
	Time     time.Time `json:"time"` // when it began
	Paths    []string  `json:"paths"`
	Hostname string    `json:"hostname"`
	Tags     []string  `json:"tags"`
	ID       string    `json:"id"`
	ShortID  string    `json:"short_id"`
	Summary  *struct { // since 0.17
		Start time.Time `json:"backup_start"`
		End   time.Time `json:"backup_end"`
		Size  *int64    `json:"total_bytes_processed"`
	} `json:"summary"`
}

// parseRestic reads the snapshots; with --group-by they stand in groups.
func parseRestic(output []byte) (all []snapshot, before string, err error) {
	var elements []json.RawMessage
	if before, err = command.DecodeJSON(output, &elements); err != nil {
		return nil, "", err
	}
	for _, element := range elements {
		var group struct {
			Snapshots *[]snapshot `json:"snapshots"`
		}
		if err := json.Unmarshal(element, &group); err != nil {
			return nil, "", fmt.Errorf("unexpected JSON: %w", err)
		}
		if group.Snapshots != nil {
			all = append(all, *group.Snapshots...)
			continue
		}
		var one snapshot
		if err := json.Unmarshal(element, &one); err != nil {
			return nil, "", fmt.Errorf("unexpected JSON: %w", err)
		}
		all = append(all, one)
	}
	return all, before, nil
}

// resticSets makes a set of the snapshots of each host and paths, in the
// order of their names.
func resticSets(snapshots []snapshot, by []string) ([]set, error) {
	groups := make(map[string]*set)
	for _, one := range snapshots {
		if one.ID == "" || one.Time.IsZero() {
			return nil, fmt.Errorf("snapshot %q has no id or no time", one.ID)
		}
		var key []string
		if slices.Contains(by, "host") {
			key = append(key, one.Hostname)
		}
		if slices.Contains(by, "paths") {
			paths := slices.Sorted(slices.Values(one.Paths))
			key = append(key, strings.Join(paths, ","))
		}
		if slices.Contains(by, "tags") {
			tags := slices.Sorted(slices.Values(one.Tags))
			key = append(key, strings.Join(tags, ","))
		}
		name := strings.Join(key, ":")
		if groups[name] == nil {
			groups[name] = &set{name: name}
		}
		// Old versions tell only when it began, which is the safe side.
		b := backup{name: one.ShortID, kind: "snapshot", class: "snapshot", started: one.Time, ended: one.Time, size: -1}
		if b.name == "" {
			b.name = one.ID[:min(8, len(one.ID))]
		}
		if sum := one.Summary; sum != nil {
			if sum.End.After(one.Time) {
				b.ended = sum.End
			}
			if sum.Size != nil && *sum.Size >= 0 {
				b.size = *sum.Size
			}
		}
		if b.ended.Equal(b.started) {
			b.started = time.Time{}
		}
		groups[name].backups = append(groups[name].backups, b)
	}
	return sorted(groups), nil
}

func sorted(groups map[string]*set) []set {
	sets := make([]set, 0, len(groups))
	for _, s := range groups {
		sets = append(sets, *s)
	}
	slices.SortFunc(sets, func(a, b set) int { return strings.Compare(a.name, b.name) })
	return sets
}
