package check

import (
	"math"
	"strings"
	"testing"
)

// The table of the Monitoring Plugins guidelines, "Threshold and Ranges",
// with values at and beside each bound.
func TestRangeViolates(t *testing.T) {
	tests := []struct {
		spec  string
		value float64
		want  bool
	}{
		{"10", -1, true}, {"10", 0, false}, {"10", 10, false}, {"10", 10.1, true}, {"10", -0.001, true},
		{"10:", 9.9, true}, {"10:", 10, false}, {"10:", 1e300, false},
		{"~:10", -1e9, false}, {"~:10", 10, false}, {"~:10", 10.1, true}, {"~:10", 11, true},
		{"10:20", 9, true}, {"10:20", 10, false}, {"10:20", 20, false}, {"10:20", 21, true},
		{"@10:20", 9, false}, {"@10:20", 10, true}, {"@10:20", 15, true}, {"@10:20", 20, true}, {"@10:20", 21, false},
		{"@10", -1, false}, {"@10", 0, true}, {"@10", 5, true}, {"@10", 10, true}, {"@10", 11, false},
		{"@~:10", -5, true}, {"@~:10", 10, true}, {"@~:10", 11, false},
		{"0:", -1, true}, {"0:", 5, false}, {"0:", 0, false},
		{"~:", -1e300, false}, {"~:", 1e300, false},
		{"-10:-5", -7, false}, {"-10:-5", -4, true}, {"-10:-5", -10, false}, {"-10:-5", -11, true},
		{"0", 0, false}, {"0", 1, true}, {"0", -1, true},
		{"1:", 0, true}, {"1:", 1, false},
		{"-2.5:-0.5", -1.5, false}, {"~:-0.5", -1.5, false}, {"-0.5:", -1.5, true}, {"010", 9, false}, {"010", 10.5, true},
		{"10", math.NaN(), true}, {"@10:20", math.NaN(), true}, {"~:", math.NaN(), true}, {"10", math.Inf(1), true}, {"10:", math.Inf(1), false},
	}
	for _, tt := range tests {
		r, err := ParseRange(tt.spec, None)
		if err != nil {
			t.Errorf("ParseRange(%q) = %v; want no error", tt.spec, err)
			continue
		}
		if got := r.Violates(tt.value); got != tt.want {
			t.Errorf("ParseRange(%q).Violates(%v) = %v; want %v", tt.spec, tt.value, got, tt.want)
		}
	}
}

func TestParseRangeRefuses(t *testing.T) {
	tests := []struct {
		spec string
		unit Unit
		want string // part of the error
	}{
		{"", None, "empty"},
		{"abc", None, "is no number"},
		{"@", None, "nothing after @"},
		{":", None, "no start"},
		{":10", None, "write 0:10 or ~:10"},
		{"~", None, "~ means minus infinity"},
		{"@~", None, "~ means minus infinity"},
		{"10:~", None, "~ means minus infinity"},
		{"~:~", None, "~ means minus infinity"},
		{"10::20", None, "more than one colon"},
		{"10:20:30", None, "more than one colon"},
		{"1..2", None, "is no number"},
		{"1.2.3", None, "is no number"},
		{"10 20", None, "is no number"},
		{"10s", None, "is no number"},
		{"10s", Bytes, "is no number"},
		{"10%", Seconds, "is no number"},
		{"NaN", None, "is no number"},
		{"Inf", None, "is no number"},
		{"0x10", None, "is no number"},
		{" 10", None, "is no number"},
		{"10 ", None, "is no number"},
		{"1e3", None, "is no number"},
		{"+5", None, "is no number"},
		{".5", None, "is no number"},
		{"5.", None, "is no number"},
		{"-", None, "is no number"},
		{"--5", None, "is no number"},
		{"@@5", None, "is no number"},
		{"arning", None, "is no number"},
		{"20:10", None, "start is above end"},
		{"-5", None, "write ~:-5 or -5:0"},
		{"600M", Bytes, "suffixes: B, kB"},
		{strings.Repeat("9", 400), None, "too large"},
	}
	for _, tt := range tests {
		r, err := ParseRange(tt.spec, tt.unit)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("ParseRange(%q, %v) = %+v, %v; want an error with %q", tt.spec, tt.unit, r, err, tt.want)
		}
	}
}

func TestParseRangeUnits(t *testing.T) {
	tests := []struct {
		spec       string
		unit       Unit
		start, end float64
	}{
		{"80%", Ratio, 0, 0.8}, {"80", Ratio, 0, 0.8}, {"7%:", Ratio, 0.07, math.Inf(1)},
		{"600MB", Bytes, 0, 600e6}, {"16MiB", Bytes, 0, 16 << 20}, {"1kB:2KB", Bytes, 1000, 2000}, {"512B", Bytes, 0, 512}, {"512", Bytes, 0, 512},
		{"25h", Seconds, 0, 90000}, {"500ms", Seconds, 0, 0.5}, {"7d:", Seconds, 7 * 86400, math.Inf(1)}, {"5m", Seconds, 0, 300},
		{"5min:1h", Seconds, 300, 3600}, {"1.5", Seconds, 0, 1.5}, {"10us", Seconds, 0, 1e-5}, {"1w", Seconds, 0, 604800},
	}
	for _, tt := range tests {
		r, err := ParseRange(tt.spec, tt.unit)
		if err != nil || r.Start != tt.start || math.Abs(r.End-tt.end) > 1e-12 && r.End != tt.end {
			t.Errorf("ParseRange(%q, %v) = %v, %v; want %v:%v", tt.spec, tt.unit, r, err, tt.start, tt.end)
		}
	}
}

func TestRangeString(t *testing.T) {
	for spec, want := range map[string]string{
		"10": "10", "0:80": "80", "10:": "10:", "~:10": "~:10", "10:20": "10:20", "@10:20": "@10:20", "@10": "@10", "@~:10": "@~:10",
		"0:": "0:", "~:": "~:", "-10:-5": "-10:-5", "0": "0", "0.0005": "0.0005", "1234567.891234": "1234567.891234", "007": "7",
	} {
		r, err := ParseRange(spec, None)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.String(); got != want {
			t.Errorf("ParseRange(%q).String() = %q; want %q", spec, got, want)
		}
	}
	for _, percent := range []string{"7", "80", "0.07", "29", "57", "14.1"} {
		r, _ := ParseRange(percent, Ratio)
		if got := r.Format(Ratio); got != percent {
			t.Errorf("ParseRange(%q, Ratio).Format = %q; want %q", percent, got, percent)
		}
	}
}

func FuzzParseRange(f *testing.F) {
	for _, s := range []string{"10", "~:10", "@10:20", "80%", "600MB", "25h", "-5:5", "0:", "@~:0.07%", ":", "", "1e5"} {
		f.Add(s, uint8(0))
		f.Add(s, uint8(1))
		f.Add(s, uint8(2))
		f.Add(s, uint8(3))
	}
	f.Fuzz(func(t *testing.T, spec string, u uint8) {
		unit := Unit(u % 4)
		r, err := ParseRange(spec, unit)
		if err != nil {
			return
		}
		if r.Start > r.End || math.IsNaN(r.Start) || math.IsNaN(r.End) {
			t.Fatalf("ParseRange(%q, %v) = %+v; want start <= end", spec, unit, r)
		}
		text := r.Format(unit)
		again, err := ParseRange(text, unit)
		if err != nil || again != r {
			t.Fatalf("ParseRange(%q, %v).Format = %q, which reads back as %+v, %v; want %+v", spec, unit, text, again, err, r)
		}
	})
}
