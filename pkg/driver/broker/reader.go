package broker

import (
	"context"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Log is the persistent events of one namespace, numbered from 1 without a
// gap. Its epoch tells it from one that was there before under the same name.
type Log interface {
	// Extent says what there is, and gives a channel that the next change
	// closes.
	Extent() (Extent, <-chan struct{}, error)
	// Read gives the events after a number, as many as are cheap to hold at
	// once, and at least one if there is one. What is no longer there is
	// COMPACTED.
	Read(e Extent, after uint64) ([]*driver.Event, error)
}

// An Extent is what a log holds: the events after Floor, up to Last.
type Extent struct{ Epoch, Floor, Last uint64 }

// Position is the place after an event.
func (e Extent) Position(number uint64) driver.Position {
	p := make(driver.Position, 0, positionSize)
	p = append(p, positionFormat)
	p = binary.BigEndian.AppendUint64(p, e.Epoch)
	return binary.BigEndian.AppendUint64(p, number)
}

const (
	positionFormat = 1
	positionSize   = 17
)

// Number is the event that a position is after. One that is no longer kept,
// or was given by a log that is gone, is COMPACTED.
func (e Extent) Number(p driver.Position) (uint64, error) {
	if len(p) != positionSize || p[0] != positionFormat {
		return 0, prism.InvalidField("position", "is not one of this store")
	}
	number := binary.BigEndian.Uint64(p[9:])
	if binary.BigEndian.Uint64(p[1:]) != e.Epoch || number < e.Floor || number > e.Last {
		return 0, Compacted()
	}
	return number, nil
}

// Acked is the event that an acknowledged position is after; what was trimmed
// meanwhile may be acknowledged all the same.
func (e Extent) Acked(p driver.Position) (uint64, error) {
	if len(p) == positionSize && p[0] == positionFormat &&
		binary.BigEndian.Uint64(p[1:]) == e.Epoch && binary.BigEndian.Uint64(p[9:]) <= e.Last {
		return binary.BigEndian.Uint64(p[9:]), nil
	}
	return 0, prism.InvalidField("position", "is not one of this log")
}

// Compacted is the error for events that are no longer kept.
func Compacted() error {
	return prism.New(prism.ReasonCompacted, "the position is older than the events that are kept")
}

// A Name is a durable subscription. Its store guards it.
type Name struct {
	Pattern string
	Created time.Time
	Start   uint64 // what came up to here is none of its business
	Acked   uint64 // 0: nothing yet
	reader  *Reader
}

// At is the event after which a reader of the name begins.
func (n *Name) At() uint64 { return max(n.Start, n.Acked) }

// Info describes the name.
func (n *Name) Info(name string, e Extent) driver.DurableSubscription {
	d := driver.DurableSubscription{
		Name: name, Pattern: n.Pattern, CreatedAt: n.Created,
		Behind: int64(e.Last - min(n.At(), e.Last)), Active: n.reader != nil && !n.reader.over(),
	}
	if n.Acked > 0 {
		d.Acked = e.Position(n.Acked)
	}
	return d
}

// Take makes r the name's reader and ends the one before.
func (n *Name) Take(r *Reader) {
	if n.reader != nil {
		n.reader.end(prism.New(prism.ReasonTaken, "another reader took over the subscription"))
	}
	n.reader = r
}

// End ends the name's reader because the name is forgotten.
func (n *Name) End(name string) {
	if n.reader != nil {
		n.reader.end(prism.NotFound("subscription", name))
	}
}

// Pass moves the name past events that are about to go, those after floor up to
// next, where they are nothing to it: its reader has passed them and owes no
// acknowledgement, or it does not follow their topics. It reports whether the
// name has moved.
func (n *Name) Pass(floor, next uint64, topic func(number uint64) string) bool {
	before := n.At()
	if before >= next {
		return false
	}
	if r := n.reader; r != nil && !r.over() {
		// In this order: what was handed out up to at is counted by then.
		at, handed := r.at.Load(), r.handed.Load()
		if handed <= before {
			n.Start = max(n.Start, at)
		}
	}
	if n.At() >= floor { // else it lost some before
		for at := n.At(); at < next && !driver.MatchTopic(n.Pattern, topic(at+1)); at++ {
			n.Start = at + 1
		}
	}
	return n.At() != before
}

// positionsEvery bounds how long a reader keeps a newer position to itself when
// nothing that passes is for it.
const positionsEvery = 10 * time.Second

// A Reader follows a log.
type Reader struct {
	log     Log
	clock   clock.Clock
	pattern string
	filter  driver.Filter
	epoch   uint64
	begun   bool
	told    uint64        // the last position handed out
	at      atomic.Uint64 // the last event that was looked at
	handed  atomic.Uint64 // the last event that was handed out

	ended chan struct{}
	once  sync.Once
	why   error
}

// Follow reads log after an event.
func Follow(log Log, c clock.Clock, r driver.Replay, epoch, after uint64) *Reader {
	f := &Reader{log: log, clock: c, pattern: r.Pattern, filter: r.Filter, epoch: epoch, told: after, ended: make(chan struct{})}
	f.at.Store(after)
	return f
}

// Next hands out what matches, in order.
func (r *Reader) Next(ctx context.Context) (driver.Replayed, error) {
	var timer *clock.Timer
	defer func() {
		if timer != nil {
			timer.Stop()
		}
	}()
	for {
		if err := ctx.Err(); err != nil {
			return driver.Replayed{}, prism.From(err)
		}
		if r.over() {
			return driver.Replayed{}, r.why
		}
		e, changed, err := r.log.Extent()
		if err != nil {
			return driver.Replayed{}, err
		}
		at := r.at.Load()
		if e.Epoch != r.epoch || at < e.Floor {
			return driver.Replayed{}, Compacted()
		}
		found, err := r.advance(e, at)
		if err != nil {
			return driver.Replayed{}, err
		}
		if len(found) > 0 || !r.begun {
			return r.tell(e, found), nil
		}
		if at = r.at.Load(); at < e.Last {
			continue
		}
		var late <-chan time.Time
		if at > r.told {
			if timer == nil {
				timer = r.clock.NewTimer(positionsEvery)
			}
			late = timer.C
		}
		select {
		case <-changed:
		case <-late:
			return r.tell(e, nil), nil
		case <-r.ended:
		case <-ctx.Done():
		}
	}
}

func (r *Reader) tell(e Extent, found []driver.Event) driver.Replayed {
	r.begun, r.told = true, r.at.Load()
	return driver.Replayed{Events: found, Position: e.Position(r.told)}
}

// advance looks at events after at and gives those that match.
func (r *Reader) advance(e Extent, at uint64) (found []driver.Event, err error) {
	if at >= e.Last {
		return nil, nil
	}
	events, err := r.log.Read(e, at)
	if err != nil {
		return nil, err
	}
	for _, event := range events {
		at++
		if driver.MatchTopic(r.pattern, event.Topic) && r.filter.Match(event.Attributes) {
			found = append(found, *event)
			found[len(found)-1].Position = e.Position(at)
			if len(found) == batchMax {
				break
			}
		}
	}
	if len(found) > 0 {
		r.handed.Store(at)
	}
	r.at.Store(at)
	return found, nil
}

func (r *Reader) over() bool {
	select {
	case <-r.ended:
		return true
	default:
		return false
	}
}

func (r *Reader) end(why error) {
	r.once.Do(func() {
		r.why = why
		close(r.ended)
	})
}

// Close ends the reader; a Next that waits fails.
func (r *Reader) Close() error {
	r.end(prism.New(prism.ReasonUnavailable, "the replay is closed"))
	return nil
}
