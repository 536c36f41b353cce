package cli

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/iostreams"
)

type thing struct {
	name  string
	n     int64
	ver   uint64
	ratio float64
	on    bool
	tags  []string
	at    int64
	when  int64
	inner any
}

func things() Kind[thing] {
	return Kind[thing]{Name: "Thing", Fields: []Field[thing]{
		Text("name", "NAME", "n", func(v thing) string { return v.name }),
		Int("n", "N", "n", func(v thing) int64 { return v.n }),
		Uint("ver", "VER", "v", func(v thing) uint64 { return v.ver }),
		Number("ratio", "RATIO", "r", func(v thing) float64 { return v.ratio }),
		Bool("on", "ON", "o", func(v thing) bool { return v.on }),
		Words("tags", "TAGS", "t", func(v thing) []string { return v.tags }),
		Time("made_at", "MADE", "m", func(v thing) int64 { return v.at }),
		Millis("wait_ms", "WAIT", "w", func(v thing) int64 { return v.when }),
		Nested("inner", "i", func(v thing) any { return v.inner }),
	}}
}

func run(t *testing.T, tty bool, args []string, list bool, items ...thing) (string, string, error) {
	t.Helper()
	ios, _, out, errOut := iostreams.Test()
	if tty {
		ios.SetTTY(true, true, true)
		ios.SetSize(100, 10)
	}
	f := NewFactory(ios, Build{})
	cmd := &cobra.Command{Use: "x", SilenceErrors: true, SilenceUsage: true}
	AddGlobals(cmd, f.Globals)
	var o *Output
	if list {
		o = AddListOutput(f, cmd, things().Info())
	} else {
		o = AddOutput(f, cmd, things().Info())
	}
	cmd.RunE = func(*cobra.Command, []string) error {
		if list {
			return PrintList(o, things(), Cut(o, items), "nothing here")
		}
		return PrintOne(o, things(), items[0])
	}
	cmd.SetArgs(args)
	err := cmd.Execute()
	return out.String(), errOut.String(), err
}

func three() []thing {
	return []thing{
		{name: "b", n: 2, ver: 9, ratio: .5, tags: []string{"x", "y"}, at: iostreams.TestTime().UnixMilli(), when: 5},
		{name: "a", n: 10, ver: 8, ratio: .25, on: true, tags: []string{"x"}, inner: Object{{"k", "v"}, {"list", []any{Object{{"q", "r"}}}}}},
		{name: "c", n: -1, ver: 10, ratio: 2, inner: []any{"plain", Object{{"a", int64(1)}}}},
	}
}

func TestSortBy(t *testing.T) {
	for field, want := range map[string]string{"name": "a b c", "-name": "c b a", "n": "c b a", "-n": "a b c", "ver": "a b c", "ratio": "a b c", "on": "b c a", "tags": "c a b", "made_at": "a c b", "-made_at": "b a c", "": "b a c"} {
		out, _, err := run(t, false, []string{"--sort-by", field, "-o", "name"}, true, three()...)
		if got := strings.Join(strings.Fields(out), " "); err != nil || got != want {
			t.Errorf("--sort-by %s: got %q, %v; want %q", field, got, err, want)
		}
	}
	for _, format := range []string{"table", "json", "jsonl", "yaml", "csv"} {
		out, _, err := run(t, false, []string{"--sort-by", "name", "-o", format}, true, three()...)
		if err != nil || out == "" || !strings.Contains(out, "a") {
			t.Errorf("%s: %q, %v", format, out, err)
		}
	}
	if out, _, _ := run(t, false, []string{"--sort-by", "name", "-o", "json"}, true); out != "[]\n" {
		t.Errorf("nothing, sorted: %q", out)
	}
}

func TestAnEmptyListIsAnEmptyArrayAndAHint(t *testing.T) {
	for format, want := range map[string]string{"table": "", "wide": "", "json": "[]\n", "jsonl": "", "yaml": "[]\n", "name": "", "csv": "", "jsonpath={[*].name}": "", "custom-columns=N:.name": ""} {
		out, errOut, err := run(t, false, []string{"-o", format}, true)
		if err != nil || out != want || errOut != "nothing here\n" {
			t.Errorf("-o %s: got %q, %q, %v", format, out, errOut, err)
		}
	}
	if _, errOut, _ := run(t, false, []string{"-q"}, true); errOut != "" {
		t.Errorf("--quiet: %q", errOut)
	}
}

