package keyvalue_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/data"
	"github.com/prism-data-layer/prism/pkg/data/keyvalue"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

func scan(t testing.TB, s *keyvalue.Store, q keyvalue.Query) keyvalue.Page {
	t.Helper()
	p, err := s.Scan(t.Context(), "dev", q)
	if err != nil {
		t.Fatalf("%+v: %v", q, err)
	}
	return p
}

func keysOf(p keyvalue.Page) []string {
	keys := make([]string, len(p.Entries))
	for i, e := range p.Entries {
		keys[i] = e.Key
	}
	return keys
}

// walk reads every page and returns the keys and how many pages there were.
func walk(t testing.TB, s *keyvalue.Store, q keyvalue.Query) (keys []string, pages int) {
	t.Helper()
	for {
		p := scan(t, s, q)
		keys, pages = append(keys, keysOf(p)...), pages+1
		if q.Cursor = p.Cursor; q.Cursor == "" || pages > 10_000 {
			return keys, pages
		}
	}
}

// fill stores keys of the given values' size.
func fill(t testing.TB, s *keyvalue.Store, size int, keys ...string) {
	t.Helper()
	for _, k := range keys {
		set(t, s, k, strings.Repeat("v", size))
	}
}

func TestAScanWalksWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	fill(t, s, 1, "a", "a\x00", "ab", "b", "b1", "b2", "c", "é", "\U0010ffff")
	for _, c := range []struct {
		q    keyvalue.Query
		want []string
	}{
		{keyvalue.Query{}, []string{"a", "a\x00", "ab", "b", "b1", "b2", "c", "é", "\U0010ffff"}},
		{keyvalue.Query{Prefix: "b"}, []string{"b", "b1", "b2"}},
		{keyvalue.Query{Prefix: "\U0010ffff"}, []string{"\U0010ffff"}},
		{keyvalue.Query{Prefix: "x"}, nil},
		{keyvalue.Query{Start: "b"}, []string{"b", "b1", "b2", "c", "é", "\U0010ffff"}},
		{keyvalue.Query{End: "b"}, []string{"a", "a\x00", "ab"}},
		{keyvalue.Query{Start: "ab", End: "b2"}, []string{"ab", "b", "b1"}},
		{keyvalue.Query{Start: "b", End: "b"}, nil},
		{keyvalue.Query{Prefix: "b", Start: "b1"}, []string{"b1", "b2"}},
		{keyvalue.Query{Prefix: "b", Start: "a", End: "b2"}, []string{"b", "b1"}},
		{keyvalue.Query{Prefix: "b", Start: "c"}, nil},
		{keyvalue.Query{Reverse: true, End: "b1"}, []string{"b", "ab", "a\x00", "a"}},
		{keyvalue.Query{Prefix: "b", Reverse: true}, []string{"b2", "b1", "b"}},
	} {
		for _, limit := range []int32{0, 1, 2} {
			q := c.q
			q.Limit = limit
			if got, _ := walk(t, s, q); !slices.Equal(got, c.want) {
				t.Errorf("%+v: got %q, want %q", q, got, c.want)
			}
		}
		if c.q.Reverse {
			continue
		}
		n, err := s.Count(t.Context(), c.q)
		if err != nil || n != int64(len(c.want)) {
			t.Errorf("count of %+v: got %d, %v, want %d", c.q, n, err, len(c.want))
		}
	}
}

func TestKeysOnlyHasSizesAndNoValues(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	fill(t, s, 300, "a", "b")
	p := scan(t, s, keyvalue.Query{KeysOnly: true, MaxBytes: 10})
	if len(p.Entries) != 2 || p.Entries[0].Value != nil || p.Entries[0].Size != 300 || p.Entries[0].Version == 0 {
		t.Errorf("got %+v", p.Entries)
	}
}

