package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/objectstore"
	"github.com/belfry-monitoring/belfry/plugins/backup/dump"
)

// s3 looks at the objects of buckets, by what a listing says of them.
type s3 struct {
	urls    []string
	marker  string
	options *objectstore.Options
	places  []s3Place
}

func newS3(fs *pflag.FlagSet) *s3 {
	s := &s3{}
	fs.StringArrayVar(&s.urls, "s3-url", nil, "S3: where backups lie: s3://bucket/directory/ (the objects in it, or a storage of wal-g), a quoted pattern s3://bucket/directory/*.sql.gz, or s3://bucket/directory/*/ where each directory is one backup; repeat for several sets, each judged on its own")
	fs.StringVar(&s.marker, "s3-marker", "", "S3: name of the object that is written last into a directory that is a backup: one without it is not finished ('BACKUP_DONE_SUCCESSFULLY')")
	s.options = objectstore.Flags(fs)
	return s
}

func (s *s3) name() string { return "s3" }

func (s *s3) given() string {
	if len(s.urls) > 0 {
		return "s3-url"
	}
	return s.options.Given()
}

func (s *s3) notice() string { return s.options.Notice() }

func (s *s3) prepare() (target string, err error) {
	if len(s.urls) == 0 {
		return "", fmt.Errorf("--%s goes with --s3-url", s.given())
	}
	if strings.Contains(s.marker, "/") || check.Clean(s.marker) != s.marker {
		return "", fmt.Errorf("--s3-marker %q: write the name of an object, without its directory", check.CleanMax(s.marker, 60))
	}
	s.places = nil
	directories := false
	for _, given := range s.urls {
		p, err := parseS3(given)
		if err != nil {
			return "", err
		}
		if slices.ContainsFunc(s.places, func(other s3Place) bool { return other.name() == p.name() }) {
			return "", fmt.Errorf("--s3-url %s is given twice", p.name())
		}
		if p.store, err = s.options.Store(p.bucket); err != nil {
			return "", err
		}
		p.marker = s.marker
		directories = directories || p.directories()
		s.places = append(s.places, p)
	}
	if s.marker != "" && !directories {
		return "", errors.New("--s3-marker goes with an --s3-url whose directories are backups: s3://bucket/directory/*/")
	}
	return strings.Join(s.urls, " "), nil
}

// list looks at all places side by side. What fails is a set whose newest
// backup cannot be known.
func (s *s3) list(ctx context.Context, at moment) (*listing, error) {
	looks := make([]*s3Look, len(s.places))
	var runs []func(context.Context) error
	errs := make([]error, len(s.places))
	for i, p := range s.places {
		looks[i] = &s3Look{s3Place: p, set: set{name: p.name(), place: p.store.Server() + "/" + p.bucket}}
		runs = append(runs, func(ctx context.Context) error {
			errs[i] = looks[i].run(ctx, at)
			return nil
		})
	}
	if err := check.Go(ctx, runs...); err != nil {
		return nil, err
	}
	l := &listing{}
	for i, look := range looks {
		if errs[i] != nil {
			if len(looks) == 1 {
				return nil, errs[i]
			}
			look.set.faults = append(look.set.faults, errs[i])
		}
		l.sets = append(l.sets, look.set)
		for _, note := range look.notes {
			l.notes = append(l.notes, look.set.name+": "+note)
		}
	}
	return l, nil
}

// s3Place is where backups lie in a bucket.
type s3Place struct {
	bucket  string
	pattern string // of keys; without wildcards a directory or one key
	marker  string // name of the object that ends a directory; empty: none does
	store   *objectstore.Store
}

// directories tells that each directory is a backup.
func (p s3Place) directories() bool {
	return strings.HasSuffix(p.pattern, "/") && dump.IsPattern(p.pattern)
}

func (p s3Place) name() string { return "s3://" + p.bucket + "/" + p.pattern }

// parseS3 reads s3://bucket/key. An error does not quote what may hold a key.
func parseS3(text string) (s3Place, error) {
	rest, ok := strings.CutPrefix(text, "s3://")
	bucket, pattern, _ := strings.Cut(rest, "/")
	switch {
	case !ok || bucket == "" || strings.ContainsAny(bucket, "@*?[ "):
		return s3Place{}, errors.New("--s3-url: write s3://bucket/directory/ or s3://bucket/directory/*.sql.gz, and the server as --s3-endpoint")
	case check.Clean(pattern) != pattern || strings.HasPrefix(pattern, "/") || len(pattern) > 1024:
		return s3Place{}, fmt.Errorf("--s3-url %q: no key looks like that", check.CleanMax(text, 100))
	}
	if _, err := path.Match(pattern, ""); err != nil {
		return s3Place{}, fmt.Errorf("--s3-url %q: %w", check.CleanMax(text, 100), err)
	}
	// What lies in there is wal-g's, whatever part of it is named.
	if before, _, found := strings.Cut("/"+pattern, "/"+walgFolder); found {
		pattern = strings.TrimPrefix(before+"/", "/")
	}
	return s3Place{bucket: bucket, pattern: pattern}, nil
}

