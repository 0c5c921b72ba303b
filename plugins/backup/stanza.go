package backup

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Status codes of pgbackrest info (pgBackRest, src/command/info/info.c).
const (
	statusOK       = 0
	statusNoBackup = 2
	statusMixed    = 4  // different across repositories: theirs tell
	statusOther    = 99 // could not look
)

// nameless is the stanza's name where pgbackrest could not list the stanzas.
const nameless = "[invalid]"

// stanza is an element of the output of pgbackrest info. Pointers are what
// must be there: a missing status is no good one.
type stanza struct {
	Name   string `json:"name"`
	Status *struct {
		status
		Lock struct {
			Backup struct {
				Held bool `json:"held"`
			} `json:"backup"`
		} `json:"lock"`
	} `json:"status"`
	Repo []struct {
		Key    int     `json:"key"`
		Status *status `json:"status"`
	} `json:"repo"`
	DB []struct {
		ID       int    `json:"id"`
		RepoKey  int    `json:"repo-key"`
		SystemID uint64 `json:"system-id"` // beyond what a float64 can hold
		Version  string `json:"version"`
	} `json:"db"`
	Backup []pgBackup `json:"backup"`
}

type status struct {
	Code    *int   `json:"code"`
	Message string `json:"message"`
}

type pgBackup struct {
	Label string `json:"label"`
	Type  string `json:"type"`
	Error *bool  `json:"error"` // page checksum errors; null in old versions
	// Reference names the backups that hold the files that did not change.
	Reference []string `json:"reference"`
	Database  struct {
		ID      int `json:"id"`
		RepoKey int `json:"repo-key"`
	} `json:"database"`
	Timestamp struct {
		Start int64 `json:"start"` // Unix seconds
		Stop  int64 `json:"stop"`
	} `json:"timestamp"`
	Info struct {
		Size *int64 `json:"size"` // of the database, also in an incremental backup
	} `json:"info"`
}

// setsOf makes a set of each stanza in each repository. Wanted are the
// stanzas to look at, none for all; refusal words what a repository with
// status 99 says.
func setsOf(stanzas []stanza, wanted []string, repo int, refusal func(message string) error) ([]set, error) {
	var sets []set
	seen := make(map[string]bool)
	unreachable := false
	for _, st := range stanzas {
		unreachable = unreachable || st.Name == nameless
		if st.Name != nameless && len(wanted) > 0 && !slices.Contains(wanted, st.Name) {
			continue
		}
		if st.Name == "" || seen[st.Name] {
			return nil, fmt.Errorf("stanza %q has no name or stands there twice", st.Name)
		}
		seen[st.Name] = true
		more, err := st.sets(repo, refusal)
		if err != nil {
			return nil, fmt.Errorf("stanza %s: %w", st.Name, err)
		}
		if st.Name == nameless {
			for i := range more {
				more[i].name = "pgbackrest"
				if len(more[i].faults) > 0 {
					more[i].name = "" // they name it
				}
			}
		}
		for _, s := range more {
			if slices.ContainsFunc(sets, func(other set) bool { return other.name == s.name }) {
				return nil, fmt.Errorf("two of the name %q", s.name)
			}
			sets = append(sets, s)
		}
	}
	for _, name := range wanted {
		if !seen[name] && !unreachable {
			sets = append(sets, set{name: name, wrong: []string{"pgbackrest knows no such stanza"}})
		}
	}
	if len(sets) == 0 {
		sets = []set{{name: "pgbackrest", absent: "pgbackrest knows no stanza: nothing is configured or stanza-create was never run"}}
	}
	return sets, nil
}

// sets splits a stanza by repository, because a fresh backup in one says
// nothing of the other.
func (st *stanza) sets(repo int, refusal func(string) error) ([]set, error) {
	if st.Status == nil || st.Status.Code == nil {
		return nil, errors.New("it has no status")
	}
	if len(st.Repo) == 0 { // before pgBackRest 2.32 there was one repository
		s, err := st.set(st.Name, 0, st.Status.status, refusal)
		return []set{s}, err
	}
	var sets []set
	var keys []int
	told := false // a repository tells what the stanza's status is about
	for _, r := range st.Repo {
		if r.Status == nil || r.Status.Code == nil {
			return nil, fmt.Errorf("repository %d has no status", r.Key)
		}
		if slices.Contains(keys, r.Key) {
			return nil, fmt.Errorf("repository %d stands there twice", r.Key)
		}
		keys = append(keys, r.Key)
		if repo > 0 && r.Key != repo {
			continue
		}
		told = told || *r.Status.Code != statusOK
		name := st.Name
		if len(st.Repo) > 1 {
			name = fmt.Sprintf("%s repo%d", st.Name, r.Key)
		}
		s, err := st.set(name, r.Key, *r.Status, refusal)
		if err != nil {
			return nil, err
		}
		sets = append(sets, s)
	}
	if len(sets) == 0 {
		return nil, fmt.Errorf("it has no repository %d", repo)
	}
	if code := *st.Status.Code; code != statusOK && !told && (repo == 0 || code != statusMixed) {
		sets[0].judge(st.Status.status, refusal)
	}
	return sets, nil
}

