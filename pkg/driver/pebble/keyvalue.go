package pebble

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// buffers hold keys for lookups.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 256); return &b }}

// Get reads from pebble, past the committer.
func (s *store) Get(ctx context.Context, key prism.Key) (driver.Entry, bool, error) {
	return s.get(ctx, key, true)
}

// get finds an entry, and its value if that is asked for.
func (s *store) get(ctx context.Context, key prism.Key, value bool) (e driver.Entry, found bool, err error) {
	if err := s.enter(); err != nil {
		return e, false, err
	}
	defer s.leave()
	if err := ctx.Err(); err != nil {
		return e, false, prism.From(err)
	}
	buf := buffers.Get().(*[]byte)
	*buf = appendDataKey((*buf)[:0], key)
	hash := keySum(*buf)
	record, closer, err := s.db.Get(*buf)
	buffers.Put(buf)
	var d data
	switch {
	case errors.Is(err, pebble.ErrNotFound):
		err = nil
	case err == nil:
		if d, err = parseData(hash, record); err != nil {
			s.damage.Add(1)
			err = s.damaged(key, err)
		} else if found = d.expires == 0 || d.expires > s.clock.Now().UnixMilli(); found {
			e.Version, e.ExpiresAt = d.version, timeOf(d.expires)
			if value {
				e.Value = append(make([]byte, 0, len(d.value)), d.value...)
			}
		}
		err = errors.Join(err, closer.Close())
	}
	if err == nil {
		err = s.dirty.settle(ctx, hash)
	}
	if err != nil {
		return driver.Entry{}, false, classify(s.name, err)
	}
	return e, found, nil
}

func (s *store) Exists(ctx context.Context, key prism.Key) (bool, error) {
	_, found, err := s.get(ctx, key, false)
	return found, err
}

func (s *store) ExpiresAt(ctx context.Context, key prism.Key) (time.Time, error) {
	e, found, err := s.get(ctx, key, false)
	if err == nil && !found {
		err = notFound(key)
	}
	return e.ExpiresAt, err
}

// Batch of reads alone goes past the committer; any other goes through it in
// one piece, or in several if it is large.
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
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	r := requests.Get().(*request)
	r.ns, r.ops, r.results = ns, ops, results
	s.peek(r)
	if err := s.submit(ctx, r); err != nil {
		return err
	}
	r.release()
	return nil
}

func (s *store) readBatch(ctx context.Context, ns prism.Namespace, ops []driver.Op, results []driver.Result) error {
	if err := s.enter(); err != nil {
		return err
	}
	s.leave()
	for i := range ops {
		key := prism.Key{Namespace: ns, Name: ops[i].Key}
		e, found, err := s.get(ctx, key, ops[i].Kind == driver.OpGet)
		r := driver.Result{Err: err}
		switch {
		case err != nil:
		case ops[i].Kind == 0:
			r.Err = errKind()
		case ops[i].Kind == driver.OpExpiresAt && !found:
			r.Err = notFound(key)
		case ops[i].Kind == driver.OpExpiresAt:
			r.ExpiresAt = e.ExpiresAt
		case ops[i].Kind == driver.OpExists:
			r.Found = found
		default:
			r = driver.Result{Found: found, Value: e.Value, Version: e.Version, ExpiresAt: e.ExpiresAt}
		}
		results[i] = r
	}
	return nil
}

// Commit is one request, and so in one group and one pebble batch.
func (s *store) Commit(ctx context.Context, ns prism.Namespace, checks []driver.Check, writes []driver.Op, receipt driver.Receipt) ([]driver.Result, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	r := requests.Get().(*request)
	r.kind, r.ns, r.checks, r.ops, r.receipt = kindTransaction, ns, checks, writes, receipt
	if err := s.submit(ctx, r); err != nil {
		return nil, err
	}
	results := r.results
	r.release()
	return results, nil
}
