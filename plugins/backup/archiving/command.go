package archiving

import (
	"path"
	"strings"
)

// archivesNothing says why what the archiver is told to do archives nothing;
// empty where it may well archive. Only what is sure counts: a script that is
// called may do as little.
func archivesNothing(command, library string) string {
	if library != "" {
		return "" // what a module does cannot be seen, and the command is not used
	}
	text := strings.TrimSpace(command)
	if before, _, comment := strings.Cut(text, " #"); comment {
		text = strings.TrimSpace(before)
	}
	switch {
	case text == "" || text == "(disabled)" || strings.HasPrefix(text, "#"):
		return "no archive_command and no archive_library is set: segments are kept and wait for ever"
	case !strings.Contains(text, "%p") && !strings.Contains(text, "%f"):
		return "archive_command names no segment (neither %p nor %f)"
	case strings.ContainsAny(text, "&|;>`\n") || strings.Contains(text, "$("):
		if strings.HasSuffix(text, "/dev/null") && !strings.ContainsAny(strings.TrimSuffix(text, "/dev/null"), "&|;`\n") &&
			(strings.HasPrefix(text, "cat ") || strings.HasPrefix(text, "dd ")) {
			return "archive_command writes to /dev/null"
		}
		return ""
	}
	words := strings.Fields(text)
	switch path.Base(words[0]) {
	case "true", ":", "exit", "echo", "test", "[", "cd", "printf", "logger":
		return "archive_command only runs " + words[0] + ", which copies nothing"
	}
	if words[len(words)-1] == "/dev/null" {
		return "archive_command writes to /dev/null"
	}
	return ""
}
