package ui

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/prism-data-layer/prism/loadtest/report"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/tui"
)

// A paper is what a terminal was sent.
type paper struct{ iostreams.Buffer }

// shows waits until a text was drawn, however the cells were moved between.
func (p *paper) shows(t *testing.T, want string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if strings.Contains(ansi.Strip(p.String()), want) {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%q was never drawn", want)
			return
		}
	}
}

func TestALoadTestIsShownWhileItRuns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		early bool // it is left before its end
		want  string
	}{{"to the end", false, "passed"}, {"left", true, "checkout"}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f, _, _ := rig(t, "127.0.0.1:1", map[string]string{"TERM": "xterm-256color"})
			realTime(f)
			f.IO.SetTTY(true, true, true)
			in, keyboard := io.Pipe()
			screen := &paper{}
			terminal := func() tui.Terminal { return tui.Terminal{In: in, Out: screen, Width: 100, Height: 30} }
			go func() {
				screen.shows(t, c.want)
				_, _ = keyboard.Write([]byte("q"))
			}()
			r, err := watchRun(t.Context(), f, terminal, "checkout", func(ctx context.Context, tell func(report.Snapshot)) (*report.Report, error) {
				for i := range 40 { // more than wait for a page that is late
					tell(report.Snapshot{Phase: report.Running, Elapsed: time.Duration(i) * time.Second, TargetRPS: 100, RecentRPS: 99, OK: uint64(i)})
				}
				if c.early {
					<-ctx.Done()
				}
				return &report.Report{Aborted: c.early, AchievedPct: 99}, nil
			})
			keyboard.Close()
			if err != nil || r == nil || r.Aborted != c.early {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}

func TestSavedRunsAreListed(t *testing.T) {
	t.Parallel()
	f, _, _ := rig(t, "127.0.0.1:1", nil)
	s := &runSource{source: &source{f: f}, read: map[string]readRun{}}
	if list, err := s.Runs(t.Context()); err != nil || len(list) != 0 {
		t.Fatalf("before: %v, %v", list, err)
	}
	dir := filepath.Join(f.Dirs().State, "loadtest")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	r := &report.Report{APIVersion: report.APIVersion, Kind: report.Kind, Workload: "kv", ThroughputRPS: 4990, StartedAt: now(), Response: report.Latency{P99Ms: 9}}
	if err := r.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"good.json": b.String(), "torn.json": "{", "notes.txt": "x"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list, err := s.Runs(t.Context())
	if err != nil || len(list) != 2 || list[0].Name != "good" || list[0].Latency.P99 != 9*time.Millisecond || list[0].Rate != 4990 || list[1].Err == nil {
		t.Errorf("%+v, %v", list, err)
	}
	if res := resultOf(nil, errors.New("no")); res.Problem == nil || resultOf(nil, nil).Problem == nil {
		t.Error("a run without a report is not told")
	}
}
