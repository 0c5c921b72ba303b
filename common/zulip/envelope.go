package zulip

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/httpclient"
)

// Error is an answer in which the API says no. It is the cause of a
// *check.Fault.
type Error struct {
	Status int
	Code   string // "BAD_EVENT_QUEUE_ID"; empty from old servers
	Msg    string // for people, in the bot's language: never to be tested
	// RetryAfter is how long a rate limit asks to wait; negative where the
	// server does not say.
	RetryAfter time.Duration

	text string
}

func (e *Error) Error() string { return e.text }

// codeRateLimit and the others are error codes of the API (zerver/lib/exceptions.py).
const (
	codeRateLimit = "RATE_LIMIT_HIT"
	codeBadQueue  = "BAD_EVENT_QUEUE_ID"
	codeNoRealm   = "NONEXISTENT_SUBDOMAIN"
	codeRealmOff  = "REALM_DEACTIVATED"
	codeUserOff   = "USER_DEACTIVATED"
	codeNoStream  = "STREAM_DOES_NOT_EXIST"
)

// maxRetryAfter bounds what a server can make us say.
const maxRetryAfter = 30 * 24 * time.Hour

// IsQueueLost reports that the server does not know the event queue: it
// expired, or the server forgot it when it started anew.
func IsQueueLost(err error) bool {
	var e *Error
	return errors.As(err, &e) && (e.Code == codeBadQueue ||
		e.Code == "" && e.Status == http.StatusBadRequest && strings.HasPrefix(strings.ToLower(e.Msg), "bad event queue id"))
}

// IsRefused reports that the server understood the request and said no, so
// that asking again is of no use.
func IsRefused(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status >= 400 && e.Status < 500 && e.Status != http.StatusTooManyRequests
}

// RetryAfter is how long the rate limit that caused the error asks to wait.
func RetryAfter(err error) (time.Duration, bool) {
	var e *Error
	if errors.As(err, &e) && e.Status == http.StatusTooManyRequests && e.RetryAfter >= 0 {
		return e.RetryAfter, true
	}
	return 0, false
}

// asked says who asked what of whom, for errors.
type asked struct {
	stage, peer, bot string
	now              time.Time
}

// envelope is what every JSON answer carries.
type envelope struct {
	Result     string   `json:"result"`
	Msg        string   `json:"msg"`
	Code       string   `json:"code"`
	RetryAfter *float64 `json:"retry-after"`
}

// read judges an answer and decodes a success into the pointer, if not nil.
// Every error is a *check.Fault.
func (q asked) read(a *httpclient.Answer, into any) error {
	var e envelope
	isJSON := !a.HTML && json.Unmarshal(a.Body, &e) == nil && e.Result != ""
	ok := a.Status >= 200 && a.Status < 300
	switch {
	case isJSON && e.Result == "success" && ok:
		if into == nil {
			return nil
		}
		return a.JSON(q.stage, q.peer, into)
	case isJSON:
		return q.refusal(&Error{Status: a.Status, Code: check.Clean(e.Code), Msg: check.Clean(e.Msg), RetryAfter: retryAfter(e.RetryAfter, a.Header)})
	case a.Status == http.StatusTooManyRequests:
		return q.refusal(&Error{Status: a.Status, RetryAfter: retryAfter(nil, a.Header)})
	case ok:
		if err := a.JSON(q.stage, q.peer, &e); err != nil {
			return err
		}
		return check.Faultf(check.Data, q.stage, q.peer, "JSON without a result: is this a Zulip server?")
	case a.Status >= 500 && a.HTML:
		return check.Faultf(check.Unavailable, q.stage, q.peer, "HTTP %d %s, an HTML page: the web server answers, Zulip behind it does not", a.Status, http.StatusText(a.Status))
	case a.Status == http.StatusNotFound:
		return check.Faultf(check.Config, q.stage, q.peer, "HTTP 404 Not Found: there is no Zulip at this address, or its path is wrong")
	}
	return a.StatusFault(q.stage, q.peer)
}

// refusal gives an error answer its reason and its words.
func (q asked) refusal(e *Error) error {
	said := e.Msg
	switch {
	case e.Code != "" && said != "":
		said += " (" + e.Code + ")"
	case said == "":
		said = "HTTP " + strconv.Itoa(e.Status) + " " + http.StatusText(e.Status)
	}
	fault := func(reason check.Reason, text string) error {
		e.text = text
		return &check.Fault{Reason: reason, Stage: q.stage, Peer: q.peer, Err: e}
	}
	switch {
	case e.Status == http.StatusTooManyRequests || e.Code == codeRateLimit:
		e.Status = http.StatusTooManyRequests
		return fault(check.Permission, "rate limit of the "+q.bot+" is hit, "+q.until(e.RetryAfter))
	case e.Code == codeRealmOff:
		return fault(check.Unavailable, "the organization is deactivated: "+said)
	case e.Code == codeUserOff:
		return fault(check.Auth, "the "+q.bot+" is deactivated: "+said)
	case e.Code == codeNoStream:
		return fault(check.Config, "no such channel, or none that the "+q.bot+" may see: "+said)
	case e.Code == codeNoRealm:
		return fault(check.Config, "no organization at this address: "+said)
	case e.Status == http.StatusUnauthorized:
		return fault(check.Auth, "the API key of the "+q.bot+" is refused: "+said)
	case e.Status >= 500:
		return fault(check.Unavailable, "HTTP "+strconv.Itoa(e.Status)+": "+said)
	case e.Status == http.StatusForbidden:
		return fault(check.Permission, "the "+q.bot+" may not: "+said)
	}
	return fault(check.Data, said)
}

// until says when a rate limit ends.
func (q asked) until(wait time.Duration) string {
	if wait < 0 {
		return "the server does not say until when"
	}
	layout := "15:04:05 MST"
	if wait > 12*time.Hour {
		layout = "2006-01-02 15:04 MST"
	}
	return "until " + q.now.Add(wait).UTC().Format(layout) + " (" + check.FormatDuration(wait.Round(10*time.Millisecond)) + ")"
}

// retryAfter takes the wait from the JSON, which has fractions, or else from
// the header. Negative: not said.
func retryAfter(field *float64, h http.Header) time.Duration {
	seconds := math.NaN()
	if field != nil {
		seconds = *field
	} else if v, err := strconv.ParseFloat(strings.TrimSpace(h.Get("Retry-After")), 64); err == nil {
		seconds = v
	}
	if math.IsNaN(seconds) || seconds < 0 {
		return -1
	}
	return time.Duration(math.Min(seconds, maxRetryAfter.Seconds()) * float64(time.Second))
}

// remaining reads how many requests the rate limit still allows in its
// window.
func remaining(h http.Header) (int, bool) {
	n, err := strconv.ParseUint(strings.TrimSpace(h.Get("X-RateLimit-Remaining")), 10, 31)
	return int(n), err == nil
}