func TestEveryWrongFieldOfAQueryIsNamedAtOnce(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	long := strings.Repeat("k", prism.MaxKeyBytes+1)
	for _, c := range []struct {
		q      keyvalue.Query
		fields []string
	}{
		{keyvalue.Query{Prefix: long, Start: "a\xff", End: long, Limit: -1, MaxBytes: math.MinInt32}, []string{"prefix", "start", "end", "limit", "max_bytes"}},
		{keyvalue.Query{Prefix: "\xff", End: "\xed\xa0\x80"}, []string{"prefix", "end"}},
		{keyvalue.Query{Start: "b", End: "a"}, []string{"end"}},
	} {
		_, err := s.Scan(t.Context(), "dev", c.q)
		wants(t, err, prism.ReasonInvalidArgument, c.fields...)
		_, err = s.Count(t.Context(), c.q)
		wants(t, err, prism.ReasonInvalidArgument, c.fields...)
	}
	edge := long[1:]
	if _, err := s.Scan(t.Context(), "dev", keyvalue.Query{Prefix: edge, Start: edge, End: edge}); err != nil {
		t.Errorf("bounds of 1024 bytes: %v", err)
	}
	for _, q := range []keyvalue.Query{{}, {Prefix: "a"}} {
		s := fresh(t, "keyvalue_scan", "keyvalue_ordered_scan")
		_, err := s.Scan(t.Context(), "dev", q)
		wants(t, err, prism.ReasonCapabilityMissing)
		_, err = s.Count(t.Context(), q)
		wants(t, err, prism.ReasonCapabilityMissing)
	}
}

func TestPagesAreBoundedByItems(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	const total = 1500
	for i := range total {
		fill(t, s, 1, fmt.Sprintf("k%05d", i))
	}
	for limit, want := range map[int32]int{0: 100, 1: 1, 99: 99, 256: 256, 257: 257, 999: 999, 1000: 1000, 1001: 1000, math.MaxInt32: 1000} {
		p := scan(t, s, keyvalue.Query{Limit: limit})
		if len(p.Entries) != want || p.Cursor == "" {
			t.Errorf("limit %d: %d entries, cursor %q, want %d", limit, len(p.Entries), p.Cursor, want)
		}
	}
	if keys, pages := walk(t, s, keyvalue.Query{Limit: 500}); len(keys) != total || pages != 3 {
		t.Errorf("%d keys on %d pages", len(keys), pages)
	}
}

func sizeOf(p keyvalue.Page) (n int) {
	for _, e := range p.Entries {
		n += len(e.Key) + len(e.Value)
	}
	return n
}

func TestPagesAreBoundedByBytes(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	for i := range 12 {
		fill(t, s, 500_000, fmt.Sprintf("k%02d", i))
	}
	for room, want := range map[int32]int{0: 2, 1: 1, 500_002: 1, 500_003: 1, 1_000_005: 1, 1_000_006: 2, 3_000_000: 5, math.MaxInt32: 8} {
		p := scan(t, s, keyvalue.Query{MaxBytes: room})
		if len(p.Entries) != want || p.Cursor == "" {
			t.Errorf("%d bytes: %d entries of %d bytes, want %d", room, len(p.Entries), sizeOf(p), want)
		}
	}
	for _, room := range []int32{0, 1, 700_000, math.MaxInt32} {
		if keys, _ := walk(t, s, keyvalue.Query{MaxBytes: room}); len(keys) != 12 {
			t.Errorf("%d bytes a page: saw %q", room, keys)
		}
	}
}

// A page is put together from parts; the last part may bring one entry that no
// longer fits, and a reply over 4 MiB could not be sent.
func TestAPageNeverOutgrowsAMessage(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	for i := range 256 { // one part of the driver's, 20 KiB short of a page
		fill(t, s, prism.MaxPageBytes/256-100, fmt.Sprintf("k%03d", i))
	}
	fill(t, s, prism.MaxValueBytes, "l1", "l2")
	q := keyvalue.Query{Limit: 1000, MaxBytes: math.MaxInt32}
	seen := map[string]int{}
	for {
		p := scan(t, s, q)
		if n := sizeOf(p); n > prism.MaxPageBytes || len(p.Entries) == 0 {
			t.Errorf("a page of %d entries has %d bytes, at most %d", len(p.Entries), n, prism.MaxPageBytes)
		}
		for _, k := range keysOf(p) {
			seen[k]++
		}
		if q.Cursor = p.Cursor; q.Cursor == "" {
			break
		}
	}
	if len(seen) != 258 {
		t.Errorf("saw %d of 258 keys", len(seen))
	}
	for k, n := range seen {
		if n != 1 {
			t.Errorf("saw %s %d times", k, n)
		}
	}
}

