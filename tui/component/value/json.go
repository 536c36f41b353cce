package value

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/prism-data-layer/prism/tui/component/text"
)

// A node is a value of a JSON document, in the order in which it is written.
type node struct {
	key   string // with its quotes; "" in a list
	text  string // of a scalar
	open  string // "{" or "["; "" for a scalar
	close string
	kids  []*node
}

// maxNest bounds what is looked at as JSON: deeper than that is an attack.
const maxNest = 200

// parse reads an object or a list; nil when data is none.
func parse(data []byte) *node {
	if t := bytes.TrimSpace(data); len(t) == 0 || t[0] != '{' && t[0] != '[' {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	n, err := read(d, 0)
	if err != nil {
		return nil
	}
	if _, err := d.Token(); err != io.EOF {
		return nil
	}
	return n
}

func read(d *json.Decoder, depth int) (*node, error) {
	t, err := d.Token()
	if err != nil || depth > maxNest {
		return nil, fmt.Errorf("no JSON: %w", err)
	}
	delim, ok := t.(json.Delim)
	if !ok {
		return &node{text: scalar(t)}, nil
	}
	n := &node{open: delim.String(), close: "}"}
	if n.open == "[" {
		n.close = "]"
	}
	for d.More() {
		key := ""
		if n.open == "{" {
			k, err := d.Token()
			if err != nil {
				return nil, err
			}
			key = scalar(k)
		}
		kid, err := read(d, depth+1)
		if err != nil {
			return nil, err
		}
		kid.key = key
		n.kids = append(n.kids, kid)
	}
	_, err = d.Token()
	return n, err
}

// scalar writes a value so that it can be drawn: as the document has it, but
// for what a terminal would obey.
func scalar(t json.Token) string {
	switch t := t.(type) {
	case string:
		return `"` + Clean(strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(t)) + `"`
	case nil:
		return "null"
	}
	return fmt.Sprint(t)
}

// lines writes the node with so many levels open.
func (n *node) lines(depth, width int) []string {
	var out []string
	var write func(n *node, level int, last bool)
	write = func(n *node, level int, last bool) {
		indent := strings.Repeat("  ", min(level, max(width/4, 1)))
		lead, tail := indent, ","
		if n.key != "" {
			lead += n.key + ": "
		}
		if last {
			tail = ""
		}
		put := func(s string) { out = append(out, text.Wrap(s, width)...) }
		switch {
		case n.open == "":
			put(lead + n.text + tail)
		case len(n.kids) == 0:
			put(lead + n.open + n.close + tail)
		case level >= depth:
			put(fmt.Sprintf("%s%s… %d …%s%s", lead, n.open, len(n.kids), n.close, tail))
		default:
			put(lead + n.open)
			for i, k := range n.kids {
				write(k, level+1, i == len(n.kids)-1)
			}
			put(indent + n.close + tail)
		}
	}
	write(n, 0, true)
	return out
}
