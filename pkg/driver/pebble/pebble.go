// Package pebble is the embedded durable store: every capability but a bound on
// caches, which end but do not evict, on one pebble database per backend,
// shared by the backend's namespaces.
//
// Reads go to pebble directly. Every mutation goes through one committer,
// which takes what is queued, works it off in order against the store and its
// own earlier writes, and makes one batch of it; while that batch is synced
// the next gathers. A caller is answered after the sync, so acked means on
// disk, and no read ever shows what a power cut could still take back.
package pebble

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// Spec describes the pebble driver.
func Spec() driver.Spec { return SpecOn(vfs.Default) }

// SpecOn is Spec on another file system; crash tests bring their own.
func SpecOn(fs vfs.FS) driver.Spec {
	return driver.Spec{
		Name: "pebble",
		Doc:  "embedded durable store: acked is on disk, every capability but bounded caches",
		Open: func(ctx context.Context, c driver.Config) (driver.Set, error) { return open(ctx, c, fs) },
	}
}

// pebbleFormat is pinned, so that a new pebble does not silently write what an
// older build cannot read. Raise it together with formatVersion.
const pebbleFormat = pebble.FormatValueSeparation

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
	_ driver.KeyValueMove          = (*store)(nil)
)

type store struct {
	driver.Mutations

	name    string
	dir     string
	options options
	clock   clock.Clock
	log     *slog.Logger
	disk    *disk
	db      *pebble.DB

	// calls is held for reading by each call, for writing by Close.
	calls     sync.RWMutex
	closed    bool
	closing   chan struct{}
	closeOnce atomic.Bool
	failure   atomic.Pointer[prism.Error] // set once; nothing works after
	failed    chan struct{}               // closed then
	damage    atomic.Int64                // damaged records and blocks met
	refused   atomic.Int64                // when a write was last refused for want of space, Unix milliseconds

	queue    queue
	lateness signal
	dirty    dirty
	caches   *caches

	namespacesMu sync.RWMutex
	namespaces   map[prism.Namespace]*namespace

	first uint64 // the sequence began after it

	// The committer's own.
	recent   recent
	seq      uint64      // the last version given out
	reserved uint64      // durable: versions up to it are used up after a crash
	applying atomic.Bool // pebble is at work on a group
	groups   chan *group
	spare    chan *group

	workQueues *workQueues
	pubsub     *pubsub
	streams    *streams

	sweeps  chan struct{} // wakes the sweeper
	workers sync.WaitGroup
	sweeper sync.WaitGroup
}

func open(ctx context.Context, c driver.Config, fs vfs.FS) (_ driver.Set, err error) {
	s := &store{
		name: c.Name, clock: c.Clock, log: c.Log,
		closing: make(chan struct{}), failed: make(chan struct{}),
		namespaces: make(map[prism.Namespace]*namespace),
		groups:     make(chan *group), spare: make(chan *group, 4),
		sweeps: make(chan struct{}, 1),
	}
	s.Mutations = s.mutate
	if s.clock == nil {
		s.clock = clock.Real()
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.log = s.log.With("backend", c.Name)
	if err := c.Decode(&s.options); err != nil {
		return driver.Set{}, err
	}
	if err := s.options.check(c.Name); err != nil {
		return driver.Set{}, err
	}
	if c.Dir == "" {
		return driver.Set{}, prism.New(prism.ReasonInvalidConfig, "backend %q has no folder", c.Name).WithBackend(c.Name)
	}
	s.dir = c.Dir
	s.options.fill()
	s.queue.wake = make(chan struct{}, 1)
	s.workQueues = newWorkQueues(s)
	s.caches = newCaches(s)
	s.pubsub = newPubSub(s)
	s.streams = newStreams(s)
	s.disk = newDisk(fs, c.Dir, uint64(s.options.Reserve), s.refuseQueued, s.fail)
	if err := s.openStore(ctx); err != nil {
		return driver.Set{}, classifyOpen(c.Name, c.Dir, err)
	}
	s.disk.mode.Store(diskInUse)
	s.start()
	info := driver.Info{
		Driver: "pebble", Durable: true,
		Durability: "acked writes are fsynced to disk (group commit)",
	}
	if s.options.Durability == relaxed {
		info.Durable = false
		info.Durability = "relaxed: acked writes are fsynced about once a second; a crash or a power cut may take the last second with it"
	}
	return driver.Fill(info, s, s.caches, s.workQueues, s.pubsub, s.streams), nil
}

// fatalOpen carries what pebble cannot go on after out of a failing open.
type fatalOpen struct{ err error }

func (s *store) openStore(ctx context.Context) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case fatalOpen:
			err = p.err
		default:
			err = fmt.Errorf("%w: %v", errRecord, p) // pebble panics on some damage
		}
	}()
	fresh, err := checkFormat(s.disk, s.dir, s.name)
	if err != nil {
		return err
	}
	if fresh {
		if err := writeFormat(s.disk, s.dir); err != nil {
			return err
		}
	}
	folder := s.disk.PathJoin(s.dir, storeFolder)
	if err := makeDir(s.disk, folder); err != nil {
		return err
	}
	if s.db, err = pebble.Open(folder, s.pebbleOptions()); err != nil {
		return err
	}
	err = errors.Join(s.loadNamespaces(), s.caches.load(), s.workQueues.load(), s.pubsub.load(), s.streams.load(), s.awaitRoom(ctx))
	if err == nil {
		err = s.loadSequence()
	}
	if err != nil {
		return errors.Join(err, s.db.Close())
	}
	return nil
}

