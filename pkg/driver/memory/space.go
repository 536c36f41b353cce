package memory

import (
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// An entry is 64 bytes, one size class. Its value is never changed in place;
// Append may use spare capacity behind it, which no reader of the old value
// looks at.
type entry struct {
	key     string
	value   []byte
	version uint64
	at      int64 // when it ends, in store time and milliseconds; 0: never
	due     *due  // nil exactly if at is 0
}

// ended reports whether e is past its expiry; now is in nanoseconds.
func (e *entry) ended(now int64) bool { return e.at != 0 && e.at <= now/1e6 }

// A space is one namespace.
type space struct {
	store *store

	mu       sync.RWMutex
	gone     bool // dropped, or the store was closed
	keys     map[string]*entry
	sorted   ordered
	queue    queue
	receipts receipts
	history  history
	bytes    int64         // of keys and values
	wake     chan struct{} // closed at the next change; nil when no watcher waits
	events   *eventLog     // persistent events; nil before the first use
}

func newSpace(s *store) *space {
	seq := s.seq.Load()
	return &space{
		store:    s,
		keys:     make(map[string]*entry),
		receipts: newReceipts(s.opts.Receipts),
		history: history{
			floor: seq, last: seq,
			max: s.opts.History, age: s.opts.HistoryAge.Milliseconds(),
		},
	}
}

// release empties the space and ends its watchers.
func (sp *space) release() {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	sp.gone = true
	sp.keys, sp.sorted, sp.queue, sp.receipts, sp.history = nil, ordered{}, nil, receipts{}, history{}
	if sp.wake != nil {
		close(sp.wake)
		sp.wake = nil
	}
	if sp.events != nil {
		sp.events.fire()
		sp.events = nil
	}
}

// ceilMS rounds up, so that nothing ends before its time.
func ceilMS(ns int64) int64 { return (ns + 1e6 - 1) / 1e6 }

// deadline is now+ttl in milliseconds; it ends with the calendar of int64
// nanoseconds and never wraps.
func deadline(now int64, ttl time.Duration) int64 {
	t := now + int64(ttl)
	if t < now || t > math.MaxInt64-1_000_000 {
		return math.MaxInt64 / 1_000_000
	}
	return ceilMS(t)
}

// apply does one operation under the lock: at least for reading if op reads.
// Values in the result are the store's own; the caller copies them.
func (sp *space) apply(op *driver.Op, now int64) (driver.Result, error) {
	if op.Kind.Reads() {
		return sp.read(op, now)
	}
	if op.Receipt.IsZero() {
		return sp.change(op, now)
	}
	if first, ok, err := sp.receipts.replay(op.Receipt, now/1e6); err != nil {
		return driver.Result{}, err
	} else if ok {
		if len(first) == 0 {
			return driver.Result{Replayed: true}, nil // the receipt of an empty transaction
		}
		return first[0], nil
	}
	res, err := sp.change(op, now)
	if err == nil {
		sp.receipts.keep(op.Receipt, now/1e6, res)
	}
	return res, err
}

func (sp *space) read(op *driver.Op, now int64) (driver.Result, error) {
	e := sp.keys[op.Key]
	if e != nil && e.ended(now) {
		e = nil
	}
	switch {
	case op.Kind == driver.OpExpiresAt && e == nil:
		return driver.Result{}, notFound(op.Key)
	case e == nil:
		return driver.Result{}, nil
	case op.Kind == driver.OpGet:
		return driver.Result{Found: true, Value: e.value, Version: e.version, ExpiresAt: sp.store.shown(e.at)}, nil
	case op.Kind == driver.OpExists:
		return driver.Result{Found: true}, nil
	case op.Kind == driver.OpExpiresAt:
		return driver.Result{ExpiresAt: sp.store.shown(e.at)}, nil
	}
	return driver.Result{}, prism.InvalidField("kind", "is not an operation")
}

// change is the one place where a mutation gets its meaning.
func (sp *space) change(op *driver.Op, now int64) (driver.Result, error) {
	if err := checkOptions(op); err != nil {
		return driver.Result{}, err
	}
	e := sp.live(op.Key, now)
	switch op.Kind {
	case driver.OpSet:
		return sp.put(e, op, op.Value, now), nil

	case driver.OpSetIf:
		if err := holds(op, e); err != nil {
			return driver.Result{}, err
		}
		return sp.put(e, op, op.Value, now), nil

	case driver.OpDelete:
		return sp.delete(e, now), nil

	case driver.OpDeleteIf:
		if err := holds(op, e); err != nil {
			return driver.Result{}, err
		}
		return sp.delete(e, now), nil

	case driver.OpExpire, driver.OpPersist, driver.OpTouch:
		if e == nil {
			return driver.Result{}, notFound(op.Key)
		}
		return sp.time(e, op, now), nil

	case driver.OpIncrement:
		n, err := sum(e, op)
		if err != nil {
			return driver.Result{}, err
		}
		res := sp.keep(e, op, strconv.AppendInt(nil, n, 10), now)
		res.Number = n
		return res, nil

	case driver.OpAppend:
		return sp.append(e, op, now)

	case driver.OpSetIfAbsent:
		if e != nil {
			return driver.Result{Version: e.version}, nil
		}
		res := sp.put(nil, op, op.Value, now)
		res.Applied = true
		return res, nil

	case driver.OpGetAndSet:
		var before driver.Result
		if e != nil {
			before = driver.Result{Found: true, Value: e.value}
		}
		res := sp.put(e, op, op.Value, now)
		res.Found, res.Value = before.Found, before.Value
		return res, nil

	case driver.OpCompareAndSwap:
		switch {
		case e == nil:
			return driver.Result{}, nil
		case string(e.value) != string(op.Expected):
			return driver.Result{Version: e.version}, nil
		}
		var res driver.Result
		if op.Options.TTL > 0 {
			res = sp.put(e, op, op.Value, now)
		} else {
			res = sp.keep(e, op, clone(op.Value), now)
		}
		res.Applied = true
		return res, nil

	case driver.OpCompareAndDelete:
		switch {
		case e == nil:
			return driver.Result{}, nil
		case string(e.value) != string(op.Expected):
			return driver.Result{Version: e.version}, nil
		}
		return driver.Result{Version: sp.delete(e, now).Version, Applied: true}, nil
	}
	return driver.Result{}, prism.InvalidField("kind", "is not an operation")
}

func checkOptions(op *driver.Op) error {
	switch o := op.Options; {
	case o.TTL < 0, op.Kind == driver.OpExpire && o.TTL == 0:
		return prism.InvalidField("ttl", "must be positive")
	case o.TTL > 0 && o.KeepTTL:
		return prism.InvalidField("keep_ttl", "cannot be set together with ttl")
	}
	return nil
}

// holds reports why the condition of op does not hold for e.
func holds(op *driver.Op, e *entry) error {
	switch {
	case op.If.Absent == (op.If.Version != 0):
		return prism.InvalidField("if", "must be either absent or a version")
	case op.If.Absent && e != nil:
		return prism.New(prism.ReasonAlreadyExists, "key %q is there already", op.Key)
	case op.If.Absent:
		return nil
	}
	var present uint64
	if e != nil {
		present = e.version
	}
	if present == op.If.Version {
		return nil
	}
	return prism.New(prism.ReasonVersionMismatch, "key %q has version %d, not %d", op.Key, present, op.If.Version).
		WithMeta("current_version", strconv.FormatUint(present, 10))
}

func notFound(key string) error { return prism.NotFound("key", key) }

func clone(b []byte) []byte {
	c := make([]byte, len(b))
	copy(c, b)
	return c
}

// live is the entry of a key, which it ends first if its time is over.
func (sp *space) live(key string, now int64) *entry {
	e := sp.keys[key]
	if e != nil && e.ended(now) {
		sp.expire(e, now)
		return nil
	}
	return e
}

// put stores a copy of value and lets op's options rule the expiry.
func (sp *space) put(e *entry, op *driver.Op, value []byte, now int64) driver.Result {
	o := op.Options
	e = sp.write(e, op.Key, clone(value), now)
	switch {
	case o.TTL > 0:
		sp.end(e, o.TTL, now)
	case !o.KeepTTL:
		sp.persist(e)
	}
	return driver.Result{Version: e.version}
}

// keep stores value, which is the store's own, and keeps the expiry; a key that
// it makes gets the operation's.
func (sp *space) keep(e *entry, op *driver.Op, value []byte, now int64) driver.Result {
	made := e == nil
	e = sp.write(e, op.Key, value, now)
	if made && op.Options.TTL > 0 {
		sp.end(e, op.Options.TTL, now)
	}
	return driver.Result{Version: e.version}
}

// write gives a key a new value and version; e is nil for a new key.
func (sp *space) write(e *entry, key string, value []byte, now int64) *entry {
	var previous uint64
	if e == nil {
		// A key may be part of a whole message; keep no more than the key.
		e = &entry{key: strings.Clone(key)}
		sp.keys[e.key] = e
		sp.sorted.insert(e)
		sp.bytes += int64(len(key))
	} else {
		previous = e.version
	}
	sp.bytes += int64(len(value) - len(e.value))
	e.value = value
	e.version = sp.record(driver.ChangeSet, e.key, previous, now)
	return e
}

func (sp *space) delete(e *entry, now int64) driver.Result {
	if e == nil {
		return driver.Result{}
	}
	return driver.Result{Found: true, Version: sp.remove(e, driver.ChangeDelete, now)}
}

func (sp *space) expire(e *entry, now int64) { sp.remove(e, driver.ChangeExpire, now) }

func (sp *space) remove(e *entry, kind driver.ChangeKind, now int64) uint64 {
	sp.persist(e)
	delete(sp.keys, e.key)
	sp.sorted.remove(e)
	sp.bytes -= int64(len(e.key) + len(e.value))
	return sp.record(kind, e.key, e.version, now)
}

// record gives out a version and puts the change into the history.
func (sp *space) record(kind driver.ChangeKind, key string, previous uint64, now int64) uint64 {
	version := sp.store.seq.Add(1)
	sp.history.add(change{key: key, version: version, previous: previous, when: now/1e6<<2 | int64(kind)})
	if sp.wake != nil {
		close(sp.wake)
		sp.wake = nil
	}
	return version
}

// end lets e end ttl from now.
func (sp *space) end(e *entry, ttl time.Duration, now int64) {
	if e.due == nil {
		e.due = &due{index: -1}
	}
	e.due.ttl = int64(ttl)
	e.at = deadline(now, ttl)
	sp.queue.set(e, e.at)
	sp.store.due(e.at)
}

// persist takes away the expiry; false if there was none.
func (sp *space) persist(e *entry) bool {
	if e.due == nil {
		return false
	}
	sp.queue.remove(e)
	e.at, e.due = 0, nil
	return true
}

// time is Expire, Persist and Touch.
func (sp *space) time(e *entry, op *driver.Op, now int64) driver.Result {
	res := driver.Result{Version: e.version}
	switch op.Kind {
	case driver.OpPersist:
		res.Applied = sp.persist(e)
	case driver.OpExpire:
		sp.end(e, op.Options.TTL, now)
	case driver.OpTouch:
		if e.due != nil {
			sp.end(e, time.Duration(e.due.ttl), now)
		}
	}
	res.ExpiresAt = sp.store.shown(e.at)
	return res
}

// sum is the number under e plus op's delta.
func sum(e *entry, op *driver.Op) (int64, error) {
	var n int64
	if e != nil {
		var err error
		if n, err = strconv.ParseInt(string(e.value), 10, 64); err != nil {
			return 0, prism.New(prism.ReasonNotANumber, "the value of key %q is not a decimal 64-bit integer", op.Key)
		}
	}
	s := n + op.Delta
	if (s > n) != (op.Delta > 0) && op.Delta != 0 {
		return 0, prism.New(prism.ReasonOverflow, "key %q holds %d: adding %d does not fit 64 bits", op.Key, n, op.Delta)
	}
	return s, nil
}

func (sp *space) append(e *entry, op *driver.Op, now int64) (driver.Result, error) {
	var old []byte
	if e != nil {
		old = e.value
	}
	if len(old)+len(op.Value) > prism.MaxValueBytes {
		return driver.Result{}, prism.InvalidField("value", "would make the stored value larger than 1 MiB")
	}
	value := append(old, op.Value...)
	if value == nil {
		value = []byte{}
	}
	res := sp.keep(e, op, value, now)
	res.Number = int64(len(value))
	return res, nil
}
