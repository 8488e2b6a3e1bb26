package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"scan2ban/scan/journal/journaltest"
	"scan2ban/state"
)

// kinds are the readers of this build; every test of the suite runs over each.
func kinds() []string {
	if _, _, err := openLibrary(query{}); errors.Is(err, errNoLibrary) {
		return []string{"journalctl"}
	}
	return []string{"library", "journalctl"}
}

// TestLibrary tells where the suite runs over one reader only though the build has two.
func TestLibrary(t *testing.T) {
	if builtWithLibrary && len(kinds()) < 2 {
		t.Skip("needs libsystemd (Debian: apt install libsystemd0)")
	}
}

func eachReader(t *testing.T, test func(t *testing.T, kind string)) {
	for _, kind := range kinds() {
		t.Run(kind, func(t *testing.T) { test(t, kind) })
	}
}

// pass is what one reading gave.
type pass struct {
	entries  []string // "TIME MESSAGE" of each
	fields   []string // the first of Options.Fields of each
	position *state.JournalPosition
	known    *Exhausted
	gaps     []Gap
	warnings []string
	source   string
}

func read(t testing.TB, o Options) pass {
	t.Helper()
	p, err := tryRead(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func tryRead(o Options) (pass, error) {
	r, err := Open(context.Background(), o)
	if err != nil {
		return pass{}, err
	}
	var p pass
	for r.Next() {
		p.entries = append(p.entries, fmt.Sprintf("%d %s", r.Time(), r.Message()))
		if len(o.Fields) > 0 {
			v, _ := r.Field(o.Fields[0])
			p.fields = append(p.fields, string(v))
		}
	}
	p.position, p.known, p.gaps, p.warnings, p.source = r.Position(), r.Exhausted(), r.Gaps(), r.Warnings(), r.Source()
	return p, errors.Join(r.Err(), r.Close())
}

// goOn makes the options of the pass that follows.
func (p pass) goOn(o Options) Options {
	o.After, o.Exhausted = p.position, p.known
	return o
}

func same(t testing.TB, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("got %d entries, want %d\ngot  %.600q\nwant %.600q", len(got), len(want), got, want)
	}
}

// warned wants one warning that has all the words, and no other.
func warned(t testing.TB, warnings []string, words ...string) {
	t.Helper()
	if len(words) == 0 && len(warnings) == 0 {
		return
	}
	if len(warnings) == 1 && len(words) > 0 && containsAll(warnings[0], words...) {
		return
	}
	t.Errorf("warnings %q, want one with %q", warnings, words)
}

func containsAll(text string, words ...string) bool {
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
}

var sshdMatches = []Match{
	{"_SYSTEMD_UNIT=ssh.service", "_UID=0", "_TRANSPORT=syslog"},
	{"SYSLOG_IDENTIFIER=sshd", "_UID=0", "_TRANSPORT=syslog"},
	{"SYSLOG_IDENTIFIER=sshd-session", "_UID=0", "_TRANSPORT=syslog"},
}

// The same entries, however they are compressed and hashed, and whoever reads.
func TestVariantsGiveTheSameEntries(t *testing.T) {
	dir := journaltest.Unpack(t, "variants")
	var want []string
	for _, f := range []string{"none-keyed1-compact1", "zstd-keyed1-compact1", "lz4-keyed0-compact0", "xz-keyed1-compact0"} {
		for _, kind := range kinds() {
			p := read(t, Options{Path: filepath.Join(dir, f+".journal"), Reader: kind, Fields: []string{"_PID", "_BOOT_ID"}})
			warned(t, p.warnings)
			got := slices.Concat(p.entries, p.fields)
			if want == nil {
				want = got
			}
			same(t, got, want)
		}
	}
	if len(want) != 2*1095 {
		t.Errorf("%d entries, the headers say 1095", len(want)/2)
	}
}

// Recorded over five files: system.journal, two archives, two users' files
// with numberings of their own.
func TestRecordedHost(t *testing.T) {
	dir := journaltest.Unpack(t, "debian12")
	eachReader(t, func(t *testing.T, kind string) {
		all := read(t, Options{Path: dir, Reader: kind})
		if len(all.entries) != 1+3057+13+26+17 {
			t.Errorf("%d entries", len(all.entries))
		}
		o := Options{Path: dir, Reader: kind, Matches: sshdMatches, Fields: []string{"SYSLOG_IDENTIFIER"}, Now: 1 << 55}
		first := read(t, o)
		if len(first.entries) == 0 || slices.ContainsFunc(first.fields, func(f string) bool { return f != "sshd" && f != "sshd-session" }) {
			t.Errorf("%d entries of %q", len(first.entries), slices.Compact(slices.Sorted(slices.Values(first.fields))))
		}
		idle := read(t, first.goOn(o))
		if idle.source != "" || len(idle.entries) != 0 || *idle.position != *first.position {
			t.Errorf("an idle pass opened a reader: %+v", idle)
		}
		o.After = first.position // and what was known is lost
		same(t, read(t, o).entries, nil)
		// A position anywhere gives the rest, once.
		r, err := Open(context.Background(), Options{Path: dir, Reader: kind, Matches: sshdMatches})
		if err != nil {
			t.Fatal(err)
		}
		for n := 1; r.Next(); n++ {
			if n%97 == 0 {
				o.After = r.Position()
				same(t, read(t, o).entries, first.entries[n:])
			}
		}
		if err := errors.Join(r.Err(), r.Close()); err != nil {
			t.Error(err)
		}
	})
}

func TestDamagedFilesAreSkipped(t *testing.T) {
	good := journaltest.Unpack(t, "variants/zstd-keyed1-compact1.journal")
	online := journaltest.Unpack(t, "damaged/state-online.journal")
	truncated, err := os.ReadFile(journaltest.Unpack(t, "damaged/truncated-half-of-used.journal"))
	if err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	zeroed := slices.Clone(whole)
	clear(zeroed[1<<20:])
	unknown := slices.Clone(whole)
	unknown[15] = 0x80 // an incompatible flag of a systemd to come
	rows := []struct {
		name    string
		data    []byte
		warning string
	}{
		{"truncated", truncated, "truncated"},
		{"empty", []byte{}, "0 bytes"},
		{"garbage", []byte(strings.Repeat("no journal ", 500)), "does not begin"},
		{"header only", whole[:272], "truncated"},
		{"filled with zeros", zeroed, "at byte 3733888"},
		{"unknown format", unknown, "x.journal"},
		{"a directory", nil, "not a file"},
	}
	want := read(t, Options{Path: good}).entries
	eachReader(t, func(t *testing.T, kind string) {
		for _, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				dir := t.TempDir()
				link(t, good, dir, "good.journal")
				bad := filepath.Join(dir, "x.journal")
				if row.data == nil {
					err = os.Mkdir(bad, 0o755)
				} else {
					err = os.WriteFile(bad, row.data, 0o644)
				}
				if err != nil {
					t.Fatal(err)
				}
				p := read(t, Options{Path: dir, Reader: kind})
				same(t, p.entries, want)
				warned(t, p.warnings, bad, row.warning)
				again := read(t, p.goOn(Options{Path: dir, Reader: kind}))
				warned(t, again.warnings) // said once, not every minute
				same(t, again.entries, nil)

				if row.data != nil {
					alone := read(t, Options{Path: bad, Reader: kind, Matches: sshdMatches})
					same(t, alone.entries, nil)
					warned(t, alone.warnings, bad, row.warning)
				}
			})
		}
		same(t, read(t, Options{Path: online, Reader: kind}).entries, want)
	})
}

