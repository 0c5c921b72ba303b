package rabbitmq

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/httpclient"
)

const (
	// pageSize is the largest that the broker accepts: 501 is a 400
	// invalid_pagination_parameters.
	pageSize = 500
	// MaxQueues bounds the queues of a vhost that are read.
	MaxQueues = 20_000
	// maxBody bounds an answer in bytes. A queue takes up to 500 bytes with
	// the columns asked for and a name of the longest kind.
	maxBody = 16 << 20
	// requestLimit bounds one request; queueLimit is added for each queue
	// whose totals are asked for at once. With 10,000 queues a page of 500
	// took 0.3 s, all totals 0.6 to 2 s.
	requestLimit = 5 * time.Second
	queueLimit   = time.Millisecond
)

// columns keeps answers small. With a list of columns, brokers from 3.13 on
// answer as fully as older ones, and so do the shortened totals.
const (
	statisticsColumns = "name,type,state,durable,exclusive,auto_delete,consumers,head_message_timestamp," +
		"messages,messages_ready,messages_unacknowledged," +
		"message_stats.publish_details.rate,message_stats.deliver_get_details.rate," +
		"message_stats.ack_details.rate,message_stats.redeliver_details.rate," +
		"message_stats.ack,message_stats.deliver_no_ack,message_stats.get_no_ack,message_stats.redeliver"
	totalsColumns = "name,type,state,durable,exclusive,auto_delete,consumers,messages,messages_ready,messages_unacknowledged"
)

// Client reads one vhost of one broker. Make it anew for each look.
type Client struct {
	http  *httpclient.Client
	vhost string
	user  string
}

// Close ends the kept connection.
func (c *Client) Close() { c.http.Close() }

// Listing is all queues of the vhost as one of the broker's lists has them.
type Listing struct {
	Queues []Queue
	Total  int // queues of the vhost by the broker's count
	// Paged says that several requests were needed, between which queues may
	// have come and gone: who is not in the list may be there still.
	Paged bool
}

// Statistics reads the list with statistics, in pages. Every queue that is
// declared is in it, those without statistics with what is known of them.
func (c *Client) Statistics(ctx context.Context) (Listing, error) {
	stage := "read the queues of vhost " + c.vhost + " at"
	list, steady, err := c.pages(ctx, stage)
	if errors.Is(err, errNotFound) && pause(ctx, stopping) {
		// A broker that stops forgets its vhosts a moment before it closes
		// its door; one that lacks the vhost says so again.
		list, steady, err = c.pages(ctx, stage)
	}
	if err == nil && !steady {
		list, _, err = c.pages(ctx, stage)
	}
	return list, err
}

// stopping is how long a broker that stops may still answer.
const stopping = time.Second

