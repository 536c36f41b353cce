package faults_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/client"
	"github.com/prism-data-layer/prism/pkg/client/admin"
	"github.com/prism-data-layer/prism/pkg/driver/redis/redistest"
	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	"github.com/prism-data-layer/prism/test/faults/powercut"
	"github.com/prism-data-layer/prism/test/harness"
)

// movable is a configuration with a namespace that can go to each backend; redis
// is the address of a server, or empty.
func movable(redis string) string {
	file := `apiVersion: prism/v1
auth: {mode: off}
backends:
  - {name: volatile, driver: memory}
  - {name: local, driver: pebble, options: {memtable: 1MiB, cache: 1MiB}}
  - {name: other, driver: pebble, options: {memtable: 1MiB, cache: 1MiB}}
`
	if redis != "" {
		file += fmt.Sprintf("  - {name: redis, driver: redis, options: {addrs: [%q]}}\n", redis)
	}
	return file + `namespaces:
  - {name: kv, model: keyvalue, backend: local, access: {owners: ["user:dev"]}}
drain: {timeout: 5s}
`
}

// redisFor starts a real server, or says that there is none.
func redisFor(t *testing.T) string {
	t.Helper()
	for _, v := range redistest.Versions() {
		if _, missing := v.Find(); missing == "" {
			return v.Start(t).Addr
		}
	}
	powercut.Need(t, redistest.Seven().Missing())
	return ""
}

