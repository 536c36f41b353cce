package keyvalue_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/data"
	"github.com/prism-data-layer/prism/pkg/data/keyvalue"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/memory"
	"github.com/prism-data-layer/prism/pkg/driver/pebble"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// opened opens a store with the real clock: a move waits for others' work.
func opened(t *testing.T, spec driver.Spec) driver.Set {
	t.Helper()
	s, err := spec.Open(t.Context(), driver.Config{Name: spec.Name, Dir: t.TempDir(), Clock: clock.Real(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Store.Close() })
	return s
}

// A movable is a namespace that moves, as several versions of a namespace see it.
type movable struct {
	t     *testing.T
	place *keyvalue.Place
	*keyvalue.Store
	arrived keyvalue.Arrival
}

func newMovable(t *testing.T, from driver.Set) *movable {
	m := &movable{t: t, place: keyvalue.NewPlace(from)}
	m.Store = keyvalue.At(m.place, "kv", keyvalue.Policy{}, data.NewSealer(make([]byte, 32)), clock.Real())
	return m
}

func (m *movable) move(to driver.Set) *keyvalue.Move {
	return &keyvalue.Move{
		Place: m.place, Namespace: "kv", To: to, Clock: clock.Real(),
		Settle: func(a keyvalue.Arrival) error { m.arrived = a; return nil },
	}
}

func (m *movable) run(to driver.Set) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), 2*time.Minute)
	defer cancel()
	if err := m.move(to).Run(ctx); err != nil {
		m.t.Fatalf("move: %v", err)
	}
}

func (m *movable) do(op keyvalue.Op) keyvalue.Result {
	m.t.Helper()
	r, err := m.Do(m.t.Context(), &op)
	if err != nil {
		m.t.Fatalf("%+v: %v", op, err)
	}
	return r
}

// pairs are the stores that are moved between.
func pairs(t *testing.T, f func(t *testing.T, from, to driver.Set)) {
	for _, p := range [][2]driver.Spec{{memory.Spec(), pebble.Spec()}, {pebble.Spec(), memory.Spec()}, {pebble.Spec(), pebble.Spec()}} {
		t.Run(p[0].Name+" to "+p[1].Name, func(t *testing.T) {
			t.Parallel()
			f(t, opened(t, p[0]), opened(t, p[1]))
		})
	}
}

func TestAMoveKeepsValuesVersionsExpiriesAndReceipts(t *testing.T) {
	t.Parallel()
	pairs(t, func(t *testing.T, from, to driver.Set) {
		m := newMovable(t, from)
		before := map[string]keyvalue.Result{}
		for i := range 700 {
			key := fmt.Sprintf("k%03d", i)
			op := keyvalue.Op{Kind: keyvalue.OpSet, Key: key, Value: []byte(strconv.Itoa(i))}
			if i%3 == 0 {
				op.Options.TTL = time.Hour + time.Duration(i)*time.Second
			}
			m.do(op)
			before[key] = m.do(keyvalue.Op{Kind: keyvalue.OpGet, Key: key})
		}
		m.do(keyvalue.Op{Kind: keyvalue.OpDelete, Key: "k001"})
		delete(before, "k001")
		add := keyvalue.Op{Kind: keyvalue.OpIncrement, Key: "n", Delta: 1}
		if err := keyvalue.Once(&add, "p", "once", nil); err != nil {
			t.Fatal(err)
		}
		added := m.do(add)
		m.run(to)
		for key, want := range before {
			got := m.do(keyvalue.Op{Kind: keyvalue.OpGet, Key: key})
			if string(got.Value) != string(want.Value) || got.Version != want.Version || got.ExpiresAt.UnixMilli() != want.ExpiresAt.UnixMilli() {
				t.Fatalf("%s is %+v, want %+v", key, got, want)
			}
		}
		if n, err := m.Count(t.Context(), keyvalue.Query{}); err != nil || n != int64(len(before))+1 {
			t.Errorf("%d keys, want %d: %v", n, len(before)+1, err)
		}
		again := m.do(add)
		if !again.Replayed || again.Number != added.Number || again.Version != added.Version {
			t.Errorf("sent again: %+v, want the answer %+v", again, added)
		}
		if r := m.do(keyvalue.Op{Kind: keyvalue.OpSet, Key: "k002"}); r.Version <= m.arrived.Version {
			t.Errorf("version %d after the move, %d was given out before", r.Version, m.arrived.Version)
		}
		if _, found, _ := from.KeyValue.Get(t.Context(), prism.Key{Namespace: "kv", Name: "k002"}); !found {
			t.Error("the move took data from the source, which is the caller's to drop")
		}
	})
}

