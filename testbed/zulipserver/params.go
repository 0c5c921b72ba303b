package zulipserver

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// maxBody is how much of a request is read; nginx in front of Zulip has a limit
// too.
const maxBody = 1 << 20

// params are the arguments of a request, from query and body alike: Zulip reads
// a form in the body of every method, and zulip-js sends multipart forms.
type params struct {
	values url.Values
	known  []string // every name that was asked for
}

type argumentsKey struct{}

// arguments are what a request was read to say.
type arguments struct {
	values url.Values
	err    error
}

// readArguments reads the whole request and keeps its arguments in its context.
// The body must be read in any case: only then does the server notice a client
// that leaves while it waits.
func readArguments(w http.ResponseWriter, r *http.Request) *http.Request {
	read := arguments{values: r.URL.Query()}
	// ParseMultipartForm reads bodies of POST, PUT and PATCH only.
	form := *r
	form.Method = http.MethodPost
	form.Body = http.MaxBytesReader(w, r.Body, maxBody)
	err := form.ParseForm() // ParseMultipartForm alone hides its error
	if err == nil {
		err = form.ParseMultipartForm(maxBody)
	}
	var over *http.MaxBytesError
	if errors.As(err, &over) {
		read.err = htmlPage(http.StatusRequestEntityTooLarge)
	} else if err != nil && !errors.Is(err, http.ErrNotMultipart) {
		read.err = badRequest("Malformed form data")
	}
	for name, values := range form.PostForm {
		read.values[name] = values
	}
	io.Copy(io.Discard, form.Body)
	return r.WithContext(context.WithValue(r.Context(), argumentsKey{}, read))
}

func argumentsOf(r *http.Request) (url.Values, error) {
	read := r.Context().Value(argumentsKey{}).(arguments)
	return read.values, read.err
}

// text is a plain string argument.
func (p *params) text(name string) (string, bool) {
	p.known = append(p.known, name)
	values := p.values[name]
	if len(values) == 0 {
		return "", false
	}
	return values[len(values)-1], true
}

func (p *params) needText(name string) (string, error) {
	text, ok := p.text(name)
	if !ok {
		return "", missingArgument(name)
	}
	return text, nil
}

// json decodes a JSON argument into a pointer; what is absent changes nothing.
func (p *params) json(name string, into any) (present bool, err error) {
	text, ok := p.text(name)
	if !ok {
		return false, nil
	}
	if !json.Valid([]byte(text)) {
		return true, notJSON(name)
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		switch into.(type) {
		case *int64:
			return true, badRequest("%s is not an integer", name)
		case *bool:
			return true, badRequest("%s is not a boolean", name)
		}
		return true, badRequest("%s is not a list", name)
	}
	return true, nil
}

// ignored are the arguments that nobody asked for.
func (p *params) ignored() []string {
	var names []string
	for name := range p.values {
		if !slices.Contains(p.known, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// recipients are what the argument "to" names: e-mails or names, and ids.
type recipients struct {
	names []string
	ids   []int64
}

// parseRecipients reads a JSON list, a JSON string or number, or names
// separated by commas.
func parseRecipients(to string) (recipients, error) {
	var r recipients
	var value any
	if err := json.Unmarshal([]byte(to), &value); err != nil {
		value = to
	}
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	for _, item := range list {
		switch item := item.(type) {
		case string:
			if ok { // in a list a name is a whole name
				r.names = append(r.names, item)
			} else {
				r.names = append(r.names, splitCommas(item)...)
			}
		case float64:
			id, err := strconv.ParseInt(strconv.FormatFloat(item, 'f', -1, 64), 10, 64)
			if err != nil {
				return r, badRequest("Invalid data type for recipients")
			}
			r.ids = append(r.ids, id)
		default:
			return r, badRequest("Invalid data type for recipients")
		}
	}
	if len(r.names) > 0 && len(r.ids) > 0 {
		return r, badRequest("Recipient lists may contain emails or user IDs, but not both.")
	}
	return r, nil
}
