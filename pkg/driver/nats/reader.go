package nats

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/broker"
	"github.com/prism-data-layer/prism/pkg/prism"
)

const (
	// batchMax is the most that Next hands out at once.
	batchMax = 1000
	// fetchMax and fetchBytes bound what is on its way to a reader, and once
	// more what waits for it.
	fetchMax   = 256
	fetchBytes = 8 << 20
	// consumerIdle is when the server forgets a consumer whose gateway is gone.
	consumerIdle = 5 * time.Minute
	// positionsEvery bounds how long a reader keeps a newer position to itself
	// when nothing that passes is for it.
	positionsEvery = 10 * time.Second
)

// What readers of a name, and who deletes it, say to each other.
const (
	takeWord = "take" // and a turn: readers of an earlier one end
	goneWord = "gone" // the name is deleted
	askWord  = "ask"  // a reader answers
)

// A reader follows a log. It is sent every event, so that it sees a gap.
type reader struct {
	log    *eventLog
	replay driver.Replay
	wake   chan struct{} // something is there for Next
	room   chan struct{} // Next has taken something
	over   chan struct{}

	mu      sync.Mutex
	waiting []driver.Event
	numbers []uint64 // of what waits
	bytes   int
	at      uint64 // the last event that was looked at
	told    uint64 // the last position handed out
	handed  uint64 // the last event that was handed out
	begun   bool
	why     error
	turn    uint64 // of a name; 0: not known yet
	later   uint64 // the latest turn that was heard of

	consumer  string
	consuming jetstream.ConsumeContext
	control   *nats.Subscription
}

func newReader(l *eventLog, r driver.Replay) *reader {
	return &reader{log: l, replay: r, wake: make(chan struct{}, 1), room: make(chan struct{}, 1), over: make(chan struct{})}
}

func (r *reader) begin(ctx context.Context, e broker.Extent) error {
	s := r.log.store
	after, err := r.claim(ctx, e)
	if err != nil {
		return err
	}
	if after < e.Floor {
		return broker.Compacted()
	}
	r.at, r.told = after, after
	c, err := s.js.CreateConsumer(ctx, s.streamName(r.log.ns), jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: after + 1,
		AckPolicy: jetstream.AckNonePolicy, InactiveThreshold: consumerIdle, MemoryStorage: true, Replicas: 1,
	})
	if err != nil {
		return err
	}
	consuming, err := c.Consume(r.hear, jetstream.PullMaxMessagesWithBytesLimit(fetchMax, fetchBytes),
		jetstream.PullExpiry(30*time.Second), jetstream.PullHeartbeat(5*time.Second), jetstream.ConsumeErrHandler(r.fail))
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.consumer, r.consuming = c.CachedInfo().Name, consuming
	if r.why != nil { // it ended meanwhile, and there was nothing to stop
		consuming.Stop()
	}
	return nil
}

// claim finds where to begin, and takes the name if there is one.
func (r *reader) claim(ctx context.Context, e broker.Extent) (after uint64, err error) {
	l := r.log
	if r.replay.Name == "" {
		return l.start(ctx, e, r.replay.Start)
	}
	// It listens before it has its turn, so that it hears of every later one.
	subject := l.store.nameSubject(l.ns, r.replay.Name)
	control, err := l.store.conn.Subscribe(subject, r.listen)
	if err != nil {
		return 0, err
	}
	r.mu.Lock()
	r.control = control
	r.mu.Unlock()
	after, turn, err := l.claim(ctx, e, r.replay)
	if err != nil {
		return 0, err
	}
	r.mu.Lock()
	r.turn = turn
	taken := r.later > turn
	r.mu.Unlock()
	if taken {
		return 0, errTaken()
	}
	return after, l.store.conn.Publish(subject, []byte(takeWord+" "+strconv.FormatUint(turn, 10)))
}

func errTaken() error {
	return prism.New(prism.ReasonTaken, "another reader took over the subscription")
}

// listen hears what is said to the readers of the name.
func (r *reader) listen(m *nats.Msg) {
	word, rest, _ := strings.Cut(string(m.Data), " ")
	switch word {
	case askWord:
		_ = m.Respond(nil) // who asked may be gone
	case goneWord:
		r.drop(prism.NotFound("subscription", r.replay.Name))
	case takeWord:
		turn, _ := strconv.ParseUint(rest, 10, 64)
		r.mu.Lock()
		r.later = max(r.later, turn)
		taken := r.turn > 0 && turn > r.turn
		r.mu.Unlock()
		if taken {
			r.drop(errTaken())
		}
	}
}

// hear takes an event in and waits while enough wait already: the server then
// is not asked for more.
func (r *reader) hear(m jetstream.Msg) {
	meta, err := m.Metadata()
	if err != nil {
		r.end(prism.Internal(err))
		return
	}
	for r.full() {
		select {
		case <-r.room:
		case <-r.over:
			return
		}
	}
	e, err := parse(topicOf(m.Subject(), logTokens), m.Data())
	if err != nil {
		r.end(r.log.store.classify(context.Background(), err))
		return
	}
	r.mu.Lock()
	number := meta.Sequence.Stream
	gap := number != r.at+1
	if !gap && r.why == nil {
		r.at = number
		if driver.MatchTopic(r.replay.Pattern, e.Topic) && r.replay.Filter.Match(e.Attributes) {
			e.Receipt, e.Position = driver.Receipt{}, r.position(number)
			r.waiting, r.numbers = append(r.waiting, e), append(r.numbers, number)
			r.bytes += len(e.Payload)
		}
	}
	r.mu.Unlock()
	if gap {
		r.end(broker.Compacted())
		return
	}
	signal(r.wake)
}

