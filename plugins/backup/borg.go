package backup

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/command"
	"github.com/belfry-monitoring/belfry/common/options"
	"github.com/belfry-monitoring/belfry/common/safefile"
)

const defaultBorg = "/usr/bin/borg"

// borg asks borg list, or reads what borg list or borg info said to somebody
// else.
type borg struct {
	repos          []string
	passphraseFile string
	env            *environment
	tool           string
	files          []string
	timezone       string
	lax            *bool
}

func newBorg(fs *pflag.FlagSet) *borg {
	s := &borg{lax: options.InsecurePermissions(fs)}
	fs.StringArrayVar(&s.repos, "borg-repo", nil, "Borg: repository to look at, a path or ssh://; repeat for several")
	fs.StringVar(&s.passphraseFile, "borg-passphrase-file", "", "Borg: file that holds the passphrase of the repositories")
	s.env = newEnvironment(fs, "borg", "BORG_")
	fs.StringVar(&s.tool, "borg-path", defaultBorg, "Borg: the program")
	fs.StringArrayVar(&s.files, "borg-json-file", nil, "Borg: read the output of 'borg list --json' or 'borg info --json' from this file, which cron writes, and judge its age too; repeat for several")
	fs.StringVar(&s.timezone, "borg-timezone", defaultTimezone, "Borg: the time zone in which the files of --borg-json-file tell the time, such as UTC or Europe/Berlin")
	return s
}

const defaultTimezone = "Local"

func (s *borg) name() string { return "borg" }

func (s *borg) given() string {
	switch {
	case len(s.repos) > 0:
		return "borg-repo"
	case len(s.files) > 0:
		return "borg-json-file"
	case s.passphraseFile != "":
		return "borg-passphrase-file"
	case s.env.path != "":
		return s.env.option
	case s.tool != defaultBorg:
		return "borg-path"
	case s.timezone != defaultTimezone:
		return "borg-timezone"
	}
	return ""
}

func (s *borg) prepare() (target string, err error) {
	if len(s.repos) == 0 && len(s.files) == 0 {
		return "", fmt.Errorf("--%s goes with --borg-repo", s.given())
	}
	if len(s.repos) == 0 && (s.passphraseFile != "" || s.env.path != "" || s.tool != defaultBorg) {
		return "", errors.New("--borg-json-file is read in place of running borg: leave out --borg-passphrase-file, --borg-env-file and --borg-path")
	}
	if len(s.files) == 0 && s.timezone != defaultTimezone {
		return "", errors.New("--borg-timezone goes with --borg-json-file: borg itself is asked for UTC")
	}
	if _, err := time.LoadLocation(s.timezone); err != nil {
		return "", fmt.Errorf("--borg-timezone %q: %w", s.timezone, err)
	}
	if err := command.CheckPath(s.tool); err != nil {
		return "", fmt.Errorf("--borg-path: %w", err)
	}
	for _, one := range []struct {
		option string
		paths  []string
	}{{"borg-json-file", s.files}, {"borg-passphrase-file", optional(s.passphraseFile)}, {s.env.option, optional(s.env.path)}} {
		if err := checkFiles(one.option, one.paths); err != nil {
			return "", err
		}
	}
	names := make([]string, 0, len(s.repos))
	for i, repo := range s.repos {
		l := parseLocation(repo)
		switch {
		case repo == "" || slices.Contains(s.repos[:i], repo):
			return "", fmt.Errorf("--borg-repo %q is empty or given twice", l.text)
		case strings.HasPrefix(repo, "-"), strings.Contains(repo, "::"):
			return "", fmt.Errorf("--borg-repo %q: write the repository alone, without an archive", l.text)
		case l.path == "" && l.host == l.text, l.path != "" && !strings.HasPrefix(l.path, "/"):
			return "", fmt.Errorf("--borg-repo %q is no absolute path and names no host", repo)
		}
		names = append(names, l.text)
	}
	return joined("borg", names, s.files), nil
}

func (s *borg) list(ctx context.Context, at moment) (*listing, error) {
	var asks []ask
	for _, repo := range s.repos {
		l := parseLocation(repo)
		asks = append(asks, ask{name: l.text, read: func(ctx context.Context) (*answer, error) { return s.ask(ctx, repo, l) }})
	}
	return gather(ctx, append(asks, files(s.files)...), func(a *answer) ([]set, []string, error) {
		zone := time.UTC
		if a.file {
			named, err := time.LoadLocation(s.timezone)
			if err != nil {
				return nil, nil, check.Faultf(check.Config, "find the time zone", s.timezone, "%w", err)
			}
			zone = named
		}
		sets, before, err := parseBorg(a.output, zone, at.now)
		if err != nil {
			return nil, nil, a.refused("the output of 'borg list --json' or 'borg info --json'", err)
		}
		if len(sets) == 0 {
			sets = []set{{name: a.from, absent: "the repository has no archive"}}
		}
		settle(ctx, sets, a, at)
		return sets, a.beforeJSON("borg", before), nil
	})
}

