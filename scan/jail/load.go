package jail

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"github.com/BurntSushi/toml"

	"scan2ban/ban/deliver"
	"scan2ban/ban/nftables"
	"scan2ban/scan/filter"
	"scan2ban/scan/logfile"
	"scan2ban/scan/trust"
	"scan2ban/state"
	"scan2ban/state/lazy"
)

// file is one TOML file, with the sections of the top level kept apart.
type file struct {
	path string
	text string
	root map[string]any
	jail map[string]any // [jail.NAME], by name
}

// sections are the names that may stand at the top of a file.
var sections = []string{"defaults", "jail", "state", "kernel", "geo", "mail", "hook", "metrics", "list"}

// Load reads the file at path and conf.d beside it. Where path is empty the
// host's file is read if there is one, else the built-in default in its place. The
// error joins all that make the configuration unusable.
func Load(path string) (*Config, error) {
	c := &Config{Path: path, State: state.DefaultOptions(), Kernel: nftables.DefaultOptions(), Deliver: deliver.Config{Mail: deliver.DefaultMail()}, Broken: map[string]error{}, failed: map[string]bool{}, unfit: map[string]bool{}}
	files, err := c.read()
	if len(files) == 0 {
		return nil, err
	}
	base, errs := defaults(), each(err)
	whole := err == nil // else what is not there may stand in what could not be read
	for _, f := range files {
		for _, name := range slices.Sorted(maps.Keys(f.root)) {
			errs = append(errs, c.section(f, name, &base)...)
		}
	}
	if whole {
		if _, err := os.Lstat(c.FilterDir()); !errors.Is(err, fs.ErrNotExist) {
			c.own = []string{c.FilterDir()}
		}
		errs = append(errs, c.checkAll(files, &base, errs)...)
		c.base = base
		jails := c.jails(files, base)
		errs = fatal(append(errs, each(c.untrusted())...), jails)
	}
	if len(errs) > 0 {
		return nil, errors.Join(inOrder(files, errs)...)
	}
	return c, nil
}

// checkAll checks what no jail owns as a whole, where nothing was told of its line before.
func (c *Config) checkAll(files []*file, base *Jail, told []error) (errs []error) {
	report := func(place, problem string) {
		if !tells(told, place) {
			errs = append(errs, fmt.Errorf("%s: %s", place, problem))
		}
	}
	base.check(func(key, problem string) {
		c.unfit[key] = true
		report(lastPlace(files, "defaults", key), problem)
	})
	if len(base.Container) > 0 {
		report(lastPlace(files, "defaults", "container"), "container belongs into [jail.NAME]")
		base.Container = nil
	}
	if len(base.TrustedProxies) > 0 {
		report(lastPlace(files, "defaults", "trusted_proxies"), "trusted_proxies belongs into [jail.NAME]: not every service stands behind them")
		base.TrustedProxies = nil
	}
	c.checkLists(files, report)
	if len(told) == 0 {
		errs = append(errs, each(c.enforcers(files))...)
	}
	return errs
}

// untrusted joins what others may write of the files that the configuration names: not one jail
// alone is in doubt then, but who rules here.
func (c *Config) untrusted() error {
	bad := map[string]error{} // once each
	for _, err := range append(slices.Collect(maps.Values(c.Broken)), trust.CheckDir(c.FilterDir())) {
		if others := (*trust.Error)(nil); errors.As(err, &others) {
			bad[others.Error()] = others
		}
	}
	var paths []string // files that say whom not to ban, and programs that are started
	for i := range c.Deliver.Hooks {
		if run := c.Deliver.Hooks[i].Run; len(run) > 0 { // else that is told as an error
			paths = append(paths, run[0])
		}
	}
	if len(c.Deliver.Mail.To) > 0 {
		paths = append(paths, c.Deliver.Mail.Sendmail)
	}
	for _, j := range c.Jails {
		if j.IgnoreFile != "" {
			paths = append(paths, j.IgnoreFile)
		}
	}
	for _, o := range c.Lists {
		if o.Allow {
			paths = append(paths, o.File)
		}
	}
	for _, path := range paths {
		if others := (*trust.Error)(nil); errors.As(trust.Check(path), &others) {
			bad[others.Error()] = others
		}
	}
	var errs []error
	for _, text := range slices.Sorted(maps.Keys(bad)) {
		errs = append(errs, bad[text])
	}
	return errors.Join(errs...)
}

