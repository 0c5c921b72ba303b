package httpclient

import (
	"encoding/base64"
	"net/url"
	"strings"
)

// WayOf writes a route to a site down.
func WayOf(r *Route, base *url.URL) (string, error) {
	w, err := r.to(base)
	if err != nil {
		return "", err
	}
	text := w.peer("peer")
	if w.auth != "" {
		user, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(w.auth, "Basic "))
		if err != nil {
			return "", err
		}
		text += " as " + string(user)
	}
	return text, nil
}
