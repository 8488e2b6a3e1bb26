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
	if !IsTerminal(w) {
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

// Done takes the line away.
func (p *Progress) Done() {
	if p.w != nil && !p.shown.IsZero() {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
