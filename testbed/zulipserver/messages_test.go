package zulipserver

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestRecipients(t *testing.T) {
	w := newWorld(t, Options{})
	third := w.AddUser(User{Email: "third@zulip.example"})
	gone := w.AddUser(User{Email: "gone@zulip.example", Deactivated: true})
	social, err := w.AddStream("social", third.Email)
	if err != nil {
		t.Fatal(err)
	}
	me, you, she := w.sender.Email, w.receiver.Email, third.Email
	for _, test := range []struct {
		kind, to string
		want     []string // e-mails, or the stream alone
		refusal  string
	}{
		{"private", `["receive-bot@zulip.example"]`, []string{me, you}, ""},
		{"direct", "receive-bot@zulip.example", []string{me, you}, ""},
		{"direct", "RECEIVE-bot@zulip.example, third@zulip.example", []string{me, you, she}, ""},
		{"direct", `["third@zulip.example", "receive-bot@zulip.example"]`, []string{me, she, you}, ""},
		{"direct", fmt.Sprintf("[%d,%d]", w.receiver.ID, third.ID), []string{me, you, she}, ""},
		{"direct", fmt.Sprint(w.receiver.ID), []string{me, you}, ""},
		{"direct", `"receive-bot@zulip.example"`, []string{me, you}, ""},
		{"direct", me, []string{me}, ""},
		{"direct", "", nil, "Message must have recipients"},
		{"direct", "[]", nil, "Message must have recipients"},
		{"direct", "[99]", nil, "Invalid user ID 99"},
		{"direct", "[1.5]", nil, "Invalid data type for recipients"},
		{"direct", "[null]", nil, "Invalid data type for recipients"},
		{"direct", fmt.Sprintf(`["%s",%d]`, you, third.ID), nil, "Recipient lists may contain emails or user IDs, but not both."},
		{"direct", gone.Email, nil, "'gone@zulip.example' is no longer using Zulip."},
		{"stream", "social", []string{"social"}, ""},
		{"channel", `["Social"]`, []string{"social"}, ""},
		{"channel", fmt.Sprint(social), []string{"social"}, ""},
		{"channel", "77", nil, "Channel with ID '77' does not exist"},
		{"channel", `["social","social"]`, nil, "Expected exactly one channel"},
		{"loud", you, nil, "Invalid type"},
	} {
		got := w.do(w.sender, "POST", "/api/v1/messages", "type", test.kind, "to", test.to, "topic", "t", "content", "x")
		if test.refusal != "" {
			if got.status != 400 || got.text("msg") != test.refusal {
				t.Errorf("send %s to %q = %d %s; want 400 %s", test.kind, test.to, got.status, got.raw, test.refusal)
			}
			continue
		}
		if got.status != 200 {
			t.Errorf("send %s to %q = %d %s; want success", test.kind, test.to, got.status, got.raw)
			continue
		}
		all := w.Messages()
		m := all[len(all)-1]
		who := m.Recipients
		if m.Stream != "" {
			who = []string{m.Stream}
		}
		if float64(m.ID) != got.json["id"] || !slices.Equal(who, test.want) {
			t.Errorf("send %s to %q = message %+v; want to %v", test.kind, test.to, m, test.want)
		}
	}
}

func TestOldTypes(t *testing.T) {
	w := newWorld(t, Options{OldFormats: true})
	got := w.do(w.sender, "POST", "/api/v1/messages", "type", "direct", "to", w.receiver.Email, "content", "x")
	if got.status != 400 || got.text("msg") != "Invalid message type" {
		t.Errorf("send direct to an old server = %d %s; want 400", got.status, got.raw)
	}
	if _, err := w.AddStream("social"); err != nil {
		t.Fatal(err)
	}
	w.ok(w.sender, "POST", "/api/v1/messages", "type", "stream", "to", "social", "subject", "old name", "content", "x")
	if got := w.Messages()[0].Topic; got != "old name" {
		t.Errorf("topic = %q; want the subject", got)
	}
}

