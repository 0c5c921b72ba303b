package sendreceivetime

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/sendreceive"
	"github.com/belfry-monitoring/belfry/common/zulip"
)

const (
	// tidyTime is reserved for deleting message and queue. Of the default
	// 20 s it leaves 17.75 s to the work, of which the registration may take
	// a quarter: the message has 13.3 s at least, more than its critical 12 s.
	tidyTime = 2 * time.Second
	// leastTime is what a look takes at least that can tell anything of the
	// server; with less, its "timed out" would be the operator's doing.
	leastTime = 100 * time.Millisecond
	// pauseAfterError is waited before events are asked for again after an
	// error: Tornado takes some seconds to start.
	pauseAfterError = 500 * time.Millisecond
	// pauseAfterNothing is waited after an answer at once without anything
	// new, so that a server gone mad is not asked in a circle.
	pauseAfterNothing = 250 * time.Millisecond
	// subscriptionLimit is for asking what the receiver is subscribed to, out of
	// the registration's share.
	subscriptionLimit = time.Second
	// busyPolls is how many answers with foreign events are followed at once.
	busyPolls = 20
)

// delivery is one message on its way.
type delivery struct {
	realm            realm
	sender, receiver *zulip.Client
	to               zulip.Recipient
	token            string
	notes            []string

	queues   []*zulip.Queue // all that were registered; the last is in use
	messages []int64        // all that were accepted
	lost     bool           // the server lost a queue

	maybeQueue   bool // there may be a queue that is not in the list
	maybeMessage bool // likewise a message

	sent    time.Time // when the first message was
	outcome sendreceive.Outcome
}

func newDelivery(one realm, to zulip.Recipient) (*delivery, error) {
	sender, err := zulip.New(one.from)
	if err != nil {
		return nil, err
	}
	receiver, err := zulip.New(one.to)
	if err != nil {
		return nil, err
	}
	return &delivery{realm: one, sender: sender, receiver: receiver, to: to, token: sendreceive.Token()}, nil
}

// run takes the look, tidies up whatever came of it, and reports.
func (d *delivery) run(ctx context.Context, r *check.Report) (err error) {
	defer d.sender.Close()
	defer d.receiver.Close()
	work, tidyUp, cancel := check.Reserve(ctx, tidyTime)
	defer cancel()
	defer func() {
		// Deferred, so that a panic leaves nothing behind either.
		tidying, stop := tidyUp()
		defer stop()
		d.tidy(tidying).report(r, d)
		d.rateLimit(r, err)
	}()
	err = d.look(work)
	d.report(r, err)
	return err
}

// report says how far the message came, and counts it as missed where the
// server is to blame for what stopped it.
func (d *delivery) report(r *check.Report, err error) {
	name := d.realm.name
	for _, note := range d.notes {
		r.Note("%s", sendreceive.Named(name, note))
	}
	if d.outcome.GaveUp && d.realm.staging {
		d.outcome.Observe(r, name)
		r.Find(stagingFailed, sendreceive.Named(name, d.outcome.Undelivered()), name)
	} else {
		d.outcome.Report(r, name)
	}
	if isTrouble(err) && !errors.Is(err, context.Canceled) {
		r.Miss(sendreceive.EndToEnd, name)
	}
	if d.lost {
		r.Find(queueLost, sendreceive.Named(name, "the server lost the receiver's event queue while the message was on its way: did Tornado start anew?"), name)
	}
}

// summarize says how all realms did where all is well.
func summarize(r *check.Report, all []*delivery) {
	var slowest *delivery
	for _, d := range all {
		if d != nil && d.outcome.Delivered && (slowest == nil || d.outcome.EndToEnd > slowest.outcome.EndToEnd) {
			slowest = d
		}
	}
	switch {
	case slowest == nil:
	case len(all) == 1:
		r.Summarize("%s", sendreceive.Named(slowest.realm.name, slowest.outcome.Summary()))
	default:
		r.Summarize("delivered in %d realms, slowest %s", len(all), sendreceive.Named(slowest.realm.name, slowest.outcome.Summary()))
	}
}

// fail reports an error as the realm's own.
func (one *realm) fail(r *check.Report, err error) error {
	switch {
	case err == nil:
	case one.staging && !errors.Is(err, context.Canceled):
		r.Find(stagingFailed, sendreceive.Named(one.name, err.Error()), one.name)
		for _, m := range Definition.Metrics {
			r.Absent(m)
		}
	default:
		r.Fail(err, one.name)
	}
	return nil
}

// look sends the message on its way and waits for it. The time of ctx is the
// work's; its steps end a little earlier.
func (d *delivery) look(ctx context.Context) error {
	ctx, cancel := check.Step(ctx, time.Hour) // the last moment for steps, as a deadline
	defer cancel()
	if rest := left(ctx); rest < leastTime {
		return check.Faultf(check.Config, "", "", "the timeout leaves only %s for the look: give it more with -t", check.FormatDuration(max(rest, 0)))
	}
	started := time.Now()
	limit := registrationLimit(left(ctx))
	if err := d.register(ctx, limit); err != nil {
		return err
	}
	d.outcome.Registered, d.outcome.Registration = true, time.Since(started)
	if err := d.subscribed(ctx, min(limit-d.outcome.Registration, subscriptionLimit)); err != nil {
		return err
	}

	d.sent = time.Now()
	if err := d.send(ctx); err != nil {
		return err
	}
	d.outcome.Accepted, d.outcome.Acceptance = true, time.Since(d.sent)

	err := d.await(ctx)
	if zulip.IsQueueLost(err) {
		err = d.again(ctx)
	}
	switch {
	case d.outcome.Delivered:
		return nil
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	case err != nil && !passes(err) && !zulip.IsQueueLost(err):
		return err
	case check.ReasonOf(d.outcome.Trouble) == check.Proxy:
		return d.outcome.Trouble // nobody knows whether it would have been delivered
	}
	d.outcome.GaveUp, d.outcome.Waited = true, time.Since(d.sent)
	return nil
}

