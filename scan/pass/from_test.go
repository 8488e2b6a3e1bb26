package pass

import (
	"strings"
	"testing"
)

// TestFromWide: a list that would ban a great part of all addresses bans nobody, and says
// where that stands and what to do.
func TestFromWide(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want string // of the error; empty: it is taken
	}{
		"IPv4":         {"# mine\n203.0.113.7\n64.0.0.0/2\n128.0.0.0/1\n", "standard input: line 3: 64.0.0.0/2 holds a great part of all addresses (--force bans it all the same)\nline 4: 128.0.0.0/1"},
		"IPv6":         {"2000::/7\n", "line 1: 2000::/7 holds"},
		"csv":          {"key,until\n203.0.113.7,permanent\n0.0.0.0/2,2026-12-01T00:00:00Z\n", "line 3: 0.0.0.0/2 holds"},
		"json":         {`[{"Key": "203.0.113.7"}, {"Key": "::/0", "Until": null}]`, "ban 2: ::/0 holds"},
		"together":     {"64.0.0.0/3\n96.0.0.0/3\n128.0.0.0/3\n160.0.0.0/3\n", "standard input: holds more than half of all addresses (--force"},
		"overlapping":  {"64.0.0.0/3\n64.0.0.0/3\n64.0.0.0/4\n64.0.0.0/3\n96.0.0.0/3\n", ""},
		"an observed":  {`[{"Key": "64.0.0.0/2", "Observed": true}]`, ""},
		"wide enough":  {"64.0.0.0/3\n2000::/8\n203.0.113.7\n", ""},
		"no CIDR, too": {"64.0.0.0/2\nx\n", "line 2: \"x\" is not an address"},
	} {
		by := ByHand{From: "-"}
		err := by.Take(nil, strings.NewReader(c.text))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || by.List != nil) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		by.Force = true
		if err := by.Take(nil, strings.NewReader(c.text)); err != nil && !strings.Contains(c.text, "x") {
			t.Errorf("%s, by force: %v", name, err)
		}
	}
}
