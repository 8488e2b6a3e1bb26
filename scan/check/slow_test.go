package check

import (
	"strings"
	"testing"

	"scan2ban/scan"
	"scan2ban/scan/filter"
)

func TestExpressions(t *testing.T) {
	watch := func(c *checker, name, failures string) {
		f, err := filter.Parse(name, name+".toml", "[script]\n"+failures)
		if err != nil {
			t.Fatal(err)
		}
		c.Watches = append(c.Watches, scan.Watch{Jail: name, Matcher: f.Compile(filter.Normal)})
		c.Jails = append(c.Jails, Jail{Name: name, Filter: name, File: "/etc/scan2ban/filters/" + name + ".toml"})
	}
	c := healthy()
	has(t, "rules, which are linear", look(expressions, c))
	watch(c, "linear", "[[script.failure]]\nname = 'a'\npattern = '^(?:a+x?)+b from <HOST>$'\n")
	has(t, "linear", look(expressions, c))
	watch(c, "fine", "[[script.failure]]\nname = 'a'\nbacktracks = true\npattern = '^(?!x)\\w+ from <HOST>$'\n")
	has(t, "fine", look(expressions, c), "ok filter fine: /etc/scan2ban/filters/fine.toml: 1 of its expressions backtrack, none gave up a line that was made against it\n")
	watch(c, "slow", "[[script.failure]]\nname = 'a'\npattern = '^<HOST>$'\n[[script.failure]]\nname = 'b'\nbacktracks = true\npattern = '^user (?=(?:a+x?)+b)\\w+ from <HOST>$'\n")
	watch(c, "slow", "[[script.failure]]\nname = 'another jail of that filter'\nbacktracks = true\npattern = '^user (?=(?:a+x?)+b)\\w+ from <HOST>$'\n")
	found := look(expressions, c)
	has(t, "slow", found, "warning filter slow: /etc/scan2ban/filters/slow.toml: b gives up a line of 47 bytes after 2 million steps: whoever sends some hundred such uses up the 10s that a pass has for them, and keeps the jail from seeing the failures of others", "-> rewrite what it repeats", "\tuser aaaaaaaa")
	if n := strings.Count(said(found), "filter slow:"); n != 1 {
		t.Errorf("said %d times:\n%s", n, said(found))
	}
}
