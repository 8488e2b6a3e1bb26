package filter

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Every pass reads the heads of the filters that its jails name, and the configuration;
// reading one as TOML costs as much as a tenth of an idle pass. What shipped filters and most
// configurations need of TOML is little: ReadPlain reads that, and gives up at anything else.

// ReadPlain reads keys, sections one or two deep ([journal], [jail.NAME]), texts without
// escapes, whole numbers, true and false, and lists. ok is false where text holds anything
// else: then it is one for the TOML package. A test compares the two for every shipped filter.
func ReadPlain(text string) (root map[string]any, ok bool) {
	odd := func(c rune) bool { return c < ' ' && c != '\n' && c != '\t' || c == 0x7f || c == utf8.RuneError }
	if strings.ContainsFunc(text, odd) {
		return nil, false
	}
	h := &head{rest: text}
	root = map[string]any{}
	table := root
	var implied []string // sections that stand before a dot alone
	for h.skip(); h.rest != "" && !h.bad; h.skip() {
		if h.take("[") {
			name, in := h.word(), root
			if h.take(".") {
				if root[name] == nil {
					implied = append(implied, name)
					root[name] = map[string]any{}
				}
				if !slices.Contains(implied, name) { // it stands there itself
					return nil, false
				}
				in = root[name].(map[string]any)
				name = h.word()
			}
			if table = map[string]any{}; in[name] != nil || !h.take("]") {
				return nil, false
			}
			in[name] = table
			if !h.ended() {
				return nil, false
			}
			continue
		}
		key := h.word()
		h.blanks()
		if table[key] != nil || !h.take("=") {
			return nil, false
		}
		h.blanks()
		table[key] = h.value()
		if !h.ended() {
			return nil, false
		}
	}
	return root, !h.bad
}

// ended tells whether nothing more stands on the line.
func (h *head) ended() bool {
	h.blanks()
	return h.rest == "" || h.rest[0] == '\n' || h.rest[0] == '#'
}

type head struct {
	rest string
	bad  bool
}

func (h *head) take(text string) (ok bool) {
	h.rest, ok = strings.CutPrefix(h.rest, text)
	return ok
}

func (h *head) blanks() { h.rest = strings.TrimLeft(h.rest, " \t") }

// skip steps over white space and comments.
func (h *head) skip() {
	for {
		h.rest = strings.TrimLeft(h.rest, " \t\n")
		if !strings.HasPrefix(h.rest, "#") {
			return
		}
		_, h.rest, _ = strings.Cut(h.rest, "\n")
	}
}

// word reads a bare key.
func (h *head) word() string {
	n := 0
	for n < len(h.rest) && (h.rest[n] == '_' || h.rest[n] == '-' || h.rest[n] >= 'a' && h.rest[n] <= 'z' || isDigit(h.rest[n])) {
		n++
	}
	word := h.rest[:n]
	h.rest, h.bad = h.rest[n:], h.bad || n == 0
	return word
}

func (h *head) value() any {
	switch {
	case h.bad || h.rest == "":
	case h.rest[0] == '"' || h.rest[0] == '\'':
		return h.text()
	case h.take("["):
		list := []any{}
		for h.skip(); !h.take("]"); h.skip() {
			if list = append(list, h.value()); h.bad {
				return nil
			}
			h.skip()
			if !h.take(",") && !strings.HasPrefix(h.rest, "]") {
				h.bad = true
				return nil
			}
		}
		return list
	case h.take("true"):
		return true
	case h.take("false"):
		return false
	default:
		n := 0
		for n < len(h.rest) && isDigit(h.rest[n]) {
			n++
		}
		number, err := strconv.ParseInt(h.rest[:n], 10, 64)
		h.rest, h.bad = h.rest[n:], err != nil || n > 1 && h.rest[0] == '0'
		return number
	}
	h.bad = true
	return nil
}

// text reads a text on one line, without escapes.
func (h *head) text() string {
	quote := h.rest[0]
	end := strings.IndexByte(h.rest[1:], quote)
	if end <= 0 { // none, or the first two of three
		h.bad = true
		return ""
	}
	text := h.rest[1 : 1+end]
	h.rest = h.rest[end+2:]
	h.bad = strings.ContainsAny(text, "\n\r") || quote == '"' && strings.Contains(text, `\`)
	return text
}
