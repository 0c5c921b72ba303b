package objectstore

import (
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/httpclient"
)

// Error is what a server of S3 says when it does not do what was asked
// ("Error responses" in Amazon's reference of the S3 API).
type Error struct {
	Status  int    // of HTTP
	Code    string // NoSuchBucket, AccessDenied; empty where the answer has none
	Message string // cleaned
}

func (e *Error) Error() string {
	text := "HTTP " + strconv.Itoa(e.Status)
	switch {
	case e.Code != "":
		text += " " + e.Code
	case http.StatusText(e.Status) != "":
		text += " " + http.StatusText(e.Status)
	}
	return text
}

// Says tells whether an error is a refusal with one of the codes.
func Says(err error, codes ...string) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	for _, code := range codes {
		if e.Code == code {
			return true
		}
	}
	return false
}

// details are the parts of an Error document that help.
type details struct {
	XMLName    xml.Name
	Code       string
	Message    string
	Region     string
	Endpoint   string
	ServerTime string
}

// parseError reads an Error document; what is none has no code.
func parseError(body []byte) details {
	var d details
	if xml.Unmarshal(body, &d) != nil || d.XMLName.Local != "Error" {
		return details{}
	}
	d.Code = check.CleanMax(strings.TrimSpace(d.Code), 60)
	d.Message = check.CleanMax(strings.TrimSpace(d.Message), 160)
	d.Region = check.CleanMax(strings.TrimSpace(d.Region), 40)
	d.Endpoint = check.CleanMax(strings.TrimSpace(d.Endpoint), 120)
	return d
}

// refusal names why a server does not do what was asked: nil where it does.
func (c *Client) refusal(q question, a *httpclient.Answer, now time.Time) error {
	fault := func(reason check.Reason, err error, format string, args ...any) error {
		if format == "" {
			return &check.Fault{Reason: reason, Stage: q.stage, Peer: c.http.Peer(), Err: err}
		}
		return &check.Fault{Reason: reason, Stage: q.stage, Peer: c.http.Peer(), Err: fmt.Errorf("%w: %s", err, fmt.Sprintf(format, args...))}
	}
	d := parseError(a.Body)
	refused := &Error{Status: a.Status, Code: d.Code, Message: d.Message}
	if a.Status >= 200 && a.Status < 300 {
		switch {
		case a.HTML && q.key == "":
			return check.Faultf(check.Unavailable, q.stage, c.http.Peer(), "an HTML page instead of XML (HTTP %d): is --s3-endpoint the server's own console, or is this a proxy's page?", a.Status)
		case d.Code != "" && q.key == "": // some requests fail after their 200 was sent
			return fault(check.Unavailable, refused, "%s", d.Message)
		}
		return nil
	}
	region := check.CleanMax(a.Header.Get("X-Amz-Bucket-Region"), 40)
	if region == "" {
		region = d.Region
	}
	switch d.Code {
	case "SignatureDoesNotMatch":
		return fault(check.Auth, refused, "the secret access key is not the one of this access key ID, or a proxy changes the request")
	case "InvalidAccessKeyId":
		return fault(check.Auth, refused, "the server does not know the access key ID")
	case "ExpiredToken", "InvalidToken", "TokenRefreshRequired":
		return fault(check.Auth, refused, "the session token is not valid, or not any more")
	case "RequestTimeTooSkewed", "RequestExpired":
		return fault(check.Config, refused, "%sset the clock, because signatures hold for 15 minutes", skew(a, d, now))
	case "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect", "TemporaryRedirect":
		if region != "" && region != c.Region {
			return fault(check.Config, refused, "the region is %s and not %s: give --s3-region %s", region, c.Region, region)
		}
		if d.Endpoint != "" {
			return fault(check.Config, refused, "the bucket is reached at %s", d.Endpoint)
		}
	case "NoSuchBucket":
		return fault(check.Config, refused, "there is no bucket %s", c.Bucket)
	case "NoSuchKey":
		return fault(check.Data, refused, "the object is gone")
	case "SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "TooManyRequests", "XMinioServerNotInitialized":
		return fault(check.Unavailable, refused, "%s", d.Message)
	}
	switch {
	case a.HTML && a.Status < 500:
		return check.Faultf(check.Unavailable, q.stage, c.http.Peer(), "an HTML page instead of XML (HTTP %d): is --s3-endpoint the server's own console, or is this a proxy's page?", a.Status)
	case a.Status >= 500, a.Status == http.StatusTooManyRequests:
		return fault(check.Unavailable, refused, "%s", d.Message)
	case a.Status >= 300 && a.Status < 400:
		if region != "" && region != c.Region {
			return fault(check.Config, refused, "the region is %s and not %s: give --s3-region %s", region, c.Region, region)
		}
		return fault(check.Config, refused, "the server sends on to %q: give that address as --s3-endpoint", check.CleanMax(a.Header.Get("Location"), 120))
	case a.Status == http.StatusUnauthorized:
		return fault(check.Auth, refused, "the credentials are refused")
	case a.Status == http.StatusForbidden:
		return fault(check.Permission, refused, "the key has not the right %s, or the bucket is somebody else's", q.right)
	case d.Code == "" && a.Status == http.StatusNotFound:
		return fault(check.Data, refused, "is there a server of S3 at --s3-endpoint?")
	}
	return fault(check.Data, refused, "%s", d.Message)
}

// skew says how far the clocks are apart, where the server tells its time.
func skew(a *httpclient.Answer, d details, now time.Time) string {
	at, err := time.Parse(time.RFC3339, d.ServerTime)
	if err != nil {
		if at, err = http.ParseTime(a.Header.Get("Date")); err != nil {
			return ""
		}
	}
	apart := now.Sub(at).Round(time.Second)
	if apart < 0 {
		return "this machine's clock is " + check.FormatDuration(-apart) + " behind the server's: "
	}
	return "this machine's clock is " + check.FormatDuration(apart) + " ahead of the server's: "
}
