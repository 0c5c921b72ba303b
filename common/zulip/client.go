package zulip

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/dial"
	"github.com/belfry-monitoring/belfry/common/httpclient"
)

// Bot is who talks to which server.
type Bot struct {
	Role  string // how errors call it: "sender"
	Site  *url.URL
	Email string
	Key   check.Secret
	TLS   dial.TLS
	Route *httpclient.Route // nil: straight
}

// Client talks to a server as one bot, over connections of its own. It is not
// safe for use by several goroutines. Every error that it returns is a
// *check.Fault; its limits are the longest time for one request.
type Client struct {
	http *httpclient.Client
	bot  Bot

	limited  bool // the server said what its rate limit leaves
	requests int  // the least it left
}

// New makes a client; it opens nothing.
func New(bot Bot) (*Client, error) {
	c, err := httpclient.New(httpclient.Config{
		Base: bot.Site, TLS: &bot.TLS, Route: bot.Route, User: bot.Email, Password: bot.Key,
		Header: http.Header{"User-Agent": {userAgent()}, "Accept": {"application/json"}},
	})
	if err != nil {
		return nil, err
	}
	return &Client{http: c, bot: bot}, nil
}

// Close ends the kept connections.
func (c *Client) Close() { c.http.Close() }

// RateLimitRemaining is the least number of requests that the server's
// answers said are left in the window; false where they said nothing, because
// rate limiting is switched off.
func (c *Client) RateLimitRemaining() (int, bool) { return c.requests, c.limited }

// userAgent names the program as Zulip wants it: Name/Version. Zulip counts
// its requests under the name.
func userAgent() string {
	version := "0"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		version = strings.Trim(info.Main.Version, "()")
	}
	return "BelfryMonitoring/" + version
}

// maxSmall bounds in bytes the answers that hold no messages.
const maxSmall = 1 << 20

func (c *Client) ask(ctx context.Context, r httpclient.Request, into any) error {
	r.Path = "/api/v1" + r.Path
	if r.Method != "" {
		r.Max = maxSmall
	}
	a, err := c.http.Do(ctx, r)
	if err != nil {
		return err
	}
	if n, ok := remaining(a.Header); ok {
		if !c.limited || n < c.requests {
			c.requests = n
		}
		c.limited = true
	}
	q := asked{stage: r.Stage, peer: c.http.Peer(), bot: c.bot.Role + " bot " + c.bot.Email, now: time.Now()}
	return q.read(a, into)
}

func (c *Client) nonsense(stage, what string) error {
	return check.Faultf(check.Data, stage, c.http.Peer(), "%s", what)
}

// Queue is an event queue of the bot.
type Queue struct {
	ID    string
	Last  int64 // the newest event that was read
	Level int   // zulip_feature_level of the server; 0 before Zulip 3.0
}

// Register makes a queue for new messages, unrendered (POST /register). With an
// error, maybe tells that the server may have made the queue all the same;
// without its id nobody can delete it.
func (c *Client) Register(ctx context.Context, limit time.Duration) (q *Queue, maybe bool, err error) {
	const stage = "register an event queue at"
	var answer struct {
		QueueID     *string `json:"queue_id"`
		LastEventID *int64  `json:"last_event_id"`
		Level       int     `json:"zulip_feature_level"`
	}
	err = c.ask(ctx, httpclient.Request{
		Stage: stage, Method: http.MethodPost, Path: "/register", Limit: limit,
		Form: url.Values{"event_types": {`["message"]`}, "apply_markdown": {"false"}},
	}, &answer)
	if err == nil && (answer.QueueID == nil || *answer.QueueID == "" || answer.LastEventID == nil) {
		err = c.nonsense(stage, "success, but without queue_id and last_event_id")
	}
	if err != nil {
		return nil, maybeDone(err, stage), err
	}
	return &Queue{ID: *answer.QueueID, Last: *answer.LastEventID, Level: answer.Level}, false, nil
}

// maybeDone tells whether a request that failed may have been carried out:
// it reached the server, and the server did not refuse it.
func maybeDone(err error, stage string) bool {
	var fault *check.Fault
	var e *Error
	refused := errors.As(err, &e) && e.Status >= 400 && e.Status < 500
	return errors.As(err, &fault) && fault.Stage == stage && !refused
}

// Message is a message that an event or a search brought.
type Message struct {
	ID      int64  `json:"id"`
	Content string `json:"content"`
}

// WaitStage is the stage of the faults of Wait.
const WaitStage = "read events from"

// Wait asks for events and returns the new messages among them, as soon as
// there is any event (GET /events, a long poll). Heartbeats, other events and
// those already seen are left out; fresh says whether there was any new event.
func (c *Client) Wait(ctx context.Context, q *Queue, limit time.Duration) (messages []Message, fresh bool, err error) {
	var answer struct {
		Events []struct {
			Type    string   `json:"type"`
			ID      int64    `json:"id"`
			Message *Message `json:"message"`
		} `json:"events"`
	}
	values := url.Values{"queue_id": {q.ID}, "last_event_id": {strconv.FormatInt(q.Last, 10)}}
	err = c.ask(ctx, httpclient.Request{Stage: WaitStage, Path: "/events?" + values.Encode(), Limit: limit}, &answer)
	if err != nil {
		return nil, false, err
	}
	seen := q.Last
	for _, e := range answer.Events {
		if e.ID <= seen {
			continue
		}
		fresh = true
		q.Last = max(q.Last, e.ID)
		if e.Type == "message" && e.Message != nil {
			messages = append(messages, *e.Message)
		}
	}
	return messages, fresh, nil
}

// DeleteQueue ends a queue (DELETE /events). A queue that is gone already is
// no error.
func (c *Client) DeleteQueue(ctx context.Context, q *Queue, limit time.Duration) error {
	err := c.ask(ctx, httpclient.Request{
		Stage: "delete the event queue at", Method: http.MethodDelete, Path: "/events", Limit: limit,
		Form: url.Values{"queue_id": {q.ID}},
	}, nil)
	if IsQueueLost(err) {
		return nil
	}
	return err
}

// DeleteMessage deletes a message of the bot (DELETE /messages/{id}).
// IsRefused tells an error for want of permission.
func (c *Client) DeleteMessage(ctx context.Context, id int64, limit time.Duration) error {
	return c.ask(ctx, httpclient.Request{
		Stage: "delete message " + strconv.FormatInt(id, 10) + " at", Method: http.MethodDelete,
		Path: "/messages/" + strconv.FormatInt(id, 10), Limit: limit,
	}, nil)
}
