package backup

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/command"
	"github.com/belfry-monitoring/belfry/common/options"
	"github.com/belfry-monitoring/belfry/common/safefile"
)

// wholeLook is the limit of a tool that may take all of the look's time, as
// it has no other: -t gives it more.
const wholeLook = 24 * time.Hour

// answer is what a tool printed, now or to somebody else.
type answer struct {
	from   string // the repository, server or file, as it is shown; no secret in it
	file   bool   // it was read from a file
	output []byte
	lists  []list
	wrong  []string // what the tool says is wrong, beside its list
}

// readList reads what a tool printed into a file.
func readList(path string, max int64) (*answer, error) {
	f, info, err := safefile.Open(path)
	if err != nil {
		return nil, withGrant(err, path)
	}
	defer f.Close()
	output, err := io.ReadAll(io.LimitReader(f, max+1))
	switch {
	case err != nil:
		return nil, &check.Fault{Reason: check.Data, Stage: "read", Peer: path, Err: err}
	case int64(len(output)) > max:
		return nil, check.Faultf(check.Data, "read", path, "more than %s", check.FormatBytes(float64(max)))
	}
	return &answer{from: path, file: true, output: output, lists: []list{{path: path, written: info.ModTime()}}}, nil
}

// checkFiles refuses paths that are not absolute or given twice.
func checkFiles(option string, paths []string) error {
	for i, path := range paths {
		if !filepath.IsAbs(path) {
			return fmt.Errorf("--%s %q is no absolute path", option, path)
		}
		if slices.Contains(paths[:i], path) {
			return fmt.Errorf("--%s %s is given twice", option, path)
		}
	}
	return nil
}

// gather asks for all answers side by side and makes sets of each. What
// fails is a set whose newest backup cannot be known.
func gather(ctx context.Context, asks []ask, parse func(*answer) ([]set, []string, error)) (*listing, error) {
	answers, errs := make([]*answer, len(asks)), make([]error, len(asks))
	looks := make([]func(context.Context) error, len(asks))
	for i, one := range asks {
		looks[i] = func(ctx context.Context) error {
			answers[i], errs[i] = one.read(ctx)
			return nil
		}
	}
	if err := check.Go(ctx, looks...); err != nil {
		return nil, err
	}
	l := &listing{}
	for i, one := range asks {
		err := errs[i]
		var sets []set
		if err == nil {
			var notes []string
			sets, notes, err = parse(answers[i])
			if len(answers[i].wrong) > 0 {
				sets = append(sets, set{name: one.name, wrong: answers[i].wrong})
			}
			l.notes = append(l.notes, notes...)
			l.lists = append(l.lists, answers[i].lists...)
		}
		var gone *goneError
		if errors.As(err, &gone) {
			l.sets = append(l.sets, set{name: one.name, wrong: []string{gone.text}})
			continue
		}
		if err != nil {
			if len(asks) == 1 {
				return nil, err
			}
			l.sets = append(l.sets, set{name: one.name, faults: []error{err}})
			continue
		}
		for _, s := range sets {
			if len(asks) > 1 && s.name != one.name {
				s.name = strings.TrimSpace(one.name + " " + s.name)
			}
			l.sets = append(l.sets, s)
		}
	}
	return l, nil
}

// ask is one question to a tool, or one file.
type ask struct {
	name string // unique among those of a source
	read func(context.Context) (*answer, error)
}

// files are questions that files answer.
func files(paths []string) []ask {
	asks := make([]ask, 0, len(paths))
	for _, path := range paths {
		asks = append(asks, ask{name: path, read: func(context.Context) (*answer, error) { return readList(path, maxList) }})
	}
	return asks
}

// refused is the fault of an answer that cannot be understood.
func (a *answer) refused(due string, err error) error {
	stage := "understand the list of"
	if a.file {
		stage = "read"
	}
	return check.Faultf(check.Data, stage, a.from, "not %s: %w", due, err)
}

// beforeJSON notes what stands before the JSON.
func (a *answer) beforeJSON(tool, before string) []string {
	if before == "" {
		return nil
	}
	return []string{a.from + ": before its JSON " + tool + " says: " + check.Clean(before)}
}

// environment is a file of NAME=value lines with what a tool needs to reach
// its repository: credentials of object stores, commands that print a
// password. Only names that begin as the tool's do are let through.
type environment struct {
	option   string
	path     string
	prefixes []string
	lax      *bool
}

