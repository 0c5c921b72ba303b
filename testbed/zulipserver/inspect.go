package zulipserver

import (
	"cmp"
	"slices"
	"time"
)

// Message is one that exists.
type Message struct {
	ID            int64
	Sent          time.Time
	Sender        string   // e-mail
	Recipients    []string // e-mails of a direct message, the sender's included
	Stream, Topic string   // of a channel message
	Content       string
	Client        string // name in the User-Agent of its sender
}

// Messages are those that exist, oldest first.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []Message{}
	for _, m := range s.messages {
		shown := Message{ID: m.id, Sent: m.sent, Sender: m.sender.Email, Topic: m.topic, Content: m.content, Client: m.client}
		if m.stream != nil {
			shown.Stream = m.stream.name
		} else {
			for _, u := range m.users {
				shown.Recipients = append(shown.Recipients, u.Email)
			}
		}
		out = append(out, shown)
	}
	return out
}

// Deleted are the ids of the messages that were deleted, in that order.
func (s *Server) Deleted() []int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.deleted)
}

// QueueInfo is a queue that exists.
type QueueInfo struct {
	ID, Owner  string // Owner is an e-mail
	EventTypes []string
	Markdown   bool
	Pending    int  // events that the client has not confirmed
	Waiting    bool // a request waits on it
	LastSeen   time.Time
	Timeout    time.Duration
}

// Queues are those that exist, the longest unseen first.
func (s *Server) Queues() []QueueInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []QueueInfo{}
	for _, q := range s.queues {
		out = append(out, QueueInfo{
			ID: q.id, Owner: q.owner.Email, EventTypes: slices.Clone(q.types), Markdown: q.markdown,
			Pending: len(q.events), Waiting: q.waiter != nil, LastSeen: q.lastSeen, Timeout: q.timeout,
		})
	}
	slices.SortFunc(out, func(a, b QueueInfo) int {
		return cmp.Or(a.LastSeen.Compare(b.LastSeen), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// Requests are those that arrived, oldest first; at least the last 5000 are
// kept.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Request, len(s.requests))
	for i, r := range s.requests {
		out[i] = *r
	}
	return out
}

// ForgetRequests empties the record.
func (s *Server) ForgetRequests() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = nil
}
