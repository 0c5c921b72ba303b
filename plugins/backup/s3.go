package backup

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/objectstore"
	"github.com/belfry-monitoring/belfry/plugins/backup/dump"
)

// s3 looks at the objects of buckets, by what a listing says of them.
type s3 struct {
	urls    []string
	options *objectstore.Options
	places  []s3Place
}

func newS3(fs *pflag.FlagSet) *s3 {
	s := &s3{}
	fs.StringArrayVar(&s.urls, "s3-url", nil, "S3: where backups lie: s3://bucket/directory/ (the objects in it, or a storage of wal-g), a quoted pattern s3://bucket/directory/*.sql.gz, or s3://bucket/directory/*/ where each directory is one backup; repeat for several sets, each judged on its own")
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
	s.places = nil
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
		s.places = append(s.places, p)
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
	store   *objectstore.Store
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
	newest objectstore.Object // the newest good one, where each object is a backup
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
	err = l.look(ctx, client)
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
	dirs := make(map[string]*objectstore.Object)
	var order []string
	for _, o := range found.Objects {
		key := o.Key
		parts := strings.SplitN(key, "/", depth+1)
		if directories {
			if len(parts) <= depth {
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
			d = &objectstore.Object{Key: key}
			dirs[key] = d
			order = append(order, key)
		}
		d.Size += o.Size
		if o.Modified.After(d.Modified) {
			d.Modified = o.Modified
		}
	}
	for _, key := range order {
		l.add(*dirs[key], directory)
	}
	return nil
}

// hidden tells names that begin with a dot where the pattern's do not.
func hidden(pattern, key string) bool {
	return strings.HasPrefix(path.Base(key), ".") && !strings.HasPrefix(path.Base(pattern), ".")
}

// take makes a backup of an object. What ends with a slash is no object but
// what consoles make where they show a directory.
func (l *s3Look) take(o objectstore.Object) {
	if !strings.HasSuffix(o.Key, "/") {
		l.add(o, extension(o.Key))
	}
}

// directory is the kind of a backup that is all objects below a name.
const directory = "directory"

func (l *s3Look) add(o objectstore.Object, kind string) {
	name := path.Base(o.Key)
	if unfinishedName(name) {
		l.note("%s has the name of a file that is being written", name)
		return
	}
	of := thing(l.pattern, o.Key)
	b := backup{name: name, kind: kind, thing: of, class: of + " " + kind, ended: o.Modified, size: o.Size, unproven: true}
	switch {
	case o.Size == 0:
		b.problem = "it is empty"
	case kind != directory && !o.Modified.Before(l.newest.Modified):
		l.newest = o
	}
	l.set.backups = append(l.set.backups, b)
}