func newEnvironment(fs *pflag.FlagSet, tool string, prefixes ...string) *environment {
	e := &environment{option: tool + "-env-file", prefixes: prefixes, lax: options.InsecurePermissions(fs)}
	fs.StringVar(&e.path, e.option, "", tool+": file of NAME=value lines with what the tool needs beside the options; of them are let through "+strings.Join(prefixes, "*, ")+"*")
	return e
}

// read returns the variables. The file is refused where others can read or
// write it, as it may hold passwords and commands.
func (e *environment) read() ([]string, error) {
	if e.path == "" {
		return nil, nil
	}
	data, err := safefile.ReadSecret(e.path, *e.lax)
	if err != nil {
		return nil, withGrant(err, e.path)
	}
	vars, err := parseEnvironment(string(data), e.prefixes)
	if err != nil {
		return nil, check.Faultf(check.Config, "read", e.path, "%w", err)
	}
	return vars, nil
}

// parseEnvironment reads lines as systemd's EnvironmentFile and sh write
// them: NAME=value, export NAME=value, quotes around all of a value, # begins
// a comment line. Names that begin with none of the prefixes are left out. No
// value stands in an error.
func parseEnvironment(text string, prefixes []string) ([]string, error) {
	var vars []string
	scanner := bufio.NewScanner(strings.NewReader(text))
	scanner.Buffer(nil, safefile.MaxSecret+1)
	for n := 1; scanner.Scan(); n++ {
		line := strings.TrimSpace(scanner.Text())
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		name, value, ok := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, "export ")), "=")
		if !ok || name == "" || strings.ContainsAny(name, " \t'\"$") || strings.ContainsRune(value, 0) {
			return nil, fmt.Errorf("line %d is no NAME=value", n)
		}
		if len(value) >= 2 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
			value = value[1 : len(value)-1]
		}
		if slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) }) {
			vars = append(vars, name+"="+value)
		}
	}
	return vars, scanner.Err()
}

// toolRefusal names the reason why a tool failed, by what it said, and what
// helps. The words are those of the tools in English (LC_ALL=C), in whatever
// case. The path is of what it looked at, empty for what is not here;
// otherwise helps where it may not.
func toolRefusal(out *command.Output, err error, path, otherwise string, wrongs []wrong) error {
	var exit *command.ExitError
	var fault *check.Fault
	if !errors.As(err, &exit) || !errors.As(err, &fault) || out == nil {
		return err
	}
	log := strings.ToLower(out.Log + string(out.Stdout[:min(len(out.Stdout), 4096)]))
	for _, w := range slices.Concat(wrongs, networkWrongs) {
		if w.code != 0 && w.code != exit.Code || !strings.Contains(log, strings.ToLower(w.says)) {
			continue
		}
		sorted := *fault
		sorted.Reason = w.reason
		sorted.Err = fmt.Errorf("%s: %w", w.means, fault.Err)
		switch {
		case w.gone:
			return &goneError{text: w.means + ": " + exit.Error(), err: &sorted}
		case w.reason == check.Permission:
			who := " (user " + whoami() + otherwise + ")"
			if path != "" {
				who = grant(path, otherwise)
			}
			sorted.Err = fmt.Errorf("%s%s: %w", w.means, who, fault.Err)
		}
		return &sorted
	}
	return err
}

// goneError is the end of a tool that has looked and found nothing to restore
// from: no fault of the look.
type goneError struct {
	text string
	err  error
}

func (e *goneError) Error() string { return e.err.Error() }
func (e *goneError) Unwrap() error { return e.err }

// networkWrongs are the words of libraries that all tools use.
var networkWrongs = []wrong{
	{says: "connection refused", reason: check.Dial, means: "connection refused"},
	{says: "no such host", reason: check.DNS, means: "no such host"},
	{says: "could not resolve hostname", reason: check.DNS, means: "no such host"},
	{says: "no route to host", reason: check.Dial, means: "no route to host"},
	{says: "connection timed out", reason: check.Timeout, means: "no answer"},
	{says: "i/o timeout", reason: check.Timeout, means: "no answer"},
	{says: "connection closed by remote host", reason: check.Dial, means: "the connection was closed"},
}

// wrong is how a tool fails.
type wrong struct {
	code   int    // exit code; zero: any
	gone   bool   // there is nothing to restore from
	says   string // on standard error; empty: anything
	reason check.Reason
	means  string
}

// joined is a target's name.
func joined(otherwise string, names ...[]string) string {
	return cmp.Or(strings.Join(slices.Concat(names...), " "), otherwise)
}
