package report

import (
	"fmt"
	"io"
	"time"
)

// Progress shows on a terminal how far a long reading has come.
type Progress struct {
	w     io.Writer // nil: not a terminal
	begun time.Time
	shown time.Time
	n     int
}

// NewProgress shows on w, if that is a terminal.
func NewProgress(w io.Writer) *Progress {
	if !isTerminal(w) {
		w = nil
	}
	return &Progress{w: w, begun: time.Now()}
}

// Step notes one more entry, logged at second t, and shows it now and then.
func (p *Progress) Step(t int64) {
	if p.n++; p.w == nil || p.n%4096 != 0 {
		return
	}
	now := time.Now()
	if now.Sub(p.begun) < time.Second || now.Sub(p.shown) < 200*time.Millisecond {
		return
	}
	p.shown = now
	fmt.Fprintf(p.w, "\r\x1b[Kread %d entries up to %s (%.0f a second)", p.n, Local(t), float64(p.n)/now.Sub(p.begun).Seconds())
}

// Share is Step where it is known what part of the work is done, 0 to 1 (below 0: it is
// not), for a caller that has counted some entries since.
func (p *Progress) Share(t int64, done float64) {
	if p.n += shared; p.w == nil {
		return
	}
	now := time.Now()
	took := now.Sub(p.begun)
	if took < time.Second || now.Sub(p.shown) < 200*time.Millisecond {
		return
	}
	p.shown = now
	left := ""
	if done > 0.01 && done <= 1 {
		left = fmt.Sprintf(", %d %%, %s left", int(done*100), span(int64(took.Seconds()*(1-done)/done)+1))
	}
	fmt.Fprintf(p.w, "\r\x1b[Kread %s entries up to %s (%s a second%s)", grouped(p.n), Local(t), grouped(int(float64(p.n)/took.Seconds())), left)
}

// shared is how many entries lie between two calls of Share.
const shared = 4096

// Done takes the line away.
func (p *Progress) Done() {
	if p.w != nil && !p.shown.IsZero() {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
