package passive

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"go.uber.org/goleak"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/rabbitmq"
	"github.com/belfry-monitoring/belfry/testbed/faultproxy"
)

// Whatever the peer does, the look ends in time, says what went wrong and
// leaves nothing running. The look at a real broker is the check's test.
func TestNothingIsLeftRunning(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	// The first frame of a broker: connection.start with mechanisms PLAIN.
	start := []byte("\x01\x00\x00\x00\x00\x00\x1c\x00\x0a\x00\x0a\x00\x09\x00\x00\x00\x00\x00\x00\x00\x05PLAIN\x00\x00\x00\x05en_US\xce")
	for name, c := range map[string]struct {
		mode   faultproxy.Mode
		reason check.Reason
	}{
		"silent":              {faultproxy.Silent(), check.Timeout},
		"garbage":             {faultproxy.Garbage(3), check.Protocol},
		"closes at once":      {faultproxy.CloseAtOnce(faultproxy.RST), check.Protocol},
		"closes in the login": {faultproxy.Respond(start), check.Protocol},
		"silent in the login": {faultproxy.Answer(func(conn net.Conn) {
			_, _ = conn.Write(start)
			_, _ = io.Copy(io.Discard, conn)
		}), check.Timeout},
		"floods in the login":   {faultproxy.Flood(start, []byte{8, 0, 0, 0, 0, 0, 0, 0xCE}), check.Data},
		"frames that cannot be": {faultproxy.Flood(nil, []byte{1, 0, 0, 0xff, 0xff, 0xff, 0xff}), check.Protocol},
		"refuses":               {faultproxy.Refused(), check.Dial},
	} {
		p := faultproxy.Start(t, "127.0.0.1:1", c.mode)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		_, err := Queues(ctx, rabbitmq.Login{Address: p.Addr(), Vhost: "/", User: "monitor"}, []string{"a"})
		cancel()
		if check.ReasonOf(err) != c.reason {
			t.Errorf("%s: %v (%s); want %s", name, err, check.ReasonOf(err), c.reason)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestRefusals(t *testing.T) {
	s := &session{login: rabbitmq.Login{Address: "mq:5672", Vhost: "/x", User: "monitor"}, pipe: &pipe{}}
	for _, c := range []struct {
		code   int
		text   string
		reason check.Reason
		says   string
	}{
		{403, "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker logfile.", check.Auth,
			"log in to mq:5672: user monitor is refused: wrong password or no such user"},
		{403, "ACCESS_REFUSED - user can only connect via localhost", check.Auth,
			"log in to mq:5672: user monitor may log in from the broker's own machine only: make a user for monitoring"},
		{530, "NOT_ALLOWED - vhost /x not found", check.Config, "log in to mq:5672: there is no vhost of this name (rabbitmqctl list_vhosts)"},
		{530, "NOT_ALLOWED - access to vhost '/x' refused for user 'monitor'", check.Permission,
			"log in to mq:5672: user monitor has no access to it: rabbitmqctl set_permissions -p /x monitor '^$' '^$' '^$'"},
		{530, "NOT_ALLOWED - access to vhost '/x' refused: connection limit (5) is reached", check.Unavailable,
			"log in to mq:5672: the broker refuses: 530 NOT_ALLOWED - access to vhost '/x' refused: connection limit (5) is reached"},
		{541, "INTERNAL_ERROR - access to vhost '/x' refused for user 'monitor': vhost '/x' is down", check.Unavailable,
			"log in to mq:5672: the broker refuses: 541 INTERNAL_ERROR - access to vhost '/x' refused for user 'monitor': vhost '/x' is down"},
		{320, "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'", check.Unavailable, ""},
		{404, "NOT_FOUND - home node 'rabbit@b' of durable queue 'a' in vhost '/x' is down or inaccessible", check.Unavailable, ""},
	} {
		err := s.fault(context.Background(), "log in to", time.Now(), &amqp.Error{Code: c.code, Reason: c.text, Server: true})
		if check.ReasonOf(err) != c.reason || c.says != "" && err.Error() != c.says {
			t.Errorf("%d %s: %v (%s); want %s: %s", c.code, c.text, err, check.ReasonOf(err), c.reason, c.says)
		}
	}
	// A connection that is dropped during the login is a wrong password only
	// where the broker has taken its time to drop it.
	for took, want := range map[time.Duration]check.Reason{0: check.Protocol, 3 * time.Second: check.Auth} {
		s.pipe.seen = seen{first: "\x01", err: errors.New("connection reset")}
		err := s.fault(context.Background(), "log in to", time.Now().Add(-took), amqp.ErrCredentials)
		if check.ReasonOf(err) != want {
			t.Errorf("dropped after %s: %v (%s); want %s", took, err, check.ReasonOf(err), want)
		}
	}
}