// awaitRoom waits on a full disk until pebble has removed what it replaced
// while it opened: the first thing the store does is to write.
func (s *store) awaitRoom(ctx context.Context) error {
	const enough = 128 << 10
	for end := time.Now().Add(closePatience); ; {
		if free, _ := s.disk.room(); free >= enough {
			return nil
		}
		if ctx.Err() != nil || time.Now().After(end) || !s.disk.rest() {
			return diskFull(s.name)
		}
	}
}

func (s *store) pebbleOptions() *pebble.Options {
	o := &pebble.Options{
		FS:                          s.disk,
		CacheSize:                   int64(s.options.Cache),
		MemTableSize:                uint64(s.options.Memtable),
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       2,
		L0StopWritesThreshold:       1000,
		MaxOpenFiles:                1000,
		FormatMajorVersion:          pebbleFormat,
		Logger:                      &logger{log: s.log, fs: s.disk, fatal: s.fatal},
		EventListener: &pebble.EventListener{
			BackgroundError: func(err error) {
				if !vfs.IsNoSpaceError(err) {
					s.log.Error("background work failed; it is tried again", "error", err)
				}
			},
			FlushEnd: func(i pebble.FlushInfo) {
				if i.Err == nil {
					s.disk.flushFails.Store(false)
				}
			},
			// Pebble's default is to end the process. What is damaged is
			// refused one by one instead; the rest stays readable.
			DataCorruption: func(i pebble.DataCorruptionInfo) {
				s.damage.Add(1)
				s.log.Error("stored data is damaged", "file", i.Path, "error", i.Details)
			},
		},
	}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return o
}

// fatal is where pebble arrives when it cannot go on, such as after a failed
// fsync. The store stops for good and everything else in the process lives.
func (s *store) fatal(err error) {
	if s.disk.mode.Load() == diskOpening {
		panic(fatalOpen{err})
	}
	s.fail(err)
	select {} // pebble expects never to get control back
}

// fail ends the store: calls from now on are answered with why. What was acked
// is on disk and will be there after a restart.
func (s *store) fail(err error) {
	e := prism.New(prism.ReasonBackendUnavailable, "backend %q stopped because its disk failed; acked data is safe, restart to go on", s.name).
		WithBackend(s.name).WithCause(err)
	if s.failure.CompareAndSwap(nil, e) {
		s.log.Error("the store stopped", "error", err)
		s.dirty.fail()
		s.queue.refuse(e, nil)
		close(s.failed)
		s.lateness.fire()
		s.workQueues.end(e)
		s.pubsub.end(e)
	}
}

func (s *store) start() {
	s.workers.Add(2)
	go func() { defer s.workers.Done(); s.commitLoop() }()
	go func() { defer s.workers.Done(); s.syncLoop() }()
	s.sweeper.Add(1)
	go func() { defer s.sweeper.Done(); s.sweepLoop() }()
	s.workQueues.start()
	go s.caches.run()
	s.pubsub.start()
}

// enter begins a call; leave ends it.
func (s *store) enter() error {
	s.calls.RLock()
	if s.closed {
		s.calls.RUnlock()
		return closedError(s.name)
	}
	if e := s.failure.Load(); e != nil {
		s.calls.RUnlock()
		return e
	}
	return nil
}

func (s *store) leave() { s.calls.RUnlock() }

// closePatience is how long Close waits for a full disk.
const closePatience = 5 * time.Second

// Close waits for calls in flight and releases the folder.
func (s *store) Close() error {
	if s.closeOnce.Swap(true) {
		return nil
	}
	patience := time.AfterFunc(closePatience, func() {
		if s.disk.waiting.Load() > 0 {
			s.fail(diskFull(s.name))
		}
	})
	defer patience.Stop()
	close(s.closing)
	s.workQueues.end(closedError(s.name))
	s.pubsub.end(closedError(s.name))
	soon(s.failed, s.sweeper.Wait)
	soon(s.failed, s.workQueues.ringer.Wait)
	s.calls.Lock()
	s.closed = true
	s.calls.Unlock()
	s.workQueues.stop()
	s.pubsub.stop()
	s.queue.close()
	close(s.caches.stop)
	if s.failure.Load() == nil {
		// A failure on the way parks a worker for good.
		soon(s.failed, s.workers.Wait)
		soon(s.failed, func() { <-s.caches.done })
	}
	if s.failure.Load() != nil {
		if !s.idle() {
			// Pebble may be in the middle of changing logs, where an error is
			// the end of the process. What is parked stays so.
			return nil
		}
		s.disk.abandon()
		limit := time.NewTimer(closePatience)
		defer limit.Stop()
		soon(limit.C, func() {
			defer func() { _ = recover() }() // it may panic on what failed before
			s.workers.Wait()
			s.workQueues.workers.Wait()
			<-s.caches.done
			_ = s.db.Close()
		})
		return nil
	}
	err := s.releaseSequence()
	s.disk.mode.Store(diskClosing)
	err = errors.Join(err, s.db.Close())
	s.disk.abandon()
	return classify(s.name, err)
}

