package config

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// A UserFile is a person's file to be edited. Comments, order and blank lines of
// what an edit is not about stay as they are, and a file that is not valid is
// not touched.
type UserFile struct {
	Path string
	Dry  bool  // do all but write
	Now  *User // what the file says after the last edit, or would
}

// AddContext adds a context, or replaces the one of its name. The file is made
// if it is not there.
func (f *UserFile) AddContext(c Context) error {
	return f.edit(func(e *editor, u *User) error {
		i := indexOf(u, c.Name)
		if i < 0 {
			return e.add("contexts", reflect.ValueOf(c))
		}
		for _, f := range fieldsOf(reflect.TypeFor[Context]()) {
			v := reflect.ValueOf(c).FieldByIndex(f.index)
			if v.IsZero() && !u.Contexts[i].Declared(f.key) {
				continue
			}
			if v.IsZero() && v.Kind() == reflect.String {
				if err := e.removeKey("contexts", i, f.key); err != nil {
					return err
				}
				continue
			}
			if err := e.setItem("contexts", i, f.key, scalarText(v, "")); err != nil {
				return err
			}
		}
		return nil
	})
}

// UseContext makes a context the current one, and remembers the one before;
// "-" goes back to that.
func (f *UserFile) UseContext(name string) error {
	return f.edit(func(e *editor, u *User) error {
		if name == "-" {
			if name = u.Previous; name == "" {
				return prism.New(prism.ReasonFailedPrecond, "there is no previous context")
			}
		}
		if indexOf(u, name) < 0 {
			return prism.NotFound("context", name)
		}
		if name == u.Current {
			return nil
		}
		if u.Current != "" {
			if err := e.set("previous", quote(u.Current)); err != nil {
				return err
			}
		}
		return e.set("current", quote(name))
	})
}

// RemoveContext removes a context; where it was the current one, none is.
func (f *UserFile) RemoveContext(name string) error {
	return f.edit(func(e *editor, u *User) error {
		i := indexOf(u, name)
		if i < 0 {
			return prism.NotFound("context", name)
		}
		for key, value := range map[string]string{"current": u.Current, "previous": u.Previous} {
			if value == name {
				e.unset(key)
			}
		}
		return e.remove("contexts", i)
	})
}

// RenameContext gives a context another name.
func (f *UserFile) RenameContext(from, to string) error {
	return f.edit(func(e *editor, u *User) error {
		i := indexOf(u, from)
		switch {
		case i < 0:
			return prism.NotFound("context", from)
		case indexOf(u, to) >= 0:
			return prism.New(prism.ReasonAlreadyExists, "there is a context %q already", to)
		}
		for key, value := range map[string]string{"current": u.Current, "previous": u.Previous} {
			if value == from {
				if err := e.set(key, quote(to)); err != nil {
					return err
				}
			}
		}
		return e.setItem("contexts", i, "name", quote(to))
	})
}

func indexOf(u *User, name string) int {
	return slices.IndexFunc(u.Contexts, func(c Context) bool { return c.Name == name })
}

const newUserFile = "apiVersion: " + APIVersion + "\nkind: " + KindUser + "\n"

// edit reads, edits, reads again, and only then writes.
func (f *UserFile) edit(edit func(*editor, *User) error) error {
	data, err := ReadFile(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		data, err = []byte(newUserFile), nil
	}
	if err != nil {
		return err
	}
	u, err := ParseUser(f.Path, data, Load{})
	if err != nil {
		return err
	}
	before := strings.TrimPrefix(string(data), "\ufeff")
	e := &editor{name: f.Path, lines: strings.Split(strings.ReplaceAll(before, "\r\n", "\n"), "\n")}
	if err := edit(e, u); err != nil {
		return err
	}
	after := strings.Join(e.lines, "\n")
	if strings.Contains(before, "\r\n") {
		after = strings.ReplaceAll(after, "\n", "\r\n")
	}
	if f.Now, err = ParseUser(f.Path, []byte(after), Load{}); err != nil {
		return err
	}
	if after == before || f.Dry {
		return nil
	}
	return WriteFile(f.Path, []byte(after))
}

// An editor changes a file where the tree says that things stand, and leaves
// every other character alone. Each step reads the tree anew.
type editor struct {
	name  string
	lines []string
}

func (e *editor) root() *node {
	root, _ := parseYAML(e.name, []byte(strings.Join(e.lines, "\n")))
	if root == nil {
		return &node{kind: kindMapping}
	}
	return root
}

func (e *editor) byHand(what string) error {
	return prism.New(prism.ReasonFailedPrecond, "%s in %s is written in brackets: edit it by hand", what, filepath.Base(e.name))
}

// set writes a key at the top.
func (e *editor) set(key, text string) error {
	root := e.root()
	if root.flow {
		return e.byHand("all")
	}
	if n := root.get(key); n != nil {
		e.replace(n, text)
		return nil
	}
	at := 0 // below the header, where people look
	for _, entry := range root.entries {
		if entry.key == "apiVersion" || entry.key == "kind" || entry.key == "current" {
			at = max(at, entry.value.last)
		}
	}
	e.insert(at, key+": "+text)
	return nil
}

