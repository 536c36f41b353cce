package loadtest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prism-data-layer/prism/loadtest/report"
)

// streams follow the messages of a [Receiver]. Without one they do nothing.
type streams struct {
	r    *runner
	from Receiver
	stop func()
	all  []*stream

	begun atomic.Bool
	ok    []atomic.Uint64 // measured requests that succeeded, by operation
	woken chan struct{}   // something came while the end was awaited
}

// A stream is one way on which messages come.
type stream struct {
	mu              sync.Mutex
	delay, response *report.Histogram
	messages, bytes uint64
	failed          uint64
	first, last     time.Duration // offsets
}

func newStreams(r *runner) *streams {
	s := &streams{r: r, woken: make(chan struct{}, 1)}
	from, ok := r.workload.(Receiver)
	if !ok || len(from.Streams()) == 0 {
		return s
	}
	s.from, s.ok = from, make([]atomic.Uint64, len(r.workload.Operations()))
	for range from.Streams() {
		s.all = append(s.all, &stream{delay: report.NewHistogram(), response: report.NewHistogram()})
	}
	return s
}

func (s *streams) listen(ctx context.Context) (err error) {
	if s.from != nil {
		// Messages are still wanted when ctx has ended: end says when no more.
		s.stop, err = s.from.Receive(context.WithoutCancel(ctx), s.got)
	}
	return err
}

// begin follows the runner's start.
func (s *streams) begin() { s.begun.Store(true) }

// sent counts what messages may be expected for.
func (s *streams) sent(operation int) {
	if s.from != nil {
		s.ok[operation].Add(1)
	}
}

func (s *streams) got(m Message) {
	if !s.begun.Load() {
		return
	}
	now, sent := s.r.now(), m.Sent.Sub(s.r.start)
	due := sent
	if m.Err == nil && s.r.plan.Closed == 0 {
		due, _ = s.r.schedule.At(m.N)
	}
	one := s.all[m.Stream]
	switch {
	case m.Err != nil:
		// A receiver that is stopped has not failed.
		if !errors.Is(m.Err, context.Canceled) {
			s.r.failures.add(s.from.Streams()[m.Stream], m.Err)
			one.mu.Lock()
			one.failed++
			one.mu.Unlock()
		}
		return
	case due < s.r.plan.WarmUp:
		return
	}
	one.mu.Lock()
	if one.messages == 0 {
		one.first = now
	}
	one.last = now
	one.messages++
	one.bytes += uint64(m.Bytes)
	one.delay.Record(now - sent)
	one.response.Record(now - due)
	one.mu.Unlock()
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

// expected is how many messages each stream owes for what was sent so far.
func (s *streams) expected() []int64 {
	ok := make([]uint64, len(s.ok))
	for i := range s.ok {
		ok[i] = s.ok[i].Load()
	}
	return s.from.Expected(ok)
}

func (s *streams) complete() bool {
	for i, want := range s.expected() {
		s.all[i].mu.Lock()
		have := s.all[i].messages
		s.all[i].mu.Unlock()
		if int64(have) < want {
			return false
		}
	}
	return true
}

// end waits for what is on its way, as long as the grace of the plan.
func (s *streams) end(ctx context.Context) {
	if s.from == nil {
		return
	}
	grace := s.r.plan.Grace
	if s.r.abortReason != "" || ctx.Err() != nil {
		grace = abortGrace
	}
	t := s.r.plan.Clock.NewTimer(grace)
	defer t.Stop()
	for over := false; !over && !s.complete(); {
		select {
		case <-s.woken:
		case <-t.C:
			over = true
		}
	}
	s.stop()
}

func (s *streams) watched() []report.StreamSnapshot {
	var all []report.StreamSnapshot
	for i, one := range s.all {
		one.mu.Lock()
		all = append(all, report.StreamSnapshot{Name: s.from.Streams()[i], Messages: one.messages, Failed: one.failed, Delay: report.Watched(one.delay)})
		one.mu.Unlock()
	}
	return all
}

// report may be asked when the receiver has stopped.
func (s *streams) report() []report.Stream {
	if s.from == nil {
		return nil
	}
	var all []report.Stream
	names, expected := s.from.Streams(), s.expected()
	for i, one := range s.all {
		out := report.Stream{
			Name: names[i], Messages: one.messages, Failed: one.failed, Bytes: one.bytes,
			Delay: report.NewLatency(one.delay), Response: report.NewLatency(one.response),
		}
		if want := expected[i]; want >= 0 {
			out.Expected = &want
		}
		if one.messages > 0 {
			out.FirstMs = report.Millis(one.first - s.r.plan.WarmUp)
			out.ThroughputRPS = perSecond(one.messages, max(one.last, s.r.end)-s.r.plan.WarmUp)
		}
		all = append(all, out)
	}
	return all
}
