#!/bin/sh
# What the demo container says: a log-in that failed, both streams, parts, long lines, odd bytes.
echo "[2026-11-22 08:14:01.123][vaultwarden::api::identity][ERROR] Username or password is incorrect. Try again. IP: 203.0.113.1. Username: a@example.com."
echo "on stderr" >&2
printf "in "; sleep 1; printf "three "; sleep 1; echo "pieces"
head -c 16384 /dev/zero | tr '\0' x; echo
head -c 40000 /dev/zero | tr '\0' y; echo " the end"
printf 'quote " backslash \\ tab \t ctrl \033[31m cr \r nul \000 latin \377 utf \303\244 <&> sep \342\200\250 end\n'
echo '{"log":"{\"inner\":1}\n","stream":"stderr","time":"2026-11-22T08:14:01Z"}'
echo
printf "unfinished"
