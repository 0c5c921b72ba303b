package discover

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/ini"
	"github.com/belfry-monitoring/belfry/common/zulip/workers"
)

const zulipConf = "/etc/zulip/zulip.conf"

func isZulip(args []string) bool {
	_, ok := workers.Parse(args)
	return ok
}

// zulip finds Zulip's queue workers, and the installation whose workers should
// run.
func zulip(m *Machine) []candidate {
	running := m.of(isZulip)
	runsWorkers := zulipRunsWorkers(m.Files)
	if len(running) == 0 && !runsWorkers {
		return nil
	}
	list := []candidate{zulipDelivery(m)}
	const key = "queue workers"
	switch {
	case len(running) > 0:
		list = append(list, candidate{key, func(ctx context.Context, a *asker) (Thing, bool) {
			c := Check{Check: "worker_memory", Target: "zulip", Options: map[string]any{}}
			if proc := m.Files.Path("/proc"); proc != "/proc" {
				c.Options["proc"] = proc
			}
			return zulipWorkers(c, a.look(ctx, c)), true
		}})
	case m.Hidden:
		list = append(list, certain(key, Thing{
			Name: key, Outcome: Unreadable,
			Text: "Zulip is installed here (" + zulipConf + "), and /proc hides the processes of other users (hidepid).",
			Help: []string{"usermod -aG GROUP " + shellQuote(m.User.Name) + "   # the group of the mount option gid of /proc; then restart the exporter"},
		}))
	default:
		list = append(list, certain(key, Thing{
			Name: key, Outcome: Stopped,
			Text: "Zulip is installed here (" + zulipConf + "), and none of its queue workers runs.",
			Help: []string{"supervisorctl start all   # they are watched as soon as they run"},
		}))
	}
	return list
}

// zulipRunsWorkers reports an installation of Zulip that serves people, and
// not only its database: [machine] puppet_classes names what the machine does.
func zulipRunsWorkers(files Files) bool {
	data, err := files.Read(zulipConf)
	if err != nil {
		return errors.Is(err, fs.ErrPermission) // it is there
	}
	conf, err := ini.Parse(data, "=:")
	if err != nil {
		return true
	}
	pairs, _ := conf.Section("machine")
	for _, p := range pairs {
		if p.Name != "puppet_classes" {
			continue
		}
		for _, class := range strings.FieldsFunc(p.Value, func(r rune) bool { return r == ',' || r == ' ' }) {
			for _, app := range []string{"standalone", "app_frontend", "process_queue", "docker", "voyager"} {
				if strings.Contains(class, app) {
					return true
				}
			}
		}
		return false
	}
	return true
}

// zulipWorkers judges a look at the workers' memory. As many as run now are
// expected from now on: a worker that ends must not go unseen.
func zulipWorkers(c Check, t trial) Thing {
	thing := Thing{Name: "queue workers"}
	n, ok := t.value("workers")
	if t.blind() || !ok || n < 1 {
		thing.Outcome, thing.Text, thing.again = Unreadable, "Zulip's queue workers run, and cannot be looked at: "+t.text, true
		return thing
	}
	c.Options["expect"] = fmt.Sprintf("%d:", int(n))
	thing.Outcome, thing.Checks, thing.growing = Watched, []Check{c}, true
	thing.Text = count(int(n), "queue worker") + " of Zulip now; fewer are CRITICAL from now on. After an upgrade that has fewer, reload the exporter."
	return thing
}

// zulipDelivery says what it takes to see whether messages arrive. No file of
// Zulip's holds that credential.
func zulipDelivery(m *Machine) candidate {
	return certain("delivery of messages", Thing{
		Name: "delivery of messages", Outcome: Unreadable,
		Text: "Whether messages arrive, and how fast, takes two bots of a Zulip organization, and no credential of such was given.",
		Help: []string{
			"In Zulip, settings, Bots: add two generic bots, and download the zuliprc file of each to /etc/belfry/sender.zuliprc and /etc/belfry/receiver.zuliprc",
			"chown " + shellQuote(m.User.Name) + " /etc/belfry/*.zuliprc && chmod 600 /etc/belfry/*.zuliprc",
			"configure: - {check: send_receive_time, target: zulip, options: {sender-zuliprc: /etc/belfry/sender.zuliprc, receiver-zuliprc: /etc/belfry/receiver.zuliprc}}",
		},
	})
}

// zulipQueues are the queues of the workers that run, sorted.
func zulipQueues(m *Machine) []string {
	var queues []string
	for _, p := range m.of(isZulip) {
		w, _ := workers.Parse(p.Args)
		for _, q := range w.Queues {
			// What could not be the name of a queue of Zulip's is not asked for.
			if check.Clean(q) == q && !strings.ContainsAny(q, "*?=, ") {
				queues = append(queues, q)
			}
		}
	}
	slices.Sort(queues)
	return slices.Compact(queues)
}

// shellQuote makes a word safe to paste into a shell.
func shellQuote(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-@:", r)
	}
	if word != "" && strings.TrimFunc(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
