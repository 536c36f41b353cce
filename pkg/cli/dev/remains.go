package dev

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/supervise"
	"github.com/prism-data-layer/prism/stacks"
	"github.com/prism-data-layer/prism/stacks/engine"
)

// dataFolders are the folders of data below .prism.
func (p project) dataFolders() []string { return append([]string{"data"}, stacks.Names()...) }

// usedContainers reports whether the project ever ran anything in containers.
func (p project) usedContainers() bool {
	endpoint, _ := stacks.Engine(p.state) //nolint:errcheck // then the engine is asked if it answers
	return endpoint != ""
}

// engineAtOnce is how long an engine may take to answer whom nobody needs.
const engineAtOnce = time.Second

// liveEngine is the container engine, if the project has used it or one answers
// at once; else nil.
func (p project) liveEngine(ctx context.Context) (engine.Engine, error) {
	used := p.usedContainers()
	e, err := p.engine()(ctx)
	if err == nil {
		ask, cancel := ctx, context.CancelFunc(func() {})
		if !used {
			ask, cancel = context.WithTimeout(ctx, engineAtOnce)
		}
		_, err = e.Info(ask)
		cancel()
	}
	if err != nil {
		if !used {
			return nil, nil
		}
		return nil, err
	}
	return e, nil
}

// removeContainers removes what the project has in the container engine.
func (p project) removeContainers(ctx context.Context, volumes bool) ([]engine.Thing, error) {
	e, err := p.liveEngine(ctx)
	if err != nil {
		var e *prism.Error
		if errors.As(err, &e) {
			err = cli.WithFix(prism.New(e.Reason, "whether containers of the project are left cannot be seen: %s", e.Message), "%s, then prismctl dev down", e.Meta["fix"])
		}
		return nil, err
	}
	if e == nil {
		return nil, nil
	}
	things, err := e.Remove(ctx, p.ID, "", volumes)
	return things, advised(err)
}

// portGrace is how long a port that was ours may take to be free.
const portGrace = time.Second

// remains looks for what should be gone, and names it. before is what ran.
func (p project) remains(ctx context.Context, before supervise.Status) (left []string) {
	if _, err := supervise.Cleanup(p.options()); err != nil { // whoever gets the lock is alone
		left = append(left, err.Error())
	}
	after, err := supervise.Inspect(p.state)
	if err != nil {
		left = append(left, err.Error())
	}
	for _, s := range after.Services {
		if s.PID != 0 {
			left = append(left, fmt.Sprintf("%s, pid %d", s.Name, s.PID))
		}
	}
	if exists(p.socket) {
		left = append(left, "the control socket "+p.socket)
	}
	for _, path := range p.stackSockets() {
		// A server that was killed leaves its socket; nobody serves it.
		if c, err := net.DialTimeout("unix", path, portGrace); err == nil {
			c.Close()
			left = append(left, "the socket "+path)
		} else if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
			left = append(left, err.Error())
		}
	}
	for _, s := range before.Services {
		if !before.Running && s.PID == 0 {
			continue // it has not had them for long
		}
		for name, addr := range s.Listen {
			if !free(ctx, addr) {
				left = append(left, fmt.Sprintf("somebody listens on %s (%s.%s)", addr, s.Name, name))
			}
		}
	}
	return left
}

// stackSockets are the Unix sockets of stacks, which are named after the
// supervisor's.
func (p project) stackSockets() []string {
	base := strings.TrimSuffix(p.socket, ".sock")
	entries, _ := os.ReadDir(filepath.Dir(p.socket)) //nolint:errcheck // no folder, no sockets
	var list []string
	for _, e := range entries {
		path := filepath.Join(filepath.Dir(p.socket), e.Name())
		if rest, ok := strings.CutPrefix(path, base+"."); ok && rest != "sock" && e.Type()&os.ModeSocket != 0 {
			list = append(list, path)
		}
	}
	return list
}

// free reports whether an address can be listened on, now or soon.
func free(ctx context.Context, addr string) bool {
	for end := time.Now().Add(portGrace); ; {
		l, err := net.Listen("tcp", addr)
		if err == nil {
			l.Close()
			return true
		}
		if time.Now().After(end) || !pause(ctx) {
			return false
		}
	}
}

func containers(things []engine.Thing) (n int) {
	for _, t := range things {
		if t.Kind == "container" {
			n++
		}
	}
	return n
}
