package objectstore

import (
	"errors"
	"fmt"
	"strings"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/ini"
	"github.com/belfry-monitoring/belfry/common/safefile"
)

// Credentials are who asks.
type Credentials struct {
	KeyID  string
	Secret check.Secret
	Token  check.Secret // of a session; mostly empty
}

// readCredentials reads a profile of a file as the AWS tools keep it
// (~/.aws/credentials), which is refused where others can read or write it,
// unless lax. The error is a *check.Fault.
func readCredentials(path, profile string, lax bool) (Credentials, error) {
	data, err := safefile.ReadSecret(path, lax)
	if err != nil {
		return Credentials{}, err
	}
	c, err := parseCredentials(data, profile)
	if err != nil {
		return Credentials{}, check.Faultf(check.Config, "read the credentials from", path, "%w", err)
	}
	return c, nil
}

// parseCredentials reads a profile. No error quotes the file.
func parseCredentials(data []byte, profile string) (Credentials, error) {
	file, err := ini.Parse(data, "=")
	if err != nil {
		return Credentials{}, fmt.Errorf("not an INI file with [%s], aws_access_key_id = and aws_secret_access_key = in it: %w", check.CleanMax(profile, 60), err)
	}
	pairs, ok := file.Section(profile)
	if !ok {
		return Credentials{}, fmt.Errorf("no profile [%s] in it: give --s3-profile", check.CleanMax(profile, 60))
	}
	var c Credentials
	for _, p := range pairs {
		switch strings.ToLower(p.Name) {
		case "aws_access_key_id":
			c.KeyID = p.Value
		case "aws_secret_access_key":
			c.Secret = check.NewSecret(p.Value)
		case "aws_session_token":
			c.Token = check.NewSecret(p.Value)
		}
	}
	if c.KeyID == "" || c.Secret.Empty() {
		return Credentials{}, fmt.Errorf("profile [%s] must hold aws_access_key_id = and aws_secret_access_key =: roles and commands are not followed", check.CleanMax(profile, 60))
	}
	return c, c.valid()
}

// valid refuses what cannot stand in a header.
func (c Credentials) valid() error {
	for _, text := range []string{c.KeyID, c.Token.Reveal()} {
		if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
			return errors.New("the access key ID or the session token has characters that none has")
		}
	}
	return nil
}
