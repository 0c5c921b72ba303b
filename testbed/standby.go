package testbed

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// StandbyOptions change what Bed.Standby starts; the zero value is a working asynchronous standby.
type StandbyOptions struct {
	Name   string            // default "standby"; also its application_name and, with _ for -, its slot
	Config map[string]string // lines of postgresql.conf after the primary's
	Via    string            // host:port it streams from, such as a proxy's before the primary; default: the primary
	NoSlot bool              // stream without a replication slot
}

// Standby clones the primary, starts the clone as a hot standby that streams through a physical slot of its own, and waits
// until it streams.
func (b *Bed) Standby(primary *Postgres, options StandbyOptions) *Postgres {
	b.t.Helper()
	if options.Name == "" {
		options.Name = "standby"
	}
	slot := strings.ReplaceAll(options.Name, "-", "_")
	config := maps.Clone(primary.options.Config)
	if config == nil {
		config = map[string]string{}
	}
	maps.Copy(config, options.Config)
	p := b.postgresOf(PostgresOptions{Name: options.Name, Config: config, TLS: primary.options.TLS, HBA: primary.options.HBA, BinDir: primary.BinDir})
	p.passwords = primary.passwords

	p.cloneFrom(primary, options.Via, slot, !options.NoSlot)
	return p
}

// RebuildFrom makes a server of the bed, whatever it was, a standby of the primary: it is stopped, its data is removed, and
// a clone of the primary takes its place. It streams through a slot named after it, from the address via (the primary's own
// when that is empty). RebuildFrom waits until it streams.
func (p *Postgres) RebuildFrom(primary *Postgres, via string) {
	p.bed.t.Helper()
	p.Stop()
	if err := os.RemoveAll(p.DataDir); err != nil {
		p.bed.fail("rebuild %s: %v", p.Name, err)
	}
	slot := strings.ReplaceAll(p.Name, "-", "_")
	primary.awaitTrue(startLimit, "the end of its connection", "SELECT NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = '"+slot+"' AND active)")
	primary.Exec("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1", slot)
	p.cloneFrom(primary, via, slot, true)
}

// cloneFrom fills the empty server p with a clone of the primary and starts it as its standby.
func (p *Postgres) cloneFrom(primary *Postgres, via, slot string, withSlot bool) {
	p.bed.t.Helper()
	own := map[string]string{}
	if withSlot {
		primary.Exec("SELECT pg_create_physical_replication_slot($1, true)", slot)
		own["primary_slot_name"] = slot
	}
	p.bed.cloneData(primary, p)

	host, port := primary.Host, strconv.Itoa(primary.Port)
	if via != "" {
		var err error
		if host, port, err = net.SplitHostPort(via); err != nil {
			p.bed.fail("%s: %v", p.Name, err)
		}
	}
	own["primary_conninfo"] = fmt.Sprintf("host=%s port=%s user=%s password=%s application_name=%s",
		host, port, RoleReplicator, p.passwords[RoleReplicator], p.Name)
	// A test that cuts the link should not wait 5 s for the next try.
	own["wal_retrieve_retry_interval"] = "200ms"
	p.configure(own)
	p.bed.WriteFileFor(postgresAccount, filepath.Join(p.DataDir, "standby.signal"), "", 0o600)
	p.Start()
	p.WaitStreaming()
}

// cloneData copies a running server's data: by pg_basebackup, or where the version has none (npm's have not) as files
// while the server is stopped.
func (b *Bed) cloneData(from, to *Postgres) {
	b.t.Helper()
	if _, err := os.Stat(filepath.Join(from.BinDir, "pg_basebackup")); err == nil {
		to.tool("pg_basebackup", "-D", to.DataDir, "-h", from.SocketDir, "-p", strconv.Itoa(from.Port), "-U", RoleSuperuser,
			"-X", "stream", "-c", "fast", "--no-sync")
		return
	}
	from.Stop()
	to.tool("/bin/cp", "-a", from.DataDir, to.DataDir)
	from.Start()
	// A clone has no slots.
	to.tool("/bin/sh", "-c", `rm -rf "$0"/pg_replslot/*`, to.DataDir)
}

// WaitStreaming waits until the standby's WAL receiver streams.
func (p *Postgres) WaitStreaming() {
	p.bed.t.Helper()
	p.awaitTrue(startLimit, "streaming", "SELECT coalesce((SELECT status = 'streaming' FROM pg_stat_wal_receiver), false)")
}

// CatchUp waits until the standby p has replayed all that the primary has written until now.
func (p *Postgres) CatchUp(primary *Postgres) {
	p.bed.t.Helper()
	var lsn string
	primary.QueryRow("SELECT pg_current_wal_lsn()::text", &lsn)
	p.awaitTrue(startLimit, "replay of "+lsn, "SELECT coalesce(pg_last_wal_replay_lsn() >= '"+lsn+"', false)")
}

// Promote makes the standby a primary and waits until it can be written.
func (p *Postgres) Promote() {
	p.bed.t.Helper()
	p.Exec("SELECT pg_promote(false)")
	p.awaitTrue(startLimit, "promotion", "SELECT NOT pg_is_in_recovery()")
}

func (p *Postgres) awaitTrue(limit time.Duration, what, sql string) {
	p.bed.t.Helper()
	err := poll(limit, p.ended(), func() error {
		var yes bool
		err := p.scan(sql, &yes)
		if err == nil && !yes {
			err = errors.New("not yet")
		}
		return err
	})
	if err != nil {
		p.bed.fail("%s: waited %v for %s: %v\n%s", p.Name, limit, what, err, p.LogTail())
	}
}
