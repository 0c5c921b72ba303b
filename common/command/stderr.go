package command

import (
	"regexp"
	"strings"
	"sync"

	"github.com/belfry-monitoring/belfry/common/check"
)

// maxStderr bounds what is kept of standard error, in bytes. Tools put the
// error that ended them last, so the end is kept and a flood does no harm.
const maxStderr = 16 << 10

// ending keeps the last max bytes written. The lock is for a tool that is
// reported as late while something it left behind may still write.
type ending struct {
	mu   sync.Mutex
	data []byte
	max  int
	cut  bool
}

func (e *ending) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.data = append(e.data, p...)
	if over := len(e.data) - e.max; over > 0 {
		e.data = append(e.data[:0], e.data[over:]...)
		e.cut = true
	}
	return len(p), nil
}

// Text is what was said, clean for one line of output.
func (e *ending) Text() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	text := string(e.data)
	if e.cut {
		_, text, _ = strings.Cut(text, "\n") // the first line has no beginning
	}
	return check.Clean(fromError(text))
}

// Raw is what was said, as it was said.
func (e *ending) Raw() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return string(e.data)
}

var errorLine = regexp.MustCompile(`(?i)\b(error|fatal|panic|critical|failed|denied)\b`)

// fromError leaves out what a tool says before its first error: greetings,
// progress, warnings about its configuration.
func fromError(text string) string {
	for rest := text; rest != ""; {
		line, after, _ := strings.Cut(rest, "\n")
		if errorLine.MatchString(line) {
			return rest
		}
		rest = after
	}
	return text
}
