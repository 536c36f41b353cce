package timeseries

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// Sizes of pages.
const (
	DefaultPageItems = 100
	streamItems      = 1000
	streamBytes      = 1 << 20
)

// A Query asks for events in order of time.
type Query struct {
	Selection
	Descending bool
	Limit      int64  // of a page, or of a stream; 0: the default, or none
	Cursor     string // of a page before, or the position of a stream
}

// A Part is some events of a batch, in their order. It is good until the next
// one is asked for.
type Part struct {
	*Batch
	From, To int
}

// Len is how many events it has.
func (p Part) Len() int { return p.To - p.From }

// checkSelection says everything that is wrong with a selection.
func checkSelection(q *Selection) error {
	e := prism.New(prism.ReasonInvalidArgument, "")
	wrong := func(bad bool, field, message string) {
		if bad {
			e.WithField("selection."+field, message)
		}
	}
	wrong(q.End <= q.Start, "end_ns", "must be after start_ns")
	for i, s := range q.Types {
		text := typeRule(s)
		wrong(text != "", fmt.Sprintf("event_types[%d]", i), text)
	}
	for i, s := range q.Sources {
		text := typeRule(s)
		wrong(text != "", fmt.Sprintf("sources[%d]", i), text)
	}
	for i := range q.Dimensions {
		checkClause(&q.Dimensions[i], fmt.Sprintf("dimensions[%d].", i), wrong)
	}
	if len(e.Fields) == 0 {
		return nil
	}
	e.Message = e.Fields[0].Field + " " + e.Fields[0].Message
	return e
}

func checkClause(c *FilterClause, at string, wrong func(bad bool, field, message string)) {
	text := nameRule(c.Attribute)
	wrong(text != "", at+"dimension", text)
	n := len(c.Values)
	switch c.Op {
	case driver.FilterIn, driver.FilterNotIn:
		wrong(n == 0, at+"values", "must have at least one")
	case driver.FilterPrefix:
		wrong(n != 1, at+"values", "must be one")
	case driver.FilterExists, driver.FilterAbsent:
		wrong(n != 0, at+"values", "must be none")
	default:
		wrong(true, at+"op", "must be set")
	}
	for i, v := range c.Values {
		text := valueRule(v)
		wrong(text != "", fmt.Sprintf("%svalues[%d]", at, i), text)
	}
}

// seen bounds a selection by retention; false: there is nothing left of it.
func (s *Store) seen(q Selection) (Selection, bool) {
	if s.policy.Retention > 0 {
		q.Start = max(q.Start, s.horizon())
	}
	return q, q.Start < q.End
}

// A place is where an answer goes on: after so many events of the page that
// follows a position, of answered ones in all.
type place struct {
	answered int64
	skip     int
	after    driver.Position
}

func (p *place) token() []byte {
	b := binary.AppendUvarint(nil, uint64(p.answered))
	return append(binary.AppendUvarint(b, uint64(p.skip)), p.after...)
}

// placeOf reads what was sealed: a token of ours.
func placeOf(token []byte) (p place) {
	answered, n := binary.Uvarint(token)
	skip, m := binary.Uvarint(token[n:])
	p.answered, p.skip = int64(answered), int(skip)
	if p.after = token[n+m:]; len(p.after) == 0 {
		p.after = nil
	}
	return p
}

// walkOf is what a cursor is bound to: all of the query but the size of pages.
func (s *Store) walkOf(kind, principal string, q *Query) []string {
	if kind == "pages" {
		return []string{"timeseries", kind, principal, string(s.ns), fmt.Sprintf("%#v %t", q.Selection, q.Descending)}
	}
	return []string{"timeseries", kind, principal, string(s.ns), fmt.Sprintf("%#v %t %d", q.Selection, q.Descending, q.Limit)}
}

// start checks a query and finds where it begins.
func (s *Store) start(kind, principal, field string, q *Query) (place, error) {
	if s.set.TimeSeries == nil {
		return place{}, s.missing("timeseries_basic")
	}
	if q.Limit < 0 {
		return place{}, prism.InvalidField("limit", "must not be negative")
	}
	if err := checkSelection(&q.Selection); err != nil {
		return place{}, err
	}
	if q.Cursor == "" {
		return place{}, nil
	}
	token, err := s.sealer.Open(field, q.Cursor, s.walkOf(kind, principal, q)...)
	if err != nil {
		return place{}, err
	}
	return placeOf(token), nil
}

// Query answers a page, part by part, and the cursor of what follows it; of the
// last page none. It returns early rather than miss the deadline: when half of
// the time is used up.
func (s *Store) Query(ctx context.Context, principal string, q Query, take func(Part)) (cursor string, err error) {
	at, err := s.start("pages", principal, "cursor", &q)
	if err != nil {
		return "", err
	}
	room := room{items: DefaultPageItems, bytes: prism.MaxPageBytes, alone: true}
	if q.Limit > 0 {
		room.items = int(min(q.Limit, prism.MaxPageItems))
	}
	r, err := s.open(ctx, &q, at, room.items, int64(room.items)+1) // one more tells whether there is more
	if err != nil {
		return "", err
	}
	defer r.Close()
	for until := half(ctx); room.items > 0 && !time.Now().After(until); {
		part, err := r.next(ctx, &room)
		if err != nil {
			return "", err
		}
		if part.Len() == 0 {
			break
		}
		take(part)
	}
	if more, err := r.fill(ctx); err != nil || !more {
		return "", err
	}
	return s.sealer.Seal(r.at.token(), s.walkOf("pages", principal, &q)...), nil
}

