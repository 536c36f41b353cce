package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// scanned is how many keys a scan prints.
const scanned = 1_000_000

// benchScan measures how fast prismctl prints a long list into a pipe, from a
// gateway on its embedded store.
func benchScan(ctx context.Context, b *bench) error {
	const table, names = "cli: kv scan --all into a pipe", "cli: kv scan --all --keys -o name into a pipe"
	if !b.wants(table, names) {
		return nil
	}
	ctl, err := filepath.Abs(filepath.Join(b.bin, "prismctl"))
	if err != nil {
		return err
	}
	p, err := b.prismd(ctx, "")
	if err != nil {
		return err
	}
	env := append(os.Environ(), "PRISM_DATA="+p.data, "PRISM_ADMIN="+p.admin, "HOME="+p.dir)
	fill := exec.CommandContext(ctx, ctl, "kv", "import", "-")
	fill.Env, fill.Stderr = env, os.Stderr
	in, err := fill.StdinPipe()
	if err != nil {
		return err
	}
	if err := fill.Start(); err != nil {
		return err
	}
	w := bufio.NewWriter(in)
	for i := range scanned {
		fmt.Fprintf(w, "{\"key\":\"key-%07d\",\"value\":\"value-%d\"}\n", i, i)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	in.Close()
	if err := fill.Wait(); err != nil {
		return fmt.Errorf("kv import: %w", err)
	}
	for _, row := range []struct {
		name string
		args []string
	}{{table, []string{"kv", "scan", "--all"}}, {names, []string{"kv", "scan", "--all", "--keys", "-o", "name"}}} {
		if !b.wants(row.name) {
			continue
		}
		s, err := b.alternate(ctx, func(ctx context.Context, _ time.Duration) (sample, error) {
			return readAll(exec.CommandContext(ctx, ctl, row.args...), env)
		})
		if err != nil {
			return err
		}
		b.figure(row.name, "keys/s", medianOf(s[0], rate), ">=", 500_000)
	}
	return nil
}

// readAll runs a scan and counts what comes out of its pipe.
func readAll(c *exec.Cmd, env []string) (sample, error) {
	c.Env, c.Stderr = env, os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		return sample{}, err
	}
	start := time.Now()
	if err := c.Start(); err != nil {
		return sample{}, err
	}
	n, err := io.Copy(io.Discard, out)
	if e := c.Wait(); err == nil {
		err = e
	}
	if err == nil && n < scanned*12 { // a key and its line feed
		err = fmt.Errorf("%v printed %d bytes", c.Args, n)
	}
	return sample{rate: scanned / time.Since(start).Seconds()}, err
}
