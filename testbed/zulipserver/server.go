// Package zulipserver stands in for a Zulip server in tests and in the demo. It
// speaks the part of Zulip's REST API that a client needs to send messages and
// to receive them through an event queue, in the real wire format and with the
// real errors, and it misbehaves on request: see Knobs and Fault.
//
// What it knows of Zulip comes from Zulip's API documentation and from what
// real servers answer. The npm client zulip-js works against it unchanged.
package zulipserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// Options are fixed for the life of a server; the zero value will do.
type Options struct {
	Listen string      // default 127.0.0.1:0
	TLS    *tls.Config // not nil: HTTPS

	// Domain, when set, makes the server look at the Host header: the domain
	// itself or subdomain.domain must be a realm, else 404. Empty: every host is
	// the first realm.
	Domain string
	Realms []Realm // default: one with an empty subdomain

	Version      string // default 11.4
	FeatureLevel int    // default 421
	// OldFormats answers as servers before 2.0: queue ids "<epoch>:<counter>",
	// errors without code and with their older texts, no feature level.
	OldFormats bool

	// QueueTimeout is the shortest time after which an idle queue expires; a
	// client may ask for up to 7 days. Default 600 s.
	QueueTimeout time.Duration
	// GCInterval is the pause between two collections of expired queues,
	// default 60 s; CollectQueues does one at once.
	GCInterval time.Duration
	// Now is the clock of queue expiry, rate limits and timestamps; heartbeats
	// and delays take real time. Default time.Now.
	Now func() time.Time
}

// Realm is an organization.
type Realm struct {
	Subdomain, Name string
	Deactivated     bool
}

// Server is the stand-in. It is an http.Handler; Start makes it listen.
type Server struct {
	opts   Options
	routes map[string]map[string]*route // path pattern, method
	ctx    context.Context              // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup
	http   *http.Server
	url    string

	mu         sync.Mutex
	closed     bool
	knobs      Knobs
	faults     map[Endpoint][]*armed
	realms     map[string]*Realm
	users      []*User
	streams    []*stream
	messages   []*message
	deleted    []int64
	queues     map[string]*queue
	requests   []*Request
	buckets    map[string][]time.Time
	lastUser   int64
	lastMsg    int64
	lastQueue  int64
	generation int64
}

// New makes a server that does not listen yet.
func New(opts Options) *Server {
	if opts.Listen == "" {
		opts.Listen = "127.0.0.1:0"
	}
	if len(opts.Realms) == 0 {
		opts.Realms = []Realm{{Name: "Zulip stand-in"}}
	}
	if opts.Version == "" {
		opts.Version = "11.4"
		if opts.OldFormats {
			opts.Version = "1.9.2"
		}
	}
	if opts.FeatureLevel == 0 {
		opts.FeatureLevel = 421
	}
	if opts.QueueTimeout == 0 {
		opts.QueueTimeout = 600 * time.Second
	}
	if opts.GCInterval == 0 {
		opts.GCInterval = 60 * time.Second
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	s := &Server{
		opts:       opts,
		knobs:      DefaultKnobs(),
		faults:     make(map[Endpoint][]*armed),
		realms:     make(map[string]*Realm),
		queues:     make(map[string]*queue),
		buckets:    make(map[string][]time.Time),
		generation: opts.Now().Unix(),
	}
	for _, realm := range opts.Realms {
		s.realms[realm.Subdomain] = &realm
	}
	s.routes = s.routeTable()
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Start listens and collects expired queues until Close.
func (s *Server) Start() error {
	l, err := net.Listen("tcp", s.opts.Listen)
	if err != nil {
		return fmt.Errorf("start Zulip stand-in on %s: %w", s.opts.Listen, err)
	}
	scheme := "http"
	if s.opts.TLS != nil {
		scheme = "https"
	}
	s.url = scheme + "://" + l.Addr().String()
	s.http = &http.Server{
		Handler:           s,
		TLSConfig:         s.opts.TLS,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0), // clients that refuse a certificate are no news
	}
	s.wg.Go(func() {
		var err error
		if s.opts.TLS != nil {
			err = s.http.ServeTLS(l, "", "")
		} else {
			err = s.http.Serve(l)
		}
		if !errors.Is(err, http.ErrServerClosed) {
			panic(fmt.Sprintf("Zulip stand-in on %s: %v", l.Addr(), err))
		}
	})
	s.wg.Go(func() {
		ticker := time.NewTicker(s.opts.GCInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				s.CollectQueues()
			case <-s.ctx.Done():
				return
			}
		}
	})
	return nil
}

// StartTest starts a server that ends with the test.
func StartTest(t testing.TB, opts Options) *Server {
	t.Helper()
	s := New(opts)
	if err := s.Start(); err != nil {
		t.Fatalf("start: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close Zulip stand-in: %v", err)
		}
	})
	return s
}

// URL is where the server listens, without a final slash: the site of a
// zuliprc. Empty before Start.
func (s *Server) URL() string { return s.url }

// Close ends every request, also the waiting ones, and returns when none of
// the server's goroutines runs any more.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	var err error
	if s.http != nil {
		err = s.http.Close()
	}
	s.wg.Wait()
	return err
}

// sleep is false when the request or the server ended first.
func (s *Server) sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	case <-s.ctx.Done():
		return false
	}
}