func TestAMoveUnderLoadLosesNothing(t *testing.T) {
	t.Parallel()
	pairs(t, func(t *testing.T, from, to driver.Set) {
		m := newMovable(t, from)
		l := startLoad(t, m)
		m.run(to)
		l.goOn(300)
		l.stop()
		if m.arrived.Verified == 0 {
			t.Error("nothing was verified")
		}
		t.Logf("%d writes, %+v", l.writes.Load(), m.arrived.Progress)
	})
}

func TestAHundredThousandKeysMoveThereAndBack(t *testing.T) {
	t.Parallel()
	const n = 100_000
	here, there := opened(t, memory.Spec()), opened(t, pebble.Spec())
	m := newMovable(t, here)
	ops, results := make([]keyvalue.Op, 1000), make([]keyvalue.Result, 1000)
	for i := range n / len(ops) {
		for j := range ops {
			ops[j] = keyvalue.Op{Kind: keyvalue.OpSet, Key: fmt.Sprintf("k%06d", i*len(ops)+j), Value: []byte(strconv.Itoa(j))}
		}
		if err := m.Batch(t.Context(), ops, results); err != nil {
			t.Fatal(err)
		}
	}
	for _, to := range []driver.Set{there, here} {
		if to.Info.Driver == here.Info.Driver { // as the end of the move before would
			if err := m.place.Forget(t.Context(), clock.Real()); err != nil {
				t.Fatal(err)
			}
			if err := to.Store.Drop(t.Context(), "kv"); err != nil {
				t.Fatal(err)
			}
		}
		m.run(to)
		if p := m.arrived.Progress; p.Copied < n || p.Verified != n {
			t.Errorf("%d copied and %d verified, want %d", p.Copied, p.Verified, n)
		}
		if got, err := m.Count(t.Context(), keyvalue.Query{}); err != nil || got != n {
			t.Errorf("%d keys after the move, want %d: %v", got, n, err)
		}
	}
}

// A load is writers that know what they wrote, and a watch that must tell of it.
type load struct {
	t      *testing.T
	m      *movable
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup
	writes atomic.Int64
	adds   atomic.Int64
	ends   atomic.Int64 // keys that end
	wrote  chan struct{}
	told   chan struct{}

	mu     sync.Mutex
	last   map[string]uint64 // acknowledged version by key; 0: deleted
	value  map[string]string
	untold map[string]bool // that end, and whose end was not told yet

	seen    chan map[string][]keyvalue.Change
	watched *keyvalue.Watch
}