// unset removes a key at the top that has one word.
func (e *editor) unset(key string) {
	for _, entry := range e.root().entries {
		if entry.key == key {
			e.cut(entry.pos.Line, entry.value.last)
		}
	}
}

// replace puts text where a one-word value stands.
func (e *editor) replace(n *node, text string) {
	line := []rune(e.lines[n.pos.Line-1])
	at := min(n.pos.Col-1, len(line))
	end := min(at+len([]rune(n.pos.word)), len(line))
	e.lines[n.pos.Line-1] = string(line[:at]) + text + string(line[end:])
	if n.last > n.pos.Line {
		e.cut(n.pos.Line+1, n.last)
	}
}

// add appends a struct to a list at the top.
func (e *editor) add(list string, v reflect.Value) error {
	root := e.root()
	if root.flow {
		return e.byHand("all")
	}
	n := root.get(list)
	switch {
	case n == nil:
		for len(e.lines) > 0 && strings.TrimSpace(e.lines[len(e.lines)-1]) == "" {
			e.lines = e.lines[:len(e.lines)-1]
		}
		e.lines = append(e.lines, append([]string{list + ":"}, append(block(v, 2), "")...)...)
	case len(n.items) == 0:
		for _, entry := range root.entries {
			if entry.key == list {
				line := e.lines[entry.pos.Line-1]
				e.lines[entry.pos.Line-1] = strings.Replace(line, "[]", "", 1)
				e.lines[entry.pos.Line-1] = strings.TrimRight(e.lines[entry.pos.Line-1], " ")
				e.insert(entry.pos.Line, block(v, 2)...)
				break
			}
		}
	case n.flow:
		return e.byHand(list)
	default:
		e.insert(e.end(n, len(n.items)-1), block(v, n.pos.Col-1)...)
	}
	return nil
}

// block writes a struct as a list item, without what is absent.
func block(v reflect.Value, indent int) []string {
	var lines []string
	lead := strings.Repeat(" ", indent) + "- "
	for _, f := range fieldsOf(v.Type()) {
		fv := v.FieldByIndex(f.index)
		if fv.IsZero() {
			continue
		}
		lines = append(lines, lead+f.key+": "+scalarText(fv, ""))
		lead = strings.Repeat(" ", indent+2)
	}
	return lines
}

// setItem writes a key of a list's item.
func (e *editor) setItem(list string, i int, key, text string) error {
	n := e.root().get(list)
	item := n.items[i]
	if c := item.get(key); c != nil {
		e.replace(c, text)
		return nil
	}
	if item.flow {
		return e.byHand(fmt.Sprintf("%s[%d]", list, i))
	}
	e.insert(item.entries[len(item.entries)-1].value.last, strings.Repeat(" ", item.pos.Col-1)+key+": "+text)
	return nil
}

// removeKey removes a key of a list's item; never its first one, which stands
// behind the dash.
func (e *editor) removeKey(list string, i int, key string) error {
	item := e.root().get(list).items[i]
	for j, entry := range item.entries {
		if entry.key != key {
			continue
		}
		if item.flow || j == 0 {
			return e.byHand(fmt.Sprintf("%s[%d]", list, i))
		}
		e.cut(entry.pos.Line, entry.value.last)
	}
	return nil
}

// remove takes an item out of a list.
func (e *editor) remove(list string, i int) error {
	root := e.root()
	n := root.get(list)
	if n.flow {
		return e.byHand(list)
	}
	first := n.items[i].pos.Line
	for dash := n.pos.Col - 1; first > 1; first-- {
		if line := e.lines[first-1]; len(line) > dash && line[dash] == '-' && strings.TrimSpace(line[:dash]) == "" {
			break
		}
	}
	e.cut(first, e.end(n, i))
	if len(n.items) == 1 {
		for _, entry := range root.entries {
			if entry.key == list {
				line := e.lines[entry.pos.Line-1]
				e.lines[entry.pos.Line-1] = strings.Replace(line, ":", ": []", 1)
			}
		}
	}
	return nil
}

// end is the last line of an item, with the comments that are indented as it.
func (e *editor) end(list *node, i int) int {
	last := list.items[i].last
	for last < len(e.lines) {
		text := strings.TrimLeft(e.lines[last], " ")
		if !strings.HasPrefix(text, "#") || len(e.lines[last])-len(text) < list.pos.Col+1 {
			break
		}
		last++
	}
	return last
}

func (e *editor) insert(after int, lines ...string) {
	e.lines = slices.Insert(e.lines, min(after, len(e.lines)), lines...)
}

func (e *editor) cut(first, last int) {
	e.lines = slices.Delete(e.lines, first-1, min(last, len(e.lines)))
}
