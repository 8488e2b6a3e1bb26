package filter

import (
	"bytes"
	"slices"
	"strings"
)

// Syslog is the prefix that a syslog daemon puts before a message: the time as
// RFC 3164 ("Nov 22 08:14:01") or RFC 3339 writes it, perhaps after the priority
// "<38>", the host, with busybox's syslogd "auth.info", and the tag "sshd[123]:".
// OpenWrt's logread has the time as ctime(3), "auth.info" and no host.
type Syslog struct {
	Program []byte
	PID     []byte // empty where the tag has none
	Cut     bool   // the message is so long that the daemon may have cut off its end
}

// busyboxLeaves is how much busybox's syslogd leaves of tag and message at least: it reads
// 255 bytes of what it is sent (FEATURE_SYSLOGD_READ_BUFFER_SIZE, 256 unless a build says
// otherwise), of which the priority takes five at most and the time sixteen.
const busyboxLeaves = 255 - len("<191>") - len("Nov 22 08:14:01 ")

// OldLeaves is how much of tag and message is left at least of a line that was cut at 1,024
// bytes with its priority and time (RFC 3164), as inetutils' syslogd does, and at 1,023
// syslog(3) of musl.
const OldLeaves = 1023 - len("<191>") - len("Nov 22 08:14:01 ")

// CutSyslog takes the prefix of a syslog daemon off a line without its end. Without
// one ok is false and message is the whole line. All are parts of line.
//
// Beside the usual "TIME HOST TAG[PID]: MESSAGE" it knows lines without the host,
// Solaris' "[ID 800047 auth.info]" after the tag, and RFC 5424.
func CutSyslog(line []byte) (prefix Syslog, message []byte, ok bool) {
	if n := skipLogread(line); n > 0 {
		return cutTag(line, n, 0)
	}
	at := skipPriority(line)
	if at > 0 && fits(line[at:], "1 ") {
		return cutFull(line, at+2)
	}
	n := skipShortTime(line[at:])
	if n == 0 {
		n = skipISOTime(line[at:])
	}
	if at += n; n == 0 || at >= len(line) || line[at] != ' ' {
		return prefix, line, false
	}
	at++
	host, selector := at, 0
	for at < len(line) && !isSpace(line[at]) {
		at++
	}
	tagEnd := 0 // where the tag must end; 0: anywhere
	switch ended := at == len(line); {
	case at == host || !ended && line[at] != ' ':
		return prefix, line, false
	case line[at-1] == ':': // no host
		at, tagEnd = host, at-1
	case ended:
		return prefix, line, false
	default:
		at++
		selector = skipSelector(line[at:])
		at += selector
	}
	prefix, message, ok = cutTag(line, at, tagEnd)
	// Without a host: syslogd -S, or a daemon's own file, in which it names no process.
	busybox := selector > 0 || tagEnd > 0 && len(prefix.PID) > 0
	prefix.Cut = ok && busybox && len(line)-at >= busyboxLeaves
	return prefix, message, ok
}

// cutTag takes off the tag, which stands at at and ends at tagEnd; 0: anywhere.
func cutTag(line []byte, at, tagEnd int) (prefix Syslog, message []byte, ok bool) {
	tag := at
	for at < len(line) && line[at] != ':' && line[at] != '[' && !isSpace(line[at]) {
		at++
	}
	prefix.Program = line[tag:at]
	if at < len(line) && line[at] == '[' {
		at++
		pid := at
		for at < len(line) && isDigit(line[at]) {
			at++
		}
		prefix.PID = line[pid:at]
		if at == pid || at >= len(line) || line[at] != ']' {
			return Syslog{}, line, false
		}
		at++
	}
	if len(prefix.Program) == 0 || at >= len(line) || line[at] != ':' || tagEnd > 0 && at != tagEnd {
		return Syslog{}, line, false
	}
	at++
	if at < len(line) && line[at] == ' ' {
		at++
	}
	return prefix, line[at+skipMessageID(line[at:]):], true
}

// cutFull reads the prefix of RFC 5424 from its time on: TIME HOST APP PID MSGID
// and structured data, each "-" where there is none.
func cutFull(line []byte, at int) (prefix Syslog, message []byte, ok bool) {
	n := skipISOTime(line[at:])
	rest := line[at+n:]
	if n == 0 {
		return prefix, line, false
	}
	var fields [5][]byte // the first is what stands between the time and its space: nothing
	for i := range fields {
		if fields[i], rest, ok = bytes.Cut(rest, []byte{' '}); !ok || (i == 0) != (len(fields[i]) == 0) {
			return prefix, line, false
		}
	}
	for len(rest) > 0 && rest[0] == '[' {
		end, quoted := 1, false
		for end < len(rest) && (quoted || rest[end] != ']') {
			switch rest[end] {
			case '\\':
				end++
			case '"':
				quoted = !quoted
			}
			end++
		}
		if end >= len(rest) {
			return prefix, line, false
		}
		rest = rest[end+1:]
	}
	prefix.Program = fields[2]
	if len(bytes.Trim(fields[3], "0123456789")) == 0 {
		prefix.PID = fields[3]
	}
	return prefix, bytes.TrimPrefix(bytes.TrimPrefix(bytes.TrimPrefix(rest, []byte{'-'}), []byte{' '}), []byte("\ufeff")), true
}

