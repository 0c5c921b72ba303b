package zulip

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/httpclient"
)

const nginx502 = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"

func answer(status int, body string, header ...string) *httpclient.Answer {
	h := http.Header{}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &httpclient.Answer{Status: status, Header: h, Body: []byte(body), HTML: strings.HasPrefix(body, "<")}
}

func question() asked {
	return asked{stage: "ask", peer: "chat:443", bot: "sender bot s@x", now: time.Date(2026, 11, 21, 2, 0, 50, 0, time.UTC)}
}

// The bodies are those of a Zulip server (zerver/lib/exceptions.py, the API
// documentation's examples) and of nginx before it.
func TestReadFaults(t *testing.T) {
	tests := []struct {
		name   string
		answer *httpclient.Answer
		reason check.Reason
		want   string
	}{
		{"wrong key", answer(401, `{"result":"error","msg":"Invalid API key","code":"INVALID_API_KEY"}`+"\n"),
			check.Auth, "ask chat:443: the API key of the sender bot s@x is refused: Invalid API key (INVALID_API_KEY)"},
		{"malformed key", answer(401, `{"result":"error","msg":"Malformed API key","code":"INVALID_API_KEY"}`),
			check.Auth, "ask chat:443: the API key of the sender bot s@x is refused: Malformed API key (INVALID_API_KEY)"},
		{"not logged in", answer(401, `{"result":"error","msg":"Not logged in: API authentication or user session required","code":"UNAUTHORIZED"}`),
			check.Auth, "ask chat:443: the API key of the sender bot s@x is refused: Not logged in: API authentication or user session required (UNAUTHORIZED)"},
		{"bot off", answer(401, `{"result":"error","msg":"Account is deactivated","code":"USER_DEACTIVATED"}`),
			check.Auth, "ask chat:443: the sender bot s@x is deactivated: Account is deactivated (USER_DEACTIVATED)"},
		{"realm off", answer(401, `{"result":"error","msg":"This organization has been deactivated","code":"REALM_DEACTIVATED"}`),
			check.Unavailable, "ask chat:443: the organization is deactivated: This organization has been deactivated (REALM_DEACTIVATED)"},
		{"no realm", answer(404, `{"result":"error","msg":"Invalid subdomain","code":"NONEXISTENT_SUBDOMAIN"}`),
			check.Config, "ask chat:443: no organization at this address: Invalid subdomain (NONEXISTENT_SUBDOMAIN)"},
		{"rate limit", answer(429, `{"code":"RATE_LIMIT_HIT","msg":"API usage exceeded rate limit","result":"error","retry-after":28.706807374954224}`, "Retry-After", "28.7"),
			check.Permission, "ask chat:443: rate limit of the sender bot s@x is hit, until 02:01:18 UTC (28.7 s)"},
		{"rate limit by the header alone", answer(429, "slow down", "Retry-After", "10"),
			check.Permission, "ask chat:443: rate limit of the sender bot s@x is hit, until 02:01:00 UTC (10 s)"},
		{"rate limit of nginx", answer(429, "<html>429</html>"),
			check.Permission, "ask chat:443: rate limit of the sender bot s@x is hit, the server does not say until when"},
		{"rate limit for ever", answer(429, `{"result":"error","msg":"","code":"RATE_LIMIT_HIT","retry-after":1e300}`),
			check.Permission, "ask chat:443: rate limit of the sender bot s@x is hit, until 2026-12-21 02:00 UTC (30 d)"},
		{"rate limit, null", answer(429, `{"result":"error","msg":"","code":"RATE_LIMIT_HIT","retry-after":null}`),
			check.Permission, "ask chat:443: rate limit of the sender bot s@x is hit, the server does not say until when"},
		{"502 page", answer(502, nginx502), check.Unavailable, "ask chat:443: HTTP 502 Bad Gateway, an HTML page: the web server answers, Zulip behind it does not"},
		{"503 without a page", answer(503, ""), check.Unavailable, "ask chat:443: HTTP 503 Service Unavailable"},
		{"500 of Django", answer(500, `{"result":"error","msg":"Internal server error"}`), check.Unavailable, "ask chat:443: HTTP 500: Internal server error"},
		{"not ready", answer(500, `{"result":"error","msg":"Cannot query postgresql","code":"SERVER_NOT_READY"}`),
			check.Unavailable, "ask chat:443: HTTP 500: Cannot query postgresql (SERVER_NOT_READY)"},
		{"200 page", answer(200, "<!DOCTYPE html><title>Zulip</title>"), check.Unavailable,
			"ask chat:443: an HTML page instead of JSON (HTTP 200): is this the right address, or a proxy's error page?"},
		{"404 page", answer(404, "<html>404</html>"), check.Config, "ask chat:443: HTTP 404 Not Found: there is no Zulip at this address, or its path is wrong"},
		{"401 page of a proxy", answer(401, "<html>401</html>"), check.Auth, "ask chat:443: HTTP 401 Unauthorized"},
		{"403", answer(403, `{"result":"error","msg":"Access denied","code":"BAD_REQUEST"}`), check.Permission, "ask chat:443: the sender bot s@x may not: Access denied (BAD_REQUEST)"},
		{"400", answer(400, `{"result":"error","msg":"Invalid email 'x@y'","code":"BAD_REQUEST"}`), check.Data, "ask chat:443: Invalid email 'x@y' (BAD_REQUEST)"},
		{"lost queue", answer(400, `{"code":"BAD_EVENT_QUEUE_ID","msg":"Bad event queue ID: fb67bf8a-c031-47cc-84cf-ed80accacda8","queue_id":"fb67bf8a-c031-47cc-84cf-ed80accacda8","result":"error"}`),
			check.Data, "ask chat:443: Bad event queue ID: fb67bf8a-c031-47cc-84cf-ed80accacda8 (BAD_EVENT_QUEUE_ID)"},
		{"error with HTTP 200", answer(200, `{"result":"error","msg":"no","code":"X"}`), check.Data, "ask chat:443: no (X)"},
		{"success with HTTP 500", answer(500, `{"result":"success","msg":""}`), check.Unavailable, "ask chat:443: HTTP 500: HTTP 500 Internal Server Error"},
		{"method", answer(405, `{"result":"error","msg":"Method Not Allowed","allowed_methods":["GET"]}`), check.Data, "ask chat:443: Method Not Allowed"},
		{"moved", answer(301, "", "Location", "https://other/"), check.Config, `ask chat:443: HTTP 301 Moved Permanently to "https://other/": give that address`},
		{"other JSON", answer(200, `{"status":"ok"}`), check.Data, "ask chat:443: JSON without a result: is this a Zulip server?"},
		{"empty", answer(200, ""), check.Data, "ask chat:443: an empty answer (HTTP 200)"},
		{"cut JSON", answer(200, `{"result":"succ`), check.Data, "ask chat:443: not the JSON that was expected (HTTP 200): unexpected end of JSON input"},
		{"wrong type", answer(200, `{"result":"success","msg":"","queue_id":7}`), check.Data,
			"ask chat:443: not the JSON that was expected (HTTP 200): json: cannot unmarshal number into Go struct field .queue_id of type string"},
	}
	for _, tt := range tests {
		var into struct {
			QueueID string `json:"queue_id"`
		}
		err := question().read(tt.answer, &into)
		if err == nil || err.Error() != tt.want || check.ReasonOf(err) != tt.reason {
			t.Errorf("%s: read = %v, reason %s\nwant %s, reason %s", tt.name, err, check.ReasonOf(err), tt.want, tt.reason)
		}
	}
}

