# Failures at sshd's, as an auth.log or (-v export=1) in the Journal Export Format:
# n of them from k addresses in turn, at even intervals from second `from` on, span seconds.
BEGIN {
	for (i = 0; i < n; i++) {
		at = from + i * span / n
		j = i % k
		x = (j * 40503) % 16777216 # spread, and none twice
		address = sprintf("11.%d.%d.%d", int(x / 65536), int(x / 256) % 256, x % 256)
		if (j % 2) address = sprintf("2001:db8:%x:%x::1", int(x / 65536), x % 65536)
		text = "Failed password for root from " address " port 4711 ssh2"
		pid = 1000 + i
		if (!export) {
			print strftime("%b %e %H:%M:%S", int(at)) " host sshd[" pid "]: " text
			continue
		}
		printf "__REALTIME_TIMESTAMP=%.0f\n__MONOTONIC_TIMESTAMP=%.0f\n", at * 1000000, (at - from + 1) * 1000000
		print "_BOOT_ID=b0070000000000000000000000000001\nPRIORITY=6\nSYSLOG_IDENTIFIER=sshd\n_TRANSPORT=syslog\n_UID=0\n_SYSTEMD_UNIT=ssh.service\n_PID=" pid "\nMESSAGE=" text "\n"
	}
}
