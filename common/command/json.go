package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// maxTries bounds at how many lines a JSON document is looked for.
const maxTries = 100

// DecodeJSON decodes the one JSON object or array that a tool printed. Lines
// before it are tolerated and returned: loggers, ssh banners and libraries
// write there whatever the tool intends. A document that ends early is
// refused, and so is one with more than blanks after it: who wrote that did
// not finish, or there are two. No output at all is an error. Numbers keep
// their digits where into says so (uint64, json.Number).
func DecodeJSON(output []byte, into any) (before string, err error) {
	if len(bytes.TrimSpace(output)) == 0 {
		return "", errors.New("nothing printed where JSON is due")
	}
	var first error
	rest := output
	for tries := 0; len(rest) > 0 && tries < maxTries; {
		line, after, _ := bytes.Cut(rest, []byte("\n"))
		if head := bytes.TrimLeft(line, " \t\r"); len(head) > 0 && (head[0] == '{' || head[0] == '[') {
			tries++
			document, failed := whole(rest)
			switch {
			case failed == nil:
				if err := json.Unmarshal(document, into); err != nil {
					return "", fmt.Errorf("unexpected JSON: %w", err)
				}
				return string(bytes.TrimSpace(output[:len(output)-len(rest)])), nil
			case errors.Is(failed, errEarly), errors.Is(failed, errMore):
				return "", failed
			case first == nil:
				first = failed
			}
		}
		rest = after
	}
	if first == nil {
		first = errors.New("no JSON in it")
	}
	return "", fmt.Errorf("%w; it begins %q", first, beginning(output))
}

var (
	errEarly = errors.New("the JSON ends early")
	errMore  = errors.New("there is more after the JSON")
)

// whole returns the document that takes all of the text. Another error than
// errEarly and errMore means that no document begins here: a log line may
// begin like one ("[WARNING] ...", "[1] 4711").
func whole(text []byte) (json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	var document json.RawMessage
	if err := d.Decode(&document); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			return nil, errEarly
		}
		return nil, err
	}
	rest := text[d.InputOffset():]
	if len(bytes.TrimSpace(rest)) == 0 {
		return document, nil
	}
	if line, _, _ := bytes.Cut(rest, []byte("\n")); len(bytes.TrimSpace(line)) > 0 {
		return nil, errors.New("no JSON alone on its lines")
	}
	return nil, errMore
}

// beginning is enough of an output to recognise it by.
func beginning(output []byte) string {
	output = bytes.TrimSpace(output)
	const enough = 60
	if len(output) > enough {
		output = output[:enough]
	}
	return string(bytes.ToValidUTF8(output, []byte("?")))
}
