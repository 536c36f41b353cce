package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/creack/pty"

	"github.com/prism-data-layer/prism/tui"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/page/overview"
	"github.com/prism-data-layer/prism/tui/theme"
)

// benchUI measures what a person at the dashboards waits for, and what they
// cost while nothing happens.
func benchUI(ctx context.Context, b *bench) error {
	const (
		firstRow = "ui: first frame, dead gateway"
		keyRow   = "ui: key to frame, 10,000 rows, p99"
		cpuRow   = "ui: idle CPU, 60 s"
		bytesRow = "ui: bytes to an idle terminal, 60 s"
	)
	ctl, err := filepath.Abs(filepath.Join(b.bin, "prismctl"))
	if err != nil {
		return err
	}
	if b.wants(firstRow) {
		var times []float64
		for range max(b.rounds, 1) * 2 {
			ms, err := firstFrame(ctx, ctl)
			if err != nil {
				return err
			}
			times = append(times, ms)
		}
		b.figure(firstRow, "ms", median(times), "<=", 150)
	}
	if b.wants(keyRow) {
		ms, err := keyToFrame(ctx)
		if err != nil {
			return err
		}
		b.figure(keyRow, "ms", ms, "<=", 50)
	}
	if !b.wants(cpuRow, bytesRow) {
		return nil
	}
	gw, err := b.prismd(ctx, "") // not dev up: its supervisor calls the gateway, which is traffic that moves the charts
	if err != nil {
		return err
	}
	s, err := startScreen(ctx, ctl, gw.dir, []string{"PRISM_ADMIN=" + gw.admin, "PRISM_DATA=" + gw.data})
	if err != nil {
		return err
	}
	defer s.end()
	if _, err := s.waits("live", 20*time.Second); err != nil {
		return err
	}
	time.Sleep(5 * time.Second) // what comes at the start has come
	before, cpu := s.written(), cpuSeconds(s.cmd.Process.Pid)
	const idle = time.Minute
	time.Sleep(idle)
	b.figure(cpuRow, "% of a core", (cpuSeconds(s.cmd.Process.Pid)-cpu)/idle.Seconds()*100, "<=", 1)
	if after := s.written(); after != before {
		s.tell(before, after)
	}
	b.figure(bytesRow, "bytes", float64(s.written()-before), "<=", 0)
	return nil
}

// firstFrame is how long prismctl ui takes from its start to a frame, in ms.
func firstFrame(ctx context.Context, ctl string) (float64, error) {
	dir, err := os.MkdirTemp("", "prism-bench-ui-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	began := time.Now()
	s, err := startScreen(ctx, ctl, dir, []string{"PRISM_ADMIN=127.0.0.1:1"})
	if err != nil {
		return 0, err
	}
	defer s.end()
	at, err := s.waits("overview", 10*time.Second)
	return at.Sub(began).Seconds() * 1000, err
}

// A screen is a built prismctl ui on a pseudo-terminal.
type screen struct {
	cmd    *exec.Cmd
	master *os.File

	mu   sync.Mutex
	got  []byte
	when []int64 // when the byte count of sizes was reached, in Unix ns
	size []int
}

func startScreen(ctx context.Context, ctl, dir string, env []string, args ...string) (*screen, error) {
	cmd := exec.CommandContext(ctx, ctl, append([]string{"ui"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "TERM=xterm-256color", "LANG=C.UTF-8", "CI=", "HOME="+dir, "XDG_RUNTIME_DIR="+dir,
		"XDG_STATE_HOME="+filepath.Join(dir, "state"), "XDG_CONFIG_HOME="+filepath.Join(dir, "config")), env...)
	master, err := pty.StartWithSize(cmd, &pty.Winsize{Cols: 120, Rows: 40})
	if err != nil {
		return nil, err
	}
	s := &screen{cmd: cmd, master: master}
	go s.read(master)
	return s, nil
}

func (s *screen) read(r io.Reader) {
	buf := make([]byte, 64<<10)
	for {
		n, err := r.Read(buf)
		s.Write(buf[:n])
		if err != nil {
			return
		}
	}
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, p...)
	s.when, s.size = append(s.when, time.Now().UnixNano()), append(s.size, len(s.got))
	return len(p), nil
}

func (s *screen) written() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.got)
}

// tell says what was written from one byte to another, and when.
func (s *screen) tell(from, to int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, size := range s.size {
		if size > from && size <= to {
			fmt.Fprintf(os.Stderr, "ui: %s %q\n", time.Unix(0, s.when[i]).Format("15:04:05.000"), s.got[from:size])
			from = size
		}
	}
}

// waits says when a text was written.
func (s *screen) waits(text string, limit time.Duration) (time.Time, error) {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		s.mu.Lock()
		at := bytes.Index(s.got, []byte(text))
		if at >= 0 {
			i, _ := slices.BinarySearch(s.size, at+len(text))
			when := time.Unix(0, s.when[i])
			s.mu.Unlock()
			return when, nil
		}
		s.mu.Unlock()
	}
	return time.Time{}, fmt.Errorf("ui: %q was not written in %s", text, limit)
}

func (s *screen) end() {
	_, _ = s.master.WriteString("\x03")
	_ = s.cmd.Wait()
	_ = s.master.Close()
}

// many is a gateway of 10,000 sessions that never change.
type many struct{ s *overview.Snapshot }

func (m many) Overview(context.Context) (*overview.Snapshot, error) { return m.s, nil }

// keyToFrame types keys into the real program with the real renderer and
// answers the time in which 99 of 100 are drawn, in ms.
func keyToFrame(ctx context.Context) (float64, error) {
	m := many{&overview.Snapshot{Now: time.Now(), State: "Running"}}
	for i := range 10_000 {
		m.s.Sessions = append(m.s.Sessions, overview.Session{ID: fmt.Sprintf("ses_%05d", i), Principal: "service:checkout", Status: "active", Requests: int64(i)})
	}
	in, keyboard := io.Pipe()
	defer keyboard.Close()
	out := &screen{}
	done := make(chan error, 1)
	go func() {
		done <- tui.Run(ctx, tui.Options{Pages: []page.Factory{overview.Factory(m)}, Refresh: time.Second, Mode: theme.Dark},
			tui.Terminal{In: in, Out: out, Env: []string{"TERM=xterm-256color", "COLORTERM=truecolor"}, Width: 120, Height: 40})
	}()
	if _, err := out.waits("ses_00001", 10*time.Second); err != nil {
		return 0, err
	}
	if _, err := keyboard.Write([]byte("3")); err != nil {
		return 0, err
	}
	time.Sleep(200 * time.Millisecond)
	var times []float64
	for range 200 {
		before, began := out.written(), time.Now()
		if _, err := keyboard.Write([]byte("j")); err != nil {
			return 0, err
		}
		for out.written() == before && time.Since(began) < 2*time.Second {
			time.Sleep(200 * time.Microsecond)
		}
		times = append(times, time.Since(began).Seconds()*1000)
		time.Sleep(7 * time.Millisecond) // so that keys do not fall in with the renderer's clock
	}
	_, _ = keyboard.Write([]byte("\x03"))
	slices.Sort(times)
	return times[len(times)*99/100], <-done
}
