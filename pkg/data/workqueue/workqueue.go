// Package workqueue is what a work queue means on every backend: what is valid,
// which defaults hold, whose lease a token is, what a receipt covers. The
// gateway calls it with what came over the wire; below it are only drivers and
// the wrappers around them.
package workqueue

import (
	"cmp"
	"context"
	"encoding/binary"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/data"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// The types of the contract, so that the gateway need not know drivers.
type (
	Message  = driver.QueueMessage
	Result   = driver.QueueResult
	Settings = driver.QueueOptions
	State    = driver.QueueState
	Stored   = driver.StoredMessage
)

// The states of a message.
const (
	Ready   = driver.QueueReady
	Delayed = driver.QueueLater
	Leased  = driver.QueueLeased
	Dead    = driver.QueueDead
)

// Defaults and bounds of what a request may leave out.
const (
	DefaultLease       = 30 * time.Second
	DefaultMaxAttempts = 5
	DefaultRetention   = 7 * 24 * time.Hour
	DefaultPageItems   = 100

	MaxAttempts = 1000
	MaxWait     = time.Minute
	MinLease    = time.Second
	MaxLease    = 12 * time.Hour
	MaxDelay    = 365 * 24 * time.Hour
	MaxReason   = 1024
)

// A Policy is what a namespace says of all its queues.
type Policy = data.QueuePolicy

// A Store is the work queues of one namespace.
type Store struct {
	set    driver.Set
	ns     prism.Namespace
	policy Policy
	sealer *data.Sealer
	clock  clock.Clock
	names  *data.Names
}

// New returns the namespace ns of set. The sealer authenticates its leases and
// cursors; names are the namespace's, shared with its logs.
func New(set driver.Set, ns prism.Namespace, p Policy, s *data.Sealer, c clock.Clock, names *data.Names) *Store {
	return &Store{set: set, ns: ns, policy: p, sealer: s, clock: c, names: names}
}

// there makes the error of a call clear where the name is a log.
func (s *Store) there(ctx context.Context, queue string, err error) error {
	return data.OtherKind(ctx, &s.set, s.ns, data.WorkKind, queue, err)
}

// Capabilities lists what the namespace can do.
func (s *Store) Capabilities() []string { return s.set.NamesOf("queue") }

// Require refuses when the backend lacks a capability.
func (s *Store) Require(capability string) error {
	if !s.set.Has(capability) {
		return data.Missing(&s.set, s.ns, capability)
	}
	return nil
}

// Create makes a queue; what the settings leave out gets the default.
func (s *Store) Create(ctx context.Context, queue string, o Settings) (created bool, err error) {
	if err := s.Require("queue_basic"); err != nil {
		return false, err
	}
	o = Settings{
		Lease:       cmp.Or(o.Lease, DefaultLease),
		MaxAttempts: min(cmp.Or(o.MaxAttempts, DefaultMaxAttempts), MaxAttempts),
		Retention:   cmp.Or(o.Retention, DefaultRetention),
	}
	return s.names.Make(ctx, &s.set, s.ns, s.policy, queue, 0, func() (bool, error) {
		return s.set.Queue.CreateQueue(ctx, s.ns, queue, o)
	})
}

// List is a page of the names of queues, and the cursor for the next.
func (s *Store) List(ctx context.Context, principal string, limit int32, cursor string) (names []string, next string, err error) {
	if err := s.Require("queue_basic"); err != nil {
		return nil, "", err
	}
	owner := []string{"queues", principal, string(s.ns)}
	var after []byte
	if cursor != "" {
		if after, err = s.sealer.Open("cursor", cursor, owner...); err != nil {
			return nil, "", err
		}
	}
	if names, err = s.set.Queue.Queues(ctx, s.ns); err != nil {
		return nil, "", err
	}
	from, found := slices.BinarySearch(names, string(after))
	if found {
		from++
	}
	names = names[from:]
	if n := pageItems(limit); len(names) > n {
		names = names[:n]
		next = s.sealer.Seal([]byte(names[n-1]), owner...)
	}
	return names, next, nil
}

func pageItems(limit int32) int {
	return int(min(cmp.Or(limit, DefaultPageItems), prism.MaxPageItems))
}

// An Info is what a queue holds.
type Info struct {
	driver.QueueInfo
	OldestAge       time.Duration // of what is ready or leased; 0: none is
	NextDue         time.Time     // of the delayed; zero: none is
	ReadyByPriority []int64       // nil without queue_priority
}

// Info tells what a queue holds.
func (s *Store) Info(ctx context.Context, queue string) (i Info, err error) {
	if err := s.Require("queue_basic"); err != nil {
		return Info{}, err
	}
	if i.QueueInfo, err = s.set.Queue.Info(ctx, s.ns, queue); err != nil {
		return Info{}, s.there(ctx, queue, err)
	}
	if !i.Oldest.IsZero() {
		i.OldestAge = max(s.clock.Now().Sub(i.Oldest), 0)
	}
	if d := s.set.QueueDelayed; d != nil {
		if _, i.NextDue, err = d.Delayed(ctx, s.ns, queue); err != nil {
			return Info{}, err
		}
	}
	if p := s.set.QueuePriority; p != nil {
		if i.ReadyByPriority, err = p.Priorities(ctx, s.ns, queue); err != nil {
			return Info{}, err
		}
	}
	return i, nil
}

// Publish adds messages, each with a result of its own. A queue that is not
// there is made with the defaults, if the policy lets it. What is invalid fails alone, as does what
// has an error in its result already.
func (s *Store) Publish(ctx context.Context, queue string, messages []Message, results []Result) error {
	if err := s.Require("queue_basic"); err != nil {
		return err
	}
	if !prism.ValidName(queue) {
		return prism.InvalidField("queue", "must match [a-z][a-z0-9-]{0,62}")
	}
	bad := 0
	for i := range messages {
		results[i] = Result{Err: cmp.Or(results[i].Err, s.check(&messages[i]))}
		if results[i].Err != nil {
			bad++
		}
	}
	switch bad {
	case len(messages):
		return nil
	case 0:
		return s.publish(ctx, queue, messages, results)
	}
	good, at := make([]Message, 0, len(messages)-bad), make([]int, 0, len(messages)-bad)
	for i := range messages {
		if results[i].Err == nil {
			good, at = append(good, messages[i]), append(at, i)
		}
	}
	answers := make([]Result, len(good))
	if err := s.publish(ctx, queue, good, answers); err != nil {
		return err
	}
	for j, i := range at {
		results[i] = answers[j]
	}
	return nil
}

func (s *Store) publish(ctx context.Context, queue string, messages []Message, results []Result) error {
	err := s.set.Queue.Publish(ctx, s.ns, queue, messages, results)
	if err == nil || prism.From(err).Reason != prism.ReasonNotFound {
		return err
	}
	if err := s.there(ctx, queue, err); prism.From(err).Reason != prism.ReasonNotFound {
		return err
	}
	if err := s.policy.MayMake(s.ns, data.WorkKind, queue); err != nil {
		return err
	}
	// Another may make it meanwhile, with settings of its own: it is there then.
	if _, err = s.Create(ctx, queue, Settings{}); err != nil && prism.From(err).Reason != prism.ReasonAlreadyExists {
		return err
	}
	return s.set.Queue.Publish(ctx, s.ns, queue, messages, results)
}

// check says what is wrong with a message, every field at once.
func (s *Store) check(m *Message) error {
	e := prism.New(prism.ReasonInvalidArgument, "")
	if text := s.policy.CheckPayload(len(m.Payload)); text != "" {
		e.WithField("payload", text)
	}
	switch {
	case len(m.Key) > prism.MaxKeyBytes:
		e.WithField("key", "must be at most 1024 bytes")
	case !utf8.ValidString(m.Key):
		e.WithField("key", "must be valid UTF-8")
	}
	if text := checkAttributes(m.Attributes); text != "" {
		e.WithField("attributes", text)
	}
	if m.Delay < 0 || m.Delay > MaxDelay {
		e.WithField("delay_ms", "must be 0 to 1 year")
	}
	if m.Priority < 0 || m.Priority > driver.MaxPriority {
		e.WithField("priority", "must be 0 to 9")
	}
	if len(e.Fields) > 0 {
		e.Message = e.Fields[0].Field + " " + e.Fields[0].Message
		return e
	}
	if m.Delay > 0 && s.set.QueueDelayed == nil {
		return data.Missing(&s.set, s.ns, "queue_delayed")
	}
	if m.Priority > 0 && s.set.QueuePriority == nil {
		return data.Missing(&s.set, s.ns, "queue_priority")
	}
	m.Receipt.Max = s.policy.Receipts
	return nil
}

func checkAttributes(attributes map[string]string) string {
	if len(attributes) > prism.MaxAttributes {
		return "must have at most 64 attributes"
	}
	for name, value := range attributes {
		if n := len(name); n == 0 || n > prism.MaxAttributeNameBytes || len(value) > prism.MaxAttributeBytes {
			return "must have names of 1 to 128 bytes and values of at most 1024"
		}
		if !utf8.ValidString(name) || !utf8.ValidString(value) {
			return "must be valid UTF-8"
		}
	}
	return ""
}

// A Series makes receipts for messages that came together from one principal.
type Series = data.Series

// Once makes the publishing of m happen once: key is the caller's idempotency
// key, retry an id that a client made; key wins. Both empty ask for nothing.
func Once(m *Message, of *Series, queue, key string, retry []byte) error {
	r, err := of.Receipt("Publish", key, retry)
	if err != nil || r.IsZero() {
		return err
	}
	b := data.NewBody().Bytes([]byte(queue)).Bytes([]byte(m.Key)).Bytes(m.Payload).
		Number(uint64(m.Delay)).Number(uint64(m.Priority)).Number(uint64(len(m.Attributes)))
	for _, name := range sortedNames(m.Attributes) {
		b.Bytes([]byte(name)).Bytes([]byte(m.Attributes[name]))
	}
	r.Body = b.Sum()
	m.Receipt = r
	return nil
}

func sortedNames(attributes map[string]string) []string {
	if len(attributes) == 0 {
		return nil
	}
	names := make([]string, 0, len(attributes))
	for name := range attributes {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// A Receive says what to lease; what is zero has its default.
type Receive struct {
	Max   int32
	Lease time.Duration
	Wait  time.Duration // for the first message; not beyond the deadline
}

// A Delivery is a leased message with the token for it.
type Delivery struct {
	driver.Delivery
	Lease string
}

// replyShare is what of a call's time is left for its answer.
const replyShare = 10

// Receive leases messages for a principal, in whose hands alone the tokens are
// worth something.
func (s *Store) Receive(ctx context.Context, principal, queue string, r Receive) ([]Delivery, error) {
	if err := s.Require("queue_basic"); err != nil {
		return nil, err
	}
	if r.Wait > MaxWait {
		return nil, prism.InvalidField("wait_ms", "must be at most 60 s")
	}
	if d, ok := ctx.Deadline(); ok && r.Wait > 0 {
		left := d.Sub(s.clock.Now())
		r.Wait = max(min(r.Wait, left-min(left/replyShare, time.Second)), 0)
	}
	leased, err := s.set.Queue.Receive(ctx, s.ns, queue, driver.QueueReceive{
		Max: int(min(cmp.Or(r.Max, 1), prism.MaxPageItems)), Bytes: prism.MaxPageBytes - leaseRoom, Lease: r.Lease, Wait: r.Wait,
	})
	if err != nil {
		return nil, s.there(ctx, queue, err)
	}
	out := make([]Delivery, len(leased))
	for i := range leased {
		out[i] = Delivery{leased[i], s.seal(leased[i].Receipt, principal, queue)}
	}
	return out, nil
}

// leaseRoom is what a thousand messages add to their bytes in a reply: ids,
// times and tokens.
const leaseRoom = prism.MaxPageItems * 160

func (s *Store) seal(r driver.LeaseReceipt, principal, queue string) string {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:], r.ID)
	binary.BigEndian.PutUint64(raw[8:], r.Fence)
	return s.sealer.Seal(raw[:], "lease", principal, string(s.ns), queue)
}

// open reads the tokens of leases. One that this principal was not given stands
// for a lease that never was: nobody learns whether it is another's.
func (s *Store) open(principal, queue string, tokens []string) []driver.LeaseReceipt {
	receipts := make([]driver.LeaseReceipt, len(tokens))
	for i, t := range tokens {
		raw, err := s.sealer.Open("leases", t, "lease", principal, string(s.ns), queue)
		if err == nil && len(raw) == 16 {
			receipts[i] = driver.LeaseReceipt{ID: binary.BigEndian.Uint64(raw), Fence: binary.BigEndian.Uint64(raw[8:])}
		}
	}
	return receipts
}

// settle runs do for leases; the error of each that is over is the same.
func (s *Store) settle(ctx context.Context, principal, queue, capability string, tokens []string, do func([]driver.LeaseReceipt, []Result) error) ([]Result, error) {
	if err := s.Require(capability); err != nil {
		return nil, err
	}
	results := make([]Result, len(tokens))
	if err := do(s.open(principal, queue, tokens), results); err != nil {
		return nil, s.there(ctx, queue, err)
	}
	for i := range results {
		if err := results[i].Err; err != nil && prism.From(err).Reason == prism.ReasonLeaseLost {
			results[i].Err = prism.New(prism.ReasonLeaseLost, "the lease is over")
		}
	}
	return results, nil
}

// Acknowledge removes leased messages.
func (s *Store) Acknowledge(ctx context.Context, principal, queue string, leases []string) ([]Result, error) {
	return s.settle(ctx, principal, queue, "queue_basic", leases, func(receipts []driver.LeaseReceipt, results []Result) error {
		return s.set.Queue.Ack(ctx, s.ns, queue, receipts, results)
	})
}

// Extend makes leases end d from now.
func (s *Store) Extend(ctx context.Context, principal, queue string, leases []string, d time.Duration) ([]Result, error) {
	if d < MinLease || d > MaxLease {
		return nil, prism.InvalidField("lease_ms", "must be 1 second to 12 hours")
	}
	return s.settle(ctx, principal, queue, "queue_visibility", leases, func(receipts []driver.LeaseReceipt, results []Result) error {
		return s.set.QueueVisibility.Extend(ctx, s.ns, queue, receipts, d, results)
	})
}

// Release gives messages back, to be delivered after delay.
func (s *Store) Release(ctx context.Context, principal, queue string, leases []string, delay time.Duration, reason string) ([]Result, error) {
	switch {
	case delay < 0 || delay > MaxDelay:
		return nil, prism.InvalidField("delay_ms", "must be 0 to 1 year")
	case len(reason) > MaxReason:
		return nil, prism.InvalidField("reason", "must be at most 1024 bytes")
	case delay > 0 && s.set.QueueDelayed == nil:
		return nil, data.Missing(&s.set, s.ns, "queue_delayed")
	}
	return s.settle(ctx, principal, queue, "queue_visibility", leases, func(receipts []driver.LeaseReceipt, results []Result) error {
		return s.set.QueueVisibility.Release(ctx, s.ns, queue, receipts, delay, reason, results)
	})
}

// Reject makes dead letters of leased messages.
func (s *Store) Reject(ctx context.Context, principal, queue string, leases []string, reason string) ([]Result, error) {
	if len(reason) > MaxReason {
		return nil, prism.InvalidField("reason", "must be at most 1024 bytes")
	}
	return s.settle(ctx, principal, queue, "queue_dead_letter", leases, func(receipts []driver.LeaseReceipt, results []Result) error {
		return s.set.QueueDeadLetter.Reject(ctx, s.ns, queue, receipts, reason, results)
	})
}

// Peek is a page of messages of one state (zero: ready) in the order of their
// delivery, and the cursor for the next.
func (s *Store) Peek(ctx context.Context, principal, queue string, state State, limit int32, cursor string) (messages []Stored, next string, err error) {
	if err := s.Require("queue_basic"); err != nil {
		return nil, "", err
	}
	state = cmp.Or(state, Ready)
	owner := []string{"peek", principal, string(s.ns), queue, strconv.Itoa(int(state))}
	var token []byte
	if cursor != "" {
		if token, err = s.sealer.Open("cursor", cursor, owner...); err != nil {
			return nil, "", err
		}
	}
	page, err := s.set.Queue.Peek(ctx, s.ns, queue, driver.QueuePeek{
		State: state, Limit: pageItems(limit), Bytes: prism.MaxPageBytes - peekRoom, Token: token,
	})
	if err != nil {
		return nil, "", s.there(ctx, queue, err)
	}
	if page.Next != nil {
		next = s.sealer.Seal(page.Next, owner...)
	}
	return page.Messages, next, nil
}

// peekRoom is what a thousand messages may add to their bytes in a list: mostly
// their reasons.
const peekRoom = prism.MaxPageItems * (MaxReason + 128)

// Redrive makes dead letters ready again: those named, or the oldest, limit of
// them (0: all).
func (s *Store) Redrive(ctx context.Context, queue string, ids []string, limit int32) (int64, error) {
	if err := s.Require("queue_dead_letter"); err != nil {
		return 0, err
	}
	moved, err := s.set.QueueDeadLetter.Redrive(ctx, s.ns, queue, parseIDs(ids), int(limit))
	return moved, s.there(ctx, queue, err)
}

// Purge removes dead letters: those named, or all.
func (s *Store) Purge(ctx context.Context, queue string, ids []string) (int64, error) {
	if err := s.Require("queue_dead_letter"); err != nil {
		return 0, err
	}
	removed, err := s.set.QueueDeadLetter.Purge(ctx, s.ns, queue, parseIDs(ids))
	return removed, s.there(ctx, queue, err)
}

// ID spells the id of a message.
func ID(id uint64) string { return strconv.FormatUint(id, 10) }

// parseIDs reads ids of messages. What is no id is one that no message has.
func parseIDs(texts []string) []uint64 {
	ids := make([]uint64, len(texts))
	for i, t := range texts {
		if id, err := strconv.ParseUint(t, 10, 64); err == nil && ID(id) == t {
			ids[i] = id
		}
	}
	return ids
}
