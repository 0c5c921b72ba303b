#!/bin/sh
# Installs the Debian packages whose servers the testbed starts, and nothing else.
#
#   testbed/install.sh           PostgreSQL, RabbitMQ, pgBackRest, Nagios, Prometheus, Alertmanager
#   testbed/install.sh bench     also the tools that `make bench` compares with
#   testbed/install.sh test      also what the tests need: Icinga, Redis, memcached, NRPE, sshd, backup tools, a proxy, a browser, systemd-analyze, npm for zulip-js,
#                                gcc for the race detector, PostgreSQL
#                                servers of the versions that Debian does not have (from npm, into /var/cache/belfry-testbed)
#
# The machine may be somebody's server: no service is started, stopped, replaced or enabled for the next boot, no database
# cluster is created, and what is changed for the time of the installation (policy-rc.d, createcluster.conf) is put back.
# Needs root or a sudo that asks for no password; returns at once when nothing is missing.
set -eu

policy=/usr/sbin/policy-rc.d
saved_policy=$policy.belfry-saved
policy_mark='belfry testbed/install.sh'
clusters=/etc/postgresql-common/createcluster.conf
saved_clusters=$clusters.belfry-saved
lock=/run/lock/belfry-testbed-install.lock

say() { printf 'testbed/install.sh: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# installed PACKAGE...: succeeds when every one is installed.
installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}\n' "$@" 2>/dev/null | grep -cx installed)" -eq $# ]
}

have_postgres() {
	for bin in /usr/lib/postgresql/*/bin/postgres; do
		[ -x "$bin" ] && return 0
	done
	return 1
}

# wanted ARG...: the packages that belong to the arguments; those with an equivalent in place are left out.
wanted() {
	printf '%s\n' rabbitmq-server pgbackrest nagios4-core prometheus prometheus-alertmanager
	have_postgres || echo postgresql-15
	for set in "$@"; do
		case $set in
		bench) printf '%s\n' check-postgres nagios-plugins-rabbitmq hyperfine time ;;
		test)
			printf '%s\n' monitoring-plugins-basic nagios-nrpe-plugin nagios-nrpe-server openssh-client openssh-server
			printf '%s\n' barman borgbackup restic chromium fonts-dejavu-core
			command -v node >/dev/null || echo nodejs
			command -v npm >/dev/null || echo npm
			printf '%s\n' tinyproxy-bin redis-server memcached
			echo systemd # systemd-analyze and systemd-sysusers; nothing of it is started
			# Icinga, and what talks to its API.
			printf '%s\n' icinga2-bin icinga2-common
			command -v curl >/dev/null || echo curl
			command -v jq >/dev/null || echo jq
			command -v gcc >/dev/null || printf '%s\n' gcc libc6-dev
			;;
		*) die "unknown argument '$set'; known: bench, test" ;;
		esac
	done
}

# Servers of other versions than Debian's, in the versions and with the check sums of the lock file. Whoever may not write
# to /var/cache has them in a cache directory of his own.
lock_file=$(dirname "$0")/postgresql/package-lock.json
servers_cache() {
	if [ "$(id -u)" -eq 0 ]; then
		echo /var/cache/belfry-testbed/postgresql
	else
		echo "${XDG_CACHE_HOME:-$HOME/.cache}/belfry-testbed/postgresql"
	fi
}
have_servers() {
	case " $* " in *' test '*) ;; *) return 0 ;; esac
	for dir in /var/cache/belfry-testbed/postgresql "$(servers_cache)"; do
		cmp -s "$lock_file" "$dir/complete" && return 0
	done
	return 1
}

# npm packages hold no symbolic links: the package lists them in a file. Its own script for that is not run.
links='const fs = require("fs"), path = require("path")
for (const l of JSON.parse(fs.readFileSync("native/pg-symlinks.json", "utf8"))) {
  for (const f of [l.source, l.target]) if (path.isAbsolute(f) || f.includes("..")) throw new Error("link outside: " + f)
  fs.symlinkSync(path.relative(path.dirname(l.target), l.source), l.target)
}'
install_servers() {
	cache=$(servers_cache)
	say "installing PostgreSQL servers from npm into $cache"
	mkdir -p "${cache%/*}"
	exec 8>"$cache.lock"
	flock -w 900 8 || die "another installation holds $cache.lock for 15 minutes"
	have_servers test && return
	fresh=$(mktemp -d "$cache.XXXXXX")
	cp "${lock_file%/*}/package.json" "$lock_file" "$fresh/"
	(
		cd "$fresh"
		attempt npm ci --no-audit --no-fund --no-update-notifier --ignore-scripts --prefer-offline --loglevel=error >&2
		for package in node_modules/postgresql-*; do
			(cd "$package" && node -e "$links" && chmod +x native/bin/*)
		done
	)
	cp "$lock_file" "$fresh/complete"
	# The servers run as another user.
	chmod -R a+rX,go-w "$fresh"
	rm -rf "$cache"
	mv "$fresh" "$cache"
}

our_policy() { [ -f "$policy" ] && grep -qF "$policy_mark" "$policy"; }

# tidy: succeeds unless an earlier run was killed before it could put things back.
tidy() { [ ! -e "$saved_policy" ] && [ ! -L "$saved_policy" ] && [ ! -e "$saved_clusters" ] && ! our_policy; }

restore() {
	if our_policy; then
		rm -f "$policy"
	fi
	if [ -e "$saved_policy" ] || [ -L "$saved_policy" ]; then
		mv -f "$saved_policy" "$policy"
	fi
	if [ -e "$saved_clusters" ]; then
		mv -f "$saved_clusters" "$clusters"
	fi
}

forbid_starts() {
	if [ -e "$policy" ] || [ -L "$policy" ]; then
		mv "$policy" "$saved_policy"
	fi
	printf '#!/bin/sh\n# %s: no service starts while packages are installed\nexit 101\n' "$policy_mark" >"$policy"
	chmod 755 "$policy"
}

# attempt COMMAND...: mirrors and the dpkg lock of another apt are often back after a few seconds.
attempt() {
	for pause in 5 15 0; do
		"$@" && return 0
		[ "$pause" -eq 0 ] || { say "failed, trying again in ${pause}s: $*"; sleep "$pause"; }
	done
	die "gave up: $*"
}

apt() {
	apt-get -q -y -o DPkg::Lock::Timeout=180 -o Acquire::Retries=3 -o Dpkg::Options::=--force-confold "$@"
}

# Libraries may be brought up to date when a dependency insists, a service of the machine never.
refuse_replacing() {
	plan=$(LC_ALL=C apt-get -s --no-install-recommends --no-upgrade install "$@") || die "apt cannot install: $*"
	removed=$(printf '%s\n' "$plan" | sed -n 's/^Remv \([^ ]*\).*/\1/p')
	[ -z "$removed" ] || die "apt would remove" $removed "to install $*: not done"
	for package in $(printf '%s\n' "$plan" | sed -n 's/^Inst \([^ ]*\) \[.*/\1/p'); do
		if [ -n "$(services "$package")" ]; then
			die "apt would upgrade the service $package to install $*: not done; upgrade it yourself when that is convenient"
		fi
		say "apt brings $package up to date: a new package depends on it"
	done
}

