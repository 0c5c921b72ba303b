package backup

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/safefile"
)

// markers reads the files in which a backup script leaves the time at which
// it ended, as Zulip's pg_backup_and_purge did until 2025 in
// /var/lib/nagios_state/last_postgresql_backup (earlier last_postgres_backup).
type markers struct{ files []string }

func newMarkers(fs *pflag.FlagSet) *markers {
	m := &markers{}
	fs.StringArrayVar(&m.files, "marker-file", nil, "marker: a file that holds the time at which a backup ended, as Zulip's pg_backup_and_purge wrote (/var/lib/nagios_state/last_postgresql_backup); it proves less than a look at the backup. Repeat for several")
	return m
}

func (m *markers) name() string { return "marker" }

func (m *markers) given() string {
	if len(m.files) > 0 {
		return "marker-file"
	}
	return ""
}

func (m *markers) prepare() (target string, err error) {
	for i, file := range m.files {
		if !filepath.IsAbs(file) {
			return "", fmt.Errorf("--marker-file %q is no absolute path", file)
		}
		if m.files[i] = filepath.Clean(file); slices.Contains(m.files[:i], m.files[i]) {
			return "", fmt.Errorf("--marker-file %s is given twice", file)
		}
	}
	return strings.Join(m.files, " "), nil
}

func (m *markers) list(context.Context, moment) (*listing, error) {
	l := &listing{}
	for _, file := range m.files {
		one := set{name: file}
		ended, err := readMarker(file)
		if err != nil {
			one.faults = append(one.faults, err)
		} else {
			one.backups = []backup{{name: "what " + filepath.Base(file) + " tells of", kind: "marker", ended: ended, size: -1, unproven: true}}
		}
		l.sets = append(l.sets, one)
	}
	return l, nil
}

// maxMarker bounds a marker in bytes.
const maxMarker = 1024

func readMarker(file string) (time.Time, error) {
	data, err := safefile.Read(file, maxMarker)
	if err != nil {
		return time.Time{}, withGrant(err, file)
	}
	ended, err := parseMarker(data)
	if err != nil {
		return time.Time{}, check.Faultf(check.Data, "read the time of the backup from", file, "%w", err)
	}
	return ended, nil
}

// parseMarker reads a time as Python's isoformat() and date -Is write it. One
// without a zone is UTC, as Zulip's scripts meant it.
func parseMarker(data []byte) (time.Time, error) {
	text := strings.TrimSpace(string(data))
	if text == "" {
		return time.Time{}, errors.New("it is empty")
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999"} {
		if t, err := time.Parse(layout, text); err == nil && t.Year() > 1970 {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time such as 2026-11-25T02:10:00+00:00", check.CleanMax(text, 60))
}
