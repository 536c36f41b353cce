package redis

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// tokenFormat is the first byte of a token; the last key that was looked at
// follows.
const tokenFormat = 1

// bounds are what ZRANGEBYLEX takes: [ and a key, ( and one, or - and +.
type bounds struct{ lo, hi string }

// rangeOf is where a query looks; false if that is nowhere.
func rangeOf(q driver.Query) (b bounds, ok bool) {
	lo, hi := max(q.Start, q.Prefix), q.End
	if end, bounded := afterPrefix(q.Prefix); bounded && (hi == "" || end < hi) {
		hi = end
	}
	b = bounds{"[" + lo, "+"}
	if hi != "" {
		if b.hi = "(" + hi; lo >= hi {
			return b, false
		}
	}
	return b, true
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

// resume narrows b to what comes after a token.
func (b *bounds) resume(token []byte, reverse bool) error {
	if token == nil {
		return nil
	}
	if len(token) == 0 || token[0] != tokenFormat {
		return prism.New(prism.ReasonInvalidCursor, "the scan token is not one of this store")
	}
	if last := "(" + string(token[1:]); reverse {
		b.hi = last
	} else {
		b.lo = last
	}
	return nil
}

func checkQuery(q driver.Query) error {
	switch {
	case q.Limit <= 0:
		return prism.InvalidField("limit", "must be positive")
	case q.MaxBytes <= 0:
		return prism.InvalidField("max_bytes", "must be positive")
	}
	return nil
}

// Scan reads the index of keys, which stands in byte order, or merges those of the
// buckets. SCAN would walk the whole server, and may tell of a key twice.
func (s *store) Scan(ctx context.Context, ns prism.Namespace, q driver.Query, token []byte) (driver.Page, error) {
	if err := s.enter(ctx); err != nil {
		return driver.Page{}, err
	}
	defer s.leave()
	if err := checkQuery(q); err != nil {
		return driver.Page{}, err
	}
	b, ok := rangeOf(q)
	if err := b.resume(token, q.Reverse); err != nil || !ok {
		return driver.Page{}, err
	}
	return s.page(ctx, ns, q, b)
}

// pageLimit is how many keys a script looks at.
const pageLimit = 1000

func (s *store) page(ctx context.Context, ns prism.Namespace, q driver.Query, b bounds) (page driver.Page, err error) {
	if s.spread {
		return s.merged(ctx, ns, q, b)
	}
	p := prefix(ns)
	answer, err := s.run(ctx, scanScript, []string{p + kindIndex},
		p, b.lo, b.hi, q.Reverse, min(q.Limit, pageLimit), q.MaxBytes, q.KeysOnly).Slice()
	if err != nil {
		return page, s.classify(ctx, err)
	}
	if len(answer)%3 != 1 {
		return page, s.classify(ctx, errAnswer)
	}
	if last, ok := answer[0].(string); ok {
		page.Next = append([]byte{tokenFormat}, last...)
	}
	for answer = answer[1:]; len(answer) > 0; answer = answer[3:] {
		key, ok1 := answer[0].(string)
		raw, ok2 := answer[1].(string)
		size, ok3 := answer[2].(int64)
		if !ok1 || !ok2 || !ok3 {
			return page, s.classify(ctx, errAnswer)
		}
		e, head, err := parseRecord([]byte(raw))
		if err != nil {
			return page, s.classify(ctx, err)
		}
		e.Key, e.Size = key, int(size)-head
		if q.KeysOnly {
			e.Value = nil
		}
		page.Entries = append(page.Entries, e)
	}
	return page, nil
}

// Count is the difference of two ranks, after what has ended is swept; the sum of
// those of all buckets.
func (s *store) Count(ctx context.Context, ns prism.Namespace, q driver.Query) (int64, error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.leave()
	b, ok := rangeOf(q)
	if !ok {
		return 0, nil
	}
	homes := s.homes(ns)
	if err := s.sweepAll(ctx, homes); err != nil {
		return 0, err
	}
	pipe := s.client.Pipeline()
	counts := make([]*redis.IntCmd, len(homes))
	for i, p := range homes {
		counts[i] = pipe.ZLexCount(ctx, p+kindIndex, b.lo, b.hi)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return 0, s.classify(ctx, err)
	}
	sum := int64(0)
	for _, n := range counts {
		sum += n.Val()
	}
	return sum, nil
}

// sweepAll does all that is due in buckets.
func (s *store) sweepAll(ctx context.Context, homes []string) error {
	for len(homes) > 0 {
		parts := make([]*part, len(homes))
		for i, p := range homes {
			parts[i] = &part{prefix: p}
		}
		err := s.pipe(ctx, parts, func(pipe caller, part *part) {
			part.do = pipe.call(ctx, sweepScript, s.keys(sweepScript, part.prefix), s.common(part.prefix, driver.HistoryAge.Microseconds())...)
		})
		if err != nil {
			return err
		}
		homes = homes[:0]
		for _, p := range parts {
			more, err := p.do.Int()
			if err != nil {
				return s.classify(ctx, err)
			}
			if more == 1 {
				homes = append(homes, p.prefix)
			}
		}
	}
	return nil
}

// First asks for pages of one, until there is an entry that has not ended.
func (s *store) First(ctx context.Context, ns prism.Namespace, q driver.Query) (driver.Entry, bool, error) {
	if err := s.enter(ctx); err != nil {
		return driver.Entry{}, false, err
	}
	defer s.leave()
	b, ok := rangeOf(q)
	if !ok {
		return driver.Entry{}, false, nil
	}
	q.Limit, q.MaxBytes = 1, 1
	for {
		page, err := s.page(ctx, ns, q, b)
		if err != nil {
			return driver.Entry{}, false, err
		}
		if len(page.Entries) > 0 {
			return page.Entries[0], true, nil
		}
		if page.Next == nil {
			return driver.Entry{}, false, nil
		}
		if err := b.resume(page.Next, q.Reverse); err != nil {
			return driver.Entry{}, false, err
		}
		q.Limit = pageLimit // many have ended in a row
	}
}