// room is what an answer may still hold; alone, one event however large it is.
type room struct {
	items, bytes int
	alone        bool
}

// half is when half of the time is used up.
func half(ctx context.Context) time.Time {
	deadline, ok := ctx.Deadline()
	if !ok {
		return time.Now().Add(time.Hour)
	}
	return time.Now().Add(time.Until(deadline) / 2)
}

// A Reader answers all events of a query, in parts.
type Reader struct {
	s         *Store
	q         Query
	principal string
	r         *reader
}

// Stream begins to answer a query.
func (s *Store) Stream(ctx context.Context, principal string, q Query) (*Reader, error) {
	at, err := s.start("stream", principal, "after", &q)
	if err != nil {
		return nil, err
	}
	left := q.Limit
	if left > 0 {
		if left -= at.answered; left <= 0 {
			return &Reader{s: s, q: q, principal: principal, r: &reader{at: at}}, nil
		}
	}
	r, err := s.open(ctx, &q, at, streamItems, left)
	if err != nil {
		return nil, err
	}
	return &Reader{s: s, q: q, principal: principal, r: r}, nil
}

// Close ends it.
func (r *Reader) Close() { r.r.Close() }

// Position is after what Next has returned.
func (r *Reader) Position() string {
	return r.s.sealer.Seal(r.r.at.token(), r.s.walkOf("stream", r.principal, &r.q)...)
}

// Next returns a part; io.EOF is the end.
func (r *Reader) Next(ctx context.Context) (Part, error) {
	room := room{items: streamItems, bytes: streamBytes, alone: true}
	if r.q.Limit > 0 {
		if room.items = int(min(streamItems, r.q.Limit-r.r.at.answered)); room.items <= 0 {
			return Part{}, io.EOF
		}
	}
	part, err := r.r.next(ctx, &room)
	if err == nil && part.Len() == 0 {
		err = io.EOF
	}
	return part, err
}

// A reader takes pages of the store apart where they are too large.
type reader struct {
	in   driver.EventReader // nil: there is nothing
	at   place              // after what was given
	skip int                // of the next page, what an answer before had
	last driver.Position    // before page
	page driver.EventPage
	from int // what of it was given
}

// open begins to read at a place, in pages of so many events, up to limit.
func (s *Store) open(ctx context.Context, q *Query, at place, page int, limit int64) (*reader, error) {
	r := &reader{at: at, skip: at.skip, last: at.after}
	seen, some := s.seen(q.Selection)
	if !some {
		return r, nil
	}
	if limit > 0 {
		limit += int64(at.skip)
	}
	in, err := s.set.TimeSeries.QueryEvents(ctx, s.ns, driver.EventQuery{
		Selection: seen, Descending: q.Descending, After: at.after, Limit: limit, Page: page,
	})
	if err != nil {
		return nil, err
	}
	r.in = in
	return r, nil
}

// Close ends it.
func (r *reader) Close() {
	if r.in != nil {
		r.in.Close() //nolint:errcheck // nothing was written
	}
}

// fill sees to it that there is something to give; false: that was all.
func (r *reader) fill(ctx context.Context) (some bool, err error) {
	for r.in != nil && r.from == r.page.Events.Len() {
		if r.from > 0 {
			r.last = slices.Clone(r.page.Position)
		}
		if r.page, err = r.in.Page(ctx); err != nil {
			return false, err
		}
		n := r.page.Events.Len()
		if r.from = min(r.skip, n); n == 0 {
			return false, nil
		}
		r.skip -= r.from
	}
	return r.in != nil, nil
}

// next gives what there is room for; nothing is the end, of events or of room.
func (r *reader) next(ctx context.Context, room *room) (Part, error) {
	some, err := r.fill(ctx)
	if err != nil || !some {
		return Part{}, err
	}
	part := Part{Batch: &r.page.Events, From: r.from, To: r.from}
	for ; part.To < r.page.Events.Len() && room.items > 0; part.To++ {
		size := eventSize(part.Batch, part.To)
		if size > room.bytes && !room.alone {
			break
		}
		room.bytes -= size
		room.items--
		room.alone = false
	}
	r.from = part.To
	r.at = place{answered: r.at.answered + int64(part.Len()), after: r.last, skip: r.from}
	if r.from == r.page.Events.Len() {
		r.at.after, r.at.skip = slices.Clone(r.page.Position), 0
	}
	return part, nil
}

// eventSize is about how many bytes an event takes in an answer.
func eventSize(b *Batch, i int) int {
	const field = 4 // what stands around a value
	n := 8 * field
	for _, c := range []*Coded{&b.Types, &b.Sources} {
		s, _ := c.At(i)
		n += len(s)
	}
	for k := range b.Dimensions {
		if v, has := b.Dimensions[k].Values.At(i); has {
			n += len(b.Dimensions[k].Name) + len(v) + 3*field
		}
	}
	for k := range b.Metrics {
		if _, has := b.Metrics[k].At(i); has {
			n += len(b.Metrics[k].Name) + 8 + 3*field
		}
	}
	return n + len(b.Payloads.At(i)) + len(b.IDs.At(i))
}
