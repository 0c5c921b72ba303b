package sendreceivetime

import (
	"context"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/testbed/zulipserver"
)

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func makeFIFO(t *testing.T) string {
	t.Helper()
	path := t.TempDir() + "/fifo"
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefinition(t *testing.T) {
	if err := Definition.Validate(); err != nil {
		t.Error(err)
	}
}

// The critical limit of 12 s must be reachable before the wait is given up.
func TestTheWaitIsLongerThanItsLimit(t *testing.T) {
	work := Definition.Timeout - tidyTime - 250*time.Millisecond
	if wait := work - registrationLimit(work); wait <= 12*time.Second {
		t.Errorf("with the default timeout %s the message has %s after the slowest registration; want more than 12s", Definition.Timeout, wait)
	}
	for _, left := range []time.Duration{100 * time.Millisecond, time.Second, 3 * time.Second, 8 * time.Second, time.Minute} {
		if limit := registrationLimit(left); limit <= 0 || limit > left*3/4 {
			t.Errorf("registrationLimit(%s) = %s; want some, and at most three quarters", left, limit)
		}
	}
}

func TestValuesAndRequests(t *testing.T) {
	s := newStage(t, zulipserver.Options{})
	d := look(t, context.Background(), s.args()...)
	if d.State != "OK" || d.Target != strings.TrimPrefix(s.URL(), "http://") {
		t.Errorf("look = %s %s of target %q; want OK of %s", d.State, d.Text, d.Target, s.URL())
	}
	end, ok1 := value(d, "end_to_end", "")
	accepted, ok2 := value(d, "acceptance", "")
	registered, ok3 := value(d, "registration", "")
	if !ok1 || !ok2 || !ok3 || accepted <= 0 || end <= accepted || registered <= 0 {
		t.Errorf("end_to_end %v, acceptance %v, registration %v; want all above 0 and the first above the second", end, accepted, registered)
	}
	for _, bot := range []string{"sender", "receiver"} {
		// Two requests each of Django and of Tornado, which count apart.
		if left, ok := value(d, "rate_limit_remaining", bot); !ok || left < 197 || left > 199 {
			t.Errorf("rate_limit_remaining of the %s = %v, %v; want 197 to 199 of 200", bot, left, ok)
		}
	}
	var asked []string
	for _, r := range s.Requests() {
		if !strings.HasPrefix(r.UserAgent, "BelfryMonitoring/") {
			t.Errorf("%s has User-Agent %q; want BelfryMonitoring/<version>", r.Endpoint, r.UserAgent)
		}
		asked = append(asked, strings.TrimSuffix(r.User, "@chat.example.org")+" "+string(r.Endpoint))
	}
	if len(asked) != 5 || asked[0] != "receive-bot POST /api/v1/register" || asked[1] != "send-bot POST /api/v1/messages" || asked[2] != "receive-bot GET /api/v1/events" {
		t.Errorf("requests %q; want register, send, one poll and two deletions", asked)
	}
}

func TestQueueIsNarrow(t *testing.T) {
	s := newStage(t, zulipserver.Options{})
	s.Fail(zulipserver.DeleteQueue, zulipserver.Page(502))
	look(t, context.Background(), s.args()...)
	queues := s.Queues()
	if len(queues) != 1 || queues[0].Markdown || strings.Join(queues[0].EventTypes, ",") != "message" || queues[0].Owner != s.receiver.Email {
		t.Errorf("queues %+v; want one of the receiver for messages, Markdown off", queues)
	}
}

func TestOneBotForBoth(t *testing.T) {
	s := newStage(t, zulipserver.Options{})
	d := look(t, context.Background(), "--sender-zuliprc", s.senderRC, "--receiver-zuliprc", s.senderRC)
	if messages, queues := s.leftOver(); d.State != "OK" || messages != 0 || queues != 0 {
		t.Errorf("one bot for both = %s %s, %d messages and %d queues left; want OK and none", d.State, d.Text, messages, queues)
	}
}

// Tornado starts anew while the message is on its way.
func TestRestartWhileWaiting(t *testing.T) {
	for name, keep := range map[string]bool{"with its queues": true, "without its queues": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, zulipserver.Options{})
			s.Set(func(k *zulipserver.Knobs) { k.DeliveryDelay = time.Second })
			restarted := make(chan struct{})
			go func() {
				defer close(restarted)
				s.awaitPoll(t)
				s.Restart(keep)
			}()
			d := look(t, context.Background(), s.args()...)
			<-restarted
			if messages, queues := s.leftOver(); d.State != "OK" || messages != 0 || queues != 0 {
				t.Errorf("restart %s = %s %s, %d messages and %d queues left; want OK and none", name, d.State, d.Text, messages, queues)
			}
			if lost := strings.Contains(d.Text, "after the server had lost the event queue"); lost == keep {
				t.Errorf("restart %s: %s; want the lost queue named: %v", name, d.Text, !keep)
			}
		})
	}
}