// pause waits; false where there is no time for that and for what comes after.
func pause(ctx context.Context, d time.Duration) bool {
	if end, ok := ctx.Deadline(); ok && time.Until(end) < 3*d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// pages reads all pages. steady is false where queues came or went between
// two of them and may have pushed others from one page to another.
func (c *Client) pages(ctx context.Context, stage string) (list Listing, steady bool, err error) {
	steady = true
	for number := 1; ; number++ {
		page, err := c.page(ctx, question{stage: stage, page: number, columns: statisticsColumns})
		if number > 1 && errors.Is(err, errOutOfRange) {
			return list, false, nil // the queues of this page are gone since the last request
		}
		if err != nil {
			return list, false, err
		}
		steady = steady && (number == 1 || page.Total == list.Total)
		list.Queues, list.Total = append(list.Queues, page.Queues...), page.Total
		if number >= page.Pages {
			return list, steady && (!list.Paged || len(unique(list.Queues)) == list.Total), nil
		}
		list.Paged = true
	}
}

// Totals reads the depths from the queues themselves. live is false on a
// broker that does not know how; there is nothing in the list then that the
// statistics do not say. A queue whose process hangs keeps the whole answer
// back (RabbitMQ 3.10) or cuts the list off (other versions).
func (c *Client) Totals(ctx context.Context, total int) (list Listing, live bool, err error) {
	// Each page makes the broker ask every queue of the vhost anew (0.5 s a
	// page with 10,000 queues, 0.6 s for all at once), so what is more than
	// one page is asked for at once. The columns keep that at 160 bytes a
	// queue.
	q := question{
		stage: "read the live totals of vhost " + c.vhost + " at", page: 1,
		columns: totalsColumns + "&disable_stats=true&enable_queue_totals=true",
		limit:   requestLimit + time.Duration(total)*queueLimit,
	}
	if total > pageSize {
		q.page = 0
	}
	page, err := c.page(ctx, q)
	if err == nil && page.Pages > 1 { // queues came since they were counted
		q.page = 0
		page, err = c.page(ctx, q)
	}
	if reason := check.ReasonOf(err); err != nil && reason == check.Timeout {
		err = hint(err, "a queue may hang: rabbitmqctl list_unresponsive_queues -p "+quote(c.vhost)+" names it")
	}
	if err != nil {
		return Listing{}, false, err
	}
	return Listing{Queues: page.Queues, Total: page.Total}, !page.Statistics, nil
}

// question is one request for a page; page 0 means all queues without pages.
type question struct {
	stage   string
	page    int
	columns string
	limit   time.Duration // zero: requestLimit
}

func (c *Client) page(ctx context.Context, q question) (Page, error) {
	query := "?columns=" + q.columns
	if q.page > 0 {
		query = "?page=" + strconv.Itoa(q.page) + "&page_size=" + strconv.Itoa(pageSize) + "&columns=" + q.columns
	}
	body, err := c.get(ctx, q.stage, "/api/queues/"+url.PathEscape(c.vhost)+query, q.limit)
	if err != nil {
		return Page{}, err
	}
	page, err := ParsePage(body)
	switch {
	case err != nil || page.Page == 0:
	case page.Page != q.page:
		err = fmt.Errorf("page %d came where page %d was asked for", page.Page, q.page)
	case page.Pages > page.Total/pageSize+1:
		err = fmt.Errorf("%d pages of %d for %d queues", page.Pages, pageSize, page.Total)
	}
	if err != nil {
		return Page{}, check.Faultf(check.Data, q.stage, c.http.Peer(), "not the list that was expected: %w", err)
	}
	if page.Total > MaxQueues {
		return Page{}, check.Faultf(check.Data, q.stage, c.http.Peer(), "there are %d, more than the %d that can be looked at", page.Total, MaxQueues)
	}
	return page, nil
}

// Queue asks for the statistics of one queue by name; ok is false where there
// is none.
func (c *Client) Queue(ctx context.Context, name string) (q Queue, ok bool, err error) {
	stage := "read queue " + check.Clean(name) + " at"
	body, err := c.get(ctx, stage, "/api/queues/"+url.PathEscape(c.vhost)+"/"+url.PathEscape(name)+"?columns="+statisticsColumns, requestLimit)
	if errors.Is(err, errNotFound) {
		return Queue{}, false, nil
	}
	if err != nil {
		return Queue{}, false, err
	}
	if q, err = parseQueue(body); err != nil {
		return Queue{}, false, check.Faultf(check.Data, stage, c.http.Peer(), "not the queue that was expected: %w", err)
	}
	return q, true, nil
}

// ProveAccess tells an empty vhost from one that the user may not see: every
// vhost has its default exchanges, and the same right shows both. Some
// versions answer "[]" for want of that right.
func (c *Client) ProveAccess(ctx context.Context) error {
	stage := "read the exchanges of vhost " + c.vhost + " at"
	body, err := c.get(ctx, stage, "/api/exchanges/"+url.PathEscape(c.vhost)+"?page=1&page_size=1&columns=name&disable_stats=true", requestLimit)
	if err != nil {
		return err
	}
	page, err := ParsePage(body)
	switch {
	case err != nil:
		return check.Faultf(check.Data, stage, c.http.Peer(), "not the list that was expected: %w", err)
	case page.Total == 0:
		return check.Faultf(check.Permission, "read the queues of vhost "+c.vhost+" at", c.http.Peer(),
			"the broker shows neither queues nor exchanges: %s", c.grantAccess())
	}
	return nil
}

// StatisticsOff asks whether the broker is told to collect no statistics at
// all (management_agent.disable_metrics_collector).
func (c *Client) StatisticsOff(ctx context.Context) (bool, error) {
	stage := "read the overview of"
	body, err := c.get(ctx, stage, "/api/overview?columns=disable_stats", requestLimit)
	if err != nil {
		return false, err
	}
	off, err := parseStatisticsOff(body)
	if err != nil {
		return false, check.Faultf(check.Data, stage, c.http.Peer(), "not the answer that was expected: %w", err)
	}
	return off, nil
}

// get asks for a path and returns the body of a 200 that is no HTML page. A
// limit of zero is requestLimit.
func (c *Client) get(ctx context.Context, stage, path string, limit time.Duration) ([]byte, error) {
	answer, err := c.http.Do(ctx, httpclient.Request{Stage: stage, Path: path, Limit: limit, Max: maxBody})
	if err != nil {
		return nil, dialHint(err)
	}
	switch {
	case answer.HTML && answer.Status < 300:
		return nil, answer.JSON(stage, c.http.Peer(), nil)
	case answer.Status == http.StatusOK:
		return answer.Body, nil
	}
	return nil, c.refusal(stage, answer)
}

// quote makes a word safe to paste into a shell.
func quote(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-@:", r)
	}
	if word != "" && strings.TrimFunc(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// Vhosts lists the names of all vhosts. The tag monitoring shows them all,
// those without access included.
func (c *Client) Vhosts(ctx context.Context) ([]string, error) {
	const stage = "list the vhosts of"
	body, err := c.get(ctx, stage, "/api/vhosts?columns=name", requestLimit)
	if err != nil {
		return nil, err
	}
	names, err := parseVhosts(body)
	if err != nil {
		return nil, check.Faultf(check.Data, stage, c.http.Peer(), "not the list that was expected: %w", err)
	}
	return names, nil
}

// parseVhosts reads the answer to /api/vhosts. There is always one vhost at
// least.
func parseVhosts(body []byte) ([]string, error) {
	var list []struct {
		Name *string `json:"name"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, jsonError(err)
	}
	var names []string
	for i, v := range list {
		if v.Name == nil || *v.Name == "" {
			return nil, fmt.Errorf("vhost %d of the list has no name", i+1)
		}
		names = append(names, *v.Name)
	}
	if len(names) == 0 {
		return nil, errors.New("the list is empty")
	}
	return names, nil
}