func TestReadSuccess(t *testing.T) {
	var into struct {
		ID int64 `json:"id"`
	}
	a := answer(200, `{"id":42,"msg":"","result":"success","ignored_parameters_unsupported":["x"]}`+"\n")
	if err := question().read(a, &into); err != nil || into.ID != 42 {
		t.Errorf("read = %v, id %d; want nil, 42", err, into.ID)
	}
	if err := question().read(a, nil); err != nil {
		t.Errorf("read into nothing = %v; want nil", err)
	}
}

func TestKindsOfErrors(t *testing.T) {
	of := func(status int, body string, header ...string) error {
		return question().read(answer(status, body, header...), nil)
	}
	tests := []struct {
		name          string
		err           error
		lost, refused bool
		retry         time.Duration // -1: none
	}{
		{"lost", of(400, `{"code":"BAD_EVENT_QUEUE_ID","msg":"x","result":"error"}`), true, true, -1},
		{"lost, old server", of(400, `{"msg":"Bad event queue id: 1517975029:0","result":"error"}`), true, true, -1},
		{"another 400", of(400, `{"msg":"Missing 'queue_id' argument","result":"error"}`), false, true, -1},
		{"may not delete", of(400, `{"msg":"You don't have permission to delete this message","code":"BAD_REQUEST","result":"error"}`), false, true, -1},
		{"rate limit", of(429, `{"code":"RATE_LIMIT_HIT","msg":"x","result":"error","retry-after":0.5}`), false, false, 500 * time.Millisecond},
		{"rate limit with HTTP 400", of(400, `{"code":"RATE_LIMIT_HIT","msg":"x","result":"error","retry-after":1}`), false, false, time.Second},
		{"rate limit without a time", of(429, `{"code":"RATE_LIMIT_HIT","msg":"x","result":"error"}`), false, false, -1},
		{"rate limit with a past time", of(429, "", "Retry-After", "-3"), false, false, -1},
		{"502", of(502, nginx502), false, false, -1},
		{"500", of(500, `{"msg":"Internal server error","result":"error"}`), false, false, -1},
		{"none", nil, false, false, -1},
	}
	for _, tt := range tests {
		retry, ok := RetryAfter(tt.err)
		if !ok {
			retry = -1
		}
		if IsQueueLost(tt.err) != tt.lost || IsRefused(tt.err) != tt.refused || retry != tt.retry {
			t.Errorf("%s: lost %v, refused %v, retry %s; want %v, %v, %s", tt.name, IsQueueLost(tt.err), IsRefused(tt.err), retry, tt.lost, tt.refused, tt.retry)
		}
	}
}

