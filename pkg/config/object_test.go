package config

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

const twoObjects = `# both
---
apiVersion: prism/v1
kind: Backend
name: hot
driver: redis
options:
  addrs: ["127.0.0.1:6379"]
  pool: {size: 10, name: "a b"}
  password_file: /run/secret # a file
  tls: true
  note: ${HOME}
---
apiVersion: prism/v1
kind: Namespace
name: orders
model: keyvalue
backend: hot
needs: {ttl: 30d}
...
---
# nothing
`

func TestAFileHoldsManyObjects(t *testing.T) {
	t.Parallel()
	list, err := ParseObjects("all.yaml", []byte(twoObjects), testLoad())
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || list[0].Name() != "hot" || list[1].Name() != "orders" || list[1].Namespace.Needs.TTL != 30*24*time.Hour {
		t.Fatalf("got %+v", list)
	}
	if got := list[1].Where().At("backend").String(); got != "all.yaml:18:10" {
		t.Errorf("backend stands at %s", got)
	}
	want := map[string]string{"addrs": `["127.0.0.1:6379"]`, "pool": `{size: 10, name: "a b"}`, "password_file": "/run/secret", "tls": "true", "note": `"${HOME}"`}
	if got := list[0].Backend.Options.Written(); !reflect.DeepEqual(got, want) {
		t.Errorf("the options are written %v, want %v", got, want)
	}
}

// Each problem is told where it stands in the file, whatever document it is in.
func TestEachDocumentIsJudged(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"kind: Namespace\nname: a\nmodel: cache\n":                                                `f.yaml:1:1: missing key "apiVersion"`,
		"apiVersion: prism/v1\nname: a\n":                                                         `f.yaml:1:1: missing key "kind"`,
		"apiVersion: prism/v1\nkind: Gateway\n":                                                   "f.yaml:2:7: a file of kind Gateway is not applied",
		"apiVersion: prism/v1\nkind: Namespce\n":                                                  `did you mean "Namespace"?`,
		"apiVersion: prism/v2\nkind: Namespace\nname: a\nmodel: cache\n":                          "is newer than this program reads",
		"---\napiVersion: prism/v1\nkind: Namespace\nname: a\nmodel: cache\n---\n\n- a\n":         "f.yaml:8:1: the document holds a list",
		"apiVersion: prism/v1\nkind: Namespace\nname: a\nmodle: cache\n":                          "f.yaml:4:1: unknown key \"modle\"\n    4 | modle: cache\n      | ^^^^^ did you mean \"model\"?",
		"\n\n---\n\n---\napiVersion: prism/v1\nkind: Namespace\nname: a\nmodel: cachee\n":         "f.yaml:9:8: model is \"cachee\"",
		"apiVersion: prism/v1\nkind: Namespace\nname: a\nmodel: cache\nretention: 1h\n":           "f.yaml:5:12: retention is for namespaces of model timeseries",
		"apiVersion: prism/v1\nkind: Backend\nname: a\ndriver: pebbel\n":                          `did you mean "pebble"?`,
		"apiVersion: prism/v1\nkind: Backend\nname: a\ndriver: pebble\nguard: {mode: off}\n":      "f.yaml:5:1: the guard of a backend is a matter of the gateway's own file",
		"apiVersion: prism/v1\nkind: Backend\nname: a\ndriver: redis\noptions: {password: abc}\n": "the secret \"password\" is written in the file",
		"# nothing\n---\n": "f.yaml:1:1: the file is empty",
		"":                 "f.yaml:1:1: the file is empty",
		"a: [\n---\napiVersion: prism/v1\nkind: Backend\nname: A\ndriver: memory\n": "f.yaml:5:7: \"A\" is not a name",
		"a: [\n---\nb\n":      "f.yaml:1:4: \"[\" is never closed",
		"---\nb: c\n  d: e\n": "f.yaml:3:3: wrong indent",
	} {
		_, err := ParseObjects("f.yaml", []byte(text), testLoad())
		var problems *Error
		if !errors.As(err, &problems) {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := problems.Render(); !strings.Contains(got, want) {
			t.Errorf("%q: got\n%s\nwant %s", text, got, want)
		}
	}
}

