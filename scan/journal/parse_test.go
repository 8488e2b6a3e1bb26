package journal

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"scan2ban/scan/journal/journaltest"
)

const (
	idA = "a0000000000000000000000000000001"
	idB = "b0000000000000000000000000000002"
)

func TestOrderOfTwoEntries(t *testing.T) {
	rows := []struct {
		name, c, d string
		want       int
	}{
		{"one numbering: the number, whatever the clocks say", "s=" + idA + ";i=5;b=" + idA + ";m=1;t=1", "s=" + idA + ";i=4;b=" + idA + ";m=9;t=9", 1},
		{"one boot: the monotonic clock", "s=" + idA + ";i=5;b=" + idA + ";m=1;t=9", "s=" + idB + ";i=4;b=" + idA + ";m=2;t=1", -1},
		{"nothing shared: the wall clock", "s=" + idA + ";i=5;b=" + idA + ";m=1;t=9", "s=" + idB + ";i=6;b=" + idB + ";m=2;t=1", 1},
		{"flushed: another number, the same entry", "s=" + idA + ";i=5;b=" + idA + ";m=1;t=9;x=7", "s=" + idB + ";i=6;b=" + idA + ";m=1;t=9;x=7", 0},
		{"one microsecond, two entries", "s=" + idA + ";i=5;b=" + idA + ";m=1;t=9;x=7", "s=" + idB + ";i=6;b=" + idA + ";m=1;t=9;x=8", -1},
		{"alike in two boots", "s=" + idA + ";i=5;b=" + idA + ";m=1;t=9;x=7", "s=" + idB + ";i=6;b=" + idB + ";m=1;t=8;x=7", 1},
		{"x missing", "s=" + idA + ";i=5;b=" + idA + ";m=1;t=9", "s=" + idB + ";i=6;b=" + idA + ";m=1;t=9;x=8", 0},
		{"a boot without its clock says nothing", "b=" + idA + ";t=9", "b=" + idA + ";m=1;t=8", 1},
	}
	for _, row := range rows {
		c, err1 := ParseCursor(row.c)
		d, err2 := ParseCursor(row.d)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		if got, back := c.Compare(d), d.Compare(c); got != row.want || back != -row.want {
			t.Errorf("%s: %d and %d, want %d", row.name, got, back, row.want)
		}
	}
	for _, bad := range []string{"", "x", "s=1", "s=" + idA, "i=5", "b=" + idA, "t=", "t=g", "t=-1", "s=" + strings.ToUpper(idA) + ";i=1", "t=1;u", "t=11112222333344445"} {
		if c, err := ParseCursor(bad); err == nil {
			t.Errorf("%q is taken for %+v", bad, c)
		}
	}
}

func FuzzCursor(f *testing.F) {
	f.Add("s="+idA+";i=447;b="+idB+";m=93adb558;t=660d95635829a;x=2411ae838787e968", "t=1")
	f.Add("s="+idA+";i=1", "b="+idB+";m=0")
	f.Fuzz(func(t *testing.T, a, b string) {
		c, err := ParseCursor(a)
		if err != nil {
			return
		}
		if again, err := ParseCursor(c.String()); err != nil || again != c {
			t.Errorf("%q: %+v, then %+v, %v", a, c, again, err)
		}
		if d, err := ParseCursor(b); err == nil && c.Compare(d) != -d.Compare(c) {
			t.Errorf("%q and %q: no order", a, b)
		}
		if c.Compare(c) != 0 {
			t.Errorf("%q differs from itself", a)
		}
	})
}

func TestMatchesAreCoalesced(t *testing.T) {
	rows := []struct{ give, want []Match }{
		{[]Match{{"A=1"}}, []Match{{"A=1"}}},
		{[]Match{{"A=1"}, {"A=2"}, {"A=3"}}, []Match{{"A=1", "A=2", "A=3"}}},
		{[]Match{{"A=1", "B=1"}, {"B=1", "A=1"}}, []Match{{"A=1", "B=1"}}},
		{[]Match{{"A=1", "B=1"}, {"A=2", "B=1"}, {"A=2", "B=2"}}, []Match{{"A=1", "B=1", "A=2"}, {"A=2", "B=2"}}},
		{[]Match{{"A=1", "B=1"}, {"A=1", "B=2"}, {"A=2", "B=1"}}, []Match{{"A=1", "B=1", "B=2"}, {"A=2", "B=1"}}},
		{[]Match{{"A=1"}, {"A=1", "B=1"}}, []Match{{"A=1"}, {"A=1", "B=1"}}},
		{[]Match{{"A=1"}, {"B=1"}}, []Match{{"A=1"}, {"B=1"}}},
		{sshdMatches, []Match{
			{"_SYSTEMD_UNIT=ssh.service", "_TRANSPORT=syslog", "_UID=0"},
			{"SYSLOG_IDENTIFIER=sshd", "_TRANSPORT=syslog", "_UID=0", "SYSLOG_IDENTIFIER=sshd-session"}}},
	}
	for _, row := range rows {
		if got := coalesce(row.give); !reflect.DeepEqual(got, row.want) {
			t.Errorf("%q: got %q, want %q", row.give, got, row.want)
		}
	}
}

