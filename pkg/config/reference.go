package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Reference writes the page that problems point to: the rules that hold in
// every file, then each kind of file key by key. make generate keeps it in
// docs/config.md.
func Reference() string {
	var b strings.Builder
	b.WriteString("# Configuration files\n\n")
	for _, s := range ruleSections {
		fmt.Fprintf(&b, "## %s\n\n%s\n\n", s.title, s.text)
	}
	seen := map[string]bool{}
	for _, s := range ruleSections {
		seen[strings.ToLower(s.title)] = true
	}
	for _, kind := range slices.Concat(kinds, objectKinds) {
		fmt.Fprintf(&b, "# %s\n\n", kind)
		for _, f := range fieldsOf(reflect.TypeOf(newOf(kind)).Elem()) {
			title := f.key
			if !seen[strings.ToLower(title)] {
				fmt.Fprintf(&b, "## %s\n\n", title)
				seen[strings.ToLower(title)] = true
			} else {
				fmt.Fprintf(&b, "**%s**\n\n", title)
			}
			fmt.Fprintf(&b, "%s\n\n", f.sentence())
			if t := f.element(); t != nil {
				table(&b, t)
			}
		}
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

func table(b *strings.Builder, t reflect.Type) {
	b.WriteString("| key | takes | default | meaning |\n|---|---|---|---|\n")
	rows(b, t, "")
	b.WriteString("\n")
}

func rows(b *strings.Builder, t reflect.Type, prefix string) {
	for _, f := range fieldsOf(t) {
		def := "`" + f.def + "`"
		switch {
		case f.has("required"):
			def = "required"
		case f.def == "":
			def = ""
		}
		what := takes(f.typ)
		if f.enum != nil {
			what = "`" + strings.Join(f.enum, "` `") + "`"
		}
		fmt.Fprintf(b, "| `%s%s` | %s | %s | %s |\n", prefix, f.key, what, def, f.doc)
		if e := f.element(); e != nil {
			mark := "."
			if f.typ.Kind() == reflect.Slice {
				mark = "[]."
			}
			rows(b, e, prefix+f.key+mark)
		}
	}
}

func (f field) sentence() string {
	s := f.doc
	if f.has("required") {
		s += " Required."
	}
	if f.def != "" {
		s += " Default: `" + f.def + "`."
	}
	return s
}

// ruleSections hold in every file. Their titles are the anchors of problems
// that are not about one key.
var ruleSections = [...]struct{ title, text string }{
	{"files", "A file is YAML of at most 1 MiB: one document of keys and values that begins with `apiVersion: prism/v1`. A file for `prismctl apply` has up to 16 MiB and any number of documents, of the kinds Namespace and Backend. An unknown key is an error. What a file does not say has its default. All problems are told at once, and a file with a problem changes nothing: what was in force stays."},
	{"yaml", "Indent with spaces. A key stands once. Nesting goes 32 levels deep. Anchors and aliases work, 100 of each; tags and directives do not, and further documents only in files for `prismctl apply`. Line ends may be LF or CRLF, and a byte order mark is skipped."},
	{"names", "Names of namespaces, backends, configurations, contexts and services match `[a-z][a-z0-9-]{0,62}`."},
	{"durations", "A duration has units: `500ms`, `15m`, `1h30m`, `30d`. The units are `w d h m s ms us ns`."},
	{"sizes", "A size has a unit: `64MiB` (binary: KiB, MiB, GiB, TiB) or `1GB` (decimal: KB, MB, GB, TB), or `B`. Where the key ends in `_bytes`, a plain number is one of bytes."},
	{"addresses", "An address is `HOST:PORT`. An empty host means every interface. The port is between 1 and 65535, or `auto`, which lets the system choose; `auto` alone is `127.0.0.1:auto`."},
	{"access", "A principal is a service, a user, a team or a group. An owner is written `team:shop`; a consumer has one of the keys `service`, `user`, `team` and `group`. The name may be a pattern: `checkout.*`."},
	{"variables", "`${NAME}` in a text is the value of the environment variable NAME, which must be set. `$${` is a plain `${`. Keys are left alone, and a value is not looked at again. In brackets, put it in quotes: `[\"${NAME}\"]`."},
	{"secrets", "A secret is never written in a file. Where a key such as `password`, `token`, `secret` or `api_key` needs one, write `${NAME}`; the same holds for the password of a URL."},
	{"paths", "A relative path starts at the folder of the file and stays in it, through symbolic links too. An absolute path goes where it says."},
}
