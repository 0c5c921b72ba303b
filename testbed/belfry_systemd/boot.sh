#!/bin/sh
# Boots the machine's systemd on a copy of its root that vanishes with it: run by unshare in namespaces of its own.
#
#   boot.sh DIR    DIR/shared is seen by both, the console goes to DIR/shared/console
set -eu
dir=$1
mount --make-rprivate /
mkdir -p "$dir/fs"
mount -t tmpfs tmpfs "$dir/fs"
mkdir "$dir/fs/upper" "$dir/fs/work" "$dir/fs/root"
root=$dir/fs/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/fs/upper,workdir=$dir/fs/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/dev"
for device in null zero full random urandom tty; do
	touch "$root/dev/$device"
	mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm" "$root/dev/mqueue"
mount -t devpts devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mkdir -p "$root/shared"
mount --bind "$dir/shared" "$root/shared"
# Nothing that the machine itself starts.
rm -rf "$root"/etc/systemd/system/*.wants "$root"/etc/systemd/system/*.requires
cat >"$root/etc/systemd/system/belfry-proof.target" <<'UNIT'
[Unit]
Requires=sysinit.target
After=sysinit.target
UNIT
cd "$root"
mkdir -p mnt
pivot_root . mnt
mount --make-rshared / # as an init does: credentials are mounted for a unit behind its back
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --unit=belfry-proof.target --log-target=console \
	</dev/null >/shared/console 2>&1
