package page

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

func TestParseQuery(t *testing.T) {
	for _, tt := range []struct {
		query string
		want  Query
	}{
		{"", Query{Page: 1, Refresh: Refresh{Seconds: 30}}},
		{"state=critical&name=+db+main+&page=3&refresh=off", Query{State: "critical", Name: "db main", Page: 3}},
		{"state=CRITICAL&page=-1&refresh=now", Query{Page: 1, Refresh: Refresh{Seconds: 30}}},
		{"state=nonsense&page=99999999999999999999&refresh=1", Query{Page: 1, Refresh: Refresh{Seconds: 2}}},
		{"state=pending&refresh=86400", Query{State: "pending", Page: 1, Refresh: Refresh{Seconds: 3600}}},
	} {
		values, err := url.ParseQuery(tt.query)
		if err != nil {
			t.Fatal(err)
		}
		got := ParseQuery(values)
		if got != tt.want {
			t.Errorf("ParseQuery(%s) = %+v; want %+v", tt.query, got, tt.want)
		}
		again, err := url.Parse(got.address())
		if err != nil || ParseQuery(again.Query()) != got {
			t.Errorf("%+v has the address %s, which reads as %+v (%v)", got, got.address(), ParseQuery(again.Query()), err)
		}
	}
}

// Each link leads to its check, and the root that its page has back to the
// overview, as a browser resolves them; below the path of a proxy too, and
// where a server cleans paths.
func TestLink(t *testing.T) {
	for _, target := range append(awkward(), "a/b", "/", "//", "a//b", "../../etc", ".", "..", "...", ".a", "%2F", "a%b", "?x=y", "#", "a:b", "http://x/", "javascript:alert(1)", "東京", "ü", ";", "+", "&amp;", "\x00") {
		for _, prefix := range []string{"/", "/monitoring/belfry/"} {
			var gotCheck, gotTarget, gotRoot string
			mux := http.NewServeMux()
			mux.HandleFunc("GET /check/{check}/{target...}", func(_ http.ResponseWriter, r *http.Request) {
				gotCheck, gotTarget, gotRoot = r.PathValue("check"), r.PathValue("target"), Root(r.URL.EscapedPath())
				if gotTarget == "" {
					gotTarget = r.URL.Query().Get("target")
				}
			})
			base := &url.URL{Scheme: "http", Host: "belfry.example", Path: prefix}
			link := Link("some_check", target, Refresh{})
			at, err := base.Parse(link)
			if err != nil {
				t.Fatalf("Link(%q) = %s: %v", target, link, err)
			}
			response := httptest.NewRecorder()
			http.StripPrefix(prefix[:len(prefix)-1], mux).ServeHTTP(response, httptest.NewRequest("GET", at.String(), nil))
			home, err := at.Parse(gotRoot + "./")
			if response.Code != 200 || gotCheck != "some_check" || gotTarget != target || err != nil || home.String() != base.String() {
				t.Errorf("Link(%q) = %s below %s leads to %d %q %q, and back to %v (%v)", target, link, prefix, response.Code, gotCheck, gotTarget, home, err)
			}
		}
	}
	for path, want := range map[string]string{"/": "", "/check/a/b": "../../", "/check/a/": "../../", "/check/a/b/c": "../../../", "/check/a/b%2Fc": "../../"} {
		if got := Root(path); got != want {
			t.Errorf("Root(%s) = %q; want %q", path, got, want)
		}
	}
}
