package backup

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"github.com/belfry-monitoring/belfry/common/safefile"
)

// location is where a repository lies, as the tools write it: a path, or
// sftp:user@host:/path, ssh://user@host/path, s3:https://host/bucket,
// rest:https://user:password@host/, user@host:path.
type location struct {
	text string // without a password
	path string // of a local one
	host string // of a remote one, or what stands for it
}

// scp is how rsync, scp and Borg write a host and a path.
var scp = regexp.MustCompile(`^(?:[^/:@]+@)?([^/:@]+):(.*)$`)

// scheme is a word before a colon: restic's kinds of repositories, and URLs.
var scheme = regexp.MustCompile(`^(sftp|s3|rest|b2|azure|gs|swift|rclone|ssh|http|https|file|local):`)

func parseLocation(given string) location {
	l := location{text: hidePassword(given)}
	rest := given
	kind := ""
	if m := scheme.FindStringSubmatch(rest); m != nil {
		kind = m[1]
		if !strings.HasPrefix(rest[len(m[0]):], "//") {
			rest = rest[len(m[0]):]
		}
	}
	switch {
	case strings.HasPrefix(given, "/"):
		l.path = given
	case kind == "local", kind == "file":
		l.path = strings.TrimPrefix(rest, "file://")
	case strings.Contains(rest, "://"):
		if u, err := url.Parse(rest); err == nil {
			l.host = u.Hostname()
			if kind == "s3" { // two buckets of a provider are not lost together
				bucket, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
				l.host += "/" + bucket
			}
		}
	case kind == "sftp" || kind == "":
		if m := scp.FindStringSubmatch(rest); m != nil {
			l.host = m[1]
		}
	default:
		l.host = kind + ":" + strings.TrimPrefix(rest, "//")
	}
	if l.path == "" && l.host == "" {
		l.host = l.text
	}
	return l
}

// hidePassword replaces the password of a URL in the text.
func hidePassword(text string) string {
	return passwordInURL.ReplaceAllString(text, "$1***@")
}

var passwordInURL = regexp.MustCompile(`(//[^/@:]*:)[^@]*@`)

// where tells what a place at the location is called, and what this machine
// could do to it, as far as both can be seen from here without touching it.
func (l location) where(ctx context.Context) (place string, r reach) {
	if l.path == "" {
		switch l.host {
		case "localhost", "127.0.0.1", "::1":
			return "this machine", reach{can: "its host is this machine"}
		}
		return l.host, r
	}
	if ctx.Err() != nil {
		return l.path, r
	}
	resolved, err := filepath.EvalSymlinks(l.path)
	if err != nil {
		resolved = l.path
	}
	table, err := safefile.Read("/proc/self/mountinfo", maxList)
	m, ok := mountOf(string(table), resolved)
	if err != nil || !ok {
		return l.path, r
	}
	if !m.remote() {
		// Whoever is root here can, whatever the user of this check may.
		return "file system at " + m.point, reach{can: fmt.Sprintf("it lies on a file system of this machine (%s at %s)", m.kind, m.point)}
	}
	const writable = 2 // of access(2)
	if !m.readOnly && syscall.Access(resolved, writable) == nil {
		return m.source, reach{can: fmt.Sprintf("user %s may write to it (%s %s at %s)", whoami(), m.kind, m.source, m.point)}
	}
	return m.source, r
}

// mount is a line of /proc/self/mountinfo (proc(5)).
type mount struct {
	point, kind, source string
	readOnly            bool
}

// remote tells file systems whose files lie on another machine.
func (m mount) remote() bool {
	switch m.kind {
	case "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "afs", "lustre", "davfs", "virtiofs",
		"fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.s3fs", "fuse.rclone", "fuse.davfs", "fuse.curlftpfs", "fuse.goofys":
		return true
	}
	return false
}

// mountOf finds the mount that a path lies on; the last of several on one
// point is the one that is seen.
func mountOf(table, path string) (m mount, ok bool) {
	longest := -1
	for line := range strings.Lines(table) {
		own, rest, found := strings.Cut(line, " - ")
		fields, more := strings.Fields(own), strings.Fields(rest)
		if !found || len(fields) < 6 || len(more) < 2 {
			continue
		}
		point := unescape.Replace(fields[4])
		if path != point && !strings.HasPrefix(path, strings.TrimSuffix(point, "/")+"/") || len(point) < longest {
			continue
		}
		longest, ok = len(point), true
		m = mount{point: point, kind: more[0], source: unescape.Replace(more[1])}
		options := fields[5]
		if len(more) > 2 {
			options += "," + more[2]
		}
		for option := range strings.SplitSeq(options, ",") {
			m.readOnly = m.readOnly || option == "ro"
		}
	}
	return m, ok
}

// unescape undoes the octal escapes of mountinfo.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
