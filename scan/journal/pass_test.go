package journal

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"scan2ban/scan/journal/journaltest"
	"scan2ban/state"
)

const numbering = "5e000000000000000000000000000001"

// lines are the entries as a pass shows them.
func lines(entries ...[]journaltest.Entry) []string {
	var out []string
	for _, e := range slices.Concat(entries...) {
		out = append(out, fmt.Sprintf("%d %s", e.Time, e.Message))
	}
	return out
}

// boot moves entries into the n-th boot, that began at the time start (µs).
func boot(n int, start int64, entries []journaltest.Entry) []journaltest.Entry {
	for i := range entries {
		entries[i].Boot = journaltest.Boot(n)
		entries[i].Time = start + entries[i].Monotonic
	}
	return entries
}

// Each step changes the directory; a pass follows. Together the passes must
// hand out every entry once, in the order in which they were written.
func TestPassesOverAChangingJournal(t *testing.T) {
	type step func(t *testing.T, dir string) []journaltest.Entry // gives what is new
	write := func(name string, e []journaltest.Entry) step {
		return func(t *testing.T, dir string) []journaltest.Entry {
			journaltest.Write(t, filepath.Join(dir, name), e)
			return e
		}
	}
	// numbered is write for a new file that belongs to a numbering.
	numbered := func(name string, first uint64, e []journaltest.Entry) step {
		return func(t *testing.T, dir string) []journaltest.Entry {
			journaltest.Renumber(t, journaltest.Write(t, filepath.Join(dir, name), e), numbering, first)
			return e
		}
	}
	do := func(f func(dir string) error) step {
		return func(t *testing.T, dir string) []journaltest.Entry {
			if err := f(dir); err != nil {
				t.Fatal(err)
			}
			return nil
		}
	}
	both := func(steps ...step) step {
		return func(t *testing.T, dir string) (e []journaltest.Entry) {
			for _, s := range steps {
				e = append(e, s(t, dir)...)
			}
			return e
		}
	}
	rename := func(from, to string) step {
		return do(func(dir string) error { return os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)) })
	}
	copied := func(step step) step { // entries that were handed out before
		return func(t *testing.T, dir string) []journaltest.Entry { step(t, dir); return nil }
	}
	ten := entries(10, "m")
	const epoch = 1_600_000_000_000_000 // what a host without a clock believes

	rows := []struct {
		name    string
		steps   []step
		warning string // in a pass after the first
		memory  bool   // only with Exhausted kept can this be told
	}{
		{"growing", []step{write("system.journal", ten[:3]), write("system.journal", ten[3:4]), write("system.journal", ten[4:])}, "", false},
		{"nothing at first", []step{write("system.journal", []journaltest.Entry{{Time: t0 - 5e6, Monotonic: 1, Message: "x"}}), write("system.journal", ten)}, "", false},
		{"rotation between passes", []step{
			numbered("system.journal", 1, ten[:4]),
			both(rename("system.journal", "system@a.journal"), numbered("system.journal", 5, ten[4:7])),
			both(rename("system.journal", "system@b.journal"), numbered("system.journal", 8, ten[7:])),
		}, "", false},
		{"written, rotated, written", []step{
			write("system.journal", ten[:4]),
			both(write("system.journal", ten[4:5]), rename("system.journal", "system@a.journal"), write("system.journal", ten[5:])),
		}, "", false},
		{"reboot", []step{
			numbered("system@a.journal", 1, boot(1, t0, entries(5, "a"))),
			numbered("system.journal", 6, boot(2, t0+3600e6, entries(5, "b"))),
		}, "", false},
		{"reboot without a clock, numbers go on", []step{
			numbered("system@a.journal", 1, boot(1, epoch, entries(9, "a"))),
			numbered("system@b.journal", 10, boot(2, epoch, entries(5, "b"))),
			numbered("system.journal", 15, boot(3, epoch, entries(3, "c"))),
		}, "", false},
		{"reboot without a clock, unclean: a new numbering", []step{
			write("system.journal", boot(1, epoch, entries(9, "a"))),
			both(rename("system.journal", "system@a.journal~"), write("system.journal", boot(2, epoch, entries(5, "b")))),
			both(rename("system.journal", "system@b.journal~"), write("system.journal", boot(3, epoch, entries(3, "c")))),
		}, "", true},
		{"clock stepped back", []step{
			write("system.journal", ten[:3]),
			write("system.journal", []journaltest.Entry{
				{Time: t0 + 60e6, Monotonic: 60e6, Message: "before"},
				{Time: t0 - 3600e6, Monotonic: 61e6, Message: "after"},
				{Time: t0 - 3599e6, Monotonic: 62e6, Message: "after 2"},
			}),
		}, "stepped back by 1h1m0s", false},
		{"clock stepped back between passes", []step{
			write("system.journal", ten),
			write("system.journal", []journaltest.Entry{{Time: t0 - 3600e6, Monotonic: 61e6, Message: "after"}}),
			write("system.journal", []journaltest.Entry{{Time: t0 - 3599e6, Monotonic: 62e6, Message: "later"}}),
		}, "", false},
		{"flushed: copies under another numbering, then more", []step{
			write("system.journal", ten[:5]),
			both(copied(write("var.journal", ten[:5])), do(func(dir string) error { return os.Remove(filepath.Join(dir, "system.journal")) }), write("var.journal", ten[5:])),
		}, "", false},
		{"copies beside the originals", []step{
			write("system.journal", ten[:5]),
			both(copied(write("var.journal", ten[:5])), write("var.journal", ten[5:])),
		}, "", false},
		{"a file that is absent for a pass", []step{
			both(numbered("system@a.journal", 1, boot(1, t0, entries(2, "a"))), numbered("system@b.journal", 3, boot(1, t0+60e6, entries(2, "b")))),
			both(rename("system@a.journal", "a"), rename("system@b.journal", "b"), write("run.journal", boot(2, t0+3600e6, entries(3, "c")))),
			write("run.journal", boot(2, t0+3700e6, entries(1, "d"))),
			both(rename("a", "system@a.journal"), rename("b", "system@b.journal")),
			both(rename("system@b.journal", "b"), write("run.journal", boot(2, t0+3800e6, entries(1, "e")))),
			rename("b", "system@b.journal"),
		}, "no longer in the journal", true},
		{"the last number of a file that was read is damaged", []step{
			both(numbered("system@a.journal", 1, boot(1, t0, entries(2, "a"))), write("user-1000.journal", boot(2, t0+3600e6, entries(2, "b")))),
			do(func(dir string) error {
				file, err := os.OpenFile(filepath.Join(dir, "system@a.journal"), os.O_WRONLY, 0)
				if err != nil {
					return err
				}
				defer file.Close()
				_, err = file.WriteAt([]byte{0, 0, 0, 0, 0, 1}, atTailSeqnum)
				return err
			}),
			numbered("system.journal", 3, boot(3, t0+7200e6, entries(2, "c"))),
		}, "", true},
		{"two files in turn", []step{
			write("system.journal", ten[:2]), write("user-1000.journal", ten[2:4]),
			both(write("system.journal", ten[4:5]), write("user-1000.journal", ten[5:6]), write("system.journal", ten[6:7])),
			write("system.journal", ten[7:]),
		}, "", false},
	}
	type way struct { // of going through one journal
		kind   string
		memory bool // Exhausted is kept from pass to pass
	}
	var ways []way
	for _, kind := range kinds() {
		ways = append(ways, way{kind, true}, way{kind, false})
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			dir := t.TempDir()
			options, said := map[way]Options{}, map[way][]string{}
			for i, step := range row.steps {
				want := step(t, dir)
				for _, w := range ways {
					if row.memory && !w.memory {
						continue
					}
					o := options[w]
					o.Path, o.Reader, o.Now = dir, w.kind, t0+1e12
					p := read(t, o)
					same(t, p.entries, lines(want))
					if i > 0 {
						said[w] = append(said[w], p.warnings...)
					}
					o = p.goOn(o)
					if !w.memory {
						o.Exhausted = nil
					}
					same(t, read(t, o).entries, nil)
					options[w] = o
				}
			}
			for _, said := range said {
				if row.warning == "" {
					warned(t, said)
				} else {
					warned(t, said, row.warning)
				}
			}
		})
	}
}

