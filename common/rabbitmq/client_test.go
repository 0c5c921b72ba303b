package rabbitmq

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
)

// clientOf makes a client for a stand-in that answers what a real broker
// cannot be made to answer at will; the real one is in the checks' tests.
func clientOf(t *testing.T, answer http.HandlerFunc, args ...string) *Client {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	host, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(secret, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	o := Flags(fs)
	if err := fs.Parse(append(args, "-H", host, "-p", port, "-u", "monitor", "--password-file", secret)); err != nil {
		t.Fatal(err)
	}
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	c, err := o.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		body   string
		reason check.Reason
		says   string
	}{
		{"wrong password", 401, "refused-login.json", check.Auth, "user monitor is refused: wrong password or no such user"},
		{"no tag", 401, "refused-tag.json", check.Permission, "rabbitmqctl set_user_tags monitor monitoring"},
		{"no vhost access", 401, "refused-vhost.json", check.Permission, "rabbitmqctl set_permissions -p / monitor '^$' '^$' '^$'"},
		{"no vhost access, other status", 403, "refused-vhost.json", check.Permission, "rabbitmqctl set_permissions"},
		{"not from here", 401, `{"error":"not_authorised","reason":"User can only log in via localhost"}`, check.Auth, "the broker's own machine only"},
		{"proxy's 401", 401, "<html><h1>401</h1></html>", check.Auth, "HTTP 401 Unauthorized, and not by RabbitMQ: a proxy before it refuses us"},
		{"proxy's 403", 403, "<html><h1>403</h1></html>", check.Auth, "HTTP 403 Forbidden, and not by RabbitMQ"},
		{"wrong prefix", 400, "", check.Config, "HTTP 400: there is no management API at this address"},
		{"no vhost", 404, "no-vhost.json", check.Config, "no vhost of this name"},
		{"no API", 404, "<html><h1>404</h1></html>", check.Config, "rabbitmq-plugins enable rabbitmq_management"},
		{"page where JSON is due", 200, "<html><h1>Welcome</h1></html>", check.Unavailable, "an HTML page instead of JSON"},
		{"proxy without broker", 502, "<html><h1>502</h1></html>", check.Unavailable, "HTTP 502 Bad Gateway"},
		{"broken broker", 500, `{"error":"Internal Server Error","reason":"{error,badmatch}"}`, check.Unavailable, "Internal Server Error: {error,badmatch}"},
		{"redirect", 301, "", check.Config, "HTTP 301"},
		{"odd request", 400, `{"error":"bad_request","reason":"odd"}`, check.Data, "bad_request: odd"},
		{"something else", 200, `{"hello":1}`, check.Data, "no list of queues"},
		{"empty", 200, "", check.Data, "unexpected end"},
	} {
		body := c.body
		if strings.HasSuffix(body, ".json") {
			body = string(recording(t, body))
		}
		client := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
			if user, password, ok := r.BasicAuth(); !ok || user != "monitor" || password != "s3cret" {
				t.Errorf("%s: asked as %q", c.name, user)
			}
			w.WriteHeader(c.status)
			fmt.Fprint(w, body)
		})
		_, err := client.Statistics(context.Background())
		if err == nil || check.ReasonOf(err) != c.reason || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, reason %s; want %q, reason %s", c.name, err, check.ReasonOf(err), c.says, c.reason)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: the error shows the password: %v", c.name, err)
		}
	}
}

func TestPaths(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "/api/queues/%2F"},
		{[]string{"--vhost", "shop"}, "/api/queues/shop"},
		{[]string{"--vhost", "a b/c?d"}, "/api/queues/a%20b%2Fc%3Fd"},
		{[]string{"--path-prefix", "/rabbit/"}, "/rabbit/api/queues/%2F"},
	} {
		client := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.EscapedPath() != c.want || r.URL.Query().Get("page_size") != "500" {
				t.Errorf("%q asks for %s; want %s, in pages of 500", c.args, r.URL, c.want)
			}
			fmt.Fprint(w, pageOf(1, 1, 1, "a"))
		}, c.args...)
		if _, err := client.Statistics(context.Background()); err != nil {
			t.Errorf("%q: %v", c.args, err)
		}
	}
}

// A list without queues proves nothing: another version may answer it for
// want of access to the vhost.
func TestProveAccess(t *testing.T) {
	for _, c := range []struct {
		body   string
		reason check.Reason
	}{
		{`{"items":[{"name":""}],"item_count":1,"total_count":7,"page":1,"page_count":7}`, ""},
		{`[]`, check.Permission},
		{`{"items":[],"item_count":0,"total_count":0,"page":1,"page_count":0}`, check.Permission},
		{`{}`, check.Data},
	} {
		client := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.EscapedPath() != "/api/exchanges/%2F" {
				t.Errorf("asked for %s", r.URL)
			}
			fmt.Fprint(w, c.body)
		})
		err := client.ProveAccess(context.Background())
		if (err == nil) != (c.reason == "") || err != nil && check.ReasonOf(err) != c.reason {
			t.Errorf("ProveAccess with %s = %v; want reason %q", c.body, err, c.reason)
		}
	}
}

