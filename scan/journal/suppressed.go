package journal

import (
	"bytes"
	"regexp"
	"strconv"
	"sync"
)

// suppressedID is the MESSAGE_ID of journald's own "Suppressed N messages from
// UNIT": SD_MESSAGE_JOURNAL_DROPPED in systemd's sd-messages.h.
const suppressedID = "a596d6fe7bfa4994828e72309e95d61e"

var (
	suppressedPrefix  = []byte("Suppressed ")
	suppressedMessage = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^Suppressed (\d+) messages from (.+)$`)
	})
)

// suppressInterval is journald's default RateLimitIntervalSec=, in µs: the word
// on suppressed messages comes after such an interval.
const suppressInterval = 30_000_000

// suppressed notes a gap if the entry is journald's own word on a flood.
// MESSAGE and MESSAGE_ID can be written by anybody, _TRANSPORT cannot.
// MESSAGE is at hand for every entry, so it is looked at first.
func (r *Reader) suppressed() bool {
	if !bytes.HasPrefix(r.msg, suppressedPrefix) {
		return false
	}
	id, _ := r.src.field("MESSAGE_ID")
	if string(id) != suppressedID {
		return false
	}
	if transport, _ := r.src.field("_TRANSPORT"); string(transport) != "driver" {
		return false
	}
	gap := Gap{From: r.now - suppressInterval, To: r.now, Lost: -1,
		Reason: "journald suppressed messages in a flood (RateLimitBurst= in journald.conf, LogRateLimitBurst= in the unit)"}
	if m := suppressedMessage().FindSubmatch(r.msg); m != nil {
		if n, err := strconv.Atoi(string(m[1])); err == nil {
			gap.Lost = n
		}
		gap.Unit = string(m[2])
	}
	r.gaps = append(r.gaps, gap)
	return true
}
