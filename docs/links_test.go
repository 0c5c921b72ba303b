package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// Every relative link and picture of the documentation leads somewhere, also
// to the heading that it names.
func TestLinks(t *testing.T) {
	files := []string{"../README.md"}
	err := filepath.WalkDir(".", func(path string, e fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".md") {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`\]\(([^()\s]+)\)`)
	for _, file := range files {
		for _, m := range link.FindAllStringSubmatch(prose(t, file), -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			path, anchor, _ := strings.Cut(m[1], "#")
			target := file
			if path != "" {
				target = filepath.Join(filepath.Dir(file), path)
			}
			info, err := os.Stat(target)
			switch {
			case err != nil:
				t.Errorf("%s: the link %s leads nowhere: %v", file, m[1], err)
			case !info.IsDir() && info.Size() == 0:
				t.Errorf("%s: the link %s leads to an empty file", file, m[1])
			case anchor != "" && !headings(t, target)[anchor]:
				t.Errorf("%s: %s has no heading #%s", file, target, anchor)
			}
		}
	}
}

// prose is a file of Markdown without its blocks and pieces of code.
func prose(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```.*?^```")
	return regexp.MustCompile("`[^`\n]*`").ReplaceAllStringFunc(blocks.ReplaceAllString(string(text), ""), func(code string) string {
		return strings.Map(func(c rune) rune {
			if strings.ContainsRune("[]()", c) {
				return '_'
			}
			return c
		}, code)
	})
}

// headings are the anchors that GitHub makes of a file's headings.
func headings(t *testing.T, path string) map[string]bool {
	t.Helper()
	anchors := make(map[string]bool)
	for _, line := range strings.Split(prose(t, path), "\n") {
		title, isHeading := strings.CutPrefix(strings.TrimLeft(line, "#"), " ")
		if !isHeading || !strings.HasPrefix(line, "#") {
			continue
		}
		anchors[strings.Map(func(c rune) rune {
			switch {
			case unicode.IsLetter(c) || unicode.IsDigit(c) || c == '-' || c == '_':
				return unicode.ToLower(c)
			case c == ' ':
				return '-'
			}
			return -1
		}, strings.TrimSpace(title))] = true
	}
	return anchors
}
