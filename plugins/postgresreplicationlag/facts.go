package postgresreplicationlag

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/belfry-monitoring/belfry/common/postgres"
)

// facts is what one server says of itself, as query.sql asks it. Pointers are
// nil where the server says NULL: not in this role of the server, not yet, or
// not to this role.
type facts struct {
	name string // of the server

	Recovery           *bool         `json:"recovery"`
	Role               string        `json:"role"`    // that asked
	Granted            bool          `json:"granted"` // has pg_read_all_stats
	Started            string        `json:"started"` // seconds since 1970, to the microsecond: no two servers have the same
	Address            *string       `json:"address"` // its own end of our connection
	Port               *int          `json:"port"`
	System             string        `json:"system"`
	CheckpointTimeline uint32        `json:"checkpoint_timeline"` // of the last (re)start point: late on a standby
	Redo               *postgres.LSN `json:"redo"`                // where that point lies
	SenderTimeout      float64       `json:"sender_timeout"`      // seconds, 0: never
	ReceiverTimeout    float64       `json:"receiver_timeout"`
	StatusInterval     float64       `json:"status_interval"`
	ApplyDelay         float64       `json:"apply_delay"` // seconds
	Synchronous        string        `json:"synchronous"` // synchronous_standby_names
	Archive            bool          `json:"archive"`     // restore_command is set
	Slot               string        `json:"slot"`        // primary_slot_name
	File               string        `json:"file"`        // of the log being written
	Written            *postgres.LSN `json:"written"`
	Received           *postgres.LSN `json:"received"`
	Replayed           *postgres.LSN `json:"replayed"`
	ReplayedAge        *float64      `json:"replayed_age"` // seconds since the commit of the newest replayed transaction
	Paused             bool          `json:"paused"`
	Receiver           *receiver     `json:"receiver"`
	Senders            []sender      `json:"senders"`
	Slots              []slot        `json:"slots"`
	// Conflicts are the queries that recovery has cancelled, by kind, in all
	// databases of a standby (pg_stat_database_conflicts).
	Conflicts     map[string]float64 `json:"conflicts"`
	Subscriptions []subscription     `json:"subscriptions"`
	// Sizes are the settings of which a standby must have as much as its primary,
	// or replay pauses (PostgreSQL documentation, Hot Standby, "Administrator's
	// Overview").
	Sizes map[string]int64 `json:"sizes"`
}

// receiver is a standby's row of pg_stat_wal_receiver.
type receiver struct {
	Status   *string       `json:"status"`
	Timeline *uint32       `json:"timeline"`
	End      *postgres.LSN `json:"end"` // of the primary's log, as its last message said
	Host     *string       `json:"host"`
	Port     *int          `json:"port"`
	Slot     *string       `json:"slot"`
	Age      *float64      `json:"age"`   // seconds since the last message, or since the receiver was started
	Heard    *bool         `json:"heard"` // a message has come since then
}

// sender is a row of pg_stat_replication.
type sender struct {
	PID     int           `json:"pid"`
	Name    string        `json:"name"` // application_name
	Address *string       `json:"address"`
	State   *string       `json:"state"`
	Write   *postgres.LSN `json:"write"`
	Flush   *postgres.LSN `json:"flush"`
	Replay  *postgres.LSN `json:"replay"`
	Lag     *float64      `json:"lag"` // seconds, replay_lag as of the last reply
	Sync    *string       `json:"sync"`
	Age     *float64      `json:"age"` // seconds since the last reply, by the clocks of both
	// Database: it is connected to one, as logical subscribers are, also while
	// they have no slot: a worker that begins, copies a table or ends.
	Database bool `json:"database"`

	label string // tells it apart from others of the same name
}

// slot is a row of pg_replication_slots.
type slot struct {
	Name      string        `json:"name"`
	Type      string        `json:"type"`
	Temporary bool          `json:"temporary"`
	Active    bool          `json:"active"`
	PID       *int          `json:"pid"`
	Restart   *postgres.LSN `json:"restart"`
	Confirmed *postgres.LSN `json:"confirmed"` // confirmed_flush_lsn of a logical slot
	Status    *string       `json:"status"`
	Reason    *string       `json:"reason"`
}

// subscription is a subscription with its main worker's row of
// pg_stat_subscription.
type subscription struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Enabled *bool    `json:"enabled"`
	PID     *int     `json:"pid"`
	Age     *float64 `json:"age"`   // seconds since the last message, or since the worker was started
	Heard   *bool    `json:"heard"` // a message has come since then

	errors *float64 // pg_stat_subscription_stats: since version 15
	label  string   // tells it apart from that of another database
}

