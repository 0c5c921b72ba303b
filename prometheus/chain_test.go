package prometheus

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/scene"
	"github.com/belfry-monitoring/belfry/testbed/zulipserver"
)

// delivery is what Alertmanager told a receiver of one alert.
type delivery struct {
	receiver, status string
	labels           map[string]string
	summary          string
	at               time.Time
}

func (d delivery) String() string {
	return fmt.Sprintf("%s %s %s/%s %q", d.receiver, d.status, d.labels["alertname"], d.labels["target"], d.summary)
}

// listener takes what Alertmanager delivers.
type listener struct {
	*httptest.Server
	mu  sync.Mutex
	got []delivery
}

func listen(t *testing.T) *listener {
	l := &listener{}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
		var message struct {
			Alerts []struct {
				Status              string
				Labels, Annotations map[string]string
			}
		}
		if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&message); err != nil {
			t.Errorf("Alertmanager delivers what is no message: %v", err)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, a := range message.Alerts {
			l.got = append(l.got, delivery{strings.TrimPrefix(r.URL.Path, "/"), a.Status, a.Labels, a.Annotations["summary"], time.Now()})
		}
	}))
	t.Cleanup(l.Close)
	return l
}

func (l *listener) deliveries() []delivery {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.got)
}

// await waits for a delivery and returns the first.
func (l *listener) await(t *testing.T, receiver, status, alert string) delivery {
	t.Helper()
	var found delivery
	testbed.WaitFor(t, 3*time.Minute, receiver+" to be told "+status+" of "+alert, func() error {
		for _, d := range l.deliveries() {
			if d.receiver == receiver && d.status == status && d.labels["alertname"] == alert {
				found = d
				return nil
			}
		}
		return fmt.Errorf("delivered so far: %v", l.deliveries())
	})
	return found
}

