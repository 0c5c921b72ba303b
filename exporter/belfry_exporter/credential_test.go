package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/belfry-monitoring/belfry/testbed"
)

// A credential lies where systemd puts it: owned by root, mode 0400, and
// readable for the unit's user by an access list, which shows as 0440; where the
// file system has none, it belongs to the user.
func testCredential(t *testing.T, bed *testbed.Bed) {
	dir := bed.MkdirFor("root", "credentials", 0o755)
	credential := filepath.Join(dir, "mq")
	// Nobody listens on the port: a look that has a password finds that out.
	config := fmt.Sprintf("spread: 0s\nchecks: [{check: rabbitmq_consumers, target: mq, interval: 1s, timeout: 1s, options: {host: 127.0.0.1, port: %d, user: monitor, password-file: \"credential:mq\"}}]\n", bed.Port())
	env := "CREDENTIALS_DIRECTORY=" + dir
	// env stands between, because the bed's exporter has the bed's environment.
	program := bed.WriteFileFor("root", "exporter-with-credentials", "#!/bin/sh\nexport "+env+"\nexec "+bed.Build("./exporter/belfry_exporter")+" \"$@\"\n", 0o755)
	e := bed.Exporter(testbed.ExporterOptions{Config: config, Binary: program})
	await(t, "the look says that the credential is missing", func() bool {
		return strings.HasPrefix(verdict(t, e), "UNKNOWN: ") && strings.Contains(verdict(t, e), "read "+credential+": no such file or directory")
	})
	handOver(t, "nobody", credential, "secret")
	await(t, "the look has read the credential", func() bool {
		return strings.HasPrefix(verdict(t, e), "CRITICAL: ") && strings.Contains(verdict(t, e), "connection refused")
	})
}

// handOver writes a credential as systemd 252 does: acquire_credentials() of
// src/core/execute.c.
func handOver(t *testing.T, account, path, secret string) {
	t.Helper()
	next := path + ".tmp"
	if err := os.WriteFile(next, []byte(secret), 0o400); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := os.Rename(next, path); err != nil {
			t.Fatal(err)
		}
	}()
	if os.Getuid() != 0 {
		return // it belongs to the user already
	}
	u, err := user.Lookup(account)
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		t.Fatal(err)
	}
	// struct posix_acl_xattr_header and its entries, <linux/posix_acl_xattr.h>.
	list := binary.LittleEndian.AppendUint32(nil, 2)
	const none = 0xffffffff
	for _, e := range []struct {
		tag, perm uint16
		id        uint32
	}{{0x01, 4, none}, {0x02, 4, uint32(uid)}, {0x04, 0, none}, {0x10, 4, none}, {0x20, 0, none}} {
		list = binary.LittleEndian.AppendUint16(list, e.tag)
		list = binary.LittleEndian.AppendUint16(list, e.perm)
		list = binary.LittleEndian.AppendUint32(list, e.id)
	}
	err = unix.Setxattr(next, "system.posix_acl_access", list, 0)
	t.Logf("access list on %s: %v", next, err)
	if err != nil {
		if err := os.Chown(next, uid, -1); err != nil {
			t.Fatal(err)
		}
	}
}
