package rabbitmq

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/httpclient"
)

// Alarm is a resource of a node that has run short: while there is one, the
// broker blocks all publishers of the cluster and says so to nobody else.
type Alarm struct {
	Node     string `json:"node"`
	Resource string `json:"resource"` // "memory", "disk space"
}

// maxAlarms bounds the answer in bytes; an alarm takes 60.
const maxAlarms = 1 << 20

// Alarms asks for the alarms of the whole cluster by the broker's health
// check, because mem_alarm and disk_free_alarm of its nodes lag seconds behind
// (RabbitMQ 3.10.8). known is false where the broker has no such check (before
// 3.8.10) or does not let the user ask, for which it takes the tag monitoring.
func (c *Client) Alarms(ctx context.Context) (alarms []Alarm, known bool, err error) {
	const stage = "read the alarms of"
	answer, err := c.http.Do(ctx, httpclient.Request{Stage: stage, Path: "/api/health/checks/alarms", Limit: requestLimit, Max: maxAlarms})
	if err != nil {
		return nil, false, dialHint(err)
	}
	switch answer.Status {
	case http.StatusOK, http.StatusServiceUnavailable:
		if alarms, err = parseAlarms(answer.Body, answer.Status == http.StatusOK); err == nil {
			return alarms, true, nil
		}
		if answer.Status == http.StatusOK {
			return nil, false, check.Faultf(check.Data, stage, c.http.Peer(), "not the answer that was expected: %w", err)
		}
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusBadRequest:
		return nil, false, nil // who may not look at the queues either has been told so
	}
	return nil, false, c.refusal(stage, answer)
}

// parseAlarms reads {"status":"ok"} where all is well, else
// {"status":"failed","reason":"...","alarms":[{"node":"...","resource":"memory"}]}.
func parseAlarms(body []byte, well bool) ([]Alarm, error) {
	var said struct {
		Status string  `json:"status"`
		Alarms []Alarm `json:"alarms"`
	}
	if err := json.Unmarshal(body, &said); err != nil {
		return nil, jsonError(err)
	}
	switch {
	case well && said.Status == "ok" && len(said.Alarms) == 0:
		return nil, nil
	case !well && said.Status == "failed" && len(said.Alarms) > 0:
		return said.Alarms, nil
	}
	return nil, errors.New("it says neither that there is an alarm nor that there is none")
}
