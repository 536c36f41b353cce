package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// pkg is one package of the repository and what was counted of it.
type pkg struct {
	name       string // its folder, relative to the root
	files      map[string]*source
	code       bool // has statements that count
	statements int
	covered    int
	seen       bool // in a profile
}

// source is one file that counts.
type source struct{ mainFrom, mainTo int } // the lines of func main, if any

// tree is every package of some modules, by import path.
type tree map[string]*pkg

// readTree finds the packages of the modules, whether or not they are tested.
func readTree(root string, modules []string) (tree, error) {
	t := tree{}
	for _, m := range modules {
		dir := filepath.Join(root, m)
		modfile, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err != nil {
			return nil, err
		}
		name := moduleLine.FindSubmatch(modfile)
		if name == nil {
			return nil, fmt.Errorf("%s/go.mod names no module", dir)
		}
		if err := t.readModule(root, dir, string(name[1])); err != nil {
			return nil, err
		}
	}
	return t, nil
}

var moduleLine = regexp.MustCompile(`(?m)^module\s+(\S+)`)

func (t tree) readModule(root, dir, module string) error {
	return filepath.WalkDir(dir, func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			if file != dir && skipped(file, e.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") || generated(e.Name()) {
			return nil
		}
		in := filepath.Dir(file)
		// Files of other systems and of other build tags are in no profile.
		if ok, err := build.Default.MatchFile(in, e.Name()); err != nil || !ok {
			return err
		}
		inModule, err := filepath.Rel(dir, in)
		if err != nil {
			return err
		}
		inRoot, err := filepath.Rel(root, in)
		if err != nil {
			return err
		}
		return t.readFile(path.Join(module, filepath.ToSlash(inModule)), filepath.ToSlash(inRoot), file)
	})
}

// skipped are the folders that go itself leaves out, and other modules.
func skipped(dir, name string) bool {
	if name == "testdata" || name == "vendor" || name[0] == '.' || name[0] == '_' {
		return true
	}
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

// generated files are known by their names.
func generated(name string) bool {
	return strings.HasPrefix(name, "zz_generated") || strings.HasSuffix(name, ".pb.go")
}

func (t tree) readFile(importPath, name, file string) error {
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, file, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	p := t[importPath]
	if p == nil {
		p = &pkg{name: name, files: map[string]*source{}}
		t[importPath] = p
	}
	s := &source{}
	p.files[filepath.Base(file)] = s
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if f.Name.Name == "main" && n.Name.Name == "main" && n.Recv == nil {
				s.mainFrom, s.mainTo = set.Position(n.Pos()).Line, set.Position(n.End()).Line
				return false
			}
		case *ast.BlockStmt:
			p.code = p.code || len(n.List) > 0
		}
		return true
	})
	return nil
}

// count adds the blocks of profiles to their packages.
func (t tree) count(blocks map[block]result) error {
	for b, r := range blocks {
		p := t[path.Dir(b.file)]
		if generated(path.Base(b.file)) {
			continue
		}
		if p == nil || p.files[path.Base(b.file)] == nil {
			return fmt.Errorf("%s is in a profile and not in the tree: a stale profile, or a module not named", b.file)
		}
		p.seen = true
		s := p.files[path.Base(b.file)]
		if s.mainFrom <= b.line && b.line <= s.mainTo {
			continue
		}
		p.statements += r.statements
		if r.covered {
			p.covered += r.statements
		}
	}
	return nil
}

// packages are those with statements that count, by name.
func (t tree) packages() []*pkg {
	var all []*pkg
	for _, p := range t {
		if p.code || p.statements > 0 {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b *pkg) int { return cmp.Compare(a.name, b.name) })
	return all
}
