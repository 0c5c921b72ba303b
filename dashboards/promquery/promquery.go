// Package promquery asks a Prometheus what a dashboard asks it: instant and
// range queries, and the values of labels.
// https://prometheus.io/docs/prometheus/latest/querying/api/
package promquery

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxAnswer bounds an answer in bytes.
const maxAnswer = 64 << 20

// Client asks one server.
type Client struct {
	URL  string // without a path
	HTTP *http.Client
}

// Series is a time series; an instant query returns one point of each.
type Series struct {
	Labels map[string]string // the name is __name__
	Points []Point
}

// Point is a value at a moment, in seconds since 1970.
type Point struct{ Time, Value float64 }

// Last is the newest value, NaN for none.
func (s Series) Last() float64 {
	if len(s.Points) == 0 {
		return math.NaN()
	}
	return s.Points[len(s.Points)-1].Value
}

// Instant evaluates an expression at a moment.
func (c Client) Instant(ctx context.Context, expr string, at time.Time) ([]Series, error) {
	return c.query(ctx, "/api/v1/query", url.Values{"query": {expr}, "time": {seconds(at)}})
}

// Range evaluates an expression at every step from one moment to another.
func (c Client) Range(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]Series, error) {
	return c.query(ctx, "/api/v1/query_range", url.Values{
		"query": {expr}, "start": {seconds(from)}, "end": {seconds(to)}, "step": {strconv.FormatFloat(step.Seconds(), 'f', -1, 64)},
	})
}

// LabelValues lists the values that a label has in the series that match.
func (c Client) LabelValues(ctx context.Context, label, match string) ([]string, error) {
	var values []string
	query := url.Values{}
	if match != "" {
		query.Set("match[]", match)
	}
	err := c.get(ctx, "/api/v1/label/"+url.PathEscape(label)+"/values", query, &values)
	return values, err
}

func seconds(t time.Time) string {
	return strconv.FormatFloat(float64(t.UnixMilli())/1e3, 'f', 3, 64)
}

func (c Client) query(ctx context.Context, path string, query url.Values) ([]Series, error) {
	var data struct {
		ResultType string
		Result     json.RawMessage
	}
	if err := c.get(ctx, path, query, &data); err != nil {
		return nil, fmt.Errorf("query %s: %w", query.Get("query"), err)
	}
	series, err := parse(data.ResultType, data.Result)
	if err != nil {
		return nil, fmt.Errorf("query %s: read the answer: %w", query.Get("query"), err)
	}
	return series, nil
}

func (c Client) get(ctx context.Context, path string, query url.Values, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(c.URL, "/")+path, strings.NewReader(query.Encode()))
	if strings.Contains(path, "/label/") { // takes no POST
		request, err = http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.URL, "/")+path+"?"+query.Encode(), nil)
	}
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return err
	}
	if len(body) > maxAnswer {
		return fmt.Errorf("the answer has more than %d bytes", maxAnswer)
	}
	var answer struct {
		Status, ErrorType, Error string
		Data                     json.RawMessage
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("%s: no JSON of Prometheus: %w", response.Status, err)
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s: %s: %s", response.Status, answer.ErrorType, answer.Error)
	}
	return json.Unmarshal(answer.Data, into)
}

// point is [seconds, "value"].
type point [2]any

func (p point) point() (Point, error) {
	at, ok := p[0].(float64)
	text, isText := p[1].(string)
	if !ok || !isText {
		return Point{}, fmt.Errorf("value %v is no pair of time and text", p)
	}
	value, err := strconv.ParseFloat(text, 64)
	return Point{at, value}, err
}

func parse(kind string, result json.RawMessage) ([]Series, error) {
	if kind == "scalar" {
		var p point
		if err := json.Unmarshal(result, &p); err != nil {
			return nil, err
		}
		one, err := p.point()
		return []Series{{Labels: map[string]string{}, Points: []Point{one}}}, err
	}
	if kind != "vector" && kind != "matrix" {
		return nil, fmt.Errorf("the result is a %q", kind)
	}
	var raw []struct {
		Metric map[string]string
		Value  *point
		Values []point
	}
	if err := json.Unmarshal(result, &raw); err != nil {
		return nil, err
	}
	series := make([]Series, len(raw))
	for i, r := range raw {
		points := r.Values
		if r.Value != nil {
			points = append(points, *r.Value)
		}
		series[i].Labels = r.Metric
		for _, p := range points {
			one, err := p.point()
			if err != nil {
				return nil, err
			}
			series[i].Points = append(series[i].Points, one)
		}
	}
	return series, nil
}