// The running boot is later than any other, though its clock and numbering say
// nothing.
func TestRunningBootIsLater(t *testing.T) {
	const epoch = 1_600_000_000_000_000
	eachReader(t, func(t *testing.T, kind string) {
		dir := t.TempDir()
		journaltest.Write(t, filepath.Join(dir, "system.journal"), boot(1, epoch, entries(9, "a")))
		o := Options{Path: dir, Reader: kind, Boot: journaltest.Boot(1)}
		o.After = read(t, o).position
		o.Boot = journaltest.Boot(2)
		b := boot(2, epoch, entries(5, "b"))
		journaltest.Write(t, filepath.Join(dir, "x.journal"), b)
		p := read(t, o)
		same(t, p.entries, lines(b))
		same(t, read(t, p.goOn(o)).entries, nil)
	})
}

// Of two numberings that are written in turn the one that the position is not in goes on in the
// boot of the position, and then in the next.
func TestBootEndsInAnotherNumbering(t *testing.T) {
	eachReader(t, func(t *testing.T, kind string) {
		dir, a, b := t.TempDir(), boot(1, t0, entries(9, "a")), boot(2, t0+1e9, entries(3, "b"))
		system, user := filepath.Join(dir, "system.journal"), filepath.Join(dir, "user-1000.journal")
		journaltest.Write(t, system, a[:3])
		journaltest.Write(t, user, a[3:5]) // the position
		o := Options{Path: dir, Reader: kind, Now: t0 + 1e8}
		p := read(t, o)
		same(t, p.entries, lines(a[:5]))
		journaltest.Write(t, system, append(a[5:], b...))
		o.Now, o.Boot = t0+2e9, journaltest.Boot(2)
		p = read(t, p.goOn(o))
		same(t, p.entries, lines(a[5:], b))
		warned(t, p.warnings)
		same(t, read(t, p.goOn(o)).entries, nil)
	})
}

