package zulipserver

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// User is a person or a bot. AddUser fills ID, and APIKey and FullName when
// they are empty.
type User struct {
	ID          int64
	Email       string
	FullName    string
	APIKey      string // 32 letters and digits, or every login is malformed
	Realm       string // subdomain
	Bot         bool
	Admin       bool // may delete every message
	Deactivated bool
}

// AddUser adds a user and returns it as it was added.
func (s *Server) AddUser(u User) User {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *s.addUser(u)
}

func (s *Server) addUser(u User) *User {
	s.lastUser++
	u.ID = s.lastUser
	if u.APIKey == "" {
		u.APIKey = randomHex(16)
	}
	if u.FullName == "" {
		u.FullName, _, _ = strings.Cut(u.Email, "@")
	}
	s.users = append(s.users, &u)
	return &u
}

// EditUser changes a user at run time: another key, deactivated, an admin.
func (s *Server) EditUser(email string, edit func(*User)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.userByEmail(email)
	if u == nil {
		return fmt.Errorf("edit user %s: no such user", email)
	}
	edit(u)
	return nil
}

// DeactivateRealm deactivates an organization, or activates it again.
func (s *Server) DeactivateRealm(subdomain string, deactivated bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	realm := s.realms[subdomain]
	if realm == nil {
		return fmt.Errorf("deactivate realm %q: no such realm", subdomain)
	}
	realm.Deactivated = deactivated
	return nil
}

// Zuliprc is the content of a user's zuliprc file for this server.
func (s *Server) Zuliprc(u User) string {
	return fmt.Sprintf("[api]\nemail=%s\nkey=%s\nsite=%s\n", u.Email, u.APIKey, s.url)
}

func (s *Server) userByEmail(email string) *User {
	for _, u := range s.users {
		if strings.EqualFold(u.Email, email) {
			return u
		}
	}
	return nil
}

func (s *Server) userByID(id int64) *User {
	for _, u := range s.users {
		if u.ID == id {
			return u
		}
	}
	return nil
}

// realmOf finds the organization that a Host header means; isRoot says that it
// was the bare domain.
func (s *Server) realmOf(host string) (realm *Realm, isRoot bool) {
	if s.opts.Domain == "" {
		return s.realms[s.opts.Realms[0].Subdomain], false
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if strings.EqualFold(host, s.opts.Domain) {
		return s.realms[""], true
	}
	subdomain, ok := strings.CutSuffix(strings.ToLower(host), "."+strings.ToLower(s.opts.Domain))
	if !ok {
		return nil, false
	}
	return s.realms[subdomain], false
}

// login finds the user of a request. The order of the checks is Zulip's.
func (s *Server) login(r *http.Request, realm *Realm) (*User, error) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return nil, unauthorized("Not logged in: API authentication or user session required")
	}
	if kind, _, _ := strings.Cut(header, " "); !strings.EqualFold(kind, "basic") {
		return nil, unauthorized("This endpoint requires HTTP basic authentication.")
	}
	email, key, ok := r.BasicAuth()
	if !ok {
		return nil, unauthorized("Invalid authorization header for basic auth")
	}
	if !wellFormed(key) {
		return nil, refused("INVALID_API_KEY", "Malformed API key")
	}
	u := s.userByEmail(email)
	if u == nil || u.APIKey != key {
		return nil, refused("INVALID_API_KEY", "Invalid API key")
	}
	if own := s.realms[u.Realm]; own != nil && own.Deactivated {
		return nil, refused("REALM_DEACTIVATED", "This organization has been deactivated")
	}
	if u.Deactivated {
		return nil, refused("USER_DEACTIVATED", "Account is deactivated")
	}
	if s.opts.Domain != "" && u.Realm != realm.Subdomain {
		return nil, badRequest("Account is not associated with this subdomain")
	}
	return u, nil
}

func wellFormed(key string) bool {
	for _, c := range key {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return len(key) == 32
}

// admit counts a request and sets the rate limit headers. Event queues have a
// bucket of their own, as Tornado has in Zulip.
func (s *Server) admit(w http.ResponseWriter, u *User, tornado bool) error {
	limit, window := s.knobs.RateLimit, s.knobs.RateWindow
	if limit <= 0 {
		return nil
	}
	bucket := "ip"
	if u != nil {
		bucket = strconv.FormatInt(u.ID, 10)
	}
	if tornado {
		bucket += " tornado"
	}
	now := s.opts.Now()
	recent := s.buckets[bucket]
	for len(recent) > 0 && !recent[0].After(now.Add(-window)) {
		recent = recent[1:]
	}
	var wait time.Duration
	if len(recent) >= limit {
		wait = recent[len(recent)-limit].Add(window).Sub(now)
	} else {
		recent = append(recent, now)
	}
	s.buckets[bucket] = recent
	header := w.Header()
	header.Set("X-RateLimit-Limit", strconv.Itoa(limit))
	header.Set("X-RateLimit-Remaining", strconv.Itoa(max(0, limit-len(recent))))
	header.Set("X-RateLimit-Reset", strconv.FormatInt(recent[len(recent)-1].Add(window).Unix(), 10))
	if wait > 0 {
		return rateLimited(wait)
	}
	return nil
}

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
