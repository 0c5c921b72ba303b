package main

import "testing"

// A part that is measured anew replaces its own sections only.
func TestMerge(t *testing.T) {
	const before = "# Benchmarks\n\nold head\n\n## A\n\na1\n\n## B\n\nb1\n"
	for _, tt := range []struct {
		name, before, now, want string
		all                     bool
	}{
		{"one section", before, "# Benchmarks\n\nnew head\n\n## A\n\na2\n", "# Benchmarks\n\nold head\n\n## A\n\na2\n\n## B\n\nb1\n", false},
		{"a new section", before, "# Benchmarks\n\nnew head\n\n## C\n\nc1\n", before + "\n## C\n\nc1\n", false},
		{"all", before, "# Benchmarks\n\nnew head\n\n## A\n\na2\n", "# Benchmarks\n\nnew head\n\n## A\n\na2\n", true},
		{"no file yet", "", "# Benchmarks\n\n## A\n\na2\n", "# Benchmarks\n\n## A\n\na2\n", false},
	} {
		if got := merge(tt.before, tt.now, tt.all); got != tt.want {
			t.Errorf("%s: merge =\n%s; want\n%s", tt.name, got, tt.want)
		}
	}
}

// The delay of a window is that of the looks since its beginning.
func TestDelay(t *testing.T) {
	const bucket = "belfry_exporter_look_delay_seconds_bucket"
	at := func(small, large, all float64) scraped {
		return scraped{value: map[string]float64{bucket + `{le="0.001"}`: small, bucket + `{le="1"}`: large, bucket + `{le="+Inf"}`: all}}
	}
	half, most, all, looks := at(110, 209, 210).delay(at(10, 10, 11))
	if half != 0.001 || most != 1 || all != 1 || looks != 199 {
		t.Errorf("delay = %v, %v, %v of %v looks; want 0.001, 1, 1 of 199", half, most, all, looks)
	}
}

// Every fifth target hangs, and must be CRITICAL.
func TestWrong(t *testing.T) {
	s := scraped{states: map[string]float64{
		`check="bench_tcp",target="target-00000"`: 2, `check="bench_tcp",target="target-00001"`: 0, `check="bench_tcp",target="target-00002"`: 3,
	}}
	if got := s.wrong(4); got != 2 {
		t.Errorf("wrong(4) = %d; want 2: one UNKNOWN and one without a verdict", got)
	}
}
