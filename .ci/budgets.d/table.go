package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// table collects lines and prints them as Markdown.
type table struct {
	lines []line
	full  bool // the sizes are those of the budgets: there are verdicts on ratios
}

type line struct {
	what, build, ours, peer, ratio, processor, budget, verdict string
}

// add puts a comparison into the table. budget 0: there is none.
func (t *table) add(what string, b build, p pair, budget float64) {
	l := line{what: what, build: b.name, ours: duration(p.ours), peer: duration(p.peer),
		ratio: fmt.Sprintf("%.2f (%.2f-%.2f)", p.ratio, p.low, p.top), processor: fmt.Sprintf("%.2f", p.processor)}
	if budget > 0 {
		l.budget = fmt.Sprintf("%.2f x", budget)
		if t.full {
			l.verdict = verdict(p.ratio <= budget)
		}
	}
	t.append(l)
}

// size puts an amount of bytes into the table, which has no peer.
func (t *table) size(what string, b build, bytes, budget float64) {
	l := line{what: what, build: b.name, ours: fmt.Sprintf("%.1f MB", bytes/1e6)}
	if budget > 0 {
		l.budget = fmt.Sprintf("%.0f MB", budget/1e6)
		l.verdict = verdict(bytes <= budget)
	}
	t.append(l)
}

func (t *table) failed(row, build string) {
	t.append(line{what: "row " + row, build: build, verdict: "NOT MEASURED, see stderr"})
}

func (t *table) append(l line) {
	t.lines = append(t.lines, l)
	progress("%s, %s: %s, %s, %s, budget %s %s", l.what, l.build, l.ours, dash(l.peer), dash(l.ratio), dash(l.budget), l.verdict)
}

func verdict(met bool) string {
	if met {
		return "met"
	}
	return "**missed**"
}

func (t *table) write(w io.Writer, s sizes) {
	fmt.Fprintln(w, "| what, against what | build | ours | peer | ratio | processor | budget | |")
	fmt.Fprintln(w, "|---|---|--:|--:|--:|--:|--:|---|")
	for _, l := range t.lines {
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", l.what, l.build, l.ours, dash(l.peer), dash(l.ratio), dash(l.processor), dash(l.budget), l.verdict)
	}
	fmt.Fprintf(w, "\nWhole processes, one of ours and one of the peer's in turn; medians of %d pairs (%d or %d where a run takes long), the ratio with its quartiles; processor is the ratio of processor time. MB are 10^6 bytes.\n", s.fast, s.medium, s.slow)
	if !t.full {
		fmt.Fprintln(w, "Small sizes (--quick): there is no verdict on ratios.")
	}
	fmt.Fprintln(w, "The idle minute against Fail2Ban, with PID 1 and the sandbox, is measured by .ci/minute.")
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func duration(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%.1f ms", d.Seconds()*1e3)
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

// machine is the line that says where the figures are from.
func machine() string {
	model := runtime.GOARCH
	for field, value := range fields("/proc/cpuinfo") {
		if field == "model name" {
			model = value
		}
	}
	return fmt.Sprintf("%d x %s, %.0f GB; Linux %s; %s; %s; %s; %s", runtime.NumCPU(), model, float64(kilobytes("MemTotal"))*1024/1e9,
		said("uname", "-r"), said("journalctl", "--version"), said("nft", "--version"), said("jq", "--version"), runtime.Version())
}

// said is the first line that a command prints, without what is in parentheses.
func said(args ...string) string {
	text, _ := exec.Command(args[0], args[1:]...).Output()
	first, _, _ := strings.Cut(string(text), "\n")
	first, _, _ = strings.Cut(first, " (")
	return strings.TrimSpace(first)
}

// fields reads a file of "NAME: VALUE" lines; the last of a name wins.
func fields(path string) map[string]string {
	m := map[string]string{}
	text, _ := os.ReadFile(path)
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok {
			m[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	return m
}

func kilobytes(name string) uint64 {
	n, _ := strconv.ParseUint(strings.TrimSuffix(fields("/proc/meminfo")[name], " kB"), 10, 64)
	return n
}

func memoryAvailable() uint64 { return kilobytes("MemAvailable") * 1024 }
