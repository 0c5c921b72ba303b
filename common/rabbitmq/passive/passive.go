// Package passive asks a RabbitMQ broker for queues by name with AMQP's passive
// queue.declare, for brokers without the management plugin. The answer is how
// many messages are ready and how many consumers there are: what consumers
// hold unacknowledged is not in it. It needs access to the vhost and no right
// in it. It holds no verdicts.
package passive

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/dial"
	"github.com/belfry-monitoring/belfry/common/rabbitmq"
)

const (
	// stepLimit bounds connecting, logging in and asking, each.
	stepLimit = 5 * time.Second
	// closeLimit bounds the good-bye. A broker that does not answer it has
	// answered everything else.
	closeLimit = 500 * time.Millisecond
	// silence is how long RabbitMQ keeps a connection at least before it drops
	// it without a word for a wrong password: 3 s (rabbit_reader,
	// SILENT_CLOSE_DELAY). One that drops it sooner has another reason.
	silence = 2 * time.Second
	// heartbeat is what the client asks the broker for: a connection whose
	// client is gone is closed after two of them.
	heartbeat = 10 * time.Second
	// maxRead bounds what is read from the broker in bytes. A handshake has
	// 600, an answer 30.
	maxRead = 1 << 20
	// askers is how many channels ask side by side, so that queues that hang
	// keep back the others only where there are as many of them.
	askers = 16
)

// Answer is what the broker said of one queue.
type Answer struct {
	Name    string
	Queue   rabbitmq.Queue // Ready and Consumers known; Messages are not
	Missing bool           // there is no queue of this name
	Err     error          // it could not be asked for; the others stand
}

// Queues logs in once and asks for each of the queues. A queue that is missing
// or hangs does not keep back the others. The error is that of the way to the
// broker.
func Queues(ctx context.Context, login rabbitmq.Login, names []string) ([]Answer, error) {
	s := &session{login: login}
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	defer s.close()
	answers := s.ask(ctx, names)
	for _, a := range answers {
		s.hung = s.hung || a.Err != nil
	}
	return answers, nil
}

// session is one connection.
type session struct {
	login rabbitmq.Login
	pipe  *pipe
	conn  *amqp.Connection
	hung  bool // a good-bye would hang too
}

func (s *session) open(ctx context.Context) error {
	step, cancel := check.Step(ctx, stepLimit)
	defer cancel()
	started, address := time.Now(), s.login.Address
	raw, err := dial.Context(step, "tcp", address)
	if err != nil {
		return hintAMQP(dial.Fault("connect to", address, started, err))
	}
	if s.login.TLS != nil {
		secure := tls.Client(raw, s.login.TLS)
		if err := secure.HandshakeContext(step); err != nil {
			raw.Close()
			return dial.Fault("TLS handshake with", address, started, err)
		}
		raw = secure
	}
	return s.start(ctx, raw)
}

// start logs in on an open connection.
func (s *session) start(ctx context.Context, raw net.Conn) error {
	step, cancel := check.Step(ctx, stepLimit)
	defer cancel()
	started, stage := time.Now(), "log in to vhost "+s.login.Vhost+" at"
	s.pipe = &pipe{Conn: raw}
	stop := context.AfterFunc(step, func() { s.pipe.Close() })
	conn, err := amqp.Open(s.pipe, amqp.Config{
		SASL:  []amqp.Authentication{&amqp.PlainAuth{Username: s.login.User, Password: s.login.Password.Reveal()}},
		Vhost: s.login.Vhost, Heartbeat: heartbeat, ChannelMax: askers + 1, FrameSize: 8 << 10,
		Properties: amqp.Table{"product": "belfry", "connection_name": "belfry"},
	})
	if !stop() && err == nil {
		err = step.Err()
	}
	if err != nil {
		s.pipe.Close()
		return s.fault(step, stage, started, err)
	}
	s.conn = conn
	return nil
}

// close says good-bye, because a connection that is only dropped is a warning
// in the broker's log.
func (s *session) close() {
	defer s.pipe.Close()
	if s.hung {
		return
	}
	timer := time.AfterFunc(closeLimit, func() { s.pipe.Close() })
	defer timer.Stop()
	_ = s.conn.Close() // all answers are there
}

// ask asks on several channels at once.
func (s *session) ask(ctx context.Context, names []string) []Answer {
	step, cancel := check.Step(ctx, stepLimit)
	defer cancel()
	started := time.Now()
	stop := context.AfterFunc(step, func() { s.pipe.Close() })
	defer stop()
	answers := make([]Answer, len(names))
	for i, name := range names {
		answers[i] = Answer{Name: name, Err: check.Faultf(check.Timeout, "ask for queue "+check.Clean(name)+" at", s.login.Address, "not asked: others did not answer in time")}
	}
	todo := make(chan int, len(names))
	for i := range names {
		todo <- i
	}
	close(todo)
	looks := make([]func(context.Context) error, min(askers, len(names)))
	for n := range looks {
		looks[n] = func(context.Context) error {
			var a asker
			for i := range todo {
				if step.Err() != nil {
					return nil
				}
				answers[i] = s.one(step, &a, names[i], started)
			}
			return nil
		}
	}
	if err := check.Go(step, looks...); err != nil { // a panic
		answers = append(answers, Answer{Err: err})
	}
	return answers
}

// asker is a channel, made anew after a refusal has closed it.
type asker struct{ channel *amqp.Channel }

