package schedule

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// slots are the moments at which a job looks: its own phase on a grid of its
// interval. The same job has the same phase after every start, and replicas
// with other seeds have others.
type slots struct {
	origin   time.Time
	interval time.Duration
	phase    time.Duration // below the interval
	first    time.Duration // after the job was set, below the spread
}

func newSlots(origin time.Time, seed string, k key, interval, spread time.Duration) slots {
	sum := sha256.Sum256([]byte(seed + "\x00" + k.check + "\x00" + k.target))
	share := func(bytes []byte, of time.Duration) time.Duration {
		if of <= 0 {
			return 0
		}
		return time.Duration(binary.BigEndian.Uint64(bytes) % uint64(of))
	}
	return slots{
		origin: origin, interval: interval,
		phase: share(sum[:8], interval), first: share(sum[8:16], min(spread, interval)),
	}
}

// after returns the first slot after now that leaves at least half an
// interval to the last look.
func (s slots) after(now, lastLook time.Time) time.Time {
	earliest := lastLook.Add(s.interval / 2)
	if now.After(earliest) {
		earliest = now
	}
	past := earliest.Sub(s.origin) - s.phase
	if past < 0 {
		return s.origin.Add(s.phase)
	}
	return s.origin.Add(s.phase + (past/s.interval+1)*s.interval)
}