func TestRemaining(t *testing.T) {
	for text, want := range map[string]int{"199": 199, "0": 0, " 7 ": 7, "": -1, "-1": -1, "many": -1, "1e9": -1, "99999999999": -1} {
		got, ok := remaining(http.Header{"X-Ratelimit-Remaining": {text}})
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("remaining(%q) = %d; want %d", text, got, want)
		}
	}
}

func TestUserAgent(t *testing.T) {
	name, version, found := strings.Cut(userAgent(), "/")
	if name != "BelfryMonitoring" || !found || version == "" || strings.ContainsAny(version, "() /") {
		t.Errorf("userAgent() = %q; want BelfryMonitoring/<version>", userAgent())
	}
}

func FuzzRead(f *testing.F) {
	f.Add(200, "application/json", "", []byte(`{"result":"success","msg":"","events":[{"type":"heartbeat","id":0}]}`))
	f.Add(429, "application/json", "1.5", []byte(`{"result":"error","code":"RATE_LIMIT_HIT","retry-after":-1e99}`))
	f.Add(502, "text/html", "Infinity", []byte(nginx502))
	f.Fuzz(func(t *testing.T, status int, contentType, retry string, body []byte) {
		a := answer(status, string(body), "Content-Type", contentType, "Retry-After", retry)
		err := question().read(a, nil)
		if err == nil && (status < 200 || status > 299) {
			t.Errorf("read of HTTP %d %q = nil; want an error", status, body)
		}
		if wait, ok := RetryAfter(err); ok && (wait < 0 || wait > maxRetryAfter) {
			t.Errorf("RetryAfter = %s; want 0 to %s", wait, maxRetryAfter)
		}
	})
}
