package zulip

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/httpclient"
)

// Recipient is who or what a message goes to: a user, or a topic of a channel.
type Recipient struct {
	Email         string // of the user
	Stream, Topic string // names; Stream is empty for a direct message
}

// levelChannel is the feature level of Zulip 9.0, which brought the message
// type "channel"; before, it is called "stream".
const levelChannel = 248

// form is the recipient as a server of the feature level knows it.
func (to Recipient) form(level int) (url.Values, error) {
	name := to.Email
	if to.Stream != "" {
		name = to.Stream
	}
	// A list of one is what every version takes; before 2.0 a plain string was
	// split at its commas.
	list, err := json.Marshal([]string{name})
	values := url.Values{"to": {string(list)}}
	switch {
	case to.Stream == "":
		values.Set("type", "private") // "direct" came with 7.0, and this is still known
	case level >= levelChannel:
		values.Set("type", "channel")
	default:
		values.Set("type", "stream")
	}
	switch {
	case to.Stream == "":
	case level > 0:
		values.Set("topic", to.Topic)
	default:
		values.Set("subject", to.Topic) // "topic" came with 2.0, which still knows this
	}
	return values, err
}

// Send sends a message (POST /messages); level is that of a queue of the same
// server. With an error, maybe tells that the server may have accepted the
// message all the same.
func (c *Client) Send(ctx context.Context, to Recipient, level int, content string, limit time.Duration) (id int64, maybe bool, err error) {
	const stage = "send a message through"
	form, err := to.form(level)
	if err != nil {
		return 0, false, c.nonsense(stage, "the recipient cannot be written as JSON")
	}
	form.Set("content", content)
	var answer struct {
		ID int64 `json:"id"`
	}
	err = c.ask(ctx, httpclient.Request{Stage: stage, Method: http.MethodPost, Path: "/messages", Limit: limit, Form: form}, &answer)
	if err == nil && answer.ID <= 0 {
		err = c.nonsense(stage, "success, but without the message's id")
	}
	if err != nil {
		return 0, maybeDone(err, stage), err
	}
	return answer.ID, false, nil
}

// FindSent looks for this bot's own newest messages to the recipient that hold
// the text (GET /messages).
func (c *Client) FindSent(ctx context.Context, to Recipient, text string, limit time.Duration) ([]int64, error) {
	const stage = "look for the message at"
	terms := []map[string]string{{"operator": "sender", "operand": c.bot.Email}}
	if to.Stream != "" {
		// Without the channel, only messages are found that the bot received.
		// Every version knows the operator by this name.
		terms = append(terms, map[string]string{"operator": "stream", "operand": to.Stream})
	}
	narrow, err := json.Marshal(terms)
	if err != nil {
		return nil, c.nonsense(stage, "the sender's email cannot be written as JSON")
	}
	values := url.Values{
		"anchor": {"newest"}, "num_before": {"20"}, "num_after": {"0"}, "apply_markdown": {"false"}, "narrow": {string(narrow)},
	}
	var answer struct {
		Messages []Message `json:"messages"`
	}
	if err := c.ask(ctx, httpclient.Request{Stage: stage, Path: "/messages?" + values.Encode(), Limit: limit}, &answer); err != nil {
		return nil, err
	}
	var ids []int64
	for _, m := range answer.Messages {
		if m.ID > 0 && strings.Contains(m.Content, text) {
			ids = append(ids, m.ID)
		}
	}
	return ids, nil
}

// Subscribed reports whether the bot is subscribed to the channel
// (GET /users/me/subscriptions). Names of channels are not case-sensitive.
func (c *Client) Subscribed(ctx context.Context, stream string, limit time.Duration) (bool, error) {
	const stage = "read the subscriptions of the " // the bot and its server follow
	var answer struct {
		Subscriptions *[]struct {
			Name string `json:"name"`
		} `json:"subscriptions"`
	}
	err := c.ask(ctx, httpclient.Request{Stage: stage + c.bot.Role + " at", Path: "/users/me/subscriptions", Limit: limit}, &answer)
	if err == nil && answer.Subscriptions == nil {
		err = c.nonsense(stage+c.bot.Role+" at", "success, but without subscriptions")
	}
	if err != nil {
		return false, err
	}
	for _, s := range *answer.Subscriptions {
		if strings.EqualFold(s.Name, stream) {
			return true, nil
		}
	}
	return false, nil
}

// ParseStream accepts the name of a channel as Zulip does: at most 60
// characters, none of them a control character.
func ParseStream(text string) (string, error) { return parseName(text, "channel") }

// ParseTopic accepts the name of a topic likewise.
func ParseTopic(text string) (string, error) { return parseName(text, "topic") }

func parseName(text, what string) (string, error) {
	trimmed := strings.TrimSpace(text)
	switch {
	case trimmed == "":
		return "", check.Faultf(check.Config, "", "", "the name of the %s is empty", what)
	case len([]rune(trimmed)) > 60:
		return "", check.Faultf(check.Config, "", "", "the name of the %s is longer than 60 characters", what)
	case strings.ContainsFunc(trimmed, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }):
		return "", check.Faultf(check.Config, "", "", "the name of the %s holds control characters", what)
	}
	return trimmed, nil
}
