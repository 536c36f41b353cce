package stacks

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/stacks/catalog"
)

// Names lists the stacks of the catalogue.
func Names() []string {
	entries, _ := fs.ReadDir(catalog.Folders(), ".") //nolint:errcheck // it is built in
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names
}

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
func Find(name string) (*Stack, error) {
	names := Names()
	for _, n := range names {
		if n == name {
			return read(catalog.Folders(), name)
		}
	}
	fix := "use one of: " + strings.Join(names, ", ")
	if near := config.Nearest(name, names); near != "" {
		fix = fmt.Sprintf("did you mean %s? %s", near, fix)
	}
	return nil, prism.New(prism.ReasonNotFound, "there is no stack %q", name).WithMeta("kind", "usage").WithMeta("fix", fix)
}

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
