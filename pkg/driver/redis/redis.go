// Package redis keeps data on a Redis server, version 7.0 or later.
//
// Reads are plain commands: a Get is one GET, a batch of them one MGET. Calls that
// come together share a pipeline: see gatherer. Every
// mutation is a script (folder lua), which reads, checks, and writes value,
// receipt and history as one step; the server's clock gives versions and ends
// keys, so any number of gateways agree. What a key's expiry leaves behind, and
// the change that tells of it, is the work of a sweeper on every gateway.
package redis

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// Spec describes the redis driver.
func Spec() driver.Spec {
	return driver.Spec{
		Name: "redis",
		Doc:  "a Redis server, 7.0 or later: key-value, caches, work queues, logs, live events; its own settings say what acked means",
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

	name     string
	options  options
	clock    clock.Clock
	log      *slog.Logger
	client   *redis.Client
	channels string // what our channels begin with
	news     hub
	events   *pubsub
	lobbies  *lobbies
	singles  *gatherer

	// calls is held for reading by each call, for writing by Close.
	calls   sync.RWMutex
	closed  bool
	closing chan struct{}
	once    atomic.Bool
	sweeper sync.WaitGroup
}

// floor is the oldest server that has what the driver uses.
const floor = 7

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
	if err := s.options.check(c.Name); err != nil {
		return driver.Set{}, err
	}
	s.options.fill()
	var err error
	if s.client, err = s.connect(); err != nil {
		return driver.Set{}, err
	}
	s.channels = "p1:" + strconv.Itoa(s.options.DB) + ":"
	s.news.open(s)
	s.events = newPubSub(s)
	s.lobbies = newLobbies(s)
	s.singles = newGatherer(s)
	info, err := s.greet(ctx)
	if err != nil {
		s.singles.close()
		_ = s.client.Close()
		return driver.Set{}, err
	}
	s.sweeper.Go(s.sweep)
	return driver.Fill(info, s, &cache{s}, s.events, &workQueues{s}, &streams{s}), nil
}

// silence keeps the library from writing to standard error; what goes wrong
// comes back as an error.
type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

func (s *store) connect() (*redis.Client, error) {
	redis.SetLogger(silence{})
	if _, err := driver.ReadPassword(s.options.PasswordFile); err != nil {
		return nil, driver.UnusableOption(s.name, "password_file", err)
	}
	secure, err := s.options.TLS.Config()
	if err != nil {
		return nil, driver.UnusableOption(s.name, "tls", err)
	}
	if secure != nil && secure.ServerName == "" {
		secure.ServerName, _, _ = strings.Cut(s.options.Addrs[0], ":")
	}
	o := &redis.Options{
		Network: "tcp", Addr: s.options.Addrs[0], DB: s.options.DB, TLSConfig: secure,
		CredentialsProviderContext: func(context.Context) (string, string, error) {
			password, err := driver.ReadPassword(s.options.PasswordFile)
			return s.options.Username, password, err
		},
		// Whether something is sent again is decided above.
		MaxRetries: -1, DialerRetries: 1,
		DialTimeout: s.options.DialTimeout, ReadTimeout: s.options.Timeout, WriteTimeout: s.options.Timeout,
		ContextTimeoutEnabled: true,
		// One pool, whose bound is the one that was configured.
		PoolSize: s.options.PoolSize, PipelinePoolSize: -1,
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if strings.HasPrefix(o.Addr, "/") {
		o.Network = "unix"
	}
	return redis.NewClient(o), nil
}

// greet asks the server who it is and what its acks are worth. One that does
// not answer is no reason for a gateway not to start: calls say so until it is
// there. What only a person can mend is.
func (s *store) greet(ctx context.Context) (driver.Info, error) {
	info := driver.Info{Driver: "redis", Durability: "not known: the server did not answer when the gateway opened it"}
	server, err := s.ask(ctx)
	switch {
	case errors.Is(err, prism.ReasonBackendUnavailable), errors.Is(err, prism.ReasonDeadlineExceeded):
		s.log.Warn("the server does not answer; calls fail until it does", "error", err)
		return info, nil
	case err != nil:
		return info, err
	}
	if major, _ := strconv.Atoi(before(server["redis_version"], ".")); major < floor {
		return info, prism.New(prism.ReasonFailedPrecond, "backend %q is Redis %s; this driver needs %d.0 or later", s.name, server["redis_version"], floor).WithBackend(s.name)
	}
	if server["cluster_enabled"] == "1" {
		return info, prism.New(prism.ReasonFailedPrecond, "backend %q is part of a Redis Cluster; this driver speaks to a single server", s.name).WithBackend(s.name)
	}
	info.Durability, info.Durable = durability(server)
	if err := loadScripts(ctx, s.client); err != nil {
		return info, s.classify(ctx, err)
	}
	return info, nil
}

func before(s, sep string) string {
	head, _, _ := strings.Cut(s, sep)
	return head
}

// ask reads the server's facts: those of INFO, and the settings that it tells.
func (s *store) ask(ctx context.Context) (map[string]string, error) {
	text, err := s.client.Info(ctx).Result()
	if err != nil {
		return nil, s.classify(ctx, err)
	}
	facts := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			facts[name] = value
		}
	}
	// A managed server may keep its settings to itself.
	if settings, err := s.client.ConfigGet(ctx, "append*").Result(); err == nil {
		facts["appendfsync"] = settings["appendfsync"]
	}
	if settings, err := s.client.ConfigGet(ctx, "save").Result(); err == nil {
		facts["save"], facts["save_known"] = settings["save"], "1"
	}
	return facts, nil
}

