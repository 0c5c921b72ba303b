package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/objectstore"
)

const (
	// walgFolder is where wal-g and wal-e keep base backups below their prefix.
	walgFolder = "basebackups_005"
	// walgSentinel ends the name of the object that is written last.
	walgSentinel = "_backup_stop_sentinel.json"

	maxSentinels = 300
	// maxSentinel bounds a sentinel in bytes: before wal-g 2 it lists all files.
	maxSentinel = 8 << 20
)

// walg takes the backups of a storage of wal-g by their sentinels. A copy of
// the bucket renews the objects' own times, so that they are not looked at.
func (l *s3Look) walg(ctx context.Context, client *objectstore.Client, folder string) error {
	l.set.absent = "the storage of wal-g has none that is finished"
	found, err := client.List(ctx, folder, "/", 0)
	if err != nil {
		return err
	}
	var names []string
	for _, o := range found.Objects {
		if name, ok := strings.CutSuffix(strings.TrimPrefix(o.Key, folder), walgSentinel); ok && name != "" {
			names = append(names, name)
		}
	}
	if len(names) > maxSentinels {
		return check.Faultf(check.Config, "read the sentinels of", l.name(), "%d backups are more than %d: run wal-g with --wal-g", len(names), maxSentinels)
	}
	all, err := readSentinels(ctx, client, folder, names)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(b walgBackup) bool {
		if b.Name == "" {
			l.note("a backup vanished while the look was taken")
		}
		return b.Name == ""
	})
	notes, err := l.set.takeWALG(all)
	if err != nil {
		return check.Faultf(check.Data, "read the sentinels of", l.name(), "%w", err)
	}
	l.notes = append(l.notes, notes...)
	for i := range l.set.backups {
		b := &l.set.backups[i]
		if !slices.Contains(found.Prefixes, folder+b.name+"/") && b.problem == "" {
			b.problem = "only its sentinel is there: its files are gone, it cannot be restored"
		}
	}
	for _, p := range found.Prefixes {
		if name := strings.TrimSuffix(strings.TrimPrefix(p, folder), "/"); !slices.Contains(names, name) {
			l.note("%s has no sentinel: it is being made or was broken off", name)
		}
	}
	return nil
}

// readSentinels reads them over two connections, as many as are kept. One
// that is gone meanwhile has no name.
func readSentinels(ctx context.Context, client *objectstore.Client, folder string, names []string) ([]walgBackup, error) {
	const side = 2
	all, errs := make([]walgBackup, len(names)), make([]error, side)
	var readers []func(context.Context) error
	for first := range side {
		readers = append(readers, func(ctx context.Context) error {
			for i := first; i < len(names) && errs[first] == nil; i += side {
				all[i], errs[first] = readSentinel(ctx, client, folder, names[i])
			}
			return nil
		})
	}
	return all, errors.Join(check.Go(ctx, readers...), firstOf(errs))
}

// firstOf is the first error: the others mostly are the same.
func firstOf(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func readSentinel(ctx context.Context, client *objectstore.Client, folder, name string) (walgBackup, error) {
	b := walgBackup{Name: name}
	// What an old sentinel does not say stands in the metadata beside it.
	for _, key := range []string{folder + name + walgSentinel, folder + name + "/metadata.json"} {
		data, err := client.Get(ctx, key, maxSentinel)
		if objectstore.Says(err, "NoSuchKey") {
			if key != folder+name+walgSentinel {
				break
			}
			return walgBackup{}, nil
		}
		if err != nil {
			return walgBackup{}, err
		}
		if err := b.fill(data); err != nil {
			return walgBackup{}, check.Faultf(check.Data, "read", key, "%w", err)
		}
		if !b.Finish.IsZero() {
			return b, nil
		}
	}
	return walgBackup{}, check.Faultf(check.Data, "read", folder+name+walgSentinel,
		"it does not say when the backup ended (FinishTime), which wal-e and the first wal-g do not, and a copy renews the object's own time: use --wal-g-list-file")
}

// fill takes what a sentinel (BackupSentinelDtoV2 of wal-g) or a
// metadata.json (ExtendedMetadataDto) says. They write the same in two ways.
func (b *walgBackup) fill(data []byte) error {
	var s struct {
		StartTime, FinishTime time.Time
		SystemIdentifier      uint64
		UncompressedSize      int64
		IsPermanent           bool

		Start     time.Time `json:"start_time"`
		Finish    time.Time `json:"finish_time"`
		System    uint64    `json:"system_identifier"`
		Size      int64     `json:"uncompressed_size"`
		Permanent bool      `json:"is_permanent"`
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("not the JSON of wal-g: %w", err)
	}
	if b.Finish = s.FinishTime; b.Finish.IsZero() {
		b.Finish = s.Finish
	}
	if b.Start = s.StartTime; b.Start.IsZero() {
		b.Start = s.Start
	}
	b.System = max(b.System, s.SystemIdentifier, s.System)
	if size := max(s.UncompressedSize, s.Size); size > 0 {
		b.Size = &size
	}
	b.Permanent = b.Permanent || s.IsPermanent || s.Permanent
	return nil
}
