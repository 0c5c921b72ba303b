// Package discover finds out what runs on this machine and which checks can
// look at it, for an exporter that was given no configuration. It uses no
// credential that it was not given: what the running user may read and do, and
// what the operator names. It guesses no password. It connects to sockets of
// this machine only, and only to those of a process of the product or at the
// product's own port.
//
// Machine is what the machine shows, read once. Each product is a file with a
// detector: a function from that to candidates, which are then examined side
// by side, each within bounds of its own.
package discover

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/exporter/config"
)

// Outcome says what becomes of a thing that was found. The set is closed: it
// is a label value of belfry_exporter_discovered.
type Outcome string

// The outcomes.
const (
	Watched    Outcome = "watched"    // checks look at it
	Unreadable Outcome = "unreadable" // a check could look at it, and may not or cannot yet
	Unwatched  Outcome = "unwatched"  // no check of this version looks at it
	Stopped    Outcome = "stopped"    // it is set up on this machine and does not run
	Failed     Outcome = "failed"     // it could not be looked for
)

// Outcomes lists the closed set.
func Outcomes() []Outcome { return []Outcome{Watched, Unreadable, Unwatched, Stopped, Failed} }

// Thing is something that was found. Its texts are clean for one line.
type Thing struct {
	Product string   `json:"product"` // one of Products
	Name    string   `json:"name"`    // of the one thing, such as "/run/postgresql:5432"
	Outcome Outcome  `json:"outcome"`
	Text    string   `json:"text"`           // what it is, what was tried and what it said
	Help    []string `json:"help,omitempty"` // what would let a check see it, or see more: grants, commands
	Checks  []Check  `json:"checks,omitempty"`

	key string // of its candidate
	// again: what was seen is not the last word, so that the next look of the
	// same exporter examines it anew: a server that starts up or hangs.
	again bool
	// growing: what was found may be less than there will be in a minute,
	// because the machine starts. It is examined anew until there is no more.
	growing bool
	// waits: a check could see more as soon as another product runs.
	waits bool
	// recalled: an exporter before this one has watched it.
	recalled bool
}

// unsettled things are examined anew by the next look of the same exporter.
func (t Thing) unsettled() bool {
	return t.again || t.waits || t.growing && t.Outcome == Watched || t.Outcome == Stopped || t.Outcome == Failed
}

// holds reports whether a thing that was watched stays so whatever is found in
// its place: a check has seen it, and what has become of it is the check's to
// say.
func (t Thing) holds() bool { return t.Outcome == Watched && (!t.again || t.recalled) }

// Check is a check of the configuration that a thing is monitored by.
type Check struct {
	Check    string            `json:"check" yaml:"check"`
	Target   string            `json:"target" yaml:"target"`
	Options  map[string]any    `json:"-" yaml:"options,omitempty"` // text or a list of texts; no secrets
	Severity map[string]string `json:"-" yaml:"severity,omitempty"`
	Only     []string          `json:"-" yaml:"only,omitempty"`
}

// Discovery is what one look, or several, have found.
type Discovery struct {
	Things    []Thing  `json:"found"`
	LookedFor []string `json:"looked_for"`         // titles of the products
	Problems  []string `json:"problems,omitempty"` // why something may not have been found

	blind bool // nothing could be looked for
}

// Checks are those of all things, no two of one name and target.
func (d *Discovery) Checks() []Check {
	var checks []Check
	seen := make(map[[2]string]bool)
	for _, t := range d.Things {
		for _, c := range t.Checks {
			if k := [2]string{c.Check, c.Target}; !seen[k] {
				seen[k] = true
				checks = append(checks, c)
			}
		}
	}
	return checks
}

// Count is how many things of a product have an outcome.
func (d *Discovery) Count(product string, outcome Outcome) int {
	n := 0
	for _, t := range d.Things {
		if t.Product == product && t.Outcome == outcome {
			n++
		}
	}
	return n
}

// Finder looks for products.
type Finder struct {
	Catalog []*check.Definition

	// Root is where this machine's files are: "" or "/", "/host" in a
	// container. /proc is looked for below it, too.
	Root string

	// RabbitMQUser logs in to RabbitMQ's management API with the password in
	// RabbitMQPasswordFile; empty: nobody does.
	RabbitMQUser, RabbitMQPasswordFile string

	Limit time.Duration // of one look; zero: 10 s

	products []product // nil: those of this version
}

// Command is the line of a shell that writes what this finder finds into the
// file: as the same user and with the same login, because another one may see
// less, and what he does not see would be watched no more.
func (f *Finder) Command(file string) string {
	words := []string{"belfry_exporter", "--discover"}
	add := func(flag, value string) {
		if value != "" {
			words = append(words, "--discover."+flag+"="+shellQuote(value))
		}
	}
	add("root", f.root())
	add("rabbitmq-user", f.RabbitMQUser)
	add("rabbitmq-password-file", f.RabbitMQPasswordFile)
	line := strings.Join(words, " ")
	if a := self(); a.UID != 0 {
		return "sudo -H -u " + shellQuote(a.Name) + " " + line + " | sudo tee " + shellQuote(file)
	}
	return line + " > " + shellQuote(file)
}

