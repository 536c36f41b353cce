package supervise

import (
	"context"
	"sync"
	"sync/atomic"
)

// A fan gives each value to every subscriber. A subscriber that does not keep
// up loses values rather than hold up the sender: a log reader must never be
// able to block a child.
type fan[T any] struct {
	weigh func(T) int // in bytes; nil: values weigh nothing

	mu     sync.Mutex
	subs   map[chan T]*subscriber
	closed bool
}

type subscriber struct {
	missed int           // values since the last that it got
	most   int64         // how much may wait for it; 0: its buffer is the only bound
	queued *atomic.Int64 // how much does
}

// subscribe returns a channel that is closed when ctx ends or the fan closes.
func (f *fan[T]) subscribe(ctx context.Context, buffer int) <-chan T {
	c, _ := f.subscribeBounded(ctx, buffer, 0)
	return c
}

// subscribeBounded is subscribe for values that may be large: at most so many
// bytes of them wait. The subscriber calls took with each that it received.
func (f *fan[T]) subscribeBounded(ctx context.Context, buffer int, most int64) (values <-chan T, took func(T)) {
	c := make(chan T, buffer)
	s := &subscriber{most: most, queued: new(atomic.Int64)}
	took = func(v T) { s.queued.Add(-f.weight(v)) }
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		close(c)
		return c, took
	}
	if f.subs == nil {
		f.subs = map[chan T]*subscriber{}
	}
	f.subs[c] = s
	f.mu.Unlock()
	context.AfterFunc(ctx, func() { f.drop(c) })
	return c, took
}

func (f *fan[T]) weight(v T) int64 {
	if f.weigh == nil {
		return 0
	}
	return int64(f.weigh(v))
}

func (f *fan[T]) drop(c chan T) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.subs[c]; ok {
		delete(f.subs, c)
		close(c)
	}
}

// send never blocks. lost, if not nil, writes into v how many values the
// subscriber missed before this one.
func (f *fan[T]) send(v T, lost func(*T, int)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	weight := f.weight(v)
	for c, s := range f.subs {
		if s.most > 0 && s.queued.Load()+weight > s.most {
			s.missed++
			continue
		}
		w := v
		if s.missed > 0 && lost != nil {
			lost(&w, s.missed)
		}
		s.queued.Add(weight) // before it can be received
		select {
		case c <- w:
			s.missed = 0
		default:
			s.queued.Add(-weight)
			s.missed++
		}
	}
}

func (f *fan[T]) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.subs {
		close(c)
	}
	f.subs, f.closed = nil, true
}