// read parses the main file, or the built-in default where the host has none, and those
// of conf.d.
func (c *Config) read() ([]*file, error) {
	path := cmp.Or(c.Path, usual)
	text, err := trust.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && c.Path == "":
		path, text = builtIn, []byte(builtin)
	case err != nil:
		return nil, fmt.Errorf("read the configuration: %w", err)
	default:
		c.Path = path
	}
	dir := filepath.Join(c.dir(), "conf.d")
	if err := trust.CheckDir(dir); err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	more, err := os.ReadDir(dir) // one that cannot be read may hold whom not to ban
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	f, err := parse(path, string(text))
	files, errs := []*file{f}, []error{err}
	for _, entry := range more {
		path := filepath.Join(dir, entry.Name())
		switch filepath.Ext(path) {
		case ".toml":
		case ".conf", ".local": // as Fail2Ban's are called
			c.Notes = append(c.Notes, path+" is not read: its name does not end with .toml")
			continue
		default:
			continue
		}
		text, err := trust.ReadFile(path)
		if err == nil {
			f, err = parse(path, string(text))
			files = append(files, f)
		}
		errs = append(errs, err)
	}
	return files, errors.Join(errs...)
}

// builtIn stands for a path where the host has no main file.
const builtIn = "built-in configuration"

// usual is where the main file lies where none is named; tests have their own.
var usual = DefaultPath

// dir is the directory of the configuration.
func (c *Config) dir() string { return filepath.Dir(cmp.Or(c.Path, usual)) }

func parse(path, text string) (*file, error) {
	f := &file{path: path, text: text, root: map[string]any{}, jail: map[string]any{}}
	if root, ok := filter.ReadPlain(text); ok {
		f.root = root
	} else if _, err := toml.Decode(text, &f.root); err != nil {
		line, err := filter.Syntax(path, err)
		return f, fmt.Errorf("%w%s", err, unquoted(text, line))
	}
	if jails, ok := f.root["jail"]; ok {
		if f.jail, ok = jails.(map[string]any); !ok {
			return f, fmt.Errorf("%s: jail is not a table (write [jail.NAME])", f.place("jail"))
		}
	}
	return f, nil
}

// bare is a key with a value that TOML takes neither for text nor for anything else.
var bare = lazy.Regexp(`^\s*([\w-]+)\s*=\s*([^\s"'\\#\[{][^"'\\#]*?)\s*(?:#.*)?$`)

// unquoted is how to write the value of a line that is no TOML, where quotes are all that
// it lacks: Fail2Ban's have none.
func unquoted(text string, line int) string {
	lines := strings.Split(text, "\n")
	if line < 1 || line > len(lines) {
		return ""
	}
	m := bare().FindStringSubmatch(lines[line-1])
	if m == nil || toml.Unmarshal([]byte(lines[line-1]), &map[string]any{}) == nil {
		return ""
	}
	switch strings.ToLower(m[2]) {
	case "true", "yes", "on":
		return fmt.Sprintf(" (write %s = true)", m[1])
	case "false", "no", "off":
		return fmt.Sprintf(" (write %s = false)", m[1])
	}
	return fmt.Sprintf(" (write %s = %q)", m[1], m[2])
}

// place is "FILE:LINE" of a key.
func (f *file) place(key ...string) string {
	return fmt.Sprintf("%s:%d", f.path, max(1, filter.KeyLine(f.text, key)))
}

// lastPlace is the place of a key in the last file that sets it.
func lastPlace(files []*file, section, key string) string {
	place := ""
	for _, f := range files {
		if table, ok := f.root[section].(map[string]any); ok && (place == "" || table[key] != nil) {
			place = f.place(section, key)
		}
	}
	return place
}