func TestDescribeShowsWhatIsThere(t *testing.T) {
	out, _, err := run(t, false, nil, false, three()[1])
	want := "Name:   a\nN:      10\nVer:    8\nRatio:  0.25\nOn:     yes\nTags:   x\nWait:   0s\nInner:\n  k: v\n  list:\n    - q: r\n"
	if err != nil || out != want {
		t.Errorf("got\n%s%v\nwant\n%s", out, err, want)
	}
	out, _, _ = run(t, false, nil, false, three()[2])
	if !strings.HasSuffix(out, "Inner:\n  - plain\n  - a: 1\n") {
		t.Errorf("got\n%s", out)
	}
	if out, _, _ := run(t, false, []string{"-o", "csv"}, false, three()[0]); out != "name,n,ver,ratio,on,tags,made_at,wait_ms,inner\nb,2,9,0.5,false,x y,2026-03-01T12:00:00.000Z,5,\n" {
		t.Errorf("got %q", out)
	}
}

func TestFieldsAndExpressions(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--json", "n, name", "-o", "jsonl"}, "{\"n\":2,\"name\":\"b\"}\n{\"n\":10,\"name\":\"a\"}\n{\"n\":-1,\"name\":\"c\"}\n"},
		{[]string{"--json", "n", "--jq", "map(.n) | add"}, "11\n"},
		{[]string{"--jq", ".[0] | .name, .tags, .inner"}, "b\n[\"x\",\"y\"]\nnull\n"},
		{[]string{"-o", "go-template={{range .}}{{.name}}{{end}}"}, "bac"},
		{[]string{"--limit", "1", "--no-headers", "-o", "custom-columns=A:.name"}, "b\n"},
		{[]string{"--limit", "1", "--no-headers", "-o", "csv"}, "b,2,9,0.5,false,x y,2026-03-01T12:00:00.000Z,5,\n"},
	} {
		if out, _, err := run(t, false, c.args, true, three()...); err != nil || out != c.want {
			t.Errorf("%q: got %q, %v; want %q", c.args, out, err, c.want)
		}
	}
	for _, args := range [][]string{{"-o", "go-template={{"}, {"-o", "custom-columns=A"}, {"-o", "jsonpath={"}, {"--jq", "("}, {"-o", "go-template"}, {"-o", "custom-columns="}, {"--jq", "nosuch"}} {
		if _, _, err := run(t, false, args, true, three()...); Code(err) != ExitUsage {
			t.Errorf("%q: got %v", args, err)
		}
	}
	if _, _, err := run(t, false, []string{"--jq", "error"}, false, three()[0]); Code(err) != ExitUsage {
		t.Errorf("an expression that fails: %v", err)
	}
	if _, _, err := run(t, false, []string{"--jq", "error"}, true, three()...); Code(err) != ExitUsage {
		t.Errorf("an expression that fails: %v", err)
	}
}

func TestALongTableOnATerminalKeepsItsHeaderOnTop(t *testing.T) {
	many := slices.Repeat(three(), 400)
	out, _, err := run(t, false, nil, true, many...)
	if err != nil || strings.Count(out, "NAME") != 1 || strings.Count(out, "\n") != 1201 {
		t.Errorf("%d lines, %v", strings.Count(out, "\n"), err)
	}
}

func TestCompareOrdersNothingFirst(t *testing.T) {
	if compare(nil, "a") != -1 || compare("a", nil) != 1 || compare(nil, nil) != 0 || compare(true, false) != 1 || compare(false, true) != -1 || compare(true, true) != 0 || compare("a", 1) != 0 {
		t.Error("the order is wrong")
	}
}

func TestStatesCarryAGlyphAndAWord(t *testing.T) {
	ios, _, _, _ := iostreams.Test()
	ios.SetTTY(false, true, false)
	o := &Output{IO: ios, globals: &Globals{}}
	for word, glyph := range map[string]string{"active": "✓", "degraded": "!", "failed": "✗", "odd": "●"} {
		if got := o.style().human(TypeState, word); got != glyph+" "+word {
			t.Errorf("got %q", got)
		}
	}
	ios.SetEnv(map[string]string{"LANG": "C"})
	if got := o.style().human(TypeState, "active"); got != "+ active" {
		t.Errorf("got %q", got)
	}
	if got := o.style().paint(TypeState, "odd", "odd"); got != "odd" {
		t.Errorf("got %q", got)
	}
	if got := o.style().paint(TypeState, "failed", "failed"); got != "\x1b[31mfailed\x1b[0m" {
		t.Errorf("got %q", got)
	}
}

