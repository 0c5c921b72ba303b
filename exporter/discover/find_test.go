package discover

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// finder looks at a /proc without processes for the products that are given.
func finder(t *testing.T, all ...product) *Finder {
	t.Helper()
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "proc", "net"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"1", "uptime", "net/tcp", "net/tcp6", "net/unix"} {
		if err := os.Symlink("/proc/"+name, filepath.Join(root, "proc", name)); err != nil {
			t.Fatal(err)
		}
	}
	return &Finder{Root: root, products: all}
}

func never([]string) bool { return false }

// made is a product of which there are the candidates that the function says.
func made(name string, candidates func() []candidate) product {
	return product{name, strings.ToUpper(name), never, func(*Machine) []candidate { return candidates() }}
}

func outcomes(d *Discovery) string {
	var all []string
	for _, t := range d.Things {
		all = append(all, fmt.Sprintf("%s %s %s", t.Product, t.key, t.Outcome))
	}
	return strings.Join(all, ", ")
}

// What was found stays, what is new comes in, what was not settled is asked
// again, and what is settled is not.
func TestFindMore(t *testing.T) {
	var list []candidate
	var mu sync.Mutex
	asked := make(map[string]int)
	is := func(key string, answer *Thing, ok bool) candidate {
		return candidate{key, func(context.Context, *asker) (Thing, bool) {
			mu.Lock()
			defer mu.Unlock()
			asked[key]++
			return *answer, ok
		}}
	}
	f := finder(t, made("redis", func() []candidate { return list }))
	watched, silent := &Thing{Outcome: Watched}, &Thing{Outcome: Watched, again: true}
	list = []candidate{is("a", watched, true), is("b", silent, true), certain("c", Thing{Outcome: Stopped}), is("d", &Thing{}, false), is("e", &Thing{Outcome: Unreadable, again: true}, true)}
	first := f.Find(t.Context(), nil)
	if got, want := outcomes(first), "redis a watched, redis b watched, redis c stopped, redis e unreadable"; got != want {
		t.Fatalf("first look found %q; want %q", got, want)
	}

	// a is gone, b answers and is not what it seemed, c runs under another key, e is gone.
	list = []candidate{is("b", &Thing{Outcome: Unreadable}, true), is("new", watched, true)}
	second := f.Find(t.Context(), first)
	if got, want := outcomes(second), "redis a watched, redis b unreadable, redis new watched"; got != want {
		t.Errorf("second look found %q; want %q", got, want)
	}
	list = []candidate{is("a", watched, true), is("b", watched, true), is("new", watched, true)}
	third := f.Find(t.Context(), second)
	if got, want := outcomes(third), outcomes(second); got != want {
		t.Errorf("third look found %q; want %q", got, want)
	}
	if asked["a"] != 1 || asked["b"] != 2 || asked["new"] != 1 {
		t.Errorf("asked %v; want a and new once, b until it was settled", asked)
	}
	if got, want := outcomes(f.Find(t.Context(), nil)), "redis a watched, redis b watched, redis new watched"; got != want {
		t.Errorf("a look that begins anew found %q; want %q", got, want)
	}
}

// One detector that panics or hangs, and one candidate that does, keep back
// nobody else, and are not passed over in silence.
func TestFindWithBrokenParts(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	fine := certain("fine", Thing{Outcome: Watched})
	f := finder(t,
		made("zulip", func() []candidate { panic("in the detector") }),
		made("postgresql", func() []candidate { <-release; return nil }),
		made("rabbitmq", func() []candidate {
			return []candidate{fine,
				{"hangs", func(context.Context, *asker) (Thing, bool) { <-release; return Thing{}, false }},
				{"panics", func(context.Context, *asker) (Thing, bool) { panic("in the candidate") }}}
		}),
		made("redis", func() []candidate { return []candidate{fine} }),
	)
	f.Limit = 2 * time.Second
	d := f.Find(t.Context(), nil)
	want := "zulip  failed, postgresql  failed, rabbitmq fine watched, rabbitmq hangs failed, rabbitmq panics failed, redis fine watched"
	if got := outcomes(d); got != want {
		t.Errorf("found %q; want %q", got, want)
	}
	for _, thing := range d.Things {
		if thing.Outcome == Failed && thing.Text == "" {
			t.Errorf("%+v says nothing", thing)
		}
	}
}

// What hangs later must not cost what an earlier look has found.
func TestFindAgainWithBrokenParts(t *testing.T) {
	var hang atomic.Bool
	release := make(chan struct{})
	defer close(release)
	f := finder(t, made("redis", func() []candidate {
		if hang.Load() {
			<-release
		}
		return []candidate{certain("a", Thing{Outcome: Watched}), {"b", func(ctx context.Context, _ *asker) (Thing, bool) {
			return Thing{Outcome: Watched, again: true}, true
		}}}
	}))
	f.Limit = 2 * time.Second
	first := f.Find(t.Context(), nil)
	hang.Store(true)
	second := f.Find(t.Context(), first)
	if got, want := outcomes(second), "redis a watched, redis b watched, redis  failed"; got != want {
		t.Errorf("found %q; want %q", got, want)
	}
	hang.Store(false)
	if got, want := outcomes(f.Find(t.Context(), second)), "redis a watched, redis b watched"; got != want {
		t.Errorf("then found %q; want %q", got, want)
	}
	f.Root = filepath.Join(f.Root, "nowhere")
	third := f.Find(t.Context(), first)
	if got, want := outcomes(third), outcomes(first); got != want || len(third.Problems) != 1 {
		t.Errorf("without /proc found %q, problems %q; want %q and one", got, third.Problems, want)
	}
}

func TestFindTooMany(t *testing.T) {
	f := finder(t, made("redis", func() []candidate {
		var list []candidate
		for i := range maxCandidates + 3 {
			list = append(list, certain(fmt.Sprint(i), Thing{Outcome: Unwatched}))
		}
		return list
	}))
	d := f.Find(t.Context(), nil)
	if len(d.Things) != maxCandidates || len(d.Problems) != 1 || !strings.Contains(d.Problems[0], "3 more than the 16") {
		t.Errorf("found %d, problems %q; want %d and that there are more", len(d.Things), d.Problems, maxCandidates)
	}
}

// A login that was given for what is not there is no typo to be passed over.
func TestFindWithLoginForNothing(t *testing.T) {
	f := finder(t, made("redis", func() []candidate { return nil }))
	f.RabbitMQUser = "monitor"
	if d := f.Find(t.Context(), nil); len(d.Problems) != 1 || !strings.Contains(d.Problems[0], "a login for RabbitMQ was given (user monitor)") {
		t.Errorf("problems %q; want that there is no broker", d.Problems)
	}
}

// Texts of others stay on their line.
func TestCleaned(t *testing.T) {
	thing := Thing{Name: "a\nchecks: []", Text: "b\x00|c\u202e", Help: []string{"d\r\ne"}}.cleaned()
	if thing.Name != "a checks: []" || thing.Text != "b !c" || thing.Help[0] != "d e" {
		t.Errorf("cleaned = %+v; want one line each", thing)
	}
}
