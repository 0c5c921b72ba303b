package main

import (
	"context"
	"io"
	"net"
	"sync"
	"time"
)

// targets are TCP servers of this process: those that greet, and those that
// accept and never say anything.
type targets struct {
	listeners        []net.Listener
	healthy, hanging []string // addresses
	hang             int      // of so many targets one hangs
}

// listenersPerKind spreads connections over ports, so that none runs out of
// pairs of them.
const listenersPerKind = 16

func newTargets(hang int) (*targets, error) {
	t := &targets{hang: hang}
	for range listenersPerKind {
		for _, greet := range []bool{true, false} {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.close()
				return nil, err
			}
			t.listeners = append(t.listeners, l)
			into := &t.hanging
			if greet {
				into = &t.healthy
			}
			*into = append(*into, l.Addr().String())
			go serve(l, greet)
		}
	}
	return t, nil
}

func (t *targets) close() {
	for _, l := range t.listeners {
		l.Close()
	}
}

// address is that of target i, and whether it hangs.
func (t *targets) address(i int) (address string, hangs bool) {
	if i%t.hang == 0 {
		return t.hanging[i/t.hang%len(t.hanging)], true
	}
	return t.healthy[i%len(t.healthy)], false
}

// serve answers each connection until its client closes it.
func serve(l net.Listener, greet bool) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			if greet {
				if _, err := io.WriteString(conn, "220 ready\r\n"); err != nil {
					return
				}
			}
			_, _ = io.Copy(io.Discard, conn)
		}()
	}
}

// paced calls f for each of n targets once in an interval, evenly spread, as
// Prometheus does with probes, until ctx ends; it waits for the last ones.
func paced(ctx context.Context, n int, interval time.Duration, f func(i int)) {
	var running sync.WaitGroup
	defer running.Wait()
	started := time.Now()
	for call := 0; ; call++ {
		next := started.Add(time.Duration(float64(interval) * float64(call) / float64(n)))
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(next)):
		}
		running.Go(func() { f(call % n) })
	}
}
