package queue

import (
	"context"
	"errors"
	"io"
	"strconv"
	"time"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/prism"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
)

// A replay reads a range of a log, all partitions by time. It asks for a part
// of one partition at a time, so that no number of partitions is too many.
type replay struct {
	h     hall
	topic string
	heads []*head
	until time.Time // exclusive; zero: the ends of the heads
}

// A head is how far a partition has been read.
type head struct {
	partition int32
	start     *queuev1.StartPosition // of the first part; nil: next
	next, end int64                  // offsets; end is exclusive
	unread    []*queuev1.Message
	exhausted bool
}

// partitions are those of a log that are asked for: one, or with -1 all.
func (h hall) partitions(ctx context.Context, topic string, only int32) ([]*queuev1.PartitionInfo, error) {
	r, err := h.log.GetTopicInfo(ctx, &queuev1.GetTopicInfoRequest{Namespace: h.ns, Topic: topic})
	switch all := r.GetPartitions(); {
	case err != nil:
		return nil, explain(err, h.ns)
	case only < 0:
		return all, nil
	case int(only) < len(all):
		return all[only : only+1], nil
	default:
		return nil, cli.Usage("--partition N, 0 to "+strconv.Itoa(len(all)-1), "%s has no partition %d", topic, only)
	}
}

// replay begins to read what lies between two points.
func (h hall) replay(ctx context.Context, topic string, only int32, from, to point) (*replay, error) {
	parts, err := h.partitions(ctx, topic, only)
	if err != nil {
		return nil, err
	}
	r := &replay{h: h, topic: topic, until: to.time}
	for _, part := range parts {
		p := &head{partition: part.GetPartition(), next: from.in(part), end: part.GetLatestOffset()}
		if to.offset != nil {
			p.end = min(p.end, *to.offset)
		}
		if !from.time.IsZero() {
			p.start = from.proto()
		}
		r.heads = append(r.heads, p)
	}
	return r, nil
}

// read is the next part of a partition, at most that long; none at the end.
func (h hall) read(ctx context.Context, topic string, p *head) ([]*queuev1.Message, error) {
	if p.next >= p.end {
		return nil, nil
	}
	start := p.start
	if start == nil {
		start = point{offset: &p.next}.proto()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	st, err := h.log.Read(ctx, &queuev1.ReadRequest{Namespace: h.ns, Topic: topic, Partition: p.partition, Start: start, EndOffset: &p.end})
	if err != nil {
		return nil, err
	}
	r, err := st.Recv()
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	return r.GetMessages(), err
}

// Next is the oldest message that is left; io.EOF is the end.
func (r *replay) Next(ctx context.Context) (*queuev1.Message, error) {
	var oldest *head
	for _, p := range r.heads {
		if err := r.fill(ctx, p); err != nil {
			return nil, explain(err, r.h.ns)
		}
		if len(p.unread) > 0 && (oldest == nil || p.unread[0].GetTimeMs() < oldest.unread[0].GetTimeMs()) {
			oldest = p
		}
	}
	if oldest == nil {
		return nil, io.EOF
	}
	m := oldest.unread[0]
	oldest.unread = oldest.unread[1:]
	return m, nil
}

// fill reads on where nothing is left to show. What retention has taken away
// meanwhile is passed over.
func (r *replay) fill(ctx context.Context, p *head) error {
	for len(p.unread) == 0 && !p.exhausted {
		part, err := r.h.read(ctx, r.topic, p)
		if errors.Is(err, prism.ReasonCompacted) {
			earliest, wrong := strconv.ParseInt(prism.From(err).Meta["earliest_offset"], 10, 64)
			if wrong == nil && earliest > p.next {
				p.next = earliest
				continue
			}
		}
		if err != nil {
			return err
		}
		if len(part) == 0 || !r.until.IsZero() && part[0].GetTimeMs() >= r.until.UnixMilli() {
			p.exhausted = true
			return nil
		}
		p.start, p.next = nil, part[len(part)-1].GetOffset()+1
		for _, m := range part {
			if !r.until.IsZero() && m.GetTimeMs() >= r.until.UnixMilli() {
				p.end = p.next
				break
			}
			p.unread = append(p.unread, m)
		}
	}
	return nil
}
