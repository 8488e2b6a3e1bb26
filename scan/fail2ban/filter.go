package fail2ban

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"scan2ban/scan/filter"
	"scan2ban/state/lazy"
)

// filterSource is one of Fail2Ban's filters with all options put in. Only the tags that
// stand for a part of an expression (<HOST>, <F-USER> ...) are left in it.
type filterSource struct {
	Name         string
	Prefregex    string
	Failregex    []string
	Ignoreregex  []string
	Maxlines     int    // 0: not given
	Datepattern  string // "": not given; one pattern a line
	Journalmatch string // one match a line
	Usedns       string

	places map[string]value // of the options, as they are written
}

var (
	anyTag    = lazy.Regexp(`</?[\w\-]+/?>`)
	customTag = lazy.Regexp(`^<(/?)F-([A-Z0-9_\-]+)>$`)
)

// closedTags stand for an expression by themselves.
var closedTags = map[string]string{
	"<F-IP4/>": "<IP4>", "<F-IP6/>": "<IP6>", "<F-ADDR/>": "<ADDR>", "<F-CIDR/>": "<CIDR>", "<F-SUBNET/>": "<SUBNET>", "<F-DNS/>": "<DNS>",
	"<F-ID/>": `(?P<fid>\S+)`, "<F-PORT/>": `(?P<fport>\w+)`,
}

// expression writes one of Fail2Ban's expressions as the engine reads it.
func expression(pattern, usedns string) (translated string, backtracks bool, err error) {
	open := map[string]bool{}
	skips := 0
	pattern = anyTag().ReplaceAllStringFunc(pattern, func(tag string) string {
		if tag == "<HOST>" && usedns == "no" {
			return "<ADDR>"
		}
		if tag == "<SKIPLINES>" {
			skips++
			return `\n(?P<skiplines` + strconv.Itoa(skips-1) + `>(?:(?:.*\n)*?))`
		}
		if text, ok := closedTags[tag]; ok {
			return text
		}
		m := customTag().FindStringSubmatch(tag)
		switch {
		case m == nil, m[1] != "" && !open[m[2]]:
			return tag
		case m[1] != "":
			return ")"
		}
		open[m[2]] = true
		name := strings.ToLower(m[2])
		switch name {
		case "id":
			name = "fid"
		case "port":
			name = "fport"
		}
		return "(?P<" + name + ">"
	})
	translated, linear, err := filter.Dialect(pattern)
	return translated, !linear, err
}

// convert writes a filter as TOML. A failregex that cannot be read is left out, and
// warned of. The error names all that is wrong where none is left, or another part of the
// filter cannot be read.
func convert(src *filterSource) (text string, warnings []string, err error) {
	var b strings.Builder
	fmt.Fprintf(&b, "description = %s\n", quote("imported: "+src.Name))
	ofSSHD := src.Name == "sshd" || strings.HasPrefix(src.Name, "sshd-")
	if ofSSHD {
		b.WriteString("max_length = 500 # sshd cuts its lines here: a longer one may have lost the true address\n")
	}
	terms, warnings := journalTerms(src.Journalmatch)
	if len(terms) > 0 {
		b.WriteString("\n[journal]\nmatch = [\n")
		for _, term := range terms {
			fmt.Fprintf(&b, "  %s,\n", tomlList(term))
		}
		b.WriteString("]\n")
		if ofSSHD {
			b.WriteString("require = ['_TRANSPORT=syslog', '_UID=0'] # a client can begin lines on its standard error\n")
		}
	}
	b.WriteString("\n[script]\n")
	var backtracks []string
	if src.Prefregex != "" {
		prefix, slow, err := expression(src.Prefregex, src.Usedns)
		if err != nil {
			return "", warnings, src.faults()
		}
		if slow {
			backtracks = append(backtracks, "prefix")
		}
		fmt.Fprintf(&b, "prefix = %s\n", quote(prefix))
	}
	var ignore []string
	for _, pattern := range src.Ignoreregex {
		translated, slow, err := expression(pattern, src.Usedns)
		if err != nil {
			// Without it more would be failures.
			return "", warnings, src.faults()
		}
		ignore = append(ignore, translated)
		if slow {
			backtracks = append(backtracks, "ignore-"+strconv.Itoa(len(ignore)))
		}
	}
	list(&b, "ignore", ignore)
	list(&b, "backtracks", backtracks)
	if src.Maxlines > 1 {
		fmt.Fprintf(&b, "lines = %d\n", src.Maxlines)
	}
	list(&b, "dates", patterns(src.Datepattern))
	n, warned := src.failures(&b)
	warnings = append(warnings, warned...)
	if n == 0 {
		return "", warnings, src.faults()
	}
	text = b.String()
	if _, err := filter.Parse(src.Name, src.Name, text); err != nil {
		return "", warnings, cmp.Or(src.faults(), fmt.Errorf("filter %s, converted: %w", src.Name, err))
	}
	return text, warnings, nil
}