// set collects the backups of a stanza in the repository of a key.
func (st *stanza) set(name string, key int, state status, refusal func(string) error) (set, error) {
	s := set{name: name, running: st.Status.Lock.Backup.Held, absent: "pgbackrest lists none"}
	// Where a repository lies it does not tell; stanzas in one have it in
	// common.
	s.place = strings.TrimSuffix(fmt.Sprintf("pgbackrest repo%d", key), " repo0")
	s.judge(state, refusal)
	current, about := st.current(key)
	former := 0
	here := slices.DeleteFunc(slices.Clone(st.Backup), func(b pgBackup) bool {
		return b.Database.RepoKey != key && b.Database.RepoKey != 0 && key != 0
	})
	for _, b := range here {
		// A backup of what was here before an upgrade holds nothing that was
		// written since.
		if current > 0 && b.Database.ID < current {
			former++
			continue
		}
		one, err := b.backup()
		if err != nil {
			return set{}, err
		}
		if lost := b.lost(here); lost != "" && one.problem == "" {
			one.problem = "it builds on " + lost + ", which the repository does not have: it cannot be restored"
		}
		s.backups = append(s.backups, one)
	}
	if former > 0 && len(s.backups) == 0 {
		s.absent = fmt.Sprintf("%d of a former database, none of the present one (%s)", former, about)
	}
	return s, nil
}

// judge takes what pgbackrest itself says of a repository.
func (s *set) judge(state status, refusal func(string) error) {
	switch code := *state.Code; code {
	case statusOK:
	case statusNoBackup:
		s.absent = "pgbackrest says: " + state.Message
	case statusOther:
		s.faults = append(s.faults, refusal(strings.TrimSpace(state.Message)))
	default:
		s.wrong = append(s.wrong, fmt.Sprintf("pgbackrest says: %s (status %d)%s", state.Message, code, statusHint(code)))
	}
}

func statusHint(code int) string {
	switch code {
	case 1:
		return ": the repository has nothing of it: moved away, not mounted, or stanza-create was never run"
	case 3:
		return ": the repository has lost its backup.info or archive.info"
	case 5:
		return ": the repositories hold backups of different databases"
	}
	return ""
}

// current returns the newest database of a repository, which an upgrade
// registers, and a word about it.
func (st *stanza) current(key int) (id int, about string) {
	for _, db := range st.DB {
		if (db.RepoKey == key || db.RepoKey == 0 || key == 0) && db.ID > id {
			id, about = db.ID, fmt.Sprintf("PostgreSQL %s, system %d", db.Version, db.SystemID)
		}
	}
	return id, about
}

// lost names the first backup that this one builds on and that is not among
// those that are there.
func (b *pgBackup) lost(there []pgBackup) string {
	for _, label := range b.Reference {
		if !slices.ContainsFunc(there, func(other pgBackup) bool { return other.Label == label }) {
			return label
		}
	}
	return ""
}

// maxUnix is the end of the year 9999: what is beyond are no seconds.
const maxUnix = 253402300799

func (b *pgBackup) backup() (backup, error) {
	if b.Label == "" || b.Timestamp.Stop <= 0 || b.Timestamp.Stop > maxUnix {
		return backup{}, fmt.Errorf("backup %q: stop %d is no time", b.Label, b.Timestamp.Stop)
	}
	// Whatever its kind, info.size is the database's, so all compare.
	one := backup{name: b.Label, kind: b.Type, full: b.Type == "full", size: -1, ended: time.Unix(b.Timestamp.Stop, 0)}
	if b.Timestamp.Start > 0 && b.Timestamp.Start <= b.Timestamp.Stop {
		one.started = time.Unix(b.Timestamp.Start, 0)
	}
	if b.Info.Size != nil && *b.Info.Size >= 0 {
		one.size = *b.Info.Size
	}
	if b.Error != nil && *b.Error {
		one.problem = "it has page checksum errors: the database itself is damaged ('pgbackrest info --set' names the files)"
	}
	return one, nil
}
