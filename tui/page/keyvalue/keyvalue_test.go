package keyvalue

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"go.uber.org/goleak"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/tui"
	"github.com/prism-data-layer/prism/tui/component/tail"
	"github.com/prism-data-layer/prism/tui/component/task"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/theme"
	"github.com/prism-data-layer/prism/tui/tuitest"
)

var _ = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A store is a source in memory.
type store struct {
	mu      sync.Mutex
	entries []Entry // in order
	err     error
	asked   []Query
	changes []Change
	events  []Event
}

func (s *store) Run(_ context.Context, args []string, _ string, _ func(string)) (string, error) {
	return "printed by " + strings.Join(args, " ") + "\n", nil
}

func (s *store) Keys(_ context.Context, q Query) (Page, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, q)
	if s.err != nil {
		return Page{}, s.err
	}
	i, _ := slices.BinarySearchFunc(s.entries, max(q.Cursor, q.Prefix), func(e Entry, k string) int { return strings.Compare(e.Name, k) })
	var p Page
	for ; i < len(s.entries) && strings.HasPrefix(s.entries[i].Name, q.Prefix); i++ {
		if len(p.Keys) == q.Limit {
			p.Next = s.entries[i].Name
			break
		}
		p.Keys = append(p.Keys, s.entries[i].Key)
	}
	return p, nil
}

func (s *store) Value(_ context.Context, _, key string) (Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, ok := slices.BinarySearchFunc(s.entries, key, func(e Entry, k string) int { return strings.Compare(e.Name, k) }); ok {
		return s.entries[i], nil
	}
	return Entry{}, prism.NotFound("key", key)
}

func (s *store) Change(_ context.Context, c Change) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes = append(s.changes, c)
	return "done", s.err
}

func (s *store) Watch(_ context.Context, _, _ string, to *tail.Sink[Event]) error {
	for _, e := range s.events {
		to.Send(e)
	}
	return nil
}

