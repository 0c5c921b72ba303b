package main

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// scraped is an answer of /metrics.
type scraped struct {
	text   []byte
	series int
	value  map[string]float64 // of the exporter's and the runtime's own
	states map[string]float64 // verdicts by target
}

// scrapeOf scrapes as Prometheus does, compressed.
func scrapeOf(address string) (scraped, error) {
	s := scraped{value: make(map[string]float64), states: make(map[string]float64)}
	response, err := http.Get(address)
	if err != nil {
		return s, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return s, fmt.Errorf("GET %s: %s", address, response.Status)
	}
	if s.text, err = io.ReadAll(io.LimitReader(response.Body, 1<<30)); err != nil {
		return s, err
	}
	lines := bufio.NewScanner(bytes.NewReader(s.text))
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), "} ")
		if ok {
			name += "}"
		} else {
			name, value, ok = strings.Cut(lines.Text(), " ")
		}
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		s.series++
		number, err := strconv.ParseFloat(value, 64)
		if err != nil {
			continue
		}
		if strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "belfry_exporter_") {
			s.value[name] = number
		} else if labels, ok := strings.CutPrefix(name, "belfry_check_state{"); ok {
			s.states[labels] = number
		}
	}
	return s, lines.Err()
}

func (s scraped) goroutines() int { return int(s.value["go_goroutines"]) }

// wrong counts the checks that have not the verdict they should: CRITICAL for
// every fifth, which hangs, OK for the others.
func (s scraped) wrong(n int) int {
	wrong := n - len(s.states)
	for labels, state := range s.states {
		_, number, _ := strings.Cut(labels, "target-")
		number, _, _ = strings.Cut(number, `"`)
		i, err := strconv.Atoi(number)
		want := 0.0
		if i%oneInHangs == 0 {
			want = 2
		}
		if err != nil || state != want {
			wrong++
		}
	}
	return wrong
}

// delay returns within how many seconds half, 99 % and all looks since the
// earlier scrape have begun: bounds of the histogram's buckets.
func (s scraped) delay(since scraped) (half, most, all, looks float64) {
	type bucket struct{ bound, count float64 }
	var buckets []bucket
	const prefix = `belfry_exporter_look_delay_seconds_bucket{le="`
	for name, count := range s.value {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			bound, err := strconv.ParseFloat(strings.TrimSuffix(rest, `"}`), 64)
			if err == nil {
				buckets = append(buckets, bucket{bound, count - since.value[name]})
			}
		}
	}
	slices.SortFunc(buckets, func(a, b bucket) int { return cmp.Compare(a.bound, b.bound) })
	if len(buckets) == 0 {
		return math.Inf(1), math.Inf(1), math.Inf(1), 0
	}
	looks = buckets[len(buckets)-1].count
	within := func(share float64) float64 {
		for _, b := range buckets {
			if b.count >= share*looks {
				return b.bound
			}
		}
		return math.Inf(1)
	}
	return within(0.5), within(0.99), within(1), looks
}

// read reads an answer in the given encoding to its end and returns its size.
func read(address, encoding string) (int, error) {
	request, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Accept-Encoding", encoding)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	size, err := io.Copy(io.Discard, response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s", address, response.Status)
	}
	return int(size), err
}