const (
	defaultLimit = 10 * time.Second
	// maxCandidates bounds how many things of one product are examined.
	maxCandidates = 16
)

// candidate is something that may be a thing of a product.
type candidate struct {
	key string // tells it from others of the product, also at the next look
	// examine asks it what it is; ok is false where it is nothing of the
	// product's. It ends with the context.
	examine func(ctx context.Context, a *asker) (t Thing, ok bool)
}

// certain is a candidate that needs no question.
func certain(key string, t Thing) candidate {
	return candidate{key, func(context.Context, *asker) (Thing, bool) { return t, true }}
}

// product is one kind of thing that is looked for.
type product struct {
	name  string // label value
	title string
	// wants picks the processes that the detector needs, by their arguments.
	wants func(args []string) bool
	// detect tells what may be there from what the machine shows. It opens no
	// connection.
	detect func(m *Machine) []candidate
}

// products is the literal list: a further one is a file and a line here.
func products() []product {
	return []product{
		{"zulip", "Zulip", isZulip, zulip},
		{"postgresql", "PostgreSQL", isPostgres, postgresql},
		{"rabbitmq", "RabbitMQ", isRabbitMQ, rabbitMQ},
		{"redis", "Redis", isRedis, redis},
		{"memcached", "memcached", isMemcached, memcached},
	}
}

// Products are the label values of all products.
func Products() []string {
	var names []string
	for _, p := range products() {
		names = append(names, p.name)
	}
	return names
}

