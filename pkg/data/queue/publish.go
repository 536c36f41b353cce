package queue

import (
	"context"
	"errors"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/prism-data-layer/prism/pkg/data"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Message is what is published.
type Message struct {
	Key        string // messages with one key keep their order; empty: none
	Partition  int32  // AnyPartition: the key's, or whichever the store likes
	Payload    []byte
	Attributes map[string]string
	Receipt    driver.Receipt
}

// AnyPartition leaves the choice to the key and the store.
const AnyPartition = -1

// Once makes a message be appended once: key is the caller's idempotency key,
// retry an id that a client made; key wins.
func (m *Message) Once(principal, topic, key string, retry []byte) error {
	r, err := data.Receipt(principal, "QueueService/Publish", key, retry)
	if err != nil || r.IsZero() {
		return err
	}
	body := data.NewBody().Bytes([]byte(topic)).Bytes([]byte(m.Key)).Number(uint64(int64(m.Partition))).Bytes(m.Payload)
	for _, name := range slices.Sorted(maps.Keys(m.Attributes)) {
		body.Bytes([]byte(name)).Bytes([]byte(m.Attributes[name]))
	}
	r.Body = body.Sum()
	m.Receipt = r
	return nil
}

// check says everything that is wrong with a message.
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
	case m.Key != "" && m.Partition != AnyPartition:
		e.WithField("partition", "must not be set together with key")
	case m.Partition < AnyPartition:
		e.WithField("partition", "must not be negative")
	}
	if text := checkAttributes(m.Attributes); text != "" {
		e.WithField("attributes", text)
	}
	switch {
	case len(e.Fields) > 0:
		e.Message = e.Fields[0].Field + " " + e.Fields[0].Message
		return e
	case m.Partition != AnyPartition && s.set.StreamPartitioning == nil:
		return data.Missing(&s.set, s.ns, "stream_partitioning")
	}
	m.Receipt.Max = s.policy.Receipts
	return nil
}

// Publish appends messages, each with a result of its own; the error is for all
// of them. Messages for one partition keep their order. A topic that is not
// there is made with the defaults, if the policy lets it.
func (s *Store) Publish(ctx context.Context, topic string, messages []Message, results []Result) error {
	if err := s.Require("stream_basic"); err != nil {
		return err
	}
	if len(messages) > prism.MaxBatchItems {
		return prism.InvalidField("messages", "must have at most 1000 items")
	}
	if err := checkName("topic", topic); err != nil {
		return err
	}
	err := s.there(ctx, topic, s.publish(ctx, topic, messages, results))
	if errors.Is(err, prism.ReasonNotFound) {
		if err := s.policy.MayMake(s.ns, data.LogKind, topic); err != nil {
			return err
		}
		if _, err := s.CreateTopic(ctx, topic, s.defaults()); err != nil && !errors.Is(err, prism.ReasonAlreadyExists) {
			return err
		}
		return s.publish(ctx, topic, messages, results)
	}
	return err
}

// publish makes one call to the store for each partition that is named, and one
// for the rest.
func (s *Store) publish(ctx context.Context, topic string, messages []Message, results []Result) error {
	places := map[int32][]int{}
	for i := range messages {
		results[i] = Result{}
		if err := s.check(&messages[i]); err != nil {
			results[i].Err = err
			continue
		}
		places[messages[i].Partition] = append(places[messages[i].Partition], i)
	}
	for _, partition := range slices.Sorted(maps.Keys(places)) {
		if err := s.append(ctx, topic, partition, messages, places[partition], results); err != nil {
			return err
		}
	}
	return nil
}

// append appends those messages at the given indices.
func (s *Store) append(ctx context.Context, topic string, partition int32, messages []Message, at []int, results []Result) error {
	batch, answers := make([]driver.StreamMessage, len(at)), make([]driver.StreamResult, len(at))
	for j, i := range at {
		m := &messages[i]
		batch[j] = driver.StreamMessage{Key: m.Key, Payload: m.Payload, Attributes: m.Attributes, Receipt: m.Receipt}
	}
	var err error
	if partition == AnyPartition {
		err = s.set.Stream.Append(ctx, s.ns, topic, batch, answers)
	} else {
		err = s.set.StreamPartitioning.AppendTo(ctx, s.ns, topic, partition, batch, answers)
	}
	switch {
	case errors.Is(err, prism.ReasonInvalidArgument): // a partition that is not there
		for _, i := range at {
			results[i].Err = err
		}
		return nil
	case err != nil:
		return err
	}
	for j, i := range at {
		results[i] = answers[j]
	}
	return nil
}