func TestContent(t *testing.T) {
	w := newWorld(t, Options{})
	for content, want := range map[string]string{
		" \n": "Message must not be empty", "a\x00b": "Message must not contain null bytes",
	} {
		got := w.do(w.sender, "POST", "/api/v1/messages", "type", "direct", "to", w.receiver.Email, "content", content)
		if got.status != 400 || got.text("msg") != want {
			t.Errorf("send %q = %d %s; want 400 %s", content, got.status, got.raw, want)
		}
	}
	if got := w.do(w.sender, "POST", "/api/v1/messages", "type", "stream", "to", "social", "content", "x"); got.text("msg") != "Missing topic" {
		t.Errorf("send without topic = %s; want Missing topic", got.raw)
	}
	id := w.message(strings.Repeat("ä", 10_001))
	if got := []rune(w.Messages()[0].Content); len(got) != 10_000 || !strings.HasSuffix(string(got), "[message truncated]") {
		t.Errorf("message %d has %d runes; want 10000, truncated", id, len(got))
	}
}

func TestMarkdown(t *testing.T) {
	w := newWorld(t, Options{})
	raw, rendered := w.register("apply_markdown", "false"), w.register("apply_markdown", "true")
	w.message("a < b\nc")
	for id, want := range map[string][2]string{
		raw: {"a < b\nc", "text/x-markdown"}, rendered: {"<p>a &lt; b<br>\nc</p>", "text/html"},
	} {
		m := w.now(id, -1).json["events"].([]any)[0].(map[string]any)["message"].(map[string]any)
		if got := [2]string{m["content"].(string), m["content_type"].(string)}; got != want {
			t.Errorf("content = %q; want %q", got, want)
		}
	}
}

func TestDelete(t *testing.T) {
	w := newWorld(t, Options{})
	admin := w.AddUser(User{Email: "admin@zulip.example", Admin: true})
	id := w.message("x")
	path := fmt.Sprintf("/api/v1/messages/%d", id)
	queue := w.ok(w.receiver, "POST", "/api/v1/register", "event_types", `["delete_message"]`).text("queue_id")
	if got := w.do(w.receiver, "DELETE", path); got.text("msg") != "You don't have permission to delete this message" {
		t.Errorf("delete another's message = %s; want no permission", got.raw)
	}
	if got := w.do(admin, "DELETE", path); got.text("msg") != "Invalid message(s)" {
		t.Errorf("delete an unseen message = %s; want Invalid message(s)", got.raw)
	}
	w.ok(w.sender, "DELETE", path)
	if got := w.Messages(); len(got) != 0 {
		t.Errorf("Messages() = %v; want none", got)
	}
	if got := w.Deleted(); !slices.Equal(got, []int64{id}) {
		t.Errorf("Deleted() = %v; want [%d]", got, id)
	}
	if got := contents(w.now(queue, -1)); !slices.Equal(got, []string{"delete_message"}) {
		t.Errorf("events = %v; want delete_message", got)
	}
	if got := w.do(w.sender, "DELETE", path); got.status != 400 {
		t.Errorf("delete again = %d; want 400", got.status)
	}
}

