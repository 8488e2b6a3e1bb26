package scan

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"scan2ban/scan/container/containertest"
	"scan2ban/scan/filter"
	"scan2ban/scan/journal"
	"scan2ban/scan/journal/journaltest"
	"scan2ban/state"
)

// entry is one of Docker's journald driver; more are fields beside its own.
func entry(at int64, message string, more ...string) journaltest.Entry {
	e := journaltest.Entry{Time: at, Message: message, Fields: map[string]string{
		"CONTAINER_ID": "c0ffee000000", "CONTAINER_ID_FULL": "c0ffee0000001", "CONTAINER_NAME": "ssh", "CONTAINER_TAG": "tag", "PRIORITY": "6",
		"SYSLOG_IDENTIFIER": "tag", "_UID": "0", "_TRANSPORT": "journal", "_COMM": "dockerd", "_PID": "7"}}
	for _, field := range more {
		name, value, _ := strings.Cut(field, "=")
		e.Fields[name] = value
	}
	return e
}

func containerWatch(t testing.TB, jail string, terms ...string) Watch {
	w := sshdWatch(t, jail)
	w.Container = true
	for _, term := range terms {
		w.Terms = append(w.Terms, []string{term, "_UID=0", "_TRANSPORT=journal"})
	}
	return w
}

