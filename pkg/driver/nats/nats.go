// Package nats delivers events over a NATS server, version 2.9 or later.
//
// A live event is a message, a subscription is one of the server's, a group is
// a queue group. Persistent events are kept in a JetStream stream per namespace,
// which gives out what it has kept to live subscriptions; names, and what they
// acknowledged, are in a bucket beside it. So any number of gateways agree.
//
// One connection carries all of a gateway: what it writes first is first to
// every subscription. When it breaks, subscriptions and replays end with
// UNAVAILABLE, since the server does not keep what they miss.
package nats

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// Spec describes the nats driver.
func Spec() driver.Spec {
	return driver.Spec{
		Name: "nats",
		Doc:  "a NATS server, 2.9 or later: publish and subscribe, with JetStream persistent events too",
		Open: open,
	}
}

var (
	_ driver.Store            = (*store)(nil)
	_ driver.PubSub           = (*store)(nil)
	_ driver.PubSubWildcards  = (*store)(nil)
	_ driver.PubSubGroups     = (*store)(nil)
	_ driver.PubSubFiltering  = (*store)(nil)
	_ driver.PubSubOrdering   = (*store)(nil)
	_ driver.PubSubPersistent = (*store)(nil)
)

type store struct {
	name    string
	options options
	clock   clock.Clock
	log     *slog.Logger
	conn    *nats.Conn
	keeps   bool // JetStream, as far as is known
	js      jetstream.JetStream

	// calls is held for reading by each call, for writing by Close.
	calls   sync.RWMutex
	closed  bool
	stop    context.CancelFunc // of the sweeper
	once    atomic.Bool
	sweeper sync.WaitGroup

	mu      sync.Mutex
	streams map[stream]struct{} // what ends with the connection
	logs    map[prism.Namespace]*eventLog
}

// A stream is a subscription or a replay.
type stream interface{ end(why error) }

func open(ctx context.Context, c driver.Config) (driver.Set, error) {
	s := &store{
		name: c.Name, clock: c.Clock, log: c.Log, stop: func() {},
		streams: map[stream]struct{}{}, logs: map[prism.Namespace]*eventLog{},
	}
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
	if err := s.connect(); err != nil {
		return driver.Set{}, err
	}
	info, err := s.greet(ctx)
	if err != nil {
		s.conn.Close()
		return driver.Set{}, err
	}
	set := driver.Fill(info, s)
	if !s.keeps {
		return set.Without("pubsub_persistent"), nil
	}
	var sweeping context.Context
	sweeping, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	s.sweeper.Go(func() { s.sweep(sweeping) })
	return set, nil
}

// reconnectWait is how long the library waits between two attempts.
const reconnectWait = 250 * time.Millisecond

// pendingAcks bounds what waits for JetStream's answer on all calls together;
// what callers may send at once is bounded above.
const pendingAcks = 1 << 20

func (s *store) connect() error {
	o := []nats.Option{
		nats.Name("prism"),
		nats.Timeout(s.options.Timeout),
		nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort(), // a password may be on its way
		nats.ReconnectWait(reconnectWait), nats.ReconnectJitter(reconnectWait/4, reconnectWait/4),
		nats.ReconnectBufSize(-1), // whether something is sent again is decided above
		nats.PingInterval(10 * time.Second), nats.MaxPingsOutstanding(2),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { s.broken(err) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			s.log.Warn("the server refuses something", "error", err)
		}),
	}
	if s.options.Username != "" {
		if _, err := driver.ReadPassword(s.options.PasswordFile); err != nil {
			return driver.UnusableOption(s.name, "password_file", err)
		}
		// Read anew for each connection, so that a changed password needs no restart.
		o = append(o, nats.UserInfoHandler(func() (string, string) {
			password, err := driver.ReadPassword(s.options.PasswordFile)
			if err != nil {
				s.log.Warn("the password cannot be read", "error", err)
			}
			return s.options.Username, password
		}))
	}
	if s.options.CredsFile != "" {
		o = append(o, nats.UserCredentials(s.options.CredsFile))
	}
	if s.options.TLS.Enabled {
		secure, err := s.options.TLS.Config()
		if err != nil {
			return driver.UnusableOption(s.name, "tls", err)
		}
		o = append(o, nats.Secure(secure))
	}
	servers := strings.Join(s.options.Servers, ",")
	var err error
	s.conn, err = nats.Connect(servers, o...)
	if refused(err) {
		return s.classify(context.Background(), err)
	}
	if err != nil { // what a person need not mend is tried again and again
		s.conn, err = nats.Connect(servers, append(o, nats.RetryOnFailedConnect(true))...)
	}
	if err != nil {
		return driver.UnusableOption(s.name, "servers", err)
	}
	if s.js, err = jetstream.New(s.conn, jetstream.WithDefaultTimeout(s.options.Timeout), jetstream.WithPublishAsyncMaxPending(pendingAcks)); err != nil {
		s.conn.Close()
		return prism.Internal(err).WithBackend(s.name)
	}
	return nil
}

