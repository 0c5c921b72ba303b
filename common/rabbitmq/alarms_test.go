package rabbitmq

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/belfry-monitoring/belfry/common/check"
)

func TestAlarms(t *testing.T) {
	const raised = `{"alarms":[{"node":"test@localhost","resource":"memory"}],"reason":"There are alarms in effect in the cluster","status":"failed"}`
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   string // alarms, known
		reason check.Reason
	}{
		{"none", 200, `{"status":"ok"}`, "[] true", ""},
		{"memory", 503, raised, "[{test@localhost memory}] true", ""},
		{"tag management only", 401, string(recording(t, "refused-tag.json")), "[] false", ""},
		{"before 3.8.10", 404, `{"error":"Object Not Found","reason":"Not Found"}`, "[] false", ""},
		{"a proxy without broker", 503, "<html>503</html>", "[] false", check.Unavailable},
		{"a broker that starts", 503, `{"error":"x","reason":"starting"}`, "[] false", check.Unavailable},
		{"nothing said", 200, `{}`, "[] false", check.Data},
		{"well and not well", 200, raised, "[] false", check.Data},
		{"empty", 200, "", "[] false", check.Data},
		{"broken", 500, "", "[] false", check.Unavailable},
	} {
		client := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/api/health/checks/alarms" {
				t.Errorf("%s: asks for %s", c.name, r.URL)
			}
			w.WriteHeader(c.status)
			fmt.Fprint(w, c.body)
		})
		alarms, known, err := client.Alarms(context.Background())
		if got := fmt.Sprint(alarms, known); got != c.want || (err != nil) != (c.reason != "") || err != nil && check.ReasonOf(err) != c.reason {
			t.Errorf("%s: Alarms() = %s, %v; want %s, reason %q", c.name, got, err, c.want, c.reason)
		}
	}
}

// A broker that stops says for a moment that its vhost is not there.
func TestStoppingBroker(t *testing.T) {
	asked := 0
	client := clientOf(t, func(w http.ResponseWriter, _ *http.Request) {
		if asked++; asked == 1 {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, string(recording(t, "no-vhost.json")))
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	if _, err := client.Statistics(context.Background()); check.ReasonOf(err) != check.Unavailable || asked != 2 {
		t.Errorf("404, then 503: %v after %d requests; want unavailable after 2", err, asked)
	}
	asked = 0
	ctx, cancel := context.WithTimeout(context.Background(), stopping)
	defer cancel()
	if _, err := client.Statistics(ctx); !strings.Contains(fmt.Sprint(err), "no vhost of this name") || asked != 1 {
		t.Errorf("without time for a second request: %v after %d; want the first answer", err, asked)
	}
}

func FuzzAlarms(f *testing.F) {
	f.Add([]byte(`{"status":"ok"}`), true)
	f.Add([]byte(`{"status":"failed","alarms":[{"node":"a","resource":"disk"}]}`), false)
	f.Fuzz(func(t *testing.T, body []byte, well bool) {
		if alarms, err := parseAlarms(body, well); err == nil && well != (len(alarms) == 0) {
			t.Errorf("parseAlarms(%q, %v) = %v; want alarms where it is not well, and only there", body, well, alarms)
		}
	})
}