// durability says in words what the server's settings make of an ack.
func durability(server map[string]string) (text string, durable bool) {
	switch {
	case server["aof_enabled"] == "1" && server["appendfsync"] == "always":
		text, durable = "acked means fsynced to the server's append-only file (appendfsync always)", true
	case server["aof_enabled"] == "1" && server["appendfsync"] == "everysec":
		text = "acked means in the server's memory; its append-only file is fsynced about once a second (appendfsync everysec): a crash of the machine may take the last second or two"
	case server["aof_enabled"] == "1" && server["appendfsync"] == "no":
		text = "acked means in the server's memory; its append-only file reaches the disk when the system likes (appendfsync no): a crash of the machine may take half a minute and more"
	case server["aof_enabled"] == "1":
		text = "acked means in the server's memory; it keeps an append-only file, and does not tell how often that is fsynced"
	case server["save"] != "":
		text = "acked means in the server's memory; it takes snapshots now and then (save " + server["save"] + "): a crash takes all that came after the last"
	case server["save_known"] == "1":
		text = "acked means in the server's memory, which it writes nowhere: its restart loses everything"
	default:
		text = "acked means in the server's memory; it keeps no append-only file, and does not tell whether it takes snapshots"
	}
	if policy := server["maxmemory_policy"]; server["maxmemory"] != "0" && policy != "" && policy != "noeviction" {
		text += "; when its memory is full it drops data to make room (maxmemory-policy " + policy + ")"
		durable = false
	}
	return text, durable
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

// busyPool is the part of the pool that is in use when there is little left.
const busyPool = 0.9

// Health asks the server and looks at the pool.
func (s *store) Health(ctx context.Context) driver.Health {
	if err := s.enter(ctx); err != nil {
		return driver.Health{State: driver.Unhealthy, Message: err.Error()}
	}
	defer s.leave()
	pool := s.client.PoolStats()
	used := int(pool.TotalConns) - int(pool.IdleConns)
	h := driver.Health{State: driver.Healthy, Facts: map[string]string{
		"pool_size": strconv.Itoa(s.options.PoolSize), "pool_in_use": strconv.Itoa(used),
		"pool_timeouts": strconv.FormatUint(uint64(pool.Timeouts), 10),
	}}
	if err := s.client.Ping(ctx).Err(); err != nil {
		h.State, h.Message = driver.Unhealthy, s.classify(ctx, err).Error()
		return h
	}
	if float64(used) >= busyPool*float64(s.options.PoolSize) {
		h.State, h.Message = driver.Degraded, "nearly all connections of the pool are in use"
	}
	server, err := s.ask(ctx)
	if err != nil {
		return h // it may be forbidden to ask
	}
	for fact, name := range map[string]string{
		"redis_version": "redis_version", "role": "role", "memory_bytes": "used_memory", "memory_max_bytes": "maxmemory",
		"eviction": "maxmemory_policy", "aof_enabled": "aof_enabled", "appendfsync": "appendfsync", "evicted_keys": "evicted_keys",
	} {
		if v := server[name]; v != "" {
			h.Facts[fact] = v
		}
	}
	h.Durability, h.Durable = durability(server)
	h.Facts["durability"] = h.Durability
	switch {
	case server["role"] == "slave":
		h.State, h.Message = driver.Degraded, "the server is a replica and takes no writes"
	case server["aof_last_write_status"] == "err":
		h.State, h.Message = driver.Degraded, "the server cannot write its append-only file"
	}
	return h
}

// Usage counts keys of key-value, those that have ended and are not swept yet
// too, and estimates the entries of a cache.
func (s *store) Usage(ctx context.Context, ns prism.Namespace) (driver.Usage, error) {
	if err := s.enter(ctx); err != nil {
		return driver.Usage{}, err
	}
	defer s.leave()
	p := prefix(ns)
	pipe := s.client.Pipeline()
	keys, bytes := pipe.ZCard(ctx, p+kindIndex), pipe.HGet(ctx, p+kindMeta, "b")
	receipts, ofCache := pipe.ZCard(ctx, p+kindOrder), pipe.ZCard(ctx, p+kindCacheOrder)
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return driver.Usage{}, s.classify(ctx, err)
	}
	n, _ := bytes.Int64()
	u := driver.Usage{Keys: keys.Val(), Bytes: max(n, 0), Receipts: receipts.Val() + ofCache.Val(), Estimated: true}
	if err := s.usageOfLines(ctx, ns, &u); err != nil {
		return driver.Usage{}, err
	}
	if u.Keys == 0 {
		err := s.sampleCache(ctx, p, &u)
		return u, s.classify(ctx, err)
	}
	return u, nil
}

