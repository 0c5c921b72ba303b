package postgres

import (
	"bytes"
	"errors"
	"io/fs"
	"path/filepath"
	"strconv"

	"github.com/jackc/pgpassfile"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/safefile"
)

// passfile is the password file of the options: --passfile, the service's, or
// .pgpass in the home directory. Only the last may be missing or out of reach.
func (o *Options) passfile(service map[string]string) (*pgpassfile.Passfile, error) {
	path, discovered := first(o.passFile, service["passfile"]), false
	if path == "" {
		if o.home == "" {
			return nil, nil
		}
		path, discovered = filepath.Join(o.home, ".pgpass"), true
	}
	data, err := safefile.ReadSecret(path, o.password.Lax())
	if err != nil {
		if discovered && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)) {
			return nil, nil
		}
		return nil, err
	}
	file, err := pgpassfile.ParsePassfile(bytes.NewReader(data))
	if err != nil {
		// The library's error may hold a line of the file.
		return nil, check.Faultf(check.Config, "read passwords from", path, "a line is too long")
	}
	return file, nil
}

// passwordOf looks a server up in the password file, as libpq does: the
// directory of a Unix socket by its name, or as localhost.
func passwordOf(file *pgpassfile.Passfile, s *Server) check.Secret {
	if file == nil {
		return check.Secret{}
	}
	hosts := []string{s.Host}
	if isSocket(s.Host) {
		hosts = append(hosts, "localhost")
	}
	for _, host := range hosts {
		if password := file.FindPassword(host, strconv.Itoa(int(s.Port)), s.Database, s.User); password != "" {
			return check.NewSecret(password)
		}
	}
	return check.Secret{}
}

// first returns the first text that is not empty.
func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
