// Package discover finds out what runs on this machine and which checks can
// look at it, for an exporter that was given no configuration. It uses no
// credential that it was not given: what the running user may read and do, and
// what the operator names. It guesses no password. It connects to sockets of
// this machine only, and only to those of a process of the product or at the
// product's own port.
//
// Machine is what the machine shows, read once. Each product is a file with a
// detector: a function from that to candidates, which are then examined side
// by side, each within bounds of its own.
package discover

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

// Outcome says what becomes of a thing that was found. The set is closed: it
// is a label value of belfry_exporter_discovered.
type Outcome string

// The outcomes.
const (
	Watched    Outcome = "watched"    // checks look at it
	Unreadable Outcome = "unreadable" // a check could look at it, and may not or cannot yet
	Unwatched  Outcome = "unwatched"  // no check of this version looks at it
	Stopped    Outcome = "stopped"    // it is set up on this machine and does not run
	Failed     Outcome = "failed"     // it could not be looked for
)

// Outcomes lists the closed set.
func Outcomes() []Outcome { return []Outcome{Watched, Unreadable, Unwatched, Stopped, Failed} }

// Thing is something that was found. Its texts are clean for one line.
type Thing struct {
	Product string   `json:"product"` // one of Products
	Name    string   `json:"name"`    // of the one thing, such as "/run/postgresql:5432"
	Outcome Outcome  `json:"outcome"`
	Text    string   `json:"text"`           // what it is, what was tried and what it said
	Help    []string `json:"help,omitempty"` // what would let a check see it, or see more: grants, commands
	Checks  []Check  `json:"checks,omitempty"`

	key string // of its candidate
	// again: what was seen is not the last word, so that the next look of the
	// same exporter examines it anew: a server that starts up or hangs.
	again bool
	// growing: what was found may be less than there will be in a minute,
	// because the machine starts. It is examined anew until there is no more.
	growing bool
	// waits: a check could see more as soon as another product runs.
	waits bool
	// recalled: an exporter before this one has watched it.
	recalled bool
}

// unsettled things are examined anew by the next look of the same exporter.
func (t Thing) unsettled() bool {
	return t.again || t.waits || t.growing && t.Outcome == Watched || t.Outcome == Stopped || t.Outcome == Failed
}

// holds reports whether a thing that was watched stays so whatever is found in
// its place: a check has seen it, and what has become of it is the check's to
// say.
func (t Thing) holds() bool { return t.Outcome == Watched && (!t.again || t.recalled) }

// Check is a check of the configuration that a thing is monitored by.
type Check struct {
	Check    string            `json:"check" yaml:"check"`
	Target   string            `json:"target" yaml:"target"`
	Options  map[string]any    `json:"-" yaml:"options,omitempty"` // text or a list of texts; no secrets
	Severity map[string]string `json:"-" yaml:"severity,omitempty"`
	Only     []string          `json:"-" yaml:"only,omitempty"`
}

// Discovery is what one look, or several, have found.
type Discovery struct {
	Things    []Thing  `json:"found"`
	LookedFor []string `json:"looked_for"`         // titles of the products
	Problems  []string `json:"problems,omitempty"` // why something may not have been found

	blind bool // nothing could be looked for
}

// Checks are those of all things, no two of one name and target.
func (d *Discovery) Checks() []Check {
	var checks []Check
	seen := make(map[[2]string]bool)
	for _, t := range d.Things {
		for _, c := range t.Checks {
			if k := [2]string{c.Check, c.Target}; !seen[k] {
				seen[k] = true
				checks = append(checks, c)
			}
		}
	}
	return checks
}

// Count is how many things of a product have an outcome.
func (d *Discovery) Count(product string, outcome Outcome) int {
	n := 0
	for _, t := range d.Things {
		if t.Product == product && t.Outcome == outcome {
			n++
		}
	}
	return n
}

// Finder looks for products.
type Finder struct {
	Catalog []*check.Definition

	// Root is where this machine's files are: "" or "/", "/host" in a
	// container. /proc is looked for below it, too.
	Root string

	// RabbitMQUser logs in to RabbitMQ's management API with the password in
	// RabbitMQPasswordFile; empty: nobody does.
	RabbitMQUser, RabbitMQPasswordFile string

	Limit time.Duration // of one look; zero: 10 s

	products []product // nil: those of this version
}

// Command is the line of a shell that writes what this finder finds into the
// file: as the same user and with the same login, because another one may see
// less, and what he does not see would be watched no more.
func (f *Finder) Command(file string) string {
	words := []string{"belfry_exporter", "--discover"}
	add := func(flag, value string) {
		if value != "" {
			words = append(words, "--discover."+flag+"="+shellQuote(value))
		}
	}
	add("root", f.root())
	add("rabbitmq-user", f.RabbitMQUser)
	add("rabbitmq-password-file", f.RabbitMQPasswordFile)
	line := strings.Join(words, " ")
	if a := self(); a.UID != 0 {
		return "sudo -H -u " + shellQuote(a.Name) + " " + line + " | sudo tee " + shellQuote(file)
	}
	return line + " > " + shellQuote(file)
}

const (
	defaultLimit = 10 * time.Second
	// maxCandidates bounds how many things of one product are examined.
	maxCandidates = 16
)

// candidate is something that may be a thing of a product.
type candidate struct {
	key string // tells it from others of the product, also at the next look
	// examine asks it what it is; ok is false where it is nothing of the
	// product's. It ends with the context.
	examine func(ctx context.Context, a *asker) (t Thing, ok bool)
}

// certain is a candidate that needs no question.
func certain(key string, t Thing) candidate {
	return candidate{key, func(context.Context, *asker) (Thing, bool) { return t, true }}
}

// product is one kind of thing that is looked for.
type product struct {
	name  string // label value
	title string
	// wants picks the processes that the detector needs, by their arguments.
	wants func(args []string) bool
	// detect tells what may be there from what the machine shows. It opens no
	// connection.
	detect func(m *Machine) []candidate
}

// products is the literal list: a further one is a file and a line here.
func products() []product {
	return []product{
		{"zulip", "Zulip", isZulip, zulip},
		{"postgresql", "PostgreSQL", isPostgres, postgresql},
		{"rabbitmq", "RabbitMQ", isRabbitMQ, rabbitMQ},
		{"redis", "Redis", isRedis, redis},
		{"memcached", "memcached", isMemcached, memcached},
	}
}

// Products are the label values of all products.
func Products() []string {
	var names []string
	for _, p := range products() {
		names = append(names, p.name)
	}
	return names
}

// sort puts things in the order of the products, and then by name.
func (d *Discovery) sort() {
	names := Products()
	slices.SortStableFunc(d.Things, func(a, b Thing) int {
		if c := slices.Index(names, a.Product) - slices.Index(names, b.Product); c != 0 {
			return c
		}
		return strings.Compare(a.Name+"\x00"+a.key, b.Name+"\x00"+b.key)
	})
}

// maxLine bounds a text and a line of help, in runes.
const maxLine = 600

// cleaned makes the texts, which may quote anybody, fit for one line each.
func (t Thing) cleaned() Thing {
	t.Name, t.Text = check.Clean(t.Name), check.CleanMax(t.Text, maxLine)
	help := t.Help
	t.Help = nil
	for _, line := range help {
		t.Help = append(t.Help, check.CleanMax(line, maxLine))
	}
	return t
}
