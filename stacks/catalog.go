package stacks

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/stacks/catalog"
)

// Names lists the stacks of the catalogue.
func Names() []string { return namesIn(catalog.Folders()) }

// Catalog gives every stack there is, by name.
func Catalog() ([]*Stack, error) {
	var list []*Stack
	for _, name := range Names() {
		s, err := read(catalog.Folders(), name)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

// Find finds a stack of the catalogue; NOT_FOUND with the nearest name.
func Find(name string) (*Stack, error) { return findIn(catalog.Folders(), name) }

func namesIn(folders fs.FS) []string {
	entries, _ := fs.ReadDir(folders, ".") //nolint:errcheck // it is built in
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names
}

func findIn(folders fs.FS, name string) (*Stack, error) {
	if names := namesIn(folders); !slices.Contains(names, name) {
		return nil, unknown("stack", name, names)
	}
	return read(folders, name)
}

// unknown says that a name is not there, with the nearest that is.
func unknown(kind, name string, known []string) *prism.Error {
	fix := "use one of: " + strings.Join(known, ", ")
	if near := config.Nearest(name, known); near != "" {
		fix = fmt.Sprintf("did you mean %s? (there are %s)", near, strings.Join(known, ", "))
	}
	return fixed(prism.New(prism.ReasonNotFound, "there is no %s %q", kind, name).WithMeta("kind", "usage"), fix)
}

// usage is a mistake in what was asked for: it can never be right.
func usage(fix, format string, args ...any) *prism.Error {
	return fixed(prism.New(prism.ReasonInvalidArgument, format, args...).WithMeta("kind", "usage"), fix)
}

// fixed adds what to type.
func fixed(err *prism.Error, fix string) *prism.Error { return err.WithMeta("fix", fix) }

// read reads a stack's folder.
func read(folders fs.FS, name string) (*Stack, error) {
	file := path.Join(name, "stack.yaml")
	text, err := fs.ReadFile(folders, file)
	if err != nil {
		return nil, err
	}
	s := new(Stack)
	none := func(string) (string, bool) { return "", false } // a catalogue is the same for everyone
	if err := config.Decode(file, text, KindStack, s, config.Load{Lookup: none}); err != nil {
		return nil, err
	}
	if s.Name != name {
		return nil, config.NewError(s.Problem("name", name, "the stack %q lies in the folder %s", s.Name, name))
	}
	return s, nil
}
