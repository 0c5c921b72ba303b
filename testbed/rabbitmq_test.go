package testbed

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

func TestRabbitMQ(t *testing.T) {
	t.Parallel()
	bed := New(t)
	files := tlsFiles(t)
	r := bed.RabbitMQ(RabbitMQOptions{TLS: files, Vhosts: []string{"other"}, Queues: []Queue{{Name: "email_senders"}, {Vhost: "other", Name: "far"}}})

	ca, err := os.ReadFile(files.CA)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	for what, port := range map[string]int{"AMQPS": r.AMQPSPort, "management": r.ManagementTLS} {
		conn, err := tls.Dial("tcp", net.JoinHostPort(r.Host, strconv.Itoa(port)), &tls.Config{RootCAs: roots})
		if err != nil {
			t.Errorf("TLS handshake with the %s port: %v", what, err)
			continue
		}
		conn.Close()
	}

	mails := Queue{Name: "email_senders"}
	r.Publish(mails, 30, time.Now())
	stuck := r.Consume(mails, 10, -1)
	r.Declare(Queue{Name: "fresh"})
	WaitFor(t, 10*time.Second, "the prefetch to fill", func() error {
		return wantTotals(r, map[string][2]int{"email_senders": {20, 10}, "fresh": {0, 0}})
	})
	stuck.Stop()
	worker := r.Consume(mails, 10, 0)
	WaitFor(t, 10*time.Second, "the queue to drain", func() error {
		return wantTotals(r, map[string][2]int{"email_senders": {0, 0}, "fresh": {0, 0}})
	})

	if status, body := r.Get(UserBlind, "/api/queues"); status != http.StatusOK || body != "[]" {
		t.Errorf("queues seen by %s = %d %s; want 200 []", UserBlind, status, body)
	}
	if status, _ := r.Get(UserManagement, "/api/nodes"); status != http.StatusUnauthorized {
		t.Errorf("nodes seen by %s: status %d; want 401", UserManagement, status)
	}
	if out := r.Ctl("list_vhosts", "--quiet", "--no-table-headers"); out != "/\nother\n" && out != "other\n/\n" {
		t.Errorf("rabbitmqctl list_vhosts = %q; want / and other", out)
	}

	superviseAWorker(t, bed, r)

	worker.Stop()
	r.Delete(Queue{Name: "fresh"})
	r.Publish(mails, 3, time.Time{})
	WaitFor(t, 10*time.Second, "the deletion", func() error {
		return wantTotals(r, map[string][2]int{"email_senders": {3, 0}})
	})
	r.Freeze()
	r.Thaw()
	r.Kill() // an orderly Stop takes 6 s
	r.Start()
	// Confirmed messages survive a crash; the deletion of the other queue need not.
	WaitFor(t, 10*time.Second, "the messages after the restart", func() error {
		got, err := totals(r)
		if want := [2]int{3, 0}; err == nil && got["email_senders"] != want {
			err = fmt.Errorf("got %v; want email_senders %v", got, want)
		}
		return err
	})
}

func wantTotals(r *RabbitMQ, want map[string][2]int) error {
	got, err := totals(r)
	if err != nil {
		return err
	}
	return diff(got, want)
}

// totals are the live counters, ready and unacknowledged, of all queues of / as the monitoring user sees them.
func totals(r *RabbitMQ) (map[string][2]int, error) {
	_, body, err := r.get(UserMonitor, "/api/queues/%2F?disable_stats=true&enable_queue_totals=true")
	if err != nil {
		return nil, err
	}
	var queues []struct {
		Name    string
		Ready   int `json:"messages_ready"`
		Unacked int `json:"messages_unacknowledged"`
	}
	if err := json.Unmarshal([]byte(body), &queues); err != nil {
		return nil, err
	}
	got := map[string][2]int{}
	for _, q := range queues {
		got[q.Name] = [2]int{q.Ready, q.Unacked}
	}
	return got, nil
}

// superviseAWorker goes through what a worker under a supervisor can do.
func superviseAWorker(t *testing.T, bed *Bed, r *RabbitMQ) {
	stats := bed.MkdirFor("nobody", "queue_stats", 0o755)
	s := bed.Supervised(SupervisedOptions{Name: "supervised", Argv: ZulipWorker("digests"), MiB: 5, Broker: r, Queue: "digests", Stats: stats})
	q := Queue{Name: "digests"}
	await := func(what string, want [2]int) {
		t.Helper()
		WaitFor(t, 20*time.Second, what, func() error {
			return wantTotals(r, map[string][2]int{"email_senders": {0, 0}, "fresh": {0, 0}, "digests": want})
		})
	}
	restarted := func(what string, old int) {
		t.Helper()
		WaitFor(t, 20*time.Second, what, func() error {
			if pid := s.WorkerPID(); pid == 0 || pid == old {
				return fmt.Errorf("worker %d; want another than %d", pid, old)
			}
			return nil
		})
	}
	r.Declare(q)
	r.Publish(q, 20, time.Time{})
	await("the worker to empty its queue", [2]int{0, 0})
	WaitFor(t, 10*time.Second, "its statistics", func() error {
		_, err := os.Stat(filepath.Join(stats, "digests.stats"))
		return err
	})
	s.Stick()
	r.Publish(q, 7, time.Time{})
	await("the stuck worker to take all", [2]int{0, 7})
	old := s.WorkerPID()
	s.Restart()
	restarted("another worker", old)
	await("the new worker to empty the queue", [2]int{0, 0})
	old = s.WorkerPID()
	s.Crash()
	restarted("a worker that crashes", old)
	restarted("the next one", s.WorkerPID())
	s.Mend()
	s.Stop()
	r.Delete(q)
}
