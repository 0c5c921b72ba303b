package schedule

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestSlotsAfter(t *testing.T) {
	origin := time.Unix(1000, 0)
	s := slots{origin: origin, interval: time.Minute, phase: 20 * time.Second}
	for _, c := range []struct{ now, last, want time.Duration }{
		{0, -time.Hour, 20 * time.Second},
		{-10 * time.Second, -20 * time.Second, 20 * time.Second}, // before the grid begins
		{20 * time.Second, -time.Hour, 80 * time.Second},         // a slot is used once
		{21 * time.Second, 20 * time.Second, 80 * time.Second},
		{5 * time.Second, 3 * time.Second, 80 * time.Second},    // 20 s would be too soon after the last look
		{55 * time.Second, 51 * time.Second, 140 * time.Second}, // and so would 80 s
		{499 * time.Second, 20 * time.Second, 500 * time.Second},
		{500 * time.Second, 20 * time.Second, 560 * time.Second}, // slots that have passed are left out
		{10*time.Hour + 1, 10 * time.Hour, 10*time.Hour + 80*time.Second},
		{10*time.Hour + 20*time.Second - 1, 0, 10*time.Hour + 20*time.Second},
	} {
		got := s.after(origin.Add(c.now), origin.Add(c.last)).Sub(origin)
		if got != c.want {
			t.Errorf("after(now %v, last look %v) = %v; want %v", c.now, c.last, got, c.want)
		}
	}
}

func TestSlotsOfReplicas(t *testing.T) {
	k := key{"postgres_replication_lag", "main"}
	of := func(seed string) slots { return newSlots(time.Unix(0, 0), seed, k, time.Hour, 10*time.Second) }
	if a, again := of("a"), of("a"); a != again {
		t.Errorf("newSlots twice = %+v, %+v; want the same", a, again)
	}
	if a, b := of("a"), of("b"); a.phase == b.phase || a.first == b.first {
		t.Errorf("newSlots of two replicas = %+v, %+v; want other moments", a, b)
	}
	if s := newSlots(time.Unix(0, 0), "a", k, time.Second, 10*time.Second); s.first >= time.Second || s.phase >= time.Second {
		t.Errorf("newSlots(interval 1s) = %+v; want both below the interval", s)
	}
	if s := newSlots(time.Unix(0, 0), "a", k, time.Second, 0); s.first != 0 {
		t.Errorf("newSlots(spread 0).first = %v; want 0", s.first)
	}
}

func TestPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlaces(1)
		if !p.take(t.Context()) {
			t.Fatal("take of a free place = false; want true")
		}
		order := make(chan int, 3)
		impatient, cancel := context.WithCancel(t.Context())
		for i := range 3 {
			go func() {
				ctx := t.Context()
				if i == 1 {
					ctx = impatient
				}
				if p.take(ctx) {
					order <- i
				} else {
					order <- -i
				}
			}()
			synctest.Wait()
		}
		cancel()
		if got := <-order; got != -1 {
			t.Errorf("first to return is %d; want the one whose context ended", got)
		}
		p.give()
		if got := <-order; got != 0 {
			t.Errorf("the place went to %d; want the first that waited", got)
		}
		p.resize(2)
		if got := <-order; got != 2 {
			t.Errorf("the new place went to %d; want 2", got)
		}
		p.resize(1)
		p.give()
		if size, taken, waiting := p.stats(); size != 1 || taken != 1 || waiting != 0 {
			t.Errorf("stats = %d, %d, %d; want 1 place, 1 taken, 0 waiting", size, taken, waiting)
		}
		p.give()
	})
}

// A place that is given at the moment in which the waiting ends must not be
// lost.
func TestPlacesAreNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlaces(1)
		for range 200 {
			p.take(t.Context())
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan bool)
			go func() { done <- p.take(ctx) }()
			synctest.Wait()
			go cancel()
			go p.give()
			if <-done {
				p.give()
			}
			synctest.Wait()
			if _, taken, waiting := p.stats(); taken != 0 || waiting != 0 {
				t.Fatalf("%d taken, %d waiting; want none", taken, waiting)
			}
		}
	})
}
