package state

import (
	"net/netip"
	"slices"
	"testing"
)

// TestMarks: lines that count for what their session has written before, or not for it.
func TestMarks(t *testing.T) {
	line := func(session string, second int64, change func(*Event)) Event {
		e := fail("203.0.113.1", second)
		e.Session = session
		change(&e)
		return e
	}
	mark := func(session, rule string, second int64) Event {
		return line(session, second, func(e *Event) { e.Kind, e.Rule = KindMark, rule })
	}
	after := func(session string, second int64) Event {
		return line(session, second, func(e *Event) { e.After = "seen" })
	}
	unless := func(session string, second int64) Event {
		return line(session, second, func(e *Event) { e.Unless = "seen" })
	}
	nobody := func(second int64) Event {
		return line("b/1", second, func(e *Event) { e.After, e.Addr = "seen", netip.Addr{} })
	}
	named := func(rule, a string, second int64) Event {
		return line("b/1", second, func(e *Event) { e.Kind, e.Rule, e.Addr = KindMark, rule, addr(a) })
	}
	for _, test := range []struct {
		name   string
		events []Event
		want   []string // the clients counted
	}{
		{"after a line that was not written", []Event{after("b/1", 0)}, nil},
		{"after one that was", []Event{mark("b/1", "seen", 0), after("b/1", 1)}, []string{"203.0.113.1"}},
		{"after one of another session", []Event{mark("b/2", "seen", 0), after("b/1", 1)}, nil},
		{"after one of another rule", []Event{mark("b/1", "see", 0), mark("b/1", "seen-too", 0), after("b/1", 1)}, nil},
		{"ten minutes after", []Event{mark("b/1", "seen", 0), after("b/1", sessionSpan)}, []string{"203.0.113.1"}},
		{"and more", []Event{mark("b/1", "seen", 0), after("b/1", sessionSpan+1)}, nil},
		{"after one, of no session", []Event{mark("", "seen", 0), after("", 1)}, nil},
		{"unless a line was written", []Event{unless("b/1", 0), mark("b/1", "seen", 1), unless("b/1", 2)}, []string{"203.0.113.1"}},
		{"unless by another session", []Event{mark("b/2", "seen", 0), unless("b/1", 1)}, []string{"203.0.113.1"}},
		{"unless, of no session", []Event{unless("", 0)}, nil},
		{"whom the session named", []Event{named("seen", "203.0.113.7", 0), named("seen", "203.0.113.8", 0), named("other", "203.0.113.9", 0), nobody(1)}, []string{"203.0.113.8"}},
		{"whom it named long ago", []Event{named("seen", "203.0.113.7", 0), nobody(sessionSpan + 1)}, nil},
		{"when it named nobody", []Event{mark("b/1", "seen", 0), nobody(1)}, []string{"203.0.113.1"}},
	} {
		s := NewSessions()
		var got []string
		for _, e := range test.events {
			if e.Kind == KindMark {
				s.Mark(&e)
			} else if s.Counts(&e) {
				got = append(got, e.Addr.String())
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}
