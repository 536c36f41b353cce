package queue

import (
	"context"
	"strconv"
	"strings"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// Bounds of what a member may have unacknowledged.
const (
	DefaultUnacknowledged = 1000
	MaxUnacknowledged     = 100_000
)

// SubscribeOptions say how a member of a group reads.
type SubscribeOptions struct {
	Group             string
	Start             Start // of partitions for which the group has committed nothing
	MaxUnacknowledged int32 // 0: the default
	AutoAcknowledge   bool  // commit what is sent, as it is sent
}

// A Member reads its share of a topic's partitions. It is used by one caller at
// a time.
type Member struct {
	group  *group
	ctx    context.Context // of what reads for it
	cancel context.CancelFunc
	limit  int
	auto   bool

	incoming chan fetched
	wake     chan struct{}
	rest     fetched // taken in, not handed out yet

	// Guarded by the group's lock.
	unacknowledged int
	moved          bool // its partitions have changed since it was told
	told           bool
	err            error
}

// fetched are records of a partition that were read in one of its eras.
type fetched struct {
	from    *progress
	era     uint64
	records []Record
}

// A Batch is what a member gets.
type Batch struct {
	Messages   []Delivery
	Partitions []int32 // that the member reads now
}

// A Delivery is a message on its way to a member.
type Delivery struct {
	Record
	Attempt int32
}

// Subscribe joins a group.
func (s *Store) Subscribe(ctx context.Context, topic string, o SubscribeOptions) (*Member, error) {
	if err := s.checkGroup(topic, o.Group); err != nil {
		return nil, err
	}
	limit := int(o.MaxUnacknowledged)
	switch {
	case limit < 0:
		return nil, prism.InvalidField("max_unacknowledged", "must not be negative")
	case limit == 0:
		limit = DefaultUnacknowledged
	}
	offsets, err := s.begin(ctx, topic, o.Group, o.Start)
	if err != nil {
		return nil, err
	}
	m := &Member{limit: min(limit, MaxUnacknowledged), auto: o.AutoAcknowledge, incoming: make(chan fetched), wake: make(chan struct{}, 1)}
	m.ctx, m.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s.hub.join(s, groupName{topic, o.Group}, offsets, m)
	return m, nil
}

// Leave takes the member out of its group; what it did not acknowledge goes to
// the others.
func (m *Member) Leave() {
	m.cancel()
	m.group.hub.leave(m)
}

func (m *Member) poke() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// fail ends the member with what the store said.
func (m *Member) fail(err error) {
	m.group.mu.Lock()
	defer m.group.mu.Unlock()
	m.err = err
	m.poke()
}

// Next waits for messages, or for a change of the member's partitions, which
// the first batch tells at once.
func (m *Member) Next(ctx context.Context) (Batch, error) {
	for {
		b, room, err := m.ready()
		if err != nil || b != nil {
			return deref(b), err
		}
		incoming := m.incoming
		if room == 0 || len(m.rest.records) > 0 {
			incoming = nil
		}
		if room > 0 && len(m.rest.records) > 0 {
			if b := m.take(room); len(b.Messages) > 0 {
				return b, m.autoAcknowledge(ctx, b)
			}
			continue
		}
		select {
		case m.rest = <-incoming:
		case <-m.wake:
		case <-ctx.Done():
			return Batch{}, prism.From(ctx.Err())
		}
	}
}

func deref(b *Batch) Batch {
	if b == nil {
		return Batch{}
	}
	return *b
}

// ready is a batch that tells of new partitions, or how many messages the
// member may still get.
func (m *Member) ready() (*Batch, int, error) {
	m.group.mu.Lock()
	defer m.group.mu.Unlock()
	if m.err != nil {
		return nil, 0, m.err
	}
	if m.moved || !m.told {
		m.moved, m.told = false, true
		return &Batch{Partitions: m.partitions()}, 0, nil
	}
	return nil, max(m.limit-m.unacknowledged, 0), nil
}

// partitions are the member's own. Under the group's lock.
func (m *Member) partitions() []int32 {
	var list []int32
	for _, p := range m.group.partitions {
		if p.owner == m {
			list = append(list, p.partition)
		}
	}
	return list
}

// batchBytes bounds a batch, so that it fits a message with room to spare.
const batchBytes = 2 << 20

// take hands out records, as many as there is room for. Those of a partition
// that is no longer the member's go to its next owner.
func (m *Member) take(room int) Batch {
	m.group.mu.Lock()
	defer m.group.mu.Unlock()
	p := m.rest.from
	if p.era != m.rest.era {
		m.rest = fetched{}
		return Batch{}
	}
	b := Batch{Partitions: m.partitions()}
	bytes := 0
	for len(m.rest.records) > 0 && len(b.Messages) < room {
		r := m.rest.records[0]
		if bytes += sizeOf(&r); bytes > batchBytes && len(b.Messages) > 0 {
			break
		}
		m.rest.records = m.rest.records[1:]
		attempt, skipped := p.send(r.Offset)
		if skipped {
			continue
		}
		m.unacknowledged++
		m.group.counts.Delivered++
		if attempt > 1 {
			m.group.counts.Redelivered++
		}
		b.Messages = append(b.Messages, Delivery{r, attempt})
	}
	return b
}

// recordBytes is what a record takes in a message beside its parts.
const recordBytes = 64

func sizeOf(r *Record) int {
	n := recordBytes + len(r.Key) + len(r.Payload)
	for name, value := range r.Attributes {
		n += len(name) + len(value) + 8
	}
	return n
}

// autoAcknowledge commits what is about to be sent, if the member asked for
// that.
func (m *Member) autoAcknowledge(ctx context.Context, b Batch) error {
	if !m.auto {
		return nil
	}
	for i := range b.Messages {
		m.group.acknowledge(b.Messages[i].Partition, b.Messages[i].Offset)
	}
	return m.group.save(ctx)
}

// acknowledge marks one message as worked off; false if it is not in flight.
func (g *group) acknowledge(partition int32, offset int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if partition < 0 || int(partition) >= len(g.partitions) {
		return false
	}
	p := g.partitions[partition]
	if !p.acknowledge(offset) {
		return false
	}
	p.owner.unacknowledged--
	p.owner.poke()
	return true
}

// MessageID names a message of a topic.
func MessageID(partition int32, offset int64) string {
	return strconv.Itoa(int(partition)) + "-" + strconv.FormatInt(offset, 10)
}

func parseMessageID(id string) (partition int32, offset int64, ok bool) {
	head, tail, found := strings.Cut(id, "-")
	p, err := strconv.ParseInt(head, 10, 32)
	o, err2 := strconv.ParseInt(tail, 10, 64)
	ok = found && err == nil && err2 == nil && id == MessageID(int32(p), o)
	return int32(p), o, ok
}

// Acknowledge marks messages of a group as worked off, and commits what is
// acknowledged without a gap. failed are the ids that were not in flight.
func (s *Store) Acknowledge(ctx context.Context, topic, name string, ids []string) (acknowledged int64, failed []string, err error) {
	if err := s.checkGroup(topic, name); err != nil {
		return 0, nil, err
	}
	if len(ids) > prism.MaxBatchItems {
		return 0, nil, prism.InvalidField("message_ids", "must have at most 1000 items")
	}
	g := s.hub.find(groupName{topic, name})
	for _, id := range ids {
		partition, offset, ok := parseMessageID(id)
		if !ok || g == nil || !g.acknowledge(partition, offset) {
			failed = append(failed, id)
			continue
		}
		acknowledged++
	}
	if acknowledged == 0 {
		return 0, failed, nil
	}
	return acknowledged, failed, g.save(ctx)
}
