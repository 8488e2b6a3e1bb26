package units

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// directions are what the packages of ours may import of ours: the first row that fits the
// package counts. "x/..." is x and all below it, "" the program itself.
var directions = []struct {
	of     string
	may    []string
	except string // whatever may says
}{
	{of: "", may: []string{"state/...", "ban/...", "scan/...", "units/..."}},
	{of: "state", may: []string{"state/sha256"}}, // it owns the words that the others share
	{of: "state/...", may: []string{"state/..."}},
	{of: "ban/...", may: []string{"state/...", "ban/..."}},
	// What tests alone use.
	{of: "scan/recorded"},
	{of: "scan/container/containertest", may: []string{"scan/recorded"}},
	{of: "scan/journal/journaltest", may: []string{"scan/recorded"}},
	// Reading knows nothing of bans in force.
	{of: "scan", may: []string{"state/...", "scan/container", "scan/filter", "scan/journal", "scan/logfile"}},
	{of: "scan/container/...", may: []string{"state/...", "scan/container/..."}},
	{of: "scan/filter/...", may: []string{"state/...", "scan/filter/...", "scan/trust"}},
	{of: "scan/host", may: []string{"state/..."}},
	{of: "scan/journal/...", may: []string{"state/...", "scan/journal/..."}},
	{of: "scan/logfile", may: []string{"state/...", "scan/container", "scan/filter"}},
	{of: "scan/trust"},
	// Only the program knows of the configuration as a whole.
	{of: "scan/jail", may: []string{"state/...", "ban/...", "scan/..."}},
	{of: "scan/...", may: []string{"state/...", "ban/...", "scan/..."}, except: "scan/jail"},
	{of: "units/...", may: []string{"state/...", "ban/...", "scan/...", "units/..."}, except: "scan/jail"},
}

// within tells whether the package is what a row names.
func within(pkg, named string) bool {
	tree, below := strings.CutSuffix(named, "/...")
	return pkg == tree || below && strings.HasPrefix(pkg, tree+"/")
}

// against says what is wrong with an import; "": nothing.
func against(pkg, imported string) string {
	for _, d := range directions {
		if !within(pkg, d.of) {
			continue
		}
		if d.except != "" && within(imported, d.except) {
			return "only the program may"
		}
		for _, named := range d.may {
			if within(imported, named) {
				return ""
			}
		}
		if len(d.may) == 0 {
			return d.of + " may import nothing of ours"
		}
		return d.of + " may import " + strings.Join(d.may, ", ")
	}
	return "no row of directions names the package"
}

// TestImportsRunOneWay: state <- ban <- scan <- units <- the program.
func TestImportsRunOneWay(t *testing.T) {
	const module = "scan2ban/"
	imports := 0
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || name != ".." && d.Name()[0] == '.'):
			return filepath.SkipDir
		case d.IsDir() || filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		name = strings.TrimPrefix(filepath.ToSlash(name), "../")
		for _, i := range file.Imports {
			imported, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			imported, ours := strings.CutPrefix(imported, module)
			if !ours {
				continue
			}
			imports++
			if wrong := against(strings.TrimPrefix(path.Dir(name), "."), imported); wrong != "" {
				t.Errorf("%s imports %s: %s", name, imported, wrong)
			}
		}
		return nil
	})
	if err != nil || imports == 0 {
		t.Fatalf("%d imports of ours, error %v", imports, err)
	}
	for _, wrong := range [][2]string{
		{"state", "state/order"}, {"state/report", "ban/list"}, {"ban/nftables", "scan/filter"}, {"ban/list", "units"},
		{"scan", "ban/list"}, {"scan/journal", "scan/filter"}, {"scan/pass", "scan/jail"}, {"scan/past", "units"}, {"units/console", "scan/jail"}, {"other", "state"},
	} {
		if against(wrong[0], wrong[1]) == "" {
			t.Errorf("%s may import %s", wrong[0], wrong[1])
		}
	}
}
