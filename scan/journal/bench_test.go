package journal

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"testing"

	"scan2ban/scan/journal/journaltest"
)

// attack is n entries of an sshd under attack, with the fields that journald
// writes with them.
func attack(n int) []journaltest.Entry {
	out := make([]journaltest.Entry, n)
	for i := range out {
		pid := fmt.Sprint(1000 + i/3)
		out[i] = journaltest.Entry{
			Time: t0 + int64(i)*250_000, Monotonic: int64(i+1) * 250_000,
			Message: fmt.Sprintf("Failed password for invalid user u%d from 198.51.%d.%d port %d ssh2", i%977, i/256%256, i%256, 1024+i%60000),
			Fields: map[string]string{
				"_TRANSPORT": "syslog", "_UID": "0", "_GID": "0", "_PID": pid, "SYSLOG_PID": pid, "PRIORITY": "6",
				"SYSLOG_FACILITY": "4", "SYSLOG_IDENTIFIER": "sshd", "_COMM": "sshd", "_EXE": "/usr/sbin/sshd",
				"_CMDLINE": "sshd: unknown [priv]", "_CAP_EFFECTIVE": "1ffffffffff", "_SYSTEMD_CGROUP": "/system.slice/ssh.service",
				"_SYSTEMD_UNIT": "ssh.service", "_SYSTEMD_SLICE": "system.slice", "_HOSTNAME": "host", "_MACHINE_ID": journaltest.Boot(9),
				"SYSLOG_TIMESTAMP":           fmt.Sprintf("Nov 14 22:%02d:%02d ", i/240%60, i/4%60),
				"_SOURCE_REALTIME_TIMESTAMP": fmt.Sprint(t0 + int64(i)*250_000 - 30),
			},
		}
	}
	return out
}

const attackEntries = 300_000

// BenchmarkCatchUp reads a backlog with _PID and _BOOT_ID for a third of it,
// beside "journalctl -o cat" of the same matches.
func BenchmarkCatchUp(b *testing.B) {
	dir := filepath.Dir(journaltest.Write(b, filepath.Join(b.TempDir(), "system.journal"), attack(attackEntries))) // rotated on the way
	perEntry := func(b *testing.B) { b.ReportMetric(float64(attackEntries*b.N)/b.Elapsed().Seconds(), "entries/s") }
	for _, kind := range kinds() {
		for _, row := range []struct {
			name  string
			every int
		}{{"no field", 0}, {"a third", 3}, {"all", 1}} {
			b.Run(kind+"/"+row.name, func(b *testing.B) {
				for b.Loop() {
					r, err := Open(context.Background(), Options{Path: dir, Reader: kind, Matches: sshdMatches, Fields: []string{"_PID", "_BOOT_ID"}})
					if err != nil {
						b.Fatal(err)
					}
					n := 0
					for ; r.Next(); n++ {
						if row.every > 0 && n%row.every == 0 {
							r.Field("_PID")
							r.Field("_BOOT_ID")
						}
					}
					if err := r.Close(); n != attackEntries || r.Err() != nil || err != nil {
						b.Fatal(n, r.Err(), err)
					}
				}
				perEntry(b)
			})
		}
	}
	b.Run("peer journalctl -o cat", func(b *testing.B) {
		args := []string{"--directory=" + dir, "-q", "-o", "cat"}
		for i, m := range sshdMatches {
			if i > 0 {
				args = append(args, "+")
			}
			args = append(args, m...)
		}
		for b.Loop() {
			run(b, args)
		}
		perEntry(b)
	})
}

func run(b *testing.B, args []string) {
	cmd := exec.Command("journalctl", args...)
	cmd.Stdout = io.Discard
	if err := cmd.Run(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkIdle is a pass over an unchanged journal, of 5 files and of 91.
func BenchmarkIdle(b *testing.B) {
	for _, files := range []int{5, 91} {
		dir := b.TempDir()
		made := journaltest.Write(b, filepath.Join(b.TempDir(), "a.journal"), attack(100))
		for i := range files {
			link(b, made, dir, fmt.Sprintf("system@%d.journal", i))
		}
		for _, kind := range kinds() {
			b.Run(fmt.Sprintf("%s/%d files", kind, files), func(b *testing.B) {
				o := Options{Path: dir, Reader: kind, Matches: sshdMatches}
				o = read(b, o).goOn(o)
				for b.Loop() {
					if p := read(b, o); len(p.entries) != 0 || p.source != "" {
						b.Fatal(p)
					}
				}
			})
		}
		b.Run(fmt.Sprintf("peer journalctl -n 1/%d files", files), func(b *testing.B) {
			for b.Loop() {
				run(b, []string{"--directory=" + dir, "-q", "-n", "1", "-o", "cat"})
			}
		})
	}
}
