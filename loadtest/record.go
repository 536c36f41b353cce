package loadtest

import (
	"sync"
	"time"

	"github.com/prism-data-layer/prism/loadtest/report"
)

// A sheet is a set of counters and histograms. Each shard writes one; the
// collector adds them up. Merging is exact.
type sheet struct {
	ops        []tally
	lag        *report.Histogram
	late       uint64
	waited     uint64
	unfinished uint64
	lastSent   time.Duration // when the latest request went
}

// A tally is an operation's part of a sheet.
type tally struct {
	ok, failed, missed uint64
	inTime             uint64 // of ok: answered before the end of the measurement
	items              uint64 // that ok carried
	sent, received     uint64
	response, service  *report.Histogram
	failedService      *report.Histogram // made when something fails
}

func newSheet(operations int) *sheet {
	s := &sheet{ops: make([]tally, operations), lag: report.NewHistogram()}
	for i := range s.ops {
		s.ops[i].response, s.ops[i].service = report.NewHistogram(), report.NewHistogram()
	}
	return s
}

func (s *sheet) merge(from *sheet) {
	for i := range s.ops {
		s.ops[i].merge(&from.ops[i])
	}
	s.lag.Merge(from.lag)
	s.late += from.late
	s.waited += from.waited
	s.unfinished += from.unfinished
	s.lastSent = max(s.lastSent, from.lastSent)
}

func (t *tally) merge(from *tally) {
	t.ok += from.ok
	t.failed += from.failed
	t.missed += from.missed
	t.inTime += from.inTime
	t.items += from.items
	t.sent += from.sent
	t.received += from.received
	t.response.Merge(from.response)
	t.service.Merge(from.service)
	if from.failedService != nil {
		if t.failedService == nil {
			t.failedService = report.NewHistogram()
		}
		t.failedService.Merge(from.failedService)
	}
}

func (s *sheet) reset() {
	for i := range s.ops {
		t := &s.ops[i]
		t.response.Reset()
		t.service.Reset()
		*t = tally{response: t.response, service: t.service, failedService: t.failedService}
		if t.failedService != nil {
			t.failedService.Reset()
		}
	}
	s.lag.Reset()
	*s = sheet{ops: s.ops, lag: s.lag}
}

func (s *sheet) finished() (ok, failed uint64) {
	for i := range s.ops {
		ok += s.ops[i].ok
		failed += s.ops[i].failed
	}
	return ok, failed
}

// A shard is written by some of the workers and emptied by the collector. Its
// lock is held for a few hundred nanoseconds: the collector exchanges the sheet
// and reads it afterwards.
type shard struct {
	mu    sync.Mutex
	sheet *sheet
	spare *sheet
	_     [64]byte // shards share no cache line
}

// take gives what was recorded since the last time. The result is valid until
// the next call.
func (s *shard) take() *sheet {
	s.spare.reset()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sheet, s.spare = s.spare, s.sheet
	return s.spare
}

// A timing is when things happened to a request, as offsets from the start.
type timing struct {
	due, sent, done time.Duration
	waited          bool // no slot was free when it was due
	inTime          bool // answered before the end of the measurement
	cut             bool // the run ended before the answer
}

func (s *shard) record(o Outcome, t timing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sh := s.sheet
	sh.lastSent = max(sh.lastSent, t.sent)
	if t.waited {
		sh.waited++
	} else {
		sh.lag.Record(t.sent - t.due)
	}
	if t.sent-t.due > lateAfter {
		sh.late++
	}
	if t.cut {
		sh.unfinished++
		return
	}
	op := &sh.ops[o.Operation]
	op.sent += uint64(o.SentBytes)
	op.received += uint64(o.ReceivedBytes)
	op.response.Record(t.done - t.due)
	op.service.Record(t.done - t.sent)
	if o.Err != nil {
		op.failed++
		if op.failedService == nil {
			op.failedService = report.NewHistogram()
		}
		op.failedService.Record(t.done - t.sent)
		return
	}
	op.ok++
	op.items += uint64(max(o.Items, 1))
	if t.inTime {
		op.inTime++
	}
	if o.Missed {
		op.missed++
	}
}
