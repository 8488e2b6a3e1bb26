# Builds for other processors, under qemu-user: what they say of
# a log file and of a recorded journal is what amd64's says, byte for byte.
fetch qemu-user-static
here=$work/foreign
mkdir -p "$here/journal"
now=$(date +%s)
TZ=UTC awk -v n=4000 -v k=800 -v from=$((now - 3300)) -v span=3000 -f "$parts/logs.awk" >"$here/auth.log"
cat testdata/sshd/lines.txt >>"$here/auth.log" # no stamps: nothing is to be made of them
for file in testdata/journal/debian12/*.gz; do
	gzip -dc "$file" >"$here/journal/$(basename "$file" .gz)"
done
printf '%s\n' '[jail.sshd]' 'enabled = true' 'backend = "file"' "logpath = \"$here/auth.log\"" 'logtimezone = "UTC"' >"$here/file.toml"
printf '%s\n' '[jail.sshd]' 'enabled = true' 'backend = "journal"' >"$here/journal.toml"

# said PROGRAM...: all that it says of both and of lines. The journal is read by this
# machine's journalctl.
said() {
	local at
	at=$(date -u -d "@$now" +%FT%TZ)
	TZ=UTC "$@" run --dry-run --now "$at" -c "$here/file.toml" 2>&1
	TZ=UTC "$@" run --dry-run --now "$at" --json -c "$here/file.toml" 2>&1
	TZ=UTC "$@" run --dry-run --json --journal "$here/journal" -c "$here/journal.toml" 2>&1
	TZ=UTC "$@" report --json --journal "$here/journal" -c "$here/journal.toml" --since 2026-11-20 --policy 'maxretry=3,findtime=1h' 2>&1 |
		sed 's/"seconds":[0-9.e-]*//' # how long it took
	local service
	TZ=UTC "$@" match sshd testdata/sshd/lines.txt --json 2>&1
	for service in postfix dovecot nginx-botsearch grafana; do
		TZ=UTC "$@" match $service testdata/services/$service.txt --json 2>&1
	done
	"$@" filters --toml sshd nginx-http-auth 2>&1
}
said "$work/scan2ban-static" >"$here/amd64"
jq -se 'any(.[]; (.banned? // []) | length > 100)' <(grep '^{"entries' "$here/amd64") >/dev/null || fails 'amd64 bans in the log file' "$(head -c 300 "$here/amd64")"
for target in arm:qemu-arm arm64:qemu-aarch64 mips:qemu-mips riscv64:qemu-riscv64; do
	arch=${target%:*} by=${target#*:}
	CGO_ENABLED=0 GOARCH=$arch GOARM=6 GOMIPS=softfloat build "$here/scan2ban-$arch"
	command=("$cache/root/usr/bin/$by-static" "$here/scan2ban-$arch")
	began=$(date +%s)
	said "${command[@]}" >"$here/$arch" || true
	if cmp -s "$here/amd64" "$here/$arch"; then
		holds "$arch under $by: the output of amd64" "$(wc -c <"$here/amd64") bytes, $(($(date +%s) - began)) s"
	else
		fails "$arch under $by: the output of amd64" "$(diff "$here/amd64" "$here/$arch" | head -n 4)"
	fi
done

# 386 in a virtual machine: qemu-i386 cannot run Go's threads, and not every kernel runs
# programs of 32 bits; Debian's does. Also the tests of what counts and stores.
. "$parts/machine.sh"
extra=$work/extra
mkdir -p "$extra/src/scan"
cp "$here/auth.log" "$here/file.toml" "$extra/"
sed -i "s#$here/auth.log#/auth.log#" "$extra/file.toml"
cp -r --parents testdata/sshd testdata/services/*.txt state/testdata scan/filter/testdata scan/logfile/testdata "$extra/src/" 2>/dev/null || true
mkdir -p "$extra$PWD/testdata" # where the tests were built they look for it
cp -r testdata/containers "$extra$PWD/testdata/"
echo "$now" >"$extra/now"
CGO_ENABLED=0 GOARCH=386 build "$extra/scan2ban-386"
for package in state scan/logfile; do
	mkdir -p "$extra/src/$package"
	CGO_ENABLED=0 GOARCH=386 go test -c -tags timetzdata -ldflags='-s -w' -o "$extra/src/$package/tests" "./$package"
done
{ cat "$initrd"; pack "$extra"; } >"$work/initrd-386"
rm -r "$extra"
machine 768 foreign.init "$work/initrd-386" "$work/serial-386"
reported() { sed -n "s#^@$1 ##p" "$work/serial-386"; }
for what in dry json match; do
	is "386: $what, the output of amd64" "$(reported "amd64.$what")" "$(reported "386.$what")" "$(reported "386.$what")"
	[ -n "$(reported "386.$what")" ] || fails "386: $what" 'nothing was said'
done
for package in state scan/logfile; do
	is "386: the tests of $package" PASS "$(reported "386.tests.$package")"
done
