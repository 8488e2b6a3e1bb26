package recipes

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// deliverer has what the drop-in of the recipe gives, and no more.
var deliverer = []string{"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps", "-all,+net_admin,+net_raw",
	"--ambient-caps", "+net_admin,+net_raw", "--bounding-set", "-all,+net_admin,+net_raw"}

// The banned get no answer from the ports of the jail until the ban ends, is lifted or
// was only observed; nobody else notices.
func TestIptables(t *testing.T) {
	each(t, func(t *testing.T, r *runner) {
		n := wire(t)
		r.before = deliverer
		open(t, r.dir)
		for _, banned := range []string{"10.77.0.2", "fd77:1::2"} {
			free := strings.NewReplacer("10.77.0.2", "10.77.0.3", "fd77:1::2", "fd77:2::2").Replace(banned)
			var c net.Conn
			n.in(t, n.client, func() {
				var err error
				if c, err = net.DialTimeout("tcp", net.JoinHostPort(hosts[banned], "22"), long); err != nil {
					t.Fatal(err)
				}
			})
			r.went(t, "iptables", banOf(banned, "OBSERVED", "1"))
			r.went(t, "iptables", banOf(banned, "SECONDS", "0"))
			r.went(t, "iptables", banOf(banned, "EVENT", "unban"))
			n.must(t, "before", banned, 22)
			r.went(t, "iptables", banOf(banned))
			r.went(t, "iptables", banOf(banned)) // told twice
			n.mustNot(t, "banned", banned, 22)
			n.must(t, "another port", banned, 80)
			n.must(t, "not banned", free, 22)
			if answers(c, short) == nil {
				t.Errorf("%s: the open connection lives", banned)
			}
			_ = c.Close()
			r.went(t, "iptables", banOf(banned, "JAIL", "everything", "PORTS", "all", "PROTOCOL", "", "SECONDS", "permanent"))
			n.mustNot(t, "all ports", banned, 80)
			sh(t, "ip neigh flush all")
			if err := n.talks(t, n.host, hosts[banned], banned, 22, long); err != nil {
				t.Errorf("our own connection to %s: %v", banned, err)
			}
			loopback := "127.0.0.1"
			if strings.Contains(banned, ":") {
				loopback = "::1"
			}
			r.went(t, "iptables", banOf(banned, "JAIL", "everything", "PORTS", "all", "KEY", loopback))
			if err := n.talks(t, n.host, loopback, loopback, 22, long); err != nil {
				t.Errorf("loopback: %v", err)
			}
			r.went(t, "iptables", banOf(banned, "JAIL", "everything", "EVENT", "release"))
			n.must(t, "released by one jail", banned, 80)
			n.mustNot(t, "and not by the other", banned, 22)
			r.went(t, "iptables", banOf(banned, "PORTS", "80-81"))
			n.mustNot(t, "the jail's new port", banned, 80)
			n.must(t, "the jail's old port", banned, 22)
			r.went(t, "iptables", banOf(banned, "EVENT", "expire", "OBSERVED", "1")) // the jail enforced
			n.must(t, "over", banned, 80)
		}
	})
}