// pageOf writes a page as the broker does.
func pageOf(page, pages, total int, names ...string) string {
	items := make([]string, len(names))
	for i, n := range names {
		items[i] = fmt.Sprintf(`{"name":%q,"consumers":1}`, n)
	}
	return fmt.Sprintf(`{"item_count":%d,"items":[%s],"page":%d,"page_count":%d,"page_size":500,"total_count":%d,"filtered_count":%[5]d}`,
		len(names), strings.Join(items, ","), page, pages, total)
}

func many(prefix string, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%s%04d", prefix, i)
	}
	return names
}

func TestPages(t *testing.T) {
	first := many("a", 500)
	for _, c := range []struct {
		name     string
		answers  []string // one for each request, the last for all after it
		queues   int
		requests int32
		says     string
	}{
		{"one page", []string{pageOf(1, 1, 2, "a", "b")}, 2, 1, ""},
		{"two pages", []string{pageOf(1, 2, 501, first...), pageOf(2, 2, 501, "z")}, 501, 2, ""},
		{"no pages known", []string{`[{"name":"a"},{"name":"b"}]`}, 2, 1, ""},
		{"a queue pushed to the page before is read again",
			[]string{pageOf(1, 2, 502, first...), pageOf(2, 2, 501, "z"), pageOf(1, 2, 502, first...), pageOf(2, 2, 502, "y", "z")}, 502, 4, ""},
		{"a queue pushed to the next page comes twice and is one queue",
			[]string{pageOf(1, 2, 501, first...), pageOf(2, 2, 502, "a0499", "z"), pageOf(1, 2, 501, first...), pageOf(2, 2, 501, "z")}, 501, 4, ""},
		{"the second page is gone",
			[]string{pageOf(1, 2, 501, first...), "400 " + `{"error":"page_out_of_range","reason":"x"}`}, 500, 4, ""},
		{"wrong page", []string{pageOf(1, 2, 501, first...), pageOf(1, 2, 501, first...)}, 0, 2, "page 1 came where page 2 was asked for"},
		{"endless pages", []string{pageOf(1, 99, 501, first...)}, 0, 1, "99 pages of 500 for 501 queues"},
		{"too many", []string{pageOf(1, 200, 100_000, first...)}, 0, 1, "there are 100000, more than the 20000"},
	} {
		var asked atomic.Int32
		client := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
			n := int(asked.Add(1))
			answer := c.answers[min(n, len(c.answers))-1]
			if n > len(c.answers) {
				answer = c.answers[(n-1)%len(c.answers)]
			}
			if body, bad := strings.CutPrefix(answer, "400 "); bad {
				w.WriteHeader(400)
				answer = body
			}
			fmt.Fprint(w, answer)
		})
		list, err := client.Statistics(context.Background())
		if c.says != "" {
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v; want an error with %q", c.name, err, c.says)
			}
		} else if n := len(Merge(list.Queues, nil)); err != nil || n != c.queues {
			t.Errorf("%s: %d queues, %v; want %d", c.name, n, err, c.queues)
		}
		if asked.Load() != c.requests {
			t.Errorf("%s: %d requests; want %d", c.name, asked.Load(), c.requests)
		}
	}
}

// A version without live totals answers with statistics, which must not pass
// for live.
func TestTotalsOfOldVersions(t *testing.T) {
	client := clientOf(t, func(w http.ResponseWriter, _ *http.Request) { w.Write(recording(t, "queues.json")) })
	if list, live, err := client.Totals(context.Background(), 4); err != nil || live || len(list.Queues) != 4 {
		t.Errorf("Totals = %d queues, live %t, %v; want 4 queues that are not live", len(list.Queues), live, err)
	}
}

func TestTotalsAsksAtOnceForManyQueues(t *testing.T) {
	for _, c := range []struct {
		total int
		want  []string // values of page
	}{
		{24, []string{"1"}},
		{500, []string{"1", ""}}, // the stand-in has 501 by then
		{501, []string{""}},
	} {
		var pages []string
		client := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
			page := r.URL.Query().Get("page")
			pages = append(pages, page)
			switch {
			case page == "":
				fmt.Fprint(w, `[{"name":"a","messages":1}]`)
			case c.total == 500:
				fmt.Fprint(w, strings.ReplaceAll(pageOf(1, 2, 501, many("a", 500)...), "consumers", "messages"))
			default:
				fmt.Fprint(w, strings.ReplaceAll(pageOf(1, 1, 1, "a"), "consumers", "messages"))
			}
		})
		if _, live, err := client.Totals(context.Background(), c.total); err != nil || !live {
			t.Errorf("Totals of %d queues: live %t, %v; want live", c.total, live, err)
		}
		if strings.Join(pages, ",") != strings.Join(c.want, ",") {
			t.Errorf("Totals of %d queues asks for pages %q; want %q", c.total, pages, c.want)
		}
	}
}

func TestStatisticsOff(t *testing.T) {
	for _, c := range []struct {
		body string
		off  bool
		bad  bool
	}{
		{string(recording(t, "overview.json")), false, false},
		{`{"disable_stats":true}`, true, false},
		{`{}`, false, false}, // a version that does not say
		{`[]`, false, true},
	} {
		client := clientOf(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, c.body) })
		off, err := client.StatisticsOff(context.Background())
		if off != c.off || (err != nil) != c.bad {
			t.Errorf("StatisticsOff = %t, %v; want %t, error %t", off, err, c.off, c.bad)
		}
	}
}
