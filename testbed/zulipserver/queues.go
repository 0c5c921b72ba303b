package zulipserver

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"
)

const maxQueueTimeout = 7 * 24 * time.Hour

// queue holds the events of one client until it says that it has them.
type queue struct {
	id       string
	owner    *User
	types    []string // nil: all
	narrow   narrow
	markdown bool
	timeout  time.Duration

	lastSeen time.Time
	nextID   int64
	pruned   int64 // newest event that the client has confirmed, -1 for none
	events   []event
	waiter   *waiter // the request that waits for an event
}

type event struct {
	id     int64
	fields map[string]any
}

// waiter is a waiting request. woken gets exactly one value, from whoever takes
// the waiter off its queue.
type waiter struct{ woken chan wakeup }

type wakeup int

const (
	wakeEvents  wakeup = iota // there are events
	wakeEmpty                 // another request took over, or the queue was deleted
	wakeRestart               // the server restarts
)

func (q *queue) wants(kind string) bool { return q.types == nil || slices.Contains(q.types, kind) }

// wake ends the waiting request, if any.
func (q *queue) wake(why wakeup, now time.Time) {
	if q.waiter == nil {
		return
	}
	q.waiter.woken <- why
	q.waiter = nil
	q.lastSeen = now
}

// push adds an event and returns its id.
func (q *queue) push(fields map[string]any) int64 {
	fields = maps.Clone(fields)
	fields["id"] = q.nextID
	q.events = append(q.events, event{id: q.nextID, fields: fields})
	q.nextID++
	return q.nextID - 1
}

// pending is what a client gets now.
func (q *queue) pending(heartbeatOnly bool) []map[string]any {
	out := []map[string]any{}
	for _, e := range q.events {
		if !heartbeatOnly || e.fields["type"] == "heartbeat" {
			out = append(out, e.fields)
		}
	}
	return out
}

// confirm forgets the events up to id.
func (q *queue) confirm(id int64) error {
	if id < q.pruned {
		return badRequest("An event newer than %d has already been pruned!", id)
	}
	for len(q.events) > 0 && q.events[0].id <= id {
		q.pruned = q.events[0].id
		q.events = q.events[1:]
	}
	if id != q.pruned {
		return badRequest("Event %d was not in this queue", id)
	}
	return nil
}

// pushTo gives an event to a queue and wakes its client. The lock is held.
func (s *Server) pushTo(q *queue, fields map[string]any) {
	q.push(fields)
	if !s.knobs.HeartbeatOnly || fields["type"] == "heartbeat" {
		q.wake(wakeEvents, s.opts.Now())
	}
}

