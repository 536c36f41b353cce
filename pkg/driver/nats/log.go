package nats

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/broker"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// An eventLog is the stream of a namespace, whose numbers have no gap, and the
// bucket with its names. The stream's subject has the epoch in it: a gateway
// that knows an earlier one finds nobody there.
type eventLog struct {
	store  *store
	ns     prism.Namespace
	epoch  uint64
	stream jetstream.Stream
	names  jetstream.KeyValue

	trimming sync.Mutex
	floor    atomic.Uint64 // what is gone for sure
}

// receiptsFor is how long JetStream knows a receipt again. It keeps no message
// for longer than that, should no gateway trim the log.
const receiptsFor = 24 * time.Hour

func (s *store) streamConfig(ns prism.Namespace) jetstream.StreamConfig {
	epoch := max(rand.Uint64(), 1)
	return jetstream.StreamConfig{
		Name:     s.streamName(ns),
		Subjects: []string{s.logSubject(ns, epoch, ">")},
		// Every event that is kept, and no other, reaches live subscriptions.
		RePublish: &jetstream.RePublish{Source: s.logSubject(ns, epoch, ">"), Destination: s.liveSubject(ns, ">")},
		Storage:   jetstream.FileStorage,
		Replicas:  s.options.Replicas,
		MaxAge:    max(receiptsFor, 2*s.options.Age), Duplicates: receiptsFor,
	}
}

// find gives the log of a namespace as it is now. Without one it is made, or
// nil if create is false.
func (s *store) find(ctx context.Context, ns prism.Namespace, create bool) (*eventLog, broker.Extent, error) {
	stream, err := s.js.Stream(ctx, s.streamName(ns))
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if !create {
			s.forget(ns)
			return nil, broker.Extent{}, nil
		}
		stream, err = s.js.CreateStream(ctx, s.streamConfig(ns))
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another gateway was first
			stream, err = s.js.Stream(ctx, s.streamName(ns))
		}
	}
	if err != nil {
		return nil, broker.Extent{}, err
	}
	info := stream.CachedInfo()
	epoch, err := epochOf(info.Config.Subjects)
	if err != nil {
		return nil, broker.Extent{}, err
	}
	extent := broker.Extent{Epoch: epoch, Floor: max(info.State.FirstSeq, 1) - 1, Last: info.State.LastSeq}
	if l := s.known(ns); l != nil && l.epoch == epoch {
		return l, extent, nil
	}
	l := &eventLog{store: s, ns: ns, epoch: epoch, stream: stream}
	l.floor.Store(extent.Floor)
	if l.names, err = s.js.KeyValue(ctx, s.bucketName(ns)); errors.Is(err, jetstream.ErrBucketNotFound) {
		l.names, err = s.js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: s.bucketName(ns), Storage: jetstream.FileStorage, Replicas: s.options.Replicas})
		if errors.Is(err, jetstream.ErrBucketExists) {
			l.names, err = s.js.KeyValue(ctx, s.bucketName(ns))
		}
	}
	if err != nil {
		return nil, broker.Extent{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if other := s.logs[ns]; other != nil && other.epoch == epoch {
		return other, extent, nil
	}
	s.logs[ns] = l
	return l, extent, nil
}

func (s *store) known(ns prism.Namespace) *eventLog {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logs[ns]
}

func (s *store) forget(ns prism.Namespace) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.logs, ns)
}

// endDropped ends the replays of a namespace that is dropped.
func (s *store) endDropped(ns prism.Namespace) {
	s.mu.Lock()
	var ended []*reader
	for x := range s.streams {
		if r, ok := x.(*reader); ok && r.log.ns == ns {
			ended = append(ended, r)
		}
	}
	s.mu.Unlock()
	for _, r := range ended {
		r.end(broker.Compacted())
	}
}

// before is the last event of an extent that was taken in before a time.
func (l *eventLog) before(ctx context.Context, e broker.Extent, at time.Time) (uint64, error) {
	low, high := e.Floor, e.Last // low was before, what is after high was not
	for low < high {
		middle := low + (high-low+1)/2
		m, err := l.stream.GetMsg(ctx, middle)
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound): // gone meanwhile, so it was old
			low = middle
		case err != nil:
			return 0, err
		case m.Time.Before(at):
			low = middle
		default:
			high = middle - 1
		}
	}
	return low, nil
}

