package memory

import (
	"context"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// bounds is a range of keys: from lo, below hi if there is one.
type bounds struct {
	lo, hi string
	open   bool // no upper bound
}

func (b bounds) empty() bool { return !b.open && b.lo >= b.hi }

func rangeOf(q driver.Query) bounds {
	b := bounds{lo: max(q.Start, q.Prefix), hi: q.End, open: q.End == ""}
	if end, ok := afterPrefix(q.Prefix); ok && (b.open || end < b.hi) {
		b.hi, b.open = end, false
	}
	return b
}

// afterPrefix is the smallest string above all that begin with prefix; there is
// none for the empty prefix and for one of 0xFF only.
func afterPrefix(prefix string) (string, bool) {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xFF {
			b := []byte(prefix[:i+1])
			b[i]++
			return string(b), true
		}
	}
	return "", false
}

// tokenFormat is the first byte of a token; the last key of the page follows.
const tokenFormat = 1

// resume narrows b to what comes after the token's page.
func (b *bounds) resume(token []byte, reverse bool) error {
	if token == nil {
		return nil
	}
	if len(token) == 0 || token[0] != tokenFormat {
		return prism.New(prism.ReasonInvalidCursor, "the scan token is not one of this store")
	}
	switch last := string(token[1:]); {
	case reverse && (b.open || last < b.hi):
		b.hi, b.open = last, false
	case !reverse && last+"\x00" > b.lo:
		b.lo = last + "\x00"
	}
	return nil
}

// walk calls f for the live entries of b until it says stop.
func (sp *space) walk(b bounds, reverse bool, now int64, f func(*entry) bool) {
	if b.empty() {
		return
	}
	o := &sp.sorted
	if !reverse {
		for p := o.seek(b.lo); ; p.item++ {
			e := o.at(&p)
			if e == nil || !b.open && e.key >= b.hi {
				return
			}
			if !e.ended(now) && !f(e) {
				return
			}
		}
	}
	p := o.end()
	if !b.open {
		p = o.seek(b.hi)
	}
	for {
		e := o.before(&p)
		if e == nil || e.key < b.lo {
			return
		}
		if !e.ended(now) && !f(e) {
			return
		}
	}
}

// Scan takes a page under the lock and copies its values outside.
func (s *store) Scan(ctx context.Context, ns prism.Namespace, q driver.Query, token []byte) (driver.Page, error) {
	switch {
	case q.Limit <= 0:
		return driver.Page{}, prism.InvalidField("limit", "must be positive")
	case q.MaxBytes <= 0:
		return driver.Page{}, prism.InvalidField("max_bytes", "must be positive")
	}
	b := rangeOf(q)
	if err := b.resume(token, q.Reverse); err != nil {
		return driver.Page{}, err
	}
	sp, err := s.find(ctx, ns)
	if sp == nil || err != nil {
		return driver.Page{}, err
	}
	var page driver.Page
	var bytes, values int
	more := false
	sp.mu.RLock()
	if sp.gone {
		sp.mu.RUnlock()
		return driver.Page{}, s.goneError()
	}
	page.Entries = make([]driver.Entry, 0, min(q.Limit, len(sp.keys), 100))
	sp.walk(b, q.Reverse, s.now(), func(e *entry) bool {
		size := len(e.key)
		if !q.KeysOnly {
			size += len(e.value)
		}
		if n := len(page.Entries); n == q.Limit || n > 0 && bytes+size > q.MaxBytes {
			more = true
			return false
		}
		bytes += size
		values += len(e.value)
		page.Entries = append(page.Entries, s.entry(e, q.KeysOnly))
		return true
	})
	sp.mu.RUnlock()
	if more {
		last := page.Entries[len(page.Entries)-1].Key
		page.Next = append(append(make([]byte, 0, 1+len(last)), tokenFormat), last...)
	}
	if !q.KeysOnly {
		// One allocation for the page; full slices keep the values apart.
		room := make([]byte, 0, values)
		for i := range page.Entries {
			e := &page.Entries[i]
			from := len(room)
			room = append(room, e.Value...)
			e.Value = room[from:len(room):len(room)]
		}
	}
	return page, nil
}

// entry is e as a scan shows it, with the store's own value.
func (s *store) entry(e *entry, keysOnly bool) driver.Entry {
	out := driver.Entry{Key: e.key, Value: e.value, Size: len(e.value), Version: e.version, ExpiresAt: s.shown(e.at)}
	if keysOnly {
		out.Value = nil
	}
	return out
}

// Count takes the difference of two ranks, after what is due has gone.
func (s *store) Count(ctx context.Context, ns prism.Namespace, q driver.Query) (int64, error) {
	sp, err := s.find(ctx, ns)
	if sp == nil || err != nil {
		return 0, err
	}
	b := rangeOf(q)
	if b.empty() {
		return 0, nil
	}
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if sp.gone {
		return 0, s.goneError()
	}
	sp.sweepAll()
	o := &sp.sorted
	to := o.end()
	if !b.open {
		to = o.seek(b.hi)
	}
	return int64(o.rank(to) - o.rank(o.seek(b.lo))), nil
}

func (s *store) First(ctx context.Context, ns prism.Namespace, q driver.Query) (driver.Entry, bool, error) {
	sp, err := s.find(ctx, ns)
	if sp == nil || err != nil {
		return driver.Entry{}, false, err
	}
	var first driver.Entry
	found := false
	sp.mu.RLock()
	if sp.gone {
		sp.mu.RUnlock()
		return driver.Entry{}, false, s.goneError()
	}
	sp.walk(rangeOf(q), q.Reverse, s.now(), func(e *entry) bool {
		first, found = s.entry(e, q.KeysOnly), true
		return false
	})
	sp.mu.RUnlock()
	if first.Value != nil {
		first.Value = clone(first.Value)
	}
	return first, found, nil
}