// A file without entries takes over the numbering of its first one (systemd 254).
func TestEmptyFileIsRenumbered(t *testing.T) {
	eachReader(t, func(t *testing.T, kind string) {
		dir, e := t.TempDir(), entries(5, "m")
		journaltest.Write(t, filepath.Join(dir, "system.journal"), e[:3])
		user := journaltest.Write(t, filepath.Join(dir, "user-1000.journal"), nil)
		o := Options{Path: dir, Reader: kind, Now: t0 + 1e9}
		p := read(t, o)
		same(t, p.entries, lines(e[:3]))
		journaltest.Renumber(t, journaltest.Write(t, user, e[3:]), numbering, 1)
		p = read(t, p.goOn(o))
		same(t, p.entries, lines(e[3:]))
		warned(t, p.warnings)
	})
}

func TestLostCursor(t *testing.T) {
	eachReader(t, func(t *testing.T, kind string) {
		dir, ten := t.TempDir(), entries(10, "m")
		old := journaltest.Write(t, filepath.Join(dir, "system@a.journal"), ten[:4])
		journaltest.Renumber(t, old, numbering, 1)
		o := Options{Path: dir, Reader: kind}
		first := read(t, o)
		journaltest.Renumber(t, journaltest.Write(t, filepath.Join(dir, "system.journal"), ten[7:]), numbering, 8)
		if err := os.Remove(old); err != nil { // vacuumed, and what came between as well
			t.Fatal(err)
		}
		p := read(t, first.goOn(o))
		same(t, p.entries, lines(ten[7:]))
		warned(t, p.warnings, "no longer in the journal", "4s lost", "2023-11-14T22:13:23Z", "journald.conf", dir)
		if len(p.gaps) != 1 || p.gaps[0].From != t0+3e6 || p.gaps[0].To != t0+7e6 || p.gaps[0].Lost != 3 {
			t.Errorf("gaps %+v", p.gaps)
		}
		again := read(t, p.goOn(o))
		if len(again.gaps)+len(again.warnings)+len(again.entries) != 0 {
			t.Errorf("told twice: %+v", again)
		}
	})
}

// A journal that was replaced as a whole (another disk, another host).
func TestCursorOfAnotherJournal(t *testing.T) {
	const other = "s=0e000000000000000000000000000009;i=400;b=0b000000000000000000000000000009;m=1;t=%x;x=1"
	ten := entries(10, "m")
	rows := []struct {
		name    string
		cursor  string
		time    int64
		now     int64
		since   int64
		want    int // entries from the end
		warning string
		gaps    int
	}{
		{"older than all", fmt.Sprintf(other, int64(t0-60e6)), t0 - 60e6, 0, 0, 10, "no longer in the journal", 1},
		{"in the middle", fmt.Sprintf(other, int64(t0+4e6+5e5)), t0 + 4e6 + 5e5, 0, 0, 5, "", 0},
		{"from the future", fmt.Sprintf(other, int64(t0+60e6)), t0 + 60e6, t0 + 20e6, t0 + 5e6, 5, "lies in the future", 0},
		{"garbage", "s=1;i=zz", t0, 0, t0 + 8e6, 2, "cannot be read", 0},
		{"empty", "", 0, 0, t0 + 7e6, 3, "", 0},
	}
	eachReader(t, func(t *testing.T, kind string) {
		file := journaltest.Write(t, filepath.Join(t.TempDir(), "system.journal"), ten)
		for _, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				p := read(t, Options{Path: file, Reader: kind, Now: row.now, Since: row.since,
					After: &state.JournalPosition{Cursor: row.cursor, Time: row.time}})
				same(t, p.entries, lines(ten[10-row.want:]))
				if row.warning != "" {
					warned(t, p.warnings, row.warning)
				} else {
					warned(t, p.warnings)
				}
				if len(p.gaps) != row.gaps {
					t.Errorf("gaps %+v", p.gaps)
				}
				same(t, read(t, p.goOn(Options{Path: file, Reader: kind})).entries, nil)
			})
		}
	})
}

