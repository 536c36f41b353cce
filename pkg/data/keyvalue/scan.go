package keyvalue

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// Defaults of a page.
const (
	DefaultPageItems = 100
	DefaultPageBytes = 1 << 20
)

// A Query asks for a page of a walk over the namespace.
type Query struct {
	Prefix     string
	Start, End string // from start, inclusive, to end, exclusive
	Reverse    bool
	KeysOnly   bool
	Limit      int32 // items; 0: the default
	MaxBytes   int32 // of keys and values; 0: the default
	Cursor     string
}

// A Page is a part of a walk; an empty Cursor means it is over.
type Page struct {
	Entries []Entry
	Cursor  string
}

// slice is how many entries a page takes from the driver at a time; the
// deadline is looked at in between.
const slice = 256

// Scan returns a page. It returns early, with a cursor, rather than miss the
// deadline: when half of the time is used up.
func (s *Store) Scan(ctx context.Context, principal string, q Query) (Page, error) {
	c := s.reading()
	defer c.leave()
	if err := c.checkQuery(&q); err != nil {
		return Page{}, err
	}
	owner := s.walkOf(principal, q)
	at, err := c.openCursor(&q, owner)
	if err != nil {
		return Page{}, err
	}
	return c.scan(ctx, q, owner, at)
}

// scan walks on from a cursor.
func (s call) scan(ctx context.Context, q Query, owner string, at cursor) (Page, error) {
	enough := s.enough(ctx)
	limit, room := int(q.Limit), int(q.MaxBytes)
	var page Page
	for {
		dq := q.driver(min(slice, limit), room)
		part, err := s.set.KeyValueScan.Scan(ctx, s.ns, dq, at.token)
		if err != nil {
			return Page{}, err
		}
		size := 0
		for i := range part.Entries {
			size += len(part.Entries[i].Key) + len(part.Entries[i].Value)
		}
		if size > room && len(page.Entries) > 0 {
			// A store gives one entry however little room there is: it is the
			// first of the next page.
			page.Cursor = s.sealCursor(at, owner)
			return page, nil
		}
		room -= size
		if page.Entries == nil {
			page.Entries = part.Entries
		} else {
			page.Entries = append(page.Entries, part.Entries...)
		}
		if n := len(part.Entries); n > 0 {
			limit, at.last = limit-n, part.Entries[n-1].Key
		}
		if at.token = part.Next; at.token == nil {
			return page, nil
		}
		if limit <= 0 || room <= 0 || len(part.Entries) == 0 || enough() {
			page.Cursor = s.sealCursor(at, owner)
			return page, nil
		}
	}
}

// A cursor is where a walk goes on: the driver's token, and the last key, from
// which it goes on where the namespace has moved meanwhile.
type cursor struct {
	token []byte
	last  string
}

func (s call) sealCursor(c cursor, owner string) string {
	b := binary.AppendUvarint(nil, uint64(s.at.moves))
	b = binary.AppendUvarint(b, uint64(len(c.last)))
	return s.sealer.Seal(append(append(b, c.last...), c.token...), owner)
}

// openCursor finds where a walk goes on. One from before a move goes on behind
// its last key, for which both backends must walk in the order of keys.
func (s call) openCursor(q *Query, owner string) (c cursor, err error) {
	if q.Cursor == "" {
		return c, nil
	}
	b, err := s.sealer.Open("cursor", q.Cursor, owner)
	if err != nil {
		return c, err
	}
	moves, n := binary.Uvarint(b)
	size, m := binary.Uvarint(b[max(n, 0):])
	if n <= 0 || m <= 0 || size > uint64(len(b)-n-m) {
		return c, prism.Internal(errors.New("a sealed cursor is malformed"))
	}
	b = b[n+m:]
	c.last = string(b[:size])
	if moves == uint64(s.at.moves) {
		c.token = b[size:]
		return c, nil
	}
	if before := s.at.before; before == nil || !before.ordered || moves+1 != uint64(s.at.moves) || s.set.KeyValueOrderedScan == nil {
		return c, prism.New(prism.ReasonInvalidCursor, "the namespace has moved since the page before, to a backend with another order: begin again").
			WithField("cursor", "is from before the namespace moved")
	}
	switch {
	case c.last == "": // nothing was seen yet
	case q.Reverse:
		q.End = c.last
	default:
		q.Start = c.last + "\x00"
	}
	return c, nil
}

// Count counts the keys of a query.
func (s *Store) Count(ctx context.Context, q Query) (int64, error) {
	c := s.reading()
	defer c.leave()
	if err := c.checkQuery(&q); err != nil {
		return 0, err
	}
	return c.set.KeyValueScan.Count(ctx, s.ns, q.driver(prism.MaxPageItems, prism.MaxPageBytes))
}

func (q Query) driver(limit, room int) driver.Query {
	return driver.Query{
		Prefix: q.Prefix, Start: q.Start, End: q.End, Reverse: q.Reverse, KeysOnly: q.KeysOnly,
		Limit: limit, MaxBytes: max(room, 1),
	}
}

func (s call) checkQuery(q *Query) error {
	if s.set.KeyValueScan == nil {
		return s.missing("keyvalue_scan")
	}
	if (q.Start != "" || q.End != "" || q.Reverse) && s.set.KeyValueOrderedScan == nil {
		return s.missing("keyvalue_ordered_scan")
	}
	var e *prism.Error
	for _, f := range []struct{ name, value string }{{"prefix", q.Prefix}, {"start", q.Start}, {"end", q.End}} {
		if len(f.value) > prism.MaxKeyBytes {
			e = join(e, prism.InvalidField(f.name, "must be at most 1024 bytes"))
		} else if !utf8.ValidString(f.value) {
			e = join(e, prism.InvalidField(f.name, "must be valid UTF-8"))
		}
	}
	if q.Start != "" && q.End != "" && q.Start > q.End {
		e = join(e, prism.InvalidField("end", "must not be before start"))
	}
	for _, f := range []struct {
		name       string
		value      *int32
		ifZero, to int32
	}{{"limit", &q.Limit, DefaultPageItems, prism.MaxPageItems}, {"max_bytes", &q.MaxBytes, DefaultPageBytes, prism.MaxPageBytes}} {
		switch {
		case *f.value < 0:
			e = join(e, prism.InvalidField(f.name, "must not be negative"))
		case *f.value == 0:
			*f.value = f.ifZero
		default:
			*f.value = min(*f.value, f.to)
		}
	}
	if e != nil {
		return e
	}
	return nil
}

// walkOf is what a cursor is bound to: everything of the query but the size of
// its pages.
func (s *Store) walkOf(principal string, q Query) string {
	return fmt.Sprintf("walk\x00%q\x00%q\x00%q\x00%q\x00%q\x00%t\x00%t", principal, s.ns, q.Prefix, q.Start, q.End, q.Reverse, q.KeysOnly)
}

// enough reports, from half of the caller's time on, that a page should end.
func (s *Store) enough(ctx context.Context) func() bool {
	deadline, ok := ctx.Deadline()
	if !ok {
		return func() bool { return false }
	}
	half := time.Now().Add(time.Until(deadline) / 2)
	return func() bool { return time.Now().After(half) }
}
