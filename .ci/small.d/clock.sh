# A virtual machine with 96 MB, of which the kernel leaves 62, and a clock that says 1970.
# What clock.init does there is judged here.
. "$parts/machine.sh"
machine 96 clock.init "$initrd" "$work/serial"
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
is 'the clock is set to 2026: the ban of 1970 is over' ' / ' "$(banned stepped) / $(inkernel stepped)" "$(at stepped.said | head -c 200)"
is '2026: the four failures of 1970 count no more' '' "$(banned fifth)"
is '2026: five failures ban' '203.0.113.9 / 203.0.113.9' "$(banned later) / $(inkernel later)"
is 'back in 1970: the ban of 2026 lasts, not longer than its length' '203.0.113.9 / yes' \
	"$(inkernel back) / $([ "$(left back)" -gt 0 ] && [ "$(left back)" -le 600 ] && echo yes)" "$(left back) s left in the kernel"
is 'back in 1970: five failures ban' '203.0.113.10 203.0.113.9 / 203.0.113.10 203.0.113.9' "$(banned again) / $(inkernel again)"
is '2026 again: the ban of 2026 alone' '203.0.113.9 / 203.0.113.9' "$(banned end) / $(inkernel end)"
is '2026, eleven minutes on: nobody' ' / ' "$(banned over) / $(inkernel over)"
is '96 MB: 20,000 failures of as many addresses' '20000' "$(at flood.said | jq .entries)" "$(at flood.took) s, $(at flood.available) kB available after it"
