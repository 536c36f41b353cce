package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/x/vt"
)

// What the service of benchLogs writes: at once, and then each second.
const (
	logLines  = 100_000
	logSecond = 1000
)

// writeLogs is the service: a process of its own, `bench write-logs`.
func writeLogs() {
	out := func(from, to int) {
		var b strings.Builder
		for i := from; i < to; i++ {
			fmt.Fprintf(&b, "line %07d\n", i)
		}
		_, _ = os.Stdout.WriteString(b.String())
	}
	out(0, logLines)
	const tick = 10 * time.Millisecond
	const each = logSecond * int(tick) / int(time.Second)
	ticks := time.NewTicker(tick)
	for n := logLines; ; n += each {
		<-ticks.C
		out(n, n+each)
	}
}

// benchLogs measures what a person feels who reads a hundred thousand lines of
// logs while more come: from a key to the line that it brings to the top.
func benchLogs(ctx context.Context, b *bench) error {
	const row = "ui: key to frame, 100,000 log lines and 1,000 more a second, p99"
	if !b.wants(row) {
		return nil
	}
	ctl, err := filepath.Abs(filepath.Join(b.bin, "prismctl"))
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "prism-bench-logs-")
	if err != nil {
		return err
	}
	p := &devProject{ctl, dir}
	project := fmt.Sprintf("apiVersion: prism/v1\nservices:\n  - {name: writer, command: [%q, write-logs]}\n", self)
	if err := os.WriteFile(filepath.Join(dir, ".prism.yaml"), []byte(project), 0o600); err != nil {
		return err
	}
	if err := p.run(ctx, "dev", "up", "--detach", "--auto-ports"); err != nil {
		return err
	}
	defer p.down(ctx)
	s, err := startScreen(ctx, ctl, dir, nil, "--view", "logs writer")
	if err != nil {
		return err
	}
	defer s.end()
	ms, err := logKeys(s)
	if err != nil {
		return err
	}
	b.figure(row, "ms", ms, "<=", 50)
	return nil
}

// logKeys reads up and down, and answers the time in which 99 of 100 keys are
// drawn, in ms. The line at the top moves by keys alone.
func logKeys(s *screen) (float64, error) {
	e := vt.NewEmulator(120, 40)
	defer e.Close()
	go drain(e)
	fed := 0
	top := func() string {
		s.mu.Lock()
		more := s.got[fed:]
		fed = len(s.got)
		s.mu.Unlock()
		_, _ = e.Write(more)
		text := ""
		for y := range 6 {
			line := ""
			for x := range 40 {
				if c := e.CellAt(x, y); c != nil {
					line += c.Content
				}
			}
			if _, n, ok := strings.Cut(line, "line "); ok && text == "" {
				text = n
			}
		}
		return text
	}
	until := func(what string, ok func() bool) error {
		for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(200 * time.Microsecond) {
			if time.Now().After(deadline) {
				return fmt.Errorf("ui: %s did not come; the screen:\n%s", what, e.String())
			}
		}
		return nil
	}
	press := func(key string) error { _, err := s.master.WriteString(key); return err }
	if err := until("a hundred thousand lines", func() bool { return top() != "" && top() > fmt.Sprintf("%07d", logLines-100) }); err != nil {
		return 0, err
	}
	if err := press("\x1b[5~\x1b[5~\x1b[5~"); err != nil { // up, away from what comes
		return 0, err
	}
	time.Sleep(300 * time.Millisecond)
	var times []float64
	for i := range 400 {
		key := []string{"k", "k", "\x1b[5~", "j", "k"}[i%5]
		before, began := top(), time.Now()
		if err := press(key); err != nil {
			return 0, err
		}
		if err := until("what a key brings", func() bool { return top() != before }); err != nil {
			return 0, err
		}
		times = append(times, time.Since(began).Seconds()*1000)
		time.Sleep(7 * time.Millisecond) // so that keys do not fall in with the renderer's clock
	}
	slices.Sort(times)
	return times[len(times)*99/100], nil
}

// drain reads what an emulator would answer to the program.
func drain(e *vt.Emulator) {
	buf := make([]byte, 256)
	for {
		if _, err := e.Read(buf); err != nil {
			return
		}
	}
}
