package dump

import (
	"archive/tar"
	"context"
	"io"
	"path"
	"strings"
)

// Zulip begins the format of a tarball of Zulip's manage.py backup.
const Zulip = "Zulip "

// zulipRoot is the directory in the tarballs of Zulip's manage.py backup.
const zulipRoot = "zulip-backup/"

// Parts of such a tarball (zerver/management/commands/backup.py).
const (
	ZulipDatabase = "database" // pg_dump --format=directory
	ZulipSettings = "settings" // /etc/zulip, with its secrets
	ZulipUploads  = "uploads"  // of the local backend; what lies in S3 is never in it
)

// ZulipParts lists them.
func ZulipParts() []string { return []string{ZulipDatabase, ZulipSettings, ZulipUploads} }

// zulip collects what a tarball of manage.py backup holds while it is read.
type zulip struct {
	members  int
	is       bool
	settings bool             // zulip-secrets.conf is there and not empty
	uploads  bool             // a file at least
	toc      []byte           // of the database
	sizes    map[string]int64 // of the database's files, by name
	beyond   bool             // more than is kept
}

// member takes one member of an archive.
func (z *zulip) member(head *tar.Header, content io.Reader) error {
	z.members++
	name, ok := strings.CutPrefix(path.Clean(head.Name)+"/", zulipRoot)
	if !ok {
		return nil
	}
	z.is = true
	if head.Typeflag != tar.TypeReg {
		return nil
	}
	switch name = strings.TrimSuffix(name, "/"); {
	case name == "settings/zulip-secrets.conf":
		z.settings = head.Size > 0
	case strings.HasPrefix(name, "uploads/"):
		z.uploads = true
	case path.Dir(name) == "database":
		if len(z.sizes) >= maxEntries {
			z.beyond = true
			return nil
		}
		if z.sizes == nil {
			z.sizes = make(map[string]int64)
		}
		name = path.Base(name)
		z.sizes[name] = head.Size
		if name == tocName {
			if head.Size > maxTOC {
				z.beyond = true
				return nil
			}
			toc, err := io.ReadAll(io.LimitReader(content, maxTOC))
			z.toc = toc
			return err
		}
	}
	return nil
}

// judge completes the result of an archive whose end was seen: what the
// tarball holds, and what is wrong with the dump in it.
func (z *zulip) judge(ctx context.Context, result Result) (Result, error) {
	if !z.is || result.Problem != "" {
		return result, nil
	}
	result.Format = Zulip + result.Format
	var holds []string
	for _, part := range []struct {
		name  string
		there bool
	}{{ZulipDatabase, len(z.sizes) > 0 || z.beyond}, {ZulipSettings, z.settings}, {ZulipUploads, z.uploads}} {
		if part.there {
			holds = append(holds, part.name)
		}
	}
	result.Holds = strings.Join(holds, " ")
	if len(z.sizes) == 0 || z.beyond {
		return result, nil
	}
	problem, err := completeInside(ctx, z.toc, z.sizes)
	if problem != "" {
		result.Problem, result.Proven = "its database: "+problem, false
	}
	return result, err
}