// parse reads the answer to query.sql. What every server must say and does
// not is an error, never a zero.
func parse(server string, answer []byte) (*facts, error) {
	f := &facts{name: server}
	if err := json.Unmarshal(answer, f); err != nil {
		return nil, fmt.Errorf("the answer is not the JSON that was asked for: %w", err)
	}
	switch {
	case f.Recovery == nil || f.System == "" || f.CheckpointTimeline == 0:
		return nil, errors.New("the answer says nothing of the server's role or identity")
	case f.writable() && (f.Written == nil || f.timeline() == 0):
		return nil, errors.New("the server became writable while it was looked at: look again")
	case !f.writable() && f.Replayed == nil:
		return nil, errors.New("the standby does not say how far it has replayed")
	}
	label(f.Senders)
	names := make(map[string]int)
	for i := range f.Subscriptions {
		s := &f.Subscriptions[i]
		s.label = s.Name
		if names[s.Name]++; names[s.Name] > 1 {
			s.label += "#" + s.ID
		}
	}
	return f, nil
}

// addErrors reads the answer to errors.sql; null is no row.
func (f *facts) addErrors(answer []byte) error {
	var count map[string]float64
	if err := json.Unmarshal(answer, &count); err != nil {
		return fmt.Errorf("the errors of subscriptions are not the JSON that was asked for: %w", err)
	}
	for i, s := range f.Subscriptions {
		if n, ok := count[s.ID]; ok {
			f.Subscriptions[i].errors = &n
		}
	}
	return nil
}

// writable tells a primary from a standby.
func (f *facts) writable() bool { return !*f.Recovery }

// timeline is the one that the server writes or receives, 0 where it does not
// say. The first 8 digits of the log's file show a promotion at once, the
// control file only after the next checkpoint.
func (f *facts) timeline() uint32 {
	switch {
	case f.writable():
		if len(f.File) < 8 {
			return 0
		}
		n, err := strconv.ParseUint(f.File[:8], 16, 32)
		if err != nil {
			return 0
		}
		return uint32(n)
	case f.Receiver != nil && f.Receiver.Timeline != nil:
		return *f.Receiver.Timeline
	}
	return 0
}

// position is where the server's own log ends: what it has written, or what
// it has received or replayed, whichever is more.
func (f *facts) position() postgres.LSN {
	if f.writable() {
		return *f.Written
	}
	end := *f.Replayed
	if f.Received != nil {
		end = max(end, *f.Received)
	}
	return end
}

// end is where the log ends of which the server knows: its own, or also what
// the server that it receives from has said.
func (f *facts) end() postgres.LSN {
	end := f.position()
	if f.Receiver != nil && f.Receiver.End != nil {
		end = max(end, *f.Receiver.End)
	}
	return end
}

// slowest is what everybody has who takes this server's log, and what it has
// replayed itself.
func (f *facts) slowest() postgres.LSN {
	at := f.position()
	if !f.writable() {
		at = *f.Replayed
	}
	for _, s := range f.Senders {
		if s.Replay != nil {
			at = min(at, *s.Replay)
		}
	}
	for _, s := range f.Slots {
		if s.Confirmed != nil {
			at = min(at, *s.Confirmed)
		}
	}
	return at
}

// copies reports whether a worker of a subscriber copies a table, to go on from
// the slot afterwards. Meanwhile it lets go of the slot, which is a temporary
// one before version 14, and is connected under its name.
func (f *facts) copies(s slot) bool {
	return s.Type == "logical" && !s.Active && strings.Contains(s.Name, "_sync_") &&
		slices.ContainsFunc(f.Senders, func(taker sender) bool { return taker.Database && taker.Name == s.Name })
}

// label gives senders of the same name different labels that stay the same
// as long as they come from the same addresses: neither ports nor process ids
// do. The server sorts them by name, address and age.
func label(senders []sender) {
	names := make(map[string]int)
	for _, s := range senders {
		names[s.Name]++
	}
	taken, count := make(map[string]bool), make(map[string]int)
	for i := range senders {
		s := &senders[i]
		base := s.Name
		if (names[s.Name] > 1 || s.Name == "") && s.Address != nil {
			base = strings.TrimPrefix(s.Name+"@"+*s.Address, "@")
		}
		// A name may look like one that was made here: "a#2".
		for s.label = base; taken[s.label]; {
			count[base]++
			s.label = base + "#" + strconv.Itoa(count[base]+1)
		}
		taken[s.label] = true
	}
}

// kind is what stands behind a sender.
type kind uint8

const (
	standby  kind = iota // replays what it receives
	starting             // has not said yet how far it is
	client               // takes the log and replays nothing: a backup tool, a logical subscriber
	hidden               // only pg_read_all_stats may see it
)

// kindOf tells standbys from the other takers of the log. Only a standby says
// how far it has replayed; a logical subscriber does so too, but connected to a
// database, and through a logical slot.
func (f *facts) kindOf(s sender) kind {
	if s.Database {
		return client
	}
	for _, slot := range f.Slots {
		if slot.Type == "logical" && slot.PID != nil && *slot.PID == s.PID {
			return client
		}
	}
	switch {
	case s.State == nil && !f.Granted:
		return hidden
	case s.Replay != nil:
		return standby
	case s.State != nil && *s.State == "backup", s.Write != nil, s.Flush != nil:
		return client
	}
	switch s.Name {
	case "pg_receivewal", "pg_basebackup", "barman_receive_wal", "pg_recvlogical":
		return client
	}
	return starting
}