// The clock was ahead, was set right, and the journal goes on in the same file.
func TestCursorFromTheFuture(t *testing.T) {
	eachReader(t, func(t *testing.T, kind string) {
		for _, memory := range []bool{true, false} {
			dir := t.TempDir()
			file := filepath.Join(dir, "system.journal")
			ahead := []journaltest.Entry{{Time: t0, Monotonic: 1e6, Message: "right"}, {Time: t0 + 1e15, Monotonic: 2e6, Message: "ahead"}}
			back := []journaltest.Entry{{Time: t0 + 2e6, Monotonic: 3e6, Message: "back"}, {Time: t0 + 3e6, Monotonic: 4e6, Message: "back 2"}}
			journaltest.Write(t, file, ahead)
			o := Options{Path: dir, Reader: kind, Now: t0 + 1e15 + 10e6}
			p := read(t, o)
			same(t, p.entries, lines(ahead))
			journaltest.Write(t, file, back)
			o.Now = t0 + 5e6
			o = p.goOn(o)
			if !memory {
				o.Exhausted = nil
			}
			p = read(t, o)
			same(t, p.entries, lines(back))
			warned(t, p.warnings, "lies in the future", "clock stepped back")
			p = read(t, p.goOn(o))
			same(t, p.entries, nil)
			warned(t, p.warnings)
		}
	})
}

func TestSuppressedMessages(t *testing.T) {
	word := func(transport, id string, i int64) journaltest.Entry {
		return journaltest.Entry{Time: t0 + i*1e6, Monotonic: i * 1e6, Message: fmt.Sprintf("Suppressed %d messages from ssh.service", 40+i),
			Fields: map[string]string{"MESSAGE_ID": id, "_TRANSPORT": transport, "UNIT": "x"}}
	}
	sshd := func(message string, i int64) journaltest.Entry {
		return journaltest.Entry{Time: t0 + i*1e6, Monotonic: i * 1e6, Message: message, Fields: map[string]string{"_UID": "0", "_TRANSPORT": "syslog"}}
	}
	forged := word("journal", suppressedID, 2)
	forged.Fields["_UID"] = "0"
	other := word("driver", strings.Repeat("0", 32), 3)
	other.Fields["_UID"] = "0"
	all := []journaltest.Entry{sshd("a", 1), forged, other, word("driver", suppressedID, 4), sshd("Suppressed 7 messages from me", 5)}
	eachReader(t, func(t *testing.T, kind string) {
		file := journaltest.Write(t, filepath.Join(t.TempDir(), "a.journal"), all)
		for _, matches := range [][]Match{nil, {{"_UID=0"}}} {
			p := read(t, Options{Path: file, Reader: kind, Matches: matches})
			same(t, p.entries, lines(all[:3], all[4:]))
			want := Gap{From: t0 + 4e6 - 30e6, To: t0 + 4e6, Lost: 44, Unit: "ssh.service"}
			if len(p.gaps) == 1 {
				want.Reason = p.gaps[0].Reason
			}
			if len(p.gaps) != 1 || p.gaps[0] != want || !strings.Contains(want.Reason, "RateLimitBurst") {
				t.Errorf("gaps %+v", p.gaps)
			}
			p = read(t, p.goOn(Options{Path: file, Reader: kind, Matches: matches}))
			if len(p.gaps)+len(p.entries) != 0 {
				t.Errorf("told twice: %+v", p)
			}
		}
	})
}

func TestOverlappingMatches(t *testing.T) {
	e := entries(4, "m")
	e[0].Fields = map[string]string{"_UID": "0", "SYSLOG_IDENTIFIER": "sshd"}
	e[1].Fields = map[string]string{"_UID": "0", "SYSLOG_IDENTIFIER": "other"}
	e[2].Fields = map[string]string{"_UID": "1", "SYSLOG_IDENTIFIER": "sshd"}
	e[3].Fields = map[string]string{"_UID": "1", "SYSLOG_IDENTIFIER": "other"}
	eachReader(t, func(t *testing.T, kind string) {
		file := journaltest.Write(t, filepath.Join(t.TempDir(), "a.journal"), e)
		p := read(t, Options{Path: file, Reader: kind, Matches: []Match{{"_UID=0"}, {"SYSLOG_IDENTIFIER=sshd"}, {"_UID=0"}}})
		same(t, p.entries, lines(e[:3]))
		for _, m := range []Match{{"_UID=0", "_UID=1"}, {"_UID"}, {}, {"uid=0"}, {"=0"}} {
			if _, err := tryRead(Options{Path: file, Reader: kind, Matches: []Match{m}}); err == nil {
				t.Errorf("%q was taken", m)
			}
		}
	})
}