func dialAdmin(t *testing.T, p *prismd) *admin.Client {
	t.Helper()
	c, err := admin.Dial(p.addr("admin"), admin.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// A mover asks for moves, over restarts of the gateway.
type mover struct {
	t     *testing.T
	admin *admin.Client
}

func (m *mover) begin(to string, keep time.Duration) *adminv1.Operation {
	m.t.Helper()
	r, err := m.admin.MoveNamespace(m.t.Context(), &adminv1.MoveNamespaceRequest{Name: "kv", To: to, KeepSourceMs: keep.Milliseconds()})
	if err != nil {
		m.t.Fatalf("move to %s: %v", to, err)
	}
	return r.Operation
}

// wait waits until the operation is done.
func (m *mover) wait(id string) *adminv1.Operation {
	m.t.Helper()
	var o *adminv1.Operation
	defer func() {
		if m.t.Failed() {
			m.t.Logf("the move: %v", o)
		}
	}()
	harness.Eventually(m.t, time.Minute, "the move is done", func() bool {
		r, err := m.admin.GetOperation(m.t.Context(), &adminv1.GetOperationRequest{OperationId: id})
		if err != nil {
			return false // the gateway is not up
		}
		o = r.Operation
		return o.State != adminv1.OperationState_OPERATION_STATE_RUNNING
	})
	if o.State != adminv1.OperationState_OPERATION_STATE_DONE {
		m.t.Fatalf("the move ended with %v: %s", o.State, o.Message)
	}
	return o
}

func (m *mover) backend() string {
	r, err := m.admin.GetNamespace(m.t.Context(), &adminv1.GetNamespaceRequest{Name: "kv"})
	if err != nil {
		m.t.Fatal(err)
	}
	return r.Namespace.BoundBackend
}

const (
	moveWriters = 4
	moveKeys    = 150 // of a writer

	// movePace is between the calls of one caller: receipts are kept for minutes,
	// and a long test would mostly copy those.
	movePace = 2 * time.Millisecond
)

// A moveLoad is clients of a namespace that moves.
type moveLoad struct {
	t      *testing.T
	kv     *client.KeyValue
	strict bool // no call may fail
	cancel context.CancelFunc
	ctx    context.Context
	wg     sync.WaitGroup

	acked, failed, changes atomic.Int64
	adds, maybe            atomic.Int64 // increments acked, and of unknown outcome
	swaps, maybeSwaps      atomic.Int64

	mu        sync.Mutex
	last      map[string]int             // acked value by key
	attempted map[string]map[int]bool    // since then
	versions  map[string]map[uint64]bool // acked
	seen      map[string][]client.Change
	watching  sync.WaitGroup
	watcher   *client.Watcher
}

func newMoveLoad(t *testing.T, c *client.Client, strict bool) *moveLoad {
	t.Helper()
	l := &moveLoad{
		t: t, kv: c.KeyValue("kv"), strict: strict, last: map[string]int{}, attempted: map[string]map[int]bool{},
		versions: map[string]map[uint64]bool{}, seen: map[string][]client.Change{},
	}
	var err error
	if l.watcher, err = l.kv.Watch(t.Context(), client.WatchOptions{}); err != nil {
		t.Fatal(err)
	}
	l.watching.Go(l.watch)
	l.ctx, l.cancel = context.WithCancel(t.Context())
	t.Cleanup(func() { l.cancel(); l.wg.Wait() })
	for w := range moveWriters {
		l.wg.Go(func() { l.write(w) })
	}
	for range 2 {
		l.wg.Go(l.count)
	}
	l.wg.Go(l.transact)
	l.wg.Go(l.swap)
	return l
}

// call runs one call of the SDK; false if its outcome is not known.
func (l *moveLoad) call(what string, f func(ctx context.Context) error) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	time.Sleep(movePace)
	err := f(ctx)
	if err == nil {
		l.acked.Add(1)
		return true
	}
	if l.failed.Add(1); l.strict {
		l.t.Errorf("%s failed: %v", what, err)
	}
	return false
}

func (l *moveLoad) write(w int) {
	for n := 1; l.ctx.Err() == nil; n++ {
		key := key(w, rand.IntN(moveKeys))
		l.mu.Lock()
		if l.attempted[key] == nil {
			l.attempted[key] = map[int]bool{}
		}
		l.attempted[key][n] = true
		l.mu.Unlock()
		var opts []client.WriteOption
		if n%5 == 0 {
			opts = append(opts, client.TTL(time.Hour))
		}
		var version uint64
		if !l.call("set", func(ctx context.Context) (err error) {
			version, err = l.kv.Set(ctx, key, []byte(strconv.Itoa(n)), opts...)
			return err
		}) {
			continue
		}
		l.mu.Lock()
		l.last[key], l.attempted[key] = n, map[int]bool{n: true}
		if l.versions[key] == nil {
			l.versions[key] = map[uint64]bool{}
		}
		l.versions[key][version] = true
		l.mu.Unlock()
		if n%7 == 0 {
			l.call("set that ends", func(ctx context.Context) error {
				_, err := l.kv.Set(ctx, fmt.Sprintf("ends-%d-%d", w, n), []byte("x"), client.TTL(time.Duration(1+rand.IntN(400))*time.Millisecond))
				return err
			})
		}
		l.call("get", func(ctx context.Context) error {
			e, err := l.kv.Get(ctx, key)
			if err == nil && string(e.Value) != strconv.Itoa(n) {
				l.t.Errorf("%s reads %s after %d was acked", key, e.Value, n)
			}
			return err
		})
	}
}

func (l *moveLoad) count() {
	for l.ctx.Err() == nil {
		if l.call("increment", func(ctx context.Context) error {
			_, _, err := l.kv.Increment(ctx, "sum", 1)
			return err
		}) {
			l.adds.Add(1)
		} else {
			l.maybe.Add(1)
		}
	}
}

func (l *moveLoad) transact() {
	for l.ctx.Err() == nil {
		l.call("transaction", func(ctx context.Context) error {
			_, err := l.kv.Transaction(ctx, func(tx *client.Tx) error {
				for _, key := range []string{"left", "right"} {
					e, _, err := tx.Get(key)
					if err != nil {
						return err
					}
					n, _ := strconv.Atoi(string(e.Value))
					if err := tx.Set(key, []byte(strconv.Itoa(n+1))); err != nil {
						return err
					}
				}
				return nil
			})
			return err
		})
	}
}

// swap counts by compare-and-set of versions.
func (l *moveLoad) swap() {
	for l.ctx.Err() == nil {
		e, err := l.kv.Get(l.ctx, "swap")
		opts := []client.WriteOption{client.IfVersion(e.Version)}
		if errors.Is(err, prism.ReasonNotFound) {
			opts = []client.WriteOption{client.CreateOnly()}
		} else if err != nil {
			continue
		}
		n, _ := strconv.Atoi(string(e.Value))
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		_, err = l.kv.Set(ctx, "swap", []byte(strconv.Itoa(n+1)), opts...)
		cancel()
		switch {
		case err == nil:
			l.swaps.Add(1)
		case l.strict:
			l.t.Errorf("compare-and-set of version %d: %v", e.Version, err) // it is the only writer
		default:
			l.maybeSwaps.Add(1)
		}
	}
}

func (l *moveLoad) watch() {
	for {
		changes, err := l.watcher.Next()
		if err != nil {
			if l.t.Context().Err() == nil {
				l.t.Errorf("the watch ended: %v", err)
			}
			return
		}
		l.mu.Lock()
		over := false
		for _, c := range changes {
			l.seen[c.Key] = append(l.seen[c.Key], c)
			over = over || c.Key == "the end"
		}
		l.changes.Add(int64(len(changes)))
		l.mu.Unlock()
		if over {
			return
		}
	}
}

func (l *moveLoad) goOn(n int64) {
	l.t.Helper()
	want := l.acked.Load() + n
	harness.Eventually(l.t, time.Minute, "calls are answered", func() bool { return l.acked.Load() >= want })
}

// A moveVerdict is what was wrong in the end.
type moveVerdict struct{ lost, phantom int64 }

func (l *moveLoad) end() (v moveVerdict) {
	l.t.Helper()
	l.cancel()
	l.wg.Wait()
	ctx := l.t.Context()
	for key, want := range l.last {
		e, err := l.kv.Get(ctx, key)
		n, _ := strconv.Atoi(string(e.Value))
		switch {
		case err != nil, !l.attempted[key][n] && n < want:
			v.lost++
			l.t.Errorf("%s is %q, %d was acked: %v", key, e.Value, want, err)
		case !l.attempted[key][n]:
			v.phantom++
			l.t.Errorf("%s is %q, and nobody wrote that after %d", key, e.Value, want)
		}
	}
	within := func(name string, acked, maybe int64) {
		e, err := l.kv.Get(ctx, name)
		if n, _ := strconv.ParseInt(string(e.Value), 10, 64); err != nil || n < acked || n > acked+maybe {
			v.lost += max(acked-n, 0)
			v.phantom += max(n-acked-maybe, 0)
			l.t.Errorf("%s is %s after %d acked and %d of unknown outcome: %v", name, e.Value, acked, maybe, err)
		}
	}
	within("sum", l.adds.Load(), l.maybe.Load())
	within("swap", l.swaps.Load(), l.maybeSwaps.Load())
	left, err := l.kv.Get(ctx, "left")
	right, rerr := l.kv.Get(ctx, "right")
	if err != nil || rerr != nil || string(left.Value) != string(right.Value) {
		l.t.Errorf("left is %s and right is %s: %v %v", left.Value, right.Value, err, rerr)
	}
	l.endWatch()
	return v
}

// endWatch waits for what is still to be told, and judges it.
func (l *moveLoad) endWatch() {
	l.t.Helper()
	harness.Eventually(l.t, 30*time.Second, "what ends has ended and was told", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		for key, changes := range l.seen {
			if strings.HasPrefix(key, "ends-") && changes[len(changes)-1].Kind != client.ChangeExpire {
				return false
			}
		}
		return true
	})
	if _, err := l.kv.Set(l.t.Context(), "the end", nil); err != nil {
		l.t.Fatal(err)
	}
	l.watching.Wait()
	l.watcher.Close()
	wrong := 0
	for key, changes := range l.seen {
		var previous uint64
		told := map[uint64]bool{}
		for _, c := range changes {
			if c.Previous != previous {
				if wrong++; wrong <= 5 {
					l.t.Errorf("%s: change %d follows %d, want %d", key, c.Version, c.Previous, previous)
				}
			}
			if previous = c.Version; c.Kind != client.ChangeSet {
				previous = 0
			}
			told[c.Version] = true
		}
		for version := range l.versions[key] {
			if !told[version] {
				if wrong++; wrong <= 5 {
					l.t.Errorf("%s: acked version %d was not told", key, version)
				}
			}
		}
	}
	if wrong > 0 {
		l.t.Errorf("%d changes were told wrongly", wrong)
	}
}

