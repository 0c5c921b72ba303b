package objectstore

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

const (
	// maxPage bounds a page of a listing in bytes: a thousand keys of 1,024
	// bytes, each escaped to three.
	maxPage = 4 << 20
	// MaxObjects bounds a listing.
	MaxObjects = 100_000
	// maxPages bounds the requests of a listing: servers give 1,000 to a page.
	maxPages = 2 * MaxObjects / 1000
)

// Object is what a listing says of an object.
type Object struct {
	Key      string
	Size     int64     // bytes
	Modified time.Time // when it was written to this bucket: a copy has a new one
}

// Listing is what lies below a prefix.
type Listing struct {
	Objects  []Object // by key
	Prefixes []string // what is further down, up to and with the delimiter
}

// List returns the objects whose keys begin with the prefix (ListObjectsV2),
// where the delimiter is not empty those up to it. Most is how many are
// wanted, zero for all; more than MaxObjects are an error, because the newest
// may be any.
func (c *Client) List(ctx context.Context, prefix, delimiter string, most int) (*Listing, error) {
	q := question{stage: "list s3://" + c.Bucket + "/" + check.CleanMax(prefix, 200) + " at", max: maxPage, right: "s3:ListBucket"}
	all := &Listing{}
	token := ""
	for range maxPages {
		q.query = url.Values{"list-type": {"2"}, "encoding-type": {"url"}, "prefix": {prefix}}
		if delimiter != "" {
			q.query.Set("delimiter", delimiter)
		}
		if token != "" {
			q.query.Set("continuation-token", token)
		}
		if most > 0 {
			q.query.Set("max-keys", fmt.Sprint(most))
		}
		a, err := c.ask(ctx, q)
		if err != nil {
			return nil, err
		}
		p, err := parsePage(a.Body, c.Bucket, prefix)
		switch {
		case errors.Is(err, errBuckets):
			return nil, check.Faultf(check.Config, q.stage, c.http.Peer(), "%w", err)
		case err != nil:
			return nil, check.Faultf(check.Data, q.stage, c.http.Peer(), "%w", err)
		}
		all.Objects, all.Prefixes = append(all.Objects, p.Objects...), append(all.Prefixes, p.Prefixes...)
		switch {
		case p.next == "", most > 0:
			return all, nil
		case p.next == token:
			return nil, check.Faultf(check.Data, q.stage, c.http.Peer(), "the server gives the same page again: its list has no end")
		case len(all.Objects)+len(all.Prefixes) > MaxObjects:
			return nil, c.tooMany(q.stage)
		}
		token = p.next
	}
	return nil, c.tooMany(q.stage)
}

func (c *Client) tooMany(stage string) error {
	return check.Faultf(check.Config, stage, c.http.Peer(), "more than %d objects or %d pages: give a longer prefix", MaxObjects, maxPages)
}

// page is one answer of a listing.
type page struct {
	Listing
	next string // token of the next page; empty: this is the last
}

// errBuckets: the host names no bucket to the server.
var errBuckets = errors.New("the server lists its buckets: it does not take the bucket from the host's name, give --s3-addressing path")

// parsePage reads a ListBucketResult. What was not asked for is an error: a
// server that knows no prefix would show somebody else's objects.
func parsePage(body []byte, bucket, prefix string) (*page, error) {
	var answer struct {
		XMLName   xml.Name
		Name      string
		Encoding  string `xml:"EncodingType"`
		Truncated string `xml:"IsTruncated"`
		Next      string `xml:"NextContinuationToken"`
		Contents  []struct {
			Key      string
			Modified string `xml:"LastModified"`
			Size     *int64
		}
		Prefixes []struct{ Prefix string } `xml:"CommonPrefixes"`
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, errors.New("an empty answer where a list of objects is due")
	}
	if err := xml.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("not the XML that was expected: %w%s", endOf(err), beginning(body))
	}
	switch name := answer.XMLName.Local; {
	case name == "ListAllMyBucketsResult":
		return nil, errBuckets
	case name != "ListBucketResult":
		return nil, fmt.Errorf("<%s> where a list of objects is due", check.CleanMax(name, 60))
	case answer.Name != "" && answer.Name != bucket:
		return nil, fmt.Errorf("the list is of the bucket %q", check.CleanMax(answer.Name, 63))
	}
	decode := func(text string) (string, error) { return text, nil }
	if answer.Encoding == "url" {
		decode = url.QueryUnescape
	}
	p := &page{}
	for _, o := range answer.Contents {
		key, err := decode(o.Key)
		if err != nil || key == "" || !strings.HasPrefix(key, prefix) {
			return nil, fmt.Errorf("key %q was not asked for", check.CleanMax(o.Key, 100))
		}
		at, err := time.Parse(time.RFC3339Nano, o.Modified)
		if err != nil || at.IsZero() {
			return nil, fmt.Errorf("object %s has no LastModified that is a time: %q", check.CleanMax(key, 100), check.CleanMax(o.Modified, 40))
		}
		if o.Size == nil || *o.Size < 0 {
			return nil, fmt.Errorf("object %s has no Size", check.CleanMax(key, 100))
		}
		p.Objects = append(p.Objects, Object{Key: key, Size: *o.Size, Modified: at})
	}
	for _, one := range answer.Prefixes {
		key, err := decode(one.Prefix)
		if err != nil || !strings.HasPrefix(key, prefix) {
			return nil, fmt.Errorf("prefix %q was not asked for", check.CleanMax(one.Prefix, 100))
		}
		p.Prefixes = append(p.Prefixes, key)
	}
	switch strings.TrimSpace(answer.Truncated) {
	case "false":
	case "true":
		if p.next = answer.Next; p.next == "" {
			return nil, errors.New("the list goes on (IsTruncated), but how to go on is not said (NextContinuationToken): is this a server of ListObjects version 1?")
		}
	default:
		return nil, errors.New("the list does not say whether it is whole (IsTruncated)")
	}
	return p, nil
}

// endOf says it where there is no XML or it just ends.
func endOf(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("there is none in it")
	}
	var syntax *xml.SyntaxError
	if errors.As(err, &syntax) && strings.Contains(syntax.Msg, "EOF") {
		return errors.New("it ends early")
	}
	return err
}

// beginning quotes what an answer begins with.
func beginning(body []byte) string {
	return fmt.Sprintf(" (it begins %q)", check.CleanMax(string(body[:min(len(body), 60)]), 60))
}
