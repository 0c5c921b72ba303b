package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/belfry-monitoring/belfry/testbed/scene"
)

// row is a check as both faces show it. The states are -1 where there is none
// yet.
type row struct {
	name             string
	nagios, exporter int
	text             string // line 1 as Nagios has it
}

func (r row) settled() bool { return r.nagios >= 0 && r.nagios == r.exporter }

func printTable(w io.Writer, rows []row) {
	fmt.Fprintf(w, "\n  %-26s %-9s %-9s %s\n", "check", "Nagios", "exporter", "says")
	for _, r := range rows {
		text := r.text
		if _, after, ok := strings.Cut(text, ": "); ok {
			text = after
		}
		fmt.Fprintf(w, "  %-26s %-9s %-9s %s\n", r.name, scene.Word(r.nagios), scene.Word(r.exporter), text)
	}
	fmt.Fprintln(w)
}

// problems is an error that names what is not OK.
func problems(rows []row) error {
	var errs []error
	for _, r := range rows {
		if r.nagios != 0 || r.exporter != 0 {
			errs = append(errs, fmt.Errorf("%s is %s in Nagios and %s in the exporter: %s", r.name, scene.Word(r.nagios), scene.Word(r.exporter), r.text))
		}
	}
	return errors.Join(errs...)
}
