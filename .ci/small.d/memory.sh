# The pass in a control group of 32 MB without swap, on a fifth of a core.
CGO_ENABLED=0 go build -buildvcs=false -o "$work/probe" ./.ci/budgets.d/probe

# group NAME BYTES PERCENT: makes or changes one; with both hierarchies of control groups.
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
	echo '+memory +cpu' >/sys/fs/cgroup/cgroup.subtree_control
	groups=(/sys/fs/cgroup/scan2ban-small)
	confine() {
		echo "$1" >"${groups[0]}/memory.max"
		echo 0 >"${groups[0]}/memory.swap.max" 2>/dev/null || true # a kernel without swap
		echo "${2}000 100000" >"${groups[0]}/cpu.max"
	}
else
	groups=(/sys/fs/cgroup/memory/scan2ban-small /sys/fs/cgroup/cpu/scan2ban-small)
	confine() {
		echo "$1" >"${groups[0]}/memory.limit_in_bytes"
		echo "$1" >"${groups[0]}/memory.memsw.limit_in_bytes" 2>/dev/null || true
		echo "${2}000" >"${groups[1]}/cpu.cfs_quota_us"
	}
fi
# A new one each time, or what it holds of files would count.
regroup() {
	rmdir "${groups[@]}" 2>/dev/null || true
	mkdir -p "${groups[@]}"
	confine "$@"
}
cleanup+=('rmdir "${groups[@]}" 2>/dev/null')

journals=$work/journals
remote=/usr/lib/systemd/systemd-journal-remote
[ -e $remote ] || remote=/lib/systemd/systemd-journal-remote
journal() { # NAME N K: n failures from k addresses within 50 minutes
	mkdir -p "$journals/$1"
	awk -v n="$2" -v k="$3" -v from=$(($(date +%s) - 3300)) -v span=3000 -v export=1 -f "$parts/logs.awk" |
		$remote --output="$journals/$1/system.journal" - >/dev/null 2>&1
}
progress 'writing journals'
journal keys 10000 10000
journal guesses 100000 1000
journal flood 100000 100000
for n in 100000 200000; do
	TZ=UTC awk -v n=$n -v k=$n -v from=$(($(date +%s) - 3300)) -v span=3000 -f "$parts/logs.awk" >"$work/flood-$n.log"
done
mkdir -p "$journals/real" # a recorded attack
for file in testdata/journal/debian12/*.gz; do
	gzip -dc "$file" >"$journals/real/$(basename "$file" .gz)"
done

jail() { # FILE LINE...
	local file=$1
	shift
	printf '%s\n' '[jail.sshd]' 'enabled = true' "$@" >"$work/$file"
}
jail journal.toml
jail tracked.toml 'max_tracked = 30000'
jail file.toml 'backend = "file"' "logpath = \"$work/flood-100000.log\"" 'logtimezone = "UTC"' 'max_tracked = 30000'
jail default.toml 'backend = "file"' "logpath = \"$work/flood-200000.log\"" 'logtimezone = "UTC"'

# confined BUILD MEMORY PERCENT ARGUMENTS...: one pass; sets $entries, $failures, $banned, $peak, $code.
confined() {
	local build=$1 join='' began
	regroup "$2" "$3"
	shift 3
	local g
	for g in "${groups[@]}"; do join+="echo \$\$ >$g/cgroup.procs; "; done
	began=$(date +%s%N)
	code=0
	peak=$(unshare -n "$work/probe" peak bash -c "$join exec \"\$0\" \"\$@\" >$work/said.json" "$work/scan2ban-$build" run --json --state "$work/state/state.json" "$@" 2>"$work/complaint") || code=$?
	took=$((($(date +%s%N) - began) / 1000000))
	read -r entries failures banned < <(jq -r '"\(.entries) \(.failures) \(.banned | length)"' "$work/said.json" 2>/dev/null || echo - - -) || true
	figures=$(awk -v p="$peak" -v ms=$took 'BEGIN { split(p, a, " "); printf "%.1f MB anonymous, %.1f resident, %.1f s", a[2] / 1e6, a[1] / 1e6, ms / 1e3 }')
}
fresh() { rm -rf "$work/state" && mkdir -m 700 "$work/state"; }

for build in cgo static; do
	progress "memory, $build build"
	fresh
	confined $build 32M 20 --journal "$journals/real" -c "$work/journal.toml"
	is "$build: a recorded attack" "0 yes" "$code $([ "$banned" -gt 0 ] 2>/dev/null && echo yes)" "$entries entries, $banned banned, $figures"
	confined $build 32M 20 --journal "$journals/real" -c "$work/journal.toml"
	is "$build: an idle pass" '0 0' "$code $entries" "$figures"
	fresh
	confined $build 32M 20 --journal "$journals/keys" -c "$work/journal.toml"
	is "$build: 10,000 addresses become known" '0 10000 0' "$code $failures $banned" "$figures"
	confined $build 32M 20 --journal "$journals/keys" -c "$work/journal.toml"
	is "$build: an idle pass with 10,000 addresses known" '0 0' "$code $entries" "$figures"
	fresh
	confined $build 32M 20 --journal "$journals/guesses" -c "$work/journal.toml"
	is "$build: catch-up, 100,000 entries of 1,000 addresses" '0 100000 1000' "$code $entries $banned" "$figures"
	fresh
	confined $build 32M 20 --journal "$journals/flood" -c "$work/tracked.toml"
	is "$build: journal, 100,000 addresses, max_tracked 30000" '0 100000' "$code $entries" "$figures"
	fresh
	confined $build 32M 20 -c "$work/file.toml"
	is "$build: log file, the same" '0 100000' "$code $entries" "$figures"
done
# What the default asks for: the least of these that is enough, on a whole core.
least=
for mb in 32 40 48 52 56 64 96; do
	fresh
	confined static ${mb}M 100 -c "$work/default.toml"
	if [ "$code $entries" = '0 200000' ]; then
		least=$mb
		break
	fi
done
is 'max_tracked 100000 (default), 200,000 addresses' yes "${least:+yes}" "needs $least MB: $figures"
