// Package queue is what a log means on every backend: topics of partitions,
// whose messages stay where they are while groups of readers move their
// offsets. It checks and appends messages, reads partitions, and deals the
// partitions of a topic to the members of a group.
package queue

import (
	"context"
	"time"
	"unicode/utf8"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/data"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// The types of the contract, so that the gateway need not know drivers.
type (
	Record          = driver.StreamRecord
	Result          = driver.StreamResult
	PartitionOffset = driver.PartitionOffset
	Retention       = driver.Retention
	TopicOptions    = driver.TopicOptions
	TopicInfo       = driver.TopicInfo
)

// What a topic gets where its maker says nothing, and what it may have.
const (
	DefaultPartitions = 8
	MaxPartitions     = 256
	DefaultRetention  = 7 * 24 * time.Hour
)

// A Policy is what a namespace says of all its topics.
type Policy = data.QueuePolicy

// A Store is one namespace of logs.
type Store struct {
	set    driver.Set
	ns     prism.Namespace
	policy Policy
	sealer *data.Sealer
	clock  clock.Clock
	hub    *Hub
	names  *data.Names
}

// New returns the namespace ns of set. The sealer authenticates its positions
// and cursors; hub holds the groups that read through this gateway, and is the
// same for all versions of a namespace, as are its names.
func New(set driver.Set, ns prism.Namespace, p Policy, s *data.Sealer, c clock.Clock, hub *Hub, names *data.Names) *Store {
	return &Store{set: set, ns: ns, policy: p, sealer: s, clock: c, hub: hub, names: names}
}

// there makes the error of a call clear where the name is a work queue.
func (s *Store) there(ctx context.Context, topic string, err error) error {
	return data.OtherKind(ctx, &s.set, s.ns, data.LogKind, topic, err)
}

// Require refuses when the backend lacks a capability.
func (s *Store) Require(capability string) error {
	if !s.set.Has(capability) {
		return data.Missing(&s.set, s.ns, capability)
	}
	return nil
}

// CreateTopic makes a topic; created is false if it was there, set alike.
func (s *Store) CreateTopic(ctx context.Context, topic string, o TopicOptions) (created bool, err error) {
	if err := s.Require("stream_basic"); err != nil {
		return false, err
	}
	if err := checkName("topic", topic); err != nil {
		return false, err
	}
	if o.Partitions == 0 {
		o.Partitions = 1
		if s.set.StreamPartitioning != nil {
			o.Partitions = DefaultPartitions
		}
	}
	switch {
	case o.Partitions < 0 || o.Partitions > MaxPartitions:
		return false, prism.InvalidField("partitions", "must be 1 to 256")
	case o.Partitions > 1 && s.set.StreamPartitioning == nil:
		return false, data.Missing(&s.set, s.ns, "stream_partitioning")
	case o.Retention != Retention{} && s.set.StreamRetention == nil:
		return false, data.Missing(&s.set, s.ns, "stream_retention")
	}
	if err := checkRetention(o.Retention); err != nil {
		return false, err
	}
	return s.names.Make(ctx, &s.set, s.ns, s.policy, topic, int64(o.Partitions), func() (bool, error) {
		return s.set.Stream.CreateTopic(ctx, s.ns, topic, o)
	})
}

// defaults are the options of a topic that a first message makes.
func (s *Store) defaults() (o TopicOptions) {
	if s.set.StreamRetention != nil {
		o.Retention.Age = DefaultRetention
	}
	return o
}

func checkRetention(r Retention) error {
	switch {
	case r.Age < 0 || r.Age > 0 && r.Age < time.Millisecond:
		return prism.InvalidField("retention.age_ms", "must be 0 to 1 year")
	case r.Bytes < 0:
		return prism.InvalidField("retention.size_bytes", "must not be negative")
	}
	return nil
}

// SetRetention changes how long messages are kept.
func (s *Store) SetRetention(ctx context.Context, topic string, r Retention) error {
	if err := s.Require("stream_retention"); err != nil {
		return err
	}
	if err := checkName("topic", topic); err != nil {
		return err
	}
	if err := checkRetention(r); err != nil {
		return err
	}
	return s.there(ctx, topic, s.set.StreamRetention.SetRetention(ctx, s.ns, topic, r))
}

// Info describes a topic.
func (s *Store) Info(ctx context.Context, topic string) (TopicInfo, error) {
	if err := s.Require("stream_basic"); err != nil {
		return TopicInfo{}, err
	}
	if err := checkName("topic", topic); err != nil {
		return TopicInfo{}, err
	}
	info, err := s.set.Stream.TopicInfo(ctx, s.ns, topic)
	return info, s.there(ctx, topic, err)
}

// DefaultPageItems is how many names a page has where nobody says.
const DefaultPageItems = 100

// Topics lists names, a page at a time.
func (s *Store) Topics(ctx context.Context, principal string, limit int32, cursor string) (names []string, next string, err error) {
	if err := s.Require("stream_basic"); err != nil {
		return nil, "", err
	}
	after := ""
	if cursor != "" {
		token, err := s.sealer.Open("cursor", cursor, "topics", principal, string(s.ns))
		if err != nil {
			return nil, "", err
		}
		after = string(token)
	}
	n := int(limit)
	switch {
	case limit < 0:
		return nil, "", prism.InvalidField("limit", "must not be negative")
	case limit == 0:
		n = DefaultPageItems
	}
	n = min(n, prism.MaxPageItems)
	all, err := s.set.Stream.Topics(ctx, s.ns)
	if err != nil {
		return nil, "", err
	}
	for _, name := range all {
		if name <= after {
			continue
		}
		if len(names) == n {
			return names, s.sealer.Seal([]byte(names[n-1]), "topics", principal, string(s.ns)), nil
		}
		names = append(names, name)
	}
	return names, "", nil
}

func checkName(field, name string) error {
	if !prism.ValidName(name) {
		return prism.InvalidField(field, "must match [a-z][a-z0-9-]{0,62}")
	}
	return nil
}

// checkAttributes says what is wrong with attributes, if anything is.
func checkAttributes(attributes map[string]string) string {
	if len(attributes) > prism.MaxAttributes {
		return "must have at most 64 attributes"
	}
	for name, value := range attributes {
		switch {
		case name == "" || len(name) > prism.MaxAttributeNameBytes || len(value) > prism.MaxAttributeBytes:
			return "must have names of 1 to 128 bytes and values of at most 1024"
		case !utf8.ValidString(name) || !utf8.ValidString(value):
			return "must be valid UTF-8"
		}
	}
	return ""
}
