package nftables

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"golang.org/x/sys/unix"
)

// perCommit is how many elements go into one transaction: it was the fastest of
// 250 to 100,000, and fits a socket's usual buffer.
const perCommit = 1000

// apply does what the plan says and returns how many transactions it took. Groups
// that the kernel refuses are put into failed; an error is for everybody.
func (l *link) apply(ctx context.Context, p Plan, want *arrangement, failed map[string]error) (commits int, err error) {
	changes := p.Changes
	if len(p.Structure) > 0 {
		if changes, err = l.mend(p, want, failed); err != nil {
			return 0, err
		}
		commits++
	}
	var pending []piece
	count := 0
	flush := func() error {
		if len(pending) == 0 {
			return nil
		}
		n, err := l.commitPieces(pending, failed)
		commits += n
		pending, count = nil, 0
		return err
	}
	for _, c := range changes {
		if failed[c.Group] != nil {
			continue
		}
		for _, piece := range c.pieces() {
			if err := ctx.Err(); err != nil {
				return commits, err
			}
			if count += len(piece.entries); count > perCommit {
				if err := flush(); err != nil {
					return commits, err
				}
				count = len(piece.entries)
			}
			pending = append(pending, piece)
		}
	}
	return commits, flush()
}

// mend makes the structure right in one transaction, which also holds the
// elements of the sets that it replaces, and returns what is still to be done.
// Groups that the kernel refuses are left out: a refused transaction has changed
// nothing.
func (l *link) mend(p Plan, want *arrangement, failed map[string]error) (rest []Change, err error) {
	together := true // the elements of replaced sets are in the transaction
	for {
		b := newBatch(tableName)
		if err := p.structure(b, want); err != nil {
			return nil, err
		}
		rest = nil
		for _, c := range p.Changes {
			switch {
			case failed[c.Group] != nil:
			case together && (p.rebuild || slices.Contains(p.drop, c.Set)):
				for _, piece := range c.pieces() {
					piece.write(b)
				}
			default:
				rest = append(rest, c)
			}
		}
		err := l.commit(b)
		var no *refusal
		switch refused := errors.As(err, &no) && !errors.Is(err, fs.ErrPermission); {
		case err == nil:
			return rest, nil
		case errors.Is(err, unix.EMSGSIZE) && together: // no room, as in a container of an ordinary user
			together = false
		case refused && no.blames():
			for owner, err := range no.all {
				if owner != "" {
					failed[owner] = explainGroup(err, want, owner)
					want = want.without(owner)
				}
			}
		case refused && !p.rebuild:
			p = p.anew(want) // something of somebody else's inside our table is in the way
		default:
			return nil, explain(fmt.Errorf("write table inet %s: %w (\"scan2ban check\" names what is missing)", tableName, err))
		}
	}
}

// anew is the plan that makes the table from nothing.
func (p Plan) anew(want *arrangement) Plan {
	fresh := Plan{rebuild: true, Structure: p.Structure}
	for _, h := range want.sets {
		fresh.compareSet(nil, nil, h, 0)
	}
	p.rebuild, p.Changes, p.Unread = true, fresh.Changes, fresh.Unread
	return p
}

// explainGroup says what was refused.
func explainGroup(err error, want *arrangement, group string) error {
	for _, r := range want.rules {
		if r.group == group && errors.Is(err, unix.EOPNOTSUPP) {
			return fmt.Errorf("the kernel refused %q or its set: %w (rejecting before routing wants Linux 5.9: blocktype = \"drop\" works everywhere)", r.text, err)
		}
	}
	return fmt.Errorf("the kernel refused its sets or rules: %w", err)
}

// structure writes table, chain, sets and rules.
func (p Plan) structure(b *batch, want *arrangement) error {
	b.table(add)
	if p.rebuild {
		b.table(del)
		b.table(add)
	}
	b.chain()
	if !p.rebuild {
		b.flushChain()
		for _, name := range p.drop {
			b.delSet(name)
		}
	}
	missing := map[string]bool{}
	for _, name := range p.create {
		missing[name] = true
	}
	for _, h := range want.sets {
		if p.rebuild || missing[h.name] {
			b.owner = h.group
			b.addSet(h.set)
		}
	}
	for _, r := range want.rules {
		b.owner = r.group
		if err := b.rule(r); err != nil {
			return err
		}
	}
	b.owner = ""
	return nil
}