func TestAnObjectInATableIsItsMembers(t *testing.T) {
	for want, v := range map[string]any{
		"-": Object{}, "a=1 b=x\\ny": Object{{"a", int64(1)}, {"b", "x\ny"}}, "{…}": []any{Object{}},
	} {
		if got := (style{}).human(TypeObject, v); got != want {
			t.Errorf("%v: got %q, want %q", v, got, want)
		}
	}
}

func TestPartsOfAnObjectAreColumnsInTablesAndCSVAndNowhereElse(t *testing.T) {
	k := Kind[float64]{Name: "Figure", Fields: []Field[float64]{
		Nanos("time", "TIME", "t", func(float64) int64 { return 1 }),
		Number("avg(ms)", "AVG(MS)", "a", func(v float64) float64 { return v }).PartOf("values").WithDecimals(3),
		Nested("values", "v", func(v float64) any { return Object{{"avg(ms)", v}} }),
	}}
	for format, want := range map[string]string{
		FormatTable: "TIME                            AVG(MS)\n1970-01-01T00:00:00.000000001Z   12.500\n1970-01-01T00:00:00.000000001Z    2.000\n",
		FormatCSV:   "time,avg(ms)\n1970-01-01T00:00:00.000000001Z,12.5\n1970-01-01T00:00:00.000000001Z,2\n",
		FormatJSONL: `{"apiVersion":"prism/v1","kind":"Figure","time":"1970-01-01T00:00:00.000000001Z","values":{"avg(ms)":12.5}}` + "\n" +
			`{"apiVersion":"prism/v1","kind":"Figure","time":"1970-01-01T00:00:00.000000001Z","values":{"avg(ms)":2}}` + "\n",
	} {
		ios, _, out, _ := iostreams.Test()
		o := &Output{IO: ios, globals: &Globals{}, format: format}
		if err := PrintList(o, k, []float64{12.5, 2}, ""); err != nil || out.String() != want {
			t.Errorf("-o %s: %v, got\n%s\nwant\n%s", format, err, out, want)
		}
	}
}

func TestSchemasSayTheTypes(t *testing.T) {
	text := string(Schema(things().Info()))
	for _, want := range []string{`"const": "Thing"`, `"date-time"`, `"integer"`, `"number"`, `"boolean"`, `"array"`, `"additionalProperties": false`} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is missing in\n%s", want, text)
		}
	}
	if o := things().Object(three()[0]); o[0].Value != APIVersion || o[1].Value != "Thing" {
		t.Errorf("got %v", o[:2])
	}
}

func TestEnumWord(t *testing.T) {
	for in, want := range map[string]string{"STATE_ACTIVE": "active", "STATE_UNSPECIFIED": "unknown", "STATE_READ_ONLY": "read_only"} {
		if got := EnumWord(in, "STATE_"); got != want {
			t.Errorf("got %q", got)
		}
	}
}

func TestAnEndlessListTellsAgesAsTheyAreWhenItPrints(t *testing.T) {
	ios, _, out, _ := iostreams.Test()
	now := clock.NewFake(iostreams.TestTime())
	ios.SetClock(now)
	f := NewFactory(ios, Build{})
	cmd := &cobra.Command{Use: "x", RunE: func(cmd *cobra.Command, _ []string) error { return nil }}
	AddGlobals(cmd, f.Globals)
	o := AddListOutput(f, cmd, things().Info())
	cmd.SetArgs(nil)
	if err := cmd.Execute(); err != nil {
		t.Fatal(err)
	}
	list := NewList(o, things(), "")
	for range 2 {
		now.Advance(time.Hour)
		if err := list.Add(thing{name: "n", at: now.Now().UnixMilli()}); err != nil {
			t.Fatal(err)
		}
		if err := list.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Count(out.String(), "now"); got != 2 {
		t.Errorf("got %s", out.String())
	}
}

func TestNextNamesTheNamespaceWhereItMust(t *testing.T) {
	for ns, want := range map[string]string{"kv": "prismctl kv get 'a b'", "hot": "prismctl kv get 'a b' -n hot"} {
		if got := Next("kv", ns, "kv", "get", "a b"); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
