//go:build cgo && !race

package fail2ban

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"scan2ban/scan/journal/journaltest"
)

// step is how much of a recording Fail2Ban gets at once: in life it looks for news at
// least every two seconds.
const step = 2 * time.Second

// TestSideBySide: a recording, as journal and as log files, goes through Fail2Ban's server
// and, with its configuration imported, through a pass of this program. The kernel has
// the same bans of both; each difference stands with its reason in
// testdata/fail2ban/differences.tsv. Fail2Ban has a clock that goes with the recording, see
// testdata/fail2ban/sitecustomize.py.
func TestSideBySide(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: bans in network namespaces")
	}
	root, python := pythonRoot(t)
	version, err := os.ReadFile(filepath.Join(root, "usr/lib/python3/dist-packages/fail2ban/version.py"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(version), "\nversion = \"1.0.2\"\n") {
		t.Skip("differences.tsv is of Debian 12's Fail2Ban, 1.0.2 (unpack it, and set FAIL2BAN_ROOT)")
	}
	program := filepath.Join(t.TempDir(), "scan2ban")
	if text, err := exec.Command("go", "build", "-o", program, "scan2ban").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	want := differences(t)
	for _, source := range []string{"journal", "file"} {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			s := &side{t: t, source: source, dir: t.TempDir(), root: root, python: python, program: program, services: services()}
			s.record()
			s.lay()
			theirs := s.theirs()
			for _, filters := range []string{"scan2ban", "converted"} {
				s.compare(filters, s.ours(filters), theirs, want)
			}
		})
	}
}

// side is one comparison.
type side struct {
	t             *testing.T
	source        string // "journal" or "file"
	dir           string
	root, program string
	python        func(args ...string) *exec.Cmd
	services      []*service
	shift         time.Duration             // of the recording, which is to end now
	grow          func([]journaltest.Entry) // writes to the journal
	end           func()                    // of that
}

// record reads the recordings and brings them to the present.
func (s *side) record() {
	from := time.Date(2026, 11, 22, 8, 26, 0, 0, time.UTC)
	to := from.Add(13 * time.Minute)
	var last time.Time
	for _, service := range s.services {
		service.record(s.t, s.source == "file", from, to)
		if len(service.lines) < 40 {
			s.t.Fatalf("%s: a recording of %d lines", service.name, len(service.lines))
		}
		if end := service.lines[len(service.lines)-1].at; end.After(last) {
			last = end
		}
	}
	s.shift = time.Since(last).Truncate(step) - time.Minute
	for _, service := range s.services {
		for i := range service.lines {
			service.lines[i].at = service.lines[i].at.Add(s.shift)
		}
	}
}

