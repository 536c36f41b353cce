package queue

import (
	"context"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
)

// TopicFigures are what a topic holds.
type TopicFigures struct {
	Messages  int64 // kept
	Bytes     int64
	Published int64 // ever
}

// GroupFigures are how a group does.
type GroupFigures struct {
	Members int64
	Lag     int64         // messages after what is committed
	Age     time.Duration // of the oldest of these
	Counts
}

// Figures calls topic with what each topic holds and group with how each of its
// groups does: the first by name, most of either, and the others together under
// rest, without an age. It stops at the first error.
func (s *Store) Figures(ctx context.Context, most int, rest string, topic func(name string, t TopicFigures), group func(topic, group string, g GroupFigures)) {
	if s.set.Stream == nil {
		return
	}
	names, err := s.set.Stream.Topics(ctx, s.ns)
	if err != nil {
		return
	}
	var otherTopics TopicFigures
	var otherGroups GroupFigures
	told, others := 0, false
	for n, name := range names {
		info, err := s.Info(ctx, name)
		if err != nil {
			return
		}
		t := figuresOf(info)
		if n < most {
			topic(name, t)
		} else {
			otherTopics.add(t)
		}
		list, err := s.groups(ctx, name, info)
		if err != nil {
			return
		}
		for _, g := range list {
			x := GroupFigures{Members: int64(g.Members), Lag: g.Lag, Counts: s.hub.counted(groupName{name, g.Name})}
			if n >= most || told == most {
				others = true
				otherGroups.add(x)
				continue
			}
			told++
			if x.Age, err = s.age(ctx, name, info, g); err != nil {
				return
			}
			group(name, g.Name, x)
		}
	}
	if len(names) > most {
		topic(rest, otherTopics)
	}
	if others {
		group(rest, rest, otherGroups)
	}
}

func figuresOf(info TopicInfo) (t TopicFigures) {
	for _, p := range info.Partitions {
		t.add(TopicFigures{Messages: p.Latest - p.Earliest, Bytes: p.Bytes, Published: p.Latest})
	}
	return t
}

func (t *TopicFigures) add(o TopicFigures) {
	t.Messages += o.Messages
	t.Bytes += o.Bytes
	t.Published += o.Published
}

func (g *GroupFigures) add(o GroupFigures) {
	g.Members += o.Members
	g.Lag += o.Lag
	g.Delivered += o.Delivered
	g.Redelivered += o.Redelivered
	g.Skipped += o.Skipped
}

// counted are the counts of a group, zero if it has not read here.
func (h *Hub) counted(name groupName) Counts {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.counts[name]
	if c == nil {
		return Counts{}
	}
	if g := h.groups[name]; g != nil {
		g.mu.Lock()
		defer g.mu.Unlock()
	}
	return *c
}

// age is how old the oldest message is that a group has not committed. Only the
// partitions in which it is behind are looked into.
func (s *Store) age(ctx context.Context, topic string, info TopicInfo, g Group) (oldest time.Duration, err error) {
	at := committed(g.Committed)
	for _, p := range info.Partitions {
		next := max(at[p.Partition], p.Earliest)
		if next >= p.Latest {
			continue
		}
		records, err := s.set.Stream.Read(ctx, s.ns, topic, driver.StreamRead{Partition: p.Partition, Offset: next, Max: 1})
		if _, gone := earliestOf(err); gone { // meanwhile, by retention
			continue
		}
		if err != nil {
			return 0, err
		}
		if len(records) > 0 {
			oldest = max(oldest, s.clock.Now().Sub(records[0].Time))
		}
	}
	return oldest, nil
}
