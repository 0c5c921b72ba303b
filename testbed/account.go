package testbed

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// credentialOf is what makes a process run as the system user; nil when we are not root and everything runs as ourselves.
// Supplementary groups of ours are dropped.
func credentialOf(account string) (*syscall.Credential, error) {
	if os.Getuid() != 0 || account == "" {
		return nil, nil
	}
	u, err := user.Lookup(account)
	if err != nil {
		return nil, fmt.Errorf("find the system user %s (testbed/install.sh installs the packages that make it): %w", account, err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("find the system user %s: uid %q: %w", account, u.Uid, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("find the system user %s: gid %q: %w", account, u.Gid, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), Groups: []uint32{uint32(gid)}}, nil
}

// osUser is the name under which processes for the account really run.
func osUser(account string) (string, error) {
	if os.Getuid() == 0 {
		return account, nil
	}
	u, err := user.Current()
	if err != nil {
		return "", fmt.Errorf("find out who we are: %w", err)
	}
	return u.Username, nil
}

// groupOf is the name of the user's own group.
func groupOf(name string) string {
	u, err := user.Lookup(name)
	if err == nil {
		if g, err := user.LookupGroupId(u.Gid); err == nil {
			return g.Name
		}
	}
	return name
}
