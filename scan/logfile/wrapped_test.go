package logfile

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"scan2ban/scan/container/containertest"
)

// engine writes a container's log as Docker or podman does.
type engine struct {
	*host
	name string
	json bool
	max  int // files that are kept
}

func newEngine(t testing.TB, json bool) *engine {
	id := containertest.ID(1)
	name := filepath.Join("containers", id, id+"-json.log")
	if !json {
		name = filepath.Join("storage", id, "userdata", "ctr.log")
	}
	h := newHost(t, name)
	h.must(os.MkdirAll(filepath.Dir(h.path(name)), 0o755))
	return &engine{host: h, name: name, json: json, max: 3}
}

// part writes one of the engine's lines.
func (e *engine) part(stream int, text string, last bool) {
	at, name := time.Unix(0, e.now).UTC().Format(time.RFC3339Nano), []string{"stdout", "stderr"}[stream]
	if !e.json {
		e.append(e.name, fmt.Sprintf("%s %s %s %s\n", at, name, map[bool]string{true: "F", false: "P"}[last], text))
		return
	}
	if last {
		text += "\n"
	}
	e.append(e.name, fmt.Sprintf("{\"log\":%s,\"stream\":%q,\"time\":%q}\n", quote(text), name, at))
}

func quote(text string) string {
	return `"` + strings.NewReplacer("\n", `\n`, `"`, `\"`, `\`, `\\`, "\r", `\r`).Replace(text) + `"`
}

// rotate renames the files, as Docker with max-file does; where only one is kept it is
// removed.
func (e *engine) rotate() {
	for i := e.max - 1; i > 0; i-- {
		from, to := e.path(e.name), e.path(fmt.Sprintf("%s.%d", e.name, i))
		if i > 1 {
			from = e.path(fmt.Sprintf("%s.%d", e.name, i-1))
		}
		_ = os.Rename(from, to) // it may not be there
	}
	_ = os.Remove(e.path(e.name))
	e.append(e.name, "")
}

func TestContainerLogs(t *testing.T) {
	for _, story := range []struct {
		name string
		tell func(*engine)
		want string
	}{
		{"whole lines of both streams", func(e *engine) {
			e.part(0, "a", true)
			e.part(1, "b", true)
			e.pass()
			e.part(0, `{"a":"b"}`, true)
			e.part(0, "c\r", true)
		}, `a|b|{"a":"b"}|c`},
		{"parts, between those of the other stream", func(e *engine) {
			e.part(0, "a1", false)
			e.part(1, "b1", false)
			e.part(0, "a2", false)
			e.part(1, "b2", true)
			e.part(0, "a3", true)
		}, "b1b2|a1a2a3"},
		{"parts cut by passes", func(e *engine) {
			e.part(0, "a1", false)
			e.pass()
			e.part(1, "b", true)
			e.pass()
			e.part(0, "a2", false)
			e.part(1, "c1", false)
			e.pass()
			e.part(0, "a3", true)
			e.pass()
			e.pass()
			e.part(1, "c2", true)
		}, "b|a1a2a3|c1c2"},
		{"rotated between", func(e *engine) {
			e.part(0, "a", true)
			e.pass()
			e.part(0, "b", true)
			e.rotate()
			e.part(0, "c", true)
			e.rotate()
			e.part(0, "d", true)
		}, "a|b|c|d"},
		{"parts before and after a rotation", func(e *engine) {
			e.part(0, "a", true)
			e.pass()
			e.part(0, "b1", false)
			e.rotate()
			e.part(0, "b2", true)
			e.part(0, "c", true)
		}, "a|b1b2|c"},
		{"parts, a pass and a rotation between", func(e *engine) { // the end of a line is never taken for a line
			e.part(0, "a1", false)
			e.part(1, "b", true)
			e.pass()
			e.rotate()
			e.part(0, "Failed password for root from 203.0.113.66 port 1 ssh2", true)
			e.part(1, "c", true)
			e.part(0, "d", true)
		}, "b|c|d"},
		{"parts, and the file before is gone", func(e *engine) {
			e.max = 1
			e.part(0, "a", true)
			e.pass()
			e.part(0, "b1", false)
			e.rotate()
			e.part(0, "Failed password for root from 203.0.113.66 port 1 ssh2", true)
			e.part(0, "c", true)
		}, "a|c"},
		{"a line that begins where nobody looks any more", func(e *engine) {
			e.part(0, "a1", false)
			e.pass()
			for range 1100 {
				e.part(1, strings.Repeat("x", 2048), true)
			}
			e.pass()
			e.read = nil
			e.part(0, "a2", true)
			e.part(0, "b", true)
		}, "b"},
		{"a line of no engine", func(e *engine) {
			e.part(0, "a1", false)
			e.append(e.name, "Failed password for root from 203.0.113.66 port 1 ssh2\n")
			e.part(0, "the end of something", true)
			e.part(0, "b", true)
			e.pass()
			e.pass()
			if len(e.told) != 1 || !strings.Contains(e.told[0], "no container engine") {
				e.t.Fatalf("told %q", e.told)
			}
			e.told = nil
		}, "b"},
		{"half a line of the engine", func(e *engine) {
			e.append(e.name, `{"log":"a\n","str`)
			if !e.json {
				e.must(os.Truncate(e.path(e.name), 0))
				return
			}
			e.pass()
			e.append(e.name, `eam":"stdout","time":"2026-11-22T08:14:01Z"}`+"\n")
		}, map[bool]string{true: "a"}[true]},
	} {
		for _, json := range []bool{true, false} {
			if !json && story.name == "half a line of the engine" {
				continue
			}
			t.Run(fmt.Sprintf("%s, json %v", story.name, json), func(t *testing.T) {
				e := newEngine(t, json)
				story.tell(e)
				e.pass()
				if got := strings.Join(e.read, "|"); got != story.want {
					t.Errorf("%.300s, want %s", got, story.want)
				}
				if e.pass() != nil || e.bytes != 0 {
					t.Errorf("an idle pass read %d bytes", e.bytes)
				}
				e.told = slices.DeleteFunc(e.told, func(text string) bool { return e.max == 1 && strings.Contains(text, "was truncated or removed") })
				if len(e.told) > 0 || e.failed != nil {
					t.Errorf("told %q, %v", e.told, e.failed)
				}
			})
		}
	}
}

// However a container's log is cut into parts, files and passes, what is handed out are
// lines that it wrote, each once; lost are only those in the middle of which a rotation
// came, and the end of a pass, or of one that was called off after it.
func TestContainerLogsRandom(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1))
		e := newEngine(t, seed%2 == 0)
		e.max = 60
		if seed%4 < 2 { // files go before they are read
			e.max = 2
		}
		e.append(e.name, "")
		e.pass()
		var parts [2]int // written of the line that each stream stands in
		var number int
		written := map[string]bool{}
		begun := [2]string{}
		crossed := [2]int{} // bit 0: a pass came, bit 1: a rotation
		mayLose := map[string]bool{}
		var rotated []string // in their middles, since the last pass
		passes := func() {
			if random.IntN(4) == 0 { // called off
				r := e.open(nil)
				for range random.IntN(4) {
					if !r.Next() {
						break
					}
					e.read = append(e.read, string(r.Line().Text))
				}
				e.saved = r.Positions()
				r.Close()
				for _, line := range rotated {
					mayLose[line] = true
				}
			} else {
				e.pass()
				rotated = nil
			}
			for i := range parts {
				if parts[i] > 0 {
					crossed[i] |= 1
				}
			}
		}
		for range 60 {
			switch n := random.IntN(12); {
			case n == 0:
				e.rotate()
				for i := range parts {
					if parts[i] > 0 {
						crossed[i] |= 2
					}
				}
				if random.IntN(2) == 0 {
					passes()
				}
			case n < 3:
				passes()
			default:
				i, last := random.IntN(2), random.IntN(3) > 0
				if parts[i] == 0 {
					number++
					begun[i] = fmt.Sprintf("begin %d of %d:", number, i)
				} else {
					begun[i] += " more"
				}
				text := begun[i]
				if parts[i] > 0 {
					text = " more"
				}
				e.part(i, text, last)
				parts[i]++
				if last {
					written[begun[i]] = true
					mayLose[begun[i]] = crossed[i] == 3
					if crossed[i]&2 != 0 {
						rotated = append(rotated, begun[i])
					}
					parts[i], crossed[i] = 0, 0
				}
			}
		}
		e.pass()
		seen := map[string]bool{}
		for _, line := range e.read {
			if seen[line] || !written[line] {
				t.Fatalf("seed %d: %q was not written, or comes twice, in %q", seed, line, e.read)
			}
			seen[line] = true
		}
		for line := range written {
			if e.max > 2 && !seen[line] && !mayLose[line] {
				t.Fatalf("seed %d: %q is lost, read %q; told %q", seed, line, e.read, e.told)
			}
		}
	}
}

