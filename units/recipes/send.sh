# Not a recipe of scan2ban: what those that speak HTTP have in common. They read it from
# beside them.
#
# A settings file has lines "name = value"; "#" begins a comment line. No part of it is
# run, shown, or put where ps shows it: curl gets it on standard input.
LC_ALL=C
export LC_ALL
program=${0##*/}
settings=${1:-/etc/scan2ban/$program.conf}
newline='
'

# fail TEXT: the event is tried again later.
fail() {
	echo "$program: $1" >&2
	exit 1
}

# leave TEXT: nothing to do for this event, now or later.
leave() {
	[ -z "${1-}" ] || echo "$program: $1"
	exit 0
}

# trimmed TEXT: without the blanks around it.
trimmed() {
	trim=${1#"${1%%[![:space:]]*}"}
	printf '%s\n' "${trim%"${trim##*[![:space:]]}"}"
}

# setting NAME [DEFAULT]: its value, the last one that the file has.
setting() {
	value=${2-}
	while IFS= read -r line || [ -n "$line" ]; do
		case $line in
		*=*) [ "$(trimmed "${line%%=*}")" != "$1" ] || value=$(trimmed "${line#*=}") ;;
		esac
	done <"$settings"
	printf '%s\n' "$value"
}

# required NAME [DEFAULT]: the same, and it must be there.
required() {
	found=$(setting "$@")
	[ -n "$found" ] || fail "$settings has no line \"$1 = ...\""
	printf '%s\n' "$found"
}

# escaped TEXT: what may stand between quotes in JSON, and in curl's configuration.
escaped() {
	printf '%s' "$1" | tr '\000-\037\177' ' ' | sed 's/[\\"]/\\&/g'
}

# option NAME VALUE: a line of curl's configuration.
option() {
	printf '%s = "%s"\n' "$1" "$(escaped "$2")"
}

# request METHOD URL [BODY]: asks with the options that standard input holds and the
# headers of $headers, one a line, and prints what is answered. It fails unless the answer
# is of the kind 2xx; redirects are not followed, so that a token stays where it belongs.
request() {
	answer=$({
		cat
		option request "$1"
		option url "$2"
		[ -z "${3-}" ] || option data-raw "$3"
		printf '%s\n' "${headers-}" | while IFS= read -r header; do
			[ -z "$header" ] || option header "$header"
		done
		option write-out '\n%{http_code}'
	} | curl --disable --fail --silent --show-error --globoff --proto '=https,http' --max-time "${patience:-20}" --config -) || return
	case ${answer##*"$newline"} in
	2??) printf '%s\n' "${answer%"$newline"*}" ;;
	*) fail "the answer is ${answer##*"$newline"}" ;;
	esac
}

# post URL JSON: sends it; what is answered is not wanted.
post() {
	headers="Content-Type: application/json
${headers-}"
	request POST "$1" "$2" </dev/null >/dev/null
}

[ -r "$settings" ] || fail "$settings is not there, or $(id -un) may not read it"