// dropStep is how many keys are looked at in one round.
const dropStep = 1000

// Drop removes every key of a namespace, wherever it is from. One small key
// stays and remembers which versions are used up.
func (s *store) Drop(ctx context.Context, ns prism.Namespace) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	used, err := s.dropLines(ctx, ns)
	if err != nil {
		return err
	}
	p := prefix(ns)
	for cursor := uint64(0); ; {
		keys, next, err := s.client.Scan(ctx, cursor, literal(p)+"*", dropStep).Result()
		if err != nil {
			return s.classify(ctx, err)
		}
		gone := keys[:0]
		for _, k := range keys {
			if k != p+kindMeta {
				gone = append(gone, k)
			}
		}
		if len(gone) > 0 {
			if err := s.client.Unlink(ctx, gone...).Err(); err != nil {
				return s.classify(ctx, err)
			}
		}
		if cursor = next; cursor == 0 {
			break
		}
	}
	return s.classify(ctx, s.run(ctx, dropScript, []string{p + kindMeta, dueKey}, p, s.channel(p), used).Err())
}

// sweepEvery is how late an expiry is told of at most, while all goes well.
const sweepEvery = 250 * time.Millisecond

// sweep does what is due, on every gateway: who comes first does it.
func (s *store) sweep() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	failing := false
	var lines time.Time
	for {
		timer := s.clock.NewTimer(sweepEvery)
		select {
		case <-timer.C:
		case <-s.closing:
			timer.Stop()
			return
		}
		err := s.sweepDue(ctx)
		if now := s.clock.Now(); err == nil && now.Sub(lines) >= linesEvery {
			s.lobbies.tidy()
			lines, err = now, s.sweepLines(ctx)
		}
		if err != nil && !failing {
			s.log.Warn("expired keys are not told of while the server does not do what it is asked", "error", err)
		}
		failing = err != nil
	}
}

func (s *store) sweepDue(ctx context.Context) error {
	now, err := s.client.Time(ctx).Result()
	if err != nil {
		return s.classify(ctx, err)
	}
	due, err := s.client.ZRangeArgs(ctx, redis.ZRangeArgs{
		Key: dueKey, ByScore: true, Start: "-inf", Stop: now.UnixMilli(), Count: 1000,
	}).Result()
	if err != nil {
		return s.classify(ctx, err)
	}
	for _, p := range due {
		for more := true; more; {
			if more, err = s.sweepOne(ctx, p); err != nil {
				return err
			}
			select {
			case <-s.closing:
				return nil
			default:
			}
		}
	}
	return nil
}

// sweepOne does part of what is due in the namespace with a prefix.
func (s *store) sweepOne(ctx context.Context, p string) (more bool, err error) {
	n, err := s.run(ctx, sweepScript, []string{p + kindMeta, dueKey}, s.common(p, driver.HistoryAge.Microseconds())...).Int()
	return n == 1, s.classify(ctx, err)
}

// common are the arguments that every script of a namespace has, and more.
func (s *store) common(p string, more ...any) []any {
	return append([]any{p, s.channel(p), s.options.History, s.options.Receipts}, more...)
}
