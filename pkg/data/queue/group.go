package queue

import (
	"context"
	"maps"
	"slices"
	"sort"
	"sync"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Hub holds the groups of one namespace that read through this gateway. The
// zero Hub is ready for use.
type Hub struct {
	mu     sync.Mutex
	groups map[groupName]*group
	counts map[groupName]*Counts // of all groups that have read
}

// Counts are what a group was sent since the gateway was started.
type Counts struct {
	Delivered   int64
	Redelivered int64 // deliveries that were not a message's first
	Skipped     int64 // messages that retention took before the group had read them
}

type groupName struct{ topic, group string }

// A group deals the partitions of a topic to its members. Its members share one
// lock; the store is never asked under it.
type group struct {
	hub   *Hub
	name  groupName
	store *Store

	saving sync.Mutex // held to commit, so that no older offsets overwrite newer

	mu         sync.Mutex
	counts     *Counts
	members    []*Member // in the order of their joining
	partitions []*progress
}

// progress is how far a group has come in a partition.
type progress struct {
	partition int32
	owner     *Member
	stop      context.CancelFunc // of the goroutine that reads for the owner
	era       uint64             // grows when what was read before no longer counts

	committed int64 // all before is acknowledged
	next      int64 // the next to read from the store
	flight    []sent
	saved     int64 // what the store knows as committed

	ahead    map[int64]struct{} // acknowledged beyond committed, before they are sent again
	attempts map[int64]int32    // how often messages that come again were sent
}

// sent is a message that was handed to a member.
type sent struct {
	offset       int64
	acknowledged bool
}

// join makes a member of the group, or the group with its first member.
func (h *Hub) join(s *Store, name groupName, offsets []int64, m *Member) {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.groups[name]
	if g == nil {
		g = &group{hub: h, name: name, store: s, counts: h.counts[name]}
		if g.counts == nil {
			if h.counts == nil {
				h.counts = make(map[groupName]*Counts)
			}
			g.counts = new(Counts)
			h.counts[name] = g.counts
		}
		for n, offset := range offsets {
			g.partitions = append(g.partitions, &progress{partition: int32(n), committed: offset, next: offset, saved: offset})
		}
		if h.groups == nil {
			h.groups = make(map[groupName]*group)
		}
		h.groups[name] = g
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	m.group = g
	g.members = append(g.members, m)
	g.deal()
}

// leave takes a member out; the last one takes the group along.
func (h *Hub) leave(m *Member) {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := m.group
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.members, m)
	if i < 0 {
		return
	}
	g.members = slices.Delete(g.members, i, i+1)
	for _, p := range g.partitions {
		if p.owner == m {
			p.release()
		}
	}
	if len(g.members) == 0 {
		delete(h.groups, g.name)
		return
	}
	g.deal()
}

// find is a group that reads now, or nil.
func (h *Hub) find(name groupName) *group {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.groups[name]
}

// deal spreads the partitions evenly and moves as few as it can. Under the lock.
func (g *group) deal() {
	few, more := len(g.partitions)/len(g.members), len(g.partitions)%len(g.members)
	quota := map[*Member]int{}
	for i, m := range g.members {
		quota[m] = few
		if i < more {
			quota[m]++
		}
	}
	moved := map[*Member]bool{}
	for _, p := range g.partitions {
		if p.owner == nil {
			continue
		}
		if quota[p.owner] == 0 {
			moved[p.owner] = true
			p.release()
			continue
		}
		quota[p.owner]--
	}
	for _, m := range g.members {
		for _, p := range g.partitions {
			if quota[m] > 0 && p.owner == nil {
				quota[m]--
				moved[m] = true
				p.owner = m
				g.start(p)
			}
		}
	}
	for _, m := range g.members {
		if moved[m] || !m.told {
			m.moved = true
			m.poke()
		}
	}
}

// start reads the partition for its owner.
func (g *group) start(p *progress) {
	ctx, stop := context.WithCancel(p.owner.ctx)
	p.stop = stop
	p.era++
	go g.fetch(ctx, p, p.owner, p.era)
}

// release takes the partition from its owner: what is not acknowledged will be
// sent again to the next.
func (p *progress) release() {
	p.stop()
	p.owner.unacknowledged -= p.forget()
	p.owner, p.stop = nil, nil
	p.era++
}

// forget takes back what was sent and returns how much of it was not
// acknowledged.
func (p *progress) forget() (unacknowledged int) {
	for _, m := range p.flight {
		if m.acknowledged {
			if p.ahead == nil {
				p.ahead = make(map[int64]struct{})
			}
			p.ahead[m.offset] = struct{}{}
			continue
		}
		unacknowledged++
		if p.attempts == nil {
			p.attempts = make(map[int64]int32)
		}
		p.attempts[m.offset]++
	}
	p.flight, p.next = nil, p.committed
	return unacknowledged
}

// seek goes to an offset as if nothing had been read before.
func (g *group) seek(p *progress, offset int64) {
	if p.owner != nil {
		p.stop()
		p.owner.unacknowledged -= p.forget()
	}
	p.committed, p.next, p.saved = offset, offset, offset
	p.ahead, p.attempts = nil, nil
	if p.owner != nil {
		p.owner.poke()
		g.start(p)
	}
}

// fetch reads the partition and hands what comes to its owner, until the
// partition is somebody else's.
func (g *group) fetch(ctx context.Context, p *progress, m *Member, era uint64) {
	for {
		g.mu.Lock()
		offset, current := p.next, p.era == era
		g.mu.Unlock()
		if !current {
			return
		}
		records, err := g.store.set.Stream.Read(ctx, g.store.ns, g.name.topic, driver.StreamRead{
			Partition: p.partition, Offset: offset, Max: readMessages, Bytes: readBytes, Wait: readWait,
		})
		if ctx.Err() != nil {
			return
		}
		if earliest, gone := earliestOf(err); gone {
			g.skip(p, era, earliest)
			continue
		}
		if err != nil {
			m.fail(err)
			return
		}
		if len(records) == 0 {
			continue
		}
		if !g.advance(p, era, records[len(records)-1].Offset+1) {
			return
		}
		select {
		case m.incoming <- fetched{p, era, records}:
		case <-ctx.Done():
			return
		}
	}
}

// advance notes what the reading goroutine has; false if it no longer counts.
func (g *group) advance(p *progress, era uint64, next int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p.era != era {
		return false
	}
	p.next = next
	return true
}

// skip goes on where the log begins now: retention was faster than the group.
func (g *group) skip(p *progress, era uint64, earliest int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p.era != era {
		return
	}
	g.counts.Skipped += earliest - p.next
	p.next = earliest
	if len(p.flight) == 0 {
		p.committed = max(p.committed, earliest)
	}
}

// send notes that a record goes to the owner; skipped is true for one that was
// acknowledged before it was taken back.
func (p *progress) send(offset int64) (attempt int32, skipped bool) {
	if _, ok := p.ahead[offset]; ok {
		delete(p.ahead, offset)
		p.flight = append(p.flight, sent{offset, true})
		p.settle()
		return 0, true
	}
	p.flight = append(p.flight, sent{offset, false})
	return p.attempts[offset] + 1, false
}

// acknowledge marks a message; false if it is not in flight.
func (p *progress) acknowledge(offset int64) bool {
	i := sort.Search(len(p.flight), func(i int) bool { return p.flight[i].offset >= offset })
	if i == len(p.flight) || p.flight[i].offset != offset || p.flight[i].acknowledged {
		return false
	}
	p.flight[i].acknowledged = true
	delete(p.attempts, offset)
	p.settle()
	return true
}

// settle moves what is committed over all that is acknowledged without a gap.
func (p *progress) settle() {
	n := 0
	for n < len(p.flight) && p.flight[n].acknowledged {
		p.committed = p.flight[n].offset + 1
		n++
	}
	p.flight = p.flight[n:]
}

// save tells the store what is committed and it does not know. Calls that come
// together are saved together.
func (g *group) save(ctx context.Context) error {
	g.saving.Lock()
	defer g.saving.Unlock()
	var offsets []PartitionOffset
	g.mu.Lock()
	for _, p := range g.partitions {
		if p.committed != p.saved {
			offsets = append(offsets, PartitionOffset{Partition: p.partition, Offset: p.committed})
		}
	}
	g.mu.Unlock()
	if len(offsets) == 0 {
		return nil
	}
	if err := g.store.set.StreamConsumerGroups.Commit(ctx, g.store.ns, g.name.topic, g.name.group, offsets); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, o := range offsets {
		g.partitions[o.Partition].saved = o.Offset
	}
	return nil
}

// A Group is what is known of a group of readers.
type Group struct {
	Name      string
	Members   int // that read now, through this gateway
	Committed []PartitionOffset
	Lag       int64 // messages after what is committed
}

// Groups lists the groups of a topic.
func (s *Store) Groups(ctx context.Context, topic string) ([]Group, error) {
	if err := s.Require("stream_consumer_groups"); err != nil {
		return nil, err
	}
	info, err := s.Info(ctx, topic)
	if err != nil {
		return nil, err
	}
	return s.groups(ctx, topic, info)
}

// groups are those of a topic that is known; none where there cannot be any.
func (s *Store) groups(ctx context.Context, topic string, info TopicInfo) ([]Group, error) {
	if s.set.StreamConsumerGroups == nil {
		return nil, nil
	}
	names, err := s.set.StreamConsumerGroups.Groups(ctx, s.ns, topic)
	if err != nil {
		return nil, err
	}
	list := make([]Group, 0, len(names))
	for _, name := range names {
		g := Group{Name: name}
		if g.Committed, err = s.set.StreamConsumerGroups.Committed(ctx, s.ns, topic, name); err != nil {
			return nil, err
		}
		at := committed(g.Committed)
		for _, p := range info.Partitions {
			g.Lag += p.Latest - max(p.Earliest, at[p.Partition])
		}
		if reading := s.hub.find(groupName{topic, name}); reading != nil {
			reading.mu.Lock()
			g.Members = len(reading.members)
			reading.mu.Unlock()
		}
		list = append(list, g)
	}
	return list, nil
}

// committed is the next offset to read by partition.
func committed(offsets []PartitionOffset) map[int32]int64 {
	at := make(map[int32]int64, len(offsets))
	for _, o := range offsets {
		at[o.Partition] = o.Offset
	}
	return at
}

// Commit sets offsets of a group: the next message to read. Members go on where
// they are; what they have behind a later offset need not be acknowledged.
func (s *Store) Commit(ctx context.Context, topic, name string, offsets []PartitionOffset) error {
	return s.move(ctx, topic, name, offsets, func(_ *group, p *progress, offset int64) {
		for len(p.flight) > 0 && p.flight[0].offset < offset {
			p.acknowledged(p.flight[0])
			p.flight = p.flight[1:]
		}
		p.committed, p.saved = offset, offset
	})
}

// acknowledged lets go of the place that a message took of its reader's bound.
func (p *progress) acknowledged(m sent) {
	if !m.acknowledged && p.owner != nil {
		p.owner.unacknowledged--
		p.owner.poke()
	}
	delete(p.attempts, m.offset)
}

// Seek moves a group; its members go on from there at once.
func (s *Store) Seek(ctx context.Context, topic, name string, start *Start, offsets []PartitionOffset) ([]PartitionOffset, error) {
	if start != nil {
		if len(offsets) > 0 {
			return nil, prism.InvalidField("offsets", "must not be set together with position")
		}
		info, err := s.Info(ctx, topic)
		if err != nil {
			return nil, err
		}
		for _, p := range info.Partitions {
			offset, err := s.at(ctx, topic, p, *start)
			if err != nil {
				return nil, err
			}
			offsets = append(offsets, PartitionOffset{Partition: p.Partition, Offset: min(offset, p.Latest)})
		}
	}
	err := s.move(ctx, topic, name, offsets, func(g *group, p *progress, offset int64) { g.seek(p, offset) })
	return offsets, err
}

// move commits offsets and tells the group, if it reads.
func (s *Store) move(ctx context.Context, topic, name string, offsets []PartitionOffset, tell func(*group, *progress, int64)) error {
	if err := s.checkGroup(topic, name); err != nil {
		return err
	}
	if len(offsets) == 0 {
		return prism.InvalidField("offsets", "must have at least one item")
	}
	g := s.hub.find(groupName{topic, name})
	if g != nil {
		g.saving.Lock()
		defer g.saving.Unlock()
	}
	if err := s.commit(ctx, topic, name, offsets, g != nil); err != nil {
		return s.there(ctx, topic, err)
	}
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, o := range offsets {
		tell(g, g.partitions[o.Partition], o.Offset)
	}
	return nil
}

func (s *Store) checkGroup(topic, name string) error {
	if err := s.Require("stream_consumer_groups"); err != nil {
		return err
	}
	if err := checkName("topic", topic); err != nil {
		return err
	}
	return checkName("group", name)
}

// begin is where each partition of a group begins: where it has committed, or
// at start, which is then committed, so that it is decided once.
func (s *Store) begin(ctx context.Context, topic, name string, start Start) ([]int64, error) {
	info, err := s.Info(ctx, topic)
	if err != nil {
		return nil, err
	}
	has, err := s.set.StreamConsumerGroups.Committed(ctx, s.ns, topic, name)
	if err != nil {
		return nil, err
	}
	at := committed(has)
	known := maps.Clone(at)
	var fresh []PartitionOffset
	offsets := make([]int64, len(info.Partitions))
	for i, p := range info.Partitions {
		if _, ok := known[p.Partition]; !ok {
			offset, err := s.at(ctx, topic, p, start)
			if err != nil {
				return nil, err
			}
			at[p.Partition] = min(offset, p.Latest)
			fresh = append(fresh, PartitionOffset{Partition: p.Partition, Offset: at[p.Partition]})
		}
		offsets[i] = at[p.Partition]
	}
	if len(fresh) == 0 {
		return offsets, nil
	}
	return offsets, s.commit(ctx, topic, name, fresh, len(has) > 0)
}

// commit commits offsets of a group; one that is not known is counted against
// what a topic may have, with nobody else making one meanwhile.
func (s *Store) commit(ctx context.Context, topic, name string, offsets []PartitionOffset, known bool) error {
	groups := s.set.StreamConsumerGroups
	if known {
		return groups.Commit(ctx, s.ns, topic, name, offsets)
	}
	return s.names.Alone(ctx, func() error {
		have, err := groups.Groups(ctx, s.ns, topic)
		if err != nil {
			return err
		}
		if _, known := slices.BinarySearch(have, name); !known {
			if err := s.policy.TooManyGroups(s.ns, len(have)); err != nil {
				return err
			}
		}
		return groups.Commit(ctx, s.ns, topic, name, offsets)
	})
}
