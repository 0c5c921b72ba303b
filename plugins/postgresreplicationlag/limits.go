package postgresreplicationlag

// The default limits in seconds of silence, which follow from the servers'
// default timeouts of 60 s and status interval of 10 s.
const silence = 40

// replyLimit is how many seconds a standby may be silent before its link is
// cut or it hangs; 0 where the server's settings do not say.
//
// A standby replies at each wal_receiver_status_interval, which is set there
// and not here, and at the latest when the primary asks for it, at half of
// wal_sender_timeout. Measured on an idle pair with the defaults: 10 s. When
// wal_sender_timeout is over the primary drops the standby, so the limit must
// come before.
func replyLimit(senderTimeout, statusInterval float64) float64 {
	byStatus := max(silence, 4*statusInterval)
	switch {
	case senderTimeout > 0 && statusInterval > 0:
		return min(beforeTimeout(senderTimeout), byStatus)
	case senderTimeout > 0:
		return beforeTimeout(senderTimeout)
	case statusInterval > 0:
		return byStatus
	}
	return 0
}

// messageLimit is how many seconds a primary may be silent towards its
// standby; 0 where wal_receiver_timeout is off, for then an idle link stays
// silent without end.
//
// A standby that has heard nothing for half of its wal_receiver_timeout asks
// for a message. Measured on an idle pair with the default: 30 s.
func messageLimit(receiverTimeout float64) float64 {
	if receiverTimeout <= 0 {
		return 0
	}
	return beforeTimeout(receiverTimeout)
}

// beforeTimeout lies between half of a timeout, when a healthy peer is asked,
// and its end: two thirds, and 2 s for the answer.
func beforeTimeout(timeout float64) float64 { return max(timeout*2/3, timeout/2+2) }