// parsed is all that the parser makes of the text.
func parsed(text []byte, fields ...string) (out [][]string, err error) {
	p := newExportParser(bytes.NewReader(text), fields)
	for {
		if err := p.next(); err != nil {
			return out, err
		}
		var values []string
		for _, name := range append([]string{"MESSAGE"}, fields...) {
			if v, ok := p.value(name); ok {
				values = append(values, name+"="+string(v))
			}
		}
		out = append(out, values)
	}
}

func TestExportFormat(t *testing.T) {
	binaryField := func(name string, size uint64, value string) string {
		return name + "\n" + string(binary.LittleEndian.AppendUint64(nil, size)) + value
	}
	rows := []struct {
		name, text string
		want       [][]string
		err        error // nil: any but EOF
	}{
		{"nothing", "", nil, io.EOF},
		{"two entries", "MESSAGE=a\n_PID=1\n\nMESSAGE=b\n\n", [][]string{{"MESSAGE=a", "_PID=1"}, {"MESSAGE=b"}}, io.EOF},
		{"binary", binaryField("MESSAGE", 3, "a\nb\n") + "_PID=1\n\n", [][]string{{"MESSAGE=a\nb", "_PID=1"}}, io.EOF},
		{"binary not asked for", binaryField("OTHER", 9, "MESSAGE=x\n") + "_PID=1\n\n", [][]string{{"_PID=1"}}, io.EOF},
		{"the first of several", "_PID=1\n_PID=2\n\n", [][]string{{"_PID=1"}}, io.EOF},
		{"empty and equals signs", "MESSAGE=\n_PID==\n\n", [][]string{{"MESSAGE=", "_PID=="}}, io.EOF},
		{"empty lines between", "\n\nMESSAGE=a\n\n\n\n_PID=1\n\n", [][]string{{"MESSAGE=a"}, {"_PID=1"}}, io.EOF},
		{"longer than the buffer", "MESSAGE=" + strings.Repeat("x", 200_000) + "\n\n", [][]string{{"MESSAGE=" + strings.Repeat("x", 200_000)}}, io.EOF},
		{"an entry that was left, and the next", "__CURSOR=a\nMESSAGE=a\n_PID=1\n__CURSOR=b\nMESSAGE=b\n\n", [][]string{{"MESSAGE=b"}}, io.EOF},
		{"cut in a line", "MESSAGE=a\n\nMESSAGE=b", [][]string{{"MESSAGE=a"}}, io.ErrUnexpectedEOF},
		{"cut in an entry", "MESSAGE=a\n", nil, io.ErrUnexpectedEOF},
		{"cut in a length", "MESSAGE\n\x01\x00", nil, io.ErrUnexpectedEOF},
		{"cut in a value", binaryField("MESSAGE", 1<<39, "a"), nil, io.ErrUnexpectedEOF},
		{"impossible length", binaryField("MESSAGE", 1<<63, "a"), nil, nil},
		{"wrong length", binaryField("MESSAGE", 1, "ab\n\n"), nil, nil},
		{"endless name", strings.Repeat("x", 100_000) + "\n", nil, nil},
	}
	for _, row := range rows {
		got, err := parsed([]byte(row.text), "_PID")
		if !reflect.DeepEqual(got, row.want) || row.err != nil && err != row.err || row.err == nil && (err == nil || errors.Is(err, io.EOF)) {
			t.Errorf("%s: %.300q, %v; want %.300q, %v", row.name, got, err, row.want, row.err)
		}
	}
}

func FuzzExport(f *testing.F) {
	f.Add(journaltest.Export(attack(2)))
	f.Add([]byte("MESSAGE\n\x03\x00\x00\x00\x00\x00\x00\x00a\nb\n_PID=1\n\n"))
	f.Add([]byte("__CURSOR=x\n__REALTIME_TIMESTAMP=7\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := parsed(text, "_PID", "OTHER")
		if err == nil {
			t.Fatal("no end")
		}
		// What stands before an entry that is whole does not depend on what follows.
		if more, _ := parsed(slices.Concat(text, []byte("\n\nMESSAGE=z\n\n")), "_PID", "OTHER"); err == io.EOF && len(more) != len(got)+1 {
			t.Errorf("%d entries, with one more %d", len(got), len(more))
		}
	})
}