// unknown is said of a server that did not answer.
const unknown = "not known: the server did not answer when the gateway opened it"

// greet asks the server what it has. One that does not answer is no reason for
// a gateway not to start: calls say so until it is there.
func (s *store) greet(ctx context.Context) (info driver.Info, err error) {
	info, s.keeps = driver.Info{Driver: "nats", Durability: unknown}, true
	if err := s.flush(ctx); err != nil {
		s.log.Warn("the server does not answer; calls fail until it does", "error", err)
		return info, nil
	}
	if v := s.conn.ConnectedServerVersion(); older(v) {
		return info, prism.New(prism.ReasonFailedPrecond, "backend %q is NATS %s; this driver needs 2.9 or later", s.name, v).WithBackend(s.name)
	}
	if small := s.small(); small != "" {
		s.log.Warn(small)
	}
	switch _, err := s.account(ctx); {
	case errors.Is(err, prism.ReasonFailedPrecond):
		s.keeps = false
		info.Durability = "nothing is kept: the server has no JetStream, and its live events go to who listens"
		info.Missing = map[string]string{"pubsub_persistent": "the server has no JetStream"}
	case err != nil:
		s.log.Warn("JetStream does not answer", "error", err)
	default:
		info.Durability = s.durability()
	}
	return info, nil
}

// older reports whether a version is before 2.9.
func older(version string) bool {
	var major, minor int
	if n, _ := fmt.Sscanf(version, "%d.%d", &major, &minor); n < 2 {
		return false
	}
	return major < 2 || major == 2 && minor < 9
}

// durability says what an ack of JetStream is worth. Its sync_interval is not
// told to clients.
func (s *store) durability() string {
	text := "acked means written to the file of JetStream, which the server fsyncs every two minutes unless its sync_interval says otherwise: a crash of the server's process loses nothing, one of its machine may take what came since the last"
	if s.options.Replicas > 1 {
		text = fmt.Sprintf("acked means with a majority of %d servers; each has ", s.options.Replicas) + strings.TrimPrefix(text, "acked means ")
	}
	return text
}

// largest is the largest event with all that belongs to it.
const largest = prism.MaxValueBytes + 128<<10

// small says so when the server's max_payload is below what events may have.
func (s *store) small() string {
	if have := s.conn.MaxPayload(); have < largest {
		return fmt.Sprintf("the server takes messages of at most %d bytes: larger events are refused (set its max_payload to %d or more)", have, largest)
	}
	return ""
}

func (s *store) account(ctx context.Context) (*jetstream.AccountInfo, error) {
	bound, cancel := s.bound(ctx)
	defer cancel()
	a, err := s.js.AccountInfo(bound)
	if err != nil {
		return nil, s.classify(ctx, err)
	}
	return a, nil
}

// bound gives a call the end that it needs.
func (s *store) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.options.Timeout)
}

// flush waits until the server has taken all that was written.
func (s *store) flush(ctx context.Context) error {
	if !s.conn.IsConnected() {
		return s.unavailable()
	}
	bound, cancel := s.bound(ctx)
	defer cancel()
	return s.classify(ctx, s.conn.FlushWithContext(bound))
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
	if !s.conn.IsConnected() {
		s.calls.RUnlock()
		return s.unavailable()
	}
	return nil
}

