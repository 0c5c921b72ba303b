package cronfile

import (
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

func TestParse(t *testing.T) {
	at := time.Unix(1764072000, 0)
	tests := []struct {
		name, data string
		want       record
		err        string // part of the error; empty for none
	}{
		// What jobs write.
		{"--state-file", "1764072000|2|CRITICAL|email_senders: 40 messages and no consumer\n", record{at: at, code: check.Critical, word: check.Critical, text: "email_senders: 40 messages and no consumer"}, ""},
		{"Zulip, lower case", "1764072000|0|ok|queues are fine\n", record{at: at, text: "queues are fine"}, ""},
		{"Zulip, old", "1764072000|3|UNKNOWN|no data\n", record{at: at, code: check.Unknown, word: check.Unknown, text: "no data"}, ""},
		{"decimals", "1764072000.5|1|warning|x\n", record{at: at.Add(500 * time.Millisecond), code: check.Warning, word: check.Warning, text: "x"}, ""},
		{"a pipe in the text", "1764072000|0|OK|a | b|c\n", record{at: at, text: "a | b|c"}, ""},
		{"no text", "1764072000|0|OK|\n", record{at: at}, ""},
		{"no newline", "1764072000|0|OK|fine", record{at: at, text: "fine"}, ""},
		{"CR LF", "1764072000|0|OK|fine\r\n", record{at: at, text: "fine"}, ""},
		{"a list below", "1764072000|2|CRITICAL|many\n\nalice\nbob\n", record{at: at, code: check.Critical, word: check.Critical, text: "many", more: []string{"alice", "bob"}}, ""},
		{"code and state disagree", "1764072000|0|CRITICAL|x\n", record{at: at, word: check.Critical, text: "x"}, ""},

		// What is no verdict.
		{"empty", "", record{}, "it is empty"},
		{"a newline", "\n", record{}, "it is empty"},
		{"blanks", "  \n \n", record{}, "it is empty"},
		{"half of the time", "17640", record{}, `has not the four fields of a verdict (time, code, state, text): "17640"`},
		{"half of the state", "1764072000|0|O", record{}, "has not the four fields"},
		{"three fields", "1764072000|0|OK\n", record{}, "has not the four fields"},
		{"a traceback", "Traceback (most recent call last):\n  File \"x\"\n", record{}, `"Traceback (most recent call last):"`},
		{"a notice before it", "This script must be run as the root or rabbitmq user\n1764072000|0|OK|fine\n", record{}, `something stands before the verdict: "This script must be run as the root or rabbitmq user"`},
		{"an empty line before it", "\n1764072000|0|OK|fine\n", record{}, "something stands before the verdict"},
		{"appended", "1764072000|0|OK|fine\n1764072060|2|CRITICAL|not fine\n", record{}, "it holds 2 verdicts"},
		{"code above 3", "1764072000|4|OK|x\n", record{}, `its code is "4"`},
		{"code below 0", "1764072000|-1|OK|x\n", record{}, `its code is "-1"`},
		{"code of two digits", "1764072000|00|OK|x\n", record{}, `its code is "00"`},
		{"code with a blank", "1764072000| 0|OK|x\n", record{}, "its code is"},
		{"no code", "1764072000||OK|x\n", record{}, `its code is ""`},
		{"state unknown", "1764072000|0|FINE|x\n", record{}, `its state is "FINE"`},
		{"state as a number", "1764072000|0|0|x\n", record{}, `its state is "0"`},
		{"no state", "1764072000|0||x\n", record{}, `its state is ""`},
		{"time 0", "0|0|OK|x\n", record{}, `its time is "0", which is no time`},
		{"time below 0", "-5|0|OK|x\n", record{}, `its time is "-5"; it must be the seconds since 1970`},
		{"time with a sign", "+1764072000|0|OK|x\n", record{}, "its time is"},
		{"time in words", "2026-11-25T12:00:00|0|OK|x\n", record{}, "its time is"},
		{"time in milliseconds", "1764072000000|0|OK|x\n", record{}, "which is no time in seconds since 1970"},
		{"time beyond numbers", strings.Repeat("9", 40) + "|0|OK|x\n", record{}, "which is no time"},
		{"no time", "|0|OK|x\n", record{}, `its time is ""`},
		{"hexadecimal", "0x69|0|OK|x\n", record{}, "its time is"},
		{"digits of another script", "١٧٦٤٠٧٢٠٠٠|0|OK|x\n", record{}, "its time is"},
		{"zero bytes", "\x00\x00\x00\x00", record{}, "has not the four fields"},
		{"binary", "\x7fELF\x02\x01\x01|\x00|\xff|\n", record{}, "its time is"},
		{"UTF-16", "1\x007\x006\x00|\x000\x00|\x00O\x00K\x00|\x00", record{}, "its time is"},
		{"a byte order mark", "\ufeff1764072000|0|OK|x\n", record{}, "its time is"},
	}
	for _, tt := range tests {
		got, err := parse([]byte(tt.data))
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: parse(%q) = %+v, %v; want an error with %q", tt.name, tt.data, got, err, tt.err)
			}
			continue
		}
		if err != nil || !got.at.Equal(tt.want.at) || got.code != tt.want.code || got.word != tt.want.word || got.text != tt.want.text ||
			strings.Join(got.more, "\n") != strings.Join(tt.want.more, "\n") {
			t.Errorf("%s: parse(%q) = %+v, %v; want %+v", tt.name, tt.data, got, err, tt.want)
		}
	}
}

// FuzzParse: whatever is taken for a verdict begins with one, as a reader that
// splits at every "|" would see it, and never with OK where either field says
// something else.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "\n", "1764072000|0|OK|fine\n", "1764072000|2|critical|a|b\nmore\n", "1764072000.25|1|WARNING|\r\n", "x\n1764072000|0|OK|\n",
		"1764072000|0|OK|a\n1764072000|0|OK|b\n", "0|0|OK|\x00", "\xff|\xfe|\xfd|", "999999999999999999999|3|unknown|",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parse(data)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n|\x00") {
				t.Errorf("parse(%q): the error %q is not fit for line 1", data, err)
			}
			return
		}
		first, _, _ := strings.Cut(string(data), "\n")
		fields := strings.Split(first, "|")
		if len(fields) < 4 || fields[1] != string(rune('0'+r.code)) || !strings.EqualFold(fields[2], r.word.String()) {
			t.Errorf("parse(%q) = %+v; line 1 says something else", data, r)
		}
		if r.at.Unix() <= 0 || r.at.Unix() >= maxEpoch {
			t.Errorf("parse(%q): the time is %v", data, r.at)
		}
		again, err := parse([]byte(first + "\n"))
		if err != nil || again.code != r.code || again.word != r.word || again.text != r.text {
			t.Errorf("parse(%q) = %+v, %v; want as with the lines below it: %+v", first, again, err, r)
		}
	})
}
