package cache

import (
	"context"
	"flag"
	"fmt"
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
	mu      sync.Mutex
	stats   Stats
	err     error
	changes []Change
}

func (s *store) Run(_ context.Context, args []string, _ string, _ func(string)) (string, error) {
	return "printed by " + strings.Join(args, " ") + "\n", nil
}

func (s *store) Stats(_ context.Context, _ string, looked []string) (Stats, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Hits += 90
	s.stats.Misses += 10
	out := s.stats
	for _, k := range looked {
		e := Entry{Key: k}
		switch k {
		case "gone":
		case "broken":
			e.Err = prism.New(prism.ReasonBackendUnavailable, "the backend does not answer")
		default:
			e.Found, e.Value, e.Size, e.Expires = true, []byte(`{"user":"ann\u001b"}`), 20, tuitest.Noon().Add(90*time.Second)
		}
		out.Looked = append(out.Looked, e)
	}
	return out, s.err
}

func (s *store) Change(_ context.Context, c Change) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes = append(s.changes, c)
	return "done", nil
}

func open(t testing.TB, s *store, mode theme.Mode, w, h int, looked ...string) *tuitest.Screen {
	f := Factory(s)
	inner := f.New
	f.New = func(e page.Env, arg string) page.Page {
		p := inner(e, arg)
		for _, k := range looked {
			p.(*Model).look(k)
		}
		return p
	}
	return tuitest.Open(t, tui.Options{Pages: []page.Factory{f}, View: "cache pages", Mode: mode}, w, h).Start().Pass(1)
}

func TestScreens(t *testing.T) {
	t.Parallel()
	full := func() *store {
		return &store{stats: Stats{Entries: 1200, Bytes: 3 << 20, Most: 64 << 20, Evictions: 12}}
	}
	tuitest.Screens(t, "cache", func(t *testing.T, mode theme.Mode, w, h int) *tuitest.Screen {
		return open(t, full(), mode, w, h, "broken", "gone", "user:\x1b[2J日本")
	})
	for name, draw := range map[string]func() *tuitest.Screen{
		"empty": func() *tuitest.Screen {
			return open(t, &store{stats: Stats{Entries: -1, Bytes: -1, Most: -1, Evictions: -1}}, theme.Mono, 80, 24)
		},
		"absent": func() *tuitest.Screen { return open(t, full(), theme.Mono, 80, 24, "gone") },
		"failed": func() *tuitest.Screen {
			return open(t, &store{err: prism.New(prism.ReasonPermissionDenied, "you may not read namespace pages")}, theme.Mono, 80, 24)
		},
		"look-up": func() *tuitest.Screen { return open(t, full(), theme.Mono, 80, 24).Keys("f").Type("user:1") },
	} {
		t.Run(name, func(t *testing.T) {
			s := draw()
			tuitest.CheckFrame(t, s.Frame(), 80, 24)
			tuitest.Golden(t, name, s.Frame())
		})
	}
}

func TestAKeyIsLookedUpSetAndForgotten(t *testing.T) {
	t.Parallel()
	s := &store{}
	sc := open(t, s, theme.Mono, 100, 30).Keys("f").Type("user:1").Keys("ctrl+s").Pass(2)
	sc.Wants("user:1", "✓ there", "Looked up 1", `"user": "ann`)
	m := New(tuitest.Env(), "pages", s)
	for _, c := range []struct {
		form    page.Form
		values  map[string]string
		command string
		want    Change
	}{
		{m.set(""), map[string]string{"key": "k", "value": "v", "ttl": "5s"}, "prismctl cache set k v --ttl 5s -n pages", Change{Set, "pages", "k", []byte("v"), 5 * time.Second}},
		{m.touch("k"), map[string]string{"ttl": "1m"}, "prismctl cache set k VALUE --ttl 1m -n pages", Change{Touch, "pages", "k", nil, time.Minute}},
	} {
		if got := c.form.Command(c.values); got != c.command {
			t.Errorf("got %q, want %q", got, c.command)
		}
		if _, err := c.form.Do(t.Context(), c.values, nil); err != nil || fmt.Sprint(s.changes[len(s.changes)-1]) != fmt.Sprint(c.want) {
			t.Errorf("%v, %+v", err, s.changes)
		}
	}
	if checkTTL(map[string]string{"ttl": "x"}) == nil || checkTTL(map[string]string{}) != nil {
		t.Error("a wrong time to live is not told")
	}
}

func TestNoKeyMeansTwoThings(t *testing.T) {
	t.Parallel()
	if c := keys.Conflicts(keys.Global(), New(tuitest.Env(), "pages", &store{}).Keys()); c != nil {
		t.Error(c)
	}
}

func TestAnEntryIsCopiedAsItsCommandPrintsIt(t *testing.T) {
	t.Parallel()
	s := open(t, &store{}, theme.Mono, 100, 24, "user:1").Keys("Y")
	if want := "printed by cache get user:1 -n pages -o yaml\n"; len(s.Copied) != 1 || s.Copied[0] != want {
		t.Errorf("copied %q, want %q", s.Copied, want)
	}
}
