package pubsub

import (
	"context"
	"crypto/rand"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// ErrUnsubscribed is the end of a stream that somebody asked for.
var ErrUnsubscribed = errors.New("unsubscribed")

// A Request says what to follow.
type Request struct {
	Pattern     string
	Group       string
	Filter      Filter
	Pending     int // 0: DefaultPending; more than MaxPending is MaxPending
	Slow        SlowPolicy
	DurableName string
	Start       *Start // with it or a durable name, persistent events are followed
	AutoAck     bool
}

// Start is where a replay begins: the zero value with the next event.
type Start struct {
	Earliest bool
	After    string
	Time     time.Time
}

// A Subscription is one open stream.
type Subscription struct {
	ID        string
	Pattern   string
	Group     string
	Durable   string
	Principal string
	CreatedAt time.Time

	store   *Store
	ctx     context.Context // ends with the stream, and with why
	cancel  context.CancelCauseFunc
	live    driver.Subscriber
	replay  driver.Replayer
	acker   *acker
	sent    atomic.Int64
	dropped atomic.Int64
}

// A Batch is what a stream carries at once.
type Batch struct {
	Events   []Event
	Position string // after them, of a replay
	Dropped  int64

	at driver.Position
}

// Subscribe opens a stream that lasts as long as ctx.
func (s *Store) Subscribe(ctx context.Context, principal string, r Request) (*Subscription, error) {
	if err := s.checkRequest(&r); err != nil {
		return nil, err
	}
	sub := &Subscription{
		ID: "sub_" + rand.Text(), Pattern: r.Pattern, Group: r.Group, Durable: r.DurableName,
		Principal: principal, CreatedAt: s.clock.Now(), store: s,
	}
	sub.ctx, sub.cancel = context.WithCancelCause(ctx)
	if err := sub.begin(r); err != nil {
		sub.cancel(nil)
		return nil, err
	}
	s.registry.add(s.ns, sub)
	return sub, nil
}

// begin takes the backend's way for what is asked.
func (sub *Subscription) begin(r Request) (err error) {
	s := sub.store
	if r.DurableName != "" || r.Start != nil {
		replay := driver.Replay{Name: r.DurableName, Pattern: r.Pattern, Filter: r.Filter}
		if st := r.Start; st != nil {
			replay.Start = driver.ReplayStart{Earliest: st.Earliest, Time: st.Time}
			if st.After != "" {
				if replay.Start.After, err = s.open("after", st.After); err != nil {
					return err
				}
			}
		}
		if sub.replay, err = s.set.PubSubPersistent.Replay(sub.ctx, s.ns, replay); err == nil && r.AutoAck {
			sub.acker = newAcker(sub)
		}
		return err
	}
	live := driver.Subscription{Pattern: r.Pattern, Filter: r.Filter, Pending: r.Pending, Slow: r.Slow}
	switch {
	case r.Group != "":
		sub.live, err = s.set.PubSubGroups.SubscribeGroup(sub.ctx, s.ns, r.Group, live)
	case len(r.Filter) > 0:
		sub.live, err = s.set.PubSubFiltering.SubscribeFiltered(sub.ctx, s.ns, live)
	case wild(r.Pattern):
		sub.live, err = s.set.PubSubWildcards.SubscribePattern(sub.ctx, s.ns, live)
	default:
		sub.live, err = s.set.PubSub.Subscribe(sub.ctx, s.ns, live)
	}
	return err
}

func wild(pattern string) bool { return strings.ContainsAny(pattern, "*>") }

// checkRequest says what the backend lacks, or what is wrong, and fills in
// defaults. Fields of their own are the wire's to check.
func (s *Store) checkRequest(r *Request) error {
	replays := r.DurableName != "" || r.Start != nil || r.AutoAck
	for _, need := range [...]struct {
		asked bool
		has   bool
		name  string
	}{
		{true, s.set.PubSub != nil, "pubsub_basic"},
		{wild(r.Pattern), s.set.PubSubWildcards != nil, "pubsub_wildcards"},
		{r.Group != "", s.set.PubSubGroups != nil, "pubsub_groups"},
		{len(r.Filter) > 0, s.set.PubSubFiltering != nil, "pubsub_filtering"},
		{replays, s.set.PubSubPersistent != nil, "pubsub_persistent"},
	} {
		if need.asked && !need.has {
			return s.missing(need.name)
		}
	}
	if !prism.ValidPattern(r.Pattern) {
		return prism.InvalidField("pattern", "must be a topic in which a token may be *, and the last one >")
	}
	if r.Group != "" && (replays || len(r.Filter) > 0) {
		return prism.InvalidField("queue_group", "must not be set together with filter, durable_name or start")
	}
	if r.AutoAck && r.DurableName == "" {
		return prism.InvalidField("durable_name", "must be set for auto_acknowledge")
	}
	if err := checkFilter(r.Filter); err != nil {
		return err
	}
	if r.Pending <= 0 {
		r.Pending = DefaultPending
	}
	r.Pending = min(r.Pending, MaxPending)
	if r.Slow == 0 {
		r.Slow = SlowDrop
	}
	return nil
}

// checkFilter bounds what a filter costs, too: a publisher goes through those of
// all subscriptions.
func checkFilter(f Filter) error {
	values := 0
	for i := range f {
		c := &f[i]
		if values += len(c.Values); values > prism.MaxBatchItems {
			return prism.InvalidField("filter", "must have at most 1000 values in all its clauses")
		}
		var text string
		switch c.Op {
		case driver.FilterIn, driver.FilterNotIn:
			if len(c.Values) == 0 {
				text = "must have at least one value"
			}
		case driver.FilterPrefix:
			if len(c.Values) != 1 {
				text = "must have one value"
			}
		case driver.FilterExists, driver.FilterAbsent:
			if len(c.Values) != 0 {
				text = "must have no values"
			}
		default:
			return prism.InvalidField("filter["+strconv.Itoa(i)+"].op", "must be set")
		}
		if text != "" {
			return prism.InvalidField("filter["+strconv.Itoa(i)+"].values", text)
		}
	}
	return nil
}

// Replays reports whether the stream follows persistent events. Its first batch
// comes at once, with the starting position.
func (sub *Subscription) Replays() bool { return sub.replay != nil }

// Next waits for events. The error is ErrUnsubscribed when the stream was ended
// by Unsubscribe.
func (sub *Subscription) Next() (Batch, error) {
	b, err := sub.next()
	if err != nil {
		if cause := context.Cause(sub.ctx); sub.ctx.Err() != nil && cause != nil {
			err = cause
		}
		return Batch{}, err
	}
	if b.Dropped > 0 {
		sub.dropped.Add(b.Dropped)
		sub.store.registry.dropped.Add(b.Dropped)
	}
	return b, nil
}

func (sub *Subscription) next() (Batch, error) {
	if sub.replay == nil {
		b, err := sub.live.Next(sub.ctx)
		return Batch{Events: b.Events, Dropped: b.Dropped}, err
	}
	b, err := sub.replay.Next(sub.ctx)
	if err != nil {
		return Batch{}, err
	}
	return Batch{Events: b.Events, Position: sub.store.seal(b.Position), at: b.Position}, nil
}

// Position seals the position of an event.
func (sub *Subscription) Position(e *Event) string {
	if len(e.Position) == 0 {
		return ""
	}
	return sub.store.seal(e.Position)
}

// Sent says that n events of a batch have left; all of them have with last.
func (sub *Subscription) Sent(b *Batch, n int, last bool) {
	sub.sent.Add(int64(n))
	sub.store.registry.delivered.Add(int64(n))
	if last && sub.acker != nil && n > 0 {
		sub.acker.upTo(b.at)
	}
}

// end ends the stream from outside.
func (sub *Subscription) end(why error) { sub.cancel(why) }

// Close ends the stream. What was sent is acknowledged first, where the stream
// does that by itself.
func (sub *Subscription) Close() error {
	// Last: what is listed no more gets no more.
	defer sub.store.registry.remove(sub.store.ns, sub)
	if sub.acker != nil {
		sub.acker.close()
	}
	sub.cancel(nil)
	if sub.replay != nil {
		return sub.replay.Close()
	}
	return sub.live.Close()
}

// An acker acknowledges what is sent, behind the stream's back: while one
// acknowledgement is made durable the stream goes on, and the next covers all
// that was sent meanwhile.
type acker struct {
	sub  *Subscription
	mu   sync.Mutex
	at   driver.Position
	over bool
	wake chan struct{}
	done chan struct{}
}

// ackPatience bounds the last acknowledgement of a stream that has ended.
const ackPatience = 5 * time.Second

func newAcker(sub *Subscription) *acker {
	a := &acker{sub: sub, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go a.run()
	return a
}

func (a *acker) upTo(p driver.Position) {
	a.mu.Lock()
	a.at = p
	a.mu.Unlock()
	a.signal()
}

func (a *acker) signal() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

func (a *acker) close() {
	a.mu.Lock()
	a.over = true
	a.mu.Unlock()
	a.signal()
	<-a.done
}

func (a *acker) run() {
	defer close(a.done)
	s := a.sub.store
	for {
		<-a.wake
		a.mu.Lock()
		at, over := a.at, a.over
		a.at = nil
		a.mu.Unlock()
		if at != nil {
			// Not the stream's context: what was sent was sent.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(a.sub.ctx), ackPatience)
			err := s.set.PubSubPersistent.Acknowledge(ctx, s.ns, a.sub.Durable, at)
			cancel()
			if err != nil {
				a.sub.end(err)
			}
		}
		if over {
			return
		}
	}
}