func TestHistory(t *testing.T) {
	w := newWorld(t, Options{})
	for i := range 5 {
		w.message(fmt.Sprint(i))
	}
	for _, test := range []struct {
		args                   []string
		want                   string
		newest, oldest, anchor bool
	}{
		{[]string{"anchor", "newest", "num_before", "2", "num_after", "0"}, "3 4", true, false, false},
		{[]string{"anchor", "oldest", "num_before", "0", "num_after", "2"}, "0 1", false, true, false},
		{[]string{"anchor", "3", "num_before", "1", "num_after", "1"}, "1 2 3", false, false, true},
		{[]string{"anchor", "3", "num_before", "9", "num_after", "9"}, "0 1 2 3 4", true, true, true},
		{[]string{"anchor", "newest", "num_before", "9", "num_after", "0", "narrow", `[["dm","receive-bot@zulip.example"]]`}, "0 1 2 3 4", true, true, false},
		{[]string{"anchor", "newest", "num_before", "9", "num_after", "0", "narrow", `[{"operator":"dm","operand":[99]}]`}, "", true, true, false},
		{[]string{"anchor", "newest", "num_before", "9", "num_after", "0", "narrow", `[["id","2"],["is","dm"]]`}, "1", true, true, false},
	} {
		got := w.ok(w.sender, "GET", "/api/v1/messages", append(test.args, "apply_markdown", "false")...)
		var found []string
		for _, m := range got.json["messages"].([]any) {
			found = append(found, m.(map[string]any)["content"].(string))
		}
		if strings.Join(found, " ") != test.want || got.json["found_newest"] != test.newest || got.json["found_oldest"] != test.oldest ||
			got.json["found_anchor"] != test.anchor {
			t.Errorf("messages %v = %v %s; want %s, newest %v, oldest %v, anchor %v", test.args, found, got.raw, test.want, test.newest, test.oldest, test.anchor)
		}
	}
	for _, test := range []struct {
		want string
		args []string
	}{
		{"Missing 'num_before' argument", nil},
		{"Missing 'anchor' argument.", []string{"num_before", "1", "num_after", "1"}},
		{"Invalid anchor", []string{"num_before", "1", "num_after", "1", "anchor", "x"}},
		{"num_before is not an integer", []string{"num_before", `"1"`}},
		{"num_before and num_after must not be negative", []string{"num_before", "-1", "num_after", "1"}},
		{"Too many messages requested (maximum 5000).", []string{"num_before", "5000", "num_after", "1"}},
		{"Invalid narrow operator: unknown operator x", []string{"num_before", "1", "num_after", "1", "anchor", "1", "narrow", `[["x","y"]]`}},
	} {
		if got := w.do(w.sender, "GET", "/api/v1/messages", test.args...); got.status != 400 || got.text("msg") != test.want {
			t.Errorf("messages %v = %d %s; want 400 %s", test.args, got.status, got.raw, test.want)
		}
	}
}

func TestOwnUserAndSettings(t *testing.T) {
	w := newWorld(t, Options{})
	got := w.ok(w.receiver, "GET", "/api/v1/users/me")
	if got.text("email") != w.receiver.Email || got.json["user_id"] != float64(w.receiver.ID) || got.json["is_bot"] != true {
		t.Errorf("users/me = %s; want the receiver", got.raw)
	}
	got = w.ok(User{}, "GET", "/api/v1/server_settings")
	if got.text("zulip_version") != "11.4" || got.text("realm_url") != w.URL() || got.text("realm_uri") != w.URL() ||
		got.json["push_notifications_enabled"] != false || got.json["authentication_methods"].(map[string]any)["password"] != true {
		t.Errorf("server_settings = %s; want this server's", got.raw)
	}
	w = newWorld(t, Options{OldFormats: true})
	got = w.ok(User{}, "GET", "/api/v1/server_settings")
	if got.text("zulip_version") != "1.9.2" || got.json["zulip_feature_level"] != nil || got.json["realm_url"] != nil {
		t.Errorf("old server_settings = %s; want no feature level and no realm_url", got.raw)
	}
}

func FuzzRecipients(f *testing.F) {
	for _, seed := range []string{`["a@b"]`, "a@b, c@d", "[1,2]", "7", `"x"`, "[1e99]", "{}", "null", ",", "[[]]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, to string) {
		r, err := parseRecipients(to)
		if err == nil && len(r.names) > 0 && len(r.ids) > 0 {
			t.Errorf("parseRecipients(%q) = %v; want names or ids", to, r)
		}
	})
}

func FuzzNarrow(f *testing.F) {
	for _, seed := range []string{`[["is","dm"]]`, `[{"operator":"sender","operand":3,"negated":true}]`, `[["dm",[1,"x"]]]`, `[[1,2]]`, `[{}]`} {
		f.Add(seed)
	}
	m := &message{id: 1, sender: &User{ID: 1, Email: "a@b"}, stream: &stream{id: 1, name: "s"}, topic: "t"}
	f.Fuzz(func(t *testing.T, text string) {
		var items []any
		if _, err := (&params{values: map[string][]string{"narrow": {text}}}).json("narrow", &items); err != nil {
			return
		}
		n, err := parseNarrow(items)
		if err != nil || n.check() != nil {
			return
		}
		n.fits(m)
	})
}

