package dump

import (
	"bytes"
	"strings"
)

// The lines with which pg_dump and pg_dumpall begin and end plain SQL. A
// dump of a cluster holds whole dumps of databases, so the one's end is not
// the other's.
const (
	sqlDatabase = "-- PostgreSQL database dump"
	sqlCluster  = "-- PostgreSQL database cluster dump"
	sqlComplete = " complete"
)

// sqlKind returns the first line of a dump that stands in the text, empty for
// none.
func sqlKind(head []byte) string {
	for line := range bytes.Lines(head) {
		switch text := strings.TrimRight(string(line), "\r\n"); text {
		case sqlDatabase, sqlCluster:
			return text
		}
	}
	return ""
}

func (r *reader) sql(head []byte) (Result, error) {
	tail, err := r.part(r.size-tailSize, tailSize)
	if err != nil {
		return Result{}, err
	}
	if r.whole {
		if err := r.readAll(); err != nil {
			return Result{}, err
		}
	}
	return sqlEnd("plain", sqlKind(head), tail), nil
}

// sqlEnd judges the end of plain SQL: the last line that says something must
// be the trailer of the same kind. Since the releases of August 2025 pg_dump
// writes "\unrestrict KEY" after it.
func sqlEnd(format, kind string, tail []byte) Result {
	lines := strings.Split(string(tail), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		line := strings.TrimRight(lines[i], "\r \t")
		if line == kind+sqlComplete {
			return Result{Format: format, Proven: true}
		}
		if line != "" && line != "--" && !strings.HasPrefix(line, `\unrestrict `) {
			break
		}
	}
	return Result{Format: format, Problem: `it ends early: no "` + strings.TrimPrefix(kind, "-- ") + sqlComplete + `" at its end`}
}
