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
	bans := server.bans(s.root, jails)
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
	for {
		c := exec.Command("unshare", "--net", "sh", "-ec", pass+" >&2; nft -j list table inet scan2ban")
		var said strings.Builder
		var err error
		c.Env, c.Stderr = append(os.Environ(), "TZ=UTC"), &said
		if listing, err = c.Output(); err != nil {
			s.t.Fatalf("%s: %v\n%s", pass, err, said.String())
		}
		if !strings.Contains(said.String(), "given up") { // as a line is on a host that is too busy
			break
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

// difference is a row of differences.tsv without its reason.
type difference struct{ source, filters, jail, address, ours, theirs string }

func differences(t *testing.T) map[difference]string {
	all := map[difference]string{}
	for _, line := range read(t, filepath.Join(filepath.Dir(journaltest.Dir()), "fail2ban/differences.tsv")) {
		f := strings.Split(line, "\t")
		if strings.HasPrefix(line, "#") || line == "" {
			continue
		}
		if len(f) != 7 || f[6] == "" {
			t.Fatalf("differences.tsv: %q is not a row of seven", line)
		}
		all[difference{f[0], f[1], f[2], f[3], f[4], f[5]}] = f[6]
	}
	return all
}

// compare tells what differs otherwise than the table has it.
func (s *side) compare(filters string, ours, theirs map[string]map[string]int64, want map[difference]string) {
	at := func(bans map[string]int64, address string) string {
		since, ok := bans[address]
		if !ok {
			return "-"
		}
		return time.Unix(since, 0).Add(-s.shift).UTC().Format("15:04:05")
	}
	found := map[difference]bool{}
	here, there, both, seconds := 0, 0, 0, 0
	for _, service := range s.services {
		for _, jail := range service.jails {
			all := maps.Clone(theirs[jail])
			maps.Copy(all, ours[jail])
			here, there = here+len(ours[jail]), there+len(theirs[jail])
			for address := range all {
				d := difference{s.source, filters, jail, address, at(ours[jail], address), at(theirs[jail], address)}
				if d.ours != "-" && !service.hosts[address] {
					s.t.Errorf("%s, filters of %s, jail %s: a ban of %s, who was never there", s.source, filters, jail, address)
				}
				if d.ours != "-" && d.theirs != "-" {
					both++
				}
				if d.ours == d.theirs {
					seconds++
				} else if d.ours == "-" || d.theirs == "-" || filters == "converted" {
					found[d] = true
				}
			}
		}
	}
	s.t.Logf("%s, filters of %s: %d bans here, %d there, %d in both, %d of these at the same second", s.source, filters, here, there, both, seconds)
	var wrong []string
	for d := range found {
		if want[d] == "" {
			wrong = append(wrong, fmt.Sprintf("not in the table: %s\t%s\t%s\t%s\t%s\t%s\t?", d.source, d.filters, d.jail, d.address, d.ours, d.theirs))
		}
	}
	for d := range want {
		if d.source == s.source && d.filters == filters && !found[d] {
			wrong = append(wrong, fmt.Sprintf("only in the table: %v", d))
		}
	}
	slices.Sort(wrong)
	for _, w := range wrong {
		s.t.Error(w)
	}
}
