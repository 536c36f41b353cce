package series

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math"
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
	mu    sync.Mutex
	asked []Query
	lines []string
	none  bool
	err   error
}

func (s *store) Series(_ context.Context, q Query) (Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, q)
	out := Snapshot{End: tuitest.Noon(), Stored: 123_456, Source: "raw"}
	if s.none || s.err != nil {
		out.Stored = 0
		return out, s.err
	}
	for n, name := range s.lines {
		l := Line{Name: name}
		for i := range q.Buckets {
			l.Values = append(l.Values, 40+30*math.Sin(float64(i)/9+float64(n)))
		}
		l.Values[10] = math.NaN()
		out.Lines = append(out.Lines, l)
	}
	for i := range 30 {
		out.Events = append(out.Events, Event{
			ID: fmt.Sprintf("ev-%02d", i), Type: "page.view\x1b[2J", Source: "web-日本", Time: tuitest.Noon().Add(-time.Duration(i) * time.Second),
			Metrics: map[string]float64{"ms": 12.5}, Dimensions: map[string]string{"host": "a\u202e"}, Payload: []byte(`{"path":"/cart"}`), Size: 16,
		})
	}
	return out, nil
}

func open(t testing.TB, s *store, mode theme.Mode, w, h int) *tuitest.Screen {
	return tuitest.Open(t, tui.Options{Pages: []page.Factory{Factory(s)}, View: "series clicks", Mode: mode}, w, h).Start().Pass(1)
}

func TestScreens(t *testing.T) {
	t.Parallel()
	one := func() *store { return &store{lines: []string{""}} }
	tuitest.Screens(t, "series", func(t *testing.T, mode theme.Mode, w, h int) *tuitest.Screen { return open(t, one(), mode, w, h) })
	for name, draw := range map[string]func() *tuitest.Screen{
		"grouped": func() *tuitest.Screen {
			return open(t, &store{lines: []string{"web-1\x1b[2J", "שלום", "(none)"}}, theme.Mono, 80, 24)
		},
		"empty": func() *tuitest.Screen { return open(t, &store{none: true}, theme.Mono, 80, 24) },
		"failed": func() *tuitest.Screen {
			return open(t, &store{err: prism.New(prism.ReasonNotFound, "namespace clicks not found")}, theme.Mono, 80, 24)
		},
		"form": func() *tuitest.Screen { return open(t, one(), theme.Mono, 80, 24).Keys("f") },
	} {
		t.Run(name, func(t *testing.T) {
			s := draw()
			tuitest.CheckFrame(t, s.Frame(), 80, 24)
			tuitest.Golden(t, name, s.Frame())
		})
	}
}

func TestTheRangeIsWidenedAndCutAndTheFormAsked(t *testing.T) {
	t.Parallel()
	s := &store{lines: []string{""}}
	sc := open(t, s, theme.Mono, 120, 40).Keys(">")
	last := func() Query { return s.asked[len(s.asked)-1] }
	if last().Range != 6*time.Hour {
		t.Errorf("%+v", last())
	}
	sc.Keys("<", "<", "<", "<", "<", "<", "<")
	if last().Range != time.Minute {
		t.Errorf("%+v", last())
	}
	sc.Keys("C").Pass(1)
	if want := "prismctl ts aggregate --since 1m --bucket 500ms --select count -n clicks"; len(sc.Copied) != 1 || sc.Copied[0] != want {
		t.Errorf("copied %q, want %q", sc.Copied, want)
	}
	m := New(tuitest.Env(), "clicks", s)
	form := m.form()
	v := map[string]string{"function": "p95", "metric": "ms", "range": "7d", "type": "page.view", "where": "host=a", "by": "source"}
	if got, want := form.Command(v), "prismctl ts aggregate --since 7d --bucket 1h24m0s --select 'p95(ms)' --type page.view --where host=a --by source -n clicks"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if wrong := form.Check(map[string]string{"function": "avg", "range": "soon", "where": "host"}); len(wrong) != 3 {
		t.Errorf("got %v", wrong)
	}
	if form.Check(v) != nil {
		t.Errorf("got %v", form.Check(v))
	}
	_, _ = form.Do(t.Context(), v, nil)
	if q := m.ask.Get(); q.Range != 7*24*time.Hour || q.By != "source" || q.Function != "p95" {
		t.Errorf("%+v", q)
	}
}

func TestFigures(t *testing.T) {
	t.Parallel()
	for f, want := range map[float64]string{0: "0", 12.5: "12.5", 1234567: "1,234,567", 1e18: "1.0e+18", 0.00001: "1.0e-05", -3: "-3"} {
		if got := number(f); got != want {
			t.Errorf("%g is %q, want %q", f, got, want)
		}
	}
	if got := fmt.Sprint(stretch([]float64{1, 5, 2, math.NaN()}, 2)); got != "[5 2]" {
		t.Error(got)
	}
	if got := fmt.Sprint(stretch([]float64{1, 2}, 4)); got != "[1 1 2 2]" {
		t.Error(got)
	}
}

func TestNoKeyMeansTwoThings(t *testing.T) {
	t.Parallel()
	if c := keys.Conflicts(keys.Global(), New(tuitest.Env(), "clicks", &store{}).Keys()); c != nil {
		t.Error(c)
	}
}

func TestAnEventIsCopiedWhole(t *testing.T) {
	t.Parallel()
	s := open(t, &store{lines: []string{""}}, theme.Mono, 100, 30).Keys("Y")
	var e struct {
		ID      string             `json:"event_id"`
		Time    string             `json:"time"`
		Metrics map[string]float64 `json:"metrics"`
		Payload *string            `json:"payload"`
	}
	if len(s.Copied) != 1 {
		t.Fatalf("copied %q", s.Copied)
	}
	if err := json.Unmarshal([]byte(s.Copied[0]), &e); err != nil || e.ID != "ev-00" || e.Time != "2026-03-01T12:00:00.000Z" || e.Metrics["ms"] != 12.5 || e.Payload == nil {
		t.Errorf("%v: copied %s", err, s.Copied[0])
	}
}