func TestTheSameNameTwiceIsAProblem(t *testing.T) {
	t.Parallel()
	one := "apiVersion: prism/v1\nkind: Backend\nname: a\ndriver: memory\n"
	list, err := ParseObjects("f.yaml", []byte(one+"---\n"+one+"---\n"+strings.Replace(one, "kind: Backend\nname: a\ndriver: memory", "kind: Namespace\nname: a\nmodel: cache", 1)), testLoad())
	if err != nil {
		t.Fatal(err)
	}
	got := Twice(list)
	if len(got) != 1 || got[0].String() != `f.yaml:8:7: two backends are called "a"` || !strings.Contains(got[0].Hint, "f.yaml:3:7") {
		t.Errorf("got %v", got)
	}
}

// What is written says no defaults, and reads as what it was.
func TestMarshalledObjectsAreReadAsTheyWere(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	texts := []string{"", "plain", "two words", "a: b # c", "${X} $${Y}", "ends in \\", "\"quotes\" 'n' ---", "猫 \u202e\u2028\x07\x7f", "- x", "true", "12", "\n\t multi\nline\n", " space "}
	var want []Object
	var b strings.Builder
	for i := range 200 {
		o := Object{Kind: KindNamespace, Namespace: &Namespace{Name: fmt.Sprintf("n%d", i), Model: "queue", Description: texts[r.IntN(len(texts))], AutoCreate: r.IntN(2) == 0}}
		o.Namespace.Needs.Durability = []string{"strong", "relaxed"}[r.IntN(2)]
		o.Namespace.Limits.Receipts = []int64{1_000_000, 5}[r.IntN(2)]
		o.Namespace.Limits.MessageBytes = Size(r.IntN(1 << 20))
		o.Namespace.DefaultTTL = time.Duration(r.IntN(1<<30)) * time.Millisecond
		if r.IntN(2) == 0 {
			o.Namespace.Access = Access{Owners: []string{"team:a", "group:b+c"}, Consumers: []Consumer{{Service: "x.*", Permissions: []string{"read"}}, {Group: "g", Permissions: []string{"read", "write"}}}}
		}
		want = append(want, o)
		fmt.Fprintf(&b, "---\n%s", MarshalObject(o))
	}
	got, err := ParseObjects("f.yaml", []byte(b.String()), testLoad())
	if err != nil {
		t.Fatalf("seed %d: %v\n%s", seed, err, b.String())
	}
	for i := range want {
		forget(reflect.ValueOf(got[i].Namespace).Elem())
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Fatalf("seed %d: got\n%+v\nwant\n%+v\nfrom\n%s", seed, got[i].Namespace, want[i].Namespace, MarshalObject(want[i]))
		}
	}
	if text := string(MarshalObject(Object{Kind: KindNamespace, Namespace: &Namespace{Name: "a", Model: "cache", AutoCreate: true, Needs: Needs{Durability: "strong"}, Limits: NamespaceLimits{Receipts: 1_000_000}}})); text != "apiVersion: prism/v1\nkind: Namespace\nname: a\nmodel: cache\n" {
		t.Errorf("defaults are written:\n%s", text)
	}
}

// forget takes the places out, so that values can be compared.
func forget(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == whereType {
			v.SetZero()
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				forget(v.Field(i))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			forget(v.Index(i))
		}
	}
}

func TestAManyTimesLargerFileIsRead(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&b, "---\napiVersion: prism/v1\nkind: Namespace\nname: n%d\nmodel: cache\n# %s\n", i, strings.Repeat("x", 400))
	}
	list, err := ParseObjects("f.yaml", []byte(b.String()), testLoad())
	if err != nil || len(list) != 3000 || b.Len() < MaxFileBytes {
		t.Fatalf("%d objects of %d bytes: %v", len(list), b.Len(), err)
	}
	if pos := list[2999].Where().At("name"); pos.Line != 3000*6-2 {
		t.Errorf("the last stands on line %d", pos.Line)
	}
	if !slices.IsSortedFunc(list, func(a, b Object) int { return a.Where().Pos().Line - b.Where().Pos().Line }) {
		t.Error("the order is not the file's")
	}
}
