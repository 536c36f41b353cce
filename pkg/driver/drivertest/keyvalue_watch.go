package drivertest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

var watchPromises = []promise{
	{"the first batch comes at once with a position", testWatchFirst, ""},
	{"a watch tells of sets and deletes with current and previous version", testWatchChanges, ""},
	{"a watch that starts now tells nothing of before", testWatchNow, ""},
	{"a watch tells of an expiry, after its time", testWatchExpiry, "keyvalue_ttl"},
	{"an expiry is told before what comes after it on its key", testWatchExpiryOrder, "keyvalue_ttl"},
	{"what changes nothing is not told", testWatchNothing, "keyvalue_ttl keyvalue_atomic keyvalue_cas"},
	{"every kind of change is told", testWatchKinds, "keyvalue_versioned keyvalue_batch keyvalue_atomic keyvalue_cas keyvalue_transactional"},
	{"a watch goes on from a position without gap or duplicate", testWatchResume, ""},
	{"every position of a walk can be resumed from", testWatchEveryPosition, ""},
	{"a prefix filters, byte by byte", testWatchPrefix, ""},
	{"a watch stays within its namespace", testWatchNamespace, ""},
	{"changes of concurrent writers come in order for each key", testWatchWriters, ""},
	{"a batch has at most 1,000 changes, and nothing is lost after it", testWatchBatches, ""},
	{"two watches do not disturb each other", testWatchTwo, ""},
	{"a waiting Next wakes up at the change", testWatchWakes, ""},
	{"Next ends with its context and can be called again", testWatchContext, ""},
	{"Next after Close of the watch is an error", testWatchClose, ""},
	{"closing the store ends a waiting watch with UNAVAILABLE", testWatchStoreClose, ""},
	{"a position older than the history is COMPACTED", testWatchCompacted, "bounds"},
	{"a position is good after a restart, without gap or duplicate", testWatchReopen, "reopen"},
	{"a position from before Drop is not taken for one of the new namespace", testWatchDrop, ""},
}

// A watching is a watch with its last position.
type watching struct {
	t        *T
	w        driver.Watcher
	position driver.Position
	seen     []driver.Change
}

// watch opens a watch and takes its first batch, which must not wait.
func (t *T) watch(prefix string, after driver.Position) *watching {
	t.Helper()
	w, err := t.set().KeyValueWatch.Watch(t.Ctx, t.namespace(), prefix, after)
	t.must(err)
	t.Cleanup(func() { _ = w.Close() })
	l := &watching{t: t, w: w}
	ctx, cancel := context.WithTimeout(t.Ctx, t.harness.patience())
	defer cancel()
	changes, err := w.Next(ctx)
	if err != nil {
		t.Fatalf("the first batch: %v", err)
	}
	if after == nil && len(changes.Changes) > 0 {
		t.Errorf("a watch from now begins with %d changes", len(changes.Changes))
	}
	l.take(changes)
	return l
}

func (l *watching) take(c driver.Changes) {
	l.t.Helper()
	if len(c.Position) == 0 {
		l.t.Errorf("a batch without a position")
	}
	if len(c.Changes) > 1000 {
		l.t.Errorf("a batch of %d changes, at most 1,000 are allowed", len(c.Changes))
	}
	l.position = append(driver.Position(nil), c.Position...)
	l.seen = append(l.seen, c.Changes...)
}

// next waits until n changes were seen in all. The store's time goes on
// meanwhile if move is set.
func (l *watching) next(n int, move bool) {
	l.t.Helper()
	for len(l.seen) < n {
		ctx, cancel := context.WithTimeout(l.t.Ctx, l.t.harness.patience())
		stop := make(chan struct{})
		moved := make(chan struct{})
		go func() {
			defer close(moved)
			for clock := l.t.store().Clock; move && clock != nil; {
				select {
				case <-stop:
					return
				case <-time.After(2 * time.Millisecond):
					clock.Advance(50 * time.Millisecond)
				}
			}
		}()
		changes, err := l.w.Next(ctx)
		cancel()
		close(stop)
		<-moved
		if err != nil {
			l.t.Fatalf("after %d of %d changes: %v", len(l.seen), n, err)
		}
		if len(changes.Changes) == 0 {
			l.t.Fatalf("Next returned an empty batch after the first")
		}
		l.take(changes)
	}
}