// fixed is the part of the pattern before its first wildcard: what a listing
// can be asked for.
func (p s3Place) fixed() string {
	if i := strings.IndexAny(p.pattern, `*?[\`); i >= 0 {
		return p.pattern[:i]
	}
	return p.pattern
}

// s3Look is a look at one place.
type s3Look struct {
	s3Place
	set    set
	notes  []string
	found  []s3Candidate
	newest string // key of the newest good object, where each is a backup
}

// s3Candidate is an object, or a directory, that may be a backup.
type s3Candidate struct {
	key   string
	kind  string
	size  int64     // bytes; of all objects of a directory
	began time.Time // when its first object was written
	ended time.Time // when its last one was
	open  bool      // a directory without the object that ends it
}

func (l *s3Look) note(format string, args ...any) {
	l.notes = append(l.notes, fmt.Sprintf(format, args...))
}

func (l *s3Look) run(ctx context.Context, at moment) error {
	client, err := l.store.Open()
	if err != nil {
		return err
	}
	defer client.Close()
	if err = l.look(ctx, client); err == nil {
		l.judge(at.now)
	}
	if objectstore.Says(err, "NoSuchBucket") { // as a directory that is gone
		l.set.absent = fmt.Sprintf("there is no bucket %s at %s", l.bucket, l.store.Server())
		return nil
	}
	if err == nil && at.offsite {
		l.set.reach = l.reach(ctx, client, at.now)
	}
	return err
}

func (l *s3Look) look(ctx context.Context, client *objectstore.Client) error {
	if dump.IsPattern(l.pattern) {
		return l.matching(ctx, client)
	}
	return l.inDirectory(ctx, client)
}

// inDirectory takes what lies in a directory, or the one object that is named.
func (l *s3Look) inDirectory(ctx context.Context, client *objectstore.Client) error {
	below := l.pattern
	if below != "" && !strings.HasSuffix(below, "/") {
		below += "/"
	}
	found, err := client.List(ctx, below, "/", 0)
	if err != nil {
		return err
	}
	if slices.Contains(found.Prefixes, below+walgFolder+"/") {
		return l.walg(ctx, client, below+walgFolder+"/")
	}
	if len(found.Objects) == 0 && len(found.Prefixes) == 0 && l.pattern != below {
		// The key itself is the first of all that begin with it.
		if found, err = client.List(ctx, l.pattern, "", 1); err != nil {
			return err
		}
		found.Objects = slices.DeleteFunc(found.Objects, func(o objectstore.Object) bool { return o.Key != l.pattern })
	}
	l.set.absent = "no object is there"
	if len(found.Prefixes) > 0 {
		l.set.absent = fmt.Sprintf("no object is there, and its directories are not looked into: give a pattern, such as 's3://%s/%s*/' where each is a backup", l.bucket, below)
	}
	for _, o := range found.Objects {
		if !strings.HasPrefix(path.Base(o.Key), ".") {
			l.take(o)
		}
	}
	return nil
}

// matching takes the objects whose keys match, or the directories where the
// pattern ends with a slash.
func (l *s3Look) matching(ctx context.Context, client *objectstore.Client) error {
	l.set.absent = "no object matches"
	pattern, directories := strings.CutSuffix(l.pattern, "/")
	depth := strings.Count(pattern, "/") + 1
	delimiter := ""
	if rest := l.pattern[len(l.fixed()):]; !strings.Contains(rest, "/") {
		delimiter = "/" // nothing further down can match
	}
	found, err := client.List(ctx, l.fixed(), delimiter, 0)
	if err != nil {
		return err
	}
	dirs := make(map[string]*s3Candidate)
	for _, o := range found.Objects {
		key := o.Key
		parts := strings.SplitN(key, "/", depth+1)
		if directories {
			if len(parts) <= depth || parts[depth] == "" { // not in one, or what consoles make to show one
				continue
			}
			key = strings.Join(parts[:depth], "/")
		}
		if ok, _ := path.Match(pattern, key); !ok || hidden(pattern, key) { // prepared: the pattern is good
			continue
		}
		if strings.Contains("/"+o.Key, "/"+walgFolder+"/") {
			return check.Faultf(check.Config, "judge", l.name(), "%s is of a storage of wal-g, whose objects' times say nothing: give it as s3://%s/%s",
				check.CleanMax(o.Key, 100), l.bucket, check.CleanMax(strings.TrimPrefix(strings.Split("/"+o.Key, "/"+walgFolder+"/")[0]+"/", "/"), 100))
		}
		if !directories {
			l.take(o)
			continue
		}
		d := dirs[key]
		if d == nil {
			d = &s3Candidate{key: key, kind: directory, began: o.Modified, open: l.marker != ""}
			dirs[key] = d
		}
		marker := ""
		if l.marker != "" {
			marker = key + "/" + l.marker
		}
		d.add(o, marker)
	}
	for _, d := range dirs {
		l.found = append(l.found, *d)
	}
	return nil
}

// add counts an object of a directory. The end of a directory is when the
// object was written that marks it, where there is such a one.
func (d *s3Candidate) add(o objectstore.Object, marker string) {
	d.size += o.Size
	if o.Modified.Before(d.began) {
		d.began = o.Modified
	}
	switch {
	case marker != "" && o.Key == marker:
		d.open, d.ended = false, o.Modified
	case (marker == "" || d.open) && o.Modified.After(d.ended):
		d.ended = o.Modified
	}
}

// hidden tells names that begin with a dot where the pattern's do not.
func hidden(pattern, key string) bool {
	return strings.HasPrefix(path.Base(key), ".") && !strings.HasPrefix(path.Base(pattern), ".")
}

// take takes an object. What ends with a slash is none but what consoles make
// where they show a directory.
func (l *s3Look) take(o objectstore.Object) {
	if !strings.HasSuffix(o.Key, "/") {
		l.found = append(l.found, s3Candidate{key: o.Key, kind: extension(o.Key), size: o.Size, began: o.Modified, ended: o.Modified})
	}
}

const (
	// directory is the kind of a backup that is all objects below a name.
	directory = "directory"
	// maxTaken bounds the backups of a set, the newest first.
	maxTaken = 2000
	// broken is how long nothing was written to a directory without its marker
	// that is given up: one object may take a while.
	broken = 6 * time.Hour
)

// judge makes backups of what was found, the newest first.
func (l *s3Look) judge(now time.Time) {
	slices.SortFunc(l.found, func(a, b s3Candidate) int {
		return cmp.Or(b.ended.Compare(a.ended), strings.Compare(b.key, a.key))
	})
	beside := ""
	for _, c := range l.found {
		name := path.Base(c.key)
		switch {
		case len(l.set.backups) == maxTaken:
			l.note("the newest %d of %d are looked at and counted", maxTaken, len(l.found))
			return
		case unfinishedName(name):
			l.note("%s has the name of a file that is being written", name)
			continue
		case besideName(name) && c.kind != directory && c.key != l.pattern:
			l.note("%s has the name of what lies beside a backup", name)
			beside = name
			continue
		case c.open && now.Sub(c.ended) < broken:
			l.note("%s has no %s yet", name, l.marker)
			if !l.set.running || c.began.Before(l.set.since) {
				l.set.running, l.set.since = true, c.began
			}
			continue
		}
		of := thing(l.pattern, c.key)
		b := backup{name: name, kind: c.kind, thing: of, class: of + " " + c.kind, ended: c.ended, size: c.size, unproven: l.marker == ""}
		if l.marker != "" && c.kind == directory { // others may be written to again and again
			b.started = c.began
		}
		switch {
		case c.open:
			b.problem = fmt.Sprintf("it has no %s, and nothing was written to it for %s: it was broken off", l.marker, check.FormatDuration(now.Sub(c.ended).Truncate(time.Second)))
		case c.size == 0:
			b.problem = "it is empty"
		case c.kind != directory && l.newest == "":
			l.newest = c.key
		}
		l.set.backups = append(l.set.backups, b)
	}
	if beside != "" {
		l.set.absent = fmt.Sprintf("no object counts, such as %s", beside)
	}
}

// besideName tells names of checksums, signatures and logs: that one was
// written is no sign that its backup was.
func besideName(name string) bool {
	lower := strings.ToLower(name)
	switch path.Ext(lower) {
	case ".md5", ".sha1", ".sha256", ".sha512", ".sum", ".asc", ".sig", ".log", ".txt":
		return true
	}
	return strings.HasSuffix(lower, "sums")
}
