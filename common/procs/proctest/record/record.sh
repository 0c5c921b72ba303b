#!/bin/sh
# Records the trees of ../trees: real processes under a real supervisord in a PID namespace of their own, looked at
# through the real /proc. Needs root, the Debian packages supervisor, python3-django, python3-setproctitle unpacked with
# "dpkg-deb -x" below $1, and a user nagios.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
packages=$(cd "$1" && pwd)
if [ -z "${INSIDE:-}" ]; then
	for situation in multiprocess multithreaded stopped zombies hidepid-invisible hidepid-noaccess titles; do
		INSIDE=$situation unshare -mpf --mount-proc "$0" "$packages"
	done
	exit
fi

private=$(mktemp -d)
mount -t tmpfs tmpfs "$private"
mkdir "$private/etc" "$private/log"
mount -t overlay overlay -o "lowerdir=$packages/usr:/usr" /usr
mount -t tmpfs tmpfs /home
sed '/^zulip:/d' /etc/passwd >"$private/etc/passwd"
echo 'zulip:x:1001:1001::/home/zulip:/bin/sh' >>"$private/etc/passwd"
mount --bind "$private/etc/passwd" /etc/passwd
mkdir -p /home/zulip/deployments/current "$private/supervisor"
cp "$here/manage.py" /home/zulip/deployments/current/manage.py
cp "$here/tree.py" "$private/tree.py"
chmod 755 "$private" /home/zulip/deployments/current/manage.py
export PATH=/usr/bin:/bin:/usr/sbin:/sbin PYTHONPATH=/usr/lib/python3/dist-packages PYTHONDONTWRITEBYTECODE=1

program() { # name, arguments of process_queue..., as puppet/zulip/templates/supervisor/zulip.conf.template.erb does
	name=$1
	shift
	printf '[program:%s]\ncommand=nice -n10 /home/zulip/deployments/current/manage.py process_queue %s\nuser=zulip\nstopasgroup=true\n' "$name" "$*"
}
supervise() {
	{
		printf '[supervisord]\nnodaemon=true\nuser=root\nlogfile=%s/log/supervisord.log\npidfile=%s/supervisord.pid\nchildlogdir=%s/log\n' "$private" "$private" "$private"
		cat
	} >"$private/supervisor/supervisord.conf"
	/usr/bin/python3 /usr/bin/supervisord -n -c "$private/supervisor/supervisord.conf" >/dev/null 2>&1 &
	sleep 6
}
shot() { # user, what
	# The shell above it carries the check's name and the pattern, as NRPE's does.
	runuser -u "$1" -- sh -c "python3 $private/tree.py '$2' # check_worker_memory --pattern 'manage.py process_queue'; :" >"$here/../trees/$INSIDE.txtar"
}
queues="deferred_work deferred_email_senders digest_emails email_mirror email_senders embed_links embedded_bots
missedmessage_emails outgoing_webhooks thumbnail user_activity_interval"
multiprocess() {
	for q in $queues; do program "zulip_events_$q" "--queue_name=$q --skip-checks"; done
	for n in 1 2; do
		program "zulip_events_user_activity_shard$n" "--queue_name=user_activity --skip-checks --worker_num $n"
		program "zulip_events_missedmessage_mobile_notifications_shard$n" "--queue_name=missedmessage_mobile_notifications --skip-checks --worker_num $n"
	done
}

case $INSIDE in
multiprocess)
	multiprocess | supervise
	shot zulip "a host with 4 GiB and more: one process for each queue, shards for two of them; seen by the user zulip"
	;;
multithreaded)
	program zulip_events "--multi_threaded $(echo $queues) --skip-checks" | supervise
	shot nagios "a small host: one process with a thread for each queue below the reloader of Django; seen by the user nagios"
	;;
stopped)
	: | supervise
	sh -c 'sleep 60; : manage.py process_queue --queue_name=email_senders' &
	perl -e '$0 = "vim /home/zulip/deployments/current/zerver/management/commands/process_queue.py"; sleep 60' &
	perl -e '$0 = "grep manage.py process_queue"; sleep 60' &
	sleep 1
	shot nagios "all workers are stopped; others have their names on the command line"
	;;
zombies)
	# The parent does not collect its dead children.
	perl -e 'for $q ("email_senders", "embed_links") { if (!fork) { system "echo $$ >>'"$private"'/pids"; exec "/usr/bin/python3", "/home/zulip/deployments/current/manage.py", "process_queue", "--queue_name=$q" } } sleep 60' &
	sleep 2
	kill -KILL $(cat "$private/pids")
	sleep 1
	shot nagios "all workers were killed and their parent has not collected them"
	;;
hidepid-invisible | hidepid-noaccess)
	printf '%s\n' email_senders embed_links | while read -r q; do program "zulip_events_$q" "--queue_name=$q --skip-checks"; done | supervise
	mount -o "remount,hidepid=${INSIDE#hidepid-},gid=33" /proc
	shot nagios "/proc hides the processes of other users from nagios"
	;;
titles)
	for n in 1 2; do
		perl -e '$x = "x" x (50 << 20); if (!fork) { $0 = "flectra: WorkerHTTP $$ "; sleep 60 } $0 = "/usr/bin/python3 /usr/bin/flectra --config /etc/flectra/flectra.conf"; sleep 60' &
	done
	perl -e '$0 = "postgres: zulip zulip [local] idle"; sleep 60' &
	sleep 2
	shot nagios "processes that write their own titles"
	;;
esac
# The end of this shell, the first process of its namespace, ends all others.
