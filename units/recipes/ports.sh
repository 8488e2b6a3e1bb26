# Not a recipe of scan2ban: what iptables and ufw have in common. They read it from
# beside them.

# lists: $SCAN2BAN_PORTS as lists of at most 15, one a line, which is as many as
# iptables' multiport takes; a range counts for two, and is written 80:81 there.
lists() {
	printf '%s\n' "$SCAN2BAN_PORTS" | tr ',-' '\n:' | awk '
		{ n = ($0 ~ /:/) ? 2 : 1 }
		used + n > 15 { print list; list = ""; used = 0 }
		{ list = list (used ? "," : "") $0; used += n }
		END { if (used) print list }'
}

# protocols: $SCAN2BAN_PROTOCOL, one a line.
protocols() {
	printf '%s\n' "${SCAN2BAN_PROTOCOL:-tcp}" | tr ',' '\n'
}
