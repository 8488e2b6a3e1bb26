# Debian 12 with a read-only root, the state in a tmpfs and the journal in memory: set
# up once, then booted twice, each time without anything of the time before.
mkdir -p /var/tmp/scan2ban-scene
lower=$(find /var/tmp/scan2ban-scene -maxdepth 1 -name 'debian-12-????????' | head -n 1)
if [ -z "$lower" ]; then
	.ci/scene --prepare >&2
	lower=$(find /var/tmp/scan2ban-scene -maxdepth 1 -name 'debian-12-????????' | head -n 1)
fi
house=$work/house
mkdir -p "$house"
mount -t tmpfs -o mode=755 house "$house"
cleanup+=('umount "$house"')
mkdir -p "$house"/{upper,work,root}
mount -t overlay -o "lowerdir=$lower,upperdir=$house/upper,workdir=$house/work" house "$house/root"
cleanup+=('umount "$house/root"')
root=$house/root
tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
echo house >"$root/etc/hostname"
mkdir -p "$root/etc/systemd/journald.conf.d"
printf '[Journal]\nStorage=volatile\n' >"$root/etc/systemd/journald.conf.d/volatile.conf"
cp "$work/scan2ban-cgo" "$root/root/scan2ban"
unified=$(findmnt -n -t cgroup2 -o TARGET | head -n 1)
group=$unified/scan2ban-small-house
nspawn=
inside() { nsenter -t "$leader" -a env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 SYSTEMD_PAGER= sh -c "cd /; $1" 2>&1; }
boot() { # OPTION...
	mkdir -p "$group"
	(
		echo "$BASHPID" >"$group/cgroup.procs"
		UNIFIED_CGROUP_HIERARCHY=1 exec systemd-nspawn -q -D "$root" --machine=scan2ban-small --register=no --keep-unit --private-network \
			--resolv-conf=off --timezone=off --link-journal=no "$@" -b
	) </dev/null >"$house/console" 2>&1 &
	nspawn=$!
	local i
	leader=
	for ((i = 0; i < 1200; i++)); do
		leader=$(for pid in $(cat "/proc/$nspawn/task/$nspawn/children" 2>/dev/null); do
			[ "$(cat "/proc/$pid/comm" 2>/dev/null)" = systemd ] && echo "$pid"
		done) || true
		[ -z "$leader" ] || break
		sleep 0.1
	done
	for ((i = 0; i < 1200; i++)); do
		case $(inside 'systemctl is-system-running') in running | degraded) return 0 ;; esac
		sleep 0.2
	done
	fails 'it boots' "$(tail -c 500 "$house/console")"
	return 1
}
halt() {
	[ -n "$nspawn" ] || return 0
	kill -38 "$leader" 2>/dev/null || true # SIGRTMIN+4: power off
	wait "$nspawn" 2>/dev/null || true
	nspawn=
}
cleanup+=('[ -z "$nspawn" ] || { echo 1 >"$group/cgroup.kill"; wait "$nspawn"; }; find "$group" -depth -type d -exec rmdir {} + 2>/dev/null')

progress 'the house is set up'
boot
installed=$(inside '/root/scan2ban install --light && rm /root/scan2ban') || fails 'install --light' "$installed"
halt
sealed=(--read-only --tmpfs=/var/lib/scan2ban --tmpfs=/var/log --tmpfs=/var/tmp --tmpfs=/tmp)
# shellcheck disable=SC2016 # for the house's shell
attack() { inside "for i in 1 2 3 4 5; do logger -t sshd --id=\$((2000 + i)) 'Failed password for root from $1 port 4711 ssh2'; done"; }
kernel() { inside 'nft list table inet scan2ban' | grep -oE '203\.0\.113\.[0-9]+' | sort -u | tr '\n' ' '; }
await() { # ADDRESS: the seconds until it is banned, by the timer
	local began=$SECONDS
	while ! kernel | grep -q "$1"; do
		[ $((SECONDS - began)) -lt 240 ] || break
		sleep 1
	done
	echo $((SECONDS - began))
}
progress 'it boots with a read-only root'
boot "${sealed[@]}"
is 'the root cannot be written' yes "$(inside 'touch /etc/x /usr/x' | grep -c 'Read-only' | sed 's/2/yes/')" \
	"$(inside 'findmnt -n -o FSTYPE /var/lib/scan2ban'), $(inside 'journalctl --header | grep -c "File path: /run"') files of the journal, none on a disk: $(inside 'ls /var/log/journal 2>/dev/null | wc -l')"
attack 203.0.113.7
took=$(await 203.0.113.7)
is 'an attack is answered' '203.0.113.7 ' "$(kernel)" "after $took s; $(inside 'systemctl show -P ActiveState scan2ban.timer')"
said=$(inside 'journalctl -q -o cat -t scan2ban -u scan2ban.service | tail -n 5')
is 'the first pass says what it is' yes "$(grep -q 'first run' <<<"$said" && echo yes)" "$(head -n 1 <<<"$said")"
until=$(inside 'scan2ban banned --json 2>/dev/null' | jq -r '.[0].until' 2>&1) || true

# The state goes while the host runs: what the kernel holds and the journal tells is enough.
said=$(inside 'systemctl stop scan2ban.timer; rm -rf /var/lib/scan2ban/* /run/scan2ban/*; systemctl start scan2ban.service') || fails 'a pass without a state' "$said"
is 'state lost: the ban is known again, with its end' "203.0.113.7 $until / 203.0.113.7 " \
	"$(inside 'scan2ban banned --json 2>/dev/null' | jq -r '.[] | .address + " " + .until') / $(kernel)" "$(inside 'journalctl -q -o cat -u scan2ban.service | tail -n 1')"
inside 'systemctl start scan2ban.timer'
halt

progress 'it boots again'
boot "${sealed[@]}"
said=$(inside 'systemctl start scan2ban.service') || fails 'a pass' "$said" # as the timer does
failures=$(inside 'systemctl list-units --failed --plain --no-legend "scan2ban*"') || true
is 'a boot with nothing left: no bans, no failed unit' ' /  / 0' "$(inside 'scan2ban banned --json 2>/dev/null' | jq -r '.[].address') / $failures / $(inside 'scan2ban status --json >/dev/null 2>&1; echo $?')" \
	"$(inside 'journalctl -q -o cat -u scan2ban.service | tail -n 1')"
attack 203.0.113.8
took=$(await 203.0.113.8)
is 'an attack is answered again' '203.0.113.8 ' "$(kernel)" "after $took s"
halt
