package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/options"
)

// credentialPrefix begins the value of an option that names a file which the
// service manager hands to this unit alone (LoadCredential= of systemd.exec):
// the same line works whatever the unit is called.
const credentialPrefix = "credential:"

// credentials puts the paths of credentials in the place of their names. A
// secret itself is never taken for one.
func (r *reader) credentials(flag *pflag.Flag, items []item) {
	if options.IsSecret(flag) {
		return
	}
	for i := range items {
		name, ok := strings.CutPrefix(items[i].text, credentialPrefix)
		if !ok {
			continue
		}
		path, err := credentialPath(os.Getenv("CREDENTIALS_DIRECTORY"), name)
		if err != nil {
			r.fail(items[i].line, "option %s: %w", flag.Name, err)
			continue
		}
		items[i].text = path
	}
}

// credentialPath is where the credential lies. Whether it is there is the
// check's to find out, as with every file: it may come later.
func credentialPath(dir, name string) (string, error) {
	switch {
	case name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/:"):
		return "", fmt.Errorf("%s%s: write credential:NAME with the name that LoadCredential=NAME:FILE of the unit gives it", credentialPrefix, name)
	case dir == "":
		return "", errors.New(credentialPrefix + name + ": no credentials here: they come from systemd, with LoadCredential=" + name + ":FILE in the unit; CREDENTIALS_DIRECTORY is not set")
	}
	return filepath.Join(dir, name), nil
}
