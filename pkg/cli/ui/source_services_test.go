//go:build unix

package ui

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/supervise"
	"github.com/prism-data-layer/prism/tui/component/logview"
	"github.com/prism-data-layer/prism/tui/component/tail"
	"github.com/prism-data-layer/prism/tui/component/task"
)

// supervised runs a program that says two lines, for the folder of f.
func supervised(t *testing.T, d *devSource) (stop func()) {
	t.Helper()
	place, state, socket, err := d.place()
	if err != nil {
		t.Fatal(err)
	}
	s, err := supervise.Open(supervise.Options{ID: place.ID, Root: place.Root, Dir: state, Socket: socket, NoCgroup: true, Services: []supervise.Spec{
		{Name: "talker", Path: "/bin/sh", Args: []string{"-c", "echo level=WARN hello; echo level=ERROR oh no; exec sleep 600"}, Stop: time.Second},
	}})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(context.Background()) }()
	ended := false
	stop = func() {
		if !ended {
			ended = true
			s.Stop()
			<-done
			s.Close()
		}
	}
	t.Cleanup(stop)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := s.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	return stop
}

// lines reads logs as the page does, until there are so many.
func lines(t *testing.T, d *devSource, service string, n int) []logview.Line {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	msgs := make(chan tea.Msg, 64)
	var got []logview.Line
	m := tail.New(task.NewRunner(ctx, clock.Real()), tail.Options{Patient: true}, func(ctx context.Context, to *tail.Sink[logview.Line]) error {
		return d.Logs(ctx, service, time.Time{}, to)
	}, func(l []logview.Line) { got = append(got, l...) })
	running := 0
	run := func(cmd tea.Cmd) {
		if cmd != nil {
			running++
			go func() { msgs <- cmd() }()
		}
	}
	take := func(msg tea.Msg) {
		running--
		if b, ok := msg.(tea.BatchMsg); ok {
			for _, c := range b {
				run(c)
			}
			return
		}
		cmd, _ := m.Update(msg)
		run(cmd)
	}
	run(m.Start())
	deadline := time.After(20 * time.Second)
	for len(got) < n && running > 0 {
		select {
		case msg := <-msgs:
			take(msg)
		case <-deadline:
			t.Fatalf("%d lines came, want %d", len(got), n)
		}
	}
	m.Close()
	cancel()
	for ; running > 0; running-- {
		<-msgs
	}
	return got
}

func TestServicesAndLogsOfASupervisor(t *testing.T) {
	f, _, _ := rig(t, "127.0.0.1:1", nil)
	d := &devSource{source: &source{f: f}}
	none, err := d.Services(t.Context())
	if err != nil || none.Running || len(none.Services) != 0 {
		t.Fatalf("before: %+v, %v", none, err)
	}
	stop := supervised(t, d)
	got, err := d.Services(t.Context())
	if err != nil || !got.Running || len(got.Services) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	s := got.Services[0]
	if s.Name != "talker" || s.State != "ready" || s.PID == 0 || s.Restarts != 0 || s.CPU >= 0 || runtime.GOOS == "linux" && s.Memory <= 0 {
		t.Errorf("%+v", s)
	}
	if again, _ := d.Services(t.Context()); runtime.GOOS == "linux" && again.Services[0].CPU < 0 {
		t.Errorf("its CPU is not known at the second look: %+v", again.Services[0])
	}
	for _, service := range []string{"", "talker"} {
		if l := lines(t, d, service, 2); l[0].Source != "talker" || l[0].Text != "level=WARN hello" || l[1].Text != "level=ERROR oh no" {
			t.Errorf("of %q: %+v", service, l)
		}
	}
	stop()
	if l := lines(t, d, "", 2); len(l) != 2 {
		t.Errorf("what the last one has left: %+v", l)
	}
	if got, err = d.Services(t.Context()); err != nil || got.Running || got.Services[0].State != "stopped" {
		t.Errorf("after: %+v, %v", got, err)
	}
}

func TestLogsAreSavedToANewFileAlone(t *testing.T) {
	t.Parallel()
	f, _, _ := rig(t, "127.0.0.1:1", nil)
	d := &devSource{source: &source{f: f}}
	write := func(w io.Writer) error { _, err := io.WriteString(w, "a line\n"); return err }
	said, err := d.Save(t.Context(), "logs.txt", write)
	path := filepath.Join(f.Place.Dir, "logs.txt")
	got, _ := os.ReadFile(path)
	info, _ := os.Stat(path)
	if err != nil || said != "saved to "+path || string(got) != "a line\n" || info.Mode().Perm() != 0o600 {
		t.Errorf("%q, %v, %q", said, err, got)
	}
	if _, err := d.Save(t.Context(), "logs.txt", write); err == nil || !strings.Contains(err.Error(), "cannot save to") {
		t.Errorf("a file that is there: %v", err)
	}
}
