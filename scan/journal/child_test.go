package journal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"scan2ban/scan/journal/journaltest"
)

// One field that journalctl cannot print costs neither the entries of other files nor what is
// written later.
func TestUnreadableField(t *testing.T) {
	e := entries(9, "m")
	for i := range e {
		e[i].Fields = map[string]string{"EXTRA": e[i].Message}
	}
	rows := []struct {
		name   string
		damage func(b []byte, at uint64)
		want   []string // entries that are read
		told   bool     // what journalctl skips by itself is no loss
	}{
		{"without =", func(b []byte, at uint64) { b[at+72+5] = '-' }, lines(e[:1], e[2:6]), true},
		{"compressed, but it is not", func(b []byte, at uint64) { b[at+1] = 4 }, lines(e[:6]), false},
		{"compressed by what is gone", func(b []byte, at uint64) { b[at+1] = 3 }, lines(e[:1], e[3:6]), true}, // which ends journalctl before it says where
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			eachReader(t, func(t *testing.T, kind string) {
				dir := t.TempDir()
				bad, sound := journaltest.Write(t, filepath.Join(dir, "system.journal"), e[:3]), filepath.Join(dir, "user-1000.journal")
				journaltest.Write(t, sound, e[3:6])
				change(t, bad, func(b []byte) {
					for _, at := range objects(b, objectData) {
						if string(b[at+72:][:9]) == "EXTRA=m 1" {
							row.damage(b, at)
						}
					}
				})
				o := Options{Path: dir, Reader: kind}
				p := read(t, o)
				for _, line := range row.want {
					if !slices.Contains(p.entries, line) {
						t.Errorf("got %q, not %q", p.entries, line)
					}
				}
				if kind == "journalctl" && row.told && !slices.ContainsFunc(p.warnings, func(w string) bool {
					return containsAll(w, bad, "cannot be read") || containsAll(w, bad, "could not be read")
				}) {
					t.Errorf("warnings %q", p.warnings)
				}
				journaltest.Write(t, sound, e[6:])
				same(t, read(t, p.goOn(o)).entries, lines(e[6:]))
			})
		})
	}
}

// Nor does it cost what the matches find in its own file.
func TestUnreadableFieldOfOthers(t *testing.T) {
	e := ofRoot(9)
	e[3].Fields = map[string]string{"EXTRA": "of another"}
	want := append(lines(e[:3]), lines(e[4:])...)
	eachReader(t, func(t *testing.T, kind string) {
		file := journaltest.Write(t, filepath.Join(t.TempDir(), "system.journal"), e)
		change(t, file, func(b []byte) {
			extra := uint64(bytes.Index(b, []byte("EXTRA=of"))) - dataPayload - 8
			b[extra+1] = 3 // by what is gone: journalctl ends there
		})
		same(t, read(t, Options{Path: file, Reader: kind, Matches: []Match{{"_UID=0"}}}).entries, want)
	})
}

// A field that journalctl ends on and that many entries hold costs the file, and no other.
func TestManyUnreadableEntries(t *testing.T) {
	e := attack(2 * (maxSteps + 20))
	last := e[len(e)-1].Time
	sound := entries(4, "sound")
	for i := range sound {
		sound[i].Time, sound[i].Boot, sound[i].Fields = last+int64(i)*1e6, journaltest.Boot(2), map[string]string{"_UID": "0"}
	}
	eachReader(t, func(t *testing.T, kind string) {
		dir := t.TempDir()
		bad, good := journaltest.Write(t, filepath.Join(dir, "system.journal"), e), journaltest.Write(t, filepath.Join(dir, "user-1000.journal"), sound[:2])
		change(t, bad, func(b []byte) {
			for _, at := range objects(b, objectData) {
				if string(b[at+72:][:18]) == "_TRANSPORT=syslog\x00" {
					b[at+72+10] = '-'
				}
			}
		})
		o := Options{Path: dir, Reader: kind, Matches: []Match{{"_UID=0"}}}
		p := read(t, o)
		for _, line := range lines(sound[:2]) {
			if !slices.Contains(p.entries, line) {
				t.Errorf("%d entries, without %q", len(p.entries), line)
			}
		}
		if kind == "journalctl" && !slices.ContainsFunc(p.warnings, func(w string) bool { return containsAll(w, bad, "was left") }) {
			t.Errorf("%q", p.warnings)
		}
		journaltest.Write(t, good, sound[2:])
		same(t, read(t, p.goOn(o)).entries, lines(sound[2:]))
	})
}

