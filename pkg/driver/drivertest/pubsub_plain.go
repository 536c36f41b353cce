package drivertest

import (
	"slices"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A plainBus is publish and subscribe as one would write it down: the log is a
// slice, and every event is shown to every subscription. RunPubSubModel holds
// drivers against it.
type plainBus struct {
	calls    int
	log      []driver.Event // persistent events with their positions
	receipts map[[16]byte]driver.Event
	names    map[string]*plainName
	subs     []*plainSub
	readers  []*plainReader
	stale    []driver.Position // of events that Drop took
}

func newPlainBus() *plainBus {
	return &plainBus{receipts: map[[16]byte]driver.Event{}, names: map[string]*plainName{}}
}

// A plainEvent is one on its way to a live subscription. Those of one ordered
// call have an order for each key only.
type plainEvent struct {
	driver.Event
	call    int
	ordered bool
}

// A plainSub is a live subscription; the members of a group share what waits.
type plainSub struct {
	s       driver.Subscription
	group   string
	waiting []plainEvent
	dropped int64
	ended   bool // for being slow
	reads   driver.Subscriber
}

func (s *plainSub) matches(e *driver.Event) bool {
	return driver.MatchTopic(s.s.Pattern, e.Topic) && s.s.Filter.Match(e.Attributes)
}

// take reports whether the subscription has the event then.
func (s *plainSub) take(e plainEvent) bool {
	switch {
	case s.ended:
	case len(s.waiting) < s.s.Pending:
		s.waiting = append(s.waiting, e)
		return true
	case s.s.Slow == driver.SlowDrop:
		s.dropped++
	default:
		s.ended = true
	}
	return false
}

// publish shows an event to the live subscriptions and counts whom it went to.
func (b *plainBus) publish(e driver.Event, ordered bool) (n int64) {
	given := map[string]bool{}
	for _, s := range b.subs {
		if given[s.group] || !s.matches(&e) {
			continue
		}
		given[s.group] = s.group != ""
		if s.take(plainEvent{e, b.calls, ordered}) {
			n++
		}
	}
	return n
}

// append keeps an event, unless its receipt says that it was kept before.
func (b *plainBus) append(e driver.Event, at driver.Position) {
	e.Position = slices.Clone(at)
	b.log = append(b.log, e)
	if !e.Receipt.IsZero() {
		b.receipts[e.Receipt.ID] = e
	}
}

// members are those of a group.
func (b *plainBus) members(group string) (list []*plainSub) {
	for _, s := range b.subs {
		if s.group == group {
			list = append(list, s)
		}
	}
	return list
}

// A plainName is a durable subscription: numbers of events, from 1.
type plainName struct {
	pattern      string
	start, acked int
	reader       *plainReader
}

func (n *plainName) at() int { return max(n.start, n.acked) }

// A plainReader is a place in the log: events up to at are passed.
type plainReader struct {
	name    string
	pattern string
	filter  driver.Filter
	at      int
	told    driver.Position // of the last batch
	ends    prism.Reason    // why nothing more comes, or empty
	reads   driver.Replayer
}

// next is the number of the reader's next event, or 0.
func (b *plainBus) next(r *plainReader) int {
	for i := r.at; i < len(b.log); i++ {
		if driver.MatchTopic(r.pattern, b.log[i].Topic) && r.filter.Match(b.log[i].Attributes) {
			return i + 1
		}
	}
	return 0
}

// start is the event that a replay without a known name begins after, and the
// refusal if it has none.
func (b *plainBus) start(s driver.ReplayStart) (int, prism.Reason) {
	switch {
	case s.Earliest:
		return 0, ""
	case s.After != nil:
		for i := range b.log {
			if slices.Equal(b.log[i].Position, s.After) {
				return i + 1, ""
			}
		}
		return 0, prism.ReasonCompacted
	case !s.Time.IsZero():
		for i := range b.log {
			if !b.log[i].Time.Before(s.Time) {
				return i, ""
			}
		}
	}
	return len(b.log), ""
}

// drop forgets what is kept. Nobody may be subscribed.
func (b *plainBus) drop() {
	for i := range b.log {
		b.stale = append(b.stale, b.log[i].Position)
	}
	b.log = nil
	clear(b.receipts)
	clear(b.names)
}

// inOrder gives events as everybody may see them: those of one ordered call by
// their keys, all others as they are.
func inOrder(events []plainEvent) []plainEvent {
	list := slices.Clone(events)
	slices.SortStableFunc(list, func(a, b plainEvent) int {
		if a.call != b.call || !a.ordered {
			return a.call - b.call
		}
		return strings.Compare(a.OrderingKey, b.OrderingKey)
	})
	return list
}

// matching is a topic that a pattern covers.
func matching(pattern string) string {
	return strings.NewReplacer("*", "last", ">", "last").Replace(pattern)
}

// listed is what Subscriptions must tell, sorted by name.
func (b *plainBus) listed() (list []driver.DurableSubscription) {
	for name, n := range b.names {
		d := driver.DurableSubscription{Name: name, Pattern: n.pattern, Behind: int64(len(b.log) - n.at()), Active: n.reader != nil}
		if n.acked > 0 {
			d.Acked = b.log[n.acked-1].Position
		}
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b driver.DurableSubscription) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// begun is a moment for drivers without a clock in the test's hands.
func begun(c Clock) time.Time {
	if c == nil {
		return time.Now().Truncate(time.Millisecond)
	}
	return c.Now().Truncate(time.Millisecond)
}
