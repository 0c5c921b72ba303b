package postgres

import (
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/belfry-monitoring/belfry/common/check"
)

func TestReasonOf(t *testing.T) {
	for _, tc := range []struct {
		code, message string
		want          check.Reason
	}{
		{"28P01", `password authentication failed for user "mon"`, check.Auth},
		{"28000", `no pg_hba.conf entry for host "10.0.0.9", user "mon", database "postgres", no encryption`, check.Auth},
		{"42501", "permission denied for function pg_ls_waldir", check.Permission},
		{"53300", "remaining connection slots are reserved for non-replication superuser connections", check.Unavailable},
		{"53300", `too many connections for role "mon"`, check.Unavailable},
		{"57P03", "the database system is starting up", check.Unavailable},
		{"57P01", "terminating connection due to administrator command", check.Unavailable},
		{"57014", "canceling statement due to statement timeout", check.Timeout},
		{"55P03", "canceling statement due to lock timeout", check.Timeout},
		{"3D000", `database "nodb" does not exist`, check.Config},
		{"08P01", "unsupported startup parameter: search_path", check.Config},
		{"08P01", "no such user", check.Protocol},
		{"42883", "function pg_current_wal_lsn() does not exist", check.Data},
		{"XX000", "could not read block 0", check.Unavailable},
		{"", "", check.Protocol},
	} {
		if got := reasonOf(&pgconn.PgError{Code: tc.code, Message: tc.message}); got != tc.want {
			t.Errorf("reasonOf(%s %q) = %s; want %s", tc.code, tc.message, got, tc.want)
		}
	}
}

func TestMajorVersion(t *testing.T) {
	for text, want := range map[string]int{"15.18 (Debian 15.18-0+deb12u1)": 15, "17beta1": 17, "18.1": 18, "": 0, "x": 0} {
		if got := majorVersion(text); got != want {
			t.Errorf("majorVersion(%q) = %d; want %d", text, got, want)
		}
	}
}
