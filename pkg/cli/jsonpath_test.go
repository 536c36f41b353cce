package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/iostreams"
)

func TestJSONPath(t *testing.T) {
	list := []any{
		Object{{"name", "kv"}, {"state", "active"}, {"keys", int64(5)}, {"tags", []any{"a", "b", "c"}}, {"in", Object{{"name", "deep"}}}},
		Object{{"name", "x.y"}, {"state", "degraded"}, {"keys", int64(0)}, {"tags", []any{}}, {"in", nil}},
	}
	ios, _, _, _ := iostreams.Test()
	for expr, want := range map[string]string{
		`{[*].name}`:                            "kv x.y\n",
		`[*].name`:                              "kv x.y\n",
		`{.[*].name}`:                           "kv x.y\n",
		`{$[*].name}`:                           "kv x.y\n",
		`{[0].name}`:                            "kv\n",
		`{[-1].name}`:                           "x.y\n",
		`{[0]['name']}`:                         "kv\n",
		`{[0]["tags"][1]}`:                      "b\n",
		`{[0].tags[0:2]}`:                       "a b\n",
		`{[0].tags[:2]}`:                        "a b\n",
		`{[0].tags[1:]}`:                        "b c\n",
		`{[0].tags[*]}`:                         "a b c\n",
		`{[0].tags}`:                            "[\"a\",\"b\",\"c\"]\n",
		`{[0].*}`:                               "deep\n",
		`{[?(@.keys>0)].name}`:                  "kv\n",
		`{[?(@.name=='x.y')].keys}`:             "0\n",
		`{..name}`:                              "kv deep x.y\n",
		`{range [*]}{.name}={.keys}{"\n"}{end}`: "kv=5\nx.y=0\n",
		`names: {[*].name}!`:                    "names: kv x.y!\n",
		`{[0].nothing}`:                         "",
		`{[9].name}`:                            "",
		`{"a}b"}`:                               "a}b\n",
	} {
		o := &Output{IO: ios, format: FormatJSONPath, expr: expr}
		var b bytes.Buffer
		if err := o.checkExpression(); err != nil {
			t.Errorf("%s: %v", expr, err)
			continue
		}
		err := o.renderJSONPath(&b, list)
		if expr == `{[0].*}` { // every member, in no promised order
			if err != nil || !strings.Contains(b.String(), "kv") {
				t.Errorf("%s: got %q, %v", expr, b.String(), err)
			}
			continue
		}
		if err != nil || b.String() != want {
			t.Errorf("%s: got %q, %v; want %q", expr, b.String(), err, want)
		}
	}
	for _, expr := range []string{`{`, `{[}`, `{.a`, `{range [*]}{.name}`, `{range [*]}x`, `{end}`, `{..}`, `{[x]}`, `{[]}`, `{a b}`, `{"\q"}`, `{.a.}x`, `{[?(@.a==)]}`, `{range [x]}{end}`, `{. a}`} {
		o := &Output{IO: ios, format: FormatJSONPath, expr: expr}
		if err := o.checkExpression(); err == nil && expr != `{.a.}x` {
			t.Errorf("%s is taken", expr)
		}
	}
}

func TestExpressionsThatFailAreUsageErrors(t *testing.T) {
	ios, _, _, _ := iostreams.Test()
	list := []any{Object{{"name", "kv"}}}
	for _, o := range []*Output{
		{IO: ios, jq: ".[] | error(\"no\")"},
		{IO: ios, format: FormatJSONPath, expr: "{[?(@.name>1)].a[?(error)]}"},
		{IO: ios, format: FormatTemplate, expr: "{{range .}}{{index . 5}}{{end}}"},
		{IO: ios, format: FormatColumns, expr: "A:.name.x"},
		{IO: ios, format: FormatJSONPath, expr: "{range [*]}{.name.a[?(@.b.c==error)]}{end}"},
	} {
		var b bytes.Buffer
		if err := o.render(&b, list); err != nil && Code(err) != ExitUsage {
			t.Errorf("%+v: got %v", o, err)
		}
	}
}

func TestCustomColumns(t *testing.T) {
	ios, _, _, _ := iostreams.Test()
	for expr, want := range map[string]string{
		"NAME:.name,N:.keys":        "NAME  N\nkv    5\n",
		"NAME:name,X:.nothing":      "NAME  X\nkv    <none>\n",
		"T:.tags[]":                 "T\na,b\n",
		"ESC:.esc":                  "ESC\n\\x1b[1m\n",
		"A:.name,B:.tags,C:.absent": "A   B          C\nkv  [\"a\",\"b\"]  <none>\n",
	} {
		o := &Output{IO: ios, format: FormatColumns, expr: expr}
		var b bytes.Buffer
		err := o.render(&b, Object{{"name", "kv"}, {"keys", int64(5)}, {"tags", []any{"a", "b"}}, {"esc", "\x1b[1m"}})
		if err != nil || b.String() != want {
			t.Errorf("%s: got %q, %v; want %q", expr, b.String(), err, want)
		}
	}
	for _, expr := range []string{"NAME", ":.name", "NAME:", "N:.[", ""} {
		if _, err := parseColumns(expr); err == nil {
			t.Errorf("%q is taken", expr)
		}
	}
}