// failures writes the failregexes that can be read, and gives their number.
func (src *filterSource) failures(b *strings.Builder) (n int, warnings []string) {
	for i, pattern := range src.Failregex {
		translated, slow, err := expression(pattern, src.Usedns)
		if err != nil {
			warnings = append(warnings, fmt.Sprintf("%sfailregex %d is left out: %v", src.place("failregex", pattern), i+1, err))
			continue
		}
		n++
		fmt.Fprintf(b, "\n[[script.failure]]\nname = \"failure-%d\"\n", i+1)
		if slow {
			b.WriteString("backtracks = true # lookaround, a backreference, a condition, a repetition that may match nothing: not linear, has a limit a line\n")
		}
		fmt.Fprintf(b, "pattern = %s\n", quote(translated))
	}
	return n, warnings
}

func list(b *strings.Builder, key string, values []string) {
	if len(values) == 0 {
		return
	}
	fmt.Fprintf(b, "%s = [\n", key)
	for _, value := range values {
		fmt.Fprintf(b, "  %s,\n", quote(value))
	}
	b.WriteString("]\n")
}

// quote writes a TOML string, without escapes where that can be: what a terminal would act on
// is one.
func quote(text string) string {
	odd := func(c rune) bool { return c != '\t' && !unicode.IsPrint(c) }
	if !strings.ContainsAny(text, "'\n\r") && !strings.ContainsFunc(text, odd) {
		return "'" + text + "'"
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			b.WriteString(`\` + string(c))
		case c == '\n':
			b.WriteString(`\n`)
		case !unicode.IsPrint(c):
			fmt.Fprintf(&b, `\U%08x`, c)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// journalTerms reads matches as journalctl takes them: fields that differ are ANDed,
// values of one field ORed, and "+" is an OR.
func journalTerms(text string) (terms [][]string, warnings []string) {
	for _, line := range strings.Split(text, "\n") {
		for _, part := range strings.Split(" "+line+" ", " + ") {
			var fields []string
			values := map[string][]string{}
			for _, match := range strings.Fields(part) {
				match = strings.Trim(match, `"'`)
				field, _, ok := strings.Cut(match, "=")
				if !ok {
					warnings = append(warnings, fmt.Sprintf("journalmatch %q is not FIELD=value: left out", match))
					continue
				}
				if values[field] == nil {
					fields = append(fields, field)
				}
				values[field] = append(values[field], match)
			}
			all := [][]string{nil}
			for _, field := range fields {
				var more [][]string
				for _, term := range all {
					for _, match := range values[field] {
						more = append(more, append(term[:len(term):len(term)], match))
					}
				}
				all = more
			}
			for _, term := range all {
				if len(term) > 0 {
					terms = append(terms, term)
				}
			}
		}
	}
	return terms, warnings
}
