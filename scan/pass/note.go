package pass

import (
	"slices"
	"strings"

	"scan2ban/state"
)

// What a pass warns of, and what fails in it, goes into the history once and not every
// minute: the deliveries tell people of it.

const (
	notedMost  = 20        // in one pass
	notedKept  = 200       // that are remembered
	notedAgain = 24 * 3600 // seconds without it after which a warning is news again
	notedLong  = 500       // bytes of a text
)

// note makes decisions of the warnings and errors that are news since the last note.
func (p *Pass) note() {
	p.noted = nil
	now, known := p.Now.Unix(), p.volatile.Noted
	if known == nil {
		known = map[string]int64{}
	}
	for name, seen := range known {
		if now-seen > notedAgain {
			delete(known, name)
		}
	}
	texts := slices.Clone(p.Warnings)
	for _, g := range p.Gaps {
		texts = append(texts, "the log has a gap: "+g.Reason)
	}
	for _, err := range p.Errs {
		texts = append(texts, strings.Split(err.Error(), "\n")...)
	}
	for _, d := range p.Judge.Decisions {
		if d.Verb == state.Warned { // the history has it
			texts = slices.DeleteFunc(texts, func(text string) bool { return text == d.Text })
		}
	}
	for _, text := range texts {
		name := state.Hash(digits.Replace(text))
		_, old := known[name]
		if !old && (len(p.noted) >= notedMost || len(known) >= notedKept) {
			continue
		}
		known[name] = now
		if !old {
			p.noted = append(p.noted, state.Warning(now, "", strings.ToValidUTF8(text[:min(len(text), notedLong)], "")))
		}
	}
	p.volatile.Noted = known
}

// digits takes away what changes from one pass to the next.
var digits = strings.NewReplacer("0", "", "1", "", "2", "", "3", "", "4", "", "5", "", "6", "", "7", "", "8", "", "9", "")