// heard reads entries in passes of so many, as package pass does.
func heard(t *testing.T, every int, watches []Watch, entries ...journaltest.Entry) (got []string) {
	t.Helper()
	dir := t.TempDir()
	var after *state.JournalPosition
	var open []string
	for from := 0; from < len(entries); from += every {
		journaltest.Write(t, dir+"/j/system.journal", entries[from:min(from+every, len(entries))])
		o := journal.Options{Path: dir + "/j", After: after, Matches: Matches(watches), Fields: Fields(watches), Now: T * 1e6}
		r, err := journal.Open(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		streams := Resume(open)
		JournalFrom(r, watches, Limit{Second: T}, streams, func(f Finding) {
			got = append(got, fmt.Sprintf("%s %s %s %s", f.Jail, f.Verdict.Kind, f.Verdict.Addr, f.Session))
		})
		open, after = streams.Open(), r.Position()
		if err := r.Err(); err != nil {
			t.Fatal(err)
		}
		r.Close()
	}
	return got
}

const (
	rootFailed = "Failed password for root from 203.0.113.1 port 1 ssh2"
	victim     = "Failed password for root from 203.0.113.66 port 1 ssh2"
)

func TestContainersInTheJournal(t *testing.T) {
	at := func(n int64) int64 { return (T-100)*1e6 + n }
	part := "CONTAINER_PARTIAL_MESSAGE=true"
	first := "one failure 203.0.113.1 "
	for name, c := range map[string]struct {
		entries []journaltest.Entry
		want    []string
	}{
		"Docker":                   {[]journaltest.Entry{entry(at(1), rootFailed)}, []string{first}},
		"conmon keeps the end":     {[]journaltest.Entry{entry(at(1), rootFailed+"\n")}, []string{first}},
		"a terminal":               {[]journaltest.Entry{entry(at(1), rootFailed+"\r\n")}, []string{first}},
		"by its tag":               {[]journaltest.Entry{entry(at(1), rootFailed, "CONTAINER_NAME=other", "CONTAINER_TAG=ssh")}, []string{first}},
		"a time of its own":        {[]journaltest.Entry{entry(at(1), "2026-11-22T08:14:01Z "+rootFailed)}, []string{first}},
		"a syslog prefix":          {[]journaltest.Entry{entry(at(1), "Nov 22 08:14:01 host sshd[12]: "+rootFailed)}, []string{first + "file/12"}},
		"another program's":        {[]journaltest.Entry{entry(at(1), "Nov 22 08:14:01 host other[12]: "+victim)}, nil},
		"another container":        {[]journaltest.Entry{entry(at(1), victim, "CONTAINER_NAME=ssh2")}, nil},
		"by a user":                {[]journaltest.Entry{entry(at(1), victim, "_UID=1000")}, nil},
		"by logger, as a user":     {[]journaltest.Entry{entry(at(1), victim, "_UID=1000", "_TRANSPORT=syslog")}, nil},
		"a line feed inside":       {[]journaltest.Entry{entry(at(1), "x\n"+victim)}, []string{"one refused invalid IP "}},
		"in two parts":             {[]journaltest.Entry{entry(at(1), rootFailed[:20], part), entry(at(2), rootFailed[20:])}, []string{first}},
		"the other stream between": {[]journaltest.Entry{entry(at(1), rootFailed[:20], part), entry(at(2), rootFailed, "PRIORITY=3"), entry(at(3), rootFailed[20:])}, []string{first, first}},
		"the end is no line":       {[]journaltest.Entry{entry(at(1), strings.Repeat("x", 16384), part), entry(at(2), victim)}, []string{"one refused invalid IP "}},
		"nor of a known part":      {[]journaltest.Entry{entry(at(1), victim, "CONTAINER_PARTIAL_ORDINAL=2", "CONTAINER_PARTIAL_LAST=true"), entry(at(2), rootFailed)}, []string{first}},
		"unfinished, then anew": {[]journaltest.Entry{entry(at(1), "unfinished", part, "CONTAINER_PARTIAL_ORDINAL=1"),
			entry(at(2), rootFailed[:20], part, "CONTAINER_PARTIAL_ORDINAL=1"), entry(at(3), rootFailed[20:], "CONTAINER_PARTIAL_ORDINAL=2")}, []string{first}},
		"empty": {[]journaltest.Entry{entry(at(1), ""), entry(at(2), "\n")}, nil},
	} {
		got := heard(t, 100, []Watch{containerWatch(t, "one", "CONTAINER_NAME=ssh", "CONTAINER_TAG=ssh")}, c.entries...)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		other := containerWatch(t, "other", "CONTAINER_NAME=none")
		if got := heard(t, 100, []Watch{containerWatch(t, "one", "CONTAINER_NAME=ssh", "CONTAINER_TAG=ssh"), other}, c.entries...); !slices.Equal(got, c.want) {
			t.Errorf("%s, of two jails: %q, want %q", name, got, c.want)
		}
	}
}

// The end of a line is no line of the next pass.
func TestPassInsideALine(t *testing.T) {
	at := (T - 100) * 1e6
	entries := []journaltest.Entry{
		entry(at, strings.Repeat("x", 16384), "CONTAINER_PARTIAL_MESSAGE=true"), entry(at+1, rootFailed, "PRIORITY=3"),
		entry(at+2, victim), entry(at+3, rootFailed), entry(at+4, "unfinished", "CONTAINER_PARTIAL_MESSAGE=true"),
	}
	watches := []Watch{containerWatch(t, "one", "CONTAINER_NAME=ssh")}
	for _, every := range []int{1, 2} {
		got := heard(t, every, watches, entries...)
		if want := slices.Repeat([]string{"one failure 203.0.113.1 "}, 2); !slices.Equal(got, want) {
			t.Errorf("%d a pass: %q, want %q", every, got, want)
		}
	}
}

// What Docker and podman wrote of testdata/containers/say.sh.
func TestRecordedJournal(t *testing.T) {
	packed, err := os.Open(filepath.Join(containertest.Dir(), "journal.export.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	unpacked, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	export, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	journaltest.Import(t, filepath.Join(dir, "system.journal"), export)
	rules, err := filter.Load("vaultwarden")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"jd", "pj", "jtag"} {
		w := containerWatch(t, name, "CONTAINER_NAME="+name, "CONTAINER_TAG="+name)
		w.Matcher, w.Program = rules.Compile(filter.Normal), rules.File.Program
		watches := []Watch{w}
		r, err := journal.Open(context.Background(), journal.Options{Path: dir, Matches: Matches(watches), Fields: Fields(watches)})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		lines, streams := 0, Streams{}
		entries := JournalFrom(r, watches, Limit{Second: math.MaxInt32}, streams, func(f Finding) {
			lines++
			if f.Verdict.Kind == filter.Failure {
				got = append(got, f.Verdict.Addr.String())
			}
		})
		r.Close()
		if want := map[string]int{"jd": 12, "jtag": 12, "pj": 15}[name]; entries != want || lines != 7 || !slices.Equal(got, []string{"203.0.113.1"}) || len(streams.Open()) != 1 {
			t.Errorf("%s: %d lines in %d entries blame %q, %q go on", name, lines, entries, got, streams.Open())
		}
	}
}