// skipMessageID gives the length of "[ID 800047 auth.info] ", as Solaris writes it.
func skipMessageID(line []byte) int {
	rest, ok := bytes.CutPrefix(line, []byte("[ID "))
	if !ok {
		return 0
	}
	n := 0
	for n < len(rest) && isDigit(rest[n]) {
		n++
	}
	if n == 0 || n == len(rest) || rest[n] != ' ' {
		return 0
	}
	for n++; n < len(rest) && (rest[n] == '.' || rest[n] >= 'a' && rest[n] <= 'z' || isDigit(rest[n])); n++ {
	}
	if !bytes.HasPrefix(rest[n:], []byte("] ")) {
		return 0
	}
	return len(line) - len(rest) + n + 2
}

func isDigit(c byte) bool { return c-'0' <= 9 }

func isSpace(c byte) bool {
	return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r' // \s of RE2
}

// skipPriority gives the length of "<38>".
func skipPriority(line []byte) int {
	for i := 1; i < len(line) && i <= 4 && line[0] == '<'; i++ {
		if line[i] == '>' && i > 1 {
			return i + 1
		}
		if !isDigit(line[i]) {
			break
		}
	}
	return 0
}

// The names of facilities and levels that busybox's syslogd writes (syslog(3)).
var (
	facilities = []string{"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
		"local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"}
	levels = []string{"emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"}
)

const (
	longestFacility = len("authpriv")
	longestLevel    = len("notice")
)

// skipSelector gives the length of "auth.info ".
func skipSelector(line []byte) int {
	point := bytes.IndexByte(line[:min(len(line), longestFacility+1)], '.')
	if point < 0 || !slices.Contains(facilities, string(line[:point])) {
		return 0
	}
	level := line[point+1:]
	end := bytes.IndexByte(level[:min(len(level), longestLevel+1)], ' ')
	if end < 0 || !slices.Contains(levels, string(level[:end])) {
		return 0
	}
	return point + 1 + end + 1
}

// skipLogread gives the length of "Sun Nov 22 08:14:01 2026 auth.info ".
func skipLogread(line []byte) int {
	const layout = "Aaa Aaa _0 00:00:00 0000 "
	if usualTime(line) || !fits(line, layout) {
		return 0
	}
	n := skipSelector(line[len(layout):])
	if n == 0 {
		return 0
	}
	return len(layout) + n
}

// fits tells whether line begins as layout says: 0 for a digit, A and a for
// letters, _ for a space or a digit.
func fits(line []byte, layout string) bool {
	if len(line) < len(layout) {
		return false
	}
	for i := range len(layout) {
		c, ok := line[i], false
		switch layout[i] {
		case '0':
			ok = isDigit(c)
		case 'A':
			ok = c >= 'A' && c <= 'Z'
		case 'a':
			ok = c >= 'a' && c <= 'z'
		case '_':
			ok = isDigit(c) || c == ' '
		default:
			ok = c == layout[i]
		}
		if !ok {
			return false
		}
	}
	return true
}

// skipFraction steps over a point and digits at at.
func skipFraction(line []byte, at int, points string) int {
	if at+1 >= len(line) || strings.IndexByte(points, line[at]) < 0 || !isDigit(line[at+1]) {
		return at
	}
	for at++; at < len(line) && isDigit(line[at]); at++ {
	}
	return at
}

// skipShortTime gives the length of "Nov 22 08:14:01", which may hold a year and a
// fraction.
func skipShortTime(line []byte) int {
	const day, clock = "Aaa _0", " 00:00:00"
	if usualTime(line) {
		return skipFraction(line, len(day)+len(clock), ".")
	}
	at := len(day)
	if fits(line, "Aaa 0 ") {
		at--
	} else if !fits(line, day) {
		return 0
	}
	if fits(line[at:], " 0000") && fits(line[at+5:], clock) {
		at += 5
	}
	if !fits(line[at:], clock) {
		return 0
	}
	return skipFraction(line, at+len(clock), ".")
}

// usualTime tells whether line begins with "Nov 22 08:14:01", as most lines do: what fits
// would say of "Aaa _0 00:00:00", in a tenth of the time.
func usualTime(line []byte) bool {
	if len(line) < len("Nov 22 08:14:01") {
		return false
	}
	l := (*[15]byte)(line)
	return l[3] == ' ' && l[6] == ' ' && l[9] == ':' && l[12] == ':' &&
		l[0]-'A' < 26 && l[1]-'a' < 26 && l[2]-'a' < 26 && (l[4] == ' ' || isDigit(l[4])) && isDigit(l[5]) &&
		isDigit(l[7]) && isDigit(l[8]) && isDigit(l[10]) && isDigit(l[11]) && isDigit(l[13]) && isDigit(l[14])
}

// skipISOTime gives the length of "2026-11-22T08:14:01.123456+01:00".
func skipISOTime(line []byte) int {
	const seconds = "0000-00-00T00:00:00"
	if !fits(line, seconds) && !fits(line, "0000-00-00 00:00:00") {
		return 0
	}
	at := skipFraction(line, len(seconds), ".,")
	switch rest := line[at:]; {
	case fits(rest, "Z"):
		at++
	case fits(rest, "+00:00"), fits(rest, "-00:00"):
		at += 6
	case fits(rest, "+0000"), fits(rest, "-0000"):
		at += 5
	}
	return at
}
