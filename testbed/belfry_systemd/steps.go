package main

import (
	"context"
	"fmt"
	"regexp"
)

// step is a script and what it must print and end with; it is tried again
// until it does.
type step struct {
	name string
	do   string // once, before; must succeed
	see  string // again and again
	exit int
	want string // regular expression over what see prints
}

func (g *guest) step(ctx context.Context, s step) error {
	if s.do != "" {
		if out, exit := g.sh(ctx, "set -e\n"+s.do); exit != 0 {
			return fmt.Errorf("%s\nexit %d, %s", s.do, exit, out)
		}
	}
	wanted := regexp.MustCompile(s.want)
	return g.await(ctx, s.want, func() error {
		out, exit := g.sh(ctx, s.see)
		if exit != s.exit || !wanted.MatchString(out) {
			return fmt.Errorf("%s\nexit %d, want %d, %s", s.see, exit, s.exit, tail(out))
		}
		return nil
	})
}

// tail is the end of what a script printed.
func tail(out string) string { return out[max(len(out)-1500, 0):] }

// steps are what docs/systemd.md promises, in an order in which one may build
// on those before.
func steps() []step {
	const metrics = "curl -fsS http://127.0.0.1:19742/metrics | grep ^belfry_check"
	const exporter = "systemctl show -p ActiveState,SubState,NRestarts,Result,StatusText belfry-exporter"
	return []step{
		{
			name: "make install and systemd-sysusers give units and a user",
			do: `cp -r /shared/install/. /
systemd-sysusers
install -d /etc/belfry /etc/belfry/checks /srv/dumps /home/dumps
install -d -m 0700 /etc/belfry/secret
printf -- '--\n-- PostgreSQL database dump\n--\n\nx\n--\n-- PostgreSQL database dump complete\n--\n\n' >/srv/dumps/zulip.sql
cp /srv/dumps/zulip.sql /home/dumps/
echo secret >/etc/belfry/secret/mq
cat >/etc/belfry/exporter.yml <<'YAML'
spread: 0s
checks:
- {check: backup, target: dumps, interval: 5s, timeout: 5s, options: {path: /srv/dumps}}
- {check: backup, target: home, interval: 5s, timeout: 5s, options: {path: /home/dumps}}
- {check: worker_memory, target: journal, interval: 5s, timeout: 5s, options: {pattern: systemd-journald}}
- {check: rabbitmq_queues, target: mq, interval: 5s, timeout: 5s, options: {host: 127.0.0.1, port: 9, user: monitor, password-file: "credential:mq"}}
YAML
chown root:belfry /etc/belfry/exporter.yml
chmod 0640 /etc/belfry/exporter.yml
mkdir /etc/systemd/system/belfry-exporter.service.d
printf '[Service]\nLoadCredential=mq:/etc/belfry/secret/mq\n' >/etc/systemd/system/belfry-exporter.service.d/credential.conf
systemctl daemon-reload`,
			see: "id belfry", want: "uid=.*belfry",
		},
		{
			name: "without a configuration it discovers", do: "mv /etc/belfry/exporter.yml /srv/given.yml\nsystemctl start belfry-exporter\ncurl -fsS http://127.0.0.1:19742/-/healthy",
			see: exporter, want: "(?s)StatusText=[0-9]+ check.*ActiveState=active|(?s)ActiveState=active.*StatusText=[0-9]+ check",
		},
		{name: "the exporter starts, and is ready when it serves", do: "mv /srv/given.yml /etc/belfry/exporter.yml\nsystemctl restart belfry-exporter\ncurl -fsS http://127.0.0.1:19742/-/healthy", see: exporter, want: "ActiveState=active"},
		{name: "its status counts the checks", see: exporter, want: "StatusText=4 checks: 1 CRITICAL, 1 UNKNOWN, 2 OK"},
		{
			name: "the credential is read: the broker is asked, and refuses", see: metrics,
			want: `belfry_check_failure_info\{check="rabbitmq_queues",reason="dial",target="mq"\} 1`,
		},
		{
			name: "the processes of others are seen in the sandbox", see: metrics,
			want: `belfry_check_state\{check="worker_memory",target="journal"\} 0`,
		},
		{
			name: "what ProtectHome= takes away is UNKNOWN", see: metrics,
			want: `belfry_check_failure_info\{check="backup",reason="permission",target="home"\} 1`,
		},
		{
			name: "and is given back by its drop-in",
			do: `printf '[Service]\nProtectHome=read-only\n' >/etc/systemd/system/belfry-exporter.service.d/home.conf
systemctl daemon-reload
systemctl restart belfry-exporter`,
			see: metrics, want: `belfry_check_state\{check="backup",target="home"\} 0`,
		},
		{
			name: "no capability, no new privileges, filtered system calls", see: `cat /proc/$(systemctl show -p MainPID --value belfry-exporter)/status`,
			want: `(?s)CapEff:\t0+\nCapBnd:\t0+\n.*NoNewPrivs:\t1\nSeccomp:\t2\n`,
		},
		{name: "its memory is kept", see: "systemctl stop belfry-exporter; stat -c '%U %a' /var/lib/belfry-exporter; ls /var/lib/belfry-exporter; systemctl start belfry-exporter", want: "belfry 700\nexporter-backup-"},
		{name: "a good configuration is reloaded", do: "sed -i 's/target: dumps/target: renamed/' /etc/belfry/exporter.yml\nsystemctl reload belfry-exporter", see: metrics, want: `belfry_check_state\{check="backup",target="renamed"\} 0`},
		{name: "a wrong one fails the reload", do: "cp -p /etc/belfry/exporter.yml /srv/good.yml\necho nonsense >/etc/belfry/exporter.yml", see: "systemctl reload belfry-exporter", exit: 1, want: "failed"},
		{name: "and changes nothing", see: exporter, want: "(?s)StatusText=4 checks: [^;]*\n.*ActiveState=active"},
		{name: "a SIGHUP that is refused stands in the status", do: "systemctl kill -s HUP --kill-who=main belfry-exporter", see: exporter, want: "StatusText=4 checks: .*; the configuration was refused at the last reload"},
		{name: "the right one again", do: "cat /srv/good.yml >/etc/belfry/exporter.yml\nsystemctl reload belfry-exporter", see: exporter, want: `StatusText=4 checks: 1 CRITICAL, 3 OK\n`},
		{
			name: "the watchdog starts a frozen exporter anew",
			do: `printf '[Service]\nWatchdogSec=4s\n' >/etc/systemd/system/belfry-exporter.service.d/watchdog.conf
systemctl daemon-reload
systemctl restart belfry-exporter
kill -STOP $(systemctl show -p MainPID --value belfry-exporter)`,
			see: exporter, want: "(?s)NRestarts=1.*ActiveState=active",
		},
		{name: "the journal has its goroutines", see: "journalctl -u belfry-exporter", want: "(?s)SIGABRT: abort.*goroutine 1 "},
		{name: "and leaves a good one alone", do: "sleep 15", see: exporter, want: "(?s)NRestarts=1.*ActiveState=active"},
		{
			name: "a socket unit starts it, and no scrape is refused while it restarts",
			do: `rm /etc/systemd/system/belfry-exporter.service.d/watchdog.conf
systemctl daemon-reload
systemctl stop belfry-exporter
systemctl start belfry-exporter.socket
curl -fsS -m 30 http://127.0.0.1:19742/-/healthy
systemctl restart belfry-exporter &
for i in 1 2 3 4 5 6 7 8 9 10; do curl -fsS -m 30 http://127.0.0.1:19742/-/healthy; done
wait`,
			see: exporter, want: "ActiveState=active",
		},
		{
			name: "TLS and a password, with the key as a credential",
			do: `install -m 0600 /shared/tls.crt /shared/tls.key /etc/belfry/secret/
sed 's,HASH,$2b$04$l1L5qF.zNkfqPsHuxWVhsOS.0kVfYYboaMKsH7Gd2Bblktf4uUfme,' /shared/web.yml >/etc/belfry/web.yml
echo 'OPTIONS="--web.config.file=/etc/belfry/web.yml"' >/etc/default/belfry-exporter
printf '[Service]\nLoadCredential=tls.crt:/etc/belfry/secret/tls.crt\nLoadCredential=tls.key:/etc/belfry/secret/tls.key\n' >/etc/systemd/system/belfry-exporter.service.d/tls.conf
systemctl daemon-reload
systemctl restart belfry-exporter`,
			see:  `for user in prometheus:scraping prometheus:wrong; do curl -sk -u $user -o /dev/null -w '%{http_code} ' https://127.0.0.1:19742/metrics; done; curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:19742/metrics`,
			want: "^200 401 400$",
		},
		{name: "a check of a timer is no failure when it is CRITICAL", do: "echo \"CHECK=check_backup --path '/srv/dumps/*.tar'\" >/etc/belfry/checks/dumps\nsystemctl start belfry-check@dumps.service", see: "systemctl show -p Result belfry-check@dumps.service; cat /var/lib/belfry-check/dumps/verdict", want: `Result=success\n\d+\|2\|CRITICAL\|/srv/dumps/\*\.tar: no backup`},
		{name: "and OK when it is mended", do: "sed -i 's/tar/sql/' /etc/belfry/checks/dumps\nsystemctl start belfry-check@dumps.service", see: "stat -c %a /var/lib/belfry-check/dumps/verdict; cat /var/lib/belfry-check/dumps/verdict", want: `644\n\d+\|0\|OK\|`},
		{
			name: "check_cron_file passes it on, as another user", see: "setpriv --reuid nobody --regid nogroup --clear-groups /usr/local/lib/nagios/plugins/check_cron_file --file dumps=/var/lib/belfry-check/dumps/verdict -c 15min",
			want: "^CRON FILE OK: dumps: ",
		},
		{name: "a wrong option is UNKNOWN in the file", do: "sed -i 's/--path/--paht/' /etc/belfry/checks/dumps\nsystemctl start belfry-check@dumps.service", see: "cat /var/lib/belfry-check/dumps/verdict", want: `^\d+\|3\|UNKNOWN\|unknown flag: --paht`},
		{
			name: "another user by a drop-in",
			do: `echo 'CHECK=check_backup --path /srv/dumps' >/etc/belfry/checks/other
mkdir /etc/systemd/system/belfry-check@other.service.d
printf '[Service]\nUser=nobody\n' >/etc/systemd/system/belfry-check@other.service.d/user.conf
systemctl daemon-reload
systemctl start belfry-check@other.service`,
			see: "stat -c %U /var/lib/belfry-check/other/verdict /var/lib/belfry-check/other/memory", want: "^nobody\nnobody\n$",
		},
		{
			name: "a start that fails leaves the verdict to grow old, and says so",
			do: `cp -p /var/lib/belfry-check/other/verdict /srv/verdict
printf '[Service]\nUser=nosuchuser\n' >/etc/systemd/system/belfry-check@other.service.d/user.conf
systemctl daemon-reload
systemctl start belfry-check@other.service || true
cmp /var/lib/belfry-check/other/verdict /srv/verdict`,
			see: "systemctl show -p ActiveState,ExecMainStatus belfry-check@other.service", want: "(?s)ExecMainStatus=217.*ActiveState=failed",
		},
		{name: "so does a file without CHECK=", do: "echo CHEK=check_backup >/etc/belfry/checks/empty\nsystemctl start belfry-check@empty.service || true", see: "systemctl show -p ActiveState belfry-check@empty.service; ls /var/lib/belfry-check/empty", want: "^ActiveState=failed\n$"},
		{
			name: "the timer looks again and again",
			do: `sed -i 's/--paht/--path/' /etc/belfry/checks/dumps
mkdir /etc/systemd/system/belfry-check@dumps.timer.d
printf '[Timer]\nOnCalendar=\nOnCalendar=*:*:0/2\nRandomizedDelaySec=0\n' >/etc/systemd/system/belfry-check@dumps.timer.d/interval.conf
systemctl daemon-reload
systemctl enable --now belfry-check@dumps.timer
cp /var/lib/belfry-check/dumps/verdict /srv/verdict`,
			see: "cmp -s /var/lib/belfry-check/dumps/verdict /srv/verdict || cat /var/lib/belfry-check/dumps/verdict", want: `^\d+\|0\|OK\|`,
		},
		{name: "nothing else has failed", do: "systemctl stop belfry-check@dumps.timer belfry-exporter.socket belfry-exporter", see: "systemctl --failed --plain --no-legend", want: `^belfry-check@empty\.service .*\nbelfry-check@other\.service .*\n$`},
	}
}
