package workermemory

import (
	"path"
	"regexp"
	"strings"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/procs"
)

// maxLabel bounds a worker's name in runes.
const maxLabel = 60

// patternLabel names a process that --pattern found: by the first group of
// the regular expression, where there is one and it matches, else by its
// title.
func patternLabel(command procs.CommandLine, group *regexp.Regexp) string {
	label := ""
	if group != nil {
		if m := group.FindStringSubmatch(command.String()); len(m) > 1 {
			label = m[1]
		}
	}
	if label = check.CleanMax(label, maxLabel); label != "" {
		return label
	}
	if label = check.CleanMax(title(command.Args()), maxLabel); label != "" {
		return label
	}
	return "unnamed"
}

// title is what a process calls itself without what changes from process to
// process: "flectra: WorkerHTTP 16466" is "flectra: WorkerHTTP",
// "postgres: zulip zulip [local] idle" is "postgres: zulip". A command line is
// named by its program, one of an interpreter by its script.
func title(args []string) string {
	if len(args) == 0 || args[0] == "" {
		return ""
	}
	if words := strings.Fields(args[0]); len(args) == 1 && len(words) > 1 {
		if !strings.HasSuffix(words[0], ":") {
			return title(words) // arguments that were joined with blanks
		}
		if isDigits(words[1]) {
			return words[0]
		}
		return words[0] + " " + words[1]
	}
	if interpreter(args[0]) {
		for _, arg := range args[1:] {
			if arg == "-c" || arg == "-e" {
				break
			}
			if base := path.Base(arg); arg != "" && !strings.HasPrefix(arg, "-") && !isDigits(base) {
				return base
			}
		}
	}
	return path.Base(args[0])
}

func interpreter(program string) bool {
	switch base := path.Base(program); base {
	case "perl", "ruby", "node", "nodejs", "sh", "bash", "dash":
		return true
	default:
		return isPython(base)
	}
}
