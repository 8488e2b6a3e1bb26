package recipes

import (
	"strings"
	"testing"
)

// The banned get no answer by the rules of the real ufw, whose files are copies here.
func TestUfw(t *testing.T) {
	needsRoot(t)
	each(t, func(t *testing.T, r *runner) {
		n := wire(t)
		copies := t.TempDir()
		t.Cleanup(func() { sh(t, "umount /etc/ufw") })
		sh(t, "cp -a /etc/ufw "+copies+" && mount --bind "+copies+"/ufw /etc/ufw")
		if code, out := r.run(t, "ufw", "", banOf("10.77.0.2"), "{}"); code == 0 || !strings.Contains(out, "not active") {
			t.Errorf("while ufw is not active: exit %d, %q", code, out)
		}
		r.went(t, "ufw", banOf("10.77.0.2", "EVENT", "unban"))
		sh(t, "ufw --force enable && ufw allow 22/tcp && ufw allow 80/tcp")
		before := sh(t, "ufw show added")
		both := []string{"10.77.0.2", "fd77:1::2"}
		if !r.dash() {
			both = both[:1] // ufw is slow
		}
		for _, banned := range both {
			n.must(t, "before", banned, 22)
			r.went(t, "ufw", banOf(banned, "OBSERVED", "1"))
			r.went(t, "ufw", banOf(banned, "SECONDS", "0"))
			r.went(t, "ufw", banOf(banned))
			r.went(t, "ufw", banOf(banned)) // told twice
			r.went(t, "ufw", banOf(banned, "JAIL", "web", "PORTS", "80-81,443", "SECONDS", "permanent"))
			n.mustNot(t, "banned", banned, 22)
			n.mustNot(t, "banned by the other jail", banned, 80)
			r.went(t, "ufw", banOf(banned, "EVENT", "expire", "PORTS", "all", "OBSERVED", "1")) // which were others then, and the jail enforced
			n.must(t, "over", banned, 22)
			n.mustNot(t, "still banned by the other jail", banned, 80)
		}
		n.must(t, "not banned", "10.77.0.3", 22)
		n.must(t, "not banned", "fd77:2::2", 22)
		r.went(t, "ufw", banOf("10.77.0.3", "PORTS", "all"))
		n.mustNot(t, "all ports", "10.77.0.3", 80)
		for _, address := range both {
			r.went(t, "ufw", banOf(address, "EVENT", "unban", "JAIL", "web"))
		}
		r.went(t, "ufw", banOf("10.77.0.3", "EVENT", "release"))
		r.went(t, "ufw", banOf("10.77.0.3", "EVENT", "release"))
		if after := sh(t, "ufw show added"); after != before {
			t.Errorf("left behind:\n%s", after)
		}
	})
}