// A namespace moves from store to store and back under writers, counters,
// transactions, keys that end and a watch of the stock SDK: no call fails.
func TestANamespaceMovesUnderLoadWithoutAFailedCall(t *testing.T) {
	addr := redisFor(t)
	p := newPrismd(t, movable(addr))
	p.start()
	p.ready()
	c, err := client.Dial(p.addr("data"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	m := &mover{t, dialAdmin(t, p)}
	route := []string{"redis", "local", "volatile", "redis", "volatile", "local", "other", "local"}
	if addr == "" {
		route = []string{"volatile", "local", "other"}
	}
	l := newMoveLoad(t, c, true)
	l.goOn(500)
	for _, to := range route {
		o := m.wait(m.begin(to, 2*time.Second).OperationId)
		if at := m.backend(); at != to {
			t.Fatalf("the namespace is on %s, want %s", at, to)
		}
		t.Logf("to %s: %s in %d ms", to, o.Message, o.EndedAtMs-o.StartedAtMs)
		l.goOn(300)
	}
	l.end()
	t.Logf("%d calls, %d failed, %d changes told", l.acked.Load(), l.failed.Load(), l.changes.Load())
}

// F55: SIGKILL at any moment of a move, from a durable store to another and
// back: what was acked is there, nothing else is, the namespace is in one place,
// and in the end it has moved.
func TestFault_F55_KillDuringAMove(t *testing.T) {
	rounds := 5
	if powercut.Full() {
		rounds = 50
	}
	seed := seedOf(t)
	random := rand.New(rand.NewPCG(seed, 55))
	report := powercut.Begin("F55", seed)
	addr := redisFor(t)
	places := []string{"other", "redis", "local"}
	if addr == "" {
		places = []string{"other", "local"}
	}
	p := newPrismd(t, movable(addr))
	p.start()
	p.ready()
	c, err := client.Dial(p.addr("data"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	m := &mover{t, dialAdmin(t, p)}
	l := newMoveLoad(t, c, false)
	l.goOn(500)
	kills := 0
	for round := range rounds {
		to := places[round%len(places)]
		o := m.begin(to, 5*time.Second)
		for n := 0; n < 1+random.IntN(3); n++ {
			time.Sleep(time.Duration(random.Int64N(int64(600 * time.Millisecond))))
			p.signal(syscall.SIGKILL)
			p.wait(5 * time.Second)
			kills++
			p.start()
			p.ready()
		}
		m.wait(o.OperationId)
		if at := m.backend(); at != to {
			t.Fatalf("round %d: the namespace is on %s, want %s", round, at, to)
		}
		l.goOn(100)
		report.Rounds++
	}
	v := l.end()
	report.Acked, report.Lost, report.Phantom = l.acked.Load(), v.lost, v.phantom
	report.More["kills"], report.More["unanswered"], report.More["changes"] = kills, l.failed.Load(), l.changes.Load()
	report.Print()
}
