package rabbitmq

import (
	"fmt"
	"strings"

	"github.com/belfry-monitoring/belfry/common/check"
)

// Count writes a number with its noun: "1 queue", "24 queues".
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Names lists the first few of the queues by name.
func Names(queues []Queue) string {
	const most = 5
	names := make([]string, 0, most+1)
	for i := range queues {
		if i == most {
			names = append(names, "...")
			break
		}
		names = append(names, check.CleanMax(queues[i].Name, 60))
	}
	return strings.Join(names, ", ")
}
