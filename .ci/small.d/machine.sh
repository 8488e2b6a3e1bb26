# A virtual machine, all of it emulated, with Debian 12's kernel and no disk: an
# initramfs with busybox, nft and the static scan2ban. Its first process says what is
# judged, as lines "@NAME VALUE" on the console.
[ -z "${initrd-}" ] || return 0
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
cp "$parts"/*.init "$parts/logs.awk" "$inside/"
chmod 755 "$inside"/*.init
pack() { (cd "$1" && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1); }
initrd=$work/initrd
pack "$inside" >"$initrd"
rm -r "$inside"

# machine MEGABYTES INIT INITRD OUTPUT: until it powers off, ten minutes at most.
machine() {
	progress "booting Linux $kernel with $1 MB"
	timeout 600 qemu-system-x86_64 -m "$1" -smp 1 -rtc base=1970-01-01T00:00:00,clock=vm -net none -nographic -no-reboot -monitor none -serial stdio \
		-kernel "$cache/root/boot/vmlinuz-$kernel" -initrd "$3" -append "console=ttyS0 quiet panic=-1 rdinit=/$2" </dev/null 2>"$work/qemu" | tr -d '\r' >"$4" || true
}
