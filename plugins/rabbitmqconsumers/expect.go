package rabbitmqconsumers

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/rabbitmq"
)

// expectation is how many consumers the queues of a name or glob should have.
type expectation struct {
	queue    string
	min, max int // max is negative where there is no upper bound
}

// parseExpectations reads the values of --expect.
func parseExpectations(values []string) ([]expectation, error) {
	var all []expectation
	for _, value := range values {
		e, err := parseExpectation(value)
		if err != nil {
			return nil, fmt.Errorf("--expect %q: %w", value, err)
		}
		all = append(all, e)
	}
	return all, nil
}

// parseExpectation reads QUEUE=N, QUEUE=N:M or QUEUE=N:. A queue's name may
// hold an equals sign, so the last one counts.
func parseExpectation(text string) (expectation, error) {
	at := strings.LastIndex(text, "=")
	if at <= 0 {
		return expectation{}, errors.New("write QUEUE=N, QUEUE=N:M or QUEUE=N: for no upper bound")
	}
	e := expectation{queue: text[:at]}
	least, most, colon := strings.Cut(text[at+1:], ":")
	var err error
	if e.min, err = parseCount(least); err != nil {
		return expectation{}, err
	}
	switch {
	case !colon:
		e.max = e.min
	case most == "":
		e.max = -1
	default:
		if e.max, err = parseCount(most); err != nil {
			return expectation{}, err
		}
		if e.max < e.min {
			return expectation{}, fmt.Errorf("%d is less than %d: write the smaller number first", e.max, e.min)
		}
	}
	return e, nil
}

func parseCount(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("%q is no number of consumers", text)
	}
	return int(n), nil
}

// limits turns the expectations into limits of the metric: fewer are critical,
// more are a warning. Without any, one consumer is the least.
func limits(expected []expectation) []check.Limit {
	all := []check.Limit{{Metric: rabbitmq.Consumers, Severity: check.Critical, Range: atLeast(1)}}
	for _, e := range expected {
		match := map[string]string{"queue": e.queue}
		upper := atLeast(e.min)
		if e.max >= 0 {
			upper.End = float64(e.max)
		}
		all = append(all,
			check.Limit{Metric: rabbitmq.Consumers, Match: match, Severity: check.Critical, Range: atLeast(e.min)},
			// Said also where nothing is too many, because it replaces what
			// an expectation before it has said.
			check.Limit{Metric: rabbitmq.Consumers, Match: match, Severity: check.Warning, Range: upper})
	}
	return all
}

func atLeast(n int) check.Range { return check.Range{Start: float64(n), End: math.Inf(1)} }
