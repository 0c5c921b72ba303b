// Package objectstore asks servers that speak S3 what they hold: which objects
// are in a bucket (ListObjectsV2), what is in one of them, and what protects
// it. Nothing is ever written.
package objectstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/dial"
	"github.com/belfry-monitoring/belfry/common/httpclient"
)

// requestLimit bounds one request, from the name to the end of its answer.
const requestLimit = 10 * time.Second

// Store is one bucket of a server, and how it is reached.
type Store struct {
	Bucket  string
	Region  string
	virtual bool
	server  string   // the endpoint's host, without a port
	base    *url.URL // of the bucket's requests
	prefix  string   // of their path, escaped: "/bucket" where the host does not name it
	tls     *dial.TLS
	route   *httpclient.Route
	login   func() (Credentials, error)
}

// Server is the endpoint's host as it is shown, without a port.
func (s *Store) Server() string { return s.server }

// Client talks to a bucket. Make it anew for each look and Close it. Its
// errors are *check.Fault; a refusal of the server wraps an *Error.
type Client struct {
	*Store
	http     *httpclient.Client
	answered atomic.Int64 // requests
	waited   atomic.Int64 // for them, in nanoseconds
}

// Open reads the credentials and makes a client; it connects to nothing.
func (s *Store) Open() (*Client, error) {
	login, err := s.login()
	if err != nil {
		return nil, err
	}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }) // as S3, of all services, wants it
	c := &Client{Store: s}
	c.http, err = httpclient.New(httpclient.Config{
		Base: s.base, TLS: s.tls, Route: s.route, Limit: requestLimit,
		Header: http.Header{"User-Agent": {"BelfryMonitoring"}}, // no more: a proxy must not touch what is signed
		Sign: func(r *http.Request) error {
			sum, err := payloadSum(r)
			if err != nil {
				return check.Faultf(check.Internal, "sign a request to", s.base.Host, "%w", err)
			}
			r.Header.Set("X-Amz-Content-Sha256", sum)
			err = signer.SignHTTP(r.Context(), aws.Credentials{
				AccessKeyID: login.KeyID, SecretAccessKey: login.Secret.Reveal(), SessionToken: login.Token.Reveal(),
			}, r, sum, "s3", s.Region, time.Now())
			if err != nil { // it says nothing of use, and may quote
				return check.Faultf(check.Config, "sign a request to", s.base.Host, "the credentials cannot be used")
			}
			return nil
		},
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Close ends the kept connection.
func (c *Client) Close() { c.http.Close() }

// payloadSum is the SHA-256 of a request's body, in hexadecimal.
func payloadSum(r *http.Request) (string, error) {
	sum := sha256.New()
	if r.GetBody != nil {
		body, err := r.GetBody()
		if err != nil {
			return "", err
		}
		if _, err := io.Copy(sum, body); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// question is a request for a bucket or an object in it.
type question struct {
	stage string // "list s3://bucket/prefix at"
	key   string // empty: the bucket
	query url.Values
	body  string // makes it a POST
	max   int64  // bytes
	right string // that it needs: s3:ListBucket
}

// leastWait is how long a server is waited for before a look that ends is its
// fault: one that has answered so far is not slow because there was too much
// to ask.
const leastWait = 2 * time.Second

// ranOut tells that a request ended early because there were too many before
// it: so many were answered, after they had been waited for in all.
func ranOut(answered int64, waited, took time.Duration) bool {
	return answered > 0 && took < max(leastWait, 10*waited/time.Duration(answered))
}

// ask sends a question and returns the answer where it is a success.
func (c *Client) ask(ctx context.Context, q question) (*httpclient.Answer, error) {
	r := httpclient.Request{Stage: q.stage, Path: c.prefix + "/" + escape(q.key), Body: q.body, Max: q.max}
	if q.body != "" {
		r.Method = http.MethodPost
	}
	if len(q.query) > 0 {
		r.Path += "?" + strings.ReplaceAll(q.query.Encode(), "+", "%20") // as it is signed
	}
	started := time.Now()
	a, err := c.http.Do(ctx, r)
	took := time.Since(started)
	if err != nil {
		if n := c.answered.Load(); check.ReasonOf(err) == check.Timeout && ranOut(n, time.Duration(c.waited.Load()), took) {
			return nil, check.Faultf(check.Config, q.stage, c.http.Peer(), "no time is left after %d answers: give it more with -t, or a longer prefix", n)
		}
		return nil, err
	}
	c.answered.Add(1)
	c.waited.Add(int64(took))
	if err := c.refusal(q, a, time.Now()); err != nil {
		return nil, err
	}
	return a, nil
}

// Get returns an object of at most max bytes.
func (c *Client) Get(ctx context.Context, key string, max int64) ([]byte, error) {
	a, err := c.ask(ctx, question{stage: "read s3://" + c.Bucket + "/" + check.CleanMax(key, 200) + " from", key: key, max: max, right: "s3:GetObject"})
	if err != nil {
		return nil, err
	}
	return a.Body, nil
}

// escape writes a key as SigV4 has it in a path: all but unreserved
// characters (RFC 3986) and slashes. Dots alone between slashes would be
// taken for steps in a tree.
func escape(key string) string {
	const hexadecimal = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(key) {
		c := key[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.', c == '~', c == '/':
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hexadecimal[c>>4])
			b.WriteByte(hexadecimal[c&15])
		}
	}
	return b.String()
}
