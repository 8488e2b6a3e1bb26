package jail

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"scan2ban/scan/pass"
	"scan2ban/state"
)

// TestSelfUnknown: where the host's own addresses are not known, jails that ignore them are
// kept as they are, and so is every list; the others are judged.
func TestSelfUnknown(t *testing.T) {
	self := map[string]state.Prefix{"own address 192.0.2.7": mustPrefix("192.0.2.7")}
	unknown := errors.New("netlink: no answer")
	drop := filepath.Join(t.TempDir(), "drop")
	if err := os.WriteFile(drop, []byte("192.0.2.0/24\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	list := "[list.drop]\nfile = \"" + drop + "\"\n"
	const mine, others = "[jail.sshd]\nenabled = true\n", "[jail.other]\nenabled = true\nfilter = \"sshd\"\nignoreself = false\n"
	for _, test := range []struct {
		name, text  string
		kept, rules []string
		spared      bool
		errs        int
	}{
		{"both", mine + others + list, []string{"sshd"}, []string{"other"}, false, 1},
		{"no list", mine + others, []string{"sshd"}, []string{"other"}, false, 1},
		{"the lists alone", others + list, nil, []string{"other"}, false, 1},
		{"nobody asks", "[defaults]\nignoreself = false\n" + others + list, nil, []string{"other"}, true, 0},
	} {
		c, err := Load(write(t, map[string]string{"scan2ban.toml": test.text}))
		if err != nil {
			t.Fatal(err)
		}
		s := c.setup(nil, unknown)
		kept, rules := slices.Sorted(maps.Keys(s.Kept)), slices.Sorted(maps.Keys(s.Rules))
		if !slices.Equal(kept, test.kept) || !slices.Equal(rules, test.rules) || len(s.Watches) != len(rules) || (s.Spared != nil) != test.spared {
			t.Errorf("%s: kept %q, judged %q, %d watches, spared %v", test.name, kept, rules, len(s.Watches), s.Spared)
		}
		for _, name := range test.kept {
			if !errors.Is(s.Causes[name], unknown) {
				t.Errorf("%s: the cause of %s is %v", test.name, name, s.Causes[name])
			}
		}
		if text := fmt.Sprint(s.Errs); len(s.Errs) != test.errs || test.errs > 0 && !strings.Contains(text, unknown.Error()) {
			t.Errorf("%s: %s", test.name, text)
		}

		s = c.setup(self, nil)
		c.Jails = nil // all are broken
		if _, _, ok := (&pass.Pass{Setup: c.setup(self, nil)}).Protected(nil).Covers(netip.MustParseAddr("192.0.2.7")); ok != c.base.IgnoreSelf {
			t.Errorf("%s: by hand, the host's own address is spared: %v", test.name, ok)
		}
		if len(s.Kept) > 0 || len(s.Errs) > 0 || (s.Spared != nil) != strings.Contains(test.text, "[list") {
			t.Errorf("%s, known: kept %v, %v, spared %v", test.name, s.Kept, s.Errs, s.Spared)
		}
	}
}

// TestIgnoredByHand: what a ban by hand alone asks for is read when it asks, not in every pass.
func TestIgnoredByHand(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ignored")
	lines := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	lines("192.0.2.1\n")
	c, err := Load(write(t, map[string]string{"scan2ban.toml": "[defaults]\nignorefile = \"" + file + "\"\n[jail.sshd]\nenabled = true\nignorefile = \"\"\n"}))
	if err != nil {
		t.Fatal(err)
	}
	p := &pass.Pass{Setup: c.setup(nil, nil)}
	lines("192.0.2.2\n")
	set := p.Protected(nil)
	for addr, want := range map[string]bool{"192.0.2.1": false, "192.0.2.2": true} {
		if _, _, ok := set.Covers(netip.MustParseAddr(addr)); ok != want {
			t.Errorf("%s is spared: %v", addr, ok)
		}
	}
}