func TestFiles(t *testing.T) {
	dir := journaltest.Unpack(t, "debian12")
	files, err := Files(dir)
	if err != nil || len(files) != 5 {
		t.Fatal(files, err)
	}
	got := files[0]
	want := FileInfo{ // as journalctl --header prints it
		Path: dir + "/system.journal", FileID: "681e9669951a4e03b896eb39c5cc0077", MachineID: "98a95fe862814004ab8d656ee9626096",
		SeqnumID: "b8374768a23a418faae149531a873da8", BootID: got.BootID, State: Offline, Entries: 1, HeadSeqnum: 3114, TailSeqnum: 3114,
		HeadRealtime: 0x660d98ac48024, TailRealtime: 0x660d98ac48024, TailMono: 0xc83cb2e2, Size: 8 << 20, compact: true, keyed: true, headerSize: 264, tailObject: got.tailObject, dataTable: got.dataTable, fieldTable: got.fieldTable, inode: got.inode, written: got.written,
	}
	if got != want {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if files[1].State != Archived || files[1].Entries != 3057 {
		t.Errorf("%+v", files[1])
	}
	if err := os.WriteFile(dir+"/x.journal", []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if files, err := Files(dir); len(files) != 5 || !errors.Is(err, errDamaged) || !strings.Contains(err.Error(), "x.journal") {
		t.Errorf("%d files, %v", len(files), err)
	}
}

func FuzzHeader(f *testing.F) {
	file, err := os.ReadFile(journaltest.Unpack(f, "debian12/system.journal"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file[:headerSize], int64(len(file)), file[:headerSize], int64(len(file)))
	f.Fuzz(func(t *testing.T, a []byte, sizeA int64, b []byte, sizeB int64) {
		l := &listing{}
		for i, data := range [][]byte{a, b} {
			info, err := parseHeader(data, []int64{sizeA, sizeB}[i])
			if err == nil {
				l.files = append(l.files, info)
			}
		}
		// No header, however mad, makes a plan fail; all files are opened by the first pass,
		// by a second those whose last entry is new, or later than now: nothing was surveyed.
		o := Options{Now: t0}
		p := newPlan(&o, l)
		p.known = p.newExhausted("t=1", nil)
		for i, info := range p.open {
			if info.Entries == 0 {
				continue // its header contradicts itself
			}
			if p.known.exhausts(slices.IndexFunc(l.files, func(f FileInfo) bool { return f.FileID == info.FileID }), info) == (t0-info.TailRealtime < settle && info.State != Archived) && !sameID(l.files) {
				t.Errorf("file %d: %+v", i, info)
			}
			_ = info.tail()
		}
	})
}

func sameID(files []FileInfo) bool { return len(files) == 2 && files[0].FileID == files[1].FileID }

// What a pass knows of the files goes through JSON whole; what is not of ours is refused.
func TestExhaustedJSON(t *testing.T) {
	x := &Exhausted{Cursor: "s=1;i=2", Files: []ExhaustedFile{
		{ID: "0123456789abcdef0123456789abcdef", Entries: 17, SeqnumID: "fedcba9876543210fedcba9876543210", Seqnum: 1<<64 - 1, Surveyed: 8388608},
		{}}}
	text, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	var got Exhausted
	if err := json.Unmarshal(text, &got); err != nil || !reflect.DeepEqual(&got, x) {
		t.Errorf("%+v, %v, want %+v", got, err, x)
	}
	for _, bad := range []string{`[""]`, `["a 1 b 2"]`, `["a 1 b 2 3 4"]`, `["a -1 b 2 3"]`, `["a 1 b 2 x"]`, `[{"id":"a","entries":1}]`} {
		if json.Unmarshal([]byte(`{"files":`+bad+`}`), &got) == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

func TestLacking(t *testing.T) {
	by := errors.New("damaged")
	for _, w := range (&unreadable{n: 3, by: by}).warnings("entries") {
		if !Lacking(w) {
			t.Errorf("%q", w)
		}
	}
	for text, want := range map[string]bool{
		"journal file /j is passed over: damaged":                   true,
		"journal: the clock stepped back by 59m59s":                 false,
		"log file /var/log/x is left out: no line of it has a time": false,
	} {
		if Lacking(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}

// TestValidField: what a match may name is what the journal may hold.
func TestValidField(t *testing.T) {
	for name, want := range map[string]bool{"_PID": true, "A": true, "Z9": true, "X_0": true, strings.Repeat("A", 64): true,
		"": false, "9A": false, "0": false, "a": false, "A-B": false, "A/": false, "A:": false, "A@": false, "A[": false, "A=": false, strings.Repeat("A", 65): false} {
		if got := validField(name); got != want {
			t.Errorf("%q: %t", name, got)
		}
	}
}
