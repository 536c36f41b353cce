// Package clickhouse keeps time series on ClickHouse, version 18.16 or later;
// from 22.3 on with maps, codecs, tiers and rollups. It speaks to one server or
// to a cluster, over the native protocol or HTTP.
//
// All namespaces are in one table, so that concurrent appends share the large
// blocks that the server wants: see gatherer. The columns of a batch go into the
// block's as they are (block.go); statements are made in one way, with every
// value a number of hexadecimal digits (sql.go).
package clickhouse

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"

	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// Spec describes the clickhouse driver.
func Spec() driver.Spec {
	return driver.Spec{
		Name: "clickhouse",
		Doc:  "ClickHouse, 18.16 or later, one server or a cluster: time series; acked means written to a part on the server's disk",
		Open: open,
	}
}

var (
	_ driver.Store                 = (*store)(nil)
	_ driver.TimeSeries            = (*store)(nil)
	_ driver.TimeSeriesAggregation = (*store)(nil)
	_ driver.TimeSeriesRetention   = (*store)(nil)
)

type store struct {
	name    string
	options options
	clock   clock.Clock
	log     *slog.Logger
	conn    chdriver.Conn
	inserts inserts
	windows *windows

	// What the first contact with the server settles. See ready.
	settled    atomic.Bool
	settling   chan struct{} // held by who settles it
	layout     *layout
	schema     *schema
	insertInto string
	gatherer   *gatherer

	// calls is held for reading by each call, for writing by Close.
	calls  sync.RWMutex
	closed bool
	once   atomic.Bool
	// life ends when Close begins.
	life    context.Context
	end     context.CancelFunc
	sweeper sync.WaitGroup
	retain  chan struct{} // wakes the sweeper
	// asking is held while it is decided what has to go and the server is asked
	// for it, and while that changes: what is appended after a change is judged by
	// what changed.
	asking chan struct{}
}

func open(ctx context.Context, c driver.Config) (driver.Set, error) {
	s := &store{name: c.Name, clock: c.Clock, log: c.Log, settling: make(chan struct{}, 1), retain: make(chan struct{}, 1), asking: make(chan struct{}, 1)}
	if s.clock == nil {
		s.clock = clock.Real()
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if err := c.Decode(&s.options); err != nil {
		return driver.Set{}, err
	}
	if err := s.options.check(c.Name); err != nil {
		return driver.Set{}, err
	}
	s.options.fill()
	s.life, s.end = context.WithCancel(context.Background())
	s.windows = newWindows(s.options.DedupeIDs, s.options.Receipts)
	if err := s.connect(); err != nil {
		return driver.Set{}, err
	}
	info, err := s.greet(ctx)
	if err != nil {
		s.end()
		s.inserts.close()
		_ = s.conn.Close()
		return driver.Set{}, err
	}
	s.sweeper.Go(s.sweep)
	return driver.Fill(info, s), nil
}

// greet makes the tables and asks what an ack is worth. A server that does not
// answer is no reason for a gateway not to start: calls say so until it is
// there. What only a person can mend is.
func (s *store) greet(ctx context.Context) (driver.Info, error) {
	info := driver.Info{Driver: "clickhouse", Durability: "not known: the server did not answer when the gateway opened it"}
	err := s.ready(ctx)
	switch {
	case errors.Is(err, prism.ReasonBackendUnavailable), errors.Is(err, prism.ReasonDeadlineExceeded):
		s.log.Warn("the server does not answer; calls fail until it does", "error", err)
		return info, nil
	case err != nil:
		return info, err
	}
	info.Durability, info.Durable = s.durability(ctx)
	return info, nil
}

// ready sees to it that the tables are there. The first call after a contact
// with the server that had none does it, and one after a table was found gone.
func (s *store) ready(ctx context.Context) error {
	if s.settled.Load() {
		return nil
	}
	select {
	case s.settling <- struct{}{}:
		defer func() { <-s.settling }()
	case <-ctx.Done():
		return prism.From(ctx.Err())
	}
	if s.settled.Load() {
		return nil
	}
	server, err := s.ask(ctx)
	if err != nil {
		return err
	}
	sc, err := s.migrate(ctx, server)
	if err != nil {
		return err
	}
	if s.gatherer == nil {
		s.schema, s.layout = sc, sc.layout
		s.insertInto = sc.layout.insert(sc.events())
		s.gatherer = newGatherer(s)
	}
	s.settled.Store(true)
	return nil
}

// enter begins a call; leave ends it.
func (s *store) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return prism.From(err)
	}
	s.calls.RLock()
	if s.closed {
		s.calls.RUnlock()
		return s.closedError()
	}
	return nil
}

func (s *store) leave() { s.calls.RUnlock() }

// begin is enter for calls that need the tables.
func (s *store) begin(ctx context.Context) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	if err := s.ready(ctx); err != nil {
		s.leave()
		return err
	}
	return nil
}

// Close waits for calls in flight, and for the blocks that are on their way.
func (s *store) Close() error {
	if s.once.Swap(true) {
		return nil
	}
	s.end()
	s.sweeper.Wait()
	s.calls.Lock()
	s.closed = true
	s.calls.Unlock()
	if s.gatherer != nil {
		s.gatherer.close()
	}
	s.inserts.close()
	return s.classify(context.Background(), s.conn.Close())
}
