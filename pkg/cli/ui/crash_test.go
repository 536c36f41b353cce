//go:build unix

package ui_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/clitest"
	"github.com/prism-data-layer/prism/pkg/cli/root"
	"github.com/prism-data-layer/prism/pkg/cli/ui"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/iostreams"
)

// A broken clock is the machine's until it breaks, once: a bug somewhere in the
// loop of the dashboards.
type broken struct {
	clock.Clock
	now atomic.Bool
}

func (b *broken) NewTimer(d time.Duration) *clock.Timer {
	if b.now.CompareAndSwap(true, false) {
		panic("the clock broke")
	}
	return b.Clock.NewTimer(d)
}

// A crash in the loop of the dashboards goes all the way: the terminal is given
// back, the report is in a file, and its path is all that is said.
func TestACrashLeavesATerminalAReportAndItsPath(t *testing.T) {
	t.Parallel()
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal("a pseudo-terminal is needed: ", err)
	}
	defer slave.Close()
	if err := pty.Setsize(slave, &pty.Winsize{Cols: 100, Rows: 30}); err != nil {
		t.Fatal(err)
	}
	got, read := &iostreams.Buffer{}, make(chan struct{})
	go func() { defer close(read); _, _ = io.Copy(got, master) }()
	r := clitest.Offline(t)
	r.TTY, r.Width, r.Height, r.Env = true, 100, 30, map[string]string{"TERM": "xterm-256color"}
	f, _, _, errOut := r.Factory()
	b := &broken{Clock: clock.Real()}
	f.IO.SetClock(b)
	nouns := []root.Noun{{Group: "help", New: func(f *cli.Factory) *cobra.Command { return ui.NewOn(f, slave) }}}
	code := make(chan int, 1)
	go func() { code <- root.Run(context.Background(), f, nouns, []string{"ui", "--refresh", "100ms"}) }()
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(got.String(), "overview"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no frame came: %q", got)
		}
	}
	b.now.Store(true)
	select {
	case c := <-code:
		if c != cli.ExitCrash {
			t.Errorf("exit %d, want %d", c, cli.ExitCrash)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it does not end")
	}
	slave.Close()
	<-read // all that was written has come
	master.Close()
	for _, end := range []string{"\x1b[?1049l", "\x1b[?25h", "\x1b[?1002l"} {
		if i := strings.LastIndex(got.String(), end); i < strings.LastIndex(got.String(), "\x1b[?1049h") || i < 0 {
			t.Errorf("the terminal is not given back: %q is missing", end)
		}
	}
	if strings.Contains(got.String(), "goroutine") {
		t.Error("the stack is on the screen")
	}
	reports, _ := filepath.Glob(filepath.Join(r.Dir, ".local", "state", "prism", "crash", "*.txt"))
	if len(reports) != 1 {
		t.Fatalf("reports: %v; stderr: %s", reports, errOut)
	}
	if !strings.Contains(errOut.String(), reports[0]) || strings.Contains(errOut.String(), "goroutine") {
		t.Errorf("stderr is %q", errOut)
	}
	report, err := os.ReadFile(reports[0])
	if err != nil || !strings.Contains(string(report), "the clock broke") || !strings.Contains(string(report), "crash_test.go") {
		t.Errorf("%v: the report is\n%s", err, report)
	}
}