// wants compares all that was seen.
func (l *watching) wants(want ...driver.Change) {
	l.t.Helper()
	l.next(len(want), false)
	if len(l.seen) != len(want) {
		l.t.Errorf("%d changes, want %d", len(l.seen), len(want))
	}
	for i := range min(len(want), len(l.seen)) {
		if g, w := l.seen[i], want[i]; g.Kind != w.Kind || g.Key != w.Key || g.Version != w.Version || g.Previous != w.Previous {
			l.t.Errorf("change %d is %s, want %s", i, told(g), told(w))
		}
	}
}

// quiet wants nothing more to come: a last change on a key of its own shows
// that what came before it has been told.
func (l *watching) quiet(name string) {
	l.t.Helper()
	n := len(l.seen)
	v := l.t.put(name, "last")
	l.next(n+1, false)
	if got := l.seen[n]; got.Key != name || got.Version != v {
		l.t.Errorf("told of %s, want nothing before %q", told(got), name)
	}
	l.seen = l.seen[:n]
}

func told(c driver.Change) string {
	kind := map[driver.ChangeKind]string{driver.ChangeSet: "set", driver.ChangeDelete: "delete", driver.ChangeExpire: "expire"}[c.Kind]
	return fmt.Sprintf("%s %q version %d after %d", kind, c.Key, c.Version, c.Previous)
}

func changed(kind driver.ChangeKind, name string, version, previous uint64) driver.Change {
	return driver.Change{Kind: kind, Key: name, Version: version, Previous: previous}
}

func testWatchFirst(t *T) {
	l := t.watch("", nil)
	v := t.put("k", "v")
	l.wants(changed(driver.ChangeSet, "k", v, 0))
	// From a position there may be something at once, or nothing.
	if again := t.watch("", l.position); len(again.seen) != 0 {
		t.Errorf("%d changes after the last position", len(again.seen))
	}
}

func testWatchChanges(t *T) {
	l := t.watch("", nil)
	before := t.now()
	v1 := t.put("k", "1")
	v2 := t.put("k", "2")
	o := t.put("other", "x")
	d := t.delete("k").Version
	v3 := t.put("k", "3")
	l.wants(
		changed(driver.ChangeSet, "k", v1, 0), changed(driver.ChangeSet, "k", v2, v1),
		changed(driver.ChangeSet, "other", o, 0), changed(driver.ChangeDelete, "k", d, v2),
		changed(driver.ChangeSet, "k", v3, 0),
	)
	for _, c := range l.seen {
		if c.Time.Before(before.Add(-time.Minute)) || c.Time.After(t.now().Add(time.Minute)) {
			t.Errorf("%s was at %v, now is %v", told(c), c.Time, t.now())
		}
	}
}

func testWatchNow(t *T) {
	t.put("before", "v")
	l := t.watch("", nil)
	v := t.put("after", "v")
	l.wants(changed(driver.ChangeSet, "after", v, 0))
}

func testWatchExpiry(t *T) {
	l := t.watch("", nil)
	v := t.put("k", "v", ttl(t.second()))
	ends := t.now().Add(t.second())
	l.next(2, true)
	c := l.seen[1]
	if c.Kind != driver.ChangeExpire || c.Key != "k" || c.Previous != v || c.Version <= v {
		t.Errorf("told %s, want expire %q after %d", told(c), "k", v)
	}
	if t.store().Clock != nil && c.Time.Before(ends.Add(-time.Millisecond)) {
		t.Errorf("it expired at %v, its time was %v", c.Time, ends)
	}
	t.lacks("k")
	l.quiet("last")
}

func testWatchExpiryOrder(t *T) {
	l := t.watch("", nil)
	v := t.put("k", "v", ttl(t.second()))
	t.pass(t.second() + time.Millisecond)
	w := t.put("k", "w")
	l.next(3, true)
	if got := l.seen[1]; got.Kind != driver.ChangeExpire || got.Previous != v || got.Version <= v || got.Version >= w {
		t.Errorf("told %s, want an expiry between versions %d and %d", told(got), v, w)
	}
	if got, want := l.seen[2], changed(driver.ChangeSet, "k", w, 0); got.Kind != want.Kind || got.Version != w || got.Previous != 0 {
		t.Errorf("told %s, want %s", told(got), told(want))
	}
	l.quiet("last")
}