// jails reads every [jail.X] of all files over the defaults, and gives all errors of
// the broken ones, in the order of their lines.
func (c *Config) jails(files []*file, base Jail) (all []error) {
	places := map[string]*file{} // where a jail is named last
	for _, f := range files {
		for name := range f.jail {
			places[name] = f
		}
	}
	for _, name := range slices.Sorted(maps.Keys(places)) {
		j := base.clone()
		j.Name, j.portsIn = name, places[name].path
		var errs []error
		c.failed = map[string]bool{}
		maps.Copy(c.failed, c.unfit)
		enforce := false
		for _, f := range files {
			if table, ok := f.jail[name]; ok {
				values, _ := table.(map[string]any)
				if values["enforce"] != nil {
					enforce = values["enforce"] == true
				}
				if values["ports"] != nil || values["port"] != nil {
					j.portsIn = f.path
				}
				errs = append(errs, f.decode([]string{"jail", name}, table, j, c)...)
			}
		}
		if !j.Enabled && len(errs) == 0 {
			c.Off = append(c.Off, name)
			continue
		}
		errs = append(errs, c.finish(j, places[name])...)
		if errs = inOrder(files, errs); len(errs) > 0 {
			c.Broken[name] = errors.Join(errs...)
			all = append(all, errs...)
			continue
		}
		c.proxied(j, enforce, places[name])
		if f := places[name]; j.Enforce && !c.enforced(name) {
			err := fmt.Errorf("%s: jail %q: no hook enforces its bans (backend = \"hook\"): name it in the jails of a [[hook]] that is told of ban, unban and release, or write enforce = false", f.place("jail", name), name)
			c.Broken[name] = err
			all = append(all, err)
			continue
		}
		c.Jails = append(c.Jails, j)
	}
	c.faults = inOrder(files, all)
	return c.faults
}

// finish checks a jail as a whole and loads its filter.
func (c *Config) finish(j *Jail, f *file) (errs []error) {
	report := func(key, problem string) {
		if c.failed[key] { // it could not be read, and that has been said
			return
		}
		errs = append(errs, fmt.Errorf("%s: jail %q: %s", f.place("jail", j.Name, key), j.Name, problem))
	}
	if !named(j.Name) || strings.HasPrefix(j.Name, state.ByHand) {
		report("", `not a name for a jail (small letters, digits, "-", "_", "."; "by-hand" is taken)`)
	}
	j.check(report)
	j.Filter = cmp.Or(j.Filter, j.Name)
	rules, err := filter.Load(j.Filter, c.own...)
	if unknown := (*filter.UnknownError)(nil); errors.As(err, &unknown) {
		report("filter", err.Error())
		return errs
	} else if err != nil {
		return append(errs, err)
	}
	j.Rules = rules
	j.instant(report)
	switch noJournal, noFiles := len(j.Terms()) == 0, len(j.Paths()) == 0; {
	case len(j.Container) > 0:
		j.checkContainer(report)
	case rules.Ledger:
	case noJournal && noFiles:
		report("logpath", "nothing to read: the filter names neither log files nor a match in the journal (write logpath or journalmatch)")
	case j.Backend == filter.Journal && noJournal:
		report("backend", "the filter has no match in the journal (write journalmatch, or read its log files)")
	case j.Backend == filter.File && noFiles:
		report("backend", "the filter names no log files (write logpath)")
	}
	for _, term := range j.JournalMatch {
		if err := filter.CheckTerm(term, rules.Journal.Require); err != nil {
			report("journalmatch", err.Error())
		}
	}
	if len(j.Ports) == 0 {
		j.Ports, j.published = slices.Clone(rules.Ports), len(j.Container) > 0
	}
	if len(j.Ports) == 0 && !j.published {
		report("ports", `the filter names no ports (write ports = [...], or ports = "all")`)
	}
	if rules.Spoofable && !j.Allow {
		report("allow_spoofable", "the source address can be forged, so a stranger could have anybody banned (\"scan2ban filters "+rules.Name+" --toml\" tells how; write allow_spoofable = true to ban all the same)")
	}
	j.Matcher = rules.Compile(j.Mode)
	return errs
}

// FilterDir is where the admin's own filters lie.
func (c *Config) FilterDir() string { return filepath.Join(c.dir(), "filters") }

// Terms are the journal matches of the jail, an OR of ANDs, each with what the
// filter requires.
func (j *Jail) Terms() [][]string {
	if j.JournalMatch == nil {
		return j.Rules.Matches()
	}
	f := *j.Rules
	f.Journal.Match = j.JournalMatch
	return f.Matches()
}

// Paths are the globs of the log files of the jail. A log that is being rotated is there:
// what holds the lines of all services may hold the same once more.
func (j *Jail) Paths() []string {
	files := &j.Rules.File
	switch {
	case len(j.LogPath) > 0:
		return j.LogPath
	case !logfile.Any(files.Otherwise) || logfile.Any(files.Paths):
		return files.Paths
	}
	for _, glob := range files.Paths {
		if logfile.Any([]string{glob + "*"}) {
			return files.Paths
		}
	}
	return files.Otherwise
}

