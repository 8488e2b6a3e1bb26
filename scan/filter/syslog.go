package filter

import (
	"bytes"
	"regexp"
)

// syslogPrefix is what a syslog daemon puts before a message: the time as RFC
// 3164 ("Nov 22 08:14:01") or RFC 3339 writes it, perhaps after the priority
// "<38>", the host, and the tag "sshd[123]:".
var syslogPrefix = regexp.MustCompile(
	`^(?:<\d{1,3}>)?(?:[A-Z][a-z]{2} [ \d]\d(?: \d{4})? \d\d:\d\d:\d\d(?:\.\d+)?|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?)` +
		` \S+ ([^\s:\[]+)(?:\[(\d+)\])?: ?`)

// SplitSyslog takes the prefix of a syslog daemon off a line. Without one ok is
// false and message is the whole line; pid is empty where the tag has none. A
// line end is cut off in both cases.
func SplitSyslog(line []byte) (program, pid string, message []byte, ok bool) {
	line = bytes.TrimRight(line, "\r\n")
	at := syslogPrefix.FindSubmatchIndex(line)
	if at == nil {
		return "", "", line, false
	}
	if at[4] >= 0 {
		pid = string(line[at[4]:at[5]])
	}
	return string(line[at[2]:at[3]]), pid, line[at[1]:], true
}
