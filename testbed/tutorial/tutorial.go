// Package tutorial runs the commands of a tutorial as its reader would, so
// that what is written there works. Paths and ports of the machine are
// replaced by those of the test, and lines that would change the machine
// itself are done by the test in their place; everything else is run as it
// stands.
package tutorial

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Block is a fenced block of a Markdown file.
type Block struct {
	Text string
	Line int // of its first line in the file, from 1
}

// Blocks returns the fenced blocks of one language, in their order.
func Blocks(markdown, language string) []Block {
	var blocks []Block
	var text []string
	inside, wanted, first := false, false, 0
	for n, line := range strings.Split(markdown, "\n") {
		fence, isFence := strings.CutPrefix(line, "```")
		switch {
		case isFence && !inside:
			inside, wanted, first, text = true, strings.TrimSpace(fence) == language, n+2, nil
		case isFence:
			if wanted {
				blocks = append(blocks, Block{Text: strings.Join(text, "\n") + "\n", Line: first})
			}
			inside = false
		case inside:
			text = append(text, line)
		}
	}
	return blocks
}

// Reader says who goes through a tutorial, and where.
type Reader struct {
	Dir string   // working directory
	Env []string // whole environment of the commands
	// Replace are pairs of what stands in the tutorial and what the test has
	// in its place, as strings.NewReplacer takes them.
	Replace []string
	// Do has what is done in place of a line, by the line without the blanks
	// around it: "systemctl stop postgresql". nil does nothing.
	Do map[string]func()
}

// limit bounds the commands between two lines of Do.
const limit = 2 * time.Minute

// Run goes through the blocks with /bin/sh -e and returns what they printed.
// A command that fails, hangs, or a line of Do that no block has, fails the
// test.
func (r *Reader) Run(t *testing.T, blocks []Block) string {
	t.Helper()
	done := make(map[string]bool)
	var printed strings.Builder
	for _, b := range blocks {
		var script strings.Builder
		flush := func() {
			if strings.TrimSpace(script.String()) != "" {
				printed.WriteString(r.shell(t, b.Line, strings.NewReplacer(r.Replace...).Replace(script.String())))
			}
			script.Reset()
		}
		for _, line := range strings.SplitAfter(b.Text, "\n") {
			do, known := r.Do[strings.TrimSpace(line)]
			if !known {
				script.WriteString(line)
				continue
			}
			flush()
			done[strings.TrimSpace(line)] = true
			if do != nil {
				do()
			}
		}
		flush()
	}
	for line := range r.Do {
		if !done[line] {
			t.Errorf("no block of the tutorial has the line %q", line)
		}
	}
	return printed.String()
}

func (r *Reader) shell(t *testing.T, line int, script string) string {
	t.Helper()
	// A file and not a pipe: what the commands leave running would hold it open.
	out, err := os.CreateTemp(t.TempDir(), "printed")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command("/bin/sh", "-e", "-c", script)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = r.Dir, r.Env, out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(limit, func() { _ = cmd.Process.Kill() })
	err = cmd.Wait()
	inTime := late.Stop()
	text, readErr := os.ReadFile(out.Name())
	if readErr != nil {
		t.Fatal(readErr)
	}
	if err != nil {
		if !inTime {
			err = fmt.Errorf("no end within %s", limit)
		}
		t.Fatalf("the block at line %d: %v\n%s\nprinted:\n%s", line, err, script, text)
	}
	return string(text)
}
