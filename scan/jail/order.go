package jail

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"

	"scan2ban/scan/trust"
	"scan2ban/state/order"
)

// Errors of a configuration begin with "FILE:LINE:".

// each are the errors that err joins.
func each(err error) []error {
	switch joined := err.(type) {
	case nil:
		return nil
	case interface{ Unwrap() []error }:
		var errs []error
		for _, err := range joined.Unwrap() {
			errs = append(errs, each(err)...)
		}
		return errs
	}
	return []error{err}
}

// fatal are the errors that make the configuration unusable, with those of its jails,
// which by themselves do not.
func fatal(errs, jails []error) []error {
	if len(errs) == 0 {
		return nil
	}
	for _, err := range jails {
		if !errors.As(err, new(*trust.Error)) { // these are told already
			errs = append(errs, err)
		}
	}
	return errs
}

// tells tells whether one of the errors is of that place.
func tells(errs []error, place string) bool {
	return slices.ContainsFunc(errs, func(err error) bool { return strings.HasPrefix(err.Error(), place+":") })
}

// inOrder sorts errors by file and line; those of other files come last. What is said
// twice is said once.
func inOrder(files []*file, errs []error) []error {
	type placed struct {
		err        error
		file, line int
	}
	var list []placed
	for _, err := range errs {
		p := placed{err, len(files), 0}
		text := err.Error()
		for i, f := range files {
			if rest, ok := strings.CutPrefix(text, f.path+":"); ok {
				digits, _, _ := strings.Cut(rest, ":")
				p.file = i
				p.line, _ = strconv.Atoi(digits)
			}
		}
		if !slices.ContainsFunc(list, func(q placed) bool { return q.err.Error() == text }) {
			list = append(list, p)
		}
	}
	order.By(list, func(a, b placed) int {
		return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.line, b.line))
	})
	errs = nil
	for _, p := range list {
		errs = append(errs, p.err)
	}
	return errs
}
