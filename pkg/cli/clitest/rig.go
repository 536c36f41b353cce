package clitest

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/root"
	"github.com/prism-data-layer/prism/pkg/iostreams"
)

// A Rig runs command lines. Each runs as a process of its own would: nothing
// is kept between two but the gateway, the folder and the files.
type Rig struct {
	t testing.TB

	Gateway *Gateway // nil: there is none
	Dir     string   // the working folder and the home
	Env     map[string]string
	Stdin   string
	TTY     bool
	Width   int
	Height  int
	// Prepare, if set, may change the factory before the command runs.
	Prepare func(*cli.Factory)
	Context context.Context
	// Each, if set, is called before each of Golden's two runs.
	Each func()
}

// Second is one second, for fake clocks.
const Second = time.Second

// A Result is what one command line did.
type Result struct {
	Code        int
	Out, ErrOut string
}

// New returns a rig with a gateway that has a few things in it.
func New(t testing.TB) *Rig {
	t.Helper()
	r := Offline(t)
	r.Gateway = Start(t)
	r.Env["PRISM_DATA"], r.Env["PRISM_ADMIN"] = r.Gateway.Addr, r.Gateway.Addr
	return r
}

// Offline returns a rig without a gateway: its port is closed.
func Offline(t testing.TB) *Rig {
	t.Helper()
	dir := t.TempDir()
	return &Rig{t: t, Dir: dir, Width: 80, Height: 24, Context: context.Background(), Env: map[string]string{
		"PRISM_DATA": "127.0.0.1:1", "PRISM_ADMIN": "127.0.0.1:1",
	}}
}

// Factory makes what one command line runs with.
func (r *Rig) Factory() (f *cli.Factory, in, out, errOut *iostreams.Buffer) {
	ios, in, out, errOut := iostreams.Test()
	ios.SetEnv(r.Env)
	if r.TTY {
		ios.SetTTY(true, true, true)
		ios.SetSize(r.Width, r.Height)
		ios.SetNoPager(true)
	}
	_, _ = in.WriteString(r.Stdin)
	f = cli.NewFactory(ios, cli.Build{Version: "0.1.0", Commit: "abc123", Date: "2026-03-01"})
	f.Place = cli.Place{Dir: r.Dir, Home: r.Dir, Temp: r.Dir}
	if r.Prepare != nil {
		r.Prepare(f)
	}
	return f, in, out, errOut
}

// Refresh puts the gateway back to how it started.
func (r *Rig) Refresh() { r.Gateway.Reset() }

// Run runs one command line.
func (r *Rig) Run(args ...string) Result {
	r.t.Helper()
	f, _, out, errOut := r.Factory()
	code := root.Main(r.Context, f, args)
	return Result{code, r.clean(out.String()), r.clean(errOut.String())}
}

// clean takes out what differs from run to run: ports and folders.
func (r *Rig) clean(s string) string {
	if r.Gateway != nil {
		s = strings.ReplaceAll(s, r.Gateway.Addr, "127.0.0.1:8980")
	}
	s = regexp.MustCompile(`\b[0-9a-f]{32}\b`).ReplaceAllString(s, "TRACE")
	return strings.ReplaceAll(s, r.Dir, "/home/ann")
}

// OK runs a command line that must succeed and returns its output.
func (r *Rig) OK(args ...string) string {
	r.t.Helper()
	got := r.Run(args...)
	if got.Code != 0 {
		r.t.Fatalf("prismctl %s: exit %d\n%s%s", strings.Join(args, " "), got.Code, got.Out, got.ErrOut)
	}
	return got.Out
}

// Want runs a command line that must end with code and whose errors must hold
// each of the words.
func (r *Rig) Want(code int, words []string, args ...string) Result {
	r.t.Helper()
	got := r.Run(args...)
	if got.Code != code {
		r.t.Errorf("prismctl %s: exit %d, want %d\n%s%s", strings.Join(args, " "), got.Code, code, got.Out, got.ErrOut)
	}
	for _, w := range words {
		if !strings.Contains(got.ErrOut, w) {
			r.t.Errorf("prismctl %s: the errors lack %q:\n%s", strings.Join(args, " "), w, got.ErrOut)
		}
	}
	return got
}

// Write makes a file in the working folder.
func (r *Rig) Write(name, text string) string {
	r.t.Helper()
	path := filepath.Join(r.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
	return path
}

// updateFlag is -update: write golden files instead of comparing.
const updateFlag = "update"

// Golden runs a command line as in a pipe and as on a terminal of 80 columns,
// and compares both with testdata/<name>.golden. Escapes are shown as ␛.
// Run the test with -update to write the file.
func (r *Rig) Golden(name string, args ...string) {
	r.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "$ prismctl %s\n", r.clean(strings.Join(args, " ")))
	was := r.TTY
	for _, tty := range []bool{false, true} {
		r.TTY = tty
		if r.Each != nil {
			r.Each()
		}
		got := r.Run(args...)
		where := "pipe"
		if tty {
			where = "terminal"
		} else if strings.Contains(got.Out+got.ErrOut, "\x1b") {
			r.t.Errorf("prismctl %s: an escape in a pipe", strings.Join(args, " "))
		}
		fmt.Fprintf(&b, "-- %s: exit %d --\n%s", where, got.Code, got.Out)
		if got.ErrOut != "" {
			fmt.Fprintf(&b, "-- %s: stderr --\n%s", where, got.ErrOut)
		}
	}
	r.TTY = was
	Compare(r.t, name, strings.ReplaceAll(b.String(), "\x1b", "␛"))
}

// Compare compares text with testdata/<name>.golden.
func Compare(t testing.TB, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if f := flag.Lookup(updateFlag); f != nil && f.Value.String() == "true" {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run with -update to write it\n%s", err, got)
	}
	if string(want) != got {
		t.Errorf("%s differs; run with -update to write it\n--- got\n%s\n--- want\n%s", path, got, want)
	}
}