func TestMessagesOfAllKinds(t *testing.T) {
	e := entries(6, "m")
	e[1].Message = "two\nlines"
	e[2].Message = "binary \x00\x01\xff\x1b[31m end\r"
	e[3].Message = strings.Repeat("0123456789abcdef", MaxMessage/16)
	e[4].Message = ""
	e[5].Message = "=\n\n=="
	eachReader(t, func(t *testing.T, kind string) {
		file := journaltest.Write(t, filepath.Join(t.TempDir(), "a.journal"), e)
		same(t, read(t, Options{Path: file, Reader: kind, Fields: []string{"_BOOT_ID"}}).entries, lines(e))
	})
}

// A message that is cut is known by its length.
func TestCutMessages(t *testing.T) {
	e := entries(3, "m")
	for i, more := range []int{1, 2048, 20 << 20} {
		e[i].Message = strings.Repeat("x", MaxMessage+more)
	}
	eachReader(t, func(t *testing.T, kind string) {
		file := journaltest.Write(t, filepath.Join(t.TempDir(), "a.journal"), e)
		r, err := Open(t.Context(), Options{Path: file, Reader: kind})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		n := 0
		for ; r.Next(); n++ {
			if length := len(r.Message()); length <= MaxMessage || length > maxValue {
				t.Errorf("message %d is given as %d bytes", n, length)
			}
		}
		if n != 3 || r.Err() != nil || len(r.Warnings()) > 0 {
			t.Errorf("%d entries, %v, %q", n, r.Err(), r.Warnings())
		}
	})
}

func TestHeld(t *testing.T) {
	dir := journaltest.Unpack(t, "debian12")
	eachReader(t, func(t *testing.T, kind string) {
		for match, want := range map[string]bool{"SYSLOG_IDENTIFIER=sshd": true, "_SYSTEMD_UNIT=nginx.service": false} {
			got, err := Held(t.Context(), Options{Path: dir, Reader: kind, Matches: []Match{{match}}})
			if err != nil || got != want {
				t.Errorf("%s: %v, %v", match, got, err)
			}
		}
	})
}

// TestBootsAlike: on a host without a clock an entry of the next boot may go on where the last one of
// the boot before ended, by both clocks.
func TestBootsAlike(t *testing.T) {
	const epoch = 1_600_000_000_000_000
	sshd := map[string]string{"SYSLOG_IDENTIFIER": "sshd"}
	at := func(seconds int64, fields map[string]string) journaltest.Entry {
		return journaltest.Entry{Monotonic: seconds * 1e6, Message: "m", Fields: fields}
	}
	eachReader(t, func(t *testing.T, kind string) {
		dir := t.TempDir()
		for n, seconds := range []int64{5, 6} {
			journaltest.Write(t, filepath.Join(dir, fmt.Sprintf("system@%d.journal", n)), boot(n+1, epoch, []journaltest.Entry{at(1, nil), at(seconds, sshd)}))
		}
		r, err := Open(t.Context(), Options{Path: dir, Reader: kind, Fields: []string{"_BOOT_ID"}, Matches: []Match{{"SYSLOG_IDENTIFIER=sshd"}}})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		var boots []string
		for r.Next() {
			id, _ := r.Field("_BOOT_ID")
			boots = append(boots, string(id))
		}
		if want := []string{journaltest.Boot(1), journaltest.Boot(2)}; !slices.Equal(boots, want) {
			t.Errorf("boots %q, want %q", boots, want)
		}
	})
}

func TestNoEntryBeforeTheFirst(t *testing.T) {
	eachReader(t, func(t *testing.T, kind string) {
		file := journaltest.Write(t, filepath.Join(t.TempDir(), "a.journal"), entries(2, "m"))
		src, _, _, err := openSource(t.Context(), kind, query{files: []FileInfo{{Path: file}}})
		if err != nil {
			t.Fatal(err)
		}
		defer src.close()
		if ok, err := src.next(); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if _, err := src.previousCursor(); err == nil || err.Error() != "no entry before this one" {
			t.Error(err)
		}
	})
}
