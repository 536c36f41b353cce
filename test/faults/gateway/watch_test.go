package faults_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/client"
	"github.com/prism-data-layer/prism/test/faults/powercut"
	"github.com/prism-data-layer/prism/test/harness"
)

// watched is a configuration with keys and events on disk.
const watched = `apiVersion: prism/v1
auth: {mode: off}
backends:
  - {name: local, driver: pebble, options: {memtable: 1MiB, cache: 1MiB}}
namespaces:
  - {name: disk, model: keyvalue, backend: local, access: {owners: ["user:dev"]}}
  - {name: events, model: pubsub, backend: local, access: {owners: ["user:dev"]}}
drain: {timeout: 5s}
`

const (
	watchWriters    = 4
	watchPublishers = 2
	watchersOfAll   = 2 // beside one of each writer's keys, and two that come later
)

// F29: what a watch and a reader of events see over restarts and kills: of each
// key every change, in order and once; nothing that was not yet asked for;
// nothing missing that was acked; from a kept position the same again.
func TestFault_F29_WatchesOverRestarts(t *testing.T) {
	rounds := 2
	if powercut.Full() {
		rounds = 20 // of ten watches and readers
	}
	report := powercut.Begin("F29", seedOf(t))
	p := newPrismd(t, watched)
	p.start()
	p.ready()
	c, err := client.Dial(p.addr("data"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	v := &verdict{t: t}
	var changes, events, again int64
	for n := range rounds {
		r := newWatchRound(t, c, v, n)
		for _, s := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
			r.waitForMore()
			p.signal(s)
			p.wait(15 * time.Second)
			p.start()
			p.ready()
			report.More["restarts"] = 2 * (n + 1)
		}
		r.waitForMore()
		acked, seen := r.end()
		report.Acked += acked
		changes += seen
		for _, e := range r.readers {
			events += int64(len(e.seen))
			again += e.again
		}
		report.Rounds++
	}
	report.Lost, report.More["violations"] = v.lost.Load(), v.count.Load()
	report.More["runs"] = rounds * (watchersOfAll + watchWriters + 2 + 2)
	report.More["changes"], report.More["events"], report.More["events_again"] = changes, events, again
	report.Print()
}

// A verdict counts what must not be, and says the first of it.
type verdict struct {
	t           *testing.T
	count, lost atomic.Int64
}

func (v *verdict) violated(format string, args ...any) {
	if v.count.Add(1) <= 10 {
		v.t.Errorf(format, args...)
	}
}

// A watchRound is writers and publishers, and those who follow them.
type watchRound struct {
	t      *testing.T
	c      *client.Client
	v      *verdict
	prefix string

	stop     context.CancelFunc
	writing  sync.WaitGroup
	watching sync.WaitGroup
	sent     [watchWriters]atomic.Int64 // by each writer, answered or not
	told     [watchPublishers]atomic.Int64
	done     atomic.Int64

	mu     sync.Mutex
	acked  map[string]map[uint64]string // versions and values, by key
	events [watchPublishers][]int       // acked

	watchers []*watch
	readers  []*eventReader
}

func newWatchRound(t *testing.T, c *client.Client, v *verdict, n int) *watchRound {
	t.Helper()
	r := &watchRound{t: t, c: c, v: v, prefix: fmt.Sprintf("r%d-", n), acked: map[string]map[uint64]string{}}
	for range watchersOfAll {
		r.watch(r.prefix, "")
	}
	for w := range watchWriters {
		r.watch(r.of(w), "")
	}
	first, err := c.PubSub("events").Publish(t.Context(), client.Event{Topic: "t", Payload: []byte("begin"), Persistent: true})
	if err != nil {
		t.Fatal(err)
	}
	r.read(client.SubscribeOptions{After: first.Position})
	r.read(client.SubscribeOptions{Durable: "d" + r.prefix[:len(r.prefix)-1], After: first.Position})
	ctx, stop := context.WithCancel(t.Context())
	r.stop = stop
	for w := range watchWriters {
		r.writing.Go(func() { r.write(ctx, w) })
	}
	for w := range watchPublishers {
		r.writing.Go(func() { r.publish(ctx, w) })
	}
	return r
}

func (r *watchRound) of(writer int) string { return fmt.Sprintf("%sw%d-", r.prefix, writer) }

// write sets and deletes two keys in turn; values are numbers.
func (r *watchRound) write(ctx context.Context, w int) {
	kv := r.c.KeyValue("disk")
	for n := 1; ctx.Err() == nil; n++ {
		key := fmt.Sprintf("%sk%d", r.of(w), n%2)
		r.sent[w].Store(int64(n))
		var version uint64
		var err error
		value := strconv.Itoa(n)
		if n%7 == 0 {
			value = ""
			_, version, err = kv.Delete(ctx, key)
		} else {
			version, err = kv.Set(ctx, key, []byte(value))
		}
		if err != nil || version == 0 {
			continue
		}
		r.done.Add(1)
		r.mu.Lock()
		if r.acked[key] == nil {
			r.acked[key] = map[uint64]string{}
		}
		r.acked[key][version] = value
		r.mu.Unlock()
	}
}

func (r *watchRound) publish(ctx context.Context, w int) {
	events := r.c.PubSub("events")
	for n := 1; ctx.Err() == nil; n++ {
		r.told[w].Store(int64(n))
		if _, err := events.Publish(ctx, client.Event{Topic: "t", Payload: fmt.Appendf(nil, "%s%d:%d", r.prefix, w, n), Persistent: true}); err == nil {
			r.mu.Lock()
			r.events[w] = append(r.events[w], n)
			r.mu.Unlock()
		}
	}
}

// waitForMore waits until writers have got on.
func (r *watchRound) waitForMore() {
	r.t.Helper()
	from := r.done.Load()
	harness.Eventually(r.t, time.Minute, "writes are acked", func() bool { return r.done.Load() >= from+100 })
}

// A watch is one that follows keys, and all that it has seen.
type watch struct {
	prefix  string
	changes []client.Change
	ends    int // writers whose end it waits for

	kept string // a position, and how much had been seen there
	at   int
}

func (r *watchRound) watch(prefix, position string) *watch {
	r.t.Helper()
	w := &watch{prefix: prefix, ends: 1}
	if prefix == r.prefix {
		w.ends = watchWriters
	}
	watcher, err := r.c.KeyValue("disk").Watch(r.t.Context(), client.WatchOptions{Prefix: prefix, Position: position, Values: true})
	if err != nil {
		r.t.Fatal(err)
	}
	r.watchers = append(r.watchers, w)
	r.watching.Go(func() {
		defer watcher.Close()
		for w.ends > 0 {
			changes, err := watcher.Next()
			if err != nil {
				r.v.violated("a watch ended: %v", err)
				return
			}
			for _, c := range changes {
				r.fromTheFuture(c)
				w.changes = append(w.changes, c)
				if strings.HasSuffix(c.Key, "-end") {
					w.ends--
				}
			}
			if w.kept == "" && len(w.changes) >= 50 {
				w.kept, w.at = watcher.Position(), len(w.changes)
			}
		}
	})
	return w
}

// fromTheFuture looks whether a value was asked for by now.
func (r *watchRound) fromTheFuture(c client.Change) {
	n, err := strconv.Atoi(string(c.Value))
	if !c.HasValue || err != nil {
		return
	}
	if w := int(c.Key[len(r.prefix)+1] - '0'); int64(n) > r.sent[w].Load() {
		r.v.violated("%s: %d was seen, and %d was sent", c.Key, n, r.sent[w].Load())
	}
}

// An eventReader is one that follows events.
type eventReader struct {
	durable bool
	seen    map[string]bool
	again   int64
}

func (r *watchRound) read(o client.SubscribeOptions) {
	r.t.Helper()
	s, err := r.c.PubSub("events").Subscribe(r.t.Context(), "t", o)
	if err != nil {
		r.t.Fatal(err)
	}
	e := &eventReader{durable: o.Durable != "", seen: map[string]bool{}}
	r.readers = append(r.readers, e)
	r.watching.Go(func() {
		defer s.Close()
		for last := [watchPublishers]int{}; !e.seen["end"]; {
			d, err := s.Next()
			if err != nil {
				r.v.violated("a reader ended: %v", err)
				return
			}
			for _, event := range d.Events {
				r.take(e, &last, string(event.Payload))
			}
			if e.durable && d.Position != "" {
				_ = s.Acknowledge(r.t.Context(), d.Position) // what it does not take comes again
			}
		}
	})
}

func (r *watchRound) take(e *eventReader, last *[watchPublishers]int, text string) {
	defer func() { e.seen[text] = true }()
	var w, n int
	rest, of := strings.CutPrefix(text, r.prefix)
	if _, err := fmt.Sscanf(rest, "%d:%d", &w, &n); !of || err != nil {
		return
	}
	switch {
	case e.seen[text] && e.durable: // as documented: after what was acknowledged
		e.again++
	case n <= last[w]:
		r.v.violated("event %s came after %d", text, last[w])
	case int64(n) > r.told[w].Load():
		r.v.violated("event %s came, and %d was sent", text, r.told[w].Load())
	default:
		last[w] = n
	}
}

// end stops the writers, lets two watches begin at a kept position, and judges
// what all have seen.
func (r *watchRound) end() (acked, changes int64) {
	r.t.Helper()
	r.stop()
	r.writing.Wait()
	for w := range watchWriters {
		if _, err := r.c.KeyValue("disk").Set(r.t.Context(), r.of(w)+"end", nil); err != nil {
			r.t.Fatal(err)
		}
	}
	if _, err := r.c.PubSub("events").Publish(r.t.Context(), client.Event{Topic: "t", Payload: []byte("end"), Persistent: true}); err != nil {
		r.t.Fatal(err)
	}
	r.watching.Wait()
	whole := r.watchers[0]
	if whole.kept == "" {
		r.t.Fatal("no position was kept")
	}
	later := []*watch{r.watch(r.prefix, whole.kept), r.watch(r.prefix, whole.kept)}
	r.watching.Wait()
	for _, w := range later {
		if !slices.EqualFunc(w.changes, whole.changes[whole.at:], same) {
			r.v.violated("from a kept position came %d changes, and others than the %d that followed it", len(w.changes), len(whole.changes)-whole.at)
		}
	}
	for _, w := range r.watchers[:len(r.watchers)-len(later)] {
		r.judge(w)
		changes += int64(len(w.changes))
	}
	for _, e := range r.readers {
		for w, list := range r.events {
			for _, n := range list {
				if !e.seen[fmt.Sprintf("%s%d:%d", r.prefix, w, n)] {
					r.v.lost.Add(1)
					r.v.violated("event %d of publisher %d was acked and never came", n, w)
				}
			}
		}
	}
	for _, list := range r.acked {
		acked += int64(len(list))
	}
	return acked + int64(len(r.events[0])+len(r.events[1])), changes
}

func same(a, b client.Change) bool {
	return a.Kind == b.Kind && a.Key == b.Key && a.Version == b.Version && a.Previous == b.Previous
}

// judge looks at the changes that a watch has seen from the first on.
func (r *watchRound) judge(w *watch) {
	last, seen := map[string]client.Change{}, map[string]map[uint64]bool{}
	for _, c := range w.changes {
		was, had := last[c.Key]
		gone := had && was.Kind == client.ChangeDelete && c.Previous == 0
		if c.Previous != was.Version && !gone || had && c.Version <= was.Version {
			r.v.violated("%s: version %d after %d came after version %d", c.Key, c.Version, c.Previous, was.Version)
		}
		if text, ok := r.acked[c.Key][c.Version]; ok && c.HasValue && text != string(c.Value) {
			r.v.violated("%s: version %d is %q, and was acked as %q", c.Key, c.Version, c.Value, text)
		}
		if last[c.Key] = c; seen[c.Key] == nil {
			seen[c.Key] = map[uint64]bool{}
		}
		seen[c.Key][c.Version] = true
	}
	for key, versions := range r.acked {
		for version := range versions {
			if strings.HasPrefix(key, w.prefix) && !seen[key][version] {
				r.v.lost.Add(1)
				r.v.violated("%s: version %d was acked and never seen", key, version)
			}
		}
	}
}
