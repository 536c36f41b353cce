package memory

import (
	"context"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// do is one mutation.
func (s *store) do(ctx context.Context, ns prism.Namespace, op driver.Op) (driver.Result, error) {
	sp, err := s.lock(ctx, ns)
	if err != nil {
		return driver.Result{}, err
	}
	res, err := sp.apply(&op, s.now())
	sp.mu.Unlock()
	if res.Value != nil {
		res.Value = clone(res.Value)
	}
	return res, err
}

// peek is one read. It allocates nothing, and asks for the time only if the
// key has an expiry.
func (s *store) peek(ctx context.Context, key prism.Key) (e entry, found bool, err error) {
	sp, err := s.find(ctx, key.Namespace)
	if sp == nil || err != nil {
		return entry{}, false, err
	}
	sp.mu.RLock()
	p := sp.keys[key.Name]
	if p != nil {
		e = *p
	}
	gone := sp.gone
	sp.mu.RUnlock()
	switch {
	case gone:
		return entry{}, false, s.goneError()
	case p == nil, e.at != 0 && e.ended(s.now()):
		return entry{}, false, nil
	}
	return e, true, nil
}

func (s *store) Get(ctx context.Context, key prism.Key) (driver.Entry, bool, error) {
	e, found, err := s.peek(ctx, key)
	if !found {
		return driver.Entry{}, false, err
	}
	return driver.Entry{Value: clone(e.value), Version: e.version, ExpiresAt: s.shown(e.at)}, true, nil
}

func (s *store) Exists(ctx context.Context, key prism.Key) (bool, error) {
	_, found, err := s.peek(ctx, key)
	return found, err
}

func (s *store) ExpiresAt(ctx context.Context, key prism.Key) (time.Time, error) {
	e, found, err := s.peek(ctx, key)
	if err != nil {
		return time.Time{}, err
	}
	if !found {
		return time.Time{}, notFound(key.Name)
	}
	return s.shown(e.at), nil
}

// Batch takes the lock once. Reads alone share it.
func (s *store) Batch(ctx context.Context, ns prism.Namespace, ops []driver.Op, results []driver.Result) error {
	if len(results) < len(ops) {
		return prism.InvalidField("results", "must have room for every operation")
	}
	reads := true
	for i := range ops {
		reads = reads && ops[i].Kind.Reads()
	}
	if reads {
		return s.readBatch(ctx, ns, ops, results)
	}
	sp, err := s.lock(ctx, ns)
	if err != nil {
		return err
	}
	sp.applyAll(ops, results, s.now())
	sp.mu.Unlock()
	own(results[:len(ops)])
	return nil
}

func (s *store) readBatch(ctx context.Context, ns prism.Namespace, ops []driver.Op, results []driver.Result) error {
	sp, err := s.find(ctx, ns)
	if err != nil {
		return err
	}
	if sp == nil {
		sp = new(space) // nothing was ever written: read from an empty one
	}
	sp.mu.RLock()
	if sp.gone && s.closed.Load() {
		sp.mu.RUnlock()
		return s.unavailable()
	}
	sp.applyAll(ops, results, s.now())
	sp.mu.RUnlock()
	own(results[:len(ops)])
	return nil
}

func (sp *space) applyAll(ops []driver.Op, results []driver.Result, now int64) {
	for i := range ops {
		res, err := sp.apply(&ops[i], now)
		res.Err = err
		results[i] = res
	}
}

// together is up to which size the values of a batch share one allocation: who
// keeps one of them keeps all, so it must not be much.
const together = 4 << 10

// own gives the caller values of its own.
func own(results []driver.Result) {
	for len(results) > 0 {
		size, n := 0, 0
		for n < len(results) && (n == 0 || size+len(results[n].Value) <= together) {
			size += len(results[n].Value)
			n++
		}
		room := make([]byte, 0, size)
		for i := range results[:n] {
			if v := results[i].Value; v != nil {
				from := len(room)
				room = append(room, v...)
				results[i].Value = room[from:len(room):len(room)]
			}
		}
		results = results[n:]
	}
}

// Commit checks and writes under one hold of the lock.
func (s *store) Commit(ctx context.Context, ns prism.Namespace, checks []driver.Check, writes []driver.Op, r driver.Receipt) ([]driver.Result, error) {
	sp, err := s.lock(ctx, ns)
	if err != nil {
		return nil, err
	}
	defer sp.mu.Unlock()
	now := s.now()
	if !r.IsZero() {
		if first, ok, err := sp.receipts.replay(r, now/1e6); ok || err != nil {
			return first, err
		}
	}
	if err := checkWrites(writes); err != nil {
		return nil, err
	}
	for _, c := range checks {
		var version uint64
		if e := sp.live(c.Key, now); e != nil {
			version = e.version
		}
		if version != c.Version {
			return nil, prism.New(prism.ReasonConflict, "another writer changed key %q", c.Key)
		}
	}
	results := make([]driver.Result, len(writes))
	for i := range writes {
		if results[i], err = sp.change(&writes[i], now); err != nil {
			return nil, prism.Internal(err) // checkWrites leaves nothing to fail
		}
	}
	if !r.IsZero() {
		sp.receipts.keep(r, now/1e6, results...)
	}
	return results, nil
}

// checkWrites refuses before anything is written.
func checkWrites(writes []driver.Op) error {
	seen := make(map[string]struct{}, len(writes))
	for i := range writes {
		w := &writes[i]
		if w.Kind != driver.OpSet && w.Kind != driver.OpDelete {
			return prism.InvalidField("writes", "must be sets and deletes")
		}
		if _, ok := seen[w.Key]; ok {
			return prism.InvalidField("writes", "must hold a key at most once")
		}
		seen[w.Key] = struct{}{}
		if err := checkOptions(w); err != nil {
			return err
		}
	}
	return nil
}
