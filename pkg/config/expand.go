package config

import (
	"fmt"
	"regexp"
	"strings"
)

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// expand puts variables into a text: ${NAME} is NAME's value, $${ is a plain
// ${, and any other dollar stands for itself. The result is never looked at
// again, so a value cannot bring in another variable.
func expand(text string, lookup func(string) (string, bool)) (string, *fault) {
	var b strings.Builder
	for {
		i := strings.Index(text, "${")
		if i < 0 {
			b.WriteString(text)
			return b.String(), nil
		}
		if i > 0 && text[i-1] == '$' {
			b.WriteString(text[:i-1] + "${")
			text = text[i+2:]
			continue
		}
		b.WriteString(text[:i])
		name, rest, closed := strings.Cut(text[i+2:], "}")
		switch {
		case !closed:
			return "", &fault{message: "${ is never closed", hint: "write ${NAME}, or $${ for a plain ${", doc: "variables"}
		case !variableName.MatchString(name):
			f := &fault{message: fmt.Sprintf("%q is not the name of a variable", name), hint: "write ${NAME}; defaults and other forms are not known", doc: "variables"}
			if plain, _, cut := strings.Cut(name, ":"); cut && variableName.MatchString(plain) {
				f.suggestion = "${" + plain + "}"
			}
			return "", f
		}
		value, ok := lookup(name)
		if !ok {
			return "", &fault{message: fmt.Sprintf("the variable %q is not set", name), hint: fmt.Sprintf("set it first: export %s=…", name), doc: "variables"}
		}
		b.WriteString(value)
		text = rest
	}
}

// unexpand writes a text so that expand gives it back.
func unexpand(text string) string { return strings.ReplaceAll(text, "${", "$${") }

const secretWords = `password|passwd|passphrase|secret|token|api[_-]?key|apikey|access[_-]?key|private[_-]?key|secret[_-]?key|credentials?|requirepass|pwd`

var secretKey = regexp.MustCompile(`(?i)(?:` + secretWords + `)$`)

// namesSecret reports whether a key's value must not be written down. A key
// such as token_file names a place, not a secret.
func namesSecret(key string) bool { return secretKey.MatchString(key) }
