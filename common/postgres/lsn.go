package postgres

import (
	"fmt"
	"strconv"
	"strings"
)

// LSN is a position in the write-ahead log, in bytes from its beginning
// (PostgreSQL documentation, 8.20, pg_lsn).
type LSN uint64

// ParseLSN reads "16/B374D848": two hexadecimal numbers of up to 32 bits.
func ParseLSN(text string) (LSN, error) {
	high, low, slash := strings.Cut(text, "/")
	h, errHigh := parseHex32(high)
	l, errLow := parseHex32(low)
	if !slash || errHigh != nil || errLow != nil {
		return 0, fmt.Errorf("%q is no position in the log, such as 16/B374D848", text)
	}
	return LSN(h<<32 | l), nil
}

// parseHex32 refuses the signs and underscores that strconv would take.
func parseHex32(text string) (uint64, error) {
	if strings.Trim(text, "0123456789ABCDEFabcdef") != "" {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseUint(text, 16, 32)
}

// String writes the position as the server does.
func (l LSN) String() string { return fmt.Sprintf("%X/%X", uint64(l)>>32, uint32(l)) }

// UnmarshalText reads what ParseLSN reads, also from JSON.
func (l *LSN) UnmarshalText(text []byte) (err error) {
	*l, err = ParseLSN(string(text))
	return err
}

// MarshalText writes what ParseLSN reads, also to JSON.
func (l LSN) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// Behind is how many bytes l is behind the other position, 0 where it is not:
// positions that are read one after the other may overtake each other.
func (l LSN) Behind(other LSN) float64 {
	if l >= other {
		return 0
	}
	return float64(other - l)
}
