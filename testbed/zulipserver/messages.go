package zulipserver

import (
	"fmt"
	"html"
	"slices"
	"strconv"
	"strings"
	"time"
)

type message struct {
	id      int64
	sent    time.Time
	sender  *User
	users   []*User // who gets it, the sender of a direct message included
	stream  *stream // nil: a direct message
	topic   string
	content string
	client  string
}

type stream struct {
	id          int64
	name        string
	realm       string
	subscribers []*User
	channel     Channel
}

// Channel is who may do what in a channel; the zero value is a public one in
// which everybody may write.
type Channel struct {
	Private  bool // only subscribers see it, write to it and delete in it
	Archived bool // nobody writes to it any more
	Closed   bool // nobody but administrators may write to it
}

// EditStream changes a channel at run time.
func (s *Server) EditStream(name string, edit func(*Channel)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.streams {
		if strings.EqualFold(st.name, name) {
			edit(&st.channel)
			return nil
		}
	}
	return fmt.Errorf("edit stream %s: no such stream", name)
}

// Subscribe changes whether a user is subscribed to a channel.
func (s *Server) Subscribe(name, email string, subscribed bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.userByEmail(email)
	for _, st := range s.streams {
		if u == nil || !strings.EqualFold(st.name, name) {
			continue
		}
		st.subscribers = slices.DeleteFunc(slices.Clone(st.subscribers), func(other *User) bool { return other == u })
		if subscribed {
			st.subscribers = append(st.subscribers, u)
		}
		return nil
	}
	return fmt.Errorf("subscribe %s to %s: no such user or stream", email, name)
}

// sees reports whether a user may read a message: it was sent to them, or is in
// a channel that everybody may read.
func (u *User) sees(m *message) bool {
	return slices.Contains(m.users, u) || m.stream != nil && u.Realm == m.stream.realm && !m.stream.channel.Private
}

// mayWrite refuses what Zulip's access_stream_for_send_message refuses.
func (st *stream) mayWrite(u *User, level int) error {
	word := "channel"
	if level < levelChannelWords {
		word = "stream"
	}
	switch {
	case st.channel.Closed && !u.Admin:
		return badRequest("You do not have permission to post in this %s.", word)
	case st.channel.Archived, st.channel.Private && !slices.Contains(st.subscribers, u):
		return badRequest("Not authorized to send to %s '%s'", word, st.name)
	}
	return nil
}

// levelChannelWords is Zulip 9.0, since which streams are called channels; it
// takes "channel" as a message's type. levelDirect is that of "direct", 7.0.
const (
	levelChannelWords = 248
	levelDirect       = 174
)

// AddStream adds a channel with subscribers by e-mail and returns its id.
func (s *Server) AddStream(name string, subscribers ...string) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := &stream{id: int64(len(s.streams)) + 1, name: name, realm: s.opts.Realms[0].Subdomain}
	for _, email := range subscribers {
		u := s.userByEmail(email)
		if u == nil {
			return 0, fmt.Errorf("add stream %s: no user %s", name, email)
		}
		st.realm = u.Realm
		st.subscribers = append(st.subscribers, u)
	}
	s.streams = append(s.streams, st)
	return st.id, nil
}

