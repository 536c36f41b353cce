package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/pkg/supervise"
)

// benchDev measures what `dev up` costs while nothing happens, and how long a
// person waits for `dev status`.
func benchDev(ctx context.Context, b *bench) error {
	const (
		cpuRow    = "dev: idle supervisor CPU, its watcher with it"
		rssRow    = "dev: idle supervisor RSS"
		statusRow = "dev: status"
	)
	if !b.wants(cpuRow, rssRow, statusRow) {
		return nil
	}
	ctl, err := filepath.Abs(filepath.Join(b.bin, "prismctl"))
	if err != nil {
		return err
	}
	p, _, err := devUp(ctx, ctl)
	if err != nil {
		return err
	}
	defer p.down(ctx)
	all, err := supervise.List(filepath.Join(p.dir, "state", "prism", "dev"))
	if err != nil || len(all) != 1 || !all[0].Ready {
		return fmt.Errorf("dev up: %+v, %w", all, err)
	}
	pids := []int{all[0].Supervisor, all[0].Watcher}
	used := func() (sum float64) {
		for _, pid := range pids {
			sum += cpuSeconds(pid)
		}
		return sum
	}
	time.Sleep(3 * time.Second)
	const idle = 30 * time.Second // the clock tick of the CPU time is 10 ms
	before := used()
	time.Sleep(idle)
	b.figure(cpuRow, "% of a core", (used()-before)/idle.Seconds()*100, "<=", 0.2)
	b.figure(rssRow, "MiB", status(pids[0], "VmRSS:"), "<=", 40)
	b.note("dev: idle watcher RSS", "MiB", status(pids[1], "VmRSS:"))

	const times = 20
	start := time.Now()
	for range times {
		if err := p.run(ctx, "dev", "status"); err != nil {
			return err
		}
	}
	b.figure(statusRow, "ms", time.Since(start).Seconds()/times*1000, "<=", 100)
	return nil
}

// A devProject is an empty folder with a gateway.
type devProject struct{ ctl, dir string }

// devUp starts a gateway in an empty folder.
func devUp(ctx context.Context, ctl string) (p *devProject, seconds float64, err error) {
	dir, err := os.MkdirTemp("", "prism-bench-up-")
	if err != nil {
		return nil, 0, err
	}
	p = &devProject{ctl, dir}
	start := time.Now()
	if err := p.run(ctx, "dev", "up", "--detach", "--auto-ports"); err != nil {
		os.RemoveAll(dir)
		return nil, 0, err
	}
	return p, time.Since(start).Seconds(), nil
}

func (p *devProject) run(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, p.ctl, args...)
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), "HOME="+p.dir, "XDG_RUNTIME_DIR="+p.dir, "XDG_STATE_HOME="+filepath.Join(p.dir, "state"), "XDG_CONFIG_HOME="+filepath.Join(p.dir, "config"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("prismctl %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

func (p *devProject) down(ctx context.Context) error {
	defer os.RemoveAll(p.dir)
	return p.run(ctx, "dev", "down")
}