func (r *reader) full() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.waiting) >= fetchMax || r.bytes >= fetchBytes
}

func (r *reader) position(number uint64) driver.Position {
	return broker.Extent{Epoch: r.log.epoch}.Position(number)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// fail ends a reader whose consumer is gone or silent. Where it was, it can go
// on; if the log is gone, it is told so there.
func (r *reader) fail(_ jetstream.ConsumeContext, err error) {
	if errors.Is(err, jetstream.ErrMaxBytesExceeded) {
		return
	}
	r.log.store.log.Warn("a replay ends", "namespace", r.log.ns, "error", err)
	r.end(r.log.store.lost())
}

// Next hands out what matches, in order.
func (r *reader) Next(ctx context.Context) (driver.Replayed, error) {
	var timer interface{ Stop() bool }
	var late <-chan time.Time
	defer func() {
		if timer != nil {
			timer.Stop()
		}
	}()
	for {
		if err := ctx.Err(); err != nil {
			return driver.Replayed{}, prism.From(err)
		}
		out, ready, passed, err := r.take()
		if ready || err != nil {
			return out, err
		}
		if passed && timer == nil {
			t := r.log.store.clock.NewTimer(positionsEvery)
			timer, late = t, t.C
		}
		select {
		case <-r.wake:
		case <-late:
			if out, ok := r.tell(ctx); ok {
				return out, nil
			}
		case <-r.over:
		case <-ctx.Done():
		}
	}
}

// take gives what waits. passed says that events were looked at since the last
// position that was handed out.
func (r *reader) take() (out driver.Replayed, ready, passed bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := min(len(r.waiting), batchMax)
	switch {
	case n > 0:
		out.Events = r.waiting[:n:n]
		r.handed = r.numbers[n-1]
		r.told = r.handed
		r.waiting, r.numbers = r.waiting[n:], r.numbers[n:]
		for i := range out.Events {
			r.bytes -= len(out.Events[i].Payload)
		}
		if len(r.waiting) == 0 {
			r.waiting, r.numbers, r.told = nil, nil, r.at
		}
		signal(r.room)
	case r.why != nil:
		return out, false, false, r.why
	case r.begun:
		return out, false, r.at > r.told, nil
	}
	if !r.begun && n == 0 {
		r.told = r.at
	}
	r.begun = true
	out.Position = r.position(r.told)
	return out, true, false, nil
}

// tell gives a newer position alone if nothing waits, and moves the name there
// if its reader owes no acknowledgement.
func (r *reader) tell(ctx context.Context) (out driver.Replayed, ok bool) {
	r.mu.Lock()
	if len(r.waiting) > 0 || r.why != nil {
		r.mu.Unlock()
		return out, false
	}
	r.told = r.at
	at, handed := r.at, r.handed
	r.mu.Unlock()
	if r.replay.Name != "" {
		ctx, cancel := r.log.store.bound(ctx)
		defer cancel()
		err := r.log.change(ctx, r.replay.Name, func(n *record) (bool, error) {
			if n.at() < handed || n.at() >= at {
				return false, nil
			}
			n.Start = at
			return true, nil
		})
		if err != nil {
			r.log.store.log.Warn("a name is not moved", "namespace", r.log.ns, "error", err)
		}
	}
	return driver.Replayed{Position: r.position(at)}, true
}

// end lets the reader have what waits, and then the reason.
func (r *reader) end(why error) {
	r.mu.Lock()
	if r.why != nil {
		r.mu.Unlock()
		return
	}
	r.why = why
	close(r.over)
	consuming, control := r.consuming, r.control
	r.mu.Unlock()
	if consuming != nil {
		consuming.Stop()
	}
	if control != nil {
		_ = control.Unsubscribe() // fails when the connection is gone, and so is the subscription
	}
}

// drop ends the reader at once: what waits is no longer for it.
func (r *reader) drop(why error) {
	r.end(why)
	r.mu.Lock()
	r.waiting, r.numbers, r.bytes = nil, nil, 0
	r.mu.Unlock()
}

// Close ends the reader; a Next that waits fails.
func (r *reader) Close() error {
	s := r.log.store
	s.unregister(r)
	r.drop(prism.New(prism.ReasonUnavailable, "the replay is closed"))
	r.mu.Lock()
	consumer := r.consumer
	r.consumer = ""
	r.mu.Unlock()
	if consumer == "" || !s.conn.IsConnected() {
		return nil
	}
	ctx, cancel := s.bound(context.Background())
	defer cancel()
	_ = s.js.DeleteConsumer(ctx, s.streamName(r.log.ns), consumer) // else the server forgets it by itself
	return nil
}
