package manual

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"scan2ban/ban/deliver"
	"scan2ban/ban/deliver/metrics"
	"scan2ban/ban/list"
	"scan2ban/ban/nftables"
	"scan2ban/scan/jail"
	"scan2ban/state"

	"scan2ban/scan/filter"
)

// commands is a small tree with one of everything that a page must show.
func commands() *cobra.Command {
	root := &cobra.Command{Use: "scan2ban", Short: "Ban addresses", Long: "It bans.\n\nExit codes: 0 done.", Example: "  scan2ban run    one pass"}
	root.PersistentFlags().BoolP("quiet", "q", false, "print errors only")
	run := &cobra.Command{Use: "run", Short: "One pass", Long: "One pass.\n\n    as it stands\n\n.begins with a dot, and \\ a backslash", Example: "  scan2ban run --dry-run", Run: func(*cobra.Command, []string) {}}
	run.Flags().String("now", "", "the time `T` of the pass")
	run.Flags().BoolFunc("light", "cheaper", func(string) error { return nil })
	run.Flags().Bool("secret", false, "nobody's business")
	_ = run.Flags().MarkHidden("secret")
	root.AddCommand(run, &cobra.Command{Use: "hidden", Hidden: true, Run: func(*cobra.Command, []string) {}})
	return root
}

func TestFiles(t *testing.T) {
	list, err := Files(commands())
	if err != nil || len(list) != 5 {
		t.Fatalf("%d files, error %v", len(list), err)
	}
	for _, f := range list {
		if !bytes.Contains(f.Text, []byte("scan2ban")) {
			t.Errorf("%s does not name the program", f.Path)
		}
	}
	again, _ := Files(commands())
	if !reflect.DeepEqual(list, again) {
		t.Error("the same commands give other files")
	}
}

func TestPage(t *testing.T) {
	page := string(Page(commands()))
	for _, want := range []string{
		".TH SCAN2BAN 8 ", `scan2ban \- ban addresses`, `\fBscan2ban run\fR [\fB\-\-light\fR] [\fB\-\-now\fR \fIT\fR]`, "\n.EX\n    as it stands\n.EE", "\n\\&.begins with a dot",
		`\e a backslash`, "\n.EX\nscan2ban run \\-\\-dry\\-run\n.EE", `\fB\-q\fR, \fB\-\-quiet\fR`, ".SH EXIT STATUS", ".SH FILES", ".SH SEE ALSO",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
	for _, not := range []string{"secret", "hidden", "Exit codes"} {
		if strings.Contains(page, not) {
			t.Errorf("the page tells of %q", not)
		}
	}
}

// TestEveryKey: the reference names each key that a file may have.
func TestEveryKey(t *testing.T) {
	var keys []string
	var walk func(section string, typ reflect.Type)
	walk = func(section string, typ reflect.Type) {
		for i := range typ.NumField() {
			field := typ.Field(i)
			tag := field.Tag.Get("toml")
			switch {
			case field.Anonymous && tag == "":
				walk(section, field.Type)
			case tag != "" && tag != "-":
				keys = append(keys, section+tag)
			}
			if tag == "escalation" {
				walk("", field.Type)
			}
		}
	}
	walk("", reflect.TypeFor[jail.Jail]())
	walk("[state] ", reflect.TypeFor[state.Options]())
	walk("[kernel] ", reflect.TypeFor[nftables.Options]())
	walk("[list.NAME] ", reflect.TypeFor[list.Options]())
	walk("[mail] ", reflect.TypeFor[deliver.Mail]())
	walk("[metrics] ", reflect.TypeFor[metrics.Config]())
	walk("[[hook]] ", reflect.TypeFor[deliver.Hook]())
	if len(keys) < 20 {
		t.Fatalf("only %d keys found", len(keys))
	}
	var rows []string
	for line := range strings.Lines(reference) {
		if strings.HasPrefix(line, "|") {
			rows = append(rows, line)
		}
	}
	table := strings.Join(rows, "")
	for _, key := range keys {
		if !regexp.MustCompile("[`{ ,]" + regexp.QuoteMeta(strings.TrimPrefix(key, "`")) + "[`,} ]").MatchString(table) {
			t.Errorf("scan2ban.toml.5.md has no row for %q", key)
		}
	}
}

// TestRoff has the pages read by what reads them on a host.
func TestRoff(t *testing.T) {
	for name, text := range map[string][]byte{"scan2ban.8": Page(commands()), "scan2ban.toml.5": ConfigPage()} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		checked := false
		for _, command := range [][]string{{"groff", "-man", "-ww", "-z", path}, {"mandoc", "-T", "lint", "-W", "warning", path}} {
			if _, err := exec.LookPath(command[0]); err != nil {
				continue
			}
			checked = true
			if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("%v: %v\n%s", command, err, out)
			}
		}
		if !checked {
			t.Skip("needs groff or mandoc")
		}
	}
}

// The README names every filter of the catalogue.
func TestCatalogueInReadme(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range filter.Names() {
		if !strings.Contains(string(readme), "`"+name+"`") {
			t.Errorf("README.md does not name the filter %s", name)
		}
	}
}
