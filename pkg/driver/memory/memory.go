// Package memory is the volatile reference driver: every capability, kept in
// this process and gone with it.
//
// What an operation means is written once, in space.apply; the single methods,
// Batch and Commit are three ways to reach it. Values are never changed after
// they are stored, so a reader takes the slice under the lock and copies it
// outside.
package memory

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/puzpuzpuz/xsync/v4"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/broker"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// Spec describes the memory driver.
func Spec() driver.Spec {
	return driver.Spec{
		Name:     "memory",
		Doc:      "keeps everything in the gateway's memory, with every capability; gone at restart",
		Volatile: true,
		Open:     open,
	}
}

var (
	_ driver.Store                 = (*store)(nil)
	_ driver.KeyValue              = (*store)(nil)
	_ driver.KeyValueVersioned     = (*store)(nil)
	_ driver.KeyValueTTL           = (*store)(nil)
	_ driver.KeyValueOrderedScan   = (*store)(nil)
	_ driver.KeyValueBatch         = (*store)(nil)
	_ driver.KeyValueAtomic        = (*store)(nil)
	_ driver.KeyValueCAS           = (*store)(nil)
	_ driver.KeyValueTransactional = (*store)(nil)
	_ driver.KeyValueWatch         = (*store)(nil)
)

// A part is the store as one more model.
type part interface {
	usage(ns prism.Namespace) driver.Usage
	drop(ns prism.Namespace)
	tidy() // forgets what is over; the sweeper calls it
	close()
}

// A store is all namespaces of one opened memory backend.
type store struct {
	driver.Mutations

	opts   options
	clock  clock.Clock
	opened time.Time // with its monotonic reading
	wall   time.Time // what the wall clock showed then

	// seq is the last version given out, store-wide. It starts at the time of
	// opening in microseconds: a later opening starts above it as long as the
	// store does less than a million changes a second on average.
	seq atomic.Uint64

	mu     sync.Mutex // guards closed and the making of spaces
	closed atomic.Bool
	spaces *xsync.Map[prism.Namespace, *space]
	broker *broker.Broker
	caches *caches

	// parts are the store as models beside key-value.
	parts []part

	poke chan struct{} // next came nearer
	next atomic.Int64  // the first expiry, in store time and milliseconds
	stop chan struct{}
	done chan struct{}
}

func open(_ context.Context, c driver.Config) (driver.Set, error) {
	var opts options
	if err := c.Decode(&opts); err != nil {
		return driver.Set{}, err
	}
	if err := opts.check(c.Name); err != nil {
		return driver.Set{}, err
	}
	opts.fill()
	if c.Clock == nil {
		c.Clock = clock.Real()
	}
	now := c.Clock.Now()
	s := &store{
		opts:   opts,
		clock:  c.Clock,
		opened: now,
		wall:   now.Round(0),
		spaces: xsync.NewMap[prism.Namespace, *space](),
		broker: broker.New(),
		poke:   make(chan struct{}, 1),
		stop:   make(chan struct{}),
		done:   make(chan struct{}),
	}
	s.Mutations = s.do
	s.seq.Store(uint64(s.opened.UnixMicro()))
	s.next.Store(never)
	s.caches = newCaches(s)
	streams, workQueues, timelines := newStreams(s), newWorkQueues(s), newTimelines(s)
	s.parts = []part{s.caches, streams, workQueues, timelines}
	go s.sweep()
	return driver.Fill(driver.Info{
		Driver:     "memory",
		Durability: "acked means in this process's memory; a restart loses it",
		Instant:    true,
	}, s, s.caches, streams, workQueues, timelines, pubsub{s, s.broker}), nil
}

// now is the store's time in nanoseconds: the wall clock at opening plus the
// time that has passed since by the monotonic clock, so that a wall clock set
// forward or back ends no key early and none late.
func (s *store) now() int64 {
	return s.wall.UnixNano() + int64(s.clock.Now().Sub(s.opened))
}

// shown turns an expiry in store time into the wall clock's. They differ only
// after the wall clock was set; below a second it is drift, and an expiry that
// is asked for twice should read the same.
func (s *store) shown(at int64) time.Time {
	if at == 0 {
		return time.Time{}
	}
	now := s.clock.Now()
	off := now.Round(0).Sub(s.wall) - now.Sub(s.opened)
	if off.Abs() < time.Second {
		off = 0
	}
	return time.UnixMilli(at).Add(off)
}

