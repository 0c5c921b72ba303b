package command

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestDecodeJSON(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		output, before, err string // err: in the error, empty for none
	}{
		{`[{"id":7710409982631294448}]`, "", ""},
		{"\n [{\"id\":1}]\n\n", "", ""},
		{"[]", "", ""},
		{"WARN: invalid option\n[{\"id\":1}]", "WARN: invalid option", ""},
		{"[WARNING] no cache\n[1] 4711\n{broken\n[\n{\"id\":1}\n]\n", "[WARNING] no cache\n[1] 4711\n{broken", ""},
		{"", "", "nothing printed"},
		{" \n\t", "", "nothing printed"},
		{"Welcome", "", `no JSON in it; it begins "Welcome"`},
		{`[{"id":1}`, "", "ends early"},
		{"[\n{\"id\":1},\n{\"id\":2}\n", "", "ends early"}, // the last line alone would be a document
		{`[{"id":1}] trailing`, "", "no JSON alone"},
		{"[{\"id\":1}]\nKilled\n", "", "more after"},
		{"[{\"id\":1}]\n[{\"id\":2}]\n", "", "more after"}, // which of the two?
		{`{"id":1}`, "", "unexpected JSON"},
		{`[{"id":-1}]`, "", "unexpected JSON"},
		{"<html>", "", "no JSON in it"},
		{"[\xff\xfe", "", "invalid character"},
	} {
		var got []struct {
			ID uint64 `json:"id"`
		}
		before, err := DecodeJSON([]byte(test.output), &got)
		switch {
		case test.err == "" && (err != nil || before != test.before):
			t.Errorf("DecodeJSON(%q) = %q, %v; want %q", test.output, before, err, test.before)
		case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
			t.Errorf("DecodeJSON(%q) = %v; want an error with %q", test.output, err, test.err)
		}
		if strings.Contains(test.output, "7710409982631294448") && got[0].ID != 7710409982631294448 {
			t.Errorf("id = %d; want all its digits", got[0].ID)
		}
	}
}

// TestDecodeJSONBounded: many lines that begin like JSON are not tried for ever.
func TestDecodeJSONBounded(t *testing.T) {
	t.Parallel()
	var got any
	if _, err := DecodeJSON([]byte(strings.Repeat("[x\n", 1<<20)+"[]"), &got); err == nil {
		t.Error("a document behind a million broken ones was found; want an error")
	}
}

func FuzzDecodeJSON(f *testing.F) {
	for _, seed := range []string{"[]", "x\n[1]", "[\n{}\n", "[1]\n[2]", "{\"a\":[{}]}", "[1] 2\n{}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, output []byte) {
		var got json.RawMessage
		before, err := DecodeJSON(output, &got)
		if err != nil {
			return
		}
		if !json.Valid(got) {
			t.Errorf("DecodeJSON(%q) accepted %q, which is no JSON", output, got)
		}
		if !strings.HasSuffix(strings.TrimSpace(string(output)), strings.TrimSpace(string(got))) || !strings.HasPrefix(strings.TrimSpace(string(output)), before) {
			t.Errorf("DecodeJSON(%q) = %q before %q; want them to be its parts", output, before, got)
		}
	})
}
