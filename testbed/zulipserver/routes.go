package zulipserver

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Endpoint names one method of one path.
type Endpoint string

const (
	Register       Endpoint = "POST /api/v1/register"
	GetEvents      Endpoint = "GET /api/v1/events"
	DeleteQueue    Endpoint = "DELETE /api/v1/events"
	SendMessage    Endpoint = "POST /api/v1/messages"
	GetMessages    Endpoint = "GET /api/v1/messages"
	DeleteMessage  Endpoint = "DELETE /api/v1/messages/{id}"
	OwnUser        Endpoint = "GET /api/v1/users/me"
	Subscriptions  Endpoint = "GET /api/v1/users/me/subscriptions"
	ServerSettings Endpoint = "GET /api/v1/server_settings"
	Health         Endpoint = "GET /health"
	Every          Endpoint = "*" // all of them, and unknown paths
)

// call is one request on its way to a handler.
type call struct {
	ctx    context.Context
	r      *http.Request
	params *params
	user   *User // nil on endpoints without login
	realm  *Realm
	isRoot bool
	id     string // the {id} of the path
	client string // name of the User-Agent
}

// reply is what a successful answer holds besides result and msg.
type reply map[string]any

type route struct {
	endpoint Endpoint
	login    bool
	tornado  bool // served by Tornado: rate limited apart
	plain    bool // not under /api: no rate limit
	handle   func(*call) (reply, error)
}

func (s *Server) routeTable() map[string]map[string]*route {
	table := make(map[string]map[string]*route)
	for _, r := range []*route{
		{endpoint: Register, login: true, handle: s.register},
		{endpoint: GetEvents, login: true, tornado: true, handle: s.getEvents},
		{endpoint: DeleteQueue, login: true, tornado: true, handle: s.deleteQueue},
		{endpoint: SendMessage, login: true, handle: s.sendMessage},
		{endpoint: GetMessages, login: true, handle: s.getMessages},
		{endpoint: DeleteMessage, login: true, handle: s.deleteMessage},
		{endpoint: OwnUser, login: true, handle: s.ownUser},
		{endpoint: Subscriptions, login: true, handle: s.subscriptions},
		{endpoint: ServerSettings, handle: s.serverSettings},
		{endpoint: Health, plain: true, handle: s.health},
	} {
		method, path, _ := strings.Cut(string(r.endpoint), " ")
		if table[path] == nil {
			table[path] = make(map[string]*route)
		}
		table[path][method] = r
	}
	return table
}

// find returns the route of a request, the methods of its path and the {id} in
// it. An unknown path has no methods.
func (s *Server) find(method, path string) (r *route, allowed []string, id string) {
	methods := s.routes[path]
	if at := strings.LastIndexByte(path, '/'); methods == nil && at >= 0 {
		methods, id = s.routes[path[:at]+"/{id}"], path[at+1:]
	}
	for name := range methods {
		allowed = append(allowed, name)
	}
	slices.Sort(allowed)
	return methods[method], allowed, id
}

// Request is one that arrived. Status is 0 while it is not answered.
type Request struct {
	At                      time.Time
	Endpoint                Endpoint // empty for an unknown path or method
	Method, Path, UserAgent string
	User                    string // e-mail of the Authorization header, right or not
	Status                  int
}

// maxRequests bounds the record, so that a server can stay up for days.
const maxRequests = 10_000

// ServeHTTP records the request and answers it, through the faults of its
// endpoint.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	route, allowed, id := s.find(r.Method, r.URL.Path)
	record := &Request{At: s.opts.Now(), Method: r.Method, Path: r.URL.Path, UserAgent: r.UserAgent()}
	record.User, _, _ = r.BasicAuth()
	if route != nil {
		record.Endpoint = route.endpoint
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		writePage(w, http.StatusBadGateway)
		return
	}
	s.wg.Add(1)
	defer s.wg.Done()
	if len(s.requests) >= maxRequests {
		s.requests = slices.Delete(s.requests, 0, maxRequests/2)
	}
	s.requests = append(s.requests, record)
	faults := append(s.active(record.Endpoint), s.active(Every)...)
	s.mu.Unlock()

	answer := func(w http.ResponseWriter, r *http.Request) { s.answer(w, r, route, allowed, id) }
	for _, fault := range slices.Backward(faults) {
		next := answer
		answer = func(w http.ResponseWriter, r *http.Request) { fault.act(s, w, r, next) }
	}
	answer(&statusWriter{ResponseWriter: w, server: s, record: record}, readArguments(w, r))
}

// answer does what a healthy server does.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, route *route, allowed []string, id string) {
	result, err := s.handle(w, r, route, allowed, id)
	if err != nil {
		s.writeError(w, err)
		return
	}
	result["result"], result["msg"] = "success", ""
	writeJSON(w, http.StatusOK, result)
}

func (s *Server) handle(w http.ResponseWriter, r *http.Request, route *route, allowed []string, id string) (reply, error) {
	if r.Host == "" { // HTTP/1.0 without a Host header
		return nil, htmlPage(http.StatusBadRequest)
	}
	if len(allowed) == 0 {
		return nil, htmlPage(http.StatusNotFound)
	}
	c := &call{ctx: r.Context(), r: r, id: id}
	s.mu.Lock()
	realm, isRoot := s.realmOf(r.Host)
	s.mu.Unlock()
	c.realm, c.isRoot = realm, isRoot
	if realm == nil && !isRoot && (route == nil || !route.plain) {
		return nil, invalidSubdomain()
	}
	if route == nil {
		return nil, methodNotAllowed(allowed)
	}
	values, err := argumentsOf(r)
	if err != nil {
		return nil, err
	}
	c.params = &params{values: values}
	if err := s.letIn(w, c, route); err != nil {
		return nil, err
	}
	c.client, _, _ = strings.Cut(r.UserAgent(), "/")
	c.params.known = append(c.params.known, "client")
	result, err := route.handle(c)
	if err != nil {
		return nil, err
	}
	if ignored := c.params.ignored(); len(ignored) > 0 && !s.opts.OldFormats {
		result["ignored_parameters_unsupported"] = ignored
	}
	return result, nil
}

// letIn checks login and rate limit.
func (s *Server) letIn(w http.ResponseWriter, c *call, route *route) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if route.plain {
		return nil
	}
	if !route.login {
		return s.admit(w, nil, route.tornado)
	}
	if c.realm == nil {
		return badRequest("Subdomain required")
	}
	u, err := s.login(c.r, c.realm)
	if err != nil {
		if limited := s.admit(w, nil, route.tornado); limited != nil {
			return limited
		}
		return err
	}
	if err := s.admit(w, u, route.tornado); err != nil {
		return err
	}
	c.user = u
	return nil
}

// statusWriter records the status before the client can see it.
type statusWriter struct {
	http.ResponseWriter
	server *Server
	record *Request
}

func (w *statusWriter) WriteHeader(status int) {
	w.server.mu.Lock()
	w.record.Status = status
	w.server.mu.Unlock()
	w.ResponseWriter.WriteHeader(status)
}
