package testbed

import "time"

// startLimit bounds the start of a server: ten times what the slowest needs on an idle machine.
const startLimit = 60 * time.Second

// WaitFor calls try until it returns nil, and fails the test with its last error when that does not happen within limit.
func WaitFor(t TB, limit time.Duration, what string, try func() error) {
	t.Helper()
	if err := poll(limit, nil, try); err != nil {
		t.Fatalf("waited %v for %s: %v", limit, what, err)
	}
}

// poll calls try until it returns nil, limit is over or stop is closed, and returns its last error.
func poll(limit time.Duration, stop <-chan struct{}, try func() error) error {
	deadline := time.Now().Add(limit)
	pause := 10 * time.Millisecond
	for {
		err := try()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		select {
		case <-stop:
			return err
		case <-time.After(pause):
		}
		pause = min(pause*3/2, 200*time.Millisecond)
	}
}