func (s *store) unavailable() error {
	return prism.New(prism.ReasonBackendUnavailable, "the memory store is closed")
}

// find is the space of a namespace, nil if nothing was ever written to it.
func (s *store) find(ctx context.Context, ns prism.Namespace) (*space, error) {
	if err := ctx.Err(); err != nil {
		return nil, prism.From(err)
	}
	if s.closed.Load() {
		return nil, s.unavailable()
	}
	sp, _ := s.spaces.Load(ns)
	return sp, nil
}

// lock gives the space of a namespace, made if it is new, with its lock held.
func (s *store) lock(ctx context.Context, ns prism.Namespace) (*space, error) {
	for {
		sp, err := s.find(ctx, ns)
		if err != nil {
			return nil, err
		}
		if sp == nil {
			if sp, err = s.make(ns); err != nil {
				return nil, err
			}
		}
		sp.mu.Lock()
		if !sp.gone {
			return sp, nil
		}
		sp.mu.Unlock() // dropped or closed meanwhile
	}
}

func (s *store) make(ns prism.Namespace) (*space, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed.Load() {
		return nil, s.unavailable()
	}
	sp, ok := s.spaces.Load(ns)
	if !ok {
		sp = newSpace(s)
		s.spaces.Store(ns, sp)
	}
	return sp, nil
}

// Health tells what the store holds.
func (s *store) Health(context.Context) driver.Health {
	if s.closed.Load() {
		return driver.Health{State: driver.Unhealthy, Message: "closed"}
	}
	var spaces, keys, bytes int64
	s.spaces.Range(func(_ prism.Namespace, sp *space) bool {
		sp.mu.RLock()
		defer sp.mu.RUnlock()
		spaces, keys, bytes = spaces+1, keys+int64(len(sp.keys)), bytes+sp.bytes
		return true
	})
	return driver.Health{State: driver.Healthy, Facts: map[string]string{
		"namespaces": strconv.FormatInt(spaces, 10),
		"keys":       strconv.FormatInt(keys, 10),
		"bytes":      strconv.FormatInt(bytes+s.caches.held(), 10),
	}}
}

// Usage is exact but for caches: keys past their expiry are swept first.
func (s *store) Usage(ctx context.Context, ns prism.Namespace) (driver.Usage, error) {
	sp, err := s.find(ctx, ns)
	if err != nil {
		return driver.Usage{}, err
	}
	var u driver.Usage
	for _, p := range s.parts {
		of := p.usage(ns)
		u.Keys, u.Bytes, u.Receipts = u.Keys+of.Keys, u.Bytes+of.Bytes, u.Receipts+of.Receipts
	}
	if sp == nil {
		return u, nil
	}
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if sp.gone {
		return driver.Usage{}, s.goneError()
	}
	sp.sweepAll()
	u.Keys += int64(len(sp.keys))
	u.Bytes += sp.bytes
	u.Receipts += int64(sp.receipts.len())
	if l := sp.events; l != nil {
		l.trim(s.now() / 1e6)
		u.Keys += int64(l.last - l.floor)
		u.Bytes += l.bytes
	}
	return u, nil
}

// goneError is what a call meets whose space went away under it: nothing for a
// dropped namespace, UNAVAILABLE for a closed store.
func (s *store) goneError() error {
	if s.closed.Load() {
		return s.unavailable()
	}
	return nil
}

// Drop forgets a namespace. Its watchers end with COMPACTED.
func (s *store) Drop(ctx context.Context, ns prism.Namespace) error {
	sp, err := s.find(ctx, ns)
	if err != nil {
		return err
	}
	for _, p := range s.parts {
		p.drop(ns)
	}
	if sp == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed.Load() {
		return s.unavailable()
	}
	sp.release()
	s.seq.Add(1) // a position from before is then older than the next space's history
	s.spaces.Delete(ns)
	return nil
}

// Close waits for calls in flight: each holds the lock of its space.
func (s *store) Close() error {
	s.mu.Lock()
	if s.closed.Swap(true) {
		s.mu.Unlock()
		<-s.done
		return nil
	}
	s.mu.Unlock()
	close(s.stop)
	<-s.done
	for _, p := range s.parts {
		p.close()
	}
	s.broker.Close(s.unavailable())
	s.spaces.Range(func(_ prism.Namespace, sp *space) bool { sp.release(); return true })
	s.spaces.Clear()
	return nil
}
