package exporter

import (
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// fakeListener accepts what the test gives.
type fakeListener struct {
	net.Listener
	accepts chan error
}

func (l *fakeListener) Accept() (net.Conn, error) {
	err := <-l.accepts
	return nil, err
}
func (l *fakeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

// A listener is stuck when nobody comes back for the next connection, or none
// can be had; not when nobody connects.
func TestListenerStuck(t *testing.T) {
	const slack = 30 * time.Second
	synctest.Test(t, func(t *testing.T) {
		fake := &fakeListener{accepts: make(chan error)}
		l := newListener(fake)
		want := func(after time.Duration, text string) {
			t.Helper()
			time.Sleep(after)
			if err := l.stuck(time.Now(), slack); (err == nil) != (text == "") || err != nil && !strings.Contains(err.Error(), text) {
				t.Errorf("stuck() = %v; want %q", err, text)
			}
		}
		want(29*time.Second, "")
		want(2*time.Second, "no connection is accepted at 127.0.0.1:80 for 31s") // nobody serves it
		serve, ended := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(ended)
			for range serve {
				l.Accept()
			}
		}()
		serve <- struct{}{}
		synctest.Wait()
		want(24*time.Hour, "") // nobody connects
		fake.accepts <- nil
		synctest.Wait()
		want(31*time.Second, "no connection is accepted") // and nobody comes back
		serve <- struct{}{}
		synctest.Wait()
		want(0, "")
		full := errors.New("too many open files")
		for range 31 {
			fake.accepts <- full
			serve <- struct{}{}
			time.Sleep(time.Second)
		}
		want(0, "no connection can be accepted at 127.0.0.1:80 for 31s: too many open files")
		fake.accepts <- nil
		synctest.Wait()
		want(0, "")
		close(serve)
		<-ended
	})
}