func testWatchNothing(t *T) {
	t.put("k", "v", ttl(100*t.second()))
	l := t.watch("", nil)
	for _, f := range t.ttlCalls("k") {
		_, err := f(driver.Receipt{})
		t.must(err)
	}
	t.delete("missing")
	t.swap("k", "other", "x")
	t.deleteValue("k", "other")
	_, err := t.set().KeyValueAtomic.SetIfAbsent(t.Ctx, t.key("k"), nil, driver.SetOptions{}, driver.Receipt{})
	t.must(err)
	_, err = t.increment("k", 1)
	t.refused("Increment of a word", err, prism.ReasonNotANumber)
	r := t.receipt("r", "v")
	for i := range 2 {
		res, err := t.set().KeyValue.Set(t.Ctx, t.key("once"), nil, driver.SetOptions{}, r)
		t.must(err)
		if i == 0 {
			l.wants(changed(driver.ChangeSet, "once", res.Version, 0))
		}
	}
	l.quiet("last")
}

func testWatchKinds(t *T) {
	l := t.watch("", nil)
	var want []driver.Change
	var last uint64
	note := func(kind driver.ChangeKind, version uint64) {
		want = append(want, changed(kind, "k", version, last))
		if last = version; kind == driver.ChangeDelete {
			last = 0
		}
	}
	res, err := t.setIf("k", "1", absent)
	t.must(err)
	note(driver.ChangeSet, res.Version)
	res, err = t.set().KeyValueAtomic.Increment(t.Ctx, t.key("k"), 1, driver.Receipt{})
	t.must(err)
	note(driver.ChangeSet, res.Version)
	res, err = t.set().KeyValueAtomic.Append(t.Ctx, t.key("k"), []byte("x"), driver.Receipt{})
	t.must(err)
	note(driver.ChangeSet, res.Version)
	res, err = t.set().KeyValueAtomic.GetAndSet(t.Ctx, t.key("k"), []byte("y"), driver.SetOptions{}, driver.Receipt{})
	t.must(err)
	note(driver.ChangeSet, res.Version)
	note(driver.ChangeSet, t.swap("k", "y", "z").Version)
	for _, r := range t.batch(opSet("k", "1"), opGet("k"), opSet("k", "2")) {
		if r.Found {
			continue
		}
		note(driver.ChangeSet, r.Version)
	}
	results, err := t.commit(nil, []driver.Op{opDelete("k")})
	t.must(err)
	note(driver.ChangeDelete, results[0].Version)
	res, err = t.set().KeyValueAtomic.SetIfAbsent(t.Ctx, t.key("k"), []byte("a"), driver.SetOptions{}, driver.Receipt{})
	t.must(err)
	note(driver.ChangeSet, res.Version)
	l.wants(want...)
	// A deletion by value tells no version of its own to compare with.
	t.deleteValue("k", "a")
	l.next(len(want)+1, false)
	if c := l.seen[len(want)]; c.Kind != driver.ChangeDelete || c.Previous != last || c.Version <= last {
		t.Errorf("told %s, want delete after %d", told(c), last)
	}
	l.quiet("last")
}

func testWatchResume(t *T) {
	l := t.watch("", nil)
	var want []driver.Change
	for i := range 50 {
		name := fmt.Sprintf("k%d", i)
		want = append(want, changed(driver.ChangeSet, name, t.put(name, "v"), 0))
	}
	l.wants(want[:50]...)
	position := l.position
	t.must(l.w.Close())
	// Nobody watches now.
	want = want[:0]
	for i := range 50 {
		name := fmt.Sprintf("k%d", i)
		was := t.get(name).Version
		want = append(want, changed(driver.ChangeSet, name, t.put(name, "w"), was))
	}
	again := t.watch("", position)
	again.wants(want...)
	again.quiet("last")
}

func testWatchEveryPosition(t *T) {
	l := t.watch("", nil)
	positions := []driver.Position{l.position}
	for i := range 10 {
		t.put(fmt.Sprint(i), "v")
		l.next(i+1, false)
		positions = append(positions, l.position)
	}
	for i, p := range positions {
		again := t.watch("", p)
		again.next(10-i, false)
		for j, c := range again.seen {
			if want := fmt.Sprint(i + j); c.Key != want {
				t.Errorf("after position %d, change %d is of %q, want %q", i, j, c.Key, want)
			}
		}
		if len(again.seen) != 10-i {
			t.Errorf("after position %d: %d changes, want %d", i, len(again.seen), 10-i)
		}
	}
}

