package rabbitmqqueues

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/rabbitmq"
)

// memoryVersion is that of the form below; another one starts anew.
const memoryVersion = 1

// memory is what is kept from one look to the next.
type memory struct {
	Version int             `json:"v"`
	At      int64           `json:"t"` // Unix milliseconds
	Queues  map[string]memo `json:"q"`
}

// recall returns what the previous look remembered, and how long ago that was;
// nothing where there is none that can be used.
func recall(r *check.Report) (m memory, gap time.Duration) {
	if _, ok := r.Recall(&m); !ok || m.Version != memoryVersion {
		return memory{}, 0
	}
	return m, r.Now().Sub(time.UnixMilli(m.At))
}

// remember keeps the memos that fit, those of the deepest queues first.
func remember(r *check.Report, memos map[string]memo) {
	names := make([]string, 0, len(memos))
	for name := range memos {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(memos[b].Depth, memos[a].Depth), cmp.Compare(a, b))
	})
	room := check.MaxMemory - 1000
	kept := make(map[string]memo, len(names))
	for _, name := range names {
		text, err := json.Marshal(map[string]memo{name: memos[name]})
		if err != nil {
			continue // a memo holds numbers only, which JSON can write
		}
		if room -= len(text); room < 0 {
			r.Note("%s too many to remember: judged by their depth", rabbitmq.Count(len(names)-len(kept), "queue"))
			break
		}
		kept[name] = memos[name]
	}
	r.Remember(memory{Version: memoryVersion, At: r.Now().UnixMilli(), Queues: kept})
}
