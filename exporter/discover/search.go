package discover

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/exporter/config"
)

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
