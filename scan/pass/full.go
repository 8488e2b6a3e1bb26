package pass

import (
	"context"
	"errors"
	"time"
)

// A flood may ban more than one pass should hold in memory. A log can be cut anywhere,
// so the pass stops reading after so many decisions, saves, and the next one goes on
// there. A rebuild must know the whole log, and who only looks wants all of it.

const mostDecisions = 50_000

// How much a pass reads of the logs of one glob once it has been reading for a while: who
// writes a log, or has a server write it, would else keep all bans waiting for its lines, of
// which the dearest take 30 us each. Tests have these smaller.
var (
	mostNew   int64 = 128 << 20 // bytes
	newFreely       = 30 * time.Second
)

// bounded is the context of the reading.
func (p *Pass) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if p.Write && p.lost == "" && p.most == 0 {
		p.most = mostDecisions
	}
	ctx, p.stop = context.WithCancel(ctx)
	return ctx, p.stop
}

// bound ends the reading when enough is decided.
func (p *Pass) bound() {
	if p.most > 0 && !p.full && len(p.Judge.Decisions) >= p.most {
		p.full = true
		p.stop()
	}
}

// beside is what of an error of reading is more than that.
func (p *Pass) beside(err error) error {
	if !p.full || !errors.Is(err, context.Canceled) {
		return err
	}
	several, ok := err.(interface{ Unwrap() []error })
	if inner := errors.Unwrap(err); !ok && inner != nil {
		return p.beside(inner)
	} else if !ok {
		return nil
	}
	var rest []error
	for _, err := range several.Unwrap() {
		rest = append(rest, p.beside(err))
	}
	return errors.Join(rest...)
}

// warnFull says that more is to come.
func (p *Pass) warnFull() {
	if p.full {
		p.Warn("%d decisions are enough for one pass: the next one reads on", len(p.Judge.Decisions))
		p.Ledger.SaveSoon()
	}
}
