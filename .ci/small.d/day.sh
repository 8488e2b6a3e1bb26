# What is written in a day: 1,440 passes with a clock of their own, the state on an ext4
# by itself, whose disk is counted; what goes to which file, and how often it is waited
# for, is what the kernel is asked for.
CGO_ENABLED=${DAY_CGO-1} go build -buildvcs=false -o "$work/day" ./.ci/small.d/day
truncate -s 64M "$work/disk"
mkfs.ext4 -q "$work/disk"
mkdir -p "$work/state-disk"
mount -o loop,noatime "$work/disk" "$work/state-disk"
cleanup+=('umount "$work/state-disk"')
loop=$(basename "$(findmnt -n -o SOURCE "$work/state-disk")")
sectors() {
	sync -f "$work/state-disk"
	awk '{ print $7 }' "/sys/block/$loop/stat"
}
for source in ${SMALL_DAY:-journal file}; do
	for kind in idle scanned attacked; do
		progress "a day: $source, $kind"
		here=$work/day-$source-$kind
		mkdir -p "$here" "$work/state-disk/$source-$kind"
		log=$here/auth.log
		[ $source = file ] || log=$here/journal/
		printf '%s\n' '[jail.sshd]' 'enabled = true' "backend = \"$source\"" "logpath = \"$here/auth.log\"" 'logtimezone = "UTC"' >"$here/day.toml"
		before=$(sectors)
		if ! strace -f --seccomp-bpf -qq -y -s 0 -e signal=none -e trace=write,pwrite64,fsync,fdatasync -o "$here/calls" \
			"$work/day" $kind "$work/state-disk/$source-$kind/state.json" "$log" >"$here/said" 2>"$here/complaint"; then
			fails "a day: $source, $kind" "$(head -c 300 "$here/complaint")"
			continue
		fi
		disk=$((($(sectors) - before) * 512))
		figures=$(awk -v disk=$disk -v dir="$work/state-disk/" '
			{ line = $0 }
			/<unfinished/ { begun[$1] = $0; next }
			/ resumed>/ { line = begun[$1] }
			index(line, dir) == 0 { next }
			line ~ /state\.json\.run/ { next } # /run on a host: memory
			line ~ /sync\(/ { syncs++; next }
			line ~ /history\.jsonl/ { history += $NF }
			line ~ /state\.json/ { state += $NF }
			END { printf "state %.2f MB, history %.2f MB, %d fsyncs, on the disk %.2f MB", state / 1e6, history / 1e6, syncs, disk / 1e6 }' "$here/calls")
		wanted=$(case $kind in idle) echo 0 ;; scanned) echo 1000 ;; attacked) echo 100000 ;; esac)
		is "a day: $source, $kind" "$wanted" "$(jq .Failures "$here/said")" "$figures; $(jq .Banned "$here/said") bans"
		rm -rf "$here/journal" "$here/calls" "$here/auth.log"
	done
done
