package config

import "fmt"

// Where is embedded in what a file declares and remembers where it was written,
// so that whoever finds fault with a value later can name its file and line.
// Fields are named as in the file: "ttl", "addrs[1]". A Where of something that
// was built in code knows nothing and says so.
type Where struct {
	src  *source
	pos  Pos
	path string
	at   map[string]mark
}

type mark struct {
	pos Pos
	raw string // what was written, where variables were put in
}

// Pos is where the struct as a whole begins.
func (w Where) Pos() Pos { return w.pos }

// Path is where it stands in the structure of its file: "namespaces[2]".
func (w Where) Path() string { return w.path }

// Declared reports whether the file gives the field itself: what is not
// declared has its default, and is free to be changed elsewhere.
func (w Where) Declared(field string) bool { return w.at[field].pos.IsValid() }

// At is where a field's value stands; that of the whole where it is not given.
func (w Where) At(field string) Pos {
	if m, ok := w.at[field]; ok {
		return m.pos
	}
	return w.pos
}

// Problem makes a problem with a field (or, with "", with the whole). Suggest
// is the word to put there instead; "" if there is none.
func (w Where) Problem(field, suggest, format string, args ...any) Problem {
	return newProblem(w.src, w.At(field), join(w.path, field), fault{message: fmt.Sprintf(format, args...), suggestion: suggest})
}

func (w *Where) set(field string, pos Pos, raw string) {
	if w.at == nil {
		w.at = map[string]mark{}
	}
	w.at[field] = mark{pos, raw}
}

func join(path, field string) string {
	switch {
	case path == "" || field == "":
		return path + field
	case field[0] == '[', field[0] == '.':
		return path + field
	}
	return path + "." + field
}
