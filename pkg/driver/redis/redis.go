// Package redis keeps data on Redis, version 7.0 or later: on a single server, on one
// that sentinels watch, or on a cluster.
//
// Reads are plain commands: a Get is one GET, a batch of them one MGET. Calls that
// come together share a pipeline: see gatherer. Every
// mutation is a script (folder lua), which reads, checks, and writes value,
// receipt and history as one step; the server's clock gives versions and ends
// keys, so any number of gateways agree. What a key's expiry leaves behind, and
// the change that tells of it, is the work of a sweeper on every gateway.
//
// On a cluster a namespace is spread over buckets, each of which is to the scripts
// what a whole namespace is on a single server.
package redis

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// Spec describes the redis driver.
func Spec() driver.Spec {
	return driver.Spec{
		Name: "redis",
		Doc:  "Redis, 7.0 or later, a server, one behind sentinels, or a cluster: key-value, caches, work queues, logs, live events; its own settings say what acked means",
		Open: open,
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
	_ driver.KeyValueMove          = (*store)(nil)
)

type store struct {
	driver.Mutations

	name    string
	options options
	clock   clock.Clock
	log     *slog.Logger

	mode    string
	client  redis.UniversalClient // one of the two below
	node    *redis.Client         // of a single server, or of the master that sentinels tell of
	cluster *redis.ClusterClient
	spread  bool        // namespaces lie in many slots
	slots   *slots      // of a cluster
	unsure  atomic.Bool // the server has not said yet whether it is part of a cluster

	channels string // what our channels begin with
	news     hub
	events   *pubsub
	lobbies  *lobbies
	// partitions of topics by what their keys begin with, on a cluster.
	partitions sync.Map
	singles    *gatherers

	// calls is held for reading by each call, for writing by Close.
	calls   sync.RWMutex
	closed  bool
	closing chan struct{}
	once    atomic.Bool
	sweeper sync.WaitGroup
}

func open(ctx context.Context, c driver.Config) (driver.Set, error) {
	s := &store{name: c.Name, clock: c.Clock, log: c.Log, closing: make(chan struct{})}
	s.Mutations = s.do
	if s.clock == nil {
		s.clock = clock.Real()
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if err := c.Decode(&s.options); err != nil {
		return driver.Set{}, err
	}
	s.options.fill()
	if err := s.options.check(c.Name); err != nil {
		return driver.Set{}, err
	}
	if err := s.connect(ctx); err != nil {
		return driver.Set{}, err
	}
	s.channels = "p1:" + strconv.Itoa(s.options.DB) + ":"
	s.news.open(s)
	s.events = newPubSub(s)
	s.lobbies = newLobbies(s)
	s.singles = newGatherers(s)
	info, err := s.greet(ctx)
	if err != nil {
		s.singles.close()
		_ = s.client.Close()
		return driver.Set{}, err
	}
	s.sweeper.Go(s.sweep)
	set := driver.Fill(info, s, &cache{s}, s.events, &workQueues{s}, &streams{s})
	if s.spread {
		s.log.Info("a namespace on this backend has less than on a single server", "backend", s.name, "lacks", needsOnePlace, "why", notInOnePlace)
		set.Info.Missing = lacking()
		set = set.Without(needsOnePlace...)
	}
	return set, nil
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
	if s.unsure.Load() {
		if err := s.settle(ctx); err != nil {
			s.calls.RUnlock()
			return err
		}
	}
	return nil
}

func (s *store) leave() { s.calls.RUnlock() }

// Close waits for calls in flight; watches end.
func (s *store) Close() error {
	if s.once.Swap(true) {
		return nil
	}
	close(s.closing)
	s.sweeper.Wait()
	s.calls.Lock()
	s.closed = true
	s.calls.Unlock()
	s.singles.close()
	s.news.close()
	s.events.close()
	if err := s.client.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return s.classify(context.Background(), err)
	}
	return nil
}

// Usage counts keys of key-value, those that have ended and are not swept yet
// too, and estimates the entries of a cache.
func (s *store) Usage(ctx context.Context, ns prism.Namespace) (driver.Usage, error) {
	if err := s.enter(ctx); err != nil {
		return driver.Usage{}, err
	}
	defer s.leave()
	homes := s.homes(ns)
	type counts struct{ keys, bytes, receipts, ofCache *redis.IntCmd }
	pipe := s.client.Pipeline()
	all := make([]counts, len(homes))
	for i, p := range homes {
		// The bytes stand in a field of the meta; a missing one is no number.
		all[i] = counts{keys: pipe.ZCard(ctx, p+kindIndex), receipts: pipe.ZCard(ctx, p+kindOrder), ofCache: pipe.ZCard(ctx, p+kindCacheOrder)}
		all[i].bytes = redis.NewIntCmd(ctx, "hget", p+kindMeta, "b")
		_ = pipe.Process(ctx, all[i].bytes)
	}
	if _, err := pipe.Exec(ctx); err != nil && !missing(err) {
		return driver.Usage{}, s.classify(ctx, err)
	}
	u := driver.Usage{Estimated: true}
	for _, c := range all {
		u.Keys += c.keys.Val()
		u.Bytes += c.bytes.Val()
		u.Receipts += c.receipts.Val() + c.ofCache.Val()
	}
	u.Bytes = max(u.Bytes, 0)
	if err := s.usageOfLines(ctx, ns, &u); err != nil {
		return driver.Usage{}, err
	}
	if u.Keys == 0 {
		err := s.sampleCache(ctx, ns, &u)
		return u, s.classify(ctx, err)
	}
	return u, nil
}