// idle waits a moment for the committers to come out of pebble; false if one is
// parked there.
func (s *store) idle() bool {
	for end := time.Now().Add(time.Second); s.applying.Load() || s.caches.applying.Load() || s.workQueues.applying.Load(); {
		if time.Now().After(end) {
			return false
		}
		time.Sleep(time.Millisecond)
	}
	return true
}

// soon runs f and returns when it is over, or when end says not to wait.
func soon[T any](end <-chan T, f func()) {
	over := make(chan struct{})
	go func() {
		defer close(over)
		f()
	}()
	select {
	case <-over:
	case <-end:
	}
}

// Health reads from the store and says how it does.
func (s *store) Health(ctx context.Context) driver.Health {
	if err := s.enter(); err != nil {
		return driver.Health{State: driver.Unhealthy, Message: err.Error()}
	}
	defer s.leave()
	probe := make(chan error, 1)
	go func() {
		_, closer, err := s.db.Get(reservedKey)
		if err == nil {
			err = closer.Close()
		}
		probe <- err
	}()
	select {
	case err := <-probe:
		if err != nil && !errors.Is(err, pebble.ErrNotFound) {
			return driver.Health{State: driver.Unhealthy, Message: classify(s.name, err).Error()}
		}
	case <-ctx.Done():
		return driver.Health{State: driver.Unhealthy, Message: "the store does not answer"}
	}
	m := s.db.Metrics()
	free, low := s.disk.room()
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	h := driver.Health{State: driver.Healthy, Facts: map[string]string{
		"disk_bytes":     strconv.FormatUint(m.DiskSpaceUsage(), 10),
		"memtable_bytes": strconv.FormatUint(m.MemTable.Size, 10),
		"cache_bytes":    number(m.BlockCache.Size),
		"wal_bytes":      strconv.FormatUint(m.WAL.Size, 10),
		"compactions":    number(m.Compact.Count),
		"format":         strconv.Itoa(formatVersion),
		"durability":     s.options.Durability,
		"namespaces":     strconv.Itoa(s.countNamespaces()),
	}}
	if free < math.MaxInt64/4 {
		h.Facts["disk_free_bytes"] = number(free)
	}
	switch {
	case free < low || s.disk.flushFails.Load() || s.disk.waiting.Load() > 0 || s.clock.Now().UnixMilli()-s.refused.Load() < 2000:
		h.State, h.Message = driver.Degraded, diskFull(s.name).Message
	case s.damage.Load() > 0:
		h.State = driver.Degraded
		h.Message = fmt.Sprintf("damaged data was met %d times since the start and was not served", s.damage.Load())
		h.Facts["damaged"] = number(s.damage.Load())
	}
	return h
}

// Usage tells what a namespace holds, from counters kept with the data.
func (s *store) Usage(_ context.Context, ns prism.Namespace) (driver.Usage, error) {
	if err := s.enter(); err != nil {
		return driver.Usage{}, err
	}
	defer s.leave()
	u := addUsage(s.caches.usage(ns), addUsage(s.workQueues.usage(ns), addUsage(s.streams.usage(ns), s.pubsub.usage(ns))))
	if n := s.findNamespace(ns); n != nil {
		// What has expired counts until it is swept. Asked in this order, the
		// counters are never those from before without a word.
		stale := n.due.Load() <= s.clock.Now().UnixMilli() || n.ending.Load() > 0
		u = addUsage(u, driver.Usage{Keys: n.keys.Load(), Bytes: n.bytes.Load(), Receipts: n.receipts.Load(), Estimated: stale})
	}
	return u, nil
}

// addUsage adds what two models hold.
func addUsage(a, b driver.Usage) driver.Usage {
	return driver.Usage{Keys: a.Keys + b.Keys, Bytes: a.Bytes + b.Bytes, Receipts: a.Receipts + b.Receipts, Estimated: a.Estimated || b.Estimated}
}

// Drop removes all data of a namespace.
func (s *store) Drop(ctx context.Context, ns prism.Namespace) error {
	if err := s.alone(ctx, func(g *group) error { return g.drop(s.namespace(ns)) }); err != nil {
		return err
	}
	s.pubsub.forget(ns)
	return errors.Join(s.caches.drop(ctx, ns), s.workQueues.drop(ctx, ns))
}