// piece is a part of a change that must be in one transaction.
type piece struct {
	set, group string
	how        how
	entries    []Entry
}

type how uint8

const (
	insert  how = iota // elements that are not there
	renew              // that may be there
	remove             // that may have ended by themselves
	rewrite            // an interval set as a whole
)

// pieces cuts a change into parts of at most perCommit elements.
func (c Change) pieces() []piece {
	if c.Rewrite {
		return []piece{{c.Set, c.Group, rewrite, c.Add}}
	}
	var list []piece
	for _, part := range []struct {
		how  how
		list []Entry
	}{{remove, c.Remove}, {renew, c.Renew}, {insert, c.Add}} {
		for rest := part.list; len(rest) > 0; {
			n := min(len(rest), perCommit)
			list = append(list, piece{c.Set, c.Group, part.how, rest[:n]})
			rest = rest[n:]
		}
	}
	return list
}

// write writes the messages of a piece. Deleting what is not there loses the
// whole transaction, and adding what is there is silently nothing before Linux
// 6.12: so what may or may not be there is added, deleted, and added again.
func (p piece) write(b *batch) {
	b.owner = p.group
	switch p.how {
	case rewrite:
		b.flushSet(p.set)
	case renew, remove:
		b.elements(add, p.set, p.entries)
		b.elements(del, p.set, p.entries)
	}
	if p.how != remove {
		b.elements(add, p.set, p.entries)
	}
	b.owner = ""
}

// commitPieces makes pieces true in one transaction; if it is refused, in one
// for each group, and those that are refused again are put into failed.
func (l *link) commitPieces(pieces []piece, failed map[string]error) (commits int, err error) {
	b := newBatch(tableName)
	var groups []string
	byGroup := map[string][]piece{}
	for _, p := range pieces {
		if byGroup[p.group] == nil {
			groups = append(groups, p.group)
		}
		byGroup[p.group] = append(byGroup[p.group], p)
		p.write(b)
	}
	var before, after uint32
	emptying := !slices.ContainsFunc(pieces, func(p piece) bool { return p.how != rewrite || len(p.entries) > 0 })
	if emptying {
		if before, err = l.generation(); err != nil {
			return 0, err
		}
	}
	if err = l.commit(b); err == nil && emptying {
		if after, err = l.generation(); err != nil {
			return 0, err
		}
		return int(min(after-before, 1)), nil // to empty what is empty is no transaction
	}
	if err == nil {
		return 1, nil
	}
	var no *refusal
	if !errors.As(err, &no) && !errors.Is(err, unix.EMSGSIZE) || errors.Is(err, fs.ErrPermission) {
		return 0, explain(fmt.Errorf("write elements of table inet %s: %w", tableName, err))
	}
	if len(pieces) == 1 && pieces[0].how == rewrite && len(pieces[0].entries) > perCommit && errors.Is(err, unix.EMSGSIZE) {
		return l.commitParts(pieces[0], failed)
	}
	if len(groups) == 1 {
		failed[groups[0]] = fmt.Errorf("the kernel refused %d of its elements: %w", len(pieces[0].entries), err)
		return 0, nil
	}
	for _, group := range groups {
		n, err := l.commitPieces(byGroup[group], failed)
		commits += n
		if err != nil {
			return commits, err
		}
	}
	return commits, nil
}

// commitParts rewrites a set in several transactions, where one is more than the socket
// may send, as in a container of an ordinary user.
func (l *link) commitParts(p piece, failed map[string]error) (commits int, err error) {
	for rest := p.entries; len(rest) > 0 && failed[p.group] == nil; {
		n := min(len(rest), perCommit)
		part := p
		part.entries, rest = rest[:n], rest[n:]
		n, err := l.commitPieces([]piece{part}, failed)
		if commits += n; err != nil {
			return commits, err
		}
		p.how = insert
	}
	return commits, nil
}
