package exporter

import (
	"slices"
	"strings"
)

// keptVariables are what the process itself needs: to find programs and
// homes, for words and times, its sockets and certificates, the service
// manager, the Go runtime.
func keptVariables() []string {
	return []string{
		"PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "LANG", "LC_*", "TZ",
		"LISTEN_*", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "CREDENTIALS_DIRECTORY",
		"SSL_CERT_FILE", "SSL_CERT_DIR",
		"GODEBUG", "GOGC", "GOMAXPROCS", "GOMEMLIMIT", "GOTRACEBACK", "GORACE", "GOCOVERDIR",
	}
}

// forgetEnvironment unsets everything else, before the first check exists.
// Client libraries read variables of their own accord, and one process's
// PGPASSWORD or HTTPS_PROXY must not reach every target.
func forgetEnvironment(environ []string, unset func(string) error) {
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		kept := slices.ContainsFunc(keptVariables(), func(k string) bool {
			prefix, glob := strings.CutSuffix(k, "*")
			return name == k || glob && strings.HasPrefix(name, prefix)
		})
		if !kept {
			_ = unset(name) // fails only for names that cannot be
		}
	}
}
