package services

import (
	"context"
	"flag"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/tui"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/theme"
	"github.com/prism-data-layer/prism/tui/tuitest"
)

var _ = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type store struct {
	mu   sync.Mutex
	s    Snapshot
	err  error
	runs []string
}

func (s *store) Services(context.Context) (Snapshot, error) { return s.s, s.err }

func (s *store) Run(_ context.Context, args []string, _ string, _ func(string)) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs = append(s.runs, strings.Join(args, " "))
	return "http://127.0.0.1:3301\n", nil
}

func world() *store {
	ago := func(d time.Duration) time.Time { return tuitest.Noon().Add(-d) }
	return &store{s: Snapshot{Root: "/home/ann/shop", Running: true, Services: []Service{
		{Name: "prismd", State: "ready", Ports: []string{"admin 127.0.0.1:8981", "data 127.0.0.1:8980"}, PID: 4711, Since: ago(3 * time.Hour), Dependants: []string{"worker"}, CPU: 0.07, Memory: 48 << 20},
		{Name: "redis", State: "degraded", Message: "PING: connection refused", Form: "container", Ports: []string{"redis 127.0.0.1:6379"}, Since: ago(40 * time.Second), Restarts: 1, CPU: -1, Memory: -1},
		{Name: "worker\x1b[2J日本", State: "crash-loop", Exit: "exit code 3", PID: 0, Since: ago(time.Minute), Restarts: 5, LastLog: []string{"panic: \x1b[31mno", "goroutine 1"}, CPU: -1, Memory: -1},
		{Name: "clickhouse", State: "starting", Message: "waits for its image", Form: "native", Since: ago(time.Second), CPU: 1.5, Memory: 2 << 30},
	}}}
}

func open(t testing.TB, s *store, mode theme.Mode, w, h int) *tuitest.Screen {
	return tuitest.Open(t, tui.Options{Pages: []page.Factory{Factory(s)}, View: "services", Mode: mode}, w, h).Start()
}

func TestScreens(t *testing.T) {
	t.Parallel()
	tuitest.Screens(t, "services", func(t *testing.T, mode theme.Mode, w, h int) *tuitest.Screen {
		return open(t, world(), mode, w, h).Keys("down", "down")
	})
	for name, draw := range map[string]func() *tuitest.Screen{
		"empty": func() *tuitest.Screen { return open(t, &store{}, theme.Mono, 80, 24) },
		"stopped": func() *tuitest.Screen {
			s := world()
			s.s.Running = false
			s.s.Warnings = []string{"2 GB of memory are left"}
			for i := range s.s.Services {
				s.s.Services[i].State = "stopped"
			}
			return open(t, s, theme.Mono, 80, 24)
		},
		"failed": func() *tuitest.Screen {
			return open(t, &store{err: prism.New(prism.ReasonDeadlineExceeded, "the supervisor hangs")}, theme.Mono, 80, 24)
		},
		"restart": func() *tuitest.Screen { return open(t, world(), theme.Mono, 80, 24).Keys("R") },
	} {
		t.Run(name, func(t *testing.T) {
			s := draw()
			tuitest.CheckFrame(t, s.Frame(), 80, 24)
			tuitest.Golden(t, name, s.Frame())
		})
	}
}

func TestActionsRunTheCommandsThatTheyShow(t *testing.T) {
	t.Parallel()
	s := world()
	sc := open(t, s, theme.Mono, 120, 40)
	sc.Keys("R").Wants("Restart prismd?", "worker need it", "prismctl dev restart prismd").Keys("y").Pass(1)
	sc.Keys("x").Wants("Stop all services of this folder?", "prismctl dev down").Keys("n")
	sc.Keys("o").Wants("http://127.0.0.1:3301")
	if got, want := strings.Join(s.runs, "; "), "dev restart prismd; dev open prismd"; got != want {
		t.Errorf("ran %q, want %q", got, want)
	}
}

func TestNoKeyMeansTwoThings(t *testing.T) {
	t.Parallel()
	if c := keys.Conflicts(keys.Global(), New(tuitest.Env(), &store{}).Keys()); c != nil {
		t.Error(c)
	}
}
