package past

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"scan2ban/state"
	"scan2ban/state/report"
)

// way is a policy, told again.
type way struct {
	maxretry          int
	findtime, bantime time.Duration
	factor            int           // of a ban's length for each before it
	most              time.Duration // that a ban lasts
	ipv4              int           // length of the prefix that is banned
}

func (w way) rules() map[string]*state.Rules {
	r := rules(w.maxretry, w.findtime, w.bantime)
	r["sshd"].Escalation = state.Escalation{Factor: float64(w.factor), Max: state.Duration(w.most)}
	r["sshd"].IPv4Prefix = w.ipv4
	return r
}

// slow says again what a policy would have done, key by key and failure by failure.
func slow(log []logged, w way) (bans []string, failures, prevented int, hit map[string]bool) {
	hit = map[string]bool{}
	findtime := int64(w.findtime / time.Second)
	by := map[netip.Prefix][]logged{}
	for _, l := range log {
		a := netip.MustParseAddr(l.addr)
		bits := w.ipv4
		if a.Is6() {
			bits = 64
		}
		key, _ := a.Prefix(bits)
		by[key] = append(by[key], l)
	}
	for key, list := range by {
		name := strings.TrimSuffix(key.String(), "/32")
		var window []int64
		since, until := int64(-1<<60), int64(-1<<60)
		var all []int64
		for _, l := range list {
			if l.ok {
				for _, s := range all {
					if l.at >= s && l.at-s <= 7*86400 {
						hit[fmt.Sprint(name, " ", s)] = true
					}
				}
				continue
			}
			failures++
			if l.at < until {
				if l.at >= since-since%60+60 {
					prevented++
				}
				continue
			}
			window = slices.DeleteFunc(append(window, l.at), func(t int64) bool { return t <= l.at-findtime })
			if len(window) == w.maxretry {
				length := w.bantime
				for range all {
					length = min(length*time.Duration(w.factor), w.most)
				}
				since, until, window = l.at, l.at+int64(length/time.Second), nil
				all = append(all, since)
				bans = append(bans, fmt.Sprint(name, " ", report.UTC(since), " ", report.UTC(until)))
			}
		}
	}
	slices.Sort(bans)
	return bans, failures, prevented, hit
}
