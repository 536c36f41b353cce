// Pictures takes pictures of the dashboards as they are: it runs a built
// prismctl on a pseudo-terminal, goes to every page and writes what the terminal
// shows as text and as SVG. `make pictures` runs it beside a gateway under load.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"
)

// A shot is one picture.
type shot struct {
	name string
	args []string
	keys []string // typed one after the other; "~" waits a second
	wait time.Duration
}

func shots() []shot {
	view := func(v string) []string { return []string{"--view", v} }
	return []shot{
		{"overview", view("overview"), nil, 20 * time.Second},
		{"namespaces", view("namespaces"), nil, 4 * time.Second},
		{"namespace", view("namespace kv"), nil, 8 * time.Second},
		{"wizard", view("namespaces"), []string{"n", "~", "orders", "\r", "~"}, 2 * time.Second},
		{"backends", view("backends"), nil, 4 * time.Second},
		{"backend", view("backend local"), nil, 8 * time.Second},
		{"sessions", view("sessions"), nil, 4 * time.Second},
		{"audit", view("audit"), nil, 3 * time.Second},
		{"data", view("data"), nil, 3 * time.Second},
		{"keyvalue", view("data kv"), nil, 3 * time.Second},
		{"queues", view("data queue"), nil, 3 * time.Second},
		{"pubsub", view("data pubsub"), nil, 3 * time.Second},
		{"services", view("services"), nil, 3 * time.Second},
		{"logs", view("logs"), nil, 3 * time.Second},
		{"errors", view("errors"), nil, 2 * time.Second},
		{"palette", view("overview"), []string{":", "na"}, 3 * time.Second},
		{"keys", view("overview"), []string{"?"}, 3 * time.Second},
		{"overview-light", []string{"--view", "overview", "--theme", "light"}, nil, 6 * time.Second},
		{"overview-safe", []string{"--view", "overview", "--theme", "safe-dark"}, nil, 6 * time.Second},
	}
}

func main() {
	ctl := flag.String("prismctl", "bin/prismctl", "the `program`")
	out := flag.String("out", "docs/screens", "the `folder` for the pictures")
	only := flag.String("only", "", "take only pictures whose name matches the `regexp`")
	width, height := flag.Int("width", 110, "`columns`"), flag.Int("height", 32, "`rows`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	pick, err := regexp.Compile(*only)
	if err == nil {
		err = os.MkdirAll(*out, 0o755)
	}
	for _, s := range shots() {
		if err != nil || !pick.MatchString(s.name) {
			continue
		}
		var frame *grid
		if frame, err = take(ctx, *ctl, s, *width, *height); err != nil {
			err = fmt.Errorf("%s: %w", s.name, err)
			continue
		}
		light := strings.HasSuffix(s.name, "light")
		if err = os.WriteFile(filepath.Join(*out, s.name+".txt"), []byte(frame.text()), 0o644); err == nil {
			err = os.WriteFile(filepath.Join(*out, s.name+".svg"), []byte(frame.svg("prismctl ui: "+s.name, light)), 0o644)
		}
		fmt.Fprintln(os.Stderr, s.name)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "pictures:", err)
		os.Exit(1)
	}
}

// take runs the dashboards until the picture is there.
func take(ctx context.Context, ctl string, s shot, w, h int) (*grid, error) {
	args := append([]string{"ui", "--refresh", "1s"}, s.args...)
	if !strings.Contains(strings.Join(args, " "), "--theme") {
		args = append(args, "--theme", "dark")
	}
	cmd := exec.CommandContext(ctx, ctl, args...)
	cmd.Env = append(os.Environ(), "TERM=xterm-256color", "COLORTERM=truecolor", "LANG=C.UTF-8", "NO_COLOR=", "CI=")
	master, err := pty.StartWithSize(cmd, &pty.Winsize{Cols: uint16(w), Rows: uint16(h)})
	if err != nil {
		return nil, err
	}
	defer func() {
		_, _ = master.WriteString("\x03")
		_ = cmd.Wait()
		_ = master.Close()
	}()
	var mu sync.Mutex
	screen := vt.NewEmulator(w, h)
	go func() { // what the program asks the terminal
		buf := make([]byte, 4096)
		for {
			n, err := screen.Read(buf)
			if err != nil {
				return
			}
			_, _ = master.Write(buf[:n])
		}
	}()
	go func() {
		buf := make([]byte, 64<<10)
		for {
			n, err := master.Read(buf)
			mu.Lock()
			_, _ = screen.Write(buf[:n])
			mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	look := func() *grid {
		mu.Lock()
		defer mu.Unlock()
		return gridOf(screen, w, h)
	}
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(look().text(), "● live"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) || ctx.Err() != nil {
			return nil, fmt.Errorf("it never came alive:\n%s", look().text())
		}
	}
	for _, k := range s.keys {
		if k == "~" {
			time.Sleep(time.Second)
			continue
		}
		if _, err := master.WriteString(k); err != nil {
			return nil, err
		}
		time.Sleep(200 * time.Millisecond)
	}
	time.Sleep(s.wait)
	return look(), nil
}
