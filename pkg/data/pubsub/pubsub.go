// Package pubsub is what publish and subscribe mean on every backend: what is
// valid, which of the backend's ways a subscription takes, whose it is, what a
// receipt covers. Live subscriptions and durable names are of their namespace;
// a stream belongs to the principal that opened it.
package pubsub

import (
	"context"
	"encoding/base32"
	"encoding/binary"
	"math/rand/v2"
	"time"
	"unicode/utf8"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/data"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// The types of the contract, so that the gateway need not know drivers.
type (
	Event        = driver.Event
	Filter       = driver.Filter
	FilterClause = driver.FilterClause
	FilterOp     = driver.FilterOp
	SlowPolicy   = driver.SlowPolicy
)

// What happens to a reader that does not keep up.
const (
	SlowDrop       = driver.SlowDrop
	SlowDisconnect = driver.SlowDisconnect
)

// How many events may wait for a reader.
const (
	DefaultPending = 1000
	MaxPending     = 100_000
)

// A Policy is what a namespace says of all its events.
type Policy struct {
	Receipts int64 // idempotency keys that are kept; 0: the store's bound
}

// A Store is one namespace.
type Store struct {
	set      driver.Set
	ns       prism.Namespace
	policy   Policy
	registry *Registry
	sealer   *data.Sealer
	clock    clock.Clock
}

// New returns the namespace ns of set. Its streams are kept in the registry, so
// that they outlive a change of its settings; the sealer authenticates its
// positions.
func New(set driver.Set, ns prism.Namespace, p Policy, r *Registry, s *data.Sealer, c clock.Clock) *Store {
	return &Store{set: set, ns: ns, policy: p, registry: r, sealer: s, clock: c}
}

// An Outgoing is an event to publish: all but ID and Time, which are made here.
type Outgoing struct {
	Event
	Persistent bool
}

// A Published is the answer for one event.
type Published struct {
	ID          string
	Time        time.Time
	Subscribers int64 // -1: not known
	Position    string
	Err         error
}

// Once makes a persistent event happen once: key is the caller's idempotency
// key, retry an id that a client made; key wins. Both empty ask for nothing,
// and a retry of a live event is nothing to the store.
func Once(o *Outgoing, principal, key string, retry []byte) error {
	r, err := data.Receipt(principal, "Publish", key, retry)
	switch {
	case err != nil || r.IsZero():
		return err
	case !o.Persistent && key != "":
		return prism.InvalidField("persistent", "must be set: only a persistent event has an idempotency_key")
	case !o.Persistent:
		return nil
	}
	b := data.NewBody().Bytes([]byte(o.Topic)).Bytes(o.Payload).Bytes([]byte(o.CorrelationID)).
		Bytes([]byte(o.ReplyTo)).Bytes([]byte(o.OrderingKey))
	r.Body = attributes(b, o.Attributes).Sum()
	o.Receipt = r
	return nil
}

// Publish checks and publishes events in order, each with a result of its own;
// what is wrong with one is not the others' matter. The error is for all, when
// none was tried.
func (s *Store) Publish(ctx context.Context, events []Outgoing, results []Published) error {
	if len(events) > prism.MaxBatchItems {
		return prism.InvalidField("events", "must have at most 1000 items")
	}
	if s.set.PubSub == nil {
		return s.missing("pubsub_basic")
	}
	now := s.clock.Now()
	run := make([]int, 0, len(events)) // events of one kind that go together
	for i := range events {
		e := &events[i]
		if err := s.check(e); err != nil {
			results[i].Err = err
			continue
		}
		e.ID, e.Time = newID(now), now.Truncate(time.Millisecond)
		e.Receipt.Max = s.policy.Receipts
		if len(run) > 0 && kindOf(&events[run[0]]) != kindOf(e) {
			s.publish(ctx, events, run, results)
			run = run[:0]
		}
		run = append(run, i)
	}
	s.publish(ctx, events, run, results)
	return nil
}

type kind int

const (
	kindLive kind = iota
	kindOrdered
	kindPersistent
)

func kindOf(o *Outgoing) kind {
	switch {
	case o.Persistent:
		return kindPersistent
	case o.OrderingKey != "":
		return kindOrdered
	}
	return kindLive
}

// publish hands a run of events to the backend.
func (s *Store) publish(ctx context.Context, events []Outgoing, run []int, results []Published) {
	if len(run) == 0 {
		return
	}
	batch := make([]Event, len(run))
	answers := make([]driver.PublishResult, len(run))
	for n, i := range run {
		batch[n] = events[i].Event
	}
	var err error
	switch kindOf(&events[run[0]]) {
	case kindPersistent:
		err = s.set.PubSubPersistent.PublishPersistent(ctx, s.ns, batch, answers)
	case kindOrdered:
		err = s.set.PubSubOrdering.PublishOrdered(ctx, s.ns, batch, answers)
	default:
		err = s.set.PubSub.Publish(ctx, s.ns, batch, answers)
	}
	for n, i := range run {
		if results[i].Err = err; err == nil {
			results[i] = s.published(&batch[n], &answers[n])
		}
	}
}

func (s *Store) published(e *Event, a *driver.PublishResult) Published {
	p := Published{ID: e.ID, Time: e.Time, Subscribers: a.Subscribers, Err: a.Err}
	switch {
	case a.Err != nil:
		return p
	case a.Replayed:
		p.ID, p.Time = a.ID, a.Time
	default:
		s.registry.published.Add(1)
	}
	if len(a.Position) > 0 {
		p.Position = s.seal(a.Position)
	}
	return p
}

// check says what is wrong with an event, every field at once.
func (s *Store) check(o *Outgoing) error {
	switch {
	case o.Persistent && s.set.PubSubPersistent == nil:
		return s.missing("pubsub_persistent")
	case !o.Persistent && o.OrderingKey != "" && s.set.PubSubOrdering == nil:
		return s.missing("pubsub_ordering")
	}
	var e *prism.Error
	wrong := func(field, message string) {
		if e == nil {
			e = prism.New(prism.ReasonInvalidArgument, "%s %s", field, message)
		}
		e.WithField(field, message)
	}
	if !prism.ValidTopic(o.Topic) {
		wrong("topic", topicRule)
	}
	if len(o.Payload) > prism.MaxValueBytes {
		wrong("payload", "must be at most 1 MiB")
	}
	if text := wrongAttributes(o.Attributes); text != "" {
		wrong("attributes", text)
	}
	if o.ReplyTo != "" && !prism.ValidTopic(o.ReplyTo) {
		wrong("reply_to", topicRule)
	}
	for _, f := range [...]struct{ name, value string }{{"correlation_id", o.CorrelationID}, {"ordering_key", o.OrderingKey}} {
		switch {
		case len(f.value) > prism.MaxKeyBytes:
			wrong(f.name, "must be at most 1024 bytes")
		case !utf8.ValidString(f.value):
			wrong(f.name, "must be valid UTF-8")
		}
	}
	if e != nil {
		return e
	}
	return nil
}

const topicRule = "must be 1 to 1024 bytes of tokens parted by dots, without spaces, control characters, * and >"

func wrongAttributes(attributes map[string]string) string {
	if len(attributes) > prism.MaxAttributes {
		return "must have at most 64 attributes"
	}
	for k, v := range attributes {
		switch {
		case k == "" || len(k) > prism.MaxAttributeNameBytes || len(v) > prism.MaxAttributeBytes:
			return "must have names of 1 to 128 bytes and values of at most 1024"
		case !utf8.ValidString(k) || !utf8.ValidString(v):
			return "must be valid UTF-8"
		}
	}
	return ""
}

var idText = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// newID makes the id of an event: its time and 80 bits of chance. Ids of one
// gateway sort by time.
func newID(now time.Time) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(now.UnixMilli())<<16|uint64(rand.Uint32()&0xffff))
	binary.BigEndian.PutUint64(b[8:], rand.Uint64())
	return idText.EncodeToString(b[:])
}

func (s *Store) missing(capability string) error { return data.Missing(&s.set, s.ns, capability) }

// Positions are the namespace's, whoever was told them.
func (s *Store) seal(p driver.Position) string { return s.sealer.Seal(p, "pubsub", string(s.ns)) }

func (s *Store) open(field, position string) (driver.Position, error) {
	return s.sealer.Open(field, position, "pubsub", string(s.ns))
}
