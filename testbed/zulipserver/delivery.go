package zulipserver

import (
	"fmt"
	"maps"
	"slices"
)

// foreignSender is who writes the foreign messages.
const foreignSender = "somebody-else@zulip.example"

// foreignBefore puts messages of somebody else before a message. The lock is
// held.
func (s *Server) foreignBefore(m *message) {
	for i := range s.knobs.ForeignBefore {
		u := s.userByEmail(foreignSender)
		if u == nil {
			u = s.addUser(User{Email: foreignSender, FullName: "Somebody Else", Realm: m.sender.Realm})
		}
		other := *m
		other.sender = u
		other.content = fmt.Sprintf("foreign message %d", i+1)
		if m.stream == nil { // from the foreigner to the receivers
			other.users = []*User{u}
			for _, receiver := range m.users {
				if receiver != m.sender || len(m.users) == 1 {
					other.users = append(other.users, receiver)
				}
			}
		}
		s.store(&other)
		s.fanOut(&other)
	}
}

// deliver gives a message to the queues of its users, now or later, or not. The
// lock is held.
func (s *Server) deliver(m *message) {
	if s.knobs.DropDelivery {
		return
	}
	delay := s.knobs.DeliveryDelay
	if delay <= 0 {
		s.fanOut(m)
		return
	}
	if s.closed {
		return
	}
	s.wg.Go(func() {
		if s.sleep(s.ctx, delay) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.fanOut(m)
		}
	})
}

// fanOut queues the message event. The lock is held.
func (s *Server) fanOut(m *message) {
	for _, q := range s.queues {
		if slices.Contains(m.users, q.owner) == s.knobs.WrongQueue || !q.wants("message") || !q.narrow.fits(m) {
			continue
		}
		for range 1 + s.knobs.Duplicates {
			s.pushTo(q, map[string]any{
				"type": "message", "message": m.shown(q.markdown, s.opts.OldFormats), "flags": flags(m, q.owner),
			})
		}
	}
}

// Inject gives any event to every queue of a user, whatever types it wants. The
// fields must hold "type"; "id" is set here.
func (s *Server) Inject(email string, fields map[string]any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.userByEmail(email)
	if u == nil {
		return fmt.Errorf("inject an event for %s: no such user", email)
	}
	for _, q := range s.queues {
		if q.owner == u {
			s.pushTo(q, maps.Clone(fields))
		}
	}
	return nil
}

// Restart restarts Tornado: waiting requests end with nginx's 502 page. With
// keepQueues the queues come back from their file, as in an orderly restart,
// and those that want it get a restart event; otherwise all are gone.
func (s *Server) Restart(keepQueues bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generation++
	s.lastQueue = 0
	for id, q := range s.queues {
		q.wake(wakeRestart, s.opts.Now())
		if !keepQueues {
			delete(s.queues, id)
			continue
		}
		restart := map[string]any{"type": "restart", "server_generation": s.generation, "immediate": true}
		if !s.opts.OldFormats {
			restart["zulip_version"], restart["zulip_merge_base"] = s.opts.Version, s.opts.Version
			restart["zulip_feature_level"] = s.opts.FeatureLevel
		}
		if q.wants("restart") {
			s.pushTo(q, restart)
		}
		if q.wants("web_reload_client") && !s.opts.OldFormats {
			s.pushTo(q, map[string]any{"type": "web_reload_client", "immediate": true})
		}
	}
}

// DropQueues loses every queue at once; waiting requests end empty.
func (s *Server) DropQueues() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.queues {
		s.dropQueue(q)
	}
}