func testWatchPrefix(t *T) {
	l := t.watch("a/", nil)
	var want []driver.Change
	for _, name := range []string{"a", "a/", "a/1", "b/1", "a0", "a/2", "A/1"} {
		v := t.put(name, "v")
		if name == "a/" || name == "a/1" || name == "a/2" {
			want = append(want, changed(driver.ChangeSet, name, v, 0))
		}
	}
	was := t.get("a/1").Version
	t.delete("a0")
	want = append(want, changed(driver.ChangeDelete, "a/1", t.delete("a/1").Version, was))
	l.wants(want...)
	l.quiet("a/last")
	again := t.watch("a/2", nil)
	t.put("a/1", "v")
	again.quiet("a/2")
}

func testWatchNamespace(t *T) {
	l := t.watch("", nil)
	_, err := t.set().KeyValue.Set(t.Ctx, prism.Key{Namespace: t.another(), Name: "k"}, nil, driver.SetOptions{}, driver.Receipt{})
	t.must(err)
	l.quiet("last")
}

// testWatchWriters has writers set and delete keys while a watch is broken off
// and taken up again at its positions.
func testWatchWriters(t *T) {
	const writers, changes, keys = 8, 100, 10
	first := t.watch("", nil)
	set, ns := t.set(), t.namespace()
	total := make(chan int, writers)
	t.together(writers, func(i int) error {
		n := 0
		for c := range changes {
			k := prism.Key{Namespace: ns, Name: fmt.Sprint((c + i) % keys)}
			var res driver.Result
			var err error
			if c%3 == 2 {
				res, err = set.KeyValue.Delete(t.Ctx, k, driver.Receipt{})
			} else {
				res, err = set.KeyValue.Set(t.Ctx, k, []byte("v"), driver.SetOptions{}, driver.Receipt{})
			}
			if err != nil {
				return err
			}
			if res.Version != 0 {
				n++
			}
		}
		total <- n
		return nil
	})
	close(total)
	want := 0
	for n := range total {
		want += n
	}
	first.next(want, false)
	t.inOrder(first.seen)
	if len(first.seen) != want {
		t.Errorf("%d changes, want %d", len(first.seen), want)
	}
	first.quiet("last")
	// The same history in pieces: what a watch that is broken off sees.
	again := t.watch("", nil)
	for range 200 {
		_, err := set.KeyValue.Set(t.Ctx, t.key(fmt.Sprint(rand.IntN(keys))), nil, driver.SetOptions{}, driver.Receipt{})
		t.must(err)
		if rand.IntN(10) == 0 {
			seen := again.seen
			t.must(again.w.Close())
			again = t.watch("", again.position)
			again.seen = append(seen, again.seen...)
		}
	}
	again.next(200, false)
	if len(again.seen) != 200 {
		t.Errorf("%d changes in pieces, want 200", len(again.seen))
	}
	t.inOrder(again.seen)
}

// inOrder wants each key's changes to follow one another.
func (t *T) inOrder(changes []driver.Change) {
	t.Helper()
	last := map[string]driver.Change{}
	for i, c := range changes {
		was, seen := last[c.Key]
		switch {
		case seen && c.Version <= was.Version:
			t.Errorf("change %d: %s came after %s", i, told(c), told(was))
		case seen && was.Kind == driver.ChangeSet && c.Previous != was.Version:
			t.Errorf("change %d: %s, but the one before was %s", i, told(c), told(was))
		case seen && was.Kind != driver.ChangeSet && (c.Previous != 0 || c.Kind != driver.ChangeSet):
			t.Errorf("change %d: %s follows %s", i, told(c), told(was))
		}
		last[c.Key] = c
	}
}

func testWatchBatches(t *T) {
	const n = 2500
	l := t.watch("", nil)
	versions := make([]uint64, n)
	for i := range n {
		versions[i] = t.put("k", "v")
	}
	l.next(n, false)
	for i, c := range l.seen {
		if c.Version != versions[i] {
			t.Fatalf("change %d is %s, want version %d", i, told(c), versions[i])
		}
	}
	l.quiet("last")
}

func testWatchTwo(t *T) {
	a, b := t.watch("", nil), t.watch("", nil)
	v1 := t.put("k", "1")
	a.wants(changed(driver.ChangeSet, "k", v1, 0))
	v2 := t.put("k", "2")
	t.must(a.w.Close())
	b.wants(changed(driver.ChangeSet, "k", v1, 0), changed(driver.ChangeSet, "k", v2, v1))
}

