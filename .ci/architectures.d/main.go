// Architectures says whether the program is right Go for other architectures: it checks the
// types of everything the static program is built of, for each that is named. That takes a
// second for one, where compiling takes half a minute. What only the compiler or the linker
// sees shows when a release is built: .ci/packages does it for arm64, arm and riscv64.
//
//	architectures GOARCH...
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: architectures GOARCH...")
		os.Exit(2)
	}
	failed := false
	for _, arch := range os.Args[1:] {
		n, err := check(arch)
		if err != nil {
			failed = true
			fmt.Fprintf(os.Stderr, "architectures: %s: %v\n", arch, err)
			continue
		}
		fmt.Printf("%s: %d packages\n", arch, n)
	}
	if failed {
		os.Exit(1)
	}
}

// pkg is what go list tells of a package.
type pkg struct {
	ImportPath, Dir string
	GoFiles, SFiles []string
	ImportMap       map[string]string // to what is vendored in the standard library
	Standard        bool
}

// check gives the number of packages, of which every one is right.
func check(arch string) (n int, err error) {
	list := exec.Command("go", "list", "-deps", "-json=ImportPath,Dir,GoFiles,SFiles,ImportMap,Standard", ".")
	list.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	list.Stderr = os.Stderr
	sizes := types.SizesFor("gc", arch)
	if sizes == nil {
		return 0, errors.New("no such architecture")
	}
	out, err := list.Output()
	if err != nil {
		return 0, fmt.Errorf("go list: %w", err)
	}
	packages := json.NewDecoder(bytes.NewReader(out))
	checked := map[string]*types.Package{"unsafe": types.Unsafe}
	for ; ; n++ { // each behind what it imports
		var p pkg
		if err := packages.Decode(&p); err == io.EOF {
			return n, nil
		} else if err != nil {
			return 0, fmt.Errorf("go list: %w", err)
		}
		if p.ImportPath == "unsafe" {
			continue
		}
		if checked[p.ImportPath], err = p.check(sizes, checked); err != nil {
			return 0, err
		}
	}
}

// check is of one package. The bodies of the standard library's functions are right.
func (p *pkg) check(sizes types.Sizes, checked map[string]*types.Package) (*types.Package, error) {
	set := token.NewFileSet()
	var files []*ast.File
	for _, name := range p.GoFiles {
		file, err := parser.ParseFile(set, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution|parser.ParseComments)
		if err != nil {
			return nil, err
		}
		if !p.Standard {
			if err := bodies(set, file, len(p.SFiles) > 0); err != nil {
				return nil, err
			}
		}
		files = append(files, file)
	}
	var errs []error
	config := types.Config{
		Importer: importer(func(path string) (*types.Package, error) {
			if mapped, ok := p.ImportMap[path]; ok {
				path = mapped
			}
			if got := checked[path]; got != nil {
				return got, nil
			}
			return nil, fmt.Errorf("%s is not listed", path)
		}),
		Sizes:            sizes,
		IgnoreFuncBodies: p.Standard,
		Error:            func(err error) { errs = append(errs, err) },
	}
	got, _ := config.Check(p.ImportPath, set, files, nil)
	return got, errors.Join(errs...)
}

type importer func(path string) (*types.Package, error)

func (i importer) Import(path string) (*types.Package, error) { return i(path) }

// bodies fails where a function has none, and there is neither assembly that may hold it nor
// a linkname in the file.
func bodies(set *token.FileSet, file *ast.File, assembly bool) error {
	if assembly {
		return nil
	}
	for _, group := range file.Comments {
		for _, c := range group.List {
			if strings.HasPrefix(c.Text, "//go:linkname ") {
				return nil
			}
		}
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Body == nil {
			return fmt.Errorf("%s: %s has no body", set.Position(f.Pos()), f.Name.Name)
		}
	}
	return nil
}
