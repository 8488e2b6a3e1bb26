package fail2ban

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"scan2ban/scan/filter"
	"scan2ban/state"
	"scan2ban/state/report"
)

// DefaultDir is where Fail2Ban has its configuration.
const DefaultDir = "/etc/fail2ban"

// Options say what is converted, and where it goes.
type Options struct {
	Dir         string
	Write       string // "": nothing is written
	Jails       []string
	All         bool // also jails that are not enabled
	KeepFilters bool
	Filter      string // convert only this filter, as sshd[mode=aggressive]
	JSON        bool
}

// Flags are those of the command.
func (o *Options) Flags(f *pflag.FlagSet) {
	f.StringVar(&o.Write, "write", "", "write scan2ban.toml and filters/ into this `DIR`, over nothing that is there")
	f.StringArrayVar(&o.Jails, "jail", nil, "only this `JAIL`, enabled or not; may be repeated")
	f.BoolVar(&o.All, "all", false, "also jails that are not enabled")
	f.BoolVar(&o.KeepFilters, "keep-filters", false, "convert Fail2Ban's filters also where scan2ban has its own")
	f.StringVar(&o.Filter, "filter", "", "print this one `FILTER` converted, as 'sshd[mode=aggressive]'")
}

// Left is something that is not carried over.
type Left struct {
	Jail  string   `json:"jail,omitempty"`
	Jails []string `json:"jails,omitempty"` // instead, where it is the same of several
	Where string   `json:"where,omitempty"` // file:line
	What  string   `json:"what"`
}

func (l Left) String() string {
	text := l.What
	switch {
	case l.Jail != "":
		text = "jail " + l.Jail + ": " + text
	case len(l.Jails) > 0:
		text = "jails " + strings.Join(l.Jails, ", ") + ": " + text
	}
	if l.Where != "" {
		text = l.Where + ": " + text
	}
	return report.Clean(text)
}

// together tells once what is the same of several jails, at the same place.
func together(list []Left) []Left {
	type same struct{ where, what string }
	all, at := []Left{}, map[same]int{}
	for _, l := range list {
		i, ok := at[same{l.Where, l.What}]
		if !ok {
			at[same{l.Where, l.What}] = len(all)
			all = append(all, l)
			continue
		}
		of := &all[i]
		if of.Jail != "" && of.Jail != l.Jail {
			of.Jail, of.Jails = "", []string{of.Jail}
		}
		if len(of.Jails) > 0 && !has(of.Jails, l.Jail) {
			of.Jails = append(of.Jails, l.Jail)
		}
	}
	return all
}

// Imported is a jail that was converted.
type Imported struct {
	Name      string `json:"name"`
	Filter    string `json:"filter"`
	Converted bool   `json:"converted"` // the filter is Fail2Ban's, not of the catalogue
}

// Result is what an import gives.
type Result struct {
	Jails []Imported `json:"jails"`
	Left  []Left     `json:"left"`

	Config  string            `json:"-"`
	Filters map[string]string `json:"-"` // name: TOML

	telling  telling
	unproven []string // filters
}

// Run imports by o and prints on w.
func (o Options) Run(w io.Writer) error {
	if o.Filter != "" {
		return o.oneFilter(w)
	}
	r, err := o.Read()
	if err != nil {
		return err
	}
	switch {
	case o.Write != "":
		if err := r.write(o.Write); err != nil {
			return err
		}
	case !o.JSON:
		fmt.Fprint(w, r.Config)
		for _, name := range slices.Sorted(maps.Keys(r.Filters)) {
			fmt.Fprintf(w, "\n# ==> filters/%s.toml <==\n%s", name, r.Filters[name])
		}
		return nil
	}
	if o.JSON {
		return report.JSON(w, r)
	}
	fmt.Fprintf(w, "%s and %s written to %s\n", state.Plural(len(r.Jails), "jail"), state.Plural(len(r.Filters), "filter"), o.Write)
	for _, l := range r.Left {
		fmt.Fprintln(w, "not carried over: "+l.String())
	}
	return nil
}