// Find looks at the machine. With before, what an earlier look has found
// stays, whether it is there any more or not, because a server that stops must
// not vanish from monitoring; only what is new, or was not settled, is asked.
// It returns at the limit at the latest, whatever hangs.
func (f *Finder) Find(ctx context.Context, before *Discovery) *Discovery {
	limit := f.Limit
	if limit <= 0 {
		limit = defaultLimit
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	all := f.products
	if all == nil {
		all = products()
	}
	s := &search{finder: f, before: before, found: &Discovery{Things: []Thing{}}}
	for _, p := range all {
		s.found.LookedFor = append(s.found.LookedFor, p.title)
	}
	m, err := within(ctx, func(ctx context.Context) (*Machine, error) { return f.look(ctx, all) })
	if err != nil {
		s.problem("what runs here cannot be seen: %v", err)
		s.found.blind = true
		s.keep(nil)
		return s.found
	}
	s.found.Problems = append(s.found.Problems, m.Problems...)
	s.examine(ctx, all, m)
	if f.RabbitMQUser != "" && !slices.ContainsFunc(s.found.Things, func(t Thing) bool { return t.Product == "rabbitmq" }) {
		s.problem("a login for RabbitMQ was given (user %s), and no broker was found", f.RabbitMQUser)
	}
	return s.found
}

// search is one Find.
type search struct {
	finder *Finder
	before *Discovery
	found  *Discovery
}

func (s *search) problem(format string, args ...any) {
	s.found.Problems = append(s.found.Problems, check.CleanMax(fmt.Sprintf(format, args...), maxLine))
}

// answer is what became of a candidate.
type answer struct {
	product, key string
	thing        Thing
	ok           bool
}

// examine asks all candidates side by side and waits for them until the
// context ends.
func (s *search) examine(ctx context.Context, all []product, m *Machine) {
	answers := make(map[[2]string]answer)
	type pending struct{ product, title, key string }
	var waiting []pending
	came := make(chan answer, len(all)*maxCandidates)
	for i, d := range detectAll(ctx, all, m) {
		p := all[i]
		if d.err != nil {
			answers[[2]string{p.name, ""}] = answer{product: p.name, ok: true, thing: Thing{
				Name: p.title, Outcome: Failed, Text: "it cannot be seen whether it runs here: " + d.err.Error(), again: true,
			}}
		}
		if more := len(d.candidates) - maxCandidates; more > 0 {
			s.problem("%s: %d more than the %d that are looked at: configure them", p.title, more, maxCandidates)
			d.candidates = d.candidates[:maxCandidates]
		}
		for _, c := range d.candidates {
			if s.settled(p.name, c.key) {
				continue
			}
			waiting = append(waiting, pending{p.name, p.title, c.key})
			go func() { came <- c.ask(ctx, p.name, &asker{finder: s.finder, machine: m}) }()
		}
	}
	for left := len(waiting); left > 0; left-- {
		a, ok := receive(ctx, came)
		if !ok {
			break
		}
		answers[[2]string{a.product, a.key}] = a
	}
	for _, w := range waiting {
		k := [2]string{w.product, w.key}
		if _, ok := answers[k]; !ok {
			answers[k] = answer{product: w.product, key: w.key, ok: true, thing: Thing{
				Name: w.key, Outcome: Failed, Text: w.title + " may be here, and was not examined to the end in time; it is looked at again", again: true,
			}}
		}
	}
	s.keep(answers)
}

// writable drops checks that cannot be written down, such as those on a socket
// whose name is no UTF-8: they must not cost all others.
func (f *Finder) writable(t Thing) Thing {
	var fine []Check
	for _, c := range t.Checks {
		text, err := encode([]Check{c})
		if err == nil {
			_, err = config.Parse("discovery", text, f.Catalog)
		}
		if err == nil {
			fine = append(fine, c)
			continue
		}
		t.Text += fmt.Sprintf(" It cannot be configured as %s: %v.", c.Check, err)
	}
	if len(fine) == 0 && len(t.Checks) > 0 {
		t.Outcome = Unreadable
	}
	t.Checks = fine
	return t
}

// receive takes what is there, and else waits for it until the context ends.
func receive(ctx context.Context, came <-chan answer) (answer, bool) {
	select {
	case a := <-came:
		return a, true
	default:
	}
	select {
	case a := <-came:
		return a, true
	case <-ctx.Done():
		return answer{}, false
	}
}

// detected is what a detector has found.
type detected struct {
	candidates []candidate
	err        error
}

// detectAll runs all detectors side by side. They may read files for a third
// of what is left of the time: one that hangs must not keep back the others.
func detectAll(ctx context.Context, all []product, m *Machine) []detected {
	end, _ := ctx.Deadline()
	ctx, cancel := context.WithTimeout(ctx, time.Until(end)/3)
	defer cancel()
	found := make([]detected, len(all))
	looks := make([]func(context.Context) error, len(all))
	for i, p := range all {
		looks[i] = func(ctx context.Context) error {
			found[i].candidates, found[i].err = within(ctx, func(context.Context) ([]candidate, error) { return p.detect(m), nil })
			return nil
		}
	}
	_ = check.Go(ctx, looks...) // each has its own error
	return found
}

// ask examines a candidate. A panic is an answer, too.
func (c candidate) ask(ctx context.Context, product string, a *asker) answer {
	one := answer{product: product, key: c.key}
	err := check.Go(ctx, func(ctx context.Context) error {
		one.thing, one.ok = c.examine(ctx, a)
		one.thing = a.finder.writable(one.thing)
		return nil
	})
	if err != nil {
		one.ok, one.thing = true, Thing{Name: c.key, Outcome: Failed, Text: "it cannot be examined: " + err.Error()}
	}
	return one
}

// settled reports a candidate that an earlier look has examined.
func (s *search) settled(product, key string) bool {
	return s.before != nil && slices.ContainsFunc(s.before.Things, func(t Thing) bool {
		return t.Product == product && t.key == key && !t.unsettled()
	})
}

// keep puts together what earlier looks have found and what this one has.
func (s *search) keep(answers map[[2]string]answer) {
	if s.before != nil {
		for _, t := range s.before.Things {
			a, anew := answers[[2]string{t.Product, t.key}]
			_, undetected := answers[[2]string{t.Product, ""}]
			switch {
			case !anew && !undetected && t.Outcome != Watched && t.unsettled(), anew && !a.ok && t.Outcome != Watched:
				// It is gone, known by another key, or nothing after all.
			case anew && a.ok && t.holds() && a.thing.Outcome == Watched:
				a.thing = a.thing.after(t)
				answers[[2]string{t.Product, t.key}] = a
			case anew && a.ok && !t.holds() && (t.Outcome != Watched || a.thing.Outcome != Failed):
			default:
				delete(answers, [2]string{t.Product, t.key})
				s.found.Things = append(s.found.Things, t)
			}
		}
	}
	for k, a := range answers {
		if !a.ok {
			continue
		}
		t := a.thing
		t.Product, t.key = k[0], k[1]
		s.found.Things = append(s.found.Things, t.cleaned())
	}
	s.found.sort()
}

// sort puts things in the order of the products, and then by name.
func (d *Discovery) sort() {
	names := Products()
	slices.SortStableFunc(d.Things, func(a, b Thing) int {
		if c := slices.Index(names, a.Product) - slices.Index(names, b.Product); c != 0 {
			return c
		}
		return strings.Compare(a.Name+"\x00"+a.key, b.Name+"\x00"+b.key)
	})
}

// maxLine bounds a text and a line of help, in runes.
const maxLine = 600

// cleaned makes the texts, which may quote anybody, fit for one line each.
func (t Thing) cleaned() Thing {
	t.Name, t.Text = check.Clean(t.Name), check.CleanMax(t.Text, maxLine)
	help := t.Help
	t.Help = nil
	for _, line := range help {
		t.Help = append(t.Help, check.CleanMax(line, maxLine))
	}
	return t
}

// within runs f and returns at the end of the context at the latest: a file
// system that hangs does not end with it. A panic is an error.
func within[T any](ctx context.Context, f func(context.Context) (T, error)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		var o outcome
		err := check.Go(ctx, func(ctx context.Context) (err error) {
			o.value, err = f(ctx)
			return err
		})
		o.err = err
		done <- o
	}()
	select {
	case o := <-done:
		return o.value, o.err
	case <-ctx.Done():
		var none T
		return none, check.Faultf(check.Timeout, "", "", "no end in time")
	}
}
