package dev

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/supervise"
)

// A checkout is a folder with the source of Prism, from which --watch builds.
type checkout struct {
	root    string
	program string // what is built
	version string
}

// findCheckout looks for the source in the project's folder and upwards.
func findCheckout(p project, version string) (checkout, error) {
	for at := p.Root; ; at = filepath.Dir(at) {
		mod, err := os.ReadFile(filepath.Join(at, "go.mod"))
		if err == nil && bytes.HasPrefix(mod, []byte("module github.com/prism-data-layer/prism\n")) && exists(filepath.Join(at, "cmd", gateway)) {
			return checkout{at, filepath.Join(p.state, "watch", gateway), version}, nil
		}
		if filepath.Dir(at) == at {
			return checkout{}, cli.Usage("go to a checkout of Prism, or leave --watch out", "--watch builds prismd from its source, and %s is not in it", p.Root)
		}
	}
}

func (c checkout) command() []string {
	return []string{"go", "build", "-trimpath", "-ldflags", "-X main.version=" + c.version, "-o", c.program, "./cmd/" + gateway}
}

// build makes the program that is started first.
func (c checkout) build(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Dir(c.program), 0o700); err != nil {
		return err
	}
	command := c.command()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir = c.root
	if out, err := cmd.CombinedOutput(); err != nil {
		return cli.WithFix(prism.New(prism.ReasonFailedPrecond, "prismd cannot be built: %s", bytes.TrimSpace(out[:min(len(out), 4<<10)])), "mend it, or leave --watch out")
	}
	return nil
}

// rebuild tells the supervisor what to watch.
func (c checkout) rebuild() *supervise.Rebuild {
	return &supervise.Rebuild{
		Paths: []string{"go.mod", "go.sum", "cmd/" + gateway, "pkg", "proto", "loadtest"}, Ignore: []string{"*_test.go", "testdata", "*.md"},
		Command: c.command(), Dir: c.root,
	}
}
