// Package sendreceive is what the checks that send a message and wait for it
// have in common, whichever the product: their metrics, the token that makes a
// message their own, and the judging of how far it came.
package sendreceive

import (
	"crypto/rand"
	"encoding/hex"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

// The metrics, shared by the checks of all products. The clock is monotonic.
// Their realm is empty where a look has only one.
var (
	EndToEnd = &check.Metric{
		Family: "send_receive", Key: "end_to_end", Title: "end to end", Unit: check.Seconds,
		Help:    "Seconds from sending a message until its receiver got it.",
		Labels:  []string{"realm"},
		Warning: "3", Critical: "12", Buckets: []float64{0.1, 0.25, 0.5, 1, 2, 3, 6, 12},
	}
	Acceptance = &check.Metric{
		Family: "send_receive", Key: "acceptance", Title: "acceptance", Unit: check.Seconds,
		Help:   "Seconds from sending a message until the server had accepted it.",
		Labels: []string{"realm"},
	}
	Registration = &check.Metric{
		Family: "send_receive", Key: "registration", Title: "registration", Unit: check.Seconds,
		Help:   "Seconds until the server had made the receiver's event queue, connecting to it included.",
		Labels: []string{"realm"},
	}
)

// The findings, shared likewise.
var (
	NotDelivered = &check.Finding{
		Key: "not_delivered", State: check.Critical,
		Help:   "the server accepted the message, but the receiver did not get it before the look's time was over",
		Labels: []string{"realm"},
	}
	LeftBehind = &check.Finding{
		Key: "left_behind", State: check.Warning,
		Help:   "the message arrived, but it or the event queue could not be deleted afterwards",
		Labels: []string{"realm"},
	}
)

// Outcome is how far a message came.
type Outcome struct {
	Registered, Accepted, Delivered    bool
	Registration, Acceptance, EndToEnd time.Duration // of what was reached

	GaveUp  bool          // accepted, and not delivered
	Waited  time.Duration // since sending, when the time was over
	Because string        // why it was given up before
	Trouble error         // the last error while waiting

	Remark string // what else happened on the way, for rows and summary
}

// Report turns the outcome into observations of the realm, the finding where
// the message was given up, and the summary where there is one realm only.
func (o *Outcome) Report(r *check.Report, realm string) {
	o.Observe(r, realm)
	switch {
	case o.GaveUp:
		r.Find(NotDelivered, Named(realm, o.Undelivered()), realm)
	case o.Delivered && realm == "":
		r.Summarize("%s", o.Summary())
	}
}

// Observe reports how far a message of the realm came. What kept it
// from being accepted is the caller's to report, and to count as missed.
func (o *Outcome) Observe(r *check.Report, realm string) {
	if o.Registered {
		r.Observe(Registration, o.Registration.Seconds(), realm)
	}
	if o.Accepted {
		r.Observe(Acceptance, o.Acceptance.Seconds(), realm)
	}
	if o.Delivered {
		r.Observe(EndToEnd, o.EndToEnd.Seconds(), realm)
		r.Detail(o.acceptedIn(), realm)
	}
	if o.GaveUp {
		r.Miss(EndToEnd, realm)
		r.Absent(EndToEnd)
	}
}

// Summary says how a message was delivered.
func (o *Outcome) Summary() string {
	return "delivered in " + check.FormatDuration(o.EndToEnd) + " (" + o.acceptedIn() + ")"
}

func (o *Outcome) acceptedIn() string {
	return "accepted in " + check.FormatDuration(o.Acceptance) + o.remark()
}

// Named puts the realm before a text, where there is one.
func Named(realm, text string) string {
	if realm == "" {
		return text
	}
	return realm + ": " + text
}

// Undelivered says how long was waited for what.
func (o *Outcome) Undelivered() string {
	text := "accepted in " + check.FormatDuration(o.Acceptance) + ", but not delivered"
	if o.Because != "" {
		return text + ": " + o.Because
	}
	text += " within " + check.FormatDuration(o.Waited.Round(10*time.Millisecond)) + o.remark()
	if o.Trouble != nil {
		text += "; last error while waiting: " + o.Trouble.Error()
	}
	return text
}

func (o *Outcome) remark() string {
	if o.Remark == "" {
		return ""
	}
	return ", " + o.Remark
}

// Token is a text of 32 characters that no other message holds.
func Token() string {
	var random [16]byte
	rand.Read(random[:]) //nolint:errcheck // never fails: it ends the program instead
	return hex.EncodeToString(random[:])
}