func testWatchWakes(t *T) {
	l := t.watch("", nil)
	got := make(chan error, 1)
	go func() {
		c, err := l.w.Next(t.Ctx)
		if err == nil && (len(c.Changes) != 1 || c.Changes[0].Key != "k") {
			err = fmt.Errorf("told %+v", c)
		}
		got <- err
	}()
	select {
	case err := <-got:
		t.Fatalf("Next did not wait: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	t.put("k", "v")
	select {
	case err := <-got:
		t.must(err)
	case <-time.After(t.harness.patience()):
		t.Fatalf("Next did not wake up")
	}
}

func testWatchContext(t *T) {
	l := t.watch("", nil)
	ctx, cancel := context.WithTimeout(t.Ctx, 20*time.Millisecond)
	defer cancel()
	_, err := l.w.Next(ctx)
	t.refused("Next at its deadline", err, prism.ReasonDeadlineExceeded)
	ctx, cancel = context.WithCancel(t.Ctx)
	time.AfterFunc(20*time.Millisecond, cancel)
	_, err = l.w.Next(ctx)
	t.refused("Next when cancelled", err, prism.ReasonCancelled)
	v := t.put("k", "v")
	l.wants(changed(driver.ChangeSet, "k", v, 0))
}

func testWatchClose(t *T) {
	l := t.watch("", nil)
	t.must(l.w.Close())
	ctx, cancel := context.WithTimeout(t.Ctx, t.harness.patience())
	defer cancel()
	_, err := l.w.Next(ctx)
	if err == nil || errors.Is(err, prism.ReasonDeadlineExceeded) {
		t.Errorf("Next after Close: %v, want an error at once", err)
	}
	t.must(l.w.Close())
}

func testWatchStoreClose(t *T) {
	l := t.watch("", nil)
	got := make(chan error, 1)
	go func() {
		_, err := l.w.Next(t.Ctx)
		got <- err
	}()
	time.Sleep(10 * time.Millisecond)
	t.must(t.set().Store.Close())
	select {
	case err := <-got:
		t.unavailable("a waiting Next", err)
	case <-time.After(t.harness.patience()):
		t.Fatalf("Next did not end")
	}
}

func testWatchCompacted(t *T) {
	const bound = 20
	t.open(Options{History: bound})
	l := t.watch("", nil)
	old := l.position
	for range 3 * bound {
		t.put("k", "v")
	}
	// A store may keep more than it was told, by the piece; it must say so when
	// something is missing, and never leave a gap.
	t.eventually("the history is cut", func() bool {
		for range bound {
			t.put("k", "v")
		}
		w, err := t.set().KeyValueWatch.Watch(t.Ctx, t.namespace(), "", old)
		if err == nil {
			defer func() { _ = w.Close() }()
			_, err = w.Next(t.Ctx)
		}
		if err == nil {
			return false
		}
		t.refused("an old position", err, prism.ReasonCompacted)
		return true
	})
	now := t.watch("", nil)
	v := t.get("k").Version
	w := t.put("k", "v")
	now.wants(changed(driver.ChangeSet, "k", w, v))
}

func testWatchReopen(t *T) {
	l := t.watch("", nil)
	v1 := t.put("k", "1")
	l.wants(changed(driver.ChangeSet, "k", v1, 0))
	position := l.position
	v2 := t.put("k", "2")
	t.must(l.w.Close())
	t.reopen()
	v3 := t.put("k", "3")
	again := t.watch("", position)
	again.wants(changed(driver.ChangeSet, "k", v2, v1), changed(driver.ChangeSet, "k", v3, v2))
	position = again.position
	t.must(again.w.Close())
	t.reopen()
	if last := t.watch("", position); len(last.seen) != 0 {
		t.Errorf("%d changes after the last position", len(last.seen))
	}
}

func testWatchDrop(t *T) {
	l := t.watch("", nil)
	t.put("k", "v")
	l.next(1, false)
	position := l.position
	t.put("k", "w")
	t.must(l.w.Close())
	t.must(t.set().Store.Drop(t.Ctx, t.namespace()))
	w, err := t.set().KeyValueWatch.Watch(t.Ctx, t.namespace(), "", position)
	if err == nil {
		defer func() { _ = w.Close() }()
		var c driver.Changes
		if c, err = w.Next(t.Ctx); err == nil && len(c.Changes) > 0 {
			t.Errorf("the history outlived Drop: %s", told(c.Changes[0]))
		}
	}
	if err != nil {
		t.refused("an old position", err, prism.ReasonCompacted)
	}
}