func link(t testing.TB, file, dir, name string) string {
	t.Helper()
	to := filepath.Join(dir, name)
	if err := os.Link(file, to); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestNoJournal(t *testing.T) {
	eachReader(t, func(t *testing.T, kind string) {
		if _, err := tryRead(Options{Path: t.TempDir(), Reader: kind}); !errors.Is(err, ErrNoJournal) {
			t.Errorf("an empty directory: %v", err)
		}
		if _, err := tryRead(Options{Path: filepath.Join(t.TempDir(), "x"), Reader: kind}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("no directory: %v", err)
		}
	})
	hostRoot = t.TempDir()
	defer func() { hostRoot = "" }()
	if _, err := tryRead(Options{}); !errors.Is(err, ErrNoJournal) {
		t.Errorf("a host without machine id: %v", err)
	}
}

// The host's journal is its own machine id's directories, nothing else.
func TestHostJournal(t *testing.T) {
	const id, other = "00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100"
	hostRoot = t.TempDir()
	defer func() { hostRoot = "" }()
	for path, message := range map[string]string{
		"run/log/journal/" + id + "/system.journal":          "run",
		"var/log/journal/" + id + "/system.journal":          "var",
		"var/log/journal/" + id + ".web/system.journal":      "a namespace",
		"var/log/journal/" + other + "/system.journal":       "another machine",
		"var/log/journal/remote/remote-host.journal":         "remote",
		"var/log/journal/" + id + "/fss":                     "no journal",
		"var/log/journal/" + id + "/user-1000@0-1.journal~":  "put aside",
		"var/log/journal/" + id + "/subdirectory/a.journal":  "too deep",
		"var/log/journal/" + id + "/system.journal.save.txt": "no suffix",
	} {
		made := journaltest.Write(t, filepath.Join(t.TempDir(), "a.journal"), entries(1, message))
		if err := os.MkdirAll(filepath.Dir(filepath.Join(hostRoot, path)), 0o755); err != nil {
			t.Fatal(err)
		}
		link(t, made, hostRoot, path)
	}
	if err := os.Mkdir(filepath.Join(hostRoot, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(hostRoot, "etc/machine-id"), []byte(id+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if Written() {
		t.Error("without journald it is said to run")
	}
	if err := os.MkdirAll(filepath.Join(hostRoot, "run/systemd/journal"), 0o755); err != nil {
		t.Fatal(err)
	}
	if !Written() {
		t.Error("journald is not seen")
	}
	eachReader(t, func(t *testing.T, kind string) {
		got := read(t, Options{Reader: kind}).entries
		for i := range got {
			_, got[i], _ = strings.Cut(got[i], " ")
		}
		slices.Sort(got)
		same(t, got, []string{"put aside 0", "run 0", "var 0"})
	})
}

// entries are n messages "TEXT i", a second apart from t0.
func entries(n int, text string) []journaltest.Entry {
	var out []journaltest.Entry
	for i := range n {
		out = append(out, journaltest.Entry{Time: t0 + int64(i)*1e6, Monotonic: int64(i+1) * 1e6, Message: fmt.Sprint(text, " ", i)})
	}
	return out
}

// ofRoot are entries that a match for _UID=0 finds.
func ofRoot(n int) []journaltest.Entry {
	e := entries(n, "m")
	for i := range e {
		e[i].Fields = map[string]string{"_UID": "0"}
	}
	return e
}

const t0 = 1_700_000_000_000_000 // 2023-11-14T22:13:20Z in µs