// What stands in the kernel, and that it comes back.
func TestIptablesRules(t *testing.T) {
	each(t, func(t *testing.T, r *runner) {
		n := wire(t)
		r.before = deliverer
		open(t, r.dir)
		const spared = `-N SCAN2BAN
-A SCAN2BAN -i lo -j RETURN
-A SCAN2BAN -m conntrack --ctdir REPLY -j RETURN
-A SCAN2BAN -m addrtype ! --dst-type LOCAL -j RETURN
`
		same := func(want string) {
			t.Helper()
			if got := sh(t, "iptables -t mangle -S SCAN2BAN"); got != spared+want {
				t.Errorf("the chain is\n%s\nand not\n%s", got, spared+want)
			}
			if got := sh(t, "iptables -t mangle -S PREROUTING"); strings.Count(got, "-j SCAN2BAN") != 1 || !strings.Contains(got, "ACCEPT\n-A PREROUTING -j SCAN2BAN\n") {
				t.Errorf("the way there is\n%s", got)
			}
		}
		sh(t, "iptables -t mangle -A PREROUTING -p tcp -j RETURN") // somebody else's
		ports := "1,2,3,4,5,6,7,8,9,10,11,12,13,14,20-25,30"
		long := "a-jail-with-a-very-long-name-indeed"
		web := "-A SCAN2BAN -p tcp -m multiport --dports 80,443 -m set --match-set s2b-web-4 src -j DROP\n"
		r.went(t, "iptables", banOf("10.77.0.2", "JAIL", "web", "PORTS", "80,443"))
		same(web)
		r.went(t, "iptables", banOf("10.77.0.2", "PORTS", ports, "PROTOCOL", "tcp,udp", "JAIL", long, "SECONDS", "9999999"))
		name := strings.TrimSpace(sh(t, "ipset list -n | grep ^s2b-a-jail"))
		if len(name) > 31 || sh(t, "ipset list "+name+" | tail -n 1") != "10.77.0.2 timeout 0\n" {
			t.Errorf("the set %q of a long name and a long ban", name)
		}
		many := ""
		for _, protocol := range []string{"tcp", "udp"} {
			for _, ports := range []string{"1,2,3,4,5,6,7,8,9,10,11,12,13,14", "20:25,30"} {
				many += "-A SCAN2BAN -p " + protocol + " -m multiport --dports " + ports + " -m set --match-set " + name + " src -j DROP\n"
			}
		}
		same(web + many)
		r.went(t, "iptables", banOf("10.77.0.3", "PORTS", "7", "JAIL", long))
		same(web + "-A SCAN2BAN -p tcp -m multiport --dports 7 -m set --match-set " + name + " src -j DROP\n")

		sh(t, "iptables -t mangle -F")
		r.went(t, "iptables", banOf("10.77.0.3", "JAIL", "web", "PORTS", "80,443"))
		same(web)
		n.mustNot(t, "banned before the flush", "10.77.0.2", 80)
		if got := sh(t, "ipset list s2b-web-4 | sed -n 's/^10.77.0.2 timeout //p'"); strings.TrimSpace(got) < "86" || len(strings.TrimSpace(got)) != 5 {
			t.Errorf("the ban lasts %q seconds more", got)
		}
		code, out := (&runner{shell: r.shell, dir: r.dir, before: []string{"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"}}).run(t, "iptables", "", banOf("10.77.0.2", "JAIL", "web", "EVENT", "unban"), "{}")
		if code == 0 || !strings.HasPrefix(out, "iptables: ") {
			t.Errorf("an unban without the right to: exit %d, %q", code, out)
		}
		code, _ = (&runner{shell: r.shell, dir: r.dir, before: deliverer[:7]}).run(t, "iptables", "", banOf("10.77.0.2"), "{}")
		if code == 0 {
			t.Error("a ban without the right to went well")
		}
	})
}

// A ban ends by itself; so it does with the older iptables, which has a lock.
func TestIptablesEnds(t *testing.T) {
	each(t, func(t *testing.T, r *runner) {
		if !r.dash() {
			return
		}
		n := wire(t)
		old := t.TempDir()
		for _, name := range []string{"iptables", "iptables-restore", "ip6tables", "ip6tables-restore"} {
			if err := os.Symlink("/usr/sbin/xtables-legacy-multi", filepath.Join(old, name)); err != nil {
				t.Fatal(err)
			}
		}
		r.before, r.path = append([]string{"env", "XTABLES_LOCKFILE=" + filepath.Join(r.dir, "lock")}, deliverer...), old+":"+os.Getenv("PATH")
		open(t, r.dir)
		open(t, old)
		if err := os.Chmod(r.dir, 0o777); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		r.went(t, "iptables", banOf("10.77.0.2", "SECONDS", "3"))
		r.went(t, "iptables", banOf("fd77:1::2"))
		n.mustNot(t, "banned", "10.77.0.2", 22)
		n.mustNot(t, "banned", "fd77:1::2", 22)
		if got := sh(t, "iptables-legacy -t mangle -S SCAN2BAN; iptables-legacy -t mangle -S PREROUTING"); strings.Count(got, "-j DROP") != 1 || strings.Count(got, "-j SCAN2BAN") != 1 {
			t.Errorf("the older iptables has\n%s", got)
		}
		for n.talks(t, n.client, "10.77.0.2", "10.77.0.1", 22, 100*time.Millisecond) != nil {
			if time.Since(start) > time.Minute {
				t.Fatal("still banned")
			}
		}
		if d := time.Since(start); d < 2*time.Second {
			t.Errorf("over after %v", d)
		}
		r.went(t, "iptables", banOf("fd77:1::2", "EVENT", "expire"))
		n.must(t, "over", "fd77:1::2", 22)
	})
}

// open lets the user of the deliveries reach the scripts, as those laid down are.
func open(t *testing.T, dir string) {
	for ; strings.HasPrefix(dir, os.TempDir()+"/"); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}
