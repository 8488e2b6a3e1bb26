package report

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
)

// Shapes groups lines that differ in their numbers, addresses and quoted texts only.
// When there are too many, the rarer half is forgotten: a frequent one that comes
// late finds room.
type Shapes struct {
	by   map[string]*shape
	more int // lines of shapes that were forgotten
}

type shape struct {
	text, example string
	lines         int
}

// maxExample is how much of an example is kept, in bytes.
const maxExample = 500

// maxShapes bounds the shapes that are told apart.
const maxShapes = 10_000

// Add counts a line.
func (s *Shapes) Add(line string) {
	text := fold(line)
	if x := s.by[text]; x != nil {
		x.lines++
		return
	}
	if len(s.by) == maxShapes {
		for _, x := range s.sorted()[maxShapes/2:] {
			s.more += x.lines
			delete(s.by, x.text)
		}
	}
	if s.by == nil {
		s.by = map[string]*shape{}
	}
	s.by[text] = &shape{text, strings.Clone(line[:min(len(line), maxExample)]), 1}
}

// sorted are the shapes, the most frequent first.
func (s *Shapes) sorted() []*shape {
	var list []*shape
	for _, x := range s.by {
		list = append(list, x)
	}
	slices.SortFunc(list, func(a, b *shape) int {
		return cmp.Or(cmp.Compare(b.lines, a.lines), cmp.Compare(a.text, b.text))
	})
	return list
}

// fold gives what a line has in common with others of its kind: addresses become
// ADDR, words with digits N or HEX, texts in double quotes "...".
func fold(line string) string {
	const longest = 400 // bytes of a line that tell its kind
	var b strings.Builder
	line = line[:min(len(line), longest)]
	for line != "" {
		if line[0] == '"' {
			if end := quoteEnd(line); end > 0 {
				b.WriteString(`"..."`)
				line = line[end:]
				continue
			}
		}
		n := 0
		for n < len(line) && isWordByte(line[n]) {
			n++
		}
		if n == 0 {
			b.WriteByte(line[0])
			line = line[1:]
			continue
		}
		b.WriteString(foldWord(line[:n]))
		line = line[n:]
	}
	return b.String()
}

// quoteEnd is the length of the quoted text that line begins with; 0 where it has no end.
func quoteEnd(line string) int {
	for i := 1; i < len(line); i++ {
		switch line[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}

func isWordByte(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || strings.IndexByte("._:%-", c) >= 0
}

// foldWord folds what stands between two separators.
func foldWord(word string) string {
	if !strings.ContainsAny(word, "0123456789:") {
		return word
	}
	bare := strings.TrimRight(word, ".:-")
	rest := word[len(bare):]
	if _, err := netip.ParseAddr(bare); err == nil {
		return "ADDR" + rest
	}
	if _, err := netip.ParseAddrPort(bare); err == nil {
		return "ADDR:N" + rest
	}
	if len(bare) >= 8 && strings.Trim(bare, "0123456789abcdefABCDEF-") == "" && strings.ContainsAny(bare, "abcdefABCDEF") {
		return "HEX" + rest
	}
	var b strings.Builder
	digits := false
	for _, c := range []byte(word) {
		if digit := c >= '0' && c <= '9'; digit {
			if !digits {
				b.WriteByte('N')
			}
			digits = true
			continue
		}
		digits = false
		b.WriteByte(c)
	}
	return b.String()
}
