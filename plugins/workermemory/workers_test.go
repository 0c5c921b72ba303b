package workermemory

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/procs"
)

func TestZulipWorker(t *testing.T) {
	const dir = "/home/zulip/deployments/current/"
	tests := []struct{ command, want string }{
		{"python3 " + dir + "manage.py process_queue --queue_name=email_senders --skip-checks", "email_senders"},
		{"python3 " + dir + "manage.py process_queue --queue_name email_senders", "email_senders"},
		{"python3 " + dir + "manage.py process_queue --queue_name=user_activity --skip-checks --worker_num 2", "user_activity_shard2"},
		{"python3 " + dir + "manage.py process_queue --queue_name=missedmessage_mobile_notifications --worker_num=3", "missedmessage_mobile_notifications_shard3"},
		{"python3 " + dir + "manage.py process_queue --queue_name=deferred_work --skip-checks --worker_num 1", "deferred_work_worker1"},
		{"python3 " + dir + "manage.py process_queue --queue_name=deferred_work --worker_num 0", "deferred_work"},
		{"python3 " + dir + "manage.py process_queue --queue_name=deferred_work --worker_num x", "deferred_work"},
		{"python3 " + dir + "manage.py process_queue --multi_threaded deferred_work email_senders --skip-checks", threads},
		{"python3 " + dir + "manage.py process_queue --all", threads},
		{"/srv/zulip-py3-venv/bin/python3.11 -W ignore " + dir + "manage.py process_queue --queue_name=test", "test"},
		{dir + "manage.py process_queue --queue_name=test", "test"},
		{"/nix/store/x/bin/.python3-wrapped /nix/store/x/.manage.py-wrapped process_queue --queue_name=test", "test"},
		{"pypy3 manage.py process_queue --queue_name=test", "test"},
		// Not workers, although the words are there.
		{"python3 " + dir + "manage.py runtornado 127.0.0.1:9800", ""},
		{"python3 " + dir + "manage.py process_queue --help", ""},
		{"python3 " + dir + "manage.py process_queue --queue_name=", ""},
		{"python3 " + dir + "manage.py process_queue --queue_name --skip-checks", ""},
		{"python3 process_queue --queue_name=x", ""},
		{"nice -n10 " + dir + "manage.py process_queue --queue_name=x", ""},
		{"sudo -u zulip " + dir + "manage.py process_queue --queue_name=x", ""},
		{"grep manage.py process_queue --queue_name=x", ""},
		{"vim manage.py process_queue", ""},
		{"check_worker_memory --pattern manage.py process_queue", ""},
		{"process_queue", ""},
		{"", ""},
	}
	for _, tt := range tests {
		got, ok := zulipWorker(strings.Fields(tt.command))
		if got != tt.want || ok != (tt.want != "") {
			t.Errorf("zulipWorker(%q) = %q, %t; want %q", tt.command, got, ok, tt.want)
		}
	}
	if _, ok := zulipWorker([]string{"sh", "-c", "python3 manage.py process_queue --queue_name=x"}); ok {
		t.Error("zulipWorker takes the shell that starts a worker for one")
	}
}

func TestPatternLabel(t *testing.T) {
	tests := []struct{ command, group, want string }{
		{"flectra: WorkerHTTP 16466 \x00\x00\x00", "", "flectra: WorkerHTTP"},
		{"odoo: WorkerCron 2544 production\x00", "", "odoo: WorkerCron"},
		{"postgres: zulip zulip [local] idle\x00", "", "postgres: zulip"},
		{"nginx: worker process\x00", "", "nginx: worker"},
		{"nginx: 17\x00", "", "nginx:"},
		{"php-fpm: pool www\x00", `pool (\w+)`, "www"},
		{"php-fpm: master process (/etc/php.ini)\x00", `pool (\w+)`, "php-fpm: master"},
		{"/usr/bin/python3\x00/usr/bin/flectra\x00--config\x00/etc/flectra/flectra.conf\x00", "", "flectra"},
		{"/usr/bin/python3 /usr/bin/flectra --config /etc/flectra/flectra.conf\x00", "", "flectra"},
		{"/usr/bin/python3\x00-m\x00celery\x00worker\x00", "", "celery"},
		{"/opt/java/bin/java\x00-Xmx2g\x00-jar\x00/opt/app.jar\x00", "", "java"},
		{"node\x00/srv/katex_server.js\x009700\x00", "", "katex_server.js"},
		{"bash\x00-c\x00while sleep 1; do :; done\x00", "", "bash"},
		{"bash\x00/dev/fd/3\x00", "", "bash"},
		{"\x00x\x00", "", "unnamed"},
		{"\x00", "", "unnamed"},
		{"/\x00", "", "/"},
		{"a\x1b[31m|b\x00", "", "a [31m!b"},
		{strings.Repeat("x", 500) + "\x00", "", strings.Repeat("x", maxLabel) + "..."},
	}
	for _, tt := range tests {
		group, err := compile("--label-regex", tt.group)
		if err != nil {
			t.Fatal(err)
		}
		if got := patternLabel(procs.CommandLine(tt.command), group); got != tt.want {
			t.Errorf("patternLabel(%q, %q) = %q; want %q", tt.command, tt.group, got, tt.want)
		}
	}
}

