package filter

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/BurntSushi/toml"

	"scan2ban/state"
	"scan2ban/state/order"
)

// Parse reads a filter's text; file is its name in errors. All errors come at
// once, but for a text that is no TOML at all.
func Parse(name, file, text string) (*Filter, error) {
	f, rules, err := parse(name, file, text, true)
	if err != nil {
		return nil, err
	}
	f.Rules = func() []Rule { return rules }
	return f, nil
}

// parseShipped is Parse for a filter of the catalogue, which a test has parsed in
// full: what stands before its rules is read now, they are read on demand.
func parseShipped(name string) (*Filter, error) {
	file := name + ".toml"
	head, err := shippedHead(file)
	if err != nil {
		return nil, err
	}
	f, _, err := parse(name, file, head, false)
	if err != nil {
		return nil, err
	}
	f.Rules = sync.OnceValue(func() []Rule {
		text, err := catalogue.ReadFile("catalogue/" + file)
		if err != nil {
			panic(err)
		}
		_, rules, err := parse(name, file, string(text), false)
		if err != nil {
			panic(err)
		}
		return rules
	})
	return f, nil
}

// shippedHead is what stands in a file of the catalogue before its rules. Every pass reads
// those of all jails, so the rules are not even copied.
func shippedHead(file string) (string, error) {
	f, err := catalogue.Open("catalogue/" + file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	headRoom.Lock()
	head, err := headOf(f, headRoom.begin[:])
	headRoom.Unlock()
	return head, err
}

// headRoom is room for the beginning of a file, the same for each of them.
var headRoom struct {
	sync.Mutex
	begin [4096]byte
}

// headOf reads what stands before the rules, at first into begin.
func headOf(r io.Reader, begin []byte) (string, error) {
	n, err := io.ReadFull(r, begin)
	if err == io.EOF || err == io.ErrUnexpectedEOF { // that was all
		err = nil
	}
	head, _, found := bytes.Cut(begin[:n], []byte("\n[[rule]]"))
	if found || err != nil || n < len(begin) {
		return string(head), err
	}
	rest, err := io.ReadAll(r)
	text, _, _ := strings.Cut(string(begin)+string(rest), "\n[[rule]]")
	return text, err
}

// readTOML gives the text's tree; plain says that it may well be what ReadPlain reads.
func readTOML(file, text string, plain bool) (root map[string]any, err error) {
	if plain {
		if root, ok := ReadPlain(text); ok {
			return root, nil
		}
	}
	if _, err = toml.Decode(text, &root); err == nil {
		return root, nil
	}
	_, err = Syntax(file, err)
	return nil, err
}

// parse reads a filter and its rules; checked says whether to look for what is
// wrong with it as a whole.
func parse(name, file, text string, checked bool) (f *Filter, rules []Rule, err error) {
	root, err := readTOML(file, text, !checked)
	if err != nil {
		return nil, nil, err
	}
	d := &decoder{file: file, text: text}
	f = &Filter{Name: name}
	d.table(nil, root, fields{
		{"description", d.word(&f.Description)},
		{"ports", d.ports(&f.Ports)},
		{"daemon", d.list(&f.Daemon)},
		{"spoofable", d.flag(&f.Spoofable)},
		{"ledger", d.flag(&f.Ledger)},
		{"max_length", d.number(&f.MaxLength, 0)},
		{"journal", d.section(fields{
			{"match", d.terms(&f.Journal.Match)},
			{"require", d.list(&f.Journal.Require)},
		})},
		{"file", d.section(fields{
			{"paths", d.list(&f.File.Paths)},
			{"otherwise", d.list(&f.File.Otherwise)},
			{"program", d.list(&f.File.Program)},
		})},
		{"container", d.section(fields{{"stream", d.word(&f.Container.Stream)}})},
		{"json", d.section(fields{
			{"address", d.paths(&f.JSON.Address)},
			{"user", d.paths(&f.JSON.User)},
			{"forwarded", d.paths(&f.JSON.Forwarded)},
			{"unless", d.word(&f.JSON.Unless)},
		})},
		{"script", d.script(&f.Script)},
		{"rule", d.rules(&rules)},
	})
	for i := range rules {
		if len(rules[i].Conditions) > 0 {
			rules[i].Unless = f.JSON.Unless
		}
	}
	if checked {
		d.check(f, rules)
	}
	if len(d.errs) > 0 {
		order.By(d.errs, func(a, b located) int { return a.line - b.line })
		var errs []error
		for _, e := range d.errs {
			errs = append(errs, e)
		}
		return nil, nil, errors.Join(errs...)
	}
	return f, rules, nil
}

// located is an error at a line of a file.
type located struct {
	file string
	line int
	what string
}

func (e located) Error() string { return fmt.Sprintf("%s:%d: %s", e.file, e.line, e.what) }

// decoder puts a decoded TOML tree into a Filter and collects what is wrong.
type decoder struct {
	file, text string
	errs       []located
	names      func(rule string) bool // whether it is a mark that names the client
}

// field sets one key's value; key is the whole path, for the error.
type field func(key toml.Key, value any)

// fields are those of a table. Every pass makes them for each filter, and in a map they would
// take twice the memory.
type fields []struct {
	name string
	set  field
}

func (d *decoder) fail(key toml.Key, format string, args ...any) {
	line := max(1, KeyLine(d.text, key))
	d.errs = append(d.errs, located{d.file, line, fmt.Sprintf(format, args...)})
}

func (d *decoder) wrongType(key toml.Key, want string, value any) {
	d.fail(key, "%s wants %s, not %s", key[len(key)-1], want, typeName(value))
}

func typeName(value any) string {
	switch value.(type) {
	case string:
		return "a string"
	case int64, float64:
		return "a number"
	case bool:
		return "true or false"
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	case []map[string]any:
		return "tables"
	}
	return "a date"
}

func (d *decoder) table(at toml.Key, raw map[string]any, known fields) {
next:
	for name, value := range raw {
		key := slices.Concat(at, toml.Key{name})
		for i := range known {
			if known[i].name == name {
				known[i].set(key, value)
				continue next
			}
		}
		names := make([]string, len(known))
		for i := range known {
			names[i] = known[i].name
		}
		slices.Sort(names)
		d.fail(key, "unknown key %q%s", name, DidYouMean(name, names))
	}
}

func (d *decoder) section(known fields) field {
	return func(key toml.Key, value any) {
		if raw, ok := value.(map[string]any); ok {
			d.table(key, raw, known)
		} else {
			d.wrongType(key, "a table ["+key[0]+"]", value)
		}
	}
}

// word takes a string. It is called in many places, and not inlined there, as list.
//
//go:noinline
func (d *decoder) word(dst *string) field {
	return func(key toml.Key, value any) {
		var ok bool
		if *dst, ok = value.(string); !ok {
			d.wrongType(key, "a string", value)
		}
	}
}

func (d *decoder) flag(dst *bool) field {
	return func(key toml.Key, value any) {
		var ok bool
		if *dst, ok = value.(bool); !ok {
			d.wrongType(key, "true or false", value)
		}
	}
}

func (d *decoder) number(dst *int, least int) field {
	return func(key toml.Key, value any) {
		n, ok := value.(int64)
		if _, whole := value.(float64); !ok && !whole {
			d.wrongType(key, "a number", value)
		} else if !ok || n < int64(least) || n > 1<<20 {
			d.fail(key, "%s = %v is out of range (a whole number from %d)", key[len(key)-1], value, least)
		}
		*dst = int(n)
	}
}

// list takes strings.
//
//go:noinline
func (d *decoder) list(dst *[]string) field {
	return func(key toml.Key, value any) { *dst = d.strings(key, value) }
}

func (d *decoder) strings(key toml.Key, value any) []string {
	const want = `a list of strings`
	items, ok := value.([]any)
	if !ok {
		d.wrongType(key, want, value)
		return nil
	}
	var list []string
	for _, item := range items {
		if text, ok := item.(string); ok {
			list = append(list, text)
		} else {
			d.wrongType(key, want, item)
			return nil
		}
	}
	return list
}

func (d *decoder) terms(dst *[][]string) field {
	return func(key toml.Key, value any) {
		items, ok := value.([]any)
		if !ok {
			d.wrongType(key, `a list of lists: [["FIELD=value"], ...]`, value)
			return
		}
		for _, item := range items {
			if _, ok := item.([]any); !ok {
				d.wrongType(key, `a list of lists: [["FIELD=value"], ...]`, item)
				return
			}
			*dst = append(*dst, d.strings(key, item))
		}
	}
}

func (d *decoder) ports(dst *[]state.Port) field {
	return func(key toml.Key, value any) {
		items, ok := value.([]any)
		if !ok {
			d.wrongType(key, "a list of ports", value)
			return
		}
		for _, item := range items {
			var p state.Port
			if err := p.UnmarshalTOML(item); err != nil {
				d.fail(key, "%v", err)
				continue
			}
			*dst = append(*dst, p)
		}
	}
}

func (d *decoder) rules(dst *[]Rule) field {
	return func(key toml.Key, value any) {
		tables, ok := value.([]map[string]any)
		if !ok {
			d.wrongType(key, "tables [[rule]]", value)
			return
		}
		*dst = make([]Rule, len(tables))
		for i, raw := range tables {
			r := &(*dst)[i]
			r.Kind, r.Weight = Failure, 1
			d.table(slices.Concat(key, toml.Key{index(i)}), raw, fields{
				{"name", d.word(&r.Name)},
				{"kind", d.kind(&r.Kind)},
				{"modes", d.modes(&r.Modes)},
				{"pattern", d.word(&r.Pattern)},
				{"reason", d.word(&r.Reason)},
				{"where", d.where(&r.Conditions)},
				{"like", d.like(&r.Conditions)},
				{"program", d.list(&r.Program)},
				{"weight", d.number(&r.Weight, 1)},
				{"stage", d.number(&r.Stage, 0)},
				{"once", d.flag(&r.Once)},
				{"after", d.word(&r.After)},
				{"alone", d.flag(&r.Alone)},
				{"echo", d.flag(&r.Echo)},
				{"lingers", d.flag(&r.Lingers)},
			})
			if r.Modes == nil {
				r.Modes = []Mode{Normal}
			}
			// Values before expressions, which cost more.
			order.By(r.Conditions, func(a, b Condition) int {
				return cmp.Or(cmp.Compare(min(len(a.Like), 1), min(len(b.Like), 1)), cmp.Compare(a.Path, b.Path))
			})
		}
	}
}

func index(i int) string { return "[" + strconv.Itoa(i) + "]" }

func (d *decoder) kind(dst *Kind) field {
	valid := []Kind{Failure, Success, Benign, Mark, Refused}
	return func(key toml.Key, value any) {
		var names []string
		for _, k := range valid {
			if value == k.String() {
				*dst = k
				return
			}
			names = append(names, k.String())
		}
		if word, ok := value.(string); ok {
			d.fail(key, "%q is not a kind%s", word, DidYouMean(word, names))
		} else {
			d.wrongType(key, "a string", value)
		}
	}
}

func (d *decoder) modes(dst *[]Mode) field {
	return func(key toml.Key, value any) {
		var names []string
		for _, m := range Modes {
			names = append(names, string(m))
		}
		for _, word := range d.strings(key, value) {
			if !slices.Contains(names, word) {
				d.fail(key, "%q is not a mode%s", word, DidYouMean(word, names))
			}
			*dst = append(*dst, Mode(word))
		}
	}
}