func (s *store) put(name, value string, ttl time.Duration) {
	e := Entry{Key: Key{Name: name, Version: uint64(len(s.entries) + 1), Size: int64(len(value))}, Value: []byte(value)}
	if ttl > 0 {
		e.Expires = tuitest.Noon().Add(ttl)
	}
	s.entries = append(s.entries, e)
	slices.SortFunc(s.entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
}

func shop() *store {
	s := &store{}
	s.put("greeting", `{"text":"hello","to":["world","moon"],"loud":false}`, 0)
	s.put("evil\x1b[2J\x1b]0;x\x07", "\x1b[31mred\u202e", 42*time.Second)
	s.put("日本語の鍵", "こんにちは、世界 👋", 26*time.Hour)
	s.put("שלום", "\x00\x01\x02\xff\xfe binary", 0)
	for i := range 40 {
		s.put(fmt.Sprintf("session-%04d", i), strings.Repeat("x", i), time.Duration(i)*time.Minute)
	}
	s.events = []Event{
		{Time: tuitest.Noon(), Key: "greeting", Kind: "set", Version: 7},
		{Time: tuitest.Noon(), Key: "evil\x1b[2J", Kind: "expire", Version: 8},
	}
	return s
}

func TestScreens(t *testing.T) {
	t.Parallel()
	open := func(mode theme.Mode, w, h int, s *store) *tuitest.Screen {
		return tuitest.Open(t, tui.Options{Pages: []page.Factory{Factory(s)}, View: "keyvalue shop", Mode: mode}, w, h).Start()
	}
	tuitest.Screens(t, "keys", func(_ *testing.T, mode theme.Mode, w, h int) *tuitest.Screen {
		return open(mode, w, h, shop()).Keys("down")
	})
	for name, draw := range map[string]func() *tuitest.Screen{
		"hostile": func() *tuitest.Screen { return open(theme.Mono, 80, 24, shop()) },
		"wide":    func() *tuitest.Screen { return open(theme.Mono, 80, 24, shop()).Keys("G") },
		"bytes":   func() *tuitest.Screen { return open(theme.Mono, 80, 24, shop()).Keys("G", "up", "tab") },
		"watch":   func() *tuitest.Screen { return open(theme.Mono, 80, 24, shop()).Keys("w") },
		"empty":   func() *tuitest.Screen { return open(theme.Mono, 80, 24, &store{}) },
		"failed": func() *tuitest.Screen {
			return open(theme.Mono, 80, 24, &store{err: prism.New(prism.ReasonPermissionDenied, "you may not read namespace shop")})
		},
		"smallest": func() *tuitest.Screen { return open(theme.Mono, 60, 15, shop()) },
	} {
		t.Run(name, func(t *testing.T) {
			s := draw()
			tuitest.CheckFrame(t, s.Frame(), 120, 40)
			tuitest.Golden(t, name, s.Frame())
		})
	}
}

// A hundred thousand keys are walked through, and a few pages of them held.
func TestManyKeysAreNeverHeld(t *testing.T) {
	t.Parallel()
	const n = 100_000
	s := &store{entries: make([]Entry, n)}
	for i := range s.entries {
		s.entries[i].Key = Key{Name: fmt.Sprintf("key-%07d", i), Version: 1}
	}
	var m *Model
	f := Factory(s)
	f.New = func(e page.Env, arg string) page.Page { m = New(e, arg, s); return m }
	sc := tuitest.Page(t, f, "shop", 80, 24).Start()
	for range 250 {
		m.keys.Table.Do(keys.Bottom)
		m.aim()
		p, _ := s.Keys(t.Context(), m.ask.Get())
		p.of = m.ask.Get()
		m.take(p)
	}
	sc.Pass(1)
	if rows := m.window.rows(); rows > maxPages*pageSize || m.window.before() < 90_000 {
		t.Errorf("%d rows are held, after %d others", rows, m.window.before())
	}
	sc.Wants("key-0099999", "after 98,000 others")
	for range 20 {
		sc.Keys("g")
	}
	row, _ := m.keys.Table.Selected()
	if row.ID > "key-0093000" {
		t.Errorf("going back ended at %s", row.ID)
	}
	all := held(m)
	for i := 1; i < len(all); i++ { // none twice
		if all[i] <= all[i-1] {
			t.Fatalf("%s after %s", all[i], all[i-1])
		}
	}
}

func held(m *Model) (names []string) {
	for _, p := range m.window.pages {
		for _, k := range p.Keys {
			names = append(names, k.Name)
		}
	}
	return names
}

func TestNewsOfAPageDropsWhatFollowsElsewhere(t *testing.T) {
	t.Parallel()
	w := newWindow()
	fill := func(index int, next string, names ...string) {
		p := Page{Next: next, of: Query{index: index}}
		for _, n := range names {
			p.Keys = append(p.Keys, Key{Name: n})
		}
		w.fill(p)
	}
	fill(0, "c", "a", "b")
	fill(1, "e", "c", "d")
	fill(2, "", "e", "f")
	fill(0, "c2", "a", "b") // a cursor may be written anew each time
	if w.rows() != 6 {
		t.Errorf("%d rows: the same page drops nothing", w.rows())
	}
	fill(0, "b", "a", "aa")
	if w.rows() != 2 || w.starts[1] != "b" {
		t.Errorf("%d rows, %q", w.rows(), w.starts)
	}
	fill(7, "", "z")
	if w.rows() != 2 {
		t.Error("a page from elsewhere was taken")
	}
}

// rig is a page alone, whose wishes of the root can be looked at.
func rig(t *testing.T, s *store) *Model {
	t.Helper()
	m := New(page.Env{Tasks: task.NewRunner(context.Background(), clock.NewFake(tuitest.Noon())).Still(), Refresh: time.Second, Command: "prismctl"}, "shop", s)
	m.SetSize(80, 22)
	do(m, m.Init())
	return m
}

func do(m *Model, cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	switch msg := cmd().(type) {
	case tea.BatchMsg:
		for _, c := range msg {
			do(m, c)
		}
	case nil:
	default:
		do(m, m.Update(msg))
	}
}

func TestWhatChangesKeysIsAskedForFirst(t *testing.T) {
	t.Parallel()
	s := shop()
	m := rig(t, s)
	m.keys.Table.SetFilter("greeting")
	do(m, m.Follow())

	form := m.Do(actSet)().(page.Form)
	if form.Fields[0].Value != string(s.entries[1].Value) || form.Command(map[string]string{"value": "a b", "ttl": "90s"}) != "prismctl kv set greeting 'a b' --ttl 90s -n shop" {
		t.Errorf("%+v, %q", form.Fields, form.Command(map[string]string{"value": "a b", "ttl": "90s"}))
	}
	if form.Check(map[string]string{"ttl": "soon"})["ttl"] == "" || form.Check(map[string]string{}) != nil {
		t.Error("a wrong time to live is not told")
	}
	_, _ = form.Do(t.Context(), map[string]string{"value": "v", "ttl": "90s"}, nil)
	form = m.Do(actNew)().(page.Form)
	_, _ = form.Do(t.Context(), map[string]string{"key": "k", "value": "v"}, nil)
	form = m.Do(actExpire)().(page.Form)
	_, _ = form.Do(t.Context(), map[string]string{"ttl": "1h"}, nil)
	ask := m.Do(actDelete)().(page.Ask)
	if ask.Name != "greeting" || ask.Command != "prismctl kv delete greeting -n shop" || len(s.changes) != 3 {
		t.Errorf("%+v, %d changes", ask, len(s.changes))
	}
	_, _ = ask.Do(t.Context(), nil)
	want := []Change{
		{Kind: Set, Namespace: "shop", Key: "greeting", Value: []byte("v"), TTL: 90 * time.Second},
		{Kind: Set, Namespace: "shop", Key: "k", Value: []byte("v"), Create: true},
		{Kind: Expire, Namespace: "shop", Key: "greeting", TTL: time.Hour},
		{Kind: Delete, Namespace: "shop", Key: "greeting"},
	}
	for i := range want {
		if fmt.Sprint(s.changes[i]) != fmt.Sprint(want[i]) {
			t.Errorf("got %+v, want %+v", s.changes[i], want[i])
		}
	}
	for _, b := range m.Keys() {
		if changes := b.Action == actSet || b.Action == actNew || b.Action == actDelete || b.Action == actExpire; b.Changes != changes {
			t.Errorf("%s says that it changes: %v", b.Action, b.Changes)
		}
	}
}

func TestAPrefixBeginsAnew(t *testing.T) {
	t.Parallel()
	s := shop()
	m := rig(t, s)
	form := m.Do(actPrefix)().(page.Form)
	if _, err := form.Do(t.Context(), map[string]string{"prefix": "session-"}, nil); err != nil {
		t.Fatal(err)
	}
	do(m, m.Update(page.Done{}))
	if m.keys.Table.Len() != 40 || !strings.Contains(m.View(), "Keys session-… 40") {
		t.Errorf("%d keys:\n%s", m.keys.Table.Len(), m.View())
	}
	s.err = errors.New("away")
	_, _ = form.Do(t.Context(), map[string]string{"prefix": "none-"}, nil)
	do(m, m.Update(page.Done{}))
	if m.keys.Table.Len() != 0 {
		t.Error("keys of another prefix stay")
	}
}

func TestNoKeyMeansTwoThings(t *testing.T) {
	t.Parallel()
	if c := keys.Conflicts(keys.Global(), rig(t, shop()).Keys()); c != nil {
		t.Error(c)
	}
}

func TestAKeyIsCopiedAsItsCommandPrintsIt(t *testing.T) {
	t.Parallel()
	s := shop()
	sc := tuitest.Open(t, tui.Options{Pages: []page.Factory{Factory(s)}, View: "keyvalue shop"}, 100, 24).Start().Keys("Y")
	if want := "printed by kv get " + s.entries[0].Name + " -n shop -o yaml\n"; len(sc.Copied) != 1 || sc.Copied[0] != want {
		t.Errorf("copied %q, want %q", sc.Copied, want)
	}
}