func FuzzCommandLine(f *testing.F) {
	f.Add("python3\x00/home/zulip/deployments/current/manage.py\x00process_queue\x00--queue_name=x\x00--worker_num\x002\x00")
	f.Add("flectra: WorkerHTTP 16466 \x00\x00")
	f.Add("a: \x00")
	f.Fuzz(func(t *testing.T, text string) {
		command := procs.CommandLine(text)
		zulip := &workerMemory{}
		if zulip.wanted(command) && command.String() == "" {
			t.Errorf("an empty command line %q is a worker", text)
		}
		for _, label := range []string{zulip.name(command), patternLabel(command, nil)} {
			if strings.ContainsAny(label, "\x00\n|") || len([]rune(label)) > maxLabel+len(" ...") {
				t.Errorf("label %q of %q; want a clean one of at most %d characters", label, text, maxLabel)
			}
		}
		if patternLabel(command, nil) == "" {
			t.Errorf("patternLabel(%q) is empty", text)
		}
	})
}

func TestWorkersOf(t *testing.T) {
	queue := func(name string) procs.CommandLine {
		return procs.CommandLine("python3\x00manage.py\x00process_queue\x00--queue_name=" + name + "\x00")
	}
	many := procs.CommandLine("python3\x00manage.py\x00process_queue\x00--multi_threaded\x00")
	child := procs.CommandLine("/usr/bin/python3\x00manage.py\x00process_queue\x00--multi_threaded\x00")
	tests := []struct {
		name   string
		found  []procs.Process
		joined bool
		want   string // label:pid of the main process+others
	}{
		{name: "none", want: ""},
		{name: "by name, numbered from the oldest", joined: true, found: []procs.Process{
			{PID: 12, Command: queue("b")}, {PID: 13, Command: queue("a")}, {PID: 11, Command: queue("b")},
		}, want: "a:13+0 b:12+0 b#2:11+0"},
		{name: "the reloader and its child are one worker, the larger", joined: true, found: []procs.Process{
			{PID: 5, Command: many, RSS: 100}, {PID: 6, Parent: 5, Command: child, RSS: 400},
		}, want: "multi_threaded:6+1"},
		{name: "the child was listed first", joined: true, found: []procs.Process{
			{PID: 6, Parent: 5, Command: child, RSS: 400}, {PID: 5, Command: many, RSS: 100},
		}, want: "multi_threaded:6+1"},
		{name: "a child that is about to execute something", joined: true, found: []procs.Process{
			{PID: 5, Command: queue("a"), RSS: 100, Age: time.Hour}, {PID: 6, Parent: 5, Command: queue("a"), RSS: 90, ForkedOnly: true},
		}, want: "a:5+0"},
		{name: "the same for any pattern", found: []procs.Process{
			{PID: 5, Command: "gunicorn\x00", Age: time.Hour}, {PID: 6, Parent: 5, Command: "gunicorn\x00", ForkedOnly: true},
		}, want: "gunicorn:5+0"},
		{name: "workers that were forked and work on are workers", found: []procs.Process{
			{PID: 5, Command: "gunicorn\x00", Age: time.Hour},
			{PID: 6, Parent: 5, Command: "gunicorn\x00", ForkedOnly: true, Age: time.Minute},
			{PID: 7, Parent: 5, Command: "gunicorn\x00", ForkedOnly: true, Age: settled},
		}, want: "gunicorn:5+0 gunicorn#2:6+0 gunicorn#3:7+0"},
		{name: "parents in a ring", joined: true, found: []procs.Process{
			{PID: 5, Parent: 6, Command: queue("a")}, {PID: 6, Parent: 5, Command: queue("a")}, {PID: 7, Parent: 7, Command: queue("b")},
		}, want: "a:5+0 a#2:6+0 b:7+0"},
	}
	for _, tt := range tests {
		name := func(c procs.CommandLine) string { return patternLabel(c, nil) }
		if tt.joined {
			name = (&workerMemory{}).name
		}
		var got []string
		for _, w := range workersOf(tt.found, name, func(procs.CommandLine) bool { return tt.joined }) {
			got = append(got, fmt.Sprintf("%s:%d+%d", w.label, w.main.PID, len(w.others)))
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: workersOf = %q; want %q", tt.name, got, tt.want)
		}
	}
}

func TestTotalCountsThoseThatWatch(t *testing.T) {
	list := []worker{
		{label: "a", main: procs.Process{RSS: 400, Swap: 1}, others: []procs.Process{{RSS: 100, Swap: 2}}},
		{label: "b", main: procs.Process{RSS: 500}},
	}
	if got, want := total(list), (sums{rss: 1000, swap: 3}); got != want {
		t.Errorf("total = %+v; want %+v", got, want)
	}
	if got := largest(list).label; got != "b" {
		t.Errorf("largest = %s; want b", got)
	}
}
