package state

import "testing"

// A jail that nothing is known of yet is saved as one that can be read again.
func TestNewJailIsReadBack(t *testing.T) {
	s := New()
	for _, name := range []string{ByHand, "sshd"} {
		if s.Jail(name).Reach.Enforce != (name == ByHand) {
			t.Errorf("%s: reach %+v", name, s.Jail(name).Reach)
		}
	}
	saved(t, s)
}