func (s *store) leave() { s.calls.RUnlock() }

func (s *store) register(x stream) {
	s.mu.Lock()
	s.streams[x] = struct{}{}
	s.mu.Unlock()
}

func (s *store) unregister(x stream) {
	s.mu.Lock()
	delete(s.streams, x)
	s.mu.Unlock()
}

// broken ends what depends on a connection that is gone.
func (s *store) broken(err error) {
	if err != nil {
		s.log.Warn("the connection broke", "error", err)
	}
	s.endAll(s.lost())
}

func (s *store) endAll(why error) {
	s.mu.Lock()
	ended := s.streams
	s.streams = map[stream]struct{}{}
	s.mu.Unlock()
	for x := range ended {
		x.end(why)
	}
}

// Close waits for calls in flight; subscriptions and replays end.
func (s *store) Close() error {
	if s.once.Swap(true) {
		return nil
	}
	s.stop()
	s.sweeper.Wait()
	s.calls.Lock()
	s.closed = true
	s.calls.Unlock()
	s.endAll(s.closedError())
	s.conn.Close()
	return nil
}

// Health asks the server.
func (s *store) Health(ctx context.Context) driver.Health {
	if err := s.enter(ctx); err != nil {
		return driver.Health{State: driver.Unhealthy, Message: err.Error()}
	}
	defer s.leave()
	begin := time.Now()
	if err := s.flush(ctx); err != nil {
		return driver.Health{State: driver.Unhealthy, Message: err.Error()}
	}
	s.mu.Lock()
	streams := len(s.streams)
	s.mu.Unlock()
	h := driver.Health{State: driver.Healthy, Facts: map[string]string{
		"nats_version": s.conn.ConnectedServerVersion(), "server": s.conn.ConnectedServerName(),
		"round_trip": time.Since(begin).Round(time.Microsecond).String(), "max_payload_bytes": strconv.FormatInt(s.conn.MaxPayload(), 10),
		"streams": strconv.Itoa(streams), "reconnects": strconv.FormatUint(s.conn.Stats().Reconnects, 10),
	}}
	if small := s.small(); small != "" {
		h.State, h.Message = driver.Degraded, small
	}
	a, err := s.account(ctx)
	switch {
	case errors.Is(err, prism.ReasonFailedPrecond):
		h.Facts["jetstream"] = "no"
	case err != nil:
		h.State, h.Message = driver.Degraded, "JetStream does not answer"
	default:
		h.Facts["jetstream"], h.Facts["disk_bytes"] = "yes", strconv.FormatUint(a.Store, 10)
	}
	return h
}

// Usage counts the events that are kept. Receipts are in them.
func (s *store) Usage(ctx context.Context, ns prism.Namespace) (driver.Usage, error) {
	if err := s.enter(ctx); err != nil {
		return driver.Usage{}, err
	}
	defer s.leave()
	if !s.keeps {
		return driver.Usage{}, nil
	}
	bound, cancel := s.bound(ctx)
	defer cancel()
	log, err := s.js.Stream(bound, s.streamName(ns))
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return driver.Usage{}, nil
	case err != nil:
		return driver.Usage{}, s.classify(ctx, err)
	}
	state := log.CachedInfo().State
	return driver.Usage{Keys: int64(state.Msgs), Bytes: int64(state.Bytes)}, nil
}

// Drop removes the log and the names. Readers elsewhere end when they notice.
func (s *store) Drop(ctx context.Context, ns prism.Namespace) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	if !s.keeps {
		return nil
	}
	bound, cancel := s.bound(ctx)
	defer cancel()
	s.forget(ns)
	s.endDropped(ns)
	err := s.js.DeleteStream(bound, s.streamName(ns))
	if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return s.classify(ctx, err)
	}
	if err := s.js.DeleteKeyValue(bound, s.bucketName(ns)); err != nil && !errors.Is(err, jetstream.ErrBucketNotFound) && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return s.classify(ctx, err)
	}
	return nil
}
