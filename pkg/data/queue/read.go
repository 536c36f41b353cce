package queue

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"strconv"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Start is where reading begins: one field is set, or none for the earliest.
type Start struct {
	Earliest bool
	Latest   bool
	Offset   *int64
	Time     time.Time
}

// at finds the offset of a start in a partition.
func (s *Store) at(ctx context.Context, topic string, p driver.PartitionInfo, start Start) (int64, error) {
	switch {
	case start.Latest:
		return p.Latest, nil
	case start.Offset != nil:
		if *start.Offset < 0 {
			return 0, prism.InvalidField("offset", "must not be negative")
		}
		return *start.Offset, nil
	case !start.Time.IsZero():
		if err := s.Require("stream_replay"); err != nil {
			return 0, err
		}
		return s.set.StreamReplay.OffsetAt(ctx, s.ns, topic, p.Partition, start.Time)
	}
	return p.Earliest, nil
}

// A Reader follows one partition, without a group.
type Reader struct {
	store     *Store
	topic     string
	partition int32
	offset    int64
	end       int64 // exclusive; none: follow
	begun     bool
}

const none = -1

// ReadOptions say where a Reader begins and ends.
type ReadOptions struct {
	Partition int32
	Start     Start
	Position  string // of another Reader; wins over Start
	End       *int64 // exclusive; nil: follow what comes
}

// Read begins to follow a partition.
func (s *Store) Read(ctx context.Context, topic string, o ReadOptions) (*Reader, error) {
	info, err := s.Info(ctx, topic)
	if err != nil {
		return nil, err
	}
	r := &Reader{store: s, topic: topic, partition: o.Partition, end: none}
	if o.End != nil {
		if err := s.Require("stream_replay"); err != nil {
			return nil, err
		}
		if r.end = *o.End; r.end < 0 {
			return nil, prism.InvalidField("end_offset", "must not be negative")
		}
	}
	if o.Position != "" {
		token, err := s.sealer.Open("position", o.Position, s.placeOf(topic)...)
		if err != nil {
			return nil, err
		}
		r.partition, r.offset = int32(binary.BigEndian.Uint32(token)), int64(binary.BigEndian.Uint64(token[4:]))
		return r, nil
	}
	if r.partition < 0 || int(r.partition) >= len(info.Partitions) {
		return nil, prism.InvalidField("partition", "is not one of this topic")
	}
	r.offset, err = s.at(ctx, topic, info.Partitions[r.partition], o.Start)
	return r, err
}

func (s *Store) placeOf(topic string) []string { return []string{"log", string(s.ns), topic} }

// Position is where the reader stands; another can go on from it.
func (r *Reader) Position() string {
	token := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(nil, uint32(r.partition)), uint64(r.offset))
	return r.store.sealer.Seal(token, r.store.placeOf(r.topic)...)
}

// Bounds of what a reader takes from the store at a time.
const (
	readMessages = 500
	readBytes    = 1 << 20
	readWait     = 20 * time.Second
)

// Next waits for messages. The first time it returns at once, perhaps with
// none; io.EOF is the end that was asked for.
func (r *Reader) Next(ctx context.Context) ([]Record, error) {
	for {
		if r.end != none && r.offset >= r.end {
			return nil, io.EOF
		}
		q := driver.StreamRead{Partition: r.partition, Offset: r.offset, Max: readMessages, Bytes: readBytes, Wait: readWait}
		if !r.begun {
			q.Wait = 0
		}
		if r.end != none {
			q.Max = int(min(int64(q.Max), r.end-r.offset))
		}
		records, err := r.store.set.Stream.Read(ctx, r.store.ns, r.topic, q)
		if err != nil {
			return nil, err
		}
		if len(records) == 0 && r.begun {
			continue
		}
		r.begun = true
		if n := len(records); n > 0 {
			r.offset = records[n-1].Offset + 1
		}
		return records, nil
	}
}

// earliestOf reads where a log begins now from the refusal of an offset that is
// gone.
func earliestOf(err error) (offset int64, compacted bool) {
	if !errors.Is(err, prism.ReasonCompacted) {
		return 0, false
	}
	offset, parsed := strconv.ParseInt(prism.From(err).Meta["earliest_offset"], 10, 64)
	return offset, parsed == nil
}
