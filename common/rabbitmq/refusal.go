package rabbitmq

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/httpclient"
)

var (
	errNotFound   = errors.New("HTTP 404 Not Found")
	errOutOfRange = errors.New("no such page")
)

// refused is the body of the management API's errors.
type refused struct {
	Error  string `json:"error"`
	Reason string `json:"reason"`
}

// parseRefused reads an error body; ok is false for what no management API
// writes.
func parseRefused(body []byte) (r refused, ok bool) {
	if json.Unmarshal(body, &r) != nil {
		return refused{}, false
	}
	return r, r.Error != "" || r.Reason != ""
}

func parseStatisticsOff(body []byte) (bool, error) {
	var overview struct {
		Off bool `json:"disable_stats"`
	}
	if err := json.Unmarshal(body, &overview); err != nil {
		return false, jsonError(err)
	}
	return overview.Off, nil
}

// refusal puts an answer other than 200 into words. RabbitMQ answers 401 for
// a wrong password, a missing tag and a missing right alike and tells them
// apart in the reason only (3.10.8).
func (c *Client) refusal(stage string, a *httpclient.Answer) error {
	peer := c.http.Peer()
	said, spoken := parseRefused(a.Body)
	reason := strings.ToLower(said.Reason)
	switch {
	case (a.Status == http.StatusUnauthorized || a.Status == http.StatusForbidden) && !spoken:
		return check.Faultf(check.Auth, stage, peer, "HTTP %d %s, and not by RabbitMQ: a proxy before it refuses us, or --host, --port or --path-prefix is wrong",
			a.Status, http.StatusText(a.Status))
	case a.Status == http.StatusUnauthorized || a.Status == http.StatusForbidden:
		return c.denied(stage, peer, reason, said.Reason, a)
	case (a.Status == http.StatusNotFound || a.Status == http.StatusBadRequest) && !spoken:
		return check.Faultf(check.Config, stage, peer, "HTTP %d: there is no management API at this address: it is on port 15672 (15671 with --tls) "+
			"once rabbitmq-plugins enable rabbitmq_management has run, and below --path-prefix where the broker has one", a.Status)
	case a.Status == http.StatusNotFound:
		return check.Faultf(check.Config, stage, peer, "%w: there is no vhost of this name (rabbitmqctl list_vhosts), or no management API at this port", errNotFound)
	case a.Status == http.StatusBadRequest && said.Error == "page_out_of_range":
		return check.Faultf(check.Data, stage, peer, "%w: %s", errOutOfRange, check.Clean(said.Reason))
	}
	err := a.StatusFault(stage, peer)
	if spoken {
		err = hint(err, check.Clean(said.Error+": "+said.Reason))
	}
	return err
}

// denied tells a wrong password from a missing tag and a missing right, with
// the command that mends it.
func (c *Client) denied(stage, peer, reason, shown string, a *httpclient.Answer) error {
	user := quote(c.user)
	switch {
	case strings.Contains(reason, "virtual host"):
		return check.Faultf(check.Permission, stage, peer, "user %s has no access to it: %s", user, c.grantAccess())
	case strings.Contains(reason, "not management user"), strings.Contains(reason, "not monitor user"):
		return check.Faultf(check.Permission, stage, peer, "user %s lacks the tag: rabbitmqctl set_user_tags %s monitoring", user, user)
	case strings.Contains(reason, "localhost"):
		return check.Faultf(check.Auth, stage, peer, "user %s may log in from the broker's own machine only: make a user for monitoring", user)
	case strings.Contains(reason, "login failed"), reason == "":
		return check.Faultf(check.Auth, stage, peer, "user %s is refused: wrong password or no such user (HTTP %d)", user, a.Status)
	}
	return check.Faultf(check.Auth, stage, peer, "user %s is refused: %s (HTTP %d)", user, check.Clean(shown), a.Status)
}

func (c *Client) grantAccess() string { return grant(c.vhost, c.user) }

// grant is the command that lets the user see the vhost and nothing else:
// '^$' matches no name of anything that could be declared, written or read.
func grant(vhost, user string) string {
	return fmt.Sprintf("rabbitmqctl set_permissions -p %s %s '^$' '^$' '^$'", quote(vhost), quote(user))
}

// dialHint says what usually is behind a refused connection or a foreign
// protocol on a RabbitMQ host.
func dialHint(err error) error {
	var f *check.Fault
	var foreign *httpclient.NotHTTPError
	switch {
	case !errors.As(err, &f):
	case f.Reason == check.Dial && strings.Contains(err.Error(), "refused"):
		return hint(err, "is the broker up, and its management plugin enabled (rabbitmq-plugins enable rabbitmq_management)?")
	case errors.As(err, &foreign) && strings.Contains(foreign.Unwrap().Error(), "\"AMQP"):
		return check.Faultf(check.Protocol, f.Stage, f.Peer, "it speaks AMQP, not HTTP: the management API is on port 15672")
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