// register is POST /api/v1/register.
func (s *Server) register(c *call) (reply, error) {
	var types, fetch []string
	var terms []any
	var lifespan int64
	q := &queue{owner: c.user, pruned: -1}
	for _, arg := range []struct {
		name string
		into any
	}{
		{"event_types", &types}, {"fetch_event_types", &fetch}, {"narrow", &terms}, {"apply_markdown", &q.markdown},
		{"client_capabilities", new(map[string]any)}, {"client_gravatar", new(bool)}, {"all_public_streams", new(bool)},
		{"include_subscribers", new(bool)}, {"slim_presence", new(bool)}, {"queue_lifespan_secs", &lifespan}, {"lifespan_secs", &lifespan},
	} {
		if _, err := c.params.json(arg.name, arg.into); err != nil {
			return nil, err
		}
	}
	q.types = types
	var err error
	if q.narrow, err = parseNarrow(terms); err != nil {
		return nil, err
	}
	if err := q.narrow.onlyForEvents(); err != nil {
		return nil, err
	}
	q.timeout = min(max(s.opts.QueueTimeout, time.Duration(lifespan)*time.Second), maxQueueTimeout)
	if fetch == nil {
		fetch = types
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastQueue++
	q.lastSeen = s.opts.Now()
	q.id = uuid()
	if s.opts.OldFormats {
		q.id = fmt.Sprintf("%d:%d", s.generation, s.lastQueue)
	}
	s.queues[q.id] = q
	out := reply{"queue_id": q.id, "last_event_id": -1}
	if !s.opts.OldFormats {
		out["zulip_version"] = s.opts.Version
		out["zulip_merge_base"] = s.opts.Version
		out["zulip_feature_level"] = s.opts.FeatureLevel
	}
	if fetch == nil || slices.Contains(fetch, "message") {
		out["max_message_id"] = -1
		if s.lastMsg > 0 {
			out["max_message_id"] = s.lastMsg
		}
	}
	if fetch == nil || slices.Contains(fetch, "realm") {
		out["event_queue_longpoll_timeout_seconds"] = 90
	}
	return out, nil
}

// access finds a queue of the user. The lock is held.
func (s *Server) access(u *User, id string) (*queue, error) {
	q := s.queues[id]
	if q == nil {
		return nil, badQueue(id)
	}
	if q.owner != u {
		if s.opts.OldFormats {
			return nil, badRequest("You are not authorized to access this queue")
		}
		return nil, badQueue(id)
	}
	return q, nil
}

// getEvents is GET /api/v1/events.
func (s *Server) getEvents(c *call) (reply, error) {
	id, ok := c.params.text("queue_id")
	if !ok {
		return nil, badRequest("Missing 'queue_id' argument")
	}
	var last int64
	present, err := c.params.json("last_event_id", &last)
	if err != nil {
		return nil, err
	}
	if !present {
		return nil, badRequest("Missing 'last_event_id' argument")
	}
	var dontBlock bool
	if _, err := c.params.json("dont_block", &dontBlock); err != nil {
		return nil, err
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.access(c.user, id)
	if err != nil {
		return nil, err
	}
	if err := q.confirm(last); err != nil {
		return nil, err
	}
	now := s.opts.Now()
	q.wake(wakeEmpty, now)
	q.lastSeen = now
	events := q.pending(s.knobs.HeartbeatOnly)
	if len(events) == 0 && !dontBlock {
		if events, err = s.wait(c, q); err != nil {
			return nil, err
		}
	}
	return reply{"events": events, "queue_id": q.id}, nil
}

// wait waits for an event, a heartbeat at the latest. The lock is held at both
// ends and released in between.
func (s *Server) wait(c *call, q *queue) ([]map[string]any, error) {
	w := &waiter{woken: make(chan wakeup, 1)}
	q.waiter = w
	pause := s.knobs.HeartbeatInterval
	if jitter := s.knobs.HeartbeatJitter; jitter > 0 {
		pause += rand.N(jitter)
	}
	s.mu.Unlock()
	heartbeat := time.NewTimer(pause)
	defer heartbeat.Stop()
	var why wakeup
	select {
	case why = <-w.woken:
		s.mu.Lock()
	case <-heartbeat.C:
		s.mu.Lock()
		if q.waiter == w {
			s.pushTo(q, map[string]any{"type": "heartbeat"})
		}
		why = <-w.woken
	case <-c.ctx.Done():
		s.mu.Lock()
		if q.waiter == w {
			q.waiter = nil
			q.lastSeen = s.opts.Now()
		}
		return nil, errGone{}
	case <-s.ctx.Done():
		s.mu.Lock()
		return nil, htmlPage(502)
	}
	switch why {
	case wakeRestart:
		return nil, htmlPage(502)
	case wakeEmpty:
		return []map[string]any{}, nil
	}
	return q.pending(s.knobs.HeartbeatOnly), nil
}

// deleteQueue is DELETE /api/v1/events.
func (s *Server) deleteQueue(c *call) (reply, error) {
	id, err := c.params.needText("queue_id")
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.access(c.user, id)
	if err != nil {
		return nil, err
	}
	s.dropQueue(q)
	return reply{}, nil
}

func (s *Server) dropQueue(q *queue) {
	delete(s.queues, q.id)
	q.wake(wakeEmpty, s.opts.Now())
}

// CollectQueues removes the queues that nobody has asked for too long, as the
// server does by itself each GCInterval.
func (s *Server) CollectQueues() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.opts.Now()
	for _, q := range s.queues {
		if q.waiter == nil && now.Sub(q.lastSeen) >= q.timeout {
			s.dropQueue(q)
		}
	}
}

// uuid is a random one, version 4.
func uuid() string {
	h := []byte(randomHex(16))
	h[12] = '4'
	h[16] = "89ab"[rand.IntN(4)]
	return fmt.Sprintf("%s-%s-%s-%s-%s", h[:8], h[8:12], h[12:16], h[16:20], h[20:])
}
