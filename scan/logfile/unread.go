package logfile

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"scan2ban/state/clean"
)

// Unread is what keeps groups from a log of theirs. The error is one line, whatever a
// service has called its files.
type Unread struct {
	Err    error
	Groups []int // by index in Options.Groups
}

// Unreadable collects errors, of each glob the first ones and how many more there are: who
// may lay a log there that cannot be read may lay thousands.
type Unreadable struct{ of []*unreadable }

type unreadable struct {
	glob  string
	first []Unread
	more  Unread
	n     int // of those
}

// mostUnread is how many are named.
const mostUnread = 3

// Add takes an error of a log that the glob has led to; empty: that is not known.
func (u *Unreadable) Add(glob string, err error, groups ...int) {
	i := slices.IndexFunc(u.of, func(of *unreadable) bool { return of.glob == glob })
	if i < 0 {
		i = len(u.of)
		u.of = append(u.of, &unreadable{glob: glob})
	}
	of := u.of[i]
	if len(of.first) < mostUnread {
		of.first = append(of.first, Unread{clean.Error(err), groups})
		return
	}
	of.n++
	of.more.Err = clean.Error(&further{strings.TrimSpace("log files " + glob), of.n, err})
	for _, g := range groups {
		if !slices.Contains(of.more.Groups, g) {
			of.more.Groups = append(of.more.Groups, g)
		}
	}
}

// further stands for errors that are not named, and is what the last of them is.
type further struct {
	what string
	n    int
	last error
}

func (f *further) Error() string { return fmt.Sprintf("%s: %d more cannot be read", f.what, f.n) }
func (f *further) Unwrap() error { return f.last }

// List are the errors, glob by glob.
func (u *Unreadable) List() (list []Unread) {
	for _, of := range u.of {
		list = append(list, of.first...)
		if of.n > 0 {
			list = append(list, of.more)
		}
	}
	return list
}

// Err joins them.
func (u *Unreadable) Err() error {
	var errs []error
	for _, one := range u.List() {
		errs = append(errs, one.Err)
	}
	return errors.Join(errs...)
}

// fail takes what keeps a log, or all that a glob leads to, from being read.
func (r *Reader) fail(log string, err error) {
	glob, groups := r.globOf(log)
	if errors.Is(err, r.ctx.Err()) { // no log's fault, and told of each
		r.calledOff.Add("", err, groups...)
		return
	}
	r.unread.Add(glob, err, groups...)
}

// globOf gives the groups whose globs a name fits, or which have it as a glob, and the first
// of these globs. A name that none fits may be any group's.
func (r *Reader) globOf(name string) (glob string, groups []int) {
	for g := range r.o.Groups {
		if i := slices.IndexFunc(r.o.Groups[g].Paths, func(glob string) bool { return fits(glob, name) }); i >= 0 {
			if groups == nil {
				glob = r.o.Groups[g].Paths[i]
			}
			groups = append(groups, g)
		}
	}
	if groups != nil {
		return glob, groups
	}
	for g := range r.o.Groups {
		groups = append(groups, g)
	}
	return name, groups
}

// Unread is what could not be read, and of whom.
func (r *Reader) Unread() []Unread {
	return slices.Concat(r.unread.List(), r.many.List(), r.calledOff.List())
}