// again registers a new queue and sends anew: events of the first message may
// have gone into the lost queue. The time counts from the first message on,
// as it does for a person who waits.
func (d *delivery) again(ctx context.Context) error {
	d.lost, d.outcome.Remark = true, "after the server had lost the event queue"
	err := d.persist(ctx, func() (bool, error) {
		err := d.register(ctx, left(ctx))
		return err == nil, err
	})
	if err == nil && ctx.Err() == nil {
		err = d.send(ctx)
	}
	if err == nil && ctx.Err() == nil {
		err = d.await(ctx)
	}
	if zulip.IsQueueLost(err) {
		d.outcome.Because = "the server lost the receiver's event queue twice (" + err.Error() + ")"
	}
	if passes(err) {
		d.outcome.Trouble = err
	}
	return err
}

// registrationLimit is a quarter of the time, so that the message has the
// rest; where that is very little, up to 2 s, but never more than three
// quarters.
func registrationLimit(left time.Duration) time.Duration {
	return max(left/4, min(2*time.Second, left*3/4))
}

func (d *delivery) register(ctx context.Context, limit time.Duration) error {
	q, maybe, err := d.receiver.Register(ctx, limit)
	if err == nil {
		d.queues = append(d.queues, q)
	}
	d.maybeQueue = d.maybeQueue || maybe
	return err
}

// subscribed makes sure that the receiver gets what is written to the channel:
// otherwise the server would be blamed for not delivering. Where the server
// does not say, the message will.
func (d *delivery) subscribed(ctx context.Context, limit time.Duration) error {
	if d.to.Stream == "" {
		return nil
	}
	err := error(check.Faultf(check.Timeout, "", "", "the registration left no time to ask"))
	if limit > 0 {
		var there bool
		if there, err = d.receiver.Subscribed(ctx, d.to.Stream, limit); err == nil && !there {
			return check.Faultf(check.Config, "", "", "the receiver bot %s is not subscribed to the channel %q, or there is no such channel: subscribe it", d.realm.to.Email, check.Clean(d.to.Stream))
		}
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		d.notes = append(d.notes, fmt.Sprintf("whether the receiver is subscribed to the channel is not known: %v", err))
	}
	return nil
}

func (d *delivery) send(ctx context.Context) error {
	id, maybe, err := d.sender.Send(ctx, d.to, d.queues[len(d.queues)-1].Level, "check_send_receive_time "+d.token, left(ctx))
	if err != nil {
		d.maybeMessage = d.maybeMessage || maybe
		return err
	}
	d.messages = append(d.messages, id)
	return nil
}

// await reads events until the message is among them or the time is over,
// which is no error. A lost queue is an error.
func (d *delivery) await(ctx context.Context) error {
	queue := d.queues[len(d.queues)-1]
	polls := 0
	return d.persist(ctx, func() (bool, error) {
		for {
			messages, fresh, err := d.receiver.Wait(ctx, queue, left(ctx))
			if err != nil {
				return false, err
			}
			for _, m := range messages {
				if strings.Contains(m.Content, d.token) {
					d.outcome.Delivered, d.outcome.EndToEnd = true, time.Since(d.sent)
					return true, nil
				}
			}
			d.outcome.Trouble = nil
			if polls++; (!fresh || polls > busyPolls) && !pause(ctx, pauseAfterNothing) {
				return true, nil
			}
		}
	})
}

// persist tries until it is done, an error is not the server's trouble, or
// the time is over, which is no error: a Tornado that starts anew is a moment
// of 502 pages. The trouble that lasts is kept for the report.
func (d *delivery) persist(ctx context.Context, try func() (done bool, err error)) error {
	for {
		done, err := try()
		if done || err != nil && !passes(err) {
			return err
		}
		if !isSilence(err) {
			d.outcome.Trouble = err
		}
		if !pause(ctx, pauseAfterError) {
			return nil
		}
	}
}

// isTrouble tells errors of a server that may serve again in a moment from
// those that will stay.
func isTrouble(err error) bool {
	return err != nil && check.ReasonOf(err).State() == check.Critical
}

// passes tells what may be over in a moment, a proxy that starts anew included.
func passes(err error) bool {
	return isTrouble(err) || err != nil && check.ReasonOf(err) == check.Proxy
}

// isSilence tells a long poll without an answer, which is how waiting in vain
// ends, from trouble.
func isSilence(err error) bool {
	var fault *check.Fault
	return errors.As(err, &fault) && fault.Reason == check.Timeout && fault.Stage == zulip.WaitStage
}

// left is the time until the deadline.
func left(ctx context.Context) time.Duration {
	end, ok := ctx.Deadline()
	if !ok {
		return time.Hour
	}
	return time.Until(end)
}

// pause waits; false when the time is over before.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// rateLimit reports what the rate limit leaves to each bot.
func (d *delivery) rateLimit(r *check.Report, err error) {
	silent := true
	for _, b := range []struct {
		label  string
		client *zulip.Client
	}{{"sender", d.sender}, {"receiver", d.receiver}} {
		if n, ok := b.client.RateLimitRemaining(); ok {
			r.Observe(rateLimitRemaining, float64(n), b.label, d.realm.name)
			silent = false
		}
	}
	if silent && err == nil {
		r.Note("%s", sendreceive.Named(d.realm.name, "the server names no rate limit"))
	}
}
