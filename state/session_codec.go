package state

import "fmt"

// How sessions lie in the state file: see encode.

func appendSessions(b []byte, out *pieces, s *Sessions) []byte {
	b = append(b, '{')
	first := true
	for _, id := range s.order {
		x, ok := s.byID[id]
		if !ok {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(appendText(append(b, '\n'), id), ':')
		counted := 0
		if x.counted {
			counted = 1
		}
		b = fmt.Appendf(b, "[%d,%d,%d", x.last, x.stage, counted)
		for _, mark := range x.marks {
			b = appendText(append(b, ','), mark)
		}
		b = out.full(append(b, ']'))
	}
	return append(b, '}')
}

func readSessions(raw []byte) (*Sessions, error) {
	s := NewSessions()
	in := &scanner{data: raw}
	err := in.object(func(id string) error {
		x := &session{}
		place := 0
		s.byID[id] = x
		s.order = append(s.order, id)
		return in.array(func() (err error) {
			var n int64
			var mark string
			switch place {
			case 0:
				x.last, err = in.integer()
			case 1:
				n, err = in.integer()
				x.stage = int(n)
			case 2:
				n, err = in.integer()
				x.counted = n != 0
			default:
				mark, err = in.text()
				x.marks = append(x.marks, mark)
			}
			place++
			return err
		})
	})
	return s, err
}