// trim drops all up to an event, after the names that it is nothing to have
// been moved past it.
func (l *eventLog) trim(ctx context.Context, upTo uint64) error {
	if !l.trimming.TryLock() {
		return nil // somebody does
	}
	defer l.trimming.Unlock()
	floor := l.floor.Load()
	if upTo <= floor {
		return nil
	}
	names, err := l.list(ctx)
	if err != nil {
		return err
	}
	for _, n := range names {
		if n.at() < upTo {
			if err := l.pass(ctx, string(n.Name), n, upTo); err != nil {
				return err
			}
		}
	}
	if err := l.stream.Purge(ctx, jetstream.WithPurgeSequence(upTo+1)); err != nil {
		return err
	}
	l.floor.Store(upTo)
	return nil
}

// pass moves a name to the event before the next that it follows.
func (l *eventLog) pass(ctx context.Context, name string, n *record, upTo uint64) error {
	to := upTo
	next, err := l.stream.GetMsg(ctx, n.at()+1, jetstream.WithGetMsgSubject(l.store.logSubject(l.ns, l.epoch, n.Pattern)))
	switch {
	case err == nil:
		to = min(upTo, next.Sequence-1)
	case !errors.Is(err, jetstream.ErrMsgNotFound):
		return err
	}
	before := n.at()
	if to == before {
		return nil
	}
	// Had another gateway trimmed what it owes, the next would be a later one.
	_, extent, err := l.store.find(ctx, l.ns, false)
	if err != nil || extent.Epoch != l.epoch || extent.Floor > before {
		return err
	}
	err = l.change(ctx, name, func(n *record) (bool, error) {
		if n.at() < before || n.at() >= to {
			return false, nil
		}
		n.Start = to
		return true, nil
	})
	if errors.Is(err, prism.ReasonNotFound) {
		return nil
	}
	return err
}

// slack is how much more than the bound is kept for a while, so that not every
// publish trims.
func slack(events int64) uint64 { return max(uint64(events)/10, 1) }

// published trims if the log has grown over its bound.
func (l *eventLog) published(ctx context.Context, last uint64) {
	bound := uint64(l.store.options.Events)
	if last < bound || last-l.floor.Load() < bound+slack(l.store.options.Events) {
		return
	}
	if err := l.trim(ctx, last-bound); err != nil {
		l.store.log.Warn("a log is not trimmed", "namespace", l.ns, "error", err)
	}
}

// sweepEvery is how late an event goes of age at most.
const sweepEvery = time.Minute

// sweep drops events of age from the logs that this gateway has used.
func (s *store) sweep(ctx context.Context) {
	for {
		timer := s.clock.NewTimer(min(sweepEvery, s.options.Age/4))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		s.mu.Lock()
		logs := make([]*eventLog, 0, len(s.logs))
		for _, l := range s.logs {
			logs = append(logs, l)
		}
		s.mu.Unlock()
		for _, l := range logs {
			if err := l.sweep(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn("a log is not swept", "namespace", l.ns, "error", err)
			}
		}
	}
}

func (l *eventLog) sweep(ctx context.Context) error {
	if !l.store.conn.IsConnected() {
		return nil
	}
	ctx, cancel := l.store.bound(ctx)
	defer cancel()
	now, extent, err := l.store.find(ctx, l.ns, false)
	if now == nil || err != nil {
		return err
	}
	upTo, err := now.before(ctx, extent, l.store.clock.Now().Add(-l.store.options.Age))
	if err != nil || upTo <= extent.Floor {
		return err
	}
	return now.trim(ctx, upTo)
}

// start is the event that a new replay begins after.
func (l *eventLog) start(ctx context.Context, e broker.Extent, s driver.ReplayStart) (uint64, error) {
	switch {
	case s.Earliest:
		return e.Floor, nil
	case s.After != nil:
		return e.Number(s.After)
	case !s.Time.IsZero():
		return l.before(ctx, e, s.Time)
	}
	return e.Last, nil
}
