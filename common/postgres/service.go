package postgres

import (
	"bytes"
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/jackc/pgservicefile"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/safefile"
)

// maxServiceFile bounds a service file in bytes.
const maxServiceFile = 256 << 10

// serviceFiles are where a service is looked for: the file of the options
// alone, or the home directory's and then those of the system (libpq's, and
// Debian's directory for it).
func (o *Options) serviceFiles() []string {
	if o.serviceFile != "" {
		return []string{o.serviceFile}
	}
	var files []string
	if o.home != "" {
		files = append(files, filepath.Join(o.home, ".pg_service.conf"))
	}
	return append(files, "/etc/postgresql-common/pg_service.conf", "/etc/pg_service.conf")
}

// readService returns the settings of the service of the options (PostgreSQL
// documentation, 34.17); none where no service is named.
func (o *Options) readService() (map[string]string, error) {
	if o.service == "" {
		return nil, nil
	}
	files := o.serviceFiles()
	for _, path := range files {
		data, err := safefile.Read(path, maxServiceFile)
		if errors.Is(err, fs.ErrNotExist) && o.serviceFile == "" {
			continue
		}
		if err != nil {
			return nil, err
		}
		settings, err := parseService(data, o.service)
		if err != nil {
			return nil, check.Faultf(check.Config, "read services from", path, "%w", err)
		}
		if settings == nil {
			continue
		}
		if settings["password"] != "" {
			if _, err := safefile.ReadSecret(path, o.password.Lax()); err != nil {
				return nil, err
			}
		}
		return settings, nil
	}
	return nil, check.Faultf(check.Config, "", "", "no service %q in %v", o.service, files)
}

// parseService returns the settings of one service, nil where the file has
// none of that name.
func parseService(data []byte, name string) (map[string]string, error) {
	file, err := pgservicefile.ParseServicefile(bytes.NewReader(data))
	if err != nil {
		return nil, errors.New("lines must be [service], keyword=value or a comment")
	}
	service, err := file.GetService(name)
	if err != nil {
		return nil, nil
	}
	return service.Settings, nil
}