func (o Options) oneFilter(w io.Writer) error {
	name, options, err := parseCall(o.Filter)
	if err != nil {
		return err
	}
	text, warnings, err := convertFilter(o.Dir, name, options)
	if err != nil {
		return err
	}
	for _, line := range warnings {
		fmt.Fprintln(w, "# not carried over: "+report.Clean(line))
	}
	if f, err := filter.Parse(name, name, text); err == nil {
		for _, line := range dayless(f) {
			fmt.Fprintln(w, "# not carried over: "+report.Clean(line))
		}
	}
	d := doubts(name, text)
	if d.open != "" {
		fmt.Fprintln(w, "# WARNING: "+d.open)
	}
	fmt.Fprint(w, d.warning(d.better("write filter = "+quote(d.own))))
	if d.line == "" && d.open == "" {
		fmt.Fprintln(w, "# "+report.Clean(unprovenText([]string{name})))
	}
	_, err = io.WriteString(w, text)
	return err
}

// Read converts without writing.
func (o Options) Read() (*Result, error) {
	t, found, err := readTree(o.Dir, "jail")
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, fmt.Errorf("import %s: no jail.conf or jail.local there (name the directory of Fail2Ban's configuration)", o.Dir)
	}
	if path, err := filepath.Abs(o.Dir); err == nil { // Fail2Ban knows it without being told
		t.sections[defaults]["fail2ban_confpath"] = value{text: strings.ReplaceAll(path, "%", "%%"), file: o.Dir}
	}
	for _, name := range o.Jails {
		if t.sections[name] == nil || name == defaults {
			return nil, fmt.Errorf("import %s: there is no jail %s", o.Dir, name)
		}
	}
	r := &Result{Filters: map[string]string{}, Jails: []Imported{}, Left: []Left{}}
	var b strings.Builder
	fmt.Fprintf(&b, "# From %s, by scan2ban import.\n\n", report.Clean(o.Dir))
	b.WriteString("[defaults]\nipv6_prefix = 128 # as Fail2Ban counts; 64, the default here, takes the addresses of one client together\n")
	for _, name := range slices.Sorted(maps.Keys(t.sections)) {
		if name == defaults || name == "INCLUDES" || len(o.Jails) > 0 && !has(o.Jails, name) {
			continue
		}
		j := &jail{name: name, tree: t, dir: o.Dir, keep: o.KeepFilters, result: r}
		if !o.All && len(o.Jails) == 0 && !isTrue(j.text("enabled")) {
			continue
		}
		before, unproven := len(r.Jails), len(r.unproven)
		text, err := j.convert()
		if err = cmp.Or(j.err, err); err != nil {
			r.Jails, r.unproven = r.Jails[:before], r.unproven[:unproven]
			delete(r.Filters, "fail2ban-"+jailName(name))
			r.Left = append(r.Left, Left{Jail: name, What: "the whole jail: " + err.Error()})
			continue
		}
		b.WriteString("\n" + text)
	}
	b.WriteString(r.telling.toml())
	o.purge(r)
	if len(r.unproven) > 0 {
		r.Left = append(r.Left, Left{What: unprovenText(r.unproven)})
	}
	r.Left = together(r.Left)
	if len(r.Left) > 0 {
		b.WriteString("\n# Not carried over:\n")
		for _, l := range r.Left {
			b.WriteString("# " + l.String() + "\n")
		}
	}
	r.Config = b.String()
	return r, nil
}

// purge names how long Fail2Ban remembers bans, where that was set.
func (o Options) purge(r *Result) {
	t, found, err := readTree(o.Dir, "fail2ban")
	if err != nil || !found {
		return
	}
	v, ok, err := t.get("Definition", "dbpurgeage", nil)
	if n, known := seconds(v.text); err == nil && ok && (!known || n != 86400) {
		r.Left = append(r.Left, Left{Where: v.where(), What: "dbpurgeage = " + v.text + ": bans are remembered for 90 days here ([state] memory)"})
	}
}

// write lays the files down; it touches none that is there.
func (r *Result) write(dir string) error {
	files := map[string]string{filepath.Join(dir, "scan2ban.toml"): r.Config}
	for name, text := range r.Filters {
		files[filepath.Join(dir, "filters", name+".toml")] = text
	}
	names := slices.Sorted(maps.Keys(files))
	for _, path := range names {
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("write %s: it exists (move it away, or write elsewhere and merge)", path)
		} else if !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	for _, path := range names {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return err
		}
		_, err = f.WriteString(files[path])
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

func shipped(name string) bool { return has(filter.Names(), name) }