// borgWrongs are the names of Borg's errors (msgid of its JSON log).
var borgWrongs = []wrong{
	{says: "Permission denied", reason: check.Permission, means: "permission denied"},
	{says: "PassphraseWrong", reason: check.Auth, means: "wrong passphrase"},
	{says: "NoPassphraseFailure", reason: check.Config, means: "no passphrase: give --borg-passphrase-file"},
	{says: "Repository.DoesNotExist", gone: true, reason: check.Data, means: "there is no repository: moved away or not mounted"},
	{says: "Repository.InvalidRepository", gone: true, reason: check.Data, means: "it is no repository of Borg: not mounted?"},
	{says: "Repository.CheckNeeded", gone: true, reason: check.Data, means: "the repository is damaged: run 'borg check'"},
	{says: "IntegrityError", gone: true, reason: check.Data, means: "the repository is damaged: run 'borg check'"},
	{says: "LockTimeout", reason: check.Data, means: "the repository is locked"},
}

// borgMessage finds the text of an error in Borg's log of JSON lines, and
// borgCause what raised it, in the traceback.
var (
	borgMessage = regexp.MustCompile(`"message": "((?:[^"\\]|\\.)*)", "levelname": "(?:ERROR|CRITICAL)"`)
	borgCause   = regexp.MustCompile(`[A-Z]\w*Error: (?:[^"\\]|\\[^n])*`)
)

