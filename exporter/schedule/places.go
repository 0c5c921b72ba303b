package schedule

import (
	"context"
	"slices"
	"sync"
)

// places bounds how many looks run at the same time; those that wait are
// served in their order. Its size may change while it is in use.
type places struct {
	mu    sync.Mutex
	size  int
	taken int
	queue []chan struct{} // closed when the place is given
}

func newPlaces(size int) *places { return &places{size: max(size, 1)} }

// take waits for a place. It reports false when ctx ended first.
func (p *places) take(ctx context.Context) bool {
	p.mu.Lock()
	if p.taken < p.size && len(p.queue) == 0 {
		p.taken++
		p.mu.Unlock()
		return true
	}
	turn := make(chan struct{})
	p.queue = append(p.queue, turn)
	p.mu.Unlock()
	select {
	case <-turn:
		return true
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.queue, turn); i >= 0 {
		p.queue = slices.Delete(p.queue, i, i+1)
		return false
	}
	// The place came at the same moment: hand it on.
	p.taken--
	p.serve()
	return false
}

func (p *places) give() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken--
	p.serve()
}

func (p *places) resize(size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.size = max(size, 1)
	p.serve()
}

func (p *places) serve() {
	for p.taken < p.size && len(p.queue) > 0 {
		p.taken++
		close(p.queue[0])
		p.queue = p.queue[1:]
	}
}

func (p *places) stats() (size, taken, waiting int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.size, p.taken, len(p.queue)
}
