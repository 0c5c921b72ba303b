// Package queuestats reads what Zulip's queue workers write about themselves:
// QUEUE_STATS_DIR/<queue>.stats, /var/log/zulip/queue_stats by default. It
// holds no verdicts.
//
// A worker replaces its file by rename when it starts, when it wakes from
// idleness, when it has emptied what it fetched, and every 50 messages or 30 s
// while it works (zerver/worker). An old file is therefore the ordinary
// state of an idle worker. Several workers of one queue (<queue>_workers)
// write the same file, the last one wins; shards have files of their own.
package queuestats

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/safefile"
)

// maxFile bounds a file in bytes; a real one has 200.
const maxFile = 16 << 10

// idleTolerance is what may lie between the moment at which a worker has
// emptied its buffer and the one at which it says so: two calls of the clock
// one after the other.
const idleTolerance = 10 * time.Millisecond

// Stats is one worker's file.
type Stats struct {
	// Updated is when the file was written, by the worker's clock (update_time).
	Updated time.Time
	// SecondsPerMessage is the mean over the worker's last 50 successful
	// calls, of one worker (recent_average_consume_time). HasMean is false
	// where none has succeeded since the worker started: the worker is new,
	// crashes, or fails with every message.
	SecondsPerMessage float64
	HasMean           bool
	// Emptied is when the worker last had nothing more in its hands, or when
	// it started (queue_last_emptied_timestamp); zero where the version does
	// not say.
	Emptied time.Time
}

// Idle reports whether the worker held no message when it wrote the file, and
// has taken none since, because it would have written it again. Of several
// workers it speaks for the last one that wrote.
func (s *Stats) Idle() bool {
	lag := s.Updated.Sub(s.Emptied)
	return !s.Emptied.IsZero() && lag <= idleTolerance && lag >= -idleTolerance
}

type file struct {
	Updated *float64        `json:"update_time"`
	Mean    json.RawMessage `json:"recent_average_consume_time"`
	Emptied *float64        `json:"queue_last_emptied_timestamp"`
}

// maxMean is more than any message may take, in seconds: a month. Beyond it the
// worker's clock was set while it measured.
const maxMean = 30 * 86400

// maxUnix is the year 9999 in Unix seconds.
const maxUnix = 253402300800

// Parse reads a file. A file that lacks the time of writing or the mean, or
// has something else in their place, is an error.
func Parse(data []byte) (Stats, error) {
	var f file
	if strings.TrimSpace(string(data)) == "" {
		return Stats{}, errors.New("the file is empty")
	}
	if err := json.Unmarshal(data, &f); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			return Stats{}, fmt.Errorf("a %s where something else is due (%s)", kind.Value, kind.Field)
		}
		return Stats{}, fmt.Errorf("not the JSON that was expected: %w", err)
	}
	switch {
	case f.Updated == nil:
		return Stats{}, errors.New("no update_time in it")
	case *f.Updated <= 0 || *f.Updated > maxUnix:
		return Stats{}, fmt.Errorf("update_time %g cannot be", *f.Updated)
	case len(f.Mean) == 0:
		return Stats{}, errors.New("no recent_average_consume_time in it")
	}
	s := Stats{Updated: unix(*f.Updated)}
	if string(f.Mean) != "null" {
		// A worker whose clock was set back has measured less than nothing.
		if err := json.Unmarshal(f.Mean, &s.SecondsPerMessage); err != nil || s.SecondsPerMessage < 0 || s.SecondsPerMessage > maxMean {
			return Stats{}, fmt.Errorf("recent_average_consume_time %s cannot be", check.CleanMax(string(f.Mean), 20))
		}
		s.HasMean = true
	}
	if f.Emptied != nil && *f.Emptied > 0 && *f.Emptied <= maxUnix {
		s.Emptied = unix(*f.Emptied)
	}
	return s, nil
}

// unix turns Python's time.time() into a time, to the microsecond that a
// float64 holds.
func unix(seconds float64) time.Time {
	whole, part := math.Modf(seconds)
	return time.Unix(int64(whole), int64(math.Round(part*1e6))*1e3)
}

// Dir is a directory of such files.
type Dir struct{ path string }

// Open proves that the directory is there and may be read.
func Open(path string) (*Dir, error) {
	d, err := os.Open(path)
	if err == nil {
		defer d.Close()
		var info fs.FileInfo
		if info, err = d.Stat(); err == nil && !info.IsDir() {
			err = errors.New("not a directory")
		}
	}
	if err != nil {
		return nil, fault(path, err)
	}
	return &Dir{path}, nil
}

// Path is where the directory is.
func (d *Dir) Path() string { return d.path }

// Read returns the statistics of a queue's worker; ok is false where there is
// no file: not a worker of Zulip, or none has started yet.
func (d *Dir) Read(queue string) (s Stats, ok bool, err error) {
	if queue == "" || strings.ContainsAny(queue, "/\x00") || len(queue) > 240 {
		return Stats{}, false, nil // no such queue is Zulip's
	}
	path := filepath.Join(d.path, queue+".stats")
	data, err := safefile.Read(path, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return Stats{}, false, nil
	}
	if err != nil {
		return Stats{}, false, err
	}
	if s, err = Parse(data); err != nil {
		return Stats{}, false, check.Faultf(check.Data, "read", path, "%w", err)
	}
	return s, true, nil
}

func fault(path string, err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		err = pathErr.Err
	}
	if errors.Is(err, fs.ErrPermission) {
		return check.Faultf(check.Permission, "read", path, "%w: add the user who runs this check to the directory's group", err)
	}
	return check.Faultf(check.Config, "read", path, "%w", err)
}
