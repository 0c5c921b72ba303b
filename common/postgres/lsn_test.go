package postgres

import "testing"

func TestParseLSN(t *testing.T) {
	for _, tc := range []struct {
		text string
		want LSN
	}{
		{"0/0", 0}, {"0/30682E0", 0x30682E0}, {"16/B374D848", 0x16_B374D848}, {"FFFFFFFF/FFFFFFFF", 1<<64 - 1}, {"1/0", 1 << 32},
	} {
		got, err := ParseLSN(tc.text)
		if err != nil || got != tc.want || got.String() != tc.text {
			t.Errorf("ParseLSN(%q) = %d (%s), %v; want %d", tc.text, got, got, err, tc.want)
		}
	}
	for _, text := range []string{"", "/", "0", "0/", "/0", "0/100000000", "-1/0", "+1/0", "0x1/0", "1_0/0", "0/0/0", "g/0", " 0/0"} {
		if got, err := ParseLSN(text); err == nil {
			t.Errorf("ParseLSN(%q) = %s; want an error", text, got)
		}
	}
}

// A lag that crosses a multiple of 4 GiB is where the high word's size matters.
func TestLSNBehind(t *testing.T) {
	for _, tc := range []struct {
		at, of string
		want   float64
	}{
		{"0/FFFFFFFF", "1/0", 1}, {"0/FF000000", "1/1000000", 32 << 20}, {"1/0", "1/0", 0}, {"1/1", "1/0", 0}, {"0/0", "2/0", 8 << 30},
	} {
		at, _ := ParseLSN(tc.at)
		of, _ := ParseLSN(tc.of)
		if got := at.Behind(of); got != tc.want {
			t.Errorf("%s.Behind(%s) = %v; want %v", tc.at, tc.of, got, tc.want)
		}
	}
}

func FuzzParseLSN(f *testing.F) {
	f.Add("16/B374D848")
	f.Add("0/0")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := ParseLSN(text)
		if err != nil {
			return
		}
		if again, err := ParseLSN(l.String()); err != nil || again != l {
			t.Errorf("ParseLSN(%q) = %s, which reads back as %s, %v", text, l, again, err)
		}
	})
}
