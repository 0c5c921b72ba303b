package zulipserver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"time"
)

// apiError is an answer with "result": "error".
type apiError struct {
	status int
	code   string
	msg    string
	oldMsg string // what old servers say instead; empty: the same
	data   map[string]any
	// newData is left out by old servers, as code is.
	newData map[string]any
	header  map[string]string
}

func (e *apiError) Error() string { return fmt.Sprintf("%d %s: %s", e.status, e.code, e.msg) }

// htmlPage is an answer of the web server in front of Zulip.
type htmlPage int

func (p htmlPage) Error() string { return fmt.Sprintf("HTML page %d", int(p)) }

// errGone ends a request whose client has left.
type errGone struct{}

func (errGone) Error() string { return "the client has left" }

func badRequest(format string, args ...any) *apiError {
	return &apiError{status: http.StatusBadRequest, code: "BAD_REQUEST", msg: fmt.Sprintf(format, args...)}
}

func missingArgument(name string) *apiError {
	e := badRequest("Missing '%s' argument", name)
	e.code = "REQUEST_VARIABLE_MISSING"
	e.newData = map[string]any{"var_name": name}
	return e
}

func notJSON(name string) *apiError {
	e := badRequest("%s is not valid JSON", name)
	e.oldMsg = fmt.Sprintf("Argument %q is not valid JSON.", name)
	return e
}

func unauthorized(msg string) *apiError {
	return &apiError{
		status: http.StatusUnauthorized, code: "UNAUTHORIZED", msg: msg,
		header: map[string]string{"WWW-Authenticate": `Basic realm="zulip"`},
	}
}

func refused(code, msg string) *apiError {
	return &apiError{status: http.StatusUnauthorized, code: code, msg: msg}
}

func badQueue(id string) *apiError {
	e := badRequest("Bad event queue ID: %s", id)
	e.code = "BAD_EVENT_QUEUE_ID"
	e.oldMsg = "Bad event queue id: " + id
	e.newData = map[string]any{"queue_id": id}
	return e
}

func invalidSubdomain() *apiError {
	return &apiError{status: http.StatusNotFound, code: "NONEXISTENT_SUBDOMAIN", msg: "Invalid subdomain"}
}

func methodNotAllowed(allowed []string) *apiError {
	return &apiError{
		status: http.StatusMethodNotAllowed, code: "METHOD_NOT_ALLOWED", msg: "Method Not Allowed",
		data: map[string]any{"allowed_methods": allowed},
	}
}

func rateLimited(retryAfter time.Duration) *apiError {
	seconds := retryAfter.Seconds()
	return &apiError{
		status: http.StatusTooManyRequests, code: "RATE_LIMIT_HIT", msg: "API usage exceeded rate limit",
		data:   map[string]any{"retry-after": seconds},
		header: map[string]string{"Retry-After": strconv.FormatFloat(seconds, 'f', -1, 64)},
	}
}

func notReady(msg string) *apiError {
	return &apiError{status: http.StatusInternalServerError, code: "SERVER_NOT_READY", msg: msg}
}

// writeError writes any error a handler returns.
func (s *Server) writeError(w http.ResponseWriter, err error) {
	switch e := err.(type) {
	case *apiError:
		body := map[string]any{"result": "error", "msg": e.msg}
		maps.Copy(body, e.data)
		if s.opts.OldFormats {
			if e.oldMsg != "" {
				body["msg"] = e.oldMsg
			}
		} else {
			body["code"] = e.code
			maps.Copy(body, e.newData)
		}
		for name, value := range e.header {
			w.Header().Set(name, value)
		}
		writeJSON(w, e.status, body)
	case htmlPage:
		writePage(w, int(e))
	case errGone:
	default:
		writePage(w, http.StatusInternalServerError)
	}
}

// writeJSON ends the body with a newline and leaves <, > and & alone, as Zulip
// does.
func writeJSON(w http.ResponseWriter, status int, body map[string]any) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(body); err != nil {
		writePage(w, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	write(w, status, b.Bytes())
}

// writePage writes the page that nginx has for a status.
func writePage(w http.ResponseWriter, status int) {
	title := fmt.Sprintf("%d %s", status, http.StatusText(status))
	w.Header().Set("Content-Type", "text/html")
	write(w, status, []byte("<html>\r\n<head><title>"+title+"</title></head>\r\n<body>\r\n<center><h1>"+title+
		"</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"))
}

func write(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Server", "nginx")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body)
}
