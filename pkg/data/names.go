package data

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A QueueKind is one of the two forms of a queue.
type QueueKind string

const (
	LogKind  QueueKind = "log"  // a topic
	WorkKind QueueKind = "work" // a work queue
)

// noun is what errors call the kind.
func (k QueueKind) noun() string {
	if k == LogKind {
		return "topic"
	}
	return "queue"
}

func (k QueueKind) phrase() string {
	if k == LogKind {
		return "a log"
	}
	return "a work queue"
}

// Bounds of a namespace of queues that says nothing of them.
const (
	DefaultQueues     = 10_000
	DefaultPartitions = 100_000
	DefaultGroups     = 1_000
)

// A QueuePolicy is what a namespace says of all its topics and queues; 0 is the
// default.
type QueuePolicy struct {
	Receipts     int64     // idempotency keys that are kept; 0: the store's bound
	NoAutoCreate bool      // publishing makes no name
	DefaultKind  QueueKind // the only kind that publishing makes; empty: the kind that is published to
	Queues       int64     // topics and queues together
	Partitions   int64     // of all topics together
	Groups       int64     // of a topic
	MessageBytes int64     // of a payload; at most prism.MaxValueBytes
}

// CheckPayload says what is wrong with a payload of n bytes, if anything is.
func (p QueuePolicy) CheckPayload(n int) string {
	if most := cmp.Or(p.MessageBytes, prism.MaxValueBytes); int64(n) > most {
		if most == prism.MaxValueBytes {
			return "must be at most 1 MiB"
		}
		return fmt.Sprintf("must be at most %d bytes in this namespace", most)
	}
	return ""
}

// MayMake refuses with NOT_FOUND what publishing must not make.
func (p QueuePolicy) MayMake(ns prism.Namespace, kind QueueKind, name string) error {
	switch {
	case p.NoAutoCreate:
		return prism.New(prism.ReasonNotFound, "%s %q not found, and publishing makes none in namespace %q (auto_create: false)", kind.noun(), name, ns).
			WithMeta("auto_create", "false").WithNamespace(ns)
	case p.DefaultKind != "" && p.DefaultKind != kind:
		return prism.New(prism.ReasonNotFound, "%s %q not found, and publishing makes none in namespace %q (default_kind: %s)", kind.noun(), name, ns, p.DefaultKind).
			WithMeta("default_kind", string(p.DefaultKind)).WithNamespace(ns)
	}
	return nil
}

// Names sees to it that each name of a namespace is a topic or a queue, never
// both, and that there are no more than it may have. All versions of the
// namespace share one: whoever makes a name waits for who makes another.
type Names struct {
	making chan struct{} // holds one: the right to make names

	// Guarded by making: what there is, counted once and then kept.
	counted            bool
	queues, partitions int64
}

// NewNames returns the names of a namespace.
func NewNames() *Names { return &Names{making: make(chan struct{}, 1)} }

// Alone runs f while nobody else makes a name or a group.
func (n *Names) Alone(ctx context.Context, f func() error) error {
	select {
	case n.making <- struct{}{}:
	case <-ctx.Done():
		return prism.From(ctx.Err())
	}
	defer func() { <-n.making }()
	return f()
}

// Make runs create, which makes name with so many partitions (0: a work queue),
// unless it is of the other kind or the namespace is full.
func (n *Names) Make(ctx context.Context, set *driver.Set, ns prism.Namespace, p QueuePolicy, name string, partitions int64, create func() (bool, error)) (created bool, err error) {
	kind := WorkKind
	if partitions > 0 {
		kind = LogKind
	}
	err = n.Alone(ctx, func() error {
		is, err := kindOf(ctx, set, ns, name)
		switch {
		case err != nil:
			return err
		case is == "":
			err = n.admit(ctx, set, ns, p, partitions)
		case is != kind:
			err = wrongKind(ns, is, name)
		}
		if err != nil {
			return err
		}
		created, err = create()
		switch {
		case err != nil: // it may be there all the same
			n.counted = false
		case created:
			n.queues++
			n.partitions += partitions
		}
		return err
	})
	return created, err
}

// admit refuses one name too many. Alone.
func (n *Names) admit(ctx context.Context, set *driver.Set, ns prism.Namespace, p QueuePolicy, partitions int64) error {
	if err := n.count(ctx, set, ns); err != nil {
		return err
	}
	if most := cmp.Or(p.Queues, DefaultQueues); n.queues >= most {
		return tooMany(ns, "topics and queues", most)
	}
	if most := cmp.Or(p.Partitions, DefaultPartitions); partitions > 0 && n.partitions+partitions > most {
		return tooMany(ns, "partitions", most)
	}
	return nil
}

// count counts what is there, the first time. Alone.
func (n *Names) count(ctx context.Context, set *driver.Set, ns prism.Namespace) error {
	if n.counted {
		return nil
	}
	n.queues, n.partitions = 0, 0
	if set.Queue != nil {
		names, err := set.Queue.Queues(ctx, ns)
		if err != nil {
			return err
		}
		n.queues = int64(len(names))
	}
	if set.Stream != nil {
		names, err := set.Stream.Topics(ctx, ns)
		if err != nil {
			return err
		}
		n.queues += int64(len(names))
		for _, name := range names {
			info, err := set.Stream.TopicInfo(ctx, ns, name)
			if err != nil {
				return err
			}
			n.partitions += int64(len(info.Partitions))
		}
	}
	n.counted = true
	return nil
}

// TooManyGroups refuses one more group of a topic that has so many.
func (p QueuePolicy) TooManyGroups(ns prism.Namespace, have int) error {
	if most := cmp.Or(p.Groups, DefaultGroups); int64(have) >= most {
		return tooMany(ns, "groups of a topic", most)
	}
	return nil
}

func tooMany(ns prism.Namespace, what string, most int64) error {
	return prism.New(prism.ReasonQuotaExceeded, "namespace %q may have %d %s", ns, most, what).
		WithQuota("namespace:"+string(ns), fmt.Sprintf("%d %s", most, what)).WithNamespace(ns)
}

// OtherKind makes of a NOT_FOUND the refusal of a name that is there as the
// other kind; it returns every other error as it is.
func OtherKind(ctx context.Context, set *driver.Set, ns prism.Namespace, kind QueueKind, name string, err error) error {
	if !errors.Is(err, prism.ReasonNotFound) {
		return err
	}
	if is, lost := kindOf(ctx, set, ns, name); lost == nil && is != "" && is != kind {
		return wrongKind(ns, is, name)
	}
	return err
}

func wrongKind(ns prism.Namespace, is QueueKind, name string) error {
	return prism.New(prism.ReasonWrongKind, "%q is %s", name, is.phrase()).WithMeta("kind", string(is)).WithNamespace(ns)
}

// kindOf tells what a name is; empty: nothing.
func kindOf(ctx context.Context, set *driver.Set, ns prism.Namespace, name string) (QueueKind, error) {
	if set.Queue != nil {
		if _, err := set.Queue.Info(ctx, ns, name); !errors.Is(err, prism.ReasonNotFound) {
			return WorkKind, err
		}
	}
	if set.Stream != nil {
		if _, err := set.Stream.TopicInfo(ctx, ns, name); !errors.Is(err, prism.ReasonNotFound) {
			return LogKind, err
		}
	}
	return "", nil
}