func startLoad(t *testing.T, m *movable) *load {
	l := &load{
		t: t, m: m, last: map[string]uint64{}, value: map[string]string{}, untold: map[string]bool{},
		wrote: make(chan struct{}, 1), told: make(chan struct{}, 1), seen: make(chan map[string][]keyvalue.Change, 1),
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	t.Cleanup(func() { l.cancel(); l.work.Wait() })
	var err error
	if l.watched, err = m.Watch(t.Context(), "", "", false); err != nil {
		t.Fatal(err)
	}
	if _, _, err := l.watched.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	go l.watch()
	for i := range 2000 {
		l.write(fmt.Sprintf("w0/%d", i))
	}
	for w := range 4 {
		l.work.Go(func() {
			for l.ctx.Err() == nil {
				l.write(fmt.Sprintf("w%d/%d", w, rand.IntN(500)))
			}
		})
	}
	for range 2 {
		l.work.Go(func() {
			for l.ctx.Err() == nil {
				l.add()
				l.transact()
			}
		})
	}
	l.goOn(50)
	return l
}

func (l *load) op(op keyvalue.Op) keyvalue.Result {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	r, err := l.m.Do(ctx, &op)
	if err != nil {
		l.t.Errorf("%d of %s failed: %v", op.Kind, op.Key, err)
	}
	l.writes.Add(1)
	ring(l.wrote)
	// Not to wait for anything: it is the load. Memory is faster than any target.
	time.Sleep(200 * time.Microsecond)
	return r
}

// write changes a key that only one writer has.
func (l *load) write(key string) {
	value := strconv.Itoa(rand.IntN(1e9))
	op := keyvalue.Op{Kind: keyvalue.OpSet, Key: key, Value: []byte(value)}
	switch rand.IntN(8) {
	case 0:
		op.Kind, value = keyvalue.OpDelete, ""
	case 1:
		op.Options.TTL = time.Hour
	case 2: // changes no version
		op.Kind = keyvalue.OpPersist
		l.mu.Lock()
		there := l.last[key] != 0
		l.mu.Unlock()
		if there {
			l.op(op)
		}
		return
	case 3:
		op.Options.TTL = time.Duration(1+rand.IntN(300)) * time.Millisecond
		op.Key = fmt.Sprintf("ends/%d", l.ends.Add(1))
		l.mu.Lock()
		l.untold[op.Key] = true
		l.mu.Unlock()
		l.op(op)
		return
	}
	r := l.op(op)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last[key], l.value[key] = r.Version, value; op.Kind == keyvalue.OpDelete {
		l.last[key] = 0
	}
}

func (l *load) add() {
	op := keyvalue.Op{Kind: keyvalue.OpIncrement, Key: "sum", Delta: 1}
	if err := keyvalue.Once(&op, "p", fmt.Sprint("add", l.adds.Add(1)), nil); err != nil {
		l.t.Error(err)
	}
	first := l.op(op)
	if again := l.op(op); !again.Replayed || again.Number != first.Number {
		l.t.Errorf("an increment sent again answers %+v, want %+v", again, first)
	}
}

// transact counts in two keys at once.
func (l *load) transact() {
	for {
		tx, err := l.m.Begin("p", "")
		if err != nil {
			l.t.Error(err)
			return
		}
		for _, key := range []string{"left", "right"} {
			e, _, err := tx.Get(context.Background(), key)
			n, _ := strconv.Atoi(string(e.Value))
			if _, werr := tx.Write(keyvalue.Op{Kind: keyvalue.OpSet, Key: key, Value: []byte(strconv.Itoa(n + 1))}); err != nil || werr != nil {
				l.t.Error(err, werr)
			}
		}
		if _, err = tx.Commit(context.Background()); !errors.Is(err, prism.ReasonConflict) {
			if err != nil {
				l.t.Errorf("commit: %v", err)
			}
			return
		}
	}
}

func (l *load) goOn(n int64) {
	for want := l.writes.Load() + n; l.writes.Load() < want; {
		<-l.wrote
	}
}

// ring tells whoever waits, and nobody if nobody does.
func ring(bell chan struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}

func (l *load) watch() {
	seen := map[string][]keyvalue.Change{}
	for {
		events, _, err := l.watched.Next(l.t.Context())
		if err != nil {
			l.t.Errorf("watch: %v", err)
			break
		}
		for _, e := range events {
			seen[e.Key] = append(seen[e.Key], e.Change)
			if e.Kind == keyvalue.ChangeExpire {
				l.mu.Lock()
				delete(l.untold, e.Key)
				l.mu.Unlock()
			}
		}
		ring(l.told)
		if seen["the end"] != nil {
			break
		}
	}
	l.seen <- seen
}

func (l *load) stop() {
	l.cancel()
	l.work.Wait()
	for key, version := range l.last {
		r, err := l.m.Do(l.t.Context(), &keyvalue.Op{Kind: keyvalue.OpGet, Key: key})
		switch {
		case version == 0 && !errors.Is(err, prism.ReasonNotFound):
			l.t.Errorf("%s is there, and was deleted", key)
		case version != 0 && (err != nil || r.Version != version || string(r.Value) != l.value[key]):
			l.t.Errorf("%s is %q of version %d, want %q of %d: %v", key, r.Value, r.Version, l.value[key], version, err)
		}
	}
	if r := l.m.do(keyvalue.Op{Kind: keyvalue.OpGet, Key: "sum"}); string(r.Value) != strconv.FormatInt(l.adds.Load(), 10) {
		l.t.Errorf("sum is %s after %d increments", r.Value, l.adds.Load())
	}
	left, right := l.m.do(keyvalue.Op{Kind: keyvalue.OpGet, Key: "left"}), l.m.do(keyvalue.Op{Kind: keyvalue.OpGet, Key: "right"})
	if string(left.Value) != string(right.Value) {
		l.t.Errorf("left is %s and right is %s", left.Value, right.Value)
	}

	l.waitForEnds()
	l.m.do(keyvalue.Op{Kind: keyvalue.OpSet, Key: "the end"})
	l.chains(<-l.seen)
}

// waitForEnds waits until the end of all that ends was told.
func (l *load) waitForEnds() {
	for patience := time.After(30 * time.Second); ; {
		l.mu.Lock()
		left := len(l.untold)
		l.mu.Unlock()
		if left == 0 {
			return
		}
		select {
		case <-l.told:
		case <-patience:
			return // chains says of which
		}
	}
}

// chains wants each change of a key to follow the one before.
func (l *load) chains(seen map[string][]keyvalue.Change) {
	for key, changes := range seen {
		var previous uint64
		for _, c := range changes {
			if c.Previous != previous {
				l.t.Errorf("%s: version %d follows %d, want %d: %v", key, c.Version, c.Previous, previous, changes)
				break
			}
			if previous = c.Version; c.Kind != keyvalue.ChangeSet {
				previous = 0
			}
		}
		if last := changes[len(changes)-1]; len(key) > 5 && key[:5] == "ends/" && last.Kind != keyvalue.ChangeExpire {
			l.t.Errorf("%s: its end was not told: %v", key, changes)
		}
	}
	for key, version := range l.last {
		if changes := seen[key]; version != 0 && (len(changes) == 0 || changes[len(changes)-1].Version != version) {
			l.t.Errorf("%s: the last change %d was not told: %v", key, version, changes)
		}
	}
}