// Who may write to a channel, find and delete in it, and in which words it is
// refused.
func TestChannels(t *testing.T) {
	for _, test := range []struct {
		options Options
		args    []string // of a message by the sender, who is not subscribed
		edit    func(*Channel)
		refusal string
	}{
		{Options{}, []string{"type", "channel", "topic", "t"}, nil, ""},
		{Options{}, []string{"type", "stream", "subject", "t"}, nil, ""},
		{Options{FeatureLevel: 248}, []string{"type", "channel", "topic", "t"}, nil, ""},
		{Options{FeatureLevel: 247}, []string{"type", "channel", "topic", "t"}, nil, "Invalid type"},
		{Options{FeatureLevel: 173}, []string{"type", "direct"}, nil, "Invalid type"},
		{Options{OldFormats: true}, []string{"type", "stream", "subject", "t"}, nil, ""},
		{Options{OldFormats: true}, []string{"type", "stream", "topic", "t"}, nil, "Missing topic"},
		{Options{}, []string{"type", "channel", "topic", "t", "subject", "t"}, nil, "Can't decide between 'topic' and 'subject' arguments"},
		{Options{}, []string{"type", "channel", "topic", "t"}, func(c *Channel) { c.Private = true }, "Not authorized to send to channel 'social'"},
		{Options{FeatureLevel: 247}, []string{"type", "stream", "topic", "t"}, func(c *Channel) { c.Private = true }, "Not authorized to send to stream 'social'"},
		{Options{}, []string{"type", "channel", "topic", "t"}, func(c *Channel) { c.Archived = true }, "Not authorized to send to channel 'social'"},
		{Options{}, []string{"type", "channel", "topic", "t"}, func(c *Channel) { c.Closed = true }, "You do not have permission to post in this channel."},
	} {
		w := newWorld(t, test.options)
		if _, err := w.AddStream("social", w.receiver.Email); err != nil {
			t.Fatal(err)
		}
		if test.edit != nil {
			if err := w.EditStream("Social", test.edit); err != nil {
				t.Fatal(err)
			}
		}
		got := w.do(w.sender, "POST", "/api/v1/messages", append(test.args, "to", `["social"]`, "content", "x")...)
		if test.refusal != "" {
			if got.status != 400 || got.text("msg") != test.refusal {
				t.Errorf("%+v: send %q = %d %s; want 400 %s", test.options, test.args, got.status, got.raw, test.refusal)
			}
			continue
		}
		if got.status != 200 {
			t.Errorf("%+v: send %q = %d %s; want success", test.options, test.args, got.status, got.raw)
			continue
		}
		search := func(narrow string) int {
			found := w.ok(w.sender, "GET", "/api/v1/messages", "anchor", "newest", "num_before", "9", "num_after", "0", "narrow", narrow)
			return len(found.json["messages"].([]any))
		}
		if all, inside := search("[]"), search(`[{"operator":"stream","operand":"social"}]`); all != 0 || inside != 1 {
			t.Errorf("the sender finds %d messages, %d in the channel; want none of what it did not receive, and one", all, inside)
		}
		w.ok(w.sender, "DELETE", fmt.Sprintf("/api/v1/messages/%d", w.Messages()[0].ID))
	}
}

func TestSubscriptions(t *testing.T) {
	w := newWorld(t, Options{})
	if _, err := w.AddStream("social", w.receiver.Email); err != nil {
		t.Fatal(err)
	}
	names := func() string {
		var names []string
		for _, s := range w.ok(w.receiver, "GET", "/api/v1/users/me/subscriptions").json["subscriptions"].([]any) {
			names = append(names, s.(map[string]any)["name"].(string))
		}
		return strings.Join(names, ",")
	}
	if got := names(); got != "social" {
		t.Errorf("subscriptions %q; want social", got)
	}
	for _, there := range []bool{false, true} {
		if err := w.Subscribe("social", w.receiver.Email, there); err != nil {
			t.Fatal(err)
		}
		if got := names(); (got == "social") != there {
			t.Errorf("subscriptions %q after Subscribe(%v)", got, there)
		}
	}
	if err := w.Subscribe("nowhere", w.receiver.Email, true); err == nil {
		t.Error("Subscribe() to an unknown channel = nil; want an error")
	}
}
