package cronfile

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

// record is the verdict that a file holds: epoch|code|STATE|text on one line,
// as Zulip's cron jobs and --state-file write it. Zulip does not escape the
// text, so it may hold "|" and line ends.
type record struct {
	at         time.Time
	code, word check.State // equal in a file that can be believed
	text       string      // rest of the line, as it came
	more       []string    // lines below it that are not empty
}

// maxEpoch is the beginning of the year 10000 in Unix seconds, which no format
// of times can write; a time in milliseconds is beyond it.
const maxEpoch = 253402300800

var errEmpty = errors.New("it is empty: the job was cut off, or has been writing it for longer than this look waited")

// parse reads a file's verdict. What another reader could take for something
// else is an error: lines before the verdict, several verdicts, a number that
// is no plain one.
func parse(data []byte) (record, error) {
	lines := strings.Split(strings.TrimRight(string(data), "\r\n"), "\n")
	if strings.TrimSpace(string(data)) == "" {
		return record{}, errEmpty
	}
	r, err := parseLine(strings.TrimSuffix(lines[0], "\r"))
	others := 0
	for _, line := range lines[1:] {
		line = strings.TrimSuffix(line, "\r")
		if _, err := parseLine(line); err == nil {
			others++
		}
		if strings.TrimSpace(line) != "" {
			r.more = append(r.more, line)
		}
	}
	switch {
	case err != nil && others > 0:
		return record{}, fmt.Errorf("something stands before the verdict: %s", quote(lines[0]))
	case err != nil:
		return record{}, err
	case others > 0:
		return record{}, fmt.Errorf("it holds %d verdicts: each must replace the one before it (is it written by >> in place of > and mv?)", others+1)
	}
	return r, nil
}

func parseLine(line string) (record, error) {
	fields := strings.SplitN(line, "|", 4)
	if len(fields) < 4 {
		return record{}, fmt.Errorf("line 1 has not the four fields of a verdict (time, code, state, text): %s", quote(line))
	}
	at, err := parseEpoch(fields[0])
	if err != nil {
		return record{}, err
	}
	code := slices.Index([]string{"0", "1", "2", "3"}, fields[1])
	if code < 0 {
		return record{}, fmt.Errorf("its code is %s; it must be 0, 1, 2 or 3", quote(fields[1]))
	}
	word := slices.IndexFunc(check.States(), func(s check.State) bool { return strings.EqualFold(s.String(), fields[2]) })
	if word < 0 {
		return record{}, fmt.Errorf("its state is %s; it must be OK, WARNING, CRITICAL or UNKNOWN", quote(fields[2]))
	}
	return record{at: at, code: check.States()[code], word: check.States()[word], text: strings.TrimSpace(fields[3])}, nil
}

// parseEpoch reads Unix seconds, with decimals or without.
func parseEpoch(text string) (time.Time, error) {
	whole, decimals, point := strings.Cut(text, ".")
	if !digits(whole) || point && !digits(decimals) || len(decimals) > 9 {
		return time.Time{}, fmt.Errorf("its time is %s; it must be the seconds since 1970", quote(text))
	}
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || seconds <= 0 || seconds >= maxEpoch {
		return time.Time{}, fmt.Errorf("its time is %s, which is no time in seconds since 1970", quote(text))
	}
	nanos, err := strconv.ParseInt((decimals + "000000000")[:9], 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("its time is %s: %w", quote(text), err)
	}
	return time.Unix(seconds, nanos), nil
}

func digits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

func quote(text string) string { return `"` + check.CleanMax(text, 60) + `"` }
