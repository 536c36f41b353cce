package keyvalue

import (
	"sync"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
)

// A tail notes, while a namespace moves, what a watch of the source does not
// tell: receipts, and changes of an expiry, which give no version. Where the
// source has no watch it notes every key that is written.
type tail struct {
	watched bool

	mu       sync.Mutex
	keys     map[string]struct{}
	receipts []driver.KeptReceipt
	unsure   []driver.ReceiptID // of operations that may have taken effect
}

func newTail(watched bool) *tail { return &tail{watched: watched, keys: map[string]struct{}{}} }

func (t *tail) note(op *Op, now time.Time, r *Result, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.touched(op)
	t.receipt(op.Receipt, now, err, *r)
}

func (t *tail) noteCommit(writes []Op, once driver.Receipt, now time.Time, results []Result, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range writes {
		t.touched(&writes[i])
	}
	t.receipt(once, now, err, results...)
}

func (t *tail) touched(op *Op) {
	if !t.watched || op.Kind == OpExpire || op.Kind == OpPersist || op.Kind == OpTouch {
		t.keys[op.Key] = struct{}{}
	}
}

// receipt notes the receipt of what was done. One that was answered from its
// receipt is older than the tail, or was noted.
func (t *tail) receipt(r driver.Receipt, now time.Time, err error, answers ...Result) {
	switch {
	case r.IsZero(), len(answers) > 0 && answers[0].Replayed:
	case err != nil:
		t.unsure = append(t.unsure, r.ID)
	default:
		t.receipts = append(t.receipts, driver.KeptReceipt{ID: r.ID, Body: r.Body, Ends: now.Add(r.Keep), Answers: owned(answers)})
	}
}

// owned copies answers, which belong to the caller of the operation.
func owned(answers []Result) []Result {
	copied := make([]Result, len(answers))
	for i, r := range answers {
		if r.Value != nil {
			r.Value = append([]byte{}, r.Value...)
		}
		copied[i] = r
	}
	return copied
}

// noted is what a tail has gathered.
type noted struct {
	keys     map[string]struct{}
	receipts []driver.KeptReceipt
	unsure   []driver.ReceiptID
}

func (t *tail) take() noted {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := noted{t.keys, t.receipts, t.unsure}
	t.keys, t.receipts, t.unsure = map[string]struct{}{}, nil, nil
	return n
}