// The whole chain, with the shipped rules and the shipped alertmanager.yml: a
// database is stopped, the exporter says so, Prometheus fires, Alertmanager
// delivers one page and none for the chat that fails with it; the database
// comes back, and that is delivered too. Then the exporter dies. Only the
// receivers' address differs from what is shipped, and times are shorter.
func TestChain(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	hook := listen(t)
	zulip := zulipserver.New(zulipserver.Options{})
	if err := zulip.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { zulip.Close() })
	zulip.Set(func(k *zulipserver.Knobs) { k.RateLimit = 100_000 })
	bot := func(name string) string {
		return bed.WriteFileFor("nobody", name, zulip.Zuliprc(zulip.AddUser(zulipserver.User{Email: name + "@zulip.example", Bot: true})), 0o400)
	}
	database := bed.Postgres(testbed.PostgresOptions{})
	e := bed.Exporter(testbed.ExporterOptions{Config: scene.Config("defaults:\n  interval: 1s\n  timeout: 1s\nspread: 0s\n", []scene.Setting{
		{Check: "postgres_replication_lag", Target: "db", Options: scene.One(map[string]string{
			"host": fmt.Sprintf("%s:%d", database.Host, database.Port), "user": "monitor", "standbys": "0",
			"password-file": bed.WriteFileFor("nobody", "pw", database.Password(testbed.RoleMonitor)+"\n", 0o400)})},
		{Check: "send_receive_time", Target: "chat", Options: scene.One(map[string]string{
			"sender-zuliprc": bot("sender"), "receiver-zuliprc": bot("receiver")})},
	})})
	config, err := os.ReadFile(alertmanagerFile)
	if err != nil {
		t.Fatal(err)
	}
	am := bed.Alertmanager(testbed.AlertmanagerOptions{Config: hasten(strings.ReplaceAll(string(config), "http://127.0.0.1:9096", hook.URL))})
	p := bed.Prometheus(testbed.PrometheusOptions{
		Files: shipped(t),
		Config: fmt.Sprintf(`
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: ["belfry_*.yml"]
alerting:
  alertmanagers: [{static_configs: [{targets: ["127.0.0.1:%d"]}]}]
scrape_configs:
- job_name: belfry
  static_configs: [{targets: ["127.0.0.1:%d"]}]
`, am.Port, e.Port)})

	const page, chat = "BelfryPostgresReplicationLagCritical", "BelfrySendReceiveTimeCritical"
	state := func(target string, want float64) {
		t.Helper()
		expr := fmt.Sprintf("belfry_check_state{target=%q}", target)
		p.Await(2*time.Minute, expr, func(samples []testbed.Sample) error {
			if len(samples) != 1 || samples[0].Value != want {
				return fmt.Errorf("%s = %v; want %v", expr, samples, want)
			}
			return nil
		})
	}
	firing := func(alert string, want int) {
		t.Helper()
		p.Await(2*time.Minute, fmt.Sprintf(`ALERTS{alertname=%q,alertstate="firing"}`, alert), func(samples []testbed.Sample) error {
			if len(samples) != want {
				return fmt.Errorf("%s fires: %v; want %d", alert, samples, want)
			}
			return nil
		})
	}
	var began time.Time
	step := func(what string, at time.Time) { t.Logf("%6.1f s  %s", at.Sub(began).Seconds(), what) }

	state("db", 0)
	state("chat", 0)
	// Its rules must have seen it well for as long as they look back.
	p.Await(2*time.Minute, `count_over_time(belfry_check_state{target="db"}[30s])`, func(samples []testbed.Sample) error {
		if len(samples) != 1 || samples[0].Value < 8 {
			return fmt.Errorf("looks so far: %v; want 8", samples)
		}
		return nil
	})
	if got := p.Query(`ALERTS{severity="critical"}`); len(got) != 0 {
		t.Errorf("alerts while all is well: %v", got)
	}

	began = time.Now()
	database.Stop()
	zulip.Fail(zulipserver.Every, zulipserver.Page(502)) // it stands on the database
	step("PostgreSQL has stopped, and Zulip answers 502", time.Now())
	state("db", 2)
	step("belfry_check_state is 2 in Prometheus", time.Now())
	firing(page, 1)
	step(page+" fires", time.Now())
	told := hook.await(t, "pager", "firing", page)
	step("the pager is told: "+told.summary, told.at)
	if !strings.Contains(told.summary, "of db is CRITICAL") || !strings.Contains(told.summary, "Failed: dial") {
		t.Errorf("the page says %q; want the target, the state and why", told.summary)
	}
	firing(chat, 1) // and Alertmanager keeps it to itself

	// Prometheus is restarted: nobody is told that the database is well.
	p.Stop()
	p.Start()
	firing(page, 1)
	firing(chat, 1)

	began = time.Now()
	database.Start()
	zulip.Heal()
	zulip.Set(func(k *zulipserver.Knobs) { k.RateLimit = 100_000 })
	step("PostgreSQL has started", time.Now())
	state("db", 0)
	step("belfry_check_state is 0 in Prometheus", time.Now())
	firing(page, 0)
	step(page+" ends, after keep_firing_for", time.Now())
	told = hook.await(t, "pager", "resolved", page)
	step("the pager is told: resolved", told.at)
	firing(chat, 0) // and what silences it is there for longer

	for _, d := range hook.deliveries() {
		if d.receiver == "pager" && d.labels["alertname"] != page {
			t.Errorf("a second page for one fault: %v", d)
		}
		if d.status == "resolved" && d.at.Before(began) {
			t.Errorf("resolved before the database was back: %v", d)
		}
	}

	began = time.Now()
	e.Kill()
	firing("BelfryExporterDown", 1)
	step("the exporter was killed, and BelfryExporterDown fires", time.Now())
	told = hook.await(t, "pager", "firing", "BelfryExporterDown")
	step("the pager is told: "+told.summary, told.at)
	e.Start()
	told = hook.await(t, "pager", "resolved", "BelfryExporterDown")
	step("the exporter was started, and the pager is told: resolved", told.at)
}
