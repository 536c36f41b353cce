package loadtest

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/prism-data-layer/prism/loadtest/report"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// messagesPerReason bounds the table where messages name keys or times.
const messagesPerReason = 8

// unknownReason stands for errors of a target that are not the project's.
const unknownReason = "UNKNOWN"

// failures collects kinds of error. Failing requests may wait for its lock.
type failures struct {
	mu    sync.Mutex
	rows  map[failure]*report.Error
	kinds map[failure]int // messages of a reason of an operation
}

type failure struct{ operation, reason, message string }

func newFailures() *failures {
	return &failures{rows: make(map[failure]*report.Error), kinds: make(map[failure]int)}
}

func (f *failures) add(operation string, err error) {
	row := describe(operation, err)
	f.mu.Lock()
	defer f.mu.Unlock()
	key := failure{operation, row.Reason, row.Message}
	if f.rows[key] == nil {
		kind := failure{operation: operation, reason: row.Reason}
		if f.kinds[kind] >= messagesPerReason {
			row.Message = "(other messages)"
			key.message = row.Message
		}
		f.kinds[kind]++
	}
	if f.rows[key] == nil {
		f.rows[key] = &row
	}
	have := f.rows[key]
	have.Count++
	have.TraceID = cmp.Or(have.TraceID, row.TraceID)
}

// describe keeps the message of an error that is not ours, where prism.From
// would call it internal and hide it.
func describe(operation string, err error) report.Error {
	row := report.Error{Operation: operation, Reason: unknownReason, Message: report.CleanMessage(err.Error())}
	var e *prism.Error
	var known prism.Reason
	if errors.As(err, &e) || errors.As(err, &known) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		e = prism.From(err)
		info := e.Reason.Info()
		row.Reason, row.Code, row.Status, row.TraceID = string(e.Reason), info.Code(), string(info.Status), e.TraceID
		row.Message = report.CleanMessage(e.Error())
	}
	return row
}

// top are the n most frequent.
func (f *failures) top(n int) []report.Error {
	all := f.list()
	return all[:min(n, len(all))]
}

// list gives the kinds, most frequent first.
func (f *failures) list() []report.Error {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]report.Error, 0, len(f.rows))
	for _, row := range f.rows {
		all = append(all, *row)
	}
	slices.SortFunc(all, func(a, b report.Error) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Operation, b.Operation), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Message, b.Message))
	})
	return all
}

// reasons counts the failures, by operation and reason.
func (f *failures) reasons() []report.Reason {
	f.mu.Lock()
	defer f.mu.Unlock()
	counts := map[failure]uint64{}
	for key, row := range f.rows {
		counts[failure{operation: key.operation, reason: key.reason}] += row.Count
	}
	all := make([]report.Reason, 0, len(counts))
	for key, n := range counts {
		all = append(all, report.Reason{Operation: key.operation, Reason: key.reason, Count: n})
	}
	slices.SortFunc(all, func(a, b report.Reason) int {
		return cmp.Or(cmp.Compare(a.Operation, b.Operation), cmp.Compare(a.Reason, b.Reason))
	})
	return all
}
