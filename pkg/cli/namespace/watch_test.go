package namespace_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/charmbracelet/x/vt"
	"google.golang.org/grpc/metadata"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/clitest"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

// A watched is a list under --watch, whose looks the test decides.
type watched struct {
	t     *testing.T
	r     *clitest.Rig
	clock *clock.Fake
	away  atomic.Bool
	done  chan clitest.Result
	stop  context.CancelCauseFunc
}

// watch starts one and returns when it has looked once.
func watch(t *testing.T, r *clitest.Rig, args ...string) *watched {
	t.Helper()
	w := &watched{t: t, r: r, done: make(chan clitest.Result, 1)}
	ready := make(chan struct{})
	r.Prepare = func(f *cli.Factory) {
		w.clock = f.Clock.(*clock.Fake)
		close(ready)
	}
	r.Gateway.Fail = func(string, metadata.MD) error {
		if w.away.Load() {
			return prism.New(prism.ReasonUnavailable, "restarting")
		}
		return nil
	}
	r.Context, w.stop = context.WithCancelCause(t.Context())
	go func() { w.done <- r.Run(append([]string{"namespace", "list", "--watch"}, args...)...) }()
	<-ready
	w.looked()
	return w
}

// looked waits until a look is over: the next one then waits for its time.
func (w *watched) looked() {
	w.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); w.clock.Timers() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatal("no look ends")
		}
	}
}

// again makes the next look happen.
func (w *watched) again() {
	w.t.Helper()
	w.clock.Advance(2 * time.Second)
	w.looked()
}

func (w *watched) end() clitest.Result {
	w.t.Helper()
	w.stop(cli.Interrupt{})
	got := <-w.done
	if got.Code != 130 {
		w.t.Errorf("exit %d, want 130", got.Code)
	}
	return got
}

func keys(n int64) func(*clitest.State) {
	return func(s *clitest.State) { (*s.Namespaces)[0].Usage = &adminv1.NamespaceUsage{Keys: n} }
}

// screen is what a terminal shows after out.
func screen(out string, width, height int) []string {
	term := vt.NewEmulator(width, height)
	_, _ = term.WriteString(strings.ReplaceAll(out, "\n", "\r\n")) // as a terminal's line discipline does
	lines := strings.Split(term.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " \r")
	}
	return lines
}

func TestAWatchedListAppendsWhatChangedAsJSONLines(t *testing.T) {
	t.Parallel()
	r := clitest.New(t)
	w := watch(t, r)
	w.again() // nothing has changed
	r.Gateway.Change(keys(4711))
	w.again()
	w.away.Store(true)
	w.again()
	w.again()
	w.away.Store(false)
	r.Gateway.Change(func(s *clitest.State) {
		*s.Namespaces = append(*s.Namespaces, &adminv1.Namespace{Spec: &adminv1.NamespaceSpec{Name: "made", Model: "keyvalue"}})
	})
	w.again()
	got := w.end()
	all := namesOf(t, got.Out)
	first := len(all) - 2
	if first < 2 || all[first] != all[0] || all[first+1] != "made" {
		t.Errorf("the lines are of %q, want all once, then the first again, then the one that was made", all)
	}
	if want := "the gateway is away; waiting to go on\nthe gateway is back\ncancelled\n"; got.ErrOut != want {
		t.Errorf("errors: %q, want %q", got.ErrOut, want)
	}
}

func namesOf(t *testing.T, out string) (names []string) {
	t.Helper()
	for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
		var o struct{ Kind, Name string }
		if err := json.Unmarshal([]byte(line), &o); err != nil || o.Kind != "Namespace" {
			t.Fatalf("line %q: %v", line, err)
		}
		names = append(names, o.Name)
	}
	return names
}

func TestAWatchedListIsRedrawnInPlace(t *testing.T) {
	t.Parallel()
	for _, size := range [][2]int{{120, 40}, {50, 12}, {40, 5}} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			r := clitest.New(t)
			r.TTY, r.Width, r.Height = true, size[0], size[1]
			r.Gateway.Change(func(s *clitest.State) {
				for i := range 20 {
					*s.Namespaces = append(*s.Namespaces, &adminv1.Namespace{Spec: &adminv1.NamespaceSpec{Name: fmt.Sprintf("ns-%02d", i), Model: "keyvalue"}})
				}
			})
			w := watch(t, r)
			for n := range int64(5) {
				r.Gateway.Change(keys(1000 + n))
				w.again()
			}
			w.away.Store(true)
			w.again()
			lines := screen(strings.TrimSuffix(w.end().Out, "\n"), size[0], size[1])
			if !strings.HasPrefix(lines[0], "NAME") {
				t.Errorf("the screen begins with %q", lines[0])
			}
			heads, status := 0, false
			for _, l := range lines {
				if strings.HasPrefix(l, "NAME") {
					heads++
				}
				status = status || strings.Contains(l, "the gateway is away")
			}
			if heads != 1 || !status {
				t.Errorf("%d heads, status %v:\n%s", heads, status, strings.Join(lines, "\n"))
			}
			if size[1] < 20 && !strings.Contains(strings.Join(lines, "\n"), " more") {
				t.Errorf("what does not fit is not counted:\n%s", strings.Join(lines, "\n"))
			}
		})
	}
}

func TestAWatchedListTakesTheFormatThatWasAskedFor(t *testing.T) {
	t.Parallel()
	for format, want := range map[string]string{"name": "kv\n", "csv": "name,", "table": "NAME ", "yaml": "- apiVersion: prism/v1"} {
		r := clitest.New(t)
		w := watch(t, r, "-o", format)
		r.Gateway.Change(keys(4711))
		w.again()
		got := w.end().Out
		if !strings.Contains(got, want) || format != "name" && format != "yaml" && strings.Count(got, want) != 1 {
			t.Errorf("-o %s prints\n%s", format, got)
		}
	}
}

func TestAWatchThatCannotBeginEnds(t *testing.T) {
	t.Parallel()
	r := clitest.Offline(t)
	r.Want(6, []string{"cannot reach"}, "namespace", "list", "--watch")
	r.Want(2, []string{"add --watch"}, "namespace", "list", "--interval", "3s")
	r.Want(2, []string{"too short"}, "namespace", "list", "--watch", "--interval", "1ms")
	r.Want(2, []string{"takes no expression"}, "namespace", "list", "--watch", "--jq", ".")
}

// The largest of all, not the largest of the first page.
func TestALimitComesAfterSorting(t *testing.T) {
	t.Parallel()
	r := clitest.New(t)
	r.Gateway.Change(func(s *clitest.State) {
		for i, n := range *s.Namespaces {
			n.Usage = &adminv1.NamespaceUsage{Keys: int64(i)}
		}
	})
	all := strings.Fields(r.OK("namespace", "list", "--sort-by", "-keys", "-o", "name"))
	if got := strings.Fields(r.OK("namespace", "list", "--sort-by", "-keys", "--limit", "1", "-o", "name")); len(got) != 1 || got[0] != all[0] {
		t.Errorf("got %q, the first of all is %q", got, all[0])
	}
}
