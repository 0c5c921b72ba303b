package check

import "time"

// MaxMemory bounds what a check may remember between looks, in bytes of JSON.
const MaxMemory = 1 << 20

// Memory keeps one JSON value between looks of the same check, target and
// options. The faces provide it: the exporter in its own memory, a plugin in
// a file.
type Memory interface {
	// Load returns what was stored last and when; no data and no error
	// where there is none yet.
	Load() (data []byte, at time.Time, err error)
	Store(data []byte, at time.Time) error
}
