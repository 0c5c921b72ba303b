package trend

import "math"

// line is a straight line through samples by least squares.
type line struct {
	slope      float64 // units per second
	spread     float64 // standard deviation of the samples around the line, units
	slopeError float64 // standard error of the slope, units per second
	end        float64 // the line's value at the last sample
}

// fit lays the line. Times and values are taken from their means and the rest
// is summed from the residuals: the textbook's sums of squares lose all digits
// for gigabytes a year after the start. Fewer than two moments have no line.
func fit(samples []Sample) line {
	n := float64(len(samples))
	var at, value float64
	for _, s := range samples {
		at += s.At / n
		value += s.Value / n
	}
	var xx, xy float64
	for _, s := range samples {
		xx += (s.At - at) * (s.At - at)
		xy += (s.At - at) * (s.Value - value)
	}
	if !(xx > 0) {
		return line{}
	}
	l := line{slope: xy / xx}
	l.end = value + l.slope*(samples[len(samples)-1].At-at)
	rest := 0.0
	for _, s := range samples {
		r := s.Value - value - l.slope*(s.At-at)
		rest += r * r
	}
	l.spread = math.Sqrt(rest / math.Max(n-2, 1))
	l.slopeError = l.spread / math.Sqrt(xx)
	return l
}
