package pass

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// The model of the torture, held against what was worked out by hand from the
// policies of tortureJails.
func TestTortureModel(t *testing.T) {
	for _, c := range []struct{ name, told, bans string }{
		{"three within 600 seconds", "sshd 0 .1, sshd 1 .1, sshd 599 .1", "sshd .1 599 1799 1"},
		{"the first has left the window", "sshd 0 .1, sshd 1 .1, sshd 600 .1", ""},
		{"others do not count", "sshd 0 .1, vsftpd 1 .1, sshd 2 .9, sshd 3 .1", ""},
		{"inside the ban nothing counts", "sshd 0 .1, sshd 0 .1, sshd 0 .1, sshd 1198 .1, sshd 1199 .1, sshd 1200 .1, sshd 1201 .1", "sshd .1 0 1200 1"},
		{"from its end on it does, and the second lasts longer", "sshd 0 .1, sshd 0 .1, sshd 0 .1, sshd 1200 .1, sshd 1201 .1, sshd 1202 .1", "sshd .1 0 1200 1, sshd .1 1202 3602 2"},
		{"two of a /29 ban it, and end their neighbours' windows", "sshd 0 .1, sshd 0 .1, sshd 0 .1, sshd 9 .2, sshd 9 .2, sshd 9 .2, sshd 10 .3, sshd 10 .3, sshd 10 .3",
			"sshd .1 0 1200 1, sshd .2 9 1209 1, sshd .0/29 9 1209 1"},
		{"two of a /29 too far apart", "sshd 0 .1, sshd 0 .1, sshd 0 .1, sshd 600 .2, sshd 600 .2, sshd 600 .2", "sshd .1 0 1200 1, sshd .2 600 1800 1"},
		{"an unban forgives, and the ban counts on", "sshd 0 .1, sshd 0 .1, sshd 0 .1, unban 5 .1, sshd 6 .1, sshd 6 .1, sshd 6 .1", "sshd .1 0 1200 1, sshd .1 6 2406 2"},
		{"an unban empties the window", "sshd 0 .1, sshd 0 .1, unban 5 .1, sshd 6 .1, sshd 6 .1", ""},
		{"an unban of one takes back the network", "sshd 0 .1, sshd 0 .1, sshd 0 .1, sshd 9 .2, sshd 9 .2, sshd 9 .2, unban 20 .1, sshd 30 .3, sshd 30 .3, sshd 30 .3",
			"sshd .1 0 1200 1, sshd .2 9 1209 1, sshd .0/29 9 1209 1, sshd .3 30 1230 1"},
		{"three bans make a recidivist", "vsftpd 0 .9, vsftpd 0 .9, vsftpd 0 .9, vsftpd 0 .9, vsftpd 900 .9, vsftpd 900 .9, vsftpd 900 .9, vsftpd 900 .9, sshd 901 .9, sshd 901 .9, sshd 901 .9",
			"vsftpd .9 0 900 1, vsftpd .9 900 1800 2, sshd .9 901 2101 1, recidive .9 901 22501 1"},
		{"what was a day ago counts no more", "vsftpd 0 .9, vsftpd 0 .9, vsftpd 0 .9, vsftpd 0 .9, vsftpd 86400 .9, vsftpd 86400 .9, vsftpd 86400 .9, vsftpd 86400 .9",
			"vsftpd .9 0 900 1, vsftpd .9 86400 87300 1"},
	} {
		m := newModel(tortureJails)
		for line := range strings.SplitSeq(c.told, ", ") {
			var what, host string
			var at int64
			if _, err := fmt.Sscan(line, &what, &at, &host); err != nil {
				t.Fatal(err)
			}
			addr := netip.MustParseAddr("203.0.113" + host)
			if what == "unban" {
				m.pardoned(modelKey(addr), at)
			} else {
				m.logged(modelEvent{at, what, addr})
			}
		}
		var got []string
		for _, b := range m.bans {
			got = append(got, strings.Replace(b.String(), "203.0.113", "", 1))
		}
		want := strings.Split(c.bans, ", ")
		if c.bans == "" {
			want = nil
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", c.name, got, want)
		}
	}
}