// aliases are Fail2Ban's names for keys of ours.
var aliases = map[string]string{"port": "ports", "journalmatches": "journalmatch", "logpaths": "logpath", "destemail": "to", "sender": "from"}

// decode reads a table into a struct, key by key so that every error is found.
func (f *file) decode(at []string, table any, into any, c *Config) (errs []error) {
	values, ok := table.(map[string]any)
	if !ok {
		return []error{fmt.Errorf("%s: %s is not a table (write [%s])", f.place(at...), strings.Join(at, "."), strings.Join(at, "."))}
	}
	valid := keysOf(into)
	for _, key := range slices.Sorted(maps.Keys(values)) {
		place := func() string { return f.place(append(slices.Clone(at), key)...) } // looks for it in the text
		name := key
		if alias, ok := aliases[key]; ok && slices.Contains(valid, alias) && !slices.Contains(valid, key) {
			c.Notes = append(c.Notes, fmt.Sprintf("%s: %s is called %s here", place(), key, alias))
			name = alias
		}
		if !slices.Contains(valid, name) {
			errs = append(errs, fmt.Errorf("%s: unknown key %q%s", place(), key, belongs(key, valid)))
			continue
		}
		if err := decodeValue(name, values[key], into); err != nil {
			c.failed[name] = true
			if at[0] == "defaults" {
				c.unfit[name] = true
			}
			for _, problem := range strings.Split(err.Error(), "\n") {
				errs = append(errs, fmt.Errorf("%s: %s: %s", place(), key, problem))
			}
		}
	}
	return errs
}

// decodeValue sets one key of a struct, by way of TOML so that the types'
// own decoding holds.
func decodeValue(key string, value, into any) error {
	if yes, ok := value.(bool); ok { // every jail says enabled: no need to write TOML for it
		if field := fieldOf(into, key); field.IsValid() && field.Kind() == reflect.Bool {
			field.SetBool(yes)
			return nil
		}
	}
	if text, ok := value.(string); ok && key != "run" { // a list, as Fail2Ban writes it
		if field := fieldOf(into, key); field.IsValid() && field.Type() == reflect.TypeFor[[]string]() {
			field.Set(reflect.ValueOf(strings.FieldsFunc(text, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })))
			return nil
		}
	}
	md, err := toml.Decode(key+" = "+written(value), into)
	if err != nil {
		return plain(err)
	}
	if unknown := md.Undecoded(); len(unknown) > 0 {
		word := unknown[0][len(unknown[0])-1]
		return fmt.Errorf("unknown key %q%s", word, filter.DidYouMean(word, keysOf(structOf(into, key))))
	}
	return nil
}

// structOf gives a pointer to a new value of the struct that a key sets.
func structOf(into any, key string) any {
	if field := fieldOf(into, key); field.IsValid() && field.Kind() == reflect.Struct {
		return reflect.New(field.Type()).Interface()
	}
	return &struct{}{}
}

// plain takes the position in our one-key text off an error of the TOML package.
func plain(err error) error {
	text := err.Error()
	if _, rest, ok := strings.Cut(text, `"): `); ok {
		text = rest
	}
	text = strings.TrimPrefix(text, "toml: ")
	if types, ok := strings.CutPrefix(text, "incompatible types: TOML value has type "); ok {
		is, wanted, _ := strings.Cut(types, "; destination has type ")
		text = "is " + typeWord(is) + ", not " + typeWord(wanted)
	}
	if types, ok := strings.CutPrefix(text, "type mismatch for "); ok {
		_, types, _ = strings.Cut(types, ": expected ")
		wanted, is, _ := strings.Cut(types, " but found ")
		text = "is " + typeWord(is) + ", not " + typeWord(wanted)
	}
	return errors.New(text)
}

// typeWord is what people call a type of Go or of the TOML package.
func typeWord(name string) string {
	switch name {
	case "int64", "integer":
		return "an integer"
	case "float64", "float":
		return "a number with a fraction"
	case "bool", "boolean":
		return "true or false"
	case "[]interface {}", "slice":
		return "a list"
	case "map[string]interface {}", "map":
		return "a table"
	case "time.Time":
		return "a date"
	}
	return "a " + name
}
