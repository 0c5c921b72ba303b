// Package secrets reads zulip-secrets.conf, in which a Zulip server keeps the
// passwords that it logs in with elsewhere. It holds no verdicts.
package secrets

import (
	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/ini"
	"github.com/belfry-monitoring/belfry/common/safefile"
)

// DefaultFile is where Zulip's installer puts the file, 0640 and of the group
// zulip.
const DefaultFile = "/etc/zulip/zulip-secrets.conf"

// RabbitMQ is the name of the broker's password, which is that of its user
// zulip (zproject/default_settings.py, RABBITMQ_USERNAME).
const RabbitMQ = "rabbitmq_password"

// Read returns one of the secrets. The file is refused where others can read
// or write it, unless lax. The error is a *check.Fault and quotes nothing of
// the file; a secret that is missing or empty is one, too.
func Read(path, name string, lax bool) (check.Secret, error) {
	data, err := safefile.ReadSecret(path, lax)
	if err != nil {
		return check.Secret{}, err
	}
	return Parse(data, path, name)
}

// Parse finds one of the secrets in the text of the file. Values are taken as
// they stand: Zulip reads them without interpolation.
func Parse(data []byte, path, name string) (check.Secret, error) {
	const stage = "read Zulip's secrets from"
	file, err := ini.Parse(data, "=:")
	if err != nil {
		return check.Secret{}, check.Faultf(check.Config, stage, path, "%w", err)
	}
	pairs, ok := file.Section("secrets")
	if !ok {
		return check.Secret{}, check.Faultf(check.Config, stage, path, "no section [secrets] in it")
	}
	value := ""
	for _, p := range pairs {
		if p.Name == name {
			value = p.Value
		}
	}
	if value == "" {
		return check.Secret{}, check.Faultf(check.Config, stage, path, "no %s in it", name)
	}
	return check.NewSecret(value), nil
}
