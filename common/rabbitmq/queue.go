package rabbitmq

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Queue is one queue as far as it is known.
type Queue struct {
	Name       string
	Type       string // classic, quorum, stream; the totals name a stopped one's module; empty before 3.8
	State      string // running, idle, flow, down, stopped ...; empty while not known
	Durable    bool
	Exclusive  bool
	AutoDelete bool

	// Messages are Ready and Unacknowledged together: what a worker holds
	// is still in the queue.
	Messages, Ready, Unacknowledged Number
	// Live says that the three come from the queue itself and not from
	// statistics that may be seconds old.
	Live bool

	Consumers Number
	// Rates per second over the last collection interval; not known where
	// nothing of the kind has happened since the broker knows the queue.
	PublishRate, DeliverRate, AckRate, RedeliverRate Number
	// Left counts the messages that consumers have acknowledged or were given
	// without asking for it, Redelivered those that were given out again, both
	// since the broker keeps statistics of the queue. Not known where it has
	// none of the messages: nothing has happened to them, or they are not
	// counted at all (management.rates_mode = none).
	Left, Redelivered Number
	// Head is the time that its publisher has stamped on the first message;
	// zero where there is none.
	Head time.Time
}

// Transient reports whether the queue comes and goes with its users, so that
// nobody can expect it to be there or to be consumed.
func (q *Queue) Transient() bool { return !q.Durable || q.Exclusive || q.AutoDelete }

// Stream reports whether the queue is a log that keeps its messages when they
// are consumed.
func (q *Queue) Stream() bool { return q.Type == "stream" || q.Type == "rabbit_stream_queue" }

// Quorum reports whether the queue is replicated. Its totals are what its
// leader last told the broker, every 5 s (quorum_tick_interval), and zero
// before it has said anything (3.10 to 4.x).
func (q *Queue) Quorum() bool { return q.Type == "quorum" || q.Type == "rabbit_quorum_queue" }

// Down reports whether the broker says that the queue cannot be used: its
// node is gone, its process or vhost has crashed, or it has lost its quorum.
func (q *Queue) Down() bool {
	switch q.State {
	case "down", "nodedown", "stopped", "crashed", "terminated", "minority":
		return true
	}
	return false
}

// Number is a number that the broker may not know: a missing key, null, an
// empty list or a word in its place is no zero.
type Number struct {
	Value float64
	Known bool
}

// Known makes a known number.
func Known(v float64) Number { return Number{Value: v, Known: true} }

// Above reports whether the number is known and above v.
func (n Number) Above(v float64) bool { return n.Known && n.Value > v }

// maxNumber is the largest number that a broker can mean: up to here a
// float64 holds every integer.
const maxNumber = 1 << 53

// UnmarshalJSON takes numbers from zero to maxNumber; everything else is not
// known. Statistics have been seen below zero after a node went down.
func (n *Number) UnmarshalJSON(data []byte) error {
	*n = Number{}
	v, err := strconv.ParseFloat(string(data), 64)
	if err == nil && v >= 0 && v <= maxNumber {
		*n = Known(v)
	}
	return nil
}

// MarshalJSON writes what UnmarshalJSON reads: the number, or null.
func (n Number) MarshalJSON() ([]byte, error) {
	if !n.Known {
		return []byte("null"), nil
	}
	return json.Marshal(n.Value)
}

// Page is one page of the list of queues, or all of it where the broker knows
// no pages.
type Page struct {
	Queues []Queue
	Page   int // from 1; 0 for a list without pages
	Pages  int
	Total  int // queues of the vhost
	// Statistics says that a queue at least has values of the statistics,
	// which an answer of totals has not.
	Statistics bool
}

type pageJSON struct {
	Items *[]queueJSON `json:"items"`
	Count *int         `json:"item_count"`
	Page  int          `json:"page"`
	Pages int          `json:"page_count"`
	Total *int         `json:"total_count"`
}

type queueJSON struct {
	Name           *string   `json:"name"`
	Type           string    `json:"type"`
	State          word      `json:"state"`
	Durable        bool      `json:"durable"`
	Exclusive      bool      `json:"exclusive"` // null for quorum queues
	AutoDelete     bool      `json:"auto_delete"`
	Messages       Number    `json:"messages"`
	Ready          Number    `json:"messages_ready"`
	Unacknowledged Number    `json:"messages_unacknowledged"`
	Consumers      Number    `json:"consumers"`
	Head           Number    `json:"head_message_timestamp"`
	Stats          rateStats `json:"message_stats"`
}

// word is a string where the broker may also put something else.
type word string

func (w *word) UnmarshalJSON(data []byte) error {
	var s string
	*w = ""
	if json.Unmarshal(data, &s) == nil {
		*w = word(s)
	}
	return nil
}

// rateStats takes an object; an empty Erlang list, which the broker writes for
// an empty object, is nothing known.
type rateStats struct {
	Given                                   bool // there is something in it
	Publish, Deliver, Ack, Redeliver        rate
	Acked, Unasked, GotUnasked, Redelivered Number // counters
}