// A container of testdata/containers whose log Docker has rotated.
func TestRecordedRotation(t *testing.T) {
	root := containertest.Recorded(t)
	id := "ec6aa2f3e23b1e95feb9cb3f8f2aa043f9617a61a28b61669658953c70481a08"
	glob := filepath.Join(root, "var/lib/docker/containers", id, id+"-json.log")
	o := Options{Groups: []Group{{Paths: []string{glob}}}, Now: time.Date(2026, 11, 24, 5, 0, 0, 0, time.UTC).Unix()}
	for i, suffix := range []string{".2", ".1", ""} { // unpacking them has given them no order
		at := time.Date(2026, 11, 24, 4, 4, 51+i, 0, time.UTC)
		if err := os.Chtimes(glob+suffix, at, at); err != nil {
			t.Fatal(err)
		}
	}
	r := Open(context.Background(), o)
	defer r.Close()
	n := 0
	for r.Next() {
		if n++; n == 1 {
			fmt.Sscanf(string(r.Line().Text), "line %d", &n)
		}
		if want := fmt.Sprintf("line %d of the rotation", n); string(r.Line().Text) != want {
			t.Fatalf("%q, want %q", r.Line().Text, want)
		}
	}
	if n != 60 || r.Err() != nil || len(r.Warnings()) > 0 {
		t.Errorf("%d lines, %v, %q", n, r.Err(), r.Warnings())
	}
}
