package pebble

import (
	"context"

	"github.com/cockroachdb/pebble/v2"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A token is a format byte and the last key of the page before.
const tokenFormat = 1

// scanBreath is how many keys are walked between looks at the context.
const scanBreath = 1024

// bounds are the data keys that a query walks.
func bounds(ns prism.Namespace, q *driver.Query) (lower, upper []byte) {
	span := func(rest string) []byte { return append(appendSpan(nil, kindData, ns), rest...) }
	lower, upper = span(max(q.Start, q.Prefix)), successor(span(q.Prefix), 0)
	if q.End != "" {
		upper = minBytes(upper, span(q.End))
	}
	return lower, upper
}

// Scan walks in byte order from one key to the next, without state in between.
func (s *store) Scan(ctx context.Context, ns prism.Namespace, q driver.Query, token []byte) (page driver.Page, err error) {
	if q.Limit <= 0 {
		return page, prism.InvalidField("limit", "must be positive")
	}
	if q.MaxBytes <= 0 {
		return page, prism.InvalidField("max_bytes", "must be positive")
	}
	lower, upper := bounds(ns, &q)
	if token != nil {
		if len(token) < 2 || token[0] != tokenFormat {
			return page, prism.New(prism.ReasonInvalidCursor, "the token is not one of this store")
		}
		last := append(appendSpan(nil, kindData, ns), token[1:]...)
		if q.Reverse {
			upper = minBytes(upper, last)
		} else if last = append(last, 0); string(last) > string(lower) {
			lower = last
		}
	}
	size := 0
	err = s.walk(ctx, ns, lower, upper, q.Reverse, func(name []byte, d *data) bool {
		cost := len(name)
		if !q.KeysOnly {
			cost += len(d.value)
		}
		if n := len(page.Entries); n == q.Limit || n > 0 && size+cost > q.MaxBytes {
			last := page.Entries[n-1].Key
			page.Next = append(append(make([]byte, 0, 1+len(last)), tokenFormat), last...)
			return false
		}
		size += cost
		page.Entries = append(page.Entries, entryOf(name, d, q.KeysOnly))
		return true
	})
	if err != nil {
		return driver.Page{}, err
	}
	return page, nil
}

func entryOf(name []byte, d *data, keysOnly bool) driver.Entry {
	e := driver.Entry{Key: string(name), Size: len(d.value), Version: d.version, ExpiresAt: timeOf(d.expires)}
	if !keysOnly {
		e.Value = append(make([]byte, 0, len(d.value)), d.value...)
	}
	return e
}

func minBytes(a, b []byte) []byte {
	if string(a) < string(b) {
		return a
	}
	return b
}

// walk calls each for what is live between lower and upper until it says stop.
// A damaged entry ends the walk with an error: leaving it out in silence would
// make a copy of the data look whole.
func (s *store) walk(ctx context.Context, ns prism.Namespace, lower, upper []byte, reverse bool, each func(name []byte, d *data) bool) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if err := ctx.Err(); err != nil {
		return prism.From(err)
	}
	if string(lower) >= string(upper) {
		return nil
	}
	it, err := s.db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return classify(s.name, err)
	}
	defer it.Close()
	if err := s.dirty.settleAll(ctx); err != nil {
		return classify(s.name, err)
	}
	first, next := it.First, it.Next
	if reverse {
		first, next = it.Last, it.Prev
	}
	now := s.clock.Now().UnixMilli()
	span := len(appendSpan(nil, kindData, ns))
	n := 0
	for ok := first(); ok; ok = next() {
		if n++; n%scanBreath == 0 && ctx.Err() != nil {
			return prism.From(ctx.Err())
		}
		key := it.Key()
		value, err := it.ValueAndErr()
		if err != nil {
			return classify(s.name, err)
		}
		d, err := parseData(keySum(key), value)
		if err != nil {
			s.damage.Add(1)
			return s.damaged(prism.Key{Namespace: ns, Name: string(key[span:])}, err)
		}
		if d.expires != 0 && d.expires <= now {
			continue
		}
		if !each(key[span:], &d) {
			return nil
		}
	}
	return classify(s.name, it.Error())
}

// Count walks; what it costs grows with what it counts.
func (s *store) Count(ctx context.Context, ns prism.Namespace, q driver.Query) (n int64, err error) {
	lower, upper := bounds(ns, &q)
	err = s.walk(ctx, ns, lower, upper, false, func([]byte, *data) bool { n++; return true })
	return n, err
}

// First is one step of a walk.
func (s *store) First(ctx context.Context, ns prism.Namespace, q driver.Query) (e driver.Entry, found bool, err error) {
	lower, upper := bounds(ns, &q)
	err = s.walk(ctx, ns, lower, upper, q.Reverse, func(name []byte, d *data) bool {
		e, found = entryOf(name, d, q.KeysOnly), true
		return false
	})
	return e, found, err
}