// awaitPoll returns when the receiver waits for events.
func (s *stage) awaitPoll(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if q := s.Queues(); len(q) > 0 && q[0].Waiting {
			return
		}
	}
	t.Error("nobody waited for events within 10s")
}

// A look that is interrupted tidies up all the same and blames nobody.
func TestInterrupted(t *testing.T) {
	s := newStage(t, zulipserver.Options{})
	s.Set(func(k *zulipserver.Knobs) { k.DropDelivery = true })
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		s.awaitPoll(t)
		cancel()
	}()
	d := look(t, ctx, s.args()...)
	if d.State != "UNKNOWN" || !strings.Contains(d.Text, "interrupted") || len(d.Rows) != 1 {
		t.Errorf("interrupted look = %s %s, rows %+v; want UNKNOWN, interrupted, and no other row", d.State, d.Text, d.Rows)
	}
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		messages, queues := s.leftOver()
		if messages == 0 && queues == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d messages and %d queues are left after the interruption; want none", messages, queues)
		}
	}
}

func TestOptionsAreRefused(t *testing.T) {
	s := newStage(t, zulipserver.Options{})
	other := writeRC(t, "other", "[api]\nemail=a-bot@other.example.org\nkey=k\nsite=https://other.example.org\n")
	noSite := writeRC(t, "no-site", "[api]\nemail=a-bot@other.example.org\nkey=k\n")
	key := writeRC(t, "key", s.receiver.APIKey)
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"nothing", nil, "no sender: give --sender-zuliprc FILE, or --sender-email with --sender-key-file"},
		{"no receiver", []string{"--sender-zuliprc", s.senderRC}, "no receiver: give --receiver-zuliprc FILE"},
		{"email without key", []string{"--sender-zuliprc", s.senderRC, "--receiver-email", "a@b"}, "no receiver"},
		{"both ways", append(s.args(), "--sender-email", "a@b", "--sender-key-file", key), "exclude each other"},
		{"odd email", []string{"--sender-zuliprc", s.senderRC, "--receiver-email", "a:b@c", "--receiver-key-file", key}, "--receiver-email: the bot's email must look like"},
		{"two organizations", []string{"--sender-zuliprc", s.senderRC, "--receiver-zuliprc", other}, "the bots must be of one organization"},
		{"no site", []string{"--sender-zuliprc", noSite, "--receiver-zuliprc", noSite}, "no site of the sender"},
		{"odd site", append(s.args(), "--site", "https://user:SECRET@chat"), "site must hold no user or password"},
		{"key on the command line", append(s.args(), "--sender-key", "SECRET"), "use --sender-key-file"},
	}
	for _, tt := range tests {
		d := ""
		if tt.name == "key on the command line" {
			d = text(t, tt.args...)
		} else {
			doc := look(t, context.Background(), tt.args...)
			if d = doc.Text; doc.State != "UNKNOWN" || doc.Reason != "config" {
				t.Errorf("%s: %s, reason %s; want UNKNOWN, config", tt.name, doc.State, doc.Reason)
			}
		}
		if !strings.Contains(d, tt.want) || strings.Contains(d, "SECRET") {
			t.Errorf("%s: %s; want %q and no secret", tt.name, d, tt.want)
		}
	}
	if n := len(s.Requests()); n != 0 {
		t.Errorf("%d requests were made with refused options; want none", n)
	}
}

func TestNotices(t *testing.T) {
	tests := []struct {
		site, extra, want string
	}{
		{"http://chat.example.org", "", "API keys sent without TLS"},
		{"http://127.0.0.1:9991", "", ""},
		{"http://localhost", "", ""},
		{"https://chat.example.org", "", ""},
		{"https://chat.example.org", "insecure=true\n", "TLS certificate not verified"},
	}
	for _, tt := range tests {
		path := writeRC(t, "rc", "[api]\nemail=a@b\nkey=k\nsite="+tt.site+"\n"+tt.extra)
		flags := newFlagSet()
		p := newProbe(flags)
		if err := flags.Parse([]string{"--sender-zuliprc", path, "--receiver-zuliprc", path}); err != nil {
			t.Fatal(err)
		}
		setup, err := p.Prepare()
		if err != nil || setup.Notice != tt.want {
			t.Errorf("site %s %q: notice %q, %v; want %q", tt.site, tt.extra, setup.Notice, err, tt.want)
		}
	}
}

// A timeout that leaves no time is the operator's mistake, not the server's.
func TestNoTime(t *testing.T) {
	s := newStage(t, zulipserver.Options{})
	d := look(t, context.Background(), append(s.args(), "-t", "0.1")...)
	if d.State != "UNKNOWN" || !strings.Contains(d.Text, "give it more with -t") {
		t.Errorf("look with -t 0.1 = %s %s; want UNKNOWN that asks for more time", d.State, d.Text)
	}
	if n := len(s.Requests()); n != 0 {
		t.Errorf("%d requests; want none", n)
	}
}
