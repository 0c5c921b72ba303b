# Ends the bed in directory $1 when its owner lets go of the pipe on stdin: by closing it, or by dying in any way.
# The processes of a bed carry TESTBED_DIR=$1 in their environment, which survives fork, exec and setsid. PostgreSQL's
# children and Redis write their titles over it, but they work in a data directory, and nobody else does. sshd writes its title
# over it, which names its configuration; its sessions end with their clients. [s] keeps grep from finding itself.
dir=$1
trap '' HUP INT QUIT TERM PIPE

members() {
	grep -slzxF -e "TESTBED_DIR=$dir" /proc/[0-9]*/environ | cut -d/ -f3
	grep -sl -e "[s]shd -D -e -f $dir/" /proc/[0-9]*/cmdline | cut -d/ -f3
	find /proc/[0-9]*/cwd -maxdepth 0 \( -lname "$dir/*/pgdata" -o -lname "$dir/*/redisdata" \) 2>/dev/null | cut -d/ -f3
}

# A function, because the file of this script goes with the directory.
reap() {
	while read -r _; do :; done

	tries=0
	while pids=$(members) && [ -n "$pids" ]; do
		kill -KILL $pids 2>/dev/null
		tries=$((tries + 1))
		if [ $tries -gt 200 ]; then
			echo "processes of $dir do not die:" $pids
			break
		fi
		sleep 0.02
	done

	# A killed PostgreSQL leaves its System V segment, which holds no data but counts against the system's limit.
	for file in "$dir"/*/pgdata/postmaster.pid; do
		[ -f "$file" ] || continue
		segment=$(sed -n '7s/.* //p' "$file")
		[ -z "$segment" ] || ipcrm -m "$segment" 2>/dev/null
	done

	# File systems of its own, the innermost first.
	cut -d' ' -f2 /proc/mounts | grep -F -- "$dir/" | sort -r | while read -r mount; do umount -l "$mount"; done

	rm -rf -- "$dir" || { sleep 0.2; rm -rf -- "$dir"; }
}

reap
exit
