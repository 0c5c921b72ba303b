package objectstore

import (
	"context"
	"crypto/rand"
	"encoding/xml"
	"fmt"
	"net/url"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

const maxSmall = 64 << 10 // bytes of an answer that is a few lines

// Versioned tells whether the bucket keeps what is overwritten or deleted
// (GetBucketVersioning, s3:GetBucketVersioning).
func (c *Client) Versioned(ctx context.Context) (bool, error) {
	a, err := c.ask(ctx, question{stage: "read the versioning of s3://" + c.Bucket + " at", query: url.Values{"versioning": {""}}, max: maxSmall, right: "s3:GetBucketVersioning"})
	if err != nil {
		return false, err
	}
	var answer struct {
		XMLName xml.Name `xml:"VersioningConfiguration"`
		Status  string
	}
	if err := xml.Unmarshal(a.Body, &answer); err != nil {
		return false, check.Faultf(check.Data, "read the versioning of s3://"+c.Bucket+" at", c.http.Peer(), "not the XML that was expected: %w", endOf(err))
	}
	return answer.Status == "Enabled", nil
}

// Retention is what keeps an object from being deleted.
type Retention struct {
	Mode  string    // COMPLIANCE holds against everybody, GOVERNANCE not against whoever has a right to override it
	Until time.Time // in UTC
}

// Retained reads the retention of an object (GetObjectRetention,
// s3:GetObjectRetention). A bucket without object lock refuses.
func (c *Client) Retained(ctx context.Context, key string) (Retention, error) {
	stage := "read the retention of s3://" + c.Bucket + "/" + check.CleanMax(key, 200) + " at"
	a, err := c.ask(ctx, question{stage: stage, key: key, query: url.Values{"retention": {""}}, max: maxSmall, right: "s3:GetObjectRetention"})
	if err != nil {
		return Retention{}, err
	}
	var answer struct {
		XMLName xml.Name
		Mode    string
		Until   time.Time `xml:"RetainUntilDate"`
	}
	err = xml.Unmarshal(a.Body, &answer)
	if name := answer.XMLName.Local; err == nil && name != "Retention" && name != "ObjectLockRetention" { // the latter from versitygw
		err = fmt.Errorf("<%s>", check.CleanMax(name, 60))
	}
	if err != nil {
		return Retention{}, check.Faultf(check.Data, stage, c.http.Peer(), "not the XML that was expected: %w", endOf(err))
	}
	return Retention{Mode: answer.Mode, Until: answer.Until.UTC()}, nil
}

// MayWrite tells whether the key may write below the prefix (s3:PutObject),
// without writing: it asks to complete an upload that was never begun, under a
// name that nobody has. Servers look at the right first, and then find no such
// upload; one that knows no uploads knows no POST to an object either. False
// with an error is that it cannot be seen.
func (c *Client) MayWrite(ctx context.Context, prefix string) (bool, error) {
	const nothing = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"00000000000000000000000000000000"</ETag></Part></CompleteMultipartUpload>`
	key := prefix + "belfry-never-written-" + rand.Text()
	_, err := c.ask(ctx, question{
		stage: "ask for the right to write to s3://" + c.Bucket + " at", key: key,
		query: url.Values{"uploadId": {rand.Text()}}, body: nothing, max: maxSmall, right: "s3:PutObject",
	})
	switch {
	case Says(err, "NoSuchUpload"):
		return true, nil
	case Says(err, "AccessDenied"):
		return false, nil
	case err == nil:
		return false, check.Faultf(check.Data, "ask for the right to write to s3://"+c.Bucket+" at", c.http.Peer(), "the server completes an upload that was never begun")
	}
	return false, err
}