type rate struct {
	Rate Number `json:"rate"`
}

func (r *rate) UnmarshalJSON(data []byte) error {
	type plain rate
	*r = rate{}
	if data[0] != '{' {
		return nil
	}
	return json.Unmarshal(data, (*plain)(r))
}

func (s *rateStats) UnmarshalJSON(data []byte) error {
	*s = rateStats{}
	if data[0] != '{' {
		return nil
	}
	var object struct {
		Publish   rate `json:"publish_details"`
		Deliver   rate `json:"deliver_get_details"`
		Ack       rate `json:"ack_details"`
		Redeliver rate `json:"redeliver_details"`

		Acked       Number `json:"ack"`
		Unasked     Number `json:"deliver_no_ack"`
		GotUnasked  Number `json:"get_no_ack"`
		Redelivered Number `json:"redeliver"`
	}
	if err := json.Unmarshal(data, &object); err != nil {
		return err
	}
	*s = rateStats{len(bytes.Trim(data, "{} \n")) > 0, object.Publish, object.Deliver, object.Ack, object.Redeliver,
		object.Acked, object.Unasked, object.GotUnasked, object.Redelivered}
	return nil
}

// ParsePage reads an answer of GET /api/queues/VHOST, with pages or without.
// What is no such answer is an error, never an empty list.
func ParsePage(data []byte) (Page, error) {
	data = bytes.TrimSpace(data)
	if len(data) > 0 && data[0] == '[' {
		var items []queueJSON
		if err := json.Unmarshal(data, &items); err != nil {
			return Page{}, jsonError(err)
		}
		return makePage(items, Page{Pages: 1, Total: len(items)})
	}
	var p pageJSON
	if err := json.Unmarshal(data, &p); err != nil {
		return Page{}, jsonError(err)
	}
	switch {
	case p.Items == nil || p.Total == nil:
		return Page{}, errors.New("no list of queues in it")
	case p.Count != nil && *p.Count != len(*p.Items):
		return Page{}, fmt.Errorf("it says that it holds %d queues and holds %d", *p.Count, len(*p.Items))
	case p.Page < 1 || p.Pages < 0 || p.Pages > max(*p.Total, 1) || *p.Total < len(*p.Items) || p.Pages <= 1 && *p.Total != len(*p.Items):
		return Page{}, fmt.Errorf("page %d of %d with %d of %d queues cannot be", p.Page, p.Pages, len(*p.Items), *p.Total)
	}
	return makePage(*p.Items, Page{Page: p.Page, Pages: p.Pages, Total: *p.Total})
}

func makePage(items []queueJSON, p Page) (Page, error) {
	p.Queues = make([]Queue, 0, len(items))
	for i := range items {
		q := &items[i]
		if q.Name == nil {
			return Page{}, fmt.Errorf("queue %d of the list has no name", i+1)
		}
		p.Queues = append(p.Queues, q.queue())
		p.Statistics = p.Statistics || q.Consumers.Known
	}
	return p, nil
}

func (q *queueJSON) queue() Queue {
	made := Queue{
		Name: *q.Name, Type: q.Type, State: string(q.State),
		Durable: q.Durable, Exclusive: q.Exclusive, AutoDelete: q.AutoDelete,
		Messages: q.Messages, Ready: q.Ready, Unacknowledged: q.Unacknowledged, Consumers: q.Consumers,
		PublishRate: q.Stats.Publish.Rate, DeliverRate: q.Stats.Deliver.Rate,
		AckRate: q.Stats.Ack.Rate, RedeliverRate: q.Stats.Redeliver.Rate,
	}
	if q.Consumers.Known && q.Stats.Given {
		// The statistics leave out what has not happened yet.
		made.Left = Known(q.Stats.Acked.Value + q.Stats.Unasked.Value + q.Stats.GotUnasked.Value)
		made.Redelivered = Known(q.Stats.Redelivered.Value)
	}
	if q.Head.Above(0) && q.Head.Value < maxUnix {
		made.Head = time.Unix(int64(q.Head.Value), 0)
	}
	return made
}

// parseQueue reads an answer of GET /api/queues/VHOST/NAME.
func parseQueue(data []byte) (Queue, error) {
	var q queueJSON
	if err := json.Unmarshal(data, &q); err != nil {
		return Queue{}, jsonError(err)
	}
	if q.Name == nil {
		return Queue{}, errors.New("no queue in it")
	}
	return q.queue(), nil
}

// maxUnix is the year 9999 in Unix seconds. A time beyond it was stamped in
// other units than the protocol's seconds and says nothing.
const maxUnix = 253402300800

// jsonError keeps the position and drops the library's Go type names.
func jsonError(err error) error {
	var typeErr *json.UnmarshalTypeError
	if errors.As(err, &typeErr) && typeErr.Field == "" {
		return fmt.Errorf("a %s where something else is due", typeErr.Value)
	}
	if typeErr != nil {
		return fmt.Errorf("a %s where something else is due (%s, byte %d)", typeErr.Value, typeErr.Field, typeErr.Offset)
	}
	return err
}
