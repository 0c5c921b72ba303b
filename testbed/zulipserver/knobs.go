package zulipserver

import "time"

// Knobs are how the server behaves as a whole; set them at any time with Set.
type Knobs struct {
	// A waiting client gets a heartbeat event after HeartbeatInterval and up to
	// HeartbeatJitter more: 45 s and 10 s, as in Zulip.
	HeartbeatInterval, HeartbeatJitter time.Duration
	// HeartbeatOnly hands out no event but heartbeats; the others stay queued.
	HeartbeatOnly bool

	DropDelivery  bool          // messages are accepted and stored, but no event is queued
	DeliveryDelay time.Duration // between acceptance and event
	Duplicates    int           // that many further events for each message
	ForeignBefore int           // that many messages of somebody else arrive before each message
	WrongQueue    bool          // events go to everybody's queues but those of the message's users

	ForbidDelete bool // nobody may delete a message

	// RateLimit requests within RateWindow are allowed to each user, and as many
	// to its event queues: 200 in 60 s, as in Zulip. 0: no limit, no headers.
	RateLimit  int
	RateWindow time.Duration

	NotReady        string // not empty: /health answers 500 with this message; see the NotReady constants
	HealthUntrusted bool   // /health answers nginx's 403, as to an address that is not trusted

	LandingPage       bool // the root domain shows server settings without a realm
	PushNotifications bool // are configured
}

// What /health says of what is not there.
const (
	NotReadyDatabaseEmpty   = "Database is empty"
	NotReadyPostgreSQL      = "Cannot query postgresql"
	NotReadyRabbitMQConnect = "Cannot connect to rabbitmq"
	NotReadyRabbitMQ        = "Cannot query rabbitmq"
	NotReadyRedis           = "Cannot query redis"
	NotReadyMemcachedWrite  = "Cannot write to memcached"
	NotReadyMemcached       = "Cannot query memcached"
)

// DefaultKnobs are those of a healthy server.
func DefaultKnobs() Knobs {
	return Knobs{
		HeartbeatInterval: 45 * time.Second, HeartbeatJitter: 10 * time.Second,
		RateLimit: 200, RateWindow: 60 * time.Second,
	}
}

// Set changes the knobs from now on. Requests that wait already keep the
// heartbeat interval they began with.
func (s *Server) Set(change func(*Knobs)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.knobs)
}