// sendMessage is POST /api/v1/messages.
func (s *Server) sendMessage(c *call) (reply, error) {
	kind, err := c.params.needText("type")
	if err != nil {
		return nil, err
	}
	content, err := c.params.needText("content")
	if err != nil {
		return nil, err
	}
	to, _ := c.params.text("to")
	topic, hasTopic := c.params.text("topic")
	if old, ok := c.params.text("subject"); ok {
		if hasTopic && !s.opts.OldFormats {
			e := badRequest("Can't decide between 'topic' and 'subject' arguments")
			e.code = "REQUEST_CONFUSING_VAR"
			return nil, e
		}
		topic, hasTopic = old, true
	} else if s.opts.OldFormats { // before 2.0
		topic, hasTopic = "", false
	}
	for _, name := range []string{"queue_id", "local_id", "read_by_sender"} {
		c.params.text(name)
	}
	// Zulip takes trailing space away, and what is longer than 10000 code points.
	content = strings.TrimRight(content, " \t\r\n")
	if content == "" {
		return nil, badRequest("Message must not be empty")
	}
	if strings.ContainsRune(content, 0) {
		return nil, badRequest("Message must not contain null bytes")
	}
	if runes := []rune(content); len(runes) > 10_000 {
		content = string(runes[:9_980]) + "\n[message truncated]"
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	m := &message{sender: c.user, content: content, client: c.client, sent: s.opts.Now()}
	level := s.level()
	direct := kind == "private" || kind == "direct" && level >= levelDirect
	switch {
	case direct:
		m.users, err = s.directRecipients(c.user, to)
	case kind == "stream" || kind == "channel" && level >= levelChannelWords:
		if !hasTopic {
			return nil, badRequest("Missing topic")
		}
		if m.stream, err = s.findStream(to, c.user.Realm); err == nil {
			err = m.stream.mayWrite(c.user, level)
		}
		if err == nil {
			m.topic, m.users = topic, m.stream.subscribers
		}
	default:
		e := badRequest("Invalid type")
		e.oldMsg = "Invalid message type"
		err = e
	}
	if err != nil {
		return nil, err
	}
	s.foreignBefore(m)
	s.store(m)
	s.deliver(m)
	return reply{"id": m.id}, nil
}

func (s *Server) store(m *message) {
	s.lastMsg++
	m.id = s.lastMsg
	s.messages = append(s.messages, m)
}

// directRecipients are the users of a direct message, the sender first.
func (s *Server) directRecipients(sender *User, to string) ([]*User, error) {
	names, err := parseRecipients(to)
	if err != nil {
		return nil, err
	}
	users := []*User{sender}
	add := func(u *User, refusal *apiError) error {
		if u == nil || u.Realm != sender.Realm {
			return refusal
		}
		if u.Deactivated {
			return badRequest("'%s' is no longer using Zulip.", u.Email)
		}
		if !slices.Contains(users, u) {
			users = append(users, u)
		}
		return nil
	}
	for _, name := range names.names {
		if err := add(s.userByEmail(name), badRequest("Invalid email '%s'", name)); err != nil {
			return nil, err
		}
	}
	for _, id := range names.ids {
		if err := add(s.userByID(id), badRequest("Invalid user ID %d", id)); err != nil {
			return nil, err
		}
	}
	if len(names.names)+len(names.ids) == 0 {
		return nil, badRequest("Message must have recipients")
	}
	return users, nil
}

// level is the feature level that the server behaves by.
func (s *Server) level() int {
	if s.opts.OldFormats {
		return 0
	}
	return s.opts.FeatureLevel
}

func (s *Server) findStream(to, realm string) (*stream, error) {
	names, err := parseRecipients(to)
	if err != nil {
		return nil, err
	}
	if len(names.names)+len(names.ids) != 1 {
		return nil, badRequest("Expected exactly one channel")
	}
	for _, st := range s.streams {
		if st.realm != realm {
			continue
		}
		if slices.Contains(names.ids, st.id) || slices.ContainsFunc(names.names, func(n string) bool { return strings.EqualFold(n, st.name) }) {
			return st, nil
		}
	}
	word := "Channel"
	if s.level() < levelChannelWords {
		word = "Stream"
	}
	e := badRequest("%s '%s' does not exist", word, strings.Join(names.names, ""))
	e.newData = map[string]any{"stream": strings.Join(names.names, "")}
	if len(names.ids) == 1 {
		e = badRequest("%s with ID '%d' does not exist", word, names.ids[0])
		e.newData = map[string]any{"stream_id": names.ids[0]}
	}
	e.code = "STREAM_DOES_NOT_EXIST"
	return nil, e
}

// deleteMessage is DELETE /api/v1/messages/{id}.
func (s *Server) deleteMessage(c *call) (reply, error) {
	id, err := strconv.ParseInt(c.id, 10, 64)
	if err != nil {
		return nil, htmlPage(404)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at := slices.IndexFunc(s.messages, func(m *message) bool { return m.id == id && c.user.sees(m) })
	if at < 0 {
		return nil, badRequest("Invalid message(s)")
	}
	m := s.messages[at]
	if s.knobs.ForbidDelete || m.sender != c.user && !c.user.Admin {
		return nil, badRequest("You don't have permission to delete this message")
	}
	s.messages = slices.Delete(s.messages, at, at+1)
	s.deleted = append(s.deleted, id)
	gone := map[string]any{"type": "delete_message", "message_id": id, "message_type": m.kind()}
	if m.stream != nil {
		gone["stream_id"], gone["topic"] = m.stream.id, m.topic
	}
	for _, q := range s.queues {
		if q.wants("delete_message") && slices.Contains(m.users, q.owner) {
			s.pushTo(q, gone)
		}
	}
	return reply{}, nil
}

func (m *message) kind() string {
	if m.stream != nil {
		return "stream"
	}
	return "private"
}

// shown is the message as the API gives it.
func (m *message) shown(markdown, old bool) map[string]any {
	out := map[string]any{
		"id": m.id, "type": m.kind(), "timestamp": m.sent.Unix(), "client": m.client, "is_me_message": strings.HasPrefix(m.content, "/me "),
		"content": m.content, "content_type": "text/x-markdown", "subject": m.topic, "reactions": []any{}, "submessages": []any{},
		"sender_id": m.sender.ID, "sender_email": m.sender.Email, "sender_full_name": m.sender.FullName, "sender_realm_str": m.sender.Realm,
		"avatar_url": nil, "recipient_id": m.recipientID(), "topic_links": []any{},
	}
	if old {
		delete(out, "topic_links")
		out["subject_links"] = []any{}
	}
	if markdown {
		out["content"] = "<p>" + strings.ReplaceAll(html.EscapeString(m.content), "\n", "<br>\n") + "</p>"
		out["content_type"] = "text/html"
	}
	if m.stream != nil {
		out["stream_id"], out["display_recipient"] = m.stream.id, m.stream.name
		return out
	}
	var who []any
	for _, u := range m.users {
		who = append(who, map[string]any{"id": u.ID, "email": u.Email, "full_name": u.FullName, "is_mirror_dummy": false})
	}
	out["display_recipient"] = who
	return out
}

// recipientID is any number that is the same for the same conversation.
func (m *message) recipientID() int64 {
	if m.stream != nil {
		return 1000 + m.stream.id
	}
	id := int64(10_000)
	for _, u := range m.users {
		id += 1 << (u.ID % 32)
	}
	return id
}