// slow is a store that takes its time for each part of a scan, and has parts
// of ten entries.
type slow struct {
	driver.KeyValueOrderedScan
	by    time.Duration
	parts *int
}

func (s slow) Scan(ctx context.Context, ns prism.Namespace, q driver.Query, token []byte) (driver.Page, error) {
	*s.parts++
	time.Sleep(s.by)
	q.Limit = min(q.Limit, 10)
	return s.KeyValueOrderedScan.Scan(ctx, ns, q, token)
}

func TestAPageReturnsEarlyRatherThanMissTheDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		set := open(t, clock.Real())
		s := on(set, none)
		for i := range 200 {
			fill(t, s, 1, fmt.Sprintf("k%03d", i))
		}
		parts := 0
		crawl := slow{set.KeyValueOrderedScan, 100 * time.Millisecond, &parts}
		set.KeyValueScan, set.KeyValueOrderedScan = crawl, crawl
		s = on(set, none)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		p, err := s.Scan(ctx, "dev", keyvalue.Query{Limit: 200})
		if err != nil {
			t.Fatal(err)
		}
		took := time.Since(began)
		if took < 500*time.Millisecond || took > 600*time.Millisecond || len(p.Entries) != parts*10 || p.Cursor == "" {
			t.Errorf("%d entries in %d parts after %s of a second, cursor %q", len(p.Entries), parts, took, p.Cursor)
		}
		rest, _ := walk(t, s, keyvalue.Query{Limit: 200, Cursor: p.Cursor}) // without a deadline
		if len(rest) != 200-len(p.Entries) {
			t.Errorf("%d entries were left, want %d", len(rest), 200-len(p.Entries))
		}
	})
}

// empty is a store whose parts may be empty before the end.
type empty struct{ driver.KeyValueScan }

func (empty) Scan(_ context.Context, _ prism.Namespace, _ driver.Query, token []byte) (driver.Page, error) {
	if token == nil {
		return driver.Page{Next: []byte("on")}, nil
	}
	return driver.Page{Entries: []driver.Entry{{Key: "k"}}}, nil
}

func TestAnEmptyPartIsAnEmptyPageWithACursor(t *testing.T) {
	t.Parallel()
	set := open(t, nil)
	set.KeyValueScan = empty{}
	s := on(set, none)
	if p := scan(t, s, keyvalue.Query{}); len(p.Entries) != 0 || p.Cursor == "" {
		t.Errorf("got %+v", p)
	}
	if keys, pages := walk(t, s, keyvalue.Query{}); len(keys) != 1 || pages != 2 {
		t.Errorf("%d keys on %d pages", len(keys), pages)
	}
}

// Keys that stay are seen exactly once over many pages, whatever comes and
// goes around them.
func TestAWalkSeesEveryKeyOnceWhileOthersWrite(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	var want []string
	for i := range 300 {
		want = append(want, fmt.Sprintf("k%03d", i))
	}
	fill(t, s, 10, want...)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				key := fmt.Sprintf("k%03d-%d", (i*7+n)%300, n)
				s.Do(ctx, &keyvalue.Op{Kind: keyvalue.OpSet, Key: key})    //nolint:errcheck // cancelled at the end
				s.Do(ctx, &keyvalue.Op{Kind: keyvalue.OpDelete, Key: key}) //nolint:errcheck
			}
		})
	}
	for _, reverse := range []bool{false, true} {
		for range 5 {
			seen := map[string]int{}
			keys, pages := walk(t, s, keyvalue.Query{Limit: 7, Reverse: reverse})
			for _, k := range keys {
				seen[k]++
			}
			for _, k := range want {
				if seen[k] != 1 {
					t.Errorf("reverse %v: saw %s %d times", reverse, k, seen[k])
				}
			}
			if pages < 40 {
				t.Errorf("only %d pages", pages)
			}
		}
	}
	stop()
	wg.Wait()
}

func TestACursorHoldsAfterItsKeyIsGone(t *testing.T) {
	t.Parallel()
	for _, reverse := range []bool{false, true} {
		s := fresh(t)
		fill(t, s, 1, "a", "b", "c", "d", "e")
		p := scan(t, s, keyvalue.Query{Limit: 3, Reverse: reverse})
		for _, k := range []string{"b", "c", "d"} {
			do(t, s, keyvalue.Op{Kind: keyvalue.OpDelete, Key: k})
		}
		want := "e"
		if reverse {
			want = "a"
		}
		if got, _ := walk(t, s, keyvalue.Query{Limit: 3, Reverse: reverse, Cursor: p.Cursor}); !slices.Equal(got, []string{want}) {
			t.Errorf("reverse %v: got %q, want %s", reverse, got, want)
		}
	}
}

