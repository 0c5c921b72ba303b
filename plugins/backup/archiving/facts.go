package archiving

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

//go:embed facts.sql
var factsQuery string

//go:embed status.sql
var statusQuery string

// facts are the answer to facts.sql. Pointers are nil where the server says
// NULL.
type facts struct {
	Recovery *bool     `json:"recovery"`
	Role     string    `json:"role"` // that asked
	Mode     string    `json:"mode"` // archive_mode: off, on, always
	Timeout  float64   `json:"timeout"`
	Segment  uint64    `json:"segment"` // bytes
	Command  string    `json:"command"`
	Library  string    `json:"library"`  // empty before PostgreSQL 15
	Listable bool      `json:"listable"` // the role may call pg_ls_archive_statusdir()
	Written  *uint64   `json:"written"`  // end of the log in bytes; of a primary only
	Archiver *archiver `json:"archiver"`

	status *status // where Listable
}

// archiver is the row of pg_stat_archiver; ages in seconds.
type archiver struct {
	Archived   uint64   `json:"archived"`
	Last       *string  `json:"last"` // archived
	Age        *float64 `json:"age"`
	Failed     uint64   `json:"failed"`
	LastFailed *string  `json:"last_failed"`
	FailedAge  *float64 `json:"failed_age"`
	Failing    *bool    `json:"failing"` // the last failure is newer than the last success
	ResetAge   *float64 `json:"reset_age"`
}

// status is the answer to status.sql.
type status struct {
	Ready  int      `json:"ready"`
	Done   int      `json:"done"`
	Oldest *string  `json:"oldest"`
	Age    *float64 `json:"age"` // seconds since the oldest became ready
}

func parseFacts(answer []byte) (*facts, error) {
	f := &facts{}
	if err := json.Unmarshal(answer, f); err != nil {
		return nil, fmt.Errorf("the answer is not the JSON that was asked for: %w", err)
	}
	if f.Recovery == nil || f.Mode == "" || f.Archiver == nil || f.Segment == 0 {
		return nil, errors.New("the answer says nothing of the server's role or archiver")
	}
	return f, nil
}

func parseStatus(answer []byte) (*status, error) {
	s := &status{}
	if err := json.Unmarshal(answer, s); err != nil {
		return nil, fmt.Errorf("the answer is not the JSON that was asked for: %w", err)
	}
	if s.Ready < 0 || s.Ready > 0 && s.Age == nil {
		return nil, errors.New("the answer does not say since when files wait")
	}
	return s, nil
}

// waiting is how many files wait to be archived; false where that cannot be
// seen. Without the right to list them it is the number of full segments
// after the last one archived, which a role without any grant can see.
func (f *facts) waiting() (n int, known bool) {
	if f.status != nil {
		return f.status.Ready, true
	}
	if f.Written == nil || f.Archiver.Last == nil {
		return 0, false
	}
	now := *f.Written / f.Segment // the segment that is being written
	last, ok := segmentNumber(*f.Archiver.Last, f.Segment)
	switch {
	case !ok:
		return 0, false
	case now <= last+1:
		return 0, true
	}
	return int(min(now-last-1, 1<<31)), true
}

// segmentNumber is the place in the log of a segment by its file's name,
// 24 hexadecimal digits of timeline, high part and low part; what follows
// them (.partial, .00000028.backup) does not matter. Other files (the history
// of a timeline) have no place.
func segmentNumber(name string, size uint64) (uint64, bool) {
	if len(name) < 24 || len(name) > 24 && name[24] != '.' || size == 0 {
		return 0, false
	}
	high, err := strconv.ParseUint(name[8:16], 16, 32)
	low, errLow := strconv.ParseUint(name[16:24], 16, 32)
	if err != nil || errLow != nil {
		return 0, false
	}
	return high*((1<<32)/size) + low, true
}