# services PACKAGE...: units and init scripts that the packages bring.
services() {
	dpkg-query -L "$@" 2>/dev/null |
		grep -E '^(/usr)?/lib/systemd/system/[^/@]*\.(service|socket|timer|path)$|^/etc/init\.d/[^/]*$' || true
}

names() { dpkg-query -W -f '${db:Status-Status} ${binary:Package}\n' | sed -n 's/^installed //p' | sort; }

# Debian enables each daemon for the next boot at installation; a machine that lent itself to tests did not ask for that.
disable_new() {
	for file in $(services "$@"); do
		name=${file##*/}
		case $file in
		/etc/init.d/*) update-rc.d "$name" disable >/dev/null 2>&1 || say "cannot disable $file for the next boot" ;;
		*)
			if command -v systemctl >/dev/null; then
				systemctl --no-reload -q disable "$name" >/dev/null 2>&1 || say "cannot disable $name for the next boot"
			fi
			;;
		esac
	done
}

install_missing() {
	export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 NEEDRESTART_MODE=l
	before=$(names)
	attempt apt update
	refuse_replacing "$@"
	forbid_starts
	case " $* " in
	*' postgresql-15 '*)
		# The cluster "main" is made unless this file says no; the file itself comes with postgresql-common.
		installed postgresql-common || attempt apt install --no-install-recommends --no-upgrade --no-remove postgresql-common
		cp -p "$clusters" "$saved_clusters"
		echo 'create_main_cluster = false' >>"$clusters"
		;;
	esac
	attempt apt install --no-install-recommends --no-upgrade --no-remove "$@"
	new=$(names | while read -r package; do
		case "
$before
" in
		*"
$package
"*) ;;
		*) echo "$package" ;;
		esac
	done)
	disable_new $new
}

command -v apt-get >/dev/null && command -v dpkg-query >/dev/null ||
	die "this machine has no apt; install by other means:" $(wanted "$@")
all=$(wanted "$@")
if installed $all && tidy; then
	have_servers "$@" || install_servers
	exit 0
fi

if [ "$(id -u)" -ne 0 ]; then
	if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
		exec sudo -n sh "$0" "$@"
	fi
	die "packages are missing, and installing them needs root; run: sudo sh $0 $*"
fi

mkdir -p "${lock%/*}"
# apt inherits the lock, so that a run after a killed one waits for the apt that this one left behind.
exec 9>"$lock"
flock -w 900 9 || die "another installation holds $lock for 15 minutes"
# dash runs traps only after the running apt-get has ended, so that nothing is put back under dpkg's feet.
trap restore EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
restore
missing=$(for package in $all; do installed "$package" || echo "$package"; done)
if [ -n "$missing" ]; then
	say "installing" $missing
	install_missing $missing
fi
have_servers "$@" || install_servers
say "done"