func (s *session) one(ctx context.Context, a *asker, name string, started time.Time) Answer {
	answer := Answer{Name: name}
	stage := "ask for queue " + check.Clean(name) + " at"
	if len(name) > 255 {
		answer.Missing = true // no name is longer (a short string of the protocol)
		return answer
	}
	var err error
	if a.channel == nil || a.channel.IsClosed() {
		a.channel, err = s.conn.Channel()
	}
	var q amqp.Queue
	if err == nil {
		q, err = a.channel.QueueDeclarePassive(name, false, false, false, false, nil)
	}
	var refused *amqp.Error
	switch {
	case err == nil:
		answer.Queue = rabbitmq.Queue{
			Name: name, Durable: true, Ready: rabbitmq.Known(float64(q.Messages)), Consumers: rabbitmq.Known(float64(q.Consumers)),
		}
	case errors.As(err, &refused) && refused.Server && refused.Code == amqp.NotFound && strings.Contains(refused.Reason, "no queue"):
		answer.Missing = true
	case errors.As(err, &refused) && refused.Server && refused.Code == amqp.ResourceLocked:
		answer.Err = check.Faultf(check.Permission, stage, s.login.Address, "it is exclusive to another connection: leave it out")
	default:
		answer.Err = s.fault(ctx, stage, started, err)
	}
	return answer
}

// fault names the reason: first what happened to the connection, which the
// library reports as a refusal at some stages, then what the broker said.
func (s *session) fault(ctx context.Context, stage string, started time.Time, err error) error {
	address := s.login.Address
	var said *amqp.Error
	spoken := errors.As(err, &said) && said.Server
	switch seen := s.pipe.state(); {
	case spoken:
		return s.refusal(stage, said)
	case seen.over:
		return check.Faultf(check.Data, stage, address, "answer is larger than %s", check.FormatBytes(maxRead))
	case ctx.Err() != nil && seen.first == "":
		// A web server waits for more of what it takes for a request.
		return hint(dial.Fault(stage, address, started, ctx.Err()), "it says nothing: does the broker hang, or is this not its AMQP port (5672, 5671 with --tls)?")
	case ctx.Err() != nil:
		return dial.Fault(stage, address, started, ctx.Err())
	case errors.Is(err, amqp.ErrCredentials) && time.Since(started) >= silence:
		return check.Faultf(check.Auth, stage, address, "user %s is refused: wrong password or no such user (the broker hung up without a word, as it then does)", check.Clean(s.login.User))
	case strings.HasPrefix(seen.first, "HTTP/"):
		return check.Faultf(check.Protocol, stage, address, "it speaks HTTP, not AMQP: AMQP is on port 5672 (5671 with --tls)")
	case seen.err != nil:
		return dial.Fault(stage, address, started, seen.err)
	}
	return check.Faultf(check.Protocol, stage, address, "it does not speak AMQP 0-9-1 as expected: %s", check.Clean(err.Error()))
}

// refusal puts what the broker said into words. RabbitMQ uses one code for
// several things and tells them apart in the text (3.10.8).
func (s *session) refusal(stage string, said *amqp.Error) error {
	address, text := s.login.Address, strings.ToLower(said.Reason)
	switch {
	case said.Code == amqp.AccessRefused && strings.Contains(text, "localhost"):
		return check.Faultf(check.Auth, stage, address, "user %s may log in from the broker's own machine only: make a user for monitoring", check.Clean(s.login.User))
	case said.Code == amqp.AccessRefused:
		return check.Faultf(check.Auth, stage, address, "user %s is refused: wrong password or no such user", check.Clean(s.login.User))
	case said.Code == amqp.NotAllowed && strings.Contains(text, "not found"):
		return check.Faultf(check.Config, stage, address, "there is no vhost of this name (rabbitmqctl list_vhosts)")
	case said.Code == amqp.NotAllowed && strings.Contains(text, "refused for user"):
		return check.Faultf(check.Permission, stage, address, "user %s has no access to it: %s", check.Clean(s.login.User), s.login.Grant())
	}
	return check.Faultf(check.Unavailable, stage, address, "the broker refuses: %d %s", said.Code, check.Clean(said.Reason))
}

// hintAMQP says what usually is behind a refused connection.
func hintAMQP(err error) error {
	if check.ReasonOf(err) == check.Dial && strings.Contains(err.Error(), "refused") {
		return hint(err, "is the broker up, and this its AMQP port?")
	}
	return err
}

// hint adds words to the end of a fault.
func hint(err error, words string) error {
	var f *check.Fault
	if !errors.As(err, &f) {
		return err
	}
	return &check.Fault{Reason: f.Reason, Stage: f.Stage, Peer: f.Peer, Err: fmt.Errorf("%w: %s", f.Err, words)}
}

// pipe is the connection as the library sees it: without deadlines, which the
// library would take away, with a bound on what is read, and with a memory of
// what went wrong below the protocol.
type pipe struct {
	net.Conn
	mu   sync.Mutex
	read int
	seen seen
}

// seen is what happened below the protocol.
type seen struct {
	first string // the first bytes
	over  bool   // more than maxRead was sent
	err   error  // of the first read or write that failed
}

var errOver = errors.New("too much")

func (p *pipe) Read(b []byte) (int, error) {
	n, err := p.Conn.Read(b)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.read < 8 {
		p.seen.first += string(b[:min(n, 8)])
	}
	if p.read += n; p.read > maxRead {
		p.seen.over = true
		return 0, errOver
	}
	p.note(err)
	return n, err
}

func (p *pipe) Write(b []byte) (int, error) {
	n, err := p.Conn.Write(b)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.note(err)
	return n, err
}

func (p *pipe) note(err error) {
	if p.seen.err == nil {
		p.seen.err = err
	}
}

func (p *pipe) state() seen {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen
}

// SetDeadline and SetReadDeadline do nothing: every step ends by its context.
func (p *pipe) SetDeadline(time.Time) error     { return nil }
func (p *pipe) SetReadDeadline(time.Time) error { return nil }