// Whatever a file holds, journalctl cannot fill the memory with it.
func TestChildIsBounded(t *testing.T) {
	info, err := readInfo(journaltest.Unpack(t, "variants/zstd-keyed1-compact1.journal"))
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n < 3; n++ {
		child, err := startChild(t.Context(), query{files: slices.Repeat([]FileInfo{info}, n)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := child.parser.r.Peek(1); err != nil { // it waits for us to read on
			t.Fatal(err)
		}
		limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", child.cmd.Process.Pid))
		child.close()
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("Max data size             %d ", maxData(n)); !strings.Contains(string(limits), want) {
			t.Errorf("%d files: limits\n%swant %q", n, limits, want)
		}
	}
}

// Where /dev is hidden there is no /dev/null to give to journalctl: it gets the standard input
// of the pass.
func TestChildOpensNoDevice(t *testing.T) {
	info, err := readInfo(journaltest.Unpack(t, "variants/zstd-keyed1-compact1.journal"))
	if err != nil {
		t.Fatal(err)
	}
	input, err := os.Open(info.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer input.Close()
	defer func(was *os.File) { os.Stdin = was }(os.Stdin)
	os.Stdin = input
	child, err := startChild(t.Context(), query{files: []FileInfo{info}})
	if err != nil {
		t.Fatal(err)
	}
	defer child.close()
	if _, err := child.parser.r.Peek(1); err != nil { // it waits for us to read on
		t.Fatal(err)
	}
	if got, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/0", child.cmd.Process.Pid)); got != info.Path {
		t.Errorf("its standard input is %q, %v, want %s", got, err, info.Path)
	}
}

// Each of several files may hold a value as large as any that is read.
func TestLargeValues(t *testing.T) {
	dir := t.TempDir()
	for i := range 6 {
		e := entries(2, "m")
		for k := range e {
			e[k].Time += int64(i) * 1e9
		}
		e[0].Message = strings.Repeat("x", maxField-1<<10)
		journaltest.Write(t, filepath.Join(dir, fmt.Sprintf("%d.journal", i)), e)
	}
	eachReader(t, func(t *testing.T, kind string) {
		p := read(t, Options{Path: dir, Reader: kind})
		if len(p.entries) != 12 {
			t.Errorf("%d entries, %q", len(p.entries), p.warnings)
		}
	})
}

// Where all of a damaged file is read, for what the matches name, each field is asked for once.
func TestEachFieldIsAskedForOnce(t *testing.T) {
	e := entries(40, "m")
	for i := range e {
		e[i].Fields = map[string]string{"_UID": "0", "_TRANSPORT": "syslog"}
	}
	dir := t.TempDir()
	asked := filepath.Join(dir, "asked")
	program, err := exec.LookPath(journalctlName)
	if err != nil {
		t.Skip(err)
	}
	script := fmt.Sprintf("#!/bin/sh\nprintf '%%s\\n' \"$@\" >>%s\nexec %s \"$@\"\n", asked, program)
	if err := os.WriteFile(filepath.Join(dir, "asking"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	was := journalctlName
	journalctlName = filepath.Join(dir, "asking")
	defer func() { journalctlName = was }()

	file := journaltest.Write(t, filepath.Join(dir, "journal", "system.journal"), e[:20])
	o := Options{Path: file, Reader: "journalctl", Fields: []string{"_UID"}, Now: t0 + 1e12,
		Matches: []Match{{"_UID=0", "_TRANSPORT=syslog"}, {"_UID=0", "_TRANSPORT=stdout"}}}
	p := read(t, o)
	change(t, journaltest.Write(t, file, e[20:]), func(b []byte) {
		u64 := binary.LittleEndian.Uint64
		clear(b[u64(b[atDataTable:]):][:u64(b[atDataTable+8:])])
	})
	same(t, read(t, p.goOn(o)).entries, lines(e[20:]))
	text, err := os.ReadFile(asked)
	if err != nil {
		t.Fatal(err)
	}
	asks := 0
	for line := range strings.Lines(string(text)) {
		if list, ok := strings.CutPrefix(strings.TrimSpace(line), "--output-fields="); ok {
			names := strings.Split(list, ",")
			slices.Sort(names)
			if len(slices.Compact(slices.Clone(names))) < len(names) {
				t.Errorf("asked for %s", list)
			}
			asks++
		}
	}
	if asks < 2 {
		t.Errorf("asked %d times", asks)
	}
}
