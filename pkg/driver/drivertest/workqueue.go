package drivertest

import (
	"context"
	"slices"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// queueName is the queue of a promise that needs no second.
const queueName = "q"

// queueOptions are roomy: nothing ends by itself while a promise is at work.
func (t *T) queueOptions() driver.QueueOptions {
	return driver.QueueOptions{Lease: 100 * t.second(), MaxAttempts: 5, Retention: 7 * 24 * time.Hour}
}

// queue makes the promise's queue.
func (t *T) queue(change ...func(*driver.QueueOptions)) {
	t.Helper()
	o := t.queueOptions()
	for _, f := range change {
		f(&o)
	}
	created, err := t.set().Queue.CreateQueue(t.Ctx, t.namespace(), queueName, o)
	t.must(err)
	if !created {
		t.Errorf("CreateQueue says that the queue was there")
	}
}

func message(payload string) driver.QueueMessage {
	return driver.QueueMessage{Payload: []byte(payload)}
}

func keyed(key string, payloads ...string) []driver.QueueMessage {
	var messages []driver.QueueMessage
	for _, p := range payloads {
		messages = append(messages, driver.QueueMessage{Key: key, Payload: []byte(p)})
	}
	return messages
}

// send publishes messages, all of which must be taken, and gives their ids.
func (t *T) send(messages ...driver.QueueMessage) []uint64 {
	t.Helper()
	results := make([]driver.QueueResult, len(messages))
	t.must(t.set().Queue.Publish(t.Ctx, t.namespace(), queueName, messages, results))
	ids := make([]uint64, len(messages))
	for i, r := range results {
		t.must(r.Err)
		if ids[i] = r.ID; r.ID == 0 || i > 0 && r.ID <= ids[i-1] {
			t.Errorf("message %d has id %d after %v", i, r.ID, ids[:i])
		}
	}
	return ids
}

// sendAll publishes plain messages.
func (t *T) sendAll(payloads ...string) []uint64 {
	t.Helper()
	return t.send(keyed("", payloads...)...)
}

func (t *T) receiveWith(r driver.QueueReceive) []driver.Delivery {
	t.Helper()
	out, err := t.set().Queue.Receive(t.Ctx, t.namespace(), queueName, r)
	t.must(err)
	return out
}

// receive leases up to n messages without waiting.
func (t *T) receive(n int) []driver.Delivery {
	t.Helper()
	return t.receiveWith(driver.QueueReceive{Max: n})
}

// receives wants exactly these payloads, in this order, of up to a hundred.
func (t *T) receives(want ...string) []driver.Delivery {
	t.Helper()
	out := t.receive(100)
	if got := payloadsOf(out); !slices.Equal(got, want) {
		t.Errorf("received %q, want %q", got, want)
	}
	return out
}

// receivesOne wants one message with that payload.
func (t *T) receivesOne(want string) driver.Delivery {
	t.Helper()
	out := t.receive(1)
	if len(out) != 1 || string(out[0].Payload) != want {
		t.Fatalf("received %q, want %q", payloadsOf(out), want)
	}
	return out[0]
}

func payloadsOf(out []driver.Delivery) []string {
	payloads := make([]string, 0, len(out))
	for i := range out {
		payloads = append(payloads, string(out[i].Payload))
	}
	return payloads
}

func receiptsOf(out []driver.Delivery) []driver.LeaseReceipt {
	var receipts []driver.LeaseReceipt
	for i := range out {
		receipts = append(receipts, out[i].Receipt)
	}
	return receipts
}

// A settling is what ends or changes leases.
type settling func(ctx context.Context, ns prism.Namespace, queue string, receipts []driver.LeaseReceipt, results []driver.QueueResult) error

func (t *T) extending(d time.Duration) settling {
	return func(ctx context.Context, ns prism.Namespace, queue string, receipts []driver.LeaseReceipt, results []driver.QueueResult) error {
		return t.set().QueueVisibility.Extend(ctx, ns, queue, receipts, d, results)
	}
}

func (t *T) releasing(delay time.Duration, reason string) settling {
	return func(ctx context.Context, ns prism.Namespace, queue string, receipts []driver.LeaseReceipt, results []driver.QueueResult) error {
		return t.set().QueueVisibility.Release(ctx, ns, queue, receipts, delay, reason, results)
	}
}

func (t *T) rejecting(reason string) settling {
	return func(ctx context.Context, ns prism.Namespace, queue string, receipts []driver.LeaseReceipt, results []driver.QueueResult) error {
		return t.set().QueueDeadLetter.Reject(ctx, ns, queue, receipts, reason, results)
	}
}

// settlings are those that the store has, by name.
func (t *T) settlings() map[string]settling {
	s := map[string]settling{"Ack": t.set().Queue.Ack}
	if t.set().QueueVisibility != nil {
		s["Extend"], s["Release"] = t.extending(100*t.second()), t.releasing(0, "")
	}
	if t.set().QueueDeadLetter != nil {
		s["Reject"] = t.rejecting("bad")
	}
	return s
}

// settle does it with each delivery, all of which must be held.
func (t *T) settle(do settling, out ...driver.Delivery) []driver.QueueResult {
	t.Helper()
	results := make([]driver.QueueResult, len(out))
	t.must(do(t.Ctx, t.namespace(), queueName, receiptsOf(out), results))
	for i := range results {
		t.must(results[i].Err)
	}
	return results
}

func (t *T) ack(out ...driver.Delivery) {
	t.Helper()
	t.settle(t.set().Queue.Ack, out...)
}

func (t *T) release(delay time.Duration, reason string, out ...driver.Delivery) []driver.QueueResult {
	t.Helper()
	return t.settle(t.releasing(delay, reason), out...)
}

func (t *T) reject(reason string, out ...driver.Delivery) {
	t.Helper()
	t.settle(t.rejecting(reason), out...)
}

// lost wants each call to find the lease over.
func (t *T) lost(why string, d driver.Delivery) {
	t.Helper()
	for name, do := range t.settlings() {
		results := make([]driver.QueueResult, 1)
		t.must(do(t.Ctx, t.namespace(), queueName, receiptsOf([]driver.Delivery{d}), results))
		t.refused(name+" of a lease that is "+why, results[0].Err, prism.ReasonLeaseLost)
	}
}

// peek lists all messages of a state.
func (t *T) peek(state driver.QueueState) []driver.StoredMessage {
	t.Helper()
	var all []driver.StoredMessage
	for token := []byte(nil); ; {
		page, err := t.set().Queue.Peek(t.Ctx, t.namespace(), queueName, driver.QueuePeek{State: state, Limit: 100, Token: token})
		t.must(err)
		all = append(all, page.Messages...)
		if token = page.Next; token == nil {
			return all
		}
	}
}

// peeks wants these payloads in a state.
func (t *T) peeks(state driver.QueueState, want ...string) []driver.StoredMessage {
	t.Helper()
	all := t.peek(state)
	var got []string
	for i := range all {
		got = append(got, string(all[i].Payload))
		if all[i].State != state {
			t.Errorf("a list of state %d has a message of state %d", state, all[i].State)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("in state %d there are %q, want %q", state, got, want)
	}
	return all
}

func (t *T) info() driver.QueueInfo {
	t.Helper()
	info, err := t.set().Queue.Info(t.Ctx, t.namespace(), queueName)
	t.must(err)
	return info
}

// holds wants the queue to hold that many messages in each state.
func (t *T) holds(ready, delayed, leased, dead int64) {
	t.Helper()
	i := t.info()
	if got, want := [...]int64{i.Ready, i.Delayed, i.Leased, i.Dead}, [...]int64{ready, delayed, leased, dead}; got != want {
		t.Errorf("ready, delayed, leased, dead are %d, want %d", got, want)
	}
}

// waiting starts a Receive that waits, and gives what it will answer. It has
// begun to wait when ready tells so, as far as that can be seen from outside.
func (t *T) waiting(ctx context.Context, r driver.QueueReceive) <-chan received {
	answer := make(chan received, 1)
	queue, ns := t.set().Queue, t.namespace()
	go func() {
		var a received
		a.out, a.err = queue.Receive(ctx, ns, queueName, r)
		answer <- a
	}()
	return answer
}

type received struct {
	out []driver.Delivery
	err error
}

// answered waits for the answer of a Receive that waits. Time goes on meanwhile.
func (t *T) answered(answer <-chan received) (a received) {
	t.Helper()
	t.eventually("a waiting Receive answers", func() bool {
		select {
		case a = <-answer:
			return true
		default:
			return false
		}
	})
	return a
}

// got wants the answer of a Receive that waits to be one message.
func (t *T) got(answer <-chan received, want string) driver.Delivery {
	t.Helper()
	a := t.answered(answer)
	t.must(a.err)
	if len(a.out) != 1 || string(a.out[0].Payload) != want {
		t.Fatalf("a waiting Receive got %q, want %q", payloadsOf(a.out), want)
	}
	return a.out[0]
}

// passed lets leases of a second pass.
func (t *T) passed() { t.pass(t.second() + 2*time.Millisecond) }

// queueCalls makes one call of each method that the Set has.
func queueCalls(ctx context.Context, s *driver.Set, ns prism.Namespace, queue string) map[string]error {
	errs := map[string]error{}
	receipts, results := []driver.LeaseReceipt{{ID: 1, Fence: 1}}, make([]driver.QueueResult, 1)
	if q := s.Queue; q != nil {
		errs["Publish"] = q.Publish(ctx, ns, queue, []driver.QueueMessage{message("m")}, results)
		_, errs["Receive"] = q.Receive(ctx, ns, queue, driver.QueueReceive{Max: 1})
		errs["Ack"] = q.Ack(ctx, ns, queue, receipts, results)
		_, errs["Peek"] = q.Peek(ctx, ns, queue, driver.QueuePeek{State: driver.QueueReady, Limit: 1})
		_, errs["Info"] = q.Info(ctx, ns, queue)
	}
	if q := s.QueueVisibility; q != nil {
		errs["Extend"] = q.Extend(ctx, ns, queue, receipts, time.Second, results)
		errs["Release"] = q.Release(ctx, ns, queue, receipts, 0, "", results)
	}
	if q := s.QueueDelayed; q != nil {
		_, _, errs["Delayed"] = q.Delayed(ctx, ns, queue)
	}
	if q := s.QueuePriority; q != nil {
		_, errs["Priorities"] = q.Priorities(ctx, ns, queue)
	}
	if q := s.QueueDeadLetter; q != nil {
		errs["Reject"] = q.Reject(ctx, ns, queue, receipts, "", results)
		_, errs["Redrive"] = q.Redrive(ctx, ns, queue, nil, 0)
		_, errs["Purge"] = q.Purge(ctx, ns, queue, nil)
	}
	return errs
}
