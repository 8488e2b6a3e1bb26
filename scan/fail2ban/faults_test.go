package fail2ban

import (
	"strings"
	"testing"
)

// TestFaults: what is wrong with a filter is told at its own file, all of it.
func TestFaults(t *testing.T) {
	for _, c := range []struct {
		about, filter string
		want          []string
	}{
		{"one names nobody, one cannot be read", "[Definition]\n\nfailregex = ^good <HOST>$\n  ^nobody$\n\n  ^bad ( <HOST>$\nignoreregex = [z\n",
			[]string{":7: ignoreregex 1: ", ":4: failregex 2: it names nobody", ":6: failregex 3: "}},
		{"none", "[Definition]\nignoreregex =\n", []string{"it has no failregex"}},
		{"none that can be read", "[Definition]\nfailregex = ( <HOST>\n", []string{":2: failregex 1: "}},
		{"put together", "[Definition]\nfailregex = ^good <HOST>$\n  ^%(a)s$\na = nobody\n", []string{":2: failregex 2: it names nobody"}},
	} {
		dir := lay(t, map[string]string{"filter.d/broken.conf": c.filter, "jail.conf": "[broken]\nenabled = true\naction = nftables\nlogpath = /a\n"})
		r, err := Options{Dir: dir}.Read()
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Left) != 1 || !strings.HasPrefix(r.Left[0].What, "the whole jail: filter broken: ") || strings.Contains(r.Left[0].What, ".toml") {
			t.Fatalf("%s: %v", c.about, r.Left)
		}
		faults := strings.Split(strings.ReplaceAll(strings.TrimPrefix(r.Left[0].What, "the whole jail: filter broken: "), dir+"/filter.d/broken.conf", ""), "; ")
		if !begin(faults, c.want) {
			t.Errorf("%s:\n%s\nwant\n%s", c.about, strings.Join(faults, "\n"), strings.Join(c.want, "\n"))
		}
	}
}