// borgSaid is the error that Borg's log is about.
func borgSaid(log string) string {
	text := ""
	if m := borgMessage.FindStringSubmatch(log); m != nil {
		text = m[1]
	}
	if cause := borgCause.FindString(log); cause != "" && (text == "" || text == "Local Exception") {
		text = cause
	}
	return check.Clean(strings.NewReplacer(`\"`, `"`, `\n`, " ", `\\`, `\`).Replace(text))
}

// ask runs borg without taking a lock (--bypass-lock), in UTC, with a
// directory of its own for what borg keeps, which is removed: the repository
// is not written to, and the user need not have one of borg's.
func (s *borg) ask(ctx context.Context, repo string, l location) (*answer, error) {
	env, err := s.env.read()
	if err != nil {
		return nil, err
	}
	if s.passphraseFile != "" {
		if _, err := safefile.ReadSecret(s.passphraseFile, *s.lax); err != nil { // who may read it
			return nil, withGrant(err, s.passphraseFile)
		}
		env = append(env, "BORG_PASSCOMMAND=/bin/cat "+quote(s.passphraseFile))
	}
	base, err := os.MkdirTemp("", "belfry-borg-")
	if err != nil {
		return nil, check.Faultf(check.Internal, "make a directory for", s.tool, "%w", err)
	}
	defer os.RemoveAll(base)
	env = append([]string{
		"HOME=" + base, "TZ=UTC", "BORG_BASE_DIR=" + base, "BORG_DISPLAY_PASSPHRASE=no",
		// What borg remembers of repositories is not here to compare with.
		"BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes", "BORG_RELOCATED_REPO_ACCESS_IS_OK=yes",
		"BORG_RSH=ssh -o BatchMode=yes",
	}, env...)
	out, err := command.Command{
		Stage: "list the archives of " + l.text + " with", Path: s.tool, Env: env, Limit: wholeLook, Max: maxList,
		Args: []string{"--log-json", "list", "--json", "--format", "{end}{hostname}", "--consider-checkpoints", "--bypass-lock", repo},
	}.Run(ctx)
	var exit *command.ExitError
	if errors.As(err, &exit) && exit.Code == 1 && out != nil && len(out.Stdout) > 0 {
		err = nil // a warning, and the list
	}
	if err != nil {
		if exit != nil && out != nil {
			exit.Stderr = cmp.Or(borgSaid(out.Log), exit.Stderr)
		}
		return nil, toolRefusal(out, err, l.path, ", or use --borg-json-file", borgWrongs)
	}
	return &answer{from: l.text, output: out.Stdout}, nil
}

// quote makes one word of a path for shlex, with which borg splits
// BORG_PASSCOMMAND.
func quote(path string) string { return "'" + strings.ReplaceAll(path, "'", `'"'"'`) + "'" }

// archive is an element of "archives" of borg list --json and borg info --json.
type archive struct {
	Name     string `json:"name"`
	Archive  string `json:"archive"`
	Start    string `json:"start"`
	Time     string `json:"time"` // Borg 1: when it began
	End      string `json:"end"`
	Hostname string `json:"hostname"`
	Stats    *struct {
		Size *int64 `json:"original_size"`
	} `json:"stats"`
}

// checkpointed is how often borg saves what it has of an archive that is not
// finished (30 minutes by default), with as much again.
const checkpointed = time.Hour

// parseBorg makes a set of the archives of each host whose names are alike.
// Times without a zone are in the given one.
func parseBorg(output []byte, zone *time.Location, now time.Time) (sets []set, before string, err error) {
	var document struct {
		Archives   *[]archive      `json:"archives"`
		Repository json.RawMessage `json:"repository"`
	}
	if before, err = command.DecodeJSON(output, &document); err != nil {
		return nil, "", err
	}
	if document.Archives == nil {
		return nil, "", errors.New("no archives in it: 'borg info' of a repository needs --last or --glob-archives")
	}
	groups := make(map[string]*set)
	for _, one := range *document.Archives {
		name := one.Name
		if name == "" {
			name = one.Archive
		}
		start := one.Start
		if start == "" {
			start = one.Time
		}
		if name == "" || start == "" && one.End == "" {
			return nil, "", fmt.Errorf("archive %q has no name or no time", name)
		}
		b, began := backup{name: name, kind: "archive", class: "archive", size: -1}, time.Time{}
		if start != "" {
			if b.started, err = borgTime(start, zone); err != nil {
				return nil, "", fmt.Errorf("archive %q: %w", name, err)
			}
			b.ended, began = b.started, b.started // the safe side
		}
		if one.End != "" {
			if b.ended, err = borgTime(one.End, zone); err != nil {
				return nil, "", fmt.Errorf("archive %q: %w", name, err)
			}
		} else {
			b.started = time.Time{}
		}
		if one.Stats != nil && one.Stats.Size != nil && *one.Stats.Size >= 0 {
			b.size = *one.Stats.Size
		}
		of, checkpoint := archiveStem(name)
		key := of
		if one.Hostname != "" && of != one.Hostname {
			key = one.Hostname + ":" + of
		}
		s := groups[key]
		if s == nil {
			s = &set{name: key, absent: "the repository has no finished archive of it"}
			groups[key] = s
		}
		if checkpoint {
			if one.End == "" || now.Sub(b.ended) < checkpointed {
				s.running, s.unfinished = true, name
				if began.After(s.since) {
					s.since = began
				}
				continue
			}
			b.problem = "it was interrupted: a checkpoint is all there is of it"
		}
		s.backups = append(s.backups, b)
	}
	for _, s := range groups {
		s.unfinished = "" // it replaces nothing
	}
	return sorted(groups), before, nil
}

// borgTime reads ISO 8601 as Borg writes it: with microseconds, without a
// zone in Borg 1, with one in later versions.
func borgTime(text string, zone *time.Location) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, nil
	}
	t, err := time.ParseInLocation("2006-01-02T15:04:05.999999", text, zone)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is no time", text)
	}
	return t, nil
}

var (
	checkpointName = regexp.MustCompile(`\.checkpoint(\.\d+)?$`)
	dateInName     = regexp.MustCompile(`(?:^|[-_.:@ +])(?:(?:19|20)\d\d[-_.]?[01]\d[-_.]?[0-3]\d|\d{9,})(?:\D.*)?$`)
	numberInName   = regexp.MustCompile(`[-_.:@ #]\d+$`)
)

// archiveStem is what names of archives of one thing have in common: what
// stands before a date or a number at the end, or without a weekday there. A
// number in the name of a host stays.
func archiveStem(name string) (stem string, checkpoint bool) {
	if i := checkpointName.FindStringIndex(name); i != nil {
		name, checkpoint = name[:i[0]], true
	}
	cut := dateInName.ReplaceAllString(name, "")
	if cut == name {
		cut = numberInName.ReplaceAllString(name, "")
	}
	for {
		shorter := changing.ReplaceAllString(cut, "")
		if shorter == cut {
			break
		}
		cut = shorter
	}
	if cut == "" {
		cut = "archives"
	}
	return cut, checkpoint
}
