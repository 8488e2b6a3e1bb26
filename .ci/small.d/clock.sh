# Debian 12's kernel in qemu, all of it emulated: 96 MB, and a clock that says 1970.
# What an init of a few lines does there is judged here.
command -v qemu-system-x86_64 >/dev/null || { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends qemu-system-x86; } >"$work/apt" 2>&1
image=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
fetch "$image" busybox-static
kernel=${image#linux-image-}
inside=$work/initramfs
mkdir -p "$inside"/{bin,dev,proc,sys,run,tmp,etc/scan2ban,var/lib/scan2ban,var/log,modules}
cp "$cache/root/bin/busybox" "$inside/bin/"
cp "$work/scan2ban-static" "$inside/bin/scan2ban"
nft=$(PATH=$PATH:/usr/sbin:/sbin command -v nft)
for file in "$nft" $(ldd "$nft" | grep -o '/[^ ]*'); do
	mkdir -p "$inside/$(dirname "$file")"
	cp -L "$file" "$inside/$file"
done
for module in libcrc32c crc32c_generic nfnetlink nf_defrag_ipv4 nf_defrag_ipv6 nf_conntrack nf_tables nft_ct nft_fib nft_fib_ipv4 nft_fib_ipv6 nft_fib_inet; do
	find "$cache/root/lib/modules/$kernel" "$cache/root/usr/lib/modules/$kernel" -name "$module.ko*" -exec cp {} "$inside/modules/" \; 2>/dev/null || true
done
cp "$parts/clock.init" "$inside/init"
cp "$parts/logs.awk" "$inside/"
chmod 755 "$inside/init"
(cd "$inside" && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1) >"$work/initrd"
rm -r "$inside"
progress "booting Linux $kernel"
timeout 600 qemu-system-x86_64 -m 96 -smp 1 -rtc base=1970-01-01T00:00:00,clock=vm -net none -nographic -no-reboot -monitor none -serial stdio \
	-kernel "$cache/root/boot/vmlinuz-$kernel" -initrd "$work/initrd" -append 'console=ttyS0 quiet panic=-1' </dev/null 2>"$work/qemu" | tr -d '\r' >"$work/serial" || true
[ -z "${SMALL_SERIAL-}" ] || cp "$work/serial" "$SMALL_SERIAL"
# at NAME: what the init said of it. banned NAME: the addresses banned then; in the kernel.
at() {
	grep -q "^@$1 " "$work/serial" || echo '"nothing"'
	sed -n "s/^@$1 //p" "$work/serial"
}
banned() { at "$1.banned" | jq -r 'map(.address) | sort | join(" ")' 2>&1; }
inkernel() { at "$1.kernel" | jq -r '[.nftables[].set | select(.).elem // [] | .[].elem.val] | sort | join(" ")' 2>&1; }
# Seconds that the kernel still holds the one whom it holds.
left() { at "$1.kernel" | jq -r '[.nftables[].set | select(.).elem // [] | .[].elem.expires] | max // 0' 2>&1; }

is 'it boots, with a clock of 1970' 1970 "$(at year)" "Linux $(at kernel), $(at memory) of memory, $(at available) kB available, $(cat "$work/qemu")"
is '1970: five failures ban, for ten minutes' '203.0.113.7 / 203.0.113.7 / yes' \
	"$(banned first) / $(inkernel first) / $([ "$(left first)" -gt 500 ] && [ "$(left first)" -le 600 ] && echo yes)" "$(left first) s left in the kernel"
is '1970: the end is in 1970' 1970 "$(at first.banned | jq -r '.[].until[:4]')"
is 'the clock is set to 2026: no ban stays for ever' ' / ' "$(banned stepped) / $(inkernel stepped)" "$(at stepped.said | head -c 200)"
is '2026: the four failures of 1970 count no more' '' "$(banned fifth)"
is '2026: five failures ban' '203.0.113.9 / 203.0.113.9' "$(banned later) / $(inkernel later)"
is 'back in 1970: the ban of 2026 lasts, not longer than its length' '203.0.113.9 / yes' \
	"$(inkernel back) / $([ "$(left back)" -gt 0 ] && [ "$(left back)" -le 600 ] && echo yes)" "$(left back) s left in the kernel"
is 'back in 1970: five failures ban' '203.0.113.10 203.0.113.9 / 203.0.113.10 203.0.113.9' "$(banned again) / $(inkernel again)"
is '2026 again: the ban of 2026 alone' '203.0.113.9 / 203.0.113.9' "$(banned end) / $(inkernel end)"
is '2026, eleven minutes on: nobody' ' / ' "$(banned over) / $(inkernel over)"
is '96 MB: 20,000 failures of as many addresses' '20000' "$(at flood.said | jq .entries)" "$(at flood.took) s, $(at flood.available) kB available after it"