// A cursor is the gateway's word to one principal about one query on one
// namespace, and to nobody else about nothing else.
func TestAttack_A28_ACursorIsOfOnePrincipalNamespaceAndQuery(t *testing.T) {
	t.Parallel()
	set := open(t, nil)
	s := on(set, none)
	other := keyvalue.New(set, "other", none, data.NewSealer(secret), clock.Real())
	foreign := keyvalue.New(set, "kv", none, data.NewSealer([]byte("another gateway")), clock.Real())
	for _, to := range []*keyvalue.Store{s, other} {
		fill(t, to, 1, "ka", "kb", "kc", "kd")
	}
	base := keyvalue.Query{Prefix: "k", Start: "ka", End: "kz", Limit: 2}
	first, err := s.Scan(t.Context(), "user:ann", base)
	if err != nil || first.Cursor == "" {
		t.Fatalf("got %+v, %v", first, err)
	}
	base.Cursor = first.Cursor
	try := func(name string, s *keyvalue.Store, who string, change func(*keyvalue.Query)) {
		t.Helper()
		q := base
		change(&q)
		p, err := s.Scan(t.Context(), who, q)
		if name == "" {
			if err != nil || !slices.Equal(keysOf(p), []string{"kc", "kd"}) {
				t.Errorf("its own: got %q, %v", keysOf(p), err)
			}
			return
		}
		if e := prism.From(err); e == nil || e.Reason != prism.ReasonInvalidCursor || len(e.Fields) != 1 || e.Fields[0].Field != "cursor" {
			t.Errorf("%s: got %q, %v", name, keysOf(p), err)
		}
	}
	same := func(*keyvalue.Query) {}
	try("", s, "user:ann", same)
	try("", s, "user:ann", func(q *keyvalue.Query) { q.MaxBytes = 5000 }) // the size of a page is no part of the query
	try("another principal", s, "user:bob", same)
	try("no principal", s, "", same)
	try("another namespace", other, "user:ann", same)
	try("another gateway", foreign, "user:ann", same)
	try("another prefix", s, "user:ann", func(q *keyvalue.Query) { q.Prefix = "" })
	try("another start", s, "user:ann", func(q *keyvalue.Query) { q.Start = "" })
	try("another end", s, "user:ann", func(q *keyvalue.Query) { q.End = "kzz" })
	try("the other way", s, "user:ann", func(q *keyvalue.Query) { q.Reverse = true })
	try("keys only", s, "user:ann", func(q *keyvalue.Query) { q.KeysOnly = true })
	try("fields that run together", s, "user:ann\x00", same)
	try("garbage", s, "user:ann", func(q *keyvalue.Query) { q.Cursor = "!" })
	try("a driver's own token", s, "user:ann", func(q *keyvalue.Query) { q.Cursor = base64.RawURLEncoding.EncodeToString([]byte("\x01kb")) })
	for i := range first.Cursor {
		flip := byte('A')
		if first.Cursor[i] == flip {
			flip = 'B'
		}
		try(fmt.Sprintf("byte %d changed", i), s, "user:ann", func(q *keyvalue.Query) {
			q.Cursor = first.Cursor[:i] + string(flip) + first.Cursor[i+1:]
		})
		if i > 0 {
			try(fmt.Sprintf("cut at %d", i), s, "user:ann", func(q *keyvalue.Query) { q.Cursor = first.Cursor[:i] })
		}
	}
	w, err := s.Watch(t.Context(), "", "", false)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	_, position, err := w.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	try("a position of a watch", s, "user:ann", func(q *keyvalue.Query) { q.Cursor = position })
	_, err = s.Watch(t.Context(), "", first.Cursor, false)
	wants(t, err, prism.ReasonInvalidCursor, "position")
	_, err = other.Watch(t.Context(), "", position, false)
	wants(t, err, prism.ReasonInvalidCursor, "position")
}
