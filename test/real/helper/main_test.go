package main

import (
	"bufio"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A running helper and its lines.
type running struct {
	t     *testing.T
	term  chan os.Signal
	lines *bufio.Scanner
	code  chan int
}

func begin(t *testing.T, args ...string) *running {
	t.Helper()
	in, out := io.Pipe()
	r := &running{t, make(chan os.Signal, 1), bufio.NewScanner(in), make(chan int, 1)}
	go func() {
		code, err := run(args, out, r.term)
		_ = out.CloseWithError(err)
		r.code <- code
	}()
	return r
}

func (r *running) line() string {
	r.t.Helper()
	if !r.lines.Scan() {
		r.t.Fatalf("no line: %v", r.lines.Err())
	}
	return r.lines.Text()
}

// ends wants the rest of the lines out and the exit code.
func (r *running) ends(want int) {
	r.t.Helper()
	for r.lines.Scan() {
	}
	if got := <-r.code; got != want {
		r.t.Errorf("ended with %d, want %d (%v)", got, want, r.lines.Err())
	}
}

func (r *running) answers() {
	r.t.Helper()
	addr := strings.TrimPrefix(r.line(), "ready on ")
	c, err := net.Dial("tcp", addr)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if b, err := io.ReadAll(c); err != nil || string(b) != "ok\n" {
		r.t.Errorf("answered %q, %v", b, err)
	}
}

func TestServeAnswersUntilItIsToldToEnd(t *testing.T) {
	t.Parallel()
	r := begin(t, "serve", "127.0.0.1:0")
	r.answers()
	r.term <- syscall.SIGTERM
	r.ends(0)
}

func TestStubbornTakesNoNotice(t *testing.T) {
	t.Parallel()
	r := begin(t, "stubborn", "127.0.0.1:0")
	r.term <- syscall.SIGTERM
	r.answers()
	if len(r.term) != 1 {
		t.Error("it took the signal")
	}
}

func TestTasksEndWithTheirCode(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want int
	}{
		{[]string{"task", "0"}, 0},
		{[]string{"task", "7"}, 7},
		{[]string{"after", "1ms", "3"}, 3},
		{[]string{"env"}, 0},
		{[]string{"task"}, exitUsage},
		{[]string{"after", "soon", "1"}, exitUsage},
		{[]string{"flood", "-1"}, exitUsage},
		{[]string{"leak", "x"}, exitUsage},
		{[]string{"dance"}, exitUsage},
		{[]string{"serve", "nowhere"}, 1},
	} {
		begin(t, c.args...).ends(c.want)
	}
}

func TestFloodNumbersItsLinesAndKeepsItsRate(t *testing.T) {
	t.Parallel()
	r, began := begin(t, "flood", "10000"), time.Now()
	for i, line := 0, ""; i < 2000; i++ {
		if line = r.line(); i == 1999 && line != "line 1999" {
			t.Errorf("the 2000th line is %q", line)
		}
	}
	if took := time.Since(began); took < 150*time.Millisecond {
		t.Errorf("2000 lines of 10000 a second took %v", took)
	}
	r.term <- syscall.SIGTERM
	r.ends(0)
}

func TestLeakHoldsMoreAndMore(t *testing.T) {
	t.Parallel()
	r := begin(t, "leak", "10")
	for _, want := range []string{"holds 1 MiB", "holds 2 MiB", "holds 3 MiB"} {
		if got := r.line(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	r.term <- syscall.SIGTERM
	r.ends(0)
}