// lay makes the configuration of Fail2Ban.
func (s *side) lay() {
	config, python := filepath.Join(s.dir, "fail2ban"), filepath.Join(s.dir, "python")
	if err := os.CopyFS(config, os.DirFS(filepath.Join(s.root, "etc/fail2ban"))); err != nil {
		s.t.Fatal(err)
	}
	os.Mkdir(python, 0o755)
	os.Mkdir(s.path("logs"), 0o755)
	os.WriteFile(s.path("clock"), nil, 0o644)
	os.WriteFile(filepath.Join(config, "fail2ban.local"), []byte("[DEFAULT]\ndbfile = "+s.path("bans.db")+"\n"), 0o644)
	backend := "polling"
	if s.source == "journal" {
		backend = "systemd[journalpath=" + s.path("journal") + "]"
	}
	testdata := filepath.Join(filepath.Dir(journaltest.Dir()), "fail2ban")
	for from, to := range map[string]string{"jail.local": config, "sitecustomize.py": python} {
		text, err := os.ReadFile(filepath.Join(testdata, from))
		if err != nil {
			s.t.Fatal(err)
		}
		out := strings.NewReplacer("BACKEND\n", backend+"\n", "LOGS/", s.path("logs")+"/").Replace(string(text))
		if err := os.WriteFile(filepath.Join(to, from), []byte(out), 0o644); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *side) path(name string) string { return filepath.Join(s.dir, name) }

// write appends to the journal or to the log files what the services say.
func (s *side) write(lines map[*service][]logged) {
	if s.source == "journal" {
		var entries []journaltest.Entry
		for _, said := range lines {
			for _, l := range said {
				entries = append(entries, l.entry())
			}
		}
		slices.SortStableFunc(entries, func(a, b journaltest.Entry) int { return int(a.Time - b.Time) })
		// A reader that sees the count of entries before the last one is linked to its
		// fields looks for it again only when there is one more.
		entries = append(entries, journaltest.Entry{Time: entries[len(entries)-1].Time, Message: "one more"})
		if s.grow == nil {
			s.grow, s.end = journaltest.Grow(s.t, s.path("journal/system.journal"))
		}
		s.grow(entries)
		return
	}
	for service, said := range lines {
		f, err := os.OpenFile(s.path("logs/"+service.name+".log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			s.t.Fatal(err)
		}
		var text strings.Builder
		for _, l := range said {
			text.WriteString(l.line())
		}
		if _, err := f.WriteString(text.String()); err != nil {
			s.t.Fatal(err)
		}
		f.Close()
	}
}

// theirs feeds the recording to Fail2Ban, step by step, and gives back the bans by jail.
func (s *side) theirs() map[string]map[string]int64 {
	steps := map[int64]map[*service][]logged{}
	add := func(of *service, l logged) {
		n := l.at.UnixNano() / int64(step)
		if steps[n] == nil {
			steps[n] = map[*service][]logged{}
		}
		steps[n][of] = append(steps[n][of], l)
	}
	first := int64(1 << 62)
	for _, service := range s.services {
		first = min(first, service.lines[0].at.UnixNano()/int64(step)-1)
	}
	for _, service := range s.services {
		begin := service.marker
		begin.at = time.Unix(0, first*int64(step))
		add(service, begin)
		for _, l := range service.lines {
			add(service, l)
		}
	}
	var server *server
	for _, n := range slices.Sorted(maps.Keys(steps)) {
		lines, end := steps[n], time.Unix(0, (n+1)*int64(step))
		var jails []string
		for service := range lines {
			mark := service.marker
			mark.at = end
			if server != nil { // it begins with the marker alone
				lines[service] = append(lines[service], mark)
			}
			jails = append(jails, service.jails...)
		}
		if server != nil {
			server.clock(end)
		}
		s.write(lines)
		if server == nil {
			server = serve(s.t, s.root, s.python, s.dir)
			server.clock(end)
		}
		server.await(jails)
	}
	var jails []string
	for _, service := range s.services {
		jails = append(jails, service.jails...)
	}
	bans := server.bans(jails)
	if s.end != nil {
		s.end()
	}
	if server.said.Len() > 0 {
		s.t.Errorf("Fail2Ban says:\n%s", server.said.String())
	}
	return bans
}

// ours imports Fail2Ban's configuration and makes one pass over all that was recorded.
func (s *side) ours(filters string) map[string]map[string]int64 {
	out := s.path(filters)
	args := []string{"import", s.path("fail2ban"), "--write", out}
	if filters == "converted" {
		args = append(args, "--keep-filters")
	}
	if text, err := exec.Command(s.program, args...).CombinedOutput(); err != nil {
		s.t.Fatalf("%s: %v\n%s", args, err, text)
	}
	pass := fmt.Sprintf("%s run -c %s/scan2ban.toml --state %s/state/state.json", s.program, out, out)
	if s.source == "journal" {
		pass += " --journal " + s.path("journal")
	}
	var listing []byte
	for try := 1; ; try++ {
		c := exec.Command("unshare", "--net", "sh", "-ec", pass+" >&2; nft -j list table inet scan2ban")
		var said strings.Builder
		var err error
		c.Env, c.Stderr = append(os.Environ(), "TZ=UTC"), &said
		if listing, err = c.Output(); err != nil {
			s.t.Fatalf("%s: %v\n%s", pass, err, said.String())
		}
		if !strings.Contains(said.String(), "given up") {
			break
		}
		if try == 5 { // a line is given up on a host that is too busy
			s.t.Fatalf("%s: %s", pass, said.String())
		}
		os.RemoveAll(filepath.Join(out, "state"))
	}
	bans := map[string]map[string]int64{}
	for _, line := range read(s.t, filepath.Join(out, "state/history.jsonl")) {
		var d struct {
			Kind, Jail, Key string
			Since           int64
		}
		if err := json.Unmarshal([]byte(line), &d); err != nil {
			s.t.Fatal(err)
		}
		if d.Kind == "ban" {
			if bans[d.Jail] == nil {
				bans[d.Jail] = map[string]int64{}
			}
			bans[d.Jail][strings.TrimSuffix(d.Key, "/128")] = d.Since
		}
	}
	for jail, all := range bans {
		list := exec.Command("cat")
		list.Stdin = strings.NewReader(string(listing))
		if kernel := elements(s.t, list, jail+"4", jail+"6"); !slices.Equal(slices.Sorted(maps.Keys(kernel)), slices.Sorted(maps.Keys(all))) {
			s.t.Errorf("jail %s: the kernel has %v, the history %v", jail, slices.Sorted(maps.Keys(kernel)), slices.Sorted(maps.Keys(all)))
		}
	}
	return bans
}
