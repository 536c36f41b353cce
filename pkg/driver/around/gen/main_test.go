package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheCommittedForwardersAreUpToDate(t *testing.T) {
	t.Parallel()
	want, err := generate("../..")
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join("..", output))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatal("zz_generated.go differs from the interfaces of package driver; run make generate")
	}
}

func TestAContractThatCannotBeForwardedIsRefused(t *testing.T) {
	t.Parallel()
	const set = "package driver\n// A Set is one store.\ntype Set struct { Foo Foo }\n"
	for _, c := range []struct{ name, src, want string }{
		{"no Set", "package driver\n", "no type Set"},
		{"no capability in the comment", set + "// Foo is nice.\ntype Foo interface { A(ctx context.Context, ns prism.Namespace) error }", "must begin with"},
		{"another interface's comment", set + "// Bar is capability foo.\ntype Foo interface { A(ctx context.Context, ns prism.Namespace) error }", "must begin with"},
		{"a field of another name", "package driver\ntype Set struct { Bar Foo }\n// Foo is capability foo.\ntype Foo interface{}", "must be named"},
		{"a call without a namespace", set + "// Foo is capability foo.\ntype Foo interface { A(ctx context.Context) error }", "names no namespace"},
		{"a callback", set + "// Foo is capability foo.\ntype Foo interface { A(ctx context.Context, ns prism.Namespace, f func()) error }", "does not cross a process"},
		{"a channel as a result", set + "// Foo is capability foo.\ntype Foo interface { A(ctx context.Context, ns prism.Namespace) (chan int, error) }", "does not cross a process"},
		{"an array", set + "// Foo is capability foo.\ntype Foo interface { A(ctx context.Context, ns prism.Namespace, a [2]int) error }", "arrays"},
		{"a method of unknown effect", set + "// Foo is capability foo.\ntype Foo interface { A(ctx context.Context, ns prism.Namespace) error }", "effects"},
		{"an embedded interface from elsewhere", set + "// Foo is capability foo.\ntype Foo interface { io.Closer }", "neither a method"},
		{"an embedded name that is not there", set + "// Foo is capability foo.\ntype Foo interface { Bar }", "no interface"},
		{"no Go", "package", "expected"},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "x.go"), []byte(c.src), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := generate(dir)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", c.name, err, c.want)
		}
	}
	if err := run(nil); err == nil {
		t.Error("run without a folder: got no error")
	}
}

func TestAnUnnamedParameterGetsAName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	src := "package driver\ntype Set struct { Foo Foo }\n// Foo is capability foo.\ntype Foo interface { Get(context.Context, prism.Namespace) error }"
	if err := os.WriteFile(filepath.Join(dir, "x.go"), []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := generate(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Get(p0 context.Context, p1 prism.Namespace) (err error)", "p0, span, err := w.hook.Begin(p0,"} {
		if !bytes.Contains(out, []byte(want)) {
			t.Errorf("want %q in:\n%s", want, out)
		}
	}
}
