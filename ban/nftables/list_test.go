package nftables

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// drop is a list with these ranges; read counts how often it was asked for them.
func drop(read *int, prefixes ...string) Group {
	var ranges []Range
	for _, p := range prefixes {
		ranges = append(ranges, RangeOf(key(p).Prefix))
	}
	g := Group{Name: "list/drop", Reach: reach("tcp")}
	g.List = &List{Prints: PrintsOf(ranges), Samples: SamplesOf(ranges), Read: func() ([]Range, error) { *read++; return ranges, nil }}
	return g
}

// TestList: a list is loaded, left alone, changed, mended and taken away, and its file is
// read only when the kernel must be told.
func TestList(t *testing.T) {
	private(t)
	read := 0
	first := []Group{drop(&read, "192.0.2.0/24", "198.51.100.7", "255.255.255.255", "2001:db8::/32"), sshd(elements(time.Hour, "203.0.113.1")...)}
	r := sync(t, first, nil, nil)
	golden(t, "list.nft", ours(t))
	if read == 0 || r.Memory == nil || r.Repaired != 0 {
		t.Fatalf("first: read %d, %+v", read, r)
	}
	read = 0
	if r = sync(t, first, first, r.Memory); r.Commits+read > 0 || r.Dumped {
		t.Errorf("unchanged: read %d, %v", read, r.Plan)
	}
	second := []Group{drop(&read, "192.0.2.0/25", "198.51.100.7", "2001:db8::/32"), first[1]}
	if r = sync(t, second, first, r.Memory); r.Commits != 1 || r.Dumped || strings.Contains(ours(t), "192.0.2.0/24") || !strings.Contains(ours(t), "192.0.2.0/25") {
		t.Errorf("changed: %v\n%s", r.Plan, ours(t))
	}
	read = 0
	nft(t, "add table ip other")
	if r = sync(t, second, second, r.Memory); !r.Dumped || r.Commits+read+r.Repaired > 0 {
		t.Errorf("somebody else's change: read %d, %v", read, r.Plan)
	}
	for name, script := range map[string]string{
		"flushed set":   "flush set inet scan2ban list/drop4",
		"another range": "add element inet scan2ban list/drop4 { 203.0.113.0/24 }",
		"one less":      "delete element inet scan2ban list/drop6 { 2001:db8::/32 }",
		"flushed table": "delete table inet scan2ban",
		"flushed chain": "flush chain inet scan2ban prerouting",
	} {
		if name == "another range" && !counted(t) {
			t.Log("the kernel tells no number of elements")
			continue
		}
		want := ours(t)
		nft(t, script)
		if r = sync(t, second, second, r.Memory); r.Repaired == 0 || ours(t) != want {
			t.Errorf("%s: %v\n%s", name, r.Plan, ours(t))
		}
	}
	if k, err := Dump(t.Context()); err != nil || len(k.Elements) != 1 {
		t.Errorf("dump: %v, %v: want the ban alone", k.Elements, err)
	}
	sync(t, second[1:], second, r.Memory)
	if strings.Contains(ours(t), "list/") {
		t.Errorf("taken away:\n%s", ours(t))
	}
}

// counted tells whether this kernel tells how many elements a set has.
func counted(t *testing.T) bool {
	t.Helper()
	l, err := open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	live, err := l.readTable()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range live.sets {
		if s.name == "list/drop4" {
			return s.count != 0
		}
	}
	t.Fatal("no list")
	return false
}

// TestSamples: of many ranges some of each family, none of none.
func TestSamples(t *testing.T) {
	ranges := append(halfMillion(1000), RangeOf(key("2001:db8::/32").Prefix))
	samples := SamplesOf(ranges)
	if n := len(samples); n < sampled || n > 2*sampled || !samples[n-1].Is6() || samples[n-2].Is6() || len(SamplesOf(nil)) > 0 {
		t.Errorf("%d samples: %v", n, samples)
	}
}

// TestListUnread: a list that cannot be read leaves what is there.
func TestListUnread(t *testing.T) {
	private(t)
	read := 0
	good := []Group{drop(&read, "192.0.2.0/24")}
	r := sync(t, good, nil, nil)
	bad := good[0]
	bad.List = &List{Prints: PrintsOf(nil), Read: func() ([]Range, error) { return nil, errors.New("gone") }}
	want := ours(t)
	r, err := Options{}.Sync(context.Background(), []Group{bad}, good, r.Memory)
	if err != nil || r.Failed["list/drop"] == nil || ours(t) != want {
		t.Errorf("%v, %v\n%s", r.Failed, err, ours(t))
	}
	empty := []Group{drop(&read)}
	for range 2 { // to empty what is empty moves no generation
		if r = sync(t, empty, nil, nil); r.Memory == nil {
			t.Error("emptied: nothing is remembered")
		}
	}
	bad.List = &List{Read: bad.List.Read} // not known what is there: it is right
	if r = sync(t, []Group{bad}, nil, nil); r.Commits > 0 {
		t.Errorf("%v", r.Plan)
	}
}

// halfMillion are ranges that do not touch.
func halfMillion(n int) []Range {
	list := make([]Range, n)
	for i := range list {
		v := uint32(11)<<24 + uint32(i)*512
		list[i] = RangeOf(netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}), 24))
	}
	return list
}

// BenchmarkList loads 500,000 ranges into a table that is not there.
func BenchmarkList(b *testing.B) {
	ranges := halfMillion(500_000)
	g := Group{Name: "list/drop", Reach: reach("tcp"), List: &List{Prints: PrintsOf(ranges), Samples: SamplesOf(ranges), Read: func() ([]Range, error) { return ranges, nil }}}
	private(b)
	for b.Loop() {
		b.StopTimer()
		if err := Remove(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		sync(b, []Group{g}, nil, nil)
	}
}
