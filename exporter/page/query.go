package page

import (
	"net/url"
	"strconv"
	"strings"
)

// Query is what a reader asks of the overview by the address alone, so that it
// works without a script and can be kept as a bookmark.
type Query struct {
	State string // class of a state; empty: all
	Name  string // words that check or target must contain, in any case
	Page  int    // from 1
	Refresh
}

// Refresh says how often a page asks for itself anew.
type Refresh struct {
	Seconds int    // 0: never
	Toggle  string // address of the page with it switched off, or on again
}

const (
	defaultRefresh = 30
	minRefresh     = 2
	maxRefresh     = 3600
	maxName        = 200 // bytes of a filter
)

// ParseQuery reads the parameters of an address. What means nothing is as if
// it were not there: a page is never refused for its filter.
func ParseQuery(values url.Values) Query {
	q := Query{Page: 1, Refresh: ParseRefresh(values)}
	for _, s := range worstFirst() {
		if values.Get("state") == s.Class {
			q.State = s.Class
		}
	}
	if q.Name = strings.TrimSpace(values.Get("name")); len(q.Name) > maxName {
		q.Name = q.Name[:maxName]
	}
	if n, err := strconv.Atoi(values.Get("page")); err == nil && n > 1 {
		q.Page = n
	}
	return q
}

// ParseRefresh reads refresh=off and refresh=SECONDS.
func ParseRefresh(values url.Values) Refresh {
	text := values.Get("refresh")
	if n, err := strconv.Atoi(text); err == nil {
		return Refresh{Seconds: min(max(n, minRefresh), maxRefresh)}
	}
	if text == "off" {
		return Refresh{}
	}
	return Refresh{Seconds: defaultRefresh}
}

// parameter is refresh as ParseRefresh reads it, empty for the default.
func (r Refresh) parameter() string {
	switch r.Seconds {
	case 0:
		return "off"
	case defaultRefresh:
		return ""
	}
	return strconv.Itoa(r.Seconds)
}

// toggled is the other way of refreshing.
func (r Refresh) toggled() Refresh {
	if r.Seconds > 0 {
		return Refresh{}
	}
	return Refresh{Seconds: defaultRefresh}
}

// address is the overview as this query asks for it, relative to itself.
func (q Query) address() string {
	values := url.Values{}
	set := func(name, value string) {
		if value != "" {
			values.Set(name, value)
		}
	}
	set("state", q.State)
	set("name", q.Name)
	if q.Page > 1 {
		set("page", strconv.Itoa(q.Page))
	}
	set("refresh", q.Refresh.parameter())
	if len(values) == 0 {
		return "./"
	}
	return "?" + values.Encode()
}

// matches reports whether the query's words are all in check or target.
func (q Query) matcher() func(check, target string) bool {
	words := strings.Fields(strings.ToLower(q.Name))
	return func(check, target string) bool {
		if len(words) == 0 {
			return true
		}
		text := strings.ToLower(check + " " + target)
		for _, w := range words {
			if !strings.Contains(text, w) {
				return false
			}
		}
		return true
	}
}

// Link is the address of a check's page relative to the overview. Servers and
// browsers take a path apart, whatever is escaped in it: a target that would
// not come through as one part of it is given as a parameter instead.
func Link(check, target string, refresh Refresh) string {
	values := url.Values{}
	path := "check/" + url.PathEscape(check) + "/"
	if target == "" || target == "." || target == ".." || strings.ContainsAny(target, `/\%`) || hides(target) {
		values.Set("target", target)
	} else {
		path += url.PathEscape(target)
	}
	if p := refresh.parameter(); p != "" {
		values.Set("refresh", p)
	}
	if len(values) > 0 {
		path += "?" + values.Encode()
	}
	return path
}

// Root leads from the page of a check back to the overview: as many steps up
// as its path below the overview has parts.
func Root(escapedPath string) string {
	return strings.Repeat("../", max(strings.Count(escapedPath, "/")-1, 0))
}
