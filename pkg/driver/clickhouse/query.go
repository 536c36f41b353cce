package clickhouse

import (
	"context"
	"encoding/binary"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// where is the condition of a selection.
func (l *layout) where(ns prism.Namespace, q *driver.Selection) string {
	conditions := append([]string{"namespace = " + literal(string(ns))}, l.within(q.Start, q.End)...)
	conditions = append(conditions, l.selected(q)...)
	for i := range q.Dimensions {
		conditions = append(conditions, l.clause(&q.Dimensions[i]))
	}
	return all(conditions...)
}

func (l *layout) within(start, end int64) []string {
	return []string{"time >= " + l.moment(start), "time < " + l.moment(end)}
}

// selected are the conditions on types and sources, which rollups have too.
func (l *layout) selected(q *driver.Selection) (conditions []string) {
	if len(q.Types) > 0 {
		conditions = append(conditions, "type IN "+literals(q.Types))
	}
	if len(q.Sources) > 0 {
		conditions = append(conditions, "source IN "+literals(q.Sources))
	}
	return conditions
}

// Conditions that are decided without looking at an event.
const (
	always = "1 = 1"
	never  = "1 = 0"
)

func (l *layout) clause(c *driver.FilterClause) string {
	d := l.dimension(c.Attribute)
	switch c.Op {
	case driver.FilterIn:
		if len(c.Values) > 0 {
			return all(d.has, d.value+" IN "+literals(c.Values))
		}
	case driver.FilterNotIn:
		if len(c.Values) == 0 {
			return always
		}
		return "NOT " + all(d.has, d.value+" IN "+literals(c.Values))
	case driver.FilterPrefix:
		if len(c.Values) == 1 {
			return all(d.has, "startsWith("+d.value+", "+literal(c.Values[0])+")")
		}
	case driver.FilterExists:
		return all(d.has)
	case driver.FilterAbsent:
		return "NOT " + all(d.has)
	}
	return never
}

// A place is where an event lies in the order of a query.
type place struct {
	time int64
	seq  uint64
}

// placeBytes is the length of a position.
const placeBytes = 16

func (p place) position() driver.Position {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, placeBytes), uint64(p.time))
	return binary.BigEndian.AppendUint64(b, p.seq)
}

func parsePlace(b driver.Position) (p place, err error) {
	if len(b) != placeBytes {
		return p, prism.InvalidField("position", "is not one of this query")
	}
	p.time = int64(binary.BigEndian.Uint64(b))
	p.seq = binary.BigEndian.Uint64(b[8:])
	return p, nil
}

// QueryEvents reads nothing yet; the reader asks the server when it is asked.
func (s *store) QueryEvents(ctx context.Context, ns prism.Namespace, q driver.EventQuery) (driver.EventReader, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	r := &reader{s: s, ns: ns, q: q}
	if q.After != nil {
		at, err := parsePlace(q.After)
		if err != nil {
			return nil, err
		}
		r.at, r.begun = at, true
	}
	return r, nil
}

// A reader takes rows from the server as they come, a block of them at a time,
// and hands them out in pages. When the server is gone in between, the next page
// asks again from where the last one ended.
type reader struct {
	s      *store
	ns     prism.Namespace
	q      driver.EventQuery
	at     place
	begun  bool // at means something
	given  int64
	ended  bool
	rows   chdriver.Rows
	cancel context.CancelFunc
	row    row
}

// readBlock is how many rows the server sends at a time.
const readBlock = 8192

func (r *reader) Page(ctx context.Context) (driver.EventPage, error) {
	if r.ended {
		return driver.EventPage{}, nil
	}
	if err := r.s.begin(ctx); err != nil {
		return driver.EventPage{}, err
	}
	defer r.s.leave()
	if r.rows == nil {
		if err := r.ask(ctx); err != nil {
			return driver.EventPage{}, err
		}
	}
	stop := context.AfterFunc(ctx, r.cancel)
	page, err := r.fill()
	if err == nil && ctx.Err() != nil {
		err = ctx.Err() // what came was perhaps not all
	}
	if !stop() || err != nil || r.ended {
		r.release()
	}
	if err != nil {
		return driver.EventPage{}, r.s.classify(ctx, err)
	}
	return page, nil
}

// fill makes a page of the next rows.
func (r *reader) fill() (driver.EventPage, error) {
	var p page
	at := r.at
	for len(p.events.Times) < r.q.Page {
		if !r.rows.Next() {
			r.ended = true
			break
		}
		if err := r.row.scan(r.rows); err != nil {
			r.ended = false
			return driver.EventPage{}, err
		}
		p.add(&r.row)
		at = place{r.row.time, r.row.seq}
	}
	if err := r.rows.Err(); err != nil {
		r.ended = false
		return driver.EventPage{}, err
	}
	if len(p.events.Times) == 0 {
		return driver.EventPage{}, nil
	}
	r.at, r.begun = at, true
	r.given += int64(len(p.events.Times))
	return driver.EventPage{Events: p.finish(), Position: at.position()}, nil
}

// ask sends the query. It outlives the call, but not the reader.
func (r *reader) ask(ctx context.Context) error {
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	life = clickhouse.Context(life, clickhouse.WithSettings(clickhouse.Settings{"max_block_size": readBlock}))
	r.row.prepare(r.s.layout)
	rows, err := r.s.conn.Query(life, r.statement())
	if err != nil || !stop() {
		cancel()
		if err == nil {
			_ = rows.Close()
			err = ctx.Err()
		}
		return r.s.classify(ctx, err)
	}
	r.rows, r.cancel = rows, cancel
	return nil
}

func (r *reader) statement() string {
	l := r.s.layout
	condition := l.where(r.ns, &r.q.Selection)
	order, beyond := "time, seq", ">"
	if r.q.Descending {
		order, beyond = "time DESC, seq DESC", "<"
	}
	if r.begun {
		at := l.moment(r.at.time)
		condition = all(condition, anyOf("time "+beyond+" "+at, all("time = "+at, "seq "+beyond+" "+integer(r.at.seq))))
	}
	statement := "SELECT " + strings.Join(r.row.columns, ", ") + " FROM " + r.s.schema.events() + " WHERE " + condition + " ORDER BY " + order
	if r.q.Limit > 0 {
		statement += " LIMIT " + integer(r.q.Limit-r.given)
	}
	return statement
}

// release ends the query, wherever it is.
func (r *reader) release() {
	if r.rows == nil {
		return
	}
	r.cancel()
	_ = r.rows.Close()
	r.rows = nil
}

func (r *reader) Close() error {
	r.ended = true
	r.release()
	return nil
}
