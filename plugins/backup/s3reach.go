package backup

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/common/objectstore"
)

// reach tells what the key could do to the backups, as far as it can be seen
// without doing it. Only a lock that holds against everybody proves that it
// can do nothing: the right to delete cannot be asked for harmlessly.
func (l *s3Look) reach(ctx context.Context, client *objectstore.Client, now time.Time) reach {
	if _, r := (location{host: l.store.Server()}).where(ctx); r.can != "" {
		return r
	}
	if l.newest != "" {
		kept, err := client.Retained(ctx, l.newest)
		switch {
		case err == nil && kept.Mode == "COMPLIANCE" && kept.Until.After(now):
			return reach{cannot: fmt.Sprintf("object lock (COMPLIANCE) keeps the newest until %s", kept.Until.Format("2006-01-02 15:04 MST"))}
		case err == nil && kept.Mode != "":
			l.note("object lock (%s) keeps the newest until %s, not against everybody", kept.Mode, kept.Until.Format("2006-01-02 15:04 MST"))
		case err != nil:
			l.note("no object lock is seen: %v", err)
		}
	}
	below := l.fixed()
	below = below[:strings.LastIndexByte(below, '/')+1]
	may, err := client.MayWrite(ctx, below)
	if err != nil {
		l.note("%v", err)
		return reach{}
	}
	if !may {
		l.note("its key may not write there (s3:PutObject is denied); whether it may delete cannot be seen")
		return reach{}
	}
	versioned, err := client.Versioned(ctx)
	switch {
	case err != nil:
		l.note("%v", err)
		return reach{can: "its key may write there (s3:PutObject)"}
	case versioned:
		l.note("its key may write there (s3:PutObject), and the bucket keeps the versions before; whether it may delete those cannot be seen")
		return reach{}
	}
	return reach{can: "its key may overwrite there (s3:PutObject), and the bucket keeps no versions"}
}
