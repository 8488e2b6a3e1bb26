package fail2ban

import (
	"fmt"
	"os"
	"strings"

	"scan2ban/scan/filter"
)

// place says where an expression of an option is written, as "FILE:LINE: "; "" where that
// is not known. One that is put together from others stands where its option begins.
func (src *filterSource) place(option, pattern string) string {
	v, ok := src.places[option]
	if !ok || v.file == "" {
		return ""
	}
	data, err := os.ReadFile(v.file)
	if err != nil {
		return v.where() + ": "
	}
	for i, line := range strings.Split(string(data), "\n") {
		if i+1 < v.line {
			continue
		}
		if _, text, ok := strings.Cut(line, "="); ok && i+1 == v.line {
			line = text
		}
		if strings.ReplaceAll(strings.TrimSpace(line), "%%", "%") == pattern {
			v.line = i + 1
			break
		}
	}
	return v.where() + ": "
}

// faults tries each expression of a filter by itself, and names all that cannot be read;
// nil where each can.
func (src *filterSource) faults() error {
	var all []string
	fault := func(option, pattern, name string, err error) {
		all = append(all, src.place(option, pattern)+name+": "+strings.TrimPrefix(err.Error(), name+": "))
	}
	// try translates an expression, and has the script's compiler read what script makes of it.
	try := func(option, pattern, name string, script func(text string, slow bool) filter.Script) (text string, slow, ok bool) {
		text, slow, err := expression(pattern, src.Usedns)
		if err == nil {
			s := script(text, slow)
			_, err = s.Open()
		}
		if err != nil {
			fault(option, pattern, name, err)
		}
		return text, slow, err == nil
	}
	var around filter.Script // what each failure is tried with
	if src.Prefregex != "" {
		text, slow, ok := try("prefregex", src.Prefregex, "prefregex", func(text string, slow bool) filter.Script {
			return filter.Script{Prefix: text, Backtracks: backtracking(slow, "prefix")}
		})
		if ok {
			around = filter.Script{Prefix: text, Backtracks: backtracking(slow, "prefix")}
		}
	}
	for i, pattern := range src.Ignoreregex {
		try("ignoreregex", pattern, fmt.Sprintf("ignoreregex %d", i+1), func(text string, slow bool) filter.Script {
			return filter.Script{Ignore: []string{text}, Backtracks: backtracking(slow, "ignore-1")}
		})
	}
	for i, pattern := range src.Failregex {
		name := fmt.Sprintf("failregex %d", i+1)
		try("failregex", pattern, name, func(text string, slow bool) filter.Script {
			s := around
			s.Failures = []filter.Expression{{Name: name, Pattern: text, Backtracks: slow}}
			return s
		})
	}
	for _, pattern := range patterns(src.Datepattern) {
		s := filter.Script{Dates: []string{pattern}}
		if _, err := s.Open(); err != nil {
			fault("datepattern", pattern, "datepattern "+pattern, err)
		}
	}
	if len(src.Failregex) == 0 {
		all = append(all, src.place("failregex", "")+"it has no failregex")
	}
	if len(all) == 0 {
		return nil
	}
	return fmt.Errorf("filter %s: %s", src.Name, strings.Join(all, "; "))
}

func backtracking(slow bool, name string) []string {
	if slow {
		return []string{name}
	}
	return nil
}
