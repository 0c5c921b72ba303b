package zulipserver

import (
	"bytes"
	"net/http"
	"strconv"
	"time"
)

// Fault is what one endpoint does wrong. By default it happens to every
// request; After and Times limit it.
type Fault struct {
	after, times int
	act          func(s *Server, w http.ResponseWriter, r *http.Request, next http.HandlerFunc)
}

// After lets the first n requests through.
func (f Fault) After(n int) Fault {
	f.after = n
	return f
}

// Times happens to n requests only.
func (f Fault) Times(n int) Fault {
	f.times = n
	return f
}

// armed is a fault at work.
type armed struct {
	Fault
	seen int
}

// Fail adds faults to an endpoint. Several happen together, the first one
// outermost.
func (s *Server) Fail(e Endpoint, faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range faults {
		s.faults[e] = append(s.faults[e], &armed{Fault: f})
	}
}

// Heal takes all faults away from the endpoints, or from every endpoint when
// none is named.
func (s *Server) Heal(endpoints ...Endpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(endpoints) == 0 {
		clear(s.faults)
	}
	for _, e := range endpoints {
		delete(s.faults, e)
	}
}

// active counts a request and returns the faults that happen to it. The lock is
// held.
func (s *Server) active(e Endpoint) []Fault {
	var out []Fault
	for _, f := range s.faults[e] {
		f.seen++
		if f.seen > f.after && (f.times == 0 || f.seen <= f.after+f.times) {
			out = append(out, f.Fault)
		}
	}
	return out
}

// SlowRequest waits before it looks at the request.
func SlowRequest(d time.Duration) Fault {
	return Fault{act: func(s *Server, w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
		if !s.sleep(r.Context(), d) {
			panic(http.ErrAbortHandler)
		}
		next(w, r)
	}}
}

// SlowAnswer does what it is asked at once and answers later.
func SlowAnswer(d time.Duration) Fault {
	return changed(func(s *Server, r *http.Request, _ *recorded) bool { return s.sleep(r.Context(), d) })
}

// Hang never looks at the request and never answers.
func Hang() Fault {
	return Fault{act: func(s *Server, _ http.ResponseWriter, r *http.Request, _ http.HandlerFunc) { s.hang(r) }}
}

// LoseAnswer does what it is asked and never answers.
func LoseAnswer() Fault {
	return changed(func(s *Server, r *http.Request, _ *recorded) bool {
		s.hang(r)
		return false
	})
}

// Page answers with the web server's HTML page: 502, 503, 504, or 200 for a
// login page or a maintenance page in front.
func Page(status int) Fault { return canned(htmlPage(status)) }

// Canned answers with anything.
func Canned(status int, contentType, body string) Fault {
	return Fault{act: func(_ *Server, w http.ResponseWriter, _ *http.Request, _ http.HandlerFunc) {
		w.Header().Set("Content-Type", contentType)
		write(w, status, []byte(body))
	}}
}

// Refuse answers with an error in Zulip's format.
func Refuse(status int, code, msg string) Fault {
	return canned(&apiError{status: status, code: code, msg: msg})
}

// RateLimited answers 429, with the headers of a used up limit.
func RateLimited(retryAfter time.Duration) Fault {
	return Fault{act: func(s *Server, w http.ResponseWriter, _ *http.Request, _ http.HandlerFunc) {
		w.Header().Set("X-RateLimit-Limit", "200")
		w.Header().Set("X-RateLimit-Remaining", "0")
		w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(s.opts.Now().Add(retryAfter).Unix(), 10))
		s.writeError(w, rateLimited(retryAfter))
	}}
}

// NotJSON answers 200 with a body that says it is JSON and is not.
func NotJSON() Fault { return Canned(http.StatusOK, "application/json", "{\"result\": \xff\xfe,,\x00") }

// Truncated gives the first n bytes of the right answer, as its whole body.
func Truncated(n int) Fault {
	return changed(func(_ *Server, _ *http.Request, answer *recorded) bool {
		answer.body.Truncate(min(n, answer.body.Len()))
		return true
	})
}

// WrongType gives the right answer with another content type.
func WrongType(contentType string) Fault {
	return changed(func(_ *Server, _ *http.Request, answer *recorded) bool {
		answer.header.Set("Content-Type", contentType)
		return true
	})
}

// LostQueue forgets the queue that the request names before it looks for it, so
// that an event endpoint answers BAD_EVENT_QUEUE_ID.
func LostQueue() Fault {
	return Fault{act: func(s *Server, w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
		values, _ := argumentsOf(r)
		s.mu.Lock()
		if q := s.queues[values.Get("queue_id")]; q != nil {
			s.dropQueue(q)
		}
		s.mu.Unlock()
		next(w, r)
	}}
}

func canned(err error) Fault {
	return Fault{act: func(s *Server, w http.ResponseWriter, _ *http.Request, _ http.HandlerFunc) { s.writeError(w, err) }}
}

// hang waits until the client has left or the server ends, and then breaks the
// connection: whoever still listens must not get an empty 200.
func (s *Server) hang(r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-s.ctx.Done():
	}
	panic(http.ErrAbortHandler)
}

// changed lets the answer be made, changes it, and gives it when change says so.
func changed(change func(*Server, *http.Request, *recorded) bool) Fault {
	return Fault{act: func(s *Server, w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
		answer := &recorded{header: make(http.Header), status: http.StatusOK}
		next(answer, r)
		if !change(s, r, answer) {
			panic(http.ErrAbortHandler)
		}
		for name, values := range answer.header {
			w.Header()[name] = values
		}
		w.Header().Set("Content-Length", strconv.Itoa(answer.body.Len()))
		w.WriteHeader(answer.status)
		w.Write(answer.body.Bytes())
	}}
}

// recorded is an answer that is not given yet.
type recorded struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorded) Header() http.Header         { return r.header }
func (r *recorded) WriteHeader(status int)      { r.status = status }
func (r *recorded) Write(b []byte) (int, error) { return r.body.Write(b) }
