package workermemory

import (
	"fmt"
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

// kept is what a look leaves for the next one.
type kept struct {
	Workers map[string]time.Time `json:"workers,omitempty"` // when each was last seen
	Bodies  map[string]bodies    `json:"bodies,omitempty"`  // by name without number
	Sizes   sizes                `json:"sizes,omitempty"`   // by identity
	Groups  map[string]*killLog  `json:"groups,omitempty"`  // by control group
	OOM     *killLog             `json:"oom,omitempty"`
	Pause   *pause               `json:"pause,omitempty"`
}

// killLog is the kernel's count of OOM kills over time: the first mark is
// where counting began, each further one a look that saw the count grown.
type killLog struct {
	Boot  string    `json:"boot"`
	Last  time.Time `json:"last"` // the last look
	Marks []mark    `json:"marks"`
}

type mark struct {
	At    time.Time `json:"at"`
	Count uint64    `json:"count"`
}

// maxMarks bounds the log; beyond it the oldest marks are forgotten.
const maxMarks = 100

// recentKills says how many kills there were and since when they are counted.
type recentKills struct {
	count uint64
	since time.Time
}

// advance takes a look's count into the log and returns the kills within the
// window. A kill is reported for the whole window after the look that saw it:
// one that showed at a single look only would be gone before a scheduler that
// retries takes it for real. Without an earlier look nothing is known of when
// the kills were, and known is false.
//
// Another boot starts from zero: all its kills came after the last look.
func (l *killLog) advance(now time.Time, boot string, count uint64, window time.Duration) (next *killLog, recent recentKills, known bool) {
	if l == nil || len(l.Marks) == 0 {
		return &killLog{Boot: boot, Last: now, Marks: []mark{{At: now, Count: count}}}, recentKills{}, false
	}
	marks := append([]mark(nil), l.Marks...)
	if boot != l.Boot || count < marks[len(marks)-1].Count {
		marks = []mark{{At: l.Last, Count: 0}}
	}
	if count > marks[len(marks)-1].Count {
		marks = append(marks, mark{At: now, Count: count})
	}
	// The base is the last mark that is older than the window.
	base := 0
	for i, m := range marks {
		if now.Sub(m.At) >= window {
			base = i
		}
	}
	if over := len(marks) - maxMarks; over > base {
		base = over
	}
	marks = marks[base:]
	recent = recentKills{count: count - marks[0].Count, since: marks[0].At}
	if start := now.Add(-window); recent.since.Before(start) {
		recent.since = start
	}
	return &killLog{Boot: boot, Last: now, Marks: marks}, recent, true
}

// killText words the finding. Workers that started within the time of the
// kills are the likely victims.
func killText(k recentKills, now time.Time, list []worker) string {
	ago := max(now.Sub(k.since), time.Second)
	text := fmt.Sprintf("the kernel has killed %s for want of memory in the last %s", processes(k.count), check.FormatDuration(ago.Round(time.Second)))
	var young []string
	for _, w := range list {
		if w.main.Age < ago {
			young = append(young, w.label)
		}
	}
	// A deployment starts them all: then nobody can tell who was killed.
	if n := len(young); n > 0 && n <= maxSuspects && (n < len(list) || n == 1) {
		text += ", started since then: " + names(young)
	}
	return text
}

func processes(n uint64) string {
	if n == 1 {
		return "a process"
	}
	return fmt.Sprintf("%d processes", n)
}

// maxSuspects is how many workers that have started since a kill may be its
// victims.
const maxSuspects = 3

// maxNames bounds a list of workers in a text.
const maxNames = 5

func names(list []string) string {
	if over := len(list) - maxNames; over > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:maxNames], ", "), over)
	}
	return strings.Join(list, ", ")
}

// Bounds of what is kept of workers that are gone.
const (
	keepGone = 24 * time.Hour
	maxKept  = 500
)

// missing returns the workers that were there at an earlier look and are not
// now, newest loss first, and what to keep for the next look.
func missing(seen map[string]time.Time, list []worker, now time.Time) (gone []lost, keep map[string]time.Time) {
	keep = make(map[string]time.Time, len(list))
	for _, w := range list {
		if len(keep) < maxKept {
			keep[w.label] = now
		}
	}
	for label, at := range seen {
		if _, here := keep[label]; here || now.Sub(at) > keepGone || len(keep) >= maxKept {
			continue
		}
		keep[label] = at
		gone = append(gone, lost{label, at})
	}
	sortLost(gone)
	return gone, keep
}
