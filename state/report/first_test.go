package report

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"scan2ban/state"
)

// TestWriteFirst: whom the first pass bans and why; not those whose ban is over,
// and of many the latest.
func TestWriteFirst(t *testing.T) {
	var decided []state.Decision
	for i := range 24 {
		key := state.Key{Prefix: netip.MustParsePrefix(fmt.Sprintf("203.0.113.%d/32", i+1))}
		since := int64(1_700_000_000 + 60*i)
		until := since + 3600
		if i == 0 {
			until = since + 1
		}
		decided = append(decided, state.Decision{Verb: state.Banned, Jail: "sshd", Address: key.Addr().String(), Key: &key, Since: since, Until: &until,
			Failures: 5, N: 1, Rule: "failed-password", Users: []string{"root"}, Enforced: true})
	}
	decided[3], decided[20] = decided[20], decided[3]
	decided = append(decided, state.Decision{Verb: state.Rebuilt, Text: "first run"})
	var out bytes.Buffer
	p := FromPass(decided, state.New(), 1_700_002_000)
	p.Entries, p.Failures = 900, 130
	p.WriteFirst(&out)
	text := out.String()
	for _, want := range []string{"Read 900 entries of the past, found 130 failures.", "23 bans in force:", "failed-password", "203.0.113.24", "203.0.113.21", "and 3 earlier ones", "1 more ban would be over"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing from\n%s", want, text)
		}
	}
	for _, address := range []string{"203.0.113.1 ", "203.0.113.2 ", "203.0.113.4 "} {
		if strings.Contains(text, address) {
			t.Errorf("%s is listed in\n%s", address, text)
		}
	}

	out.Reset()
	FromPass(nil, state.New(), 1).WriteFirst(&out)
	if !strings.Contains(out.String(), "Nobody is banned for it.") {
		t.Error(out.String())
	}
}
