package discover

import "context"

const noCheck = "No check of this version looks at it."

// asked collects the candidates of a product whose servers are told by their
// answer to one question, each address once.
type asked struct {
	question string
	// judge makes a thing of the answer; ok is false where it is nothing of the
	// product's. sure: a process of the product listens there.
	judge func(address string, sure bool, reply []byte, err error) (t Thing, ok bool)

	list []candidate
	seen map[string]bool
}

func (q *asked) add(network, address string, sure bool) {
	if q.seen[address] {
		return
	}
	if q.seen == nil {
		q.seen = make(map[string]bool)
	}
	q.seen[address] = true
	q.list = append(q.list, candidate{address, func(ctx context.Context, a *asker) (Thing, bool) {
		reply, err := a.say(ctx, network, address, q.question)
		return q.judge(address, sure, reply, err)
	}})
}

// hidden adds a process of which it is not known where it listens.
func (q *asked) hidden(user, text string) {
	q.list = append(q.list, certain("process of "+user, Thing{Name: "process of user " + user, Outcome: Unwatched, Text: text + " " + noCheck}))
}
