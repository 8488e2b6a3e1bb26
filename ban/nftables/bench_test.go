package nftables

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const hundredThousand = 100_000

// BenchmarkApply100k puts 100,000 bans into a table that is not there, ours
// beside `nft -f` of the same in one command. The budget: 0.75 of it at most.
func BenchmarkApply100k(b *testing.B) {
	for name, v6 := range map[string]bool{"v4": false, "v6": true} {
		groups := []Group{sshd(many(hundredThousand, v6, time.Hour)...)}
		b.Run(name+"/ours", func(b *testing.B) {
			private(b)
			for b.Loop() {
				b.StopTimer()
				if err := Remove(b.Context()); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				sync(b, groups, nil, nil)
			}
		})
		b.Run(name+"/nft", func(b *testing.B) {
			private(b)
			script := script(b, groups[0], v6)
			for b.Loop() {
				b.StopTimer()
				if err := Remove(b.Context()); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				command(b, "nft", "-f", script)
			}
		})
	}
}

// script is what Sync would do with a group, for nft -f.
func script(t testing.TB, g Group, v6 bool) string {
	name, kind := "sshd4", "ipv4_addr"
	if v6 {
		name, kind = "sshd6", "ipv6_addr"
	}
	var text strings.Builder
	fmt.Fprintf(&text, "table inet scan2ban {\nset %s { type %s; flags timeout; counter; elements = {\n", name, kind)
	for _, e := range g.Elements {
		fmt.Fprintf(&text, "%v timeout %ds,\n", e.Key.Addr(), int(e.Left.Seconds()))
	}
	text.WriteString("} }\n}\n")
	path := filepath.Join(t.TempDir(), "bans.nft")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// BenchmarkDump100k reads 100,000 elements back and compares them, ours beside
// `nft -j list set`. The budget: 1.0 of it at most.
func BenchmarkDump100k(b *testing.B) {
	for name, v6 := range map[string]bool{"v4": false, "v6": true} {
		groups := []Group{sshd(many(hundredThousand, v6, time.Hour)...)}
		set := map[bool]string{false: "sshd4", true: "sshd6"}[v6]
		b.Run(name+"/ours", func(b *testing.B) {
			private(b)
			start := time.Now()
			sync(b, groups, nil, nil)
			for b.Loop() {
				for i := range groups[0].Elements { // time passes
					groups[0].Elements[i].Left = time.Hour - time.Since(start)
				}
				if r := sync(b, groups, groups, nil); r.Commits > 0 {
					b.Fatal(r.Plan)
				}
			}
		})
		b.Run(name+"/nft", func(b *testing.B) {
			private(b)
			sync(b, groups, nil, nil)
			for b.Loop() {
				c := exec.Command("nft", "-j", "list", "set", "inet", tableName, set)
				if err := c.Run(); err != nil { // what it prints is thrown away
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkUntouched is the pass that finds nothing to do, with no bans, with
// 65,536, and with those in another order than the ledger gave them before.
func BenchmarkUntouched(b *testing.B) {
	shuffled := many(65_536, false, time.Hour)
	shuffled[0], shuffled[1] = shuffled[1], shuffled[0]
	for _, c := range []struct {
		name string
		was  []Group
	}{
		{"0", []Group{sshd()}},
		{"65536", []Group{sshd(many(65_536, false, time.Hour)...)}},
		{"65536-reordered", []Group{sshd(shuffled...)}},
	} {
		b.Run(c.name, func(b *testing.B) {
			private(b)
			want := []Group{sshd(many(len(c.was[0].Elements), false, time.Hour)...)}
			memory := sync(b, want, nil, nil).Memory
			for b.Loop() {
				if r := sync(b, want, c.was, memory); r.Commits > 0 || r.Dumped {
					b.Fatal(r.Plan)
				}
			}
		})
	}
}

// BenchmarkOne bans one address more where 65,536 are.
func BenchmarkOne(b *testing.B) {
	private(b)
	was := []Group{sshd(many(65_536, false, time.Hour)...)}
	want := []Group{sshd(many(65_537, false, time.Hour)...)}
	memory := sync(b, was, nil, nil).Memory
	for i := 0; b.Loop(); i++ {
		r := sync(b, want, was, memory)
		if r.Commits != 1 || r.Dumped {
			b.Fatal(r.Plan)
		}
		memory = r.Memory
		want, was = was, want
	}
}
