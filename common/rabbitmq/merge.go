package rabbitmq

import "sort"

// Merge joins the statistics of queues with their totals by name: depths come
// from the totals where these know them, everything else from the statistics.
// A queue in one list only stays, with what is known of it. Sorted by name.
func Merge(statistics, totals []Queue) []Queue {
	merged := unique(statistics)
	index := make(map[string]int, len(merged))
	for i := range merged {
		index[merged[i].Name] = i
	}
	for _, t := range totals {
		i, known := index[t.Name]
		if !known {
			i = len(merged)
			index[t.Name] = i
			merged = append(merged, t)
		}
		q := &merged[i]
		if t.Messages.Known {
			q.Messages, q.Ready, q.Unacknowledged, q.Live = t.Messages, t.Ready, t.Unacknowledged, true
		}
		if t.State != "" && !q.Down() {
			q.State = t.State
		}
	}
	sort.Slice(merged, func(a, b int) bool { return merged[a].Name < merged[b].Name })
	return merged
}

// unique drops the earlier of queues with one name: pages are read one after
// the other, and a queue declared in between moves others to the next page.
func unique(queues []Queue) []Queue {
	index := make(map[string]int, len(queues))
	kept := make([]Queue, 0, len(queues))
	for _, q := range queues {
		if i, twice := index[q.Name]; twice {
			kept[i] = q
			continue
		}
		index[q.Name] = len(kept)
		kept = append(kept, q)
	}
	return kept
}
