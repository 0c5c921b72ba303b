package check

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Unit is what a metric counts in. Values are observed in base units:
// seconds, bytes, and ratios from 0 to 1.
type Unit uint8

// The units of metrics. Ratio is shown and limited in per cent and exported
// as a ratio.
const (
	None Unit = iota
	Seconds
	Bytes
	Ratio
)

// Suffix is the unit's suffix of a Prometheus metric name.
func (u Unit) Suffix() string {
	switch u {
	case Seconds:
		return "_seconds"
	case Bytes:
		return "_bytes"
	case Ratio:
		return "_ratio"
	}
	return ""
}

// UOM is the unit of measurement in performance data (guidelines,
// "Performance data").
func (u Unit) UOM() string {
	switch u {
	case Seconds:
		return "s"
	case Bytes:
		return "B"
	case Ratio:
		return "%"
	}
	return ""
}

func (u Unit) String() string {
	switch u {
	case Seconds:
		return "seconds"
	case Bytes:
		return "bytes"
	case Ratio:
		return "per cent"
	}
	return "a plain number"
}

type suffixFactor struct {
	suffix string
	factor float64
}

// suffixes lists what may follow a number in a limit of this unit, in the
// order in which they are tried: longer suffixes before those they end in.
func (u Unit) suffixes() []suffixFactor {
	switch u {
	case Seconds:
		return []suffixFactor{
			{"ms", 1e-3}, {"us", 1e-6}, {"min", 60}, {"s", 1}, {"m", 60},
			{"h", 3600}, {"d", 86400}, {"w", 7 * 86400},
		}
	case Bytes:
		return []suffixFactor{
			{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
			{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1},
		}
	case Ratio:
		return []suffixFactor{{"%", 1}}
	}
	return nil
}

// suffixHelp says in an error which suffixes a limit may have.
func (u Unit) suffixHelp() string {
	switch u {
	case Seconds:
		return "us, ms, s, min, h, d, w"
	case Bytes:
		return "B, kB, MB, GB, TB, KiB, MiB, GiB, TiB"
	case Ratio:
		return "%"
	}
	return "none"
}

// fromLimit turns the number of a limit into the base unit: per cent into a
// ratio.
func (u Unit) fromLimit(v float64) float64 {
	if u == Ratio {
		return v / 100
	}
	return v
}

// Shown turns a value in base units into the number that people and
// performance data see: a ratio into per cent. It takes the shortest number
// that turns back into the same value, because 0.07*100 is 7.000000000000001.
func (u Unit) Shown(v float64) float64 {
	if u != Ratio || math.IsInf(v, 0) || math.IsNaN(v) {
		return v
	}
	for digits := 12; digits <= 17; digits++ {
		p, err := strconv.ParseFloat(strconv.FormatFloat(v*100, 'g', digits, 64), 64)
		if err == nil && p/100 == v {
			return p
		}
	}
	return v * 100
}

// Format renders a value in base units for people: "96.5 MiB", "3.2 s", "81.3 %".
func (u Unit) Format(v float64) string {
	if math.IsNaN(v) {
		return "not a number"
	}
	if math.IsInf(v, 0) {
		if v < 0 {
			return "minus infinity"
		}
		return "infinity"
	}
	switch u {
	case Seconds:
		return formatSeconds(v)
	case Bytes:
		return formatBytes(v)
	case Ratio:
		return short(u.Shown(v)) + " %"
	}
	return short(v)
}

// FormatDuration renders a duration for people, like [Unit.Format] of Seconds.
func FormatDuration(d time.Duration) string { return formatSeconds(d.Seconds()) }

// FormatBytes renders a number of bytes for people: "512 B", "96.5 MiB".
func FormatBytes(v float64) string { return formatBytes(v) }

func formatBytes(v float64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	i := 0
	for i < len(units)-1 && math.Abs(v) >= 1024 {
		v /= 1024
		i++
	}
	return short(v) + " " + units[i]
}

func formatSeconds(v float64) string {
	sign := ""
	if v < 0 {
		sign, v = "-", -v
	}
	switch {
	case v == 0:
		return "0 s"
	case v < 0.001:
		return sign + short(v*1e6) + " us"
	case v < 1:
		return sign + short(v*1e3) + " ms"
	case v < 120:
		return sign + short(v) + " s"
	case v < 7200:
		return sign + twoParts(v, 60, "min", 1, "s")
	case v < 48*3600:
		return sign + twoParts(v, 3600, "h", 60, "min")
	default:
		return sign + twoParts(v, 86400, "d", 3600, "h")
	}
}

// twoParts renders v as whole bigs and the rest in smalls: "25 h 3 min".
func twoParts(v float64, big float64, bigName string, small float64, smallName string) string {
	if v >= 1e15 { // beyond any time that makes sense; avoid overflow of the whole part
		return short(v/big) + " " + bigName
	}
	n := math.Floor(v / big)
	rest := math.Floor((v - n*big) / small)
	if rest == 0 {
		return fmt.Sprintf("%.0f %s", n, bigName)
	}
	return fmt.Sprintf("%.0f %s %.0f %s", n, bigName, rest, smallName)
}

// short renders a number with at most three significant decimals, whole
// numbers whole.
func short(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1e15 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	a := math.Abs(v)
	prec := 3
	switch {
	case a >= 100:
		prec = 0
	case a >= 10:
		prec = 1
	case a >= 1:
		prec = 2
	case a < 0.001:
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	s := strconv.FormatFloat(v, 'f', prec, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}
