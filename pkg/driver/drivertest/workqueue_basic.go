package drivertest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

var queuePromises = []promise{
	{"a queue is made once: the same settings again are no error, others are ALREADY_EXISTS", testQueueMade, ""},
	{"a queue that is not there is NOT_FOUND", testQueueMissing, ""},
	{"Queues lists the queues of a namespace, sorted", testQueues, ""},
	{"a message comes as it was published", testMessage, ""},
	{"a payload may be any bytes, none, or a mebibyte of them", testPayloads, ""},
	{"messages without a key come in the order of their publishing", testQueueOrder, ""},
	{"ids of messages grow, and are not used again after Drop", testQueueIDs, ""},
	{"a leased message goes to nobody else", testLeased, ""},
	{"a message whose lease has passed comes again, and counts its attempts", testLeasePassed, ""},
	{"a Receive may ask for a lease of its own", testOwnLease, ""},
	{"an acknowledged message does not come again", testAck, ""},
	{"a lease that is over is LEASE_LOST and changes nothing", testLeaseLost, ""},
	{"no two leases have the same receipt", testFences, ""},
	{"each receipt has a result of its own", testAckMany, ""},
	{"messages of one key come in order, one at a time", testKeyOrder, ""},
	{"a key whose message is leased holds up no other", testKeysApart, ""},
	{"a message whose lease has passed comes before the next of its key", testKeyAgain, ""},
	{"Receive keeps to its number and its bytes, and takes one message at least", testReceiveBounds, ""},
	{"Receive without a wait answers at once", testReceiveEmpty, ""},
	{"a waiting Receive gets what is published meanwhile", testWaitPublish, ""},
	{"a waiting Receive gets a message whose lease has passed", testWaitPassed, ""},
	{"a waiting Receive gets the next message of a key when the one before is acknowledged", testWaitKey, ""},
	{"a waiting Receive ends with its time, and with none", testWaitTime, ""},
	{"a waiting Receive ends with its context", testWaitContext, ""},
	{"a message for which many wait goes to one of them", testWaitMany, ""},
	{"Peek lists what is ready in the order of delivery, and leases nothing", testPeek, ""},
	{"the pages of Peek are the whole, and keep to their bounds", testPeekPages, ""},
	{"Peek tells what is leased, and until when", testPeekLeased, ""},
	{"Peek refuses a token that is not its own", testPeekToken, ""},
	{"Info counts what a queue holds and what it did", testQueueInfo, ""},
	{"a message that cannot be published fails alone", testPublishOne, ""},
	{"a receipt makes Publish happen once", testPublishReceipt, ""},
	{"a receipt of a message with another body is KEY_REUSED", testPublishReused, ""},
	{"a receipt of a message is forgotten after its time", testPublishForgotten, "clock"},
	{"receipts of messages are bounded, the oldest go first", testPublishBounded, "bounds"},
	{"receipts whose ids follow one another are each its own", testPublishRun, "clock direct"},
	{"of receipts that came together the first go first", testPublishRunBounded, "bounds"},
	{"receipts that came together are there after a restart", testPublishRunRestart, "bounds reopen"},
	{"100 publishers at once with one receipt publish one message", testPublishTogether, ""},
	{"queues and namespaces share nothing", testQueuesApart, ""},
	{"namespaces of queues may be any bytes", testQueueNamespaces, "anybytes"},
	{"Drop removes the queues of a namespace and ends who waits there", testQueueDrop, ""},
	{"Usage counts messages", testQueueUsage, ""},
	{"a message that nobody works off goes after the retention, not before", testRetention, "clock"},
	{"what the caller does with its bytes afterwards does not matter", testQueueBytes, ""},
	{"consumers side by side get each message once", testConsumers, ""},
	{"producers and consumers at once keep the order of each key", testQueueTogether, ""},
	{"a call on a queue whose context has ended does nothing", testQueueContext, ""},
	{"arguments that make no sense are INVALID_ARGUMENT", testQueueInvalid, ""},
	{"calls on queues after Close are UNAVAILABLE, and Close ends who waits", testQueueClosed, ""},
	{"messages, attempts, leases and settings outlive a restart", testQueueReopen, "reopen clock"},
	{"the order of keys outlives a restart", testKeysReopen, "reopen"},
	{"receipts of messages outlive a restart", testPublishReopen, "reopen"},
	{"acknowledged messages and dropped queues stay away after a restart", testGoneReopen, "reopen"},
	{"ids and receipts of leases are not used again after a restart", testFencesReopen, "reopen"},
}

func testQueueMade(t *T) {
	t.queue()
	q, ns := t.set().Queue, t.namespace()
	created, err := q.CreateQueue(t.Ctx, ns, queueName, t.queueOptions())
	t.must(err)
	if created {
		t.Errorf("CreateQueue made a queue again")
	}
	for _, f := range []func(*driver.QueueOptions){
		func(o *driver.QueueOptions) { o.Lease += time.Second },
		func(o *driver.QueueOptions) { o.MaxAttempts++ },
		func(o *driver.QueueOptions) { o.Retention += time.Second },
	} {
		o := t.queueOptions()
		f(&o)
		_, err = q.CreateQueue(t.Ctx, ns, queueName, o)
		t.refused("CreateQueue with other settings", err, prism.ReasonAlreadyExists)
	}
	if got := t.info().Options; got != t.queueOptions() {
		t.Errorf("the queue has settings %+v, want %+v", got, t.queueOptions())
	}
}

func testQueueMissing(t *T) {
	t.queue()
	for call, err := range queueCalls(t.Ctx, t.set(), t.namespace(), "missing") {
		t.refused(call, err, prism.ReasonNotFound)
	}
	for call, err := range queueCalls(t.Ctx, t.set(), t.another(), queueName) {
		t.refused(call+" in another namespace", err, prism.ReasonNotFound)
	}
}

func testQueues(t *T) {
	names := []string{"b", "a-2", "a", "c9", "a-10"}
	for _, name := range names {
		_, err := t.set().Queue.CreateQueue(t.Ctx, t.namespace(), name, t.queueOptions())
		t.must(err)
	}
	slices.Sort(names)
	got, err := t.set().Queue.Queues(t.Ctx, t.namespace())
	t.must(err)
	if !slices.Equal(got, names) {
		t.Errorf("Queues are %q, want %q", got, names)
	}
	got, err = t.set().Queue.Queues(t.Ctx, t.another())
	t.must(err)
	if len(got) > 0 {
		t.Errorf("a namespace without queues has %q", got)
	}
}

func testMessage(t *T) {
	t.queue()
	m := driver.QueueMessage{
		Key: "key \x00 ü", Payload: []byte("payload"),
		Attributes: map[string]string{"a": "1", "empty": "", "ü": "ö"},
	}
	before := t.now().Add(-time.Second)
	id := t.send(m)[0]
	d := t.receivesOne("payload")
	if d.ID != id || d.Receipt.ID != id {
		t.Errorf("the message has id %d and receipt %d, was published as %d", d.ID, d.Receipt.ID, id)
	}
	if d.Key != m.Key || !maps.Equal(d.Attributes, m.Attributes) {
		t.Errorf("key %q and attributes %q, want %q and %q", d.Key, d.Attributes, m.Key, m.Attributes)
	}
	if d.Attempts != 1 || d.State != driver.QueueLeased {
		t.Errorf("attempt %d in state %d, want the first, leased", d.Attempts, d.State)
	}
	if d.PublishedAt.Before(before) || d.PublishedAt.After(t.now().Add(time.Second)) {
		t.Errorf("published at %v, now it is %v", d.PublishedAt, t.now())
	}
	t.until(d, 100*t.second())
}

// until wants a lease to end at about d from now.
func (t *T) until(l driver.Delivery, d time.Duration) {
	t.Helper()
	slack := 2 * time.Millisecond
	if t.store().Clock == nil {
		slack = time.Second
	}
	if got := l.Until.Sub(t.now()); (got - d).Abs() > slack {
		t.Errorf("the lease ends in %v, want %v", got, d)
	}
}

func testPayloads(t *T) {
	t.queue()
	want := []string{"", "\x00", "\xff\xfe", pattern(5000, 1), pattern(prism.MaxValueBytes, 2)}
	for _, p := range want {
		t.sendAll(p)
	}
	for _, p := range want {
		d := t.receive(1)
		if len(d) != 1 || string(d[0].Payload) != p {
			t.Fatalf("a payload of %d bytes came as %d messages", len(p), len(d))
		}
		t.ack(d...)
	}
}

func testQueueOrder(t *T) {
	t.queue()
	var want []string
	for i := range 50 {
		p := fmt.Sprint(i)
		want = append(want, p)
		t.sendAll(p)
	}
	for len(want) > 0 {
		out := t.receive(7)
		n := min(7, len(want))
		if got := payloadsOf(out); !slices.Equal(got, want[:n]) {
			t.Fatalf("received %q, want %q", got, want[:n])
		}
		want = want[n:]
	}
}

func testQueueIDs(t *T) {
	last := uint64(0)
	for range 3 {
		t.queue()
		for range 5 {
			for _, id := range t.sendAll("a", "b") {
				if id <= last {
					t.Errorf("id %d after %d", id, last)
				}
				last = id
			}
			t.ack(t.receive(1)...)
		}
		t.must(t.set().Store.Drop(t.Ctx, t.namespace()))
	}
}

func testLeased(t *T) {
	t.queue()
	t.sendAll("a", "b")
	t.receivesOne("a")
	t.receivesOne("b")
	t.receives()
	t.holds(0, 0, 2, 0)
}

// briefly leases up to n messages for a second.
func (t *T) briefly(n int) []driver.Delivery {
	t.Helper()
	return t.receiveWith(driver.QueueReceive{Max: n, Lease: t.second()})
}

func testLeasePassed(t *T) {
	t.queue(func(o *driver.QueueOptions) { o.Lease = t.second() })
	id := t.sendAll("a")[0]
	for n := 1; n <= 3; n++ {
		d := t.receivesOne("a")
		if d.ID != id || d.Attempts != n {
			t.Errorf("delivery %d is attempt %d of %d, want of %d", n, d.Attempts, d.ID, id)
		}
		if t.store().Clock != nil {
			t.pass(t.second() - 2*time.Millisecond)
			t.receives()
		}
		t.passed()
	}
	if i := t.info(); i.Redelivered != 2 || i.Delivered != 3 {
		t.Errorf("Info tells of %d deliveries, %d of them again; want 3 and 2", i.Delivered, i.Redelivered)
	}
}

func testOwnLease(t *T) {
	t.queue()
	t.sendAll("a", "b")
	out := t.briefly(1)
	t.until(out[0], t.second())
	t.receivesOne("b")
	t.passed()
	t.receives("a")
}

func testAck(t *T) {
	t.queue()
	t.sendAll("a", "b", "c")
	out := t.briefly(3)
	t.ack(out[0], out[2])
	t.passed()
	t.receives("b")
	t.holds(0, 0, 1, 0)
	if i := t.info(); i.Acked != 2 {
		t.Errorf("Info counts %d acknowledged, want 2", i.Acked)
	}
}

func testLeaseLost(t *T) {
	t.queue()
	t.sendAll("acked")
	d := t.receivesOne("acked")
	t.ack(d)
	t.lost("acknowledged", d)

	t.sendAll("passed")
	d = t.briefly(1)[0]
	t.passed()
	t.lost("passed", d)
	again := t.receivesOne("passed")
	t.lost("given to another", d)
	t.holds(0, 0, 1, 0)
	t.lost("nobody's", driver.Delivery{Receipt: driver.LeaseReceipt{ID: again.ID, Fence: again.Receipt.Fence + 1}})
	t.lost("nobody's", driver.Delivery{Receipt: driver.LeaseReceipt{ID: again.ID + 1, Fence: again.Receipt.Fence}})
	t.lost("nobody's", driver.Delivery{})
	t.ack(again)
	t.holds(0, 0, 0, 0)
}

func testFences(t *T) {
	t.queue(func(o *driver.QueueOptions) { o.Lease, o.MaxAttempts = t.second(), 0 })
	seen := map[uint64]bool{}
	t.sendAll("a", "b", "c")
	for range 4 {
		for _, d := range t.receive(3) {
			if seen[d.Receipt.Fence] {
				t.Errorf("fence %d was given before", d.Receipt.Fence)
			}
			seen[d.Receipt.Fence] = true
		}
		t.passed()
	}
	if len(seen) != 12 {
		t.Errorf("there were %d leases, want 12", len(seen))
	}
}

func testAckMany(t *T) {
	t.queue()
	t.sendAll("a", "b", "c")
	out := t.receive(3)
	t.ack(out[1])
	results := make([]driver.QueueResult, 4)
	receipts := append(receiptsOf(out), out[0].Receipt)
	t.must(t.set().Queue.Ack(t.Ctx, t.namespace(), queueName, receipts, results))
	for i, lost := range []bool{false, true, false, true} {
		if lost {
			t.refused(fmt.Sprintf("receipt %d", i), results[i].Err, prism.ReasonLeaseLost)
		} else if results[i].Err != nil {
			t.Errorf("receipt %d: %v", i, results[i].Err)
		}
	}
	t.holds(0, 0, 0, 0)
	t.must(t.set().Queue.Ack(t.Ctx, t.namespace(), queueName, nil, nil))
}

func testKeyOrder(t *T) {
	t.queue()
	t.send(keyed("k", "1", "2")...)
	t.send(keyed("k", "3")...)
	for _, want := range []string{"1", "2", "3"} {
		d := t.receives(want)
		t.receives() // the next waits for it
		t.ack(d...)
	}
	t.receives()
	t.send(keyed("k", "4")...)
	t.receives("4")
}

func testKeysApart(t *T) {
	t.queue()
	t.send(append(keyed("a", "a1", "a2"), append(keyed("b", "b1"), keyed("", "x")...)...)...)
	out := t.receives("a1", "b1", "x")
	t.ack(out[0])
	t.receives("a2")
}

func testKeyAgain(t *T) {
	t.queue()
	t.send(keyed("k", "1", "2", "3")...)
	t.briefly(1)
	t.passed()
	d := t.receives("1")
	t.ack(d...)
	t.receives("2")
}

func testReceiveBounds(t *T) {
	t.queue()
	t.sendAll(pattern(1000, 0), pattern(1000, 1), pattern(1000, 2), pattern(10, 3), pattern(1000, 4))
	cases := []struct{ limit, bytes, want int }{{5, 500, 1}, {5, 2010, 3}, {1, 5000, 1}, {5, 5000, 0}}
	if t.harness.Wire { // it bounds bytes by itself
		cases = []struct{ limit, bytes, want int }{{1, 0, 1}, {3, 0, 3}, {5, 0, 1}, {5, 0, 0}}
	}
	for _, c := range cases {
		if out := t.receiveWith(driver.QueueReceive{Max: c.limit, Bytes: c.bytes}); len(out) != c.want {
			t.Errorf("Receive of %d messages and %d bytes: %d, want %d", c.limit, c.bytes, len(out), c.want)
		}
	}
}

func testReceiveEmpty(t *T) {
	t.queue()
	t.receives()
	t.receives()
}

func testWaitPublish(t *T) {
	t.queue()
	for i := range 3 {
		answer := t.waiting(t.Ctx, driver.QueueReceive{Max: 1, Wait: time.Hour})
		if i > 0 { // it may have begun to wait, or not
			time.Sleep(5 * time.Millisecond)
		}
		t.sendAll("a")
		t.ack(t.got(answer, "a"))
	}
}

func testWaitPassed(t *T) {
	t.queue()
	t.sendAll("a")
	t.briefly(1)
	answer := t.waiting(t.Ctx, driver.QueueReceive{Max: 1, Wait: time.Hour})
	t.passed()
	if d := t.got(answer, "a"); d.Attempts != 2 {
		t.Errorf("it is attempt %d, want 2", d.Attempts)
	}
}

func testWaitKey(t *T) {
	t.queue()
	t.send(keyed("k", "1", "2")...)
	d := t.receivesOne("1")
	answer := t.waiting(t.Ctx, driver.QueueReceive{Max: 1, Wait: time.Hour})
	t.ack(d)
	t.got(answer, "2")
}

func testWaitTime(t *T) {
	t.queue()
	a := t.answered(t.waiting(t.Ctx, driver.QueueReceive{Max: 1, Wait: t.second()}))
	t.must(a.err)
	if len(a.out) > 0 {
		t.Errorf("an empty queue delivered %q", payloadsOf(a.out))
	}
	t.sendAll("a")
	t.receivesOne("a")
}

func testWaitContext(t *T) {
	t.queue()
	ctx, cancel := context.WithCancel(t.Ctx)
	answer := t.waiting(ctx, driver.QueueReceive{Max: 1, Wait: time.Hour})
	cancel()
	a := t.answered(answer)
	t.refused("Receive", a.err, prism.ReasonCancelled)
	t.sendAll("a") // goes to nobody who has left
	t.receives("a")
}

func testWaitMany(t *T) {
	t.queue()
	var answers []<-chan received
	for range 10 {
		answers = append(answers, t.waiting(t.Ctx, driver.QueueReceive{Max: 5, Wait: time.Hour}))
	}
	seen := map[string]bool{}
	for i := range answers {
		t.sendAll(fmt.Sprint(i))
	}
	for len(seen) < len(answers) {
		before := len(seen)
		t.eventually("whoever waits is given a message", func() bool {
			for _, answer := range answers {
				select {
				case a := <-answer:
					t.must(a.err)
					for _, p := range payloadsOf(a.out) {
						if seen[p] {
							t.Errorf("message %s went to two", p)
						}
						seen[p] = true
					}
				default:
				}
			}
			return len(seen) > before
		})
	}
	// Whoever came too late for one goes on waiting.
	for range answers {
		t.sendAll("end")
	}
}

func testPeek(t *T) {
	t.queue()
	t.sendAll("a", "b", "c")
	for range 2 {
		m := t.peeks(driver.QueueReady, "a", "b", "c")
		if m[0].Attempts != 0 || !m[0].DueAt.IsZero() {
			t.Errorf("a message that nobody had has %d attempts, due %v", m[0].Attempts, m[0].DueAt)
		}
	}
	t.ack(t.receivesOne("a"))
	t.peeks(driver.QueueReady, "b", "c")
	t.briefly(1)
	t.peeks(driver.QueueReady, "c")
	t.passed()
	if m := t.peeks(driver.QueueReady, "b", "c"); m[0].Attempts != 1 {
		t.Errorf("it has %d attempts, want 1", m[0].Attempts)
	}
	t.receives("b", "c")
}

func testPeekPages(t *T) {
	t.queue()
	var want []string
	for i := range 25 {
		want = append(want, fmt.Sprintf("%-100d", i))
	}
	t.sendAll(want...)
	for _, c := range []driver.QueuePeek{{Limit: 1}, {Limit: 10}, {Limit: 25}, {Limit: 100}, {Limit: 100, Bytes: 350}, {Limit: 2, Bytes: 1}} {
		var got []string
		p := c
		p.State = driver.QueueReady
		for pages := 0; pages == 0 || p.Token != nil; pages++ {
			page, err := t.set().Queue.Peek(t.Ctx, t.namespace(), queueName, p)
			t.must(err)
			if n := len(page.Messages); n > c.Limit || c.Bytes > 0 && n*100 > max(c.Bytes, 100) || n == 0 {
				t.Fatalf("a page of limit %d and %d bytes has %d messages", c.Limit, c.Bytes, n)
			}
			for _, m := range page.Messages {
				got = append(got, string(m.Payload))
			}
			p.Token = page.Next
		}
		if !slices.Equal(got, want) {
			t.Errorf("the pages of %+v are %d messages, want the %d there are", c, len(got), len(want))
		}
	}
}

func testPeekLeased(t *T) {
	t.queue()
	t.sendAll("a", "b", "c")
	d := t.receivesOne("a")
	m := t.peeks(driver.QueueLeased, "a")[0]
	if !sameTime(m.DueAt, d.Until) || m.Attempts != 1 || m.ID != d.ID {
		t.Errorf("Peek tells %+v of a lease until %v", m, d.Until)
	}
	t.peeks(driver.QueueReady, "b", "c")
	t.ack(d)
	t.peeks(driver.QueueLeased)
}

func testPeekToken(t *T) {
	t.queue()
	for _, token := range [][]byte{{}, {0}, []byte("never given out"), bytes.Repeat([]byte{0xff}, 17)} {
		if t.harness.Wire && !utf8.Valid(token) {
			continue
		}
		_, err := t.set().Queue.Peek(t.Ctx, t.namespace(), queueName, driver.QueuePeek{State: driver.QueueReady, Limit: 1, Token: token})
		t.refused(fmt.Sprintf("token %q", token), err, prism.ReasonInvalidCursor)
	}
}

func testQueueInfo(t *T) {
	t.queue()
	i := t.info()
	if i.Options != t.queueOptions() || i.Bytes != 0 || !i.Oldest.IsZero() {
		t.Errorf("an empty queue tells %+v", i)
	}
	before := t.now()
	t.sendAll("12345")
	t.pass(t.second())
	t.sendAll("1234567890", "x")
	i = t.info()
	if i.Bytes < 16 || i.Published != 3 || i.Oldest.Sub(before).Abs() > t.second()/2 {
		t.Errorf("Info tells of %d bytes, %d published, the oldest at %v; want 16, 3 and %v", i.Bytes, i.Published, i.Oldest, before)
	}
	t.holds(3, 0, 0, 0)
	out := t.receive(2)
	t.holds(1, 0, 2, 0)
	if i = t.info(); i.Oldest.Sub(before).Abs() > t.second()/2 || i.Delivered != 2 {
		t.Errorf("with the oldest leased Info tells %v and %d delivered", i.Oldest, i.Delivered)
	}
	t.ack(out...)
	if i = t.info(); i.Oldest.Sub(before) < t.second()/2 || i.Acked != 2 || i.Redelivered != 0 {
		t.Errorf("after an Ack Info tells %+v", i)
	}
	t.holds(1, 0, 0, 0)
}

func testPublishOne(t *T) {
	t.queue()
	messages := []driver.QueueMessage{message("a"), {Payload: []byte("bad"), Priority: 10}, {Payload: []byte("bad"), Delay: -1}, message("b")}
	results := make([]driver.QueueResult, len(messages))
	t.must(t.set().Queue.Publish(t.Ctx, t.namespace(), queueName, messages, results))
	for i, bad := range []bool{false, true, true, false} {
		if bad {
			t.refused(fmt.Sprintf("message %d", i), results[i].Err, prism.ReasonInvalidArgument)
		} else {
			t.must(results[i].Err)
		}
	}
	t.receives("a", "b")
}

func (t *T) sendOnce(id, body string) driver.QueueResult {
	t.Helper()
	m, results := message(body), make([]driver.QueueResult, 1)
	m.Receipt = t.receipt(id, body)
	t.must(t.set().Queue.Publish(t.Ctx, t.namespace(), queueName, []driver.QueueMessage{m}, results))
	return results[0]
}

func testPublishReceipt(t *T) {
	t.queue()
	first := t.sendOnce("r", "a")
	t.must(first.Err)
	second := t.sendOnce("r", "a")
	if first.Replayed || !second.Replayed || second.ID != first.ID {
		t.Errorf("the answers are %+v and %+v", first, second)
	}
	t.ack(t.receives("a")...)
	third := t.sendOnce("r", "a") // also when the message is gone
	if !third.Replayed || third.ID != first.ID {
		t.Errorf("after the Ack the answer is %+v", third)
	}
	t.receives()
	// Twice in one call.
	m := message("b")
	m.Receipt = t.receipt("s", "b")
	results := make([]driver.QueueResult, 2)
	t.must(t.set().Queue.Publish(t.Ctx, t.namespace(), queueName, []driver.QueueMessage{m, m}, results))
	if results[0].ID != results[1].ID || !results[1].Replayed {
		t.Errorf("twice in one call: %+v", results)
	}
	t.receives("b")
}

func testPublishReused(t *T) {
	t.queue()
	t.must(t.sendOnce("r", "a").Err)
	t.refused("another body", t.sendOnce("r", "b").Err, prism.ReasonKeyReused)
	t.receives("a")
}

func testPublishForgotten(t *T) {
	t.queue()
	m := message("a")
	m.Receipt = t.receipt("r", "a")
	t.send(m)
	t.pass(m.Receipt.Keep - 2*time.Millisecond)
	results := make([]driver.QueueResult, 1)
	t.must(t.set().Queue.Publish(t.Ctx, t.namespace(), queueName, []driver.QueueMessage{m}, results))
	if !results[0].Replayed {
		t.Errorf("the receipt is forgotten before its time")
	}
	t.pass(3 * time.Millisecond)
	t.send(m)
	t.receives("a", "a")
}

func testPublishBounded(t *T) {
	t.open(Options{Receipts: 10})
	t.queue()
	for i := range 15 {
		t.must(t.sendOnce(fmt.Sprint(i), fmt.Sprint(i)).Err)
	}
	for i := 14; i >= 0; i-- {
		if i < 5 {
			break
		}
		if r := t.sendOnce(fmt.Sprint(i), fmt.Sprint(i)); !r.Replayed {
			t.Errorf("receipt %d is gone, and there are ten", i)
		}
	}
	if r := t.sendOnce("0", "0"); r.Replayed {
		t.Errorf("the oldest of 15 receipts is there, with room for ten")
	}
}

// run are messages with the receipts from to to, whose ids follow one another
// as those of a client's retries do.
func (t *T) run(from, to int, keep time.Duration) []driver.QueueMessage {
	var messages []driver.QueueMessage
	for i := from; i < to; i++ {
		m := message(fmt.Sprint(i))
		m.Receipt = t.receipt("run", fmt.Sprint(i))
		m.Receipt.Keep = keep
		binary.BigEndian.PutUint64(m.Receipt.ID[8:], uint64(i)+1<<40-2) // over a round number
		messages = append(messages, m)
	}
	return messages
}

// sendRun publishes such messages, and says which were there already.
func (t *T) sendRun(messages []driver.QueueMessage) (ids []uint64, replayed string) {
	t.Helper()
	results := make([]driver.QueueResult, len(messages))
	t.must(t.set().Queue.Publish(t.Ctx, t.namespace(), queueName, messages, results))
	for i := range results {
		t.must(results[i].Err)
		ids = append(ids, results[i].ID)
		replayed += map[bool]string{true: "r", false: "n"}[results[i].Replayed]
	}
	return ids, replayed
}

func (t *T) wantRun(what string, messages []driver.QueueMessage, want string) []uint64 {
	t.Helper()
	ids, got := t.sendRun(messages)
	if got != want {
		t.Errorf("%s: new and replayed are %s, want %s", what, got, want)
	}
	return ids
}

func testPublishRun(t *T) {
	t.queue()
	first := t.wantRun("five", t.run(0, 5, 10*time.Second), "nnnnn")
	more := t.wantRun("three of them and three more", t.run(2, 8, 10*time.Second), "rrrnnn")
	if !slices.Equal(first[2:], more[:3]) {
		t.Errorf("the messages are %d, then %d", first[2:], more[:3])
	}
	other := t.run(3, 4, 10*time.Second)
	other[0].Receipt.Body[0]++
	results := make([]driver.QueueResult, 1)
	t.must(t.set().Queue.Publish(t.Ctx, t.namespace(), queueName, other, results))
	t.refused("another body in the middle", results[0].Err, prism.ReasonKeyReused)
	t.wantRun("those before all", t.run(-1, 1, 10*time.Second), "nr")
	t.pass(11 * time.Second)
	t.wantRun("one of those that have ended", t.run(3, 4, time.Minute), "n")
	t.wantRun("all of them", t.run(-1, 8, time.Minute), "nnnnrnnnn")
	t.wantRun("again", t.run(-1, 8, time.Minute), "rrrrrrrrr")
}

func testPublishRunBounded(t *T) {
	t.open(Options{Receipts: 10})
	t.queue()
	t.wantRun("eight", t.run(0, 8, time.Hour), "nnnnnnnn")
	t.wantRun("five more", t.run(8, 13, time.Hour), "nnnnn")
	t.wantRun("the ten that are left", t.run(3, 13, time.Hour), "rrrrrrrrrr")
	t.wantRun("one that had to go", t.run(2, 3, time.Hour), "n")
	t.wantRun("the one that had to go for it", t.run(3, 4, time.Hour), "n")
	t.wantRun("the others", t.run(5, 13, time.Hour), "rrrrrrrr")
}

func testPublishRunRestart(t *T) {
	t.open(Options{Receipts: 10})
	t.queue()
	t.wantRun("eight", t.run(0, 8, time.Hour), "nnnnnnnn")
	ids := t.wantRun("five more", t.run(8, 13, time.Hour), "nnnnn")
	t.reopen()
	if again := t.wantRun("after a restart", t.run(3, 13, time.Hour), "rrrrrrrrrr"); !slices.Equal(again[5:], ids) {
		t.Errorf("the messages are %d, then %d", ids, again[5:])
	}
	t.wantRun("one that had to go", t.run(0, 1, time.Hour), "n")
	t.reopen()
	t.wantRun("the one that had to go for it", t.run(3, 4, time.Hour), "n")
}

func testPublishTogether(t *T) {
	t.queue()
	var ids sync.Map
	var replayed atomic.Int64
	t.together(100, func(int) error {
		m, results := message("a"), make([]driver.QueueResult, 1)
		m.Receipt = t.receipt("r", "a")
		if err := t.set().Queue.Publish(t.Ctx, t.namespace(), queueName, []driver.QueueMessage{m}, results); err != nil {
			return err
		}
		if results[0].Replayed {
			replayed.Add(1)
		}
		ids.Store(results[0].ID, true)
		return results[0].Err
	})
	n := 0
	ids.Range(func(any, any) bool { n++; return true })
	if n != 1 || replayed.Load() != 99 {
		t.Errorf("%d ids and %d replays, want 1 and 99", n, replayed.Load())
	}
	t.receives("a")
}

func testQueuesApart(t *T) {
	t.queue()
	q, other := t.set().Queue, t.another()
	for _, at := range []struct {
		ns    prism.Namespace
		queue string
	}{{t.namespace(), "other"}, {other, queueName}} {
		_, err := q.CreateQueue(t.Ctx, at.ns, at.queue, t.queueOptions())
		t.must(err)
		out, err := q.Receive(t.Ctx, at.ns, at.queue, driver.QueueReceive{Max: 1})
		t.must(err)
		if len(out) > 0 {
			t.Errorf("a new queue delivers %q", payloadsOf(out))
		}
	}
	t.send(keyed("k", "a")...)
	d := t.receivesOne("a")
	results := make([]driver.QueueResult, 1)
	t.must(q.Ack(t.Ctx, t.namespace(), "other", receiptsOf([]driver.Delivery{d}), results))
	t.refused("Ack in another queue", results[0].Err, prism.ReasonLeaseLost)
	t.must(q.Ack(t.Ctx, other, queueName, receiptsOf([]driver.Delivery{d}), results))
	t.refused("Ack in another namespace", results[0].Err, prism.ReasonLeaseLost)
	t.ack(d)
}

func testQueueNamespaces(t *T) {
	base := t.namespace()
	names := []prism.Namespace{base, base + "q", base + "/", base + "\x00", base + "\xff", base[:len(base)-1]}
	for i, ns := range names {
		_, err := t.set().Queue.CreateQueue(t.Ctx, ns, queueName, t.queueOptions())
		t.must(err)
		results := make([]driver.QueueResult, 1)
		t.must(t.set().Queue.Publish(t.Ctx, ns, queueName, []driver.QueueMessage{message(fmt.Sprint(i))}, results))
		t.must(results[0].Err)
	}
	t.must(t.set().Store.Drop(t.Ctx, base))
	for i, ns := range names[1:] {
		out, err := t.set().Queue.Receive(t.Ctx, ns, queueName, driver.QueueReceive{Max: 10})
		t.must(err)
		if got := payloadsOf(out); !slices.Equal(got, []string{fmt.Sprint(i + 1)}) {
			t.Errorf("namespace %q has %q", ns, got)
		}
	}
}

func testQueueDrop(t *T) {
	t.queue()
	t.must(t.sendOnce("r", "a").Err)
	t.receivesOne("a")
	answer := t.waiting(t.Ctx, driver.QueueReceive{Max: 1, Wait: time.Hour})
	time.Sleep(5 * time.Millisecond) // it may have begun to wait, or not
	t.must(t.set().Store.Drop(t.Ctx, t.namespace()))
	t.dropped("a waiting Receive", t.answered(answer).err)
	names, err := t.set().Queue.Queues(t.Ctx, t.namespace())
	t.must(err)
	if len(names) > 0 {
		t.Errorf("after Drop there are %q", names)
	}
	t.queue(func(o *driver.QueueOptions) { o.MaxAttempts = 7 })
	t.receives()
	if r := t.sendOnce("r", "a"); r.Err != nil || r.Replayed {
		t.Errorf("a receipt outlived Drop: %+v", r)
	}
	t.receives("a")
}

func testQueueUsage(t *T) {
	t.queue()
	t.sendAll("12345", "1234567890", "gone")
	t.must(t.sendOnce("r", "x").Err)
	t.ack(t.receive(4)[2])
	u, err := t.set().Store.Usage(t.Ctx, t.namespace())
	t.must(err)
	if !u.Estimated && (u.Keys != 3 || u.Bytes < 16 || u.Receipts != 1) {
		t.Errorf("Usage is %+v, want 3 messages of 16 bytes and a receipt", u)
	}
}

func testRetention(t *T) {
	t.queue(func(o *driver.QueueOptions) { o.Retention = time.Minute })
	t.sendAll("old")
	t.send(keyed("k", "old 1", "old 2")...)
	t.pass(30 * time.Second)
	t.sendAll("new")
	t.pass(28 * time.Second)
	t.holds(4, 0, 0, 0)
	d := t.receivesOne("old") // what is leased stays until its lease is over
	t.pass(5 * time.Second)
	t.eventually("the retention ends", func() bool { return t.info().Ready == 1 })
	t.ack(d)
	t.receives("new")
}

func testQueueBytes(t *T) {
	t.queue()
	m := driver.QueueMessage{Payload: []byte("payload"), Attributes: map[string]string{"a": "1"}}
	t.send(m)
	copy(m.Payload, "xxxxxxx")
	m.Attributes["a"] = "2"
	d := t.briefly(1)[0]
	if string(d.Payload) != "payload" || d.Attributes["a"] != "1" {
		t.Fatalf("the message became %q %q with the caller's bytes", d.Payload, d.Attributes)
	}
	copy(d.Payload, "yyyyyyy")
	d.Attributes["a"] = "3"
	t.passed()
	for _, p := range t.peek(driver.QueueReady) {
		if string(p.Payload) != "payload" || p.Attributes["a"] != "1" {
			t.Fatalf("the message became %q %q with a consumer's bytes", p.Payload, p.Attributes)
		}
		copy(p.Payload, "zzzzzzz")
	}
	t.receives("payload")
}

func testConsumers(t *T) {
	t.queue()
	const n = 500
	var messages []driver.QueueMessage
	for i := range n {
		messages = append(messages, message(fmt.Sprint(i)))
	}
	t.send(messages...)
	var mu sync.Mutex
	seen := map[string]int{}
	t.together(8, func(int) error {
		for {
			out, err := t.set().Queue.Receive(t.Ctx, t.namespace(), queueName, driver.QueueReceive{Max: 7})
			if err != nil || len(out) == 0 {
				return err
			}
			mu.Lock()
			for _, p := range payloadsOf(out) {
				seen[p]++
			}
			mu.Unlock()
			results := make([]driver.QueueResult, len(out))
			if err := t.set().Queue.Ack(t.Ctx, t.namespace(), queueName, receiptsOf(out), results); err != nil {
				return err
			}
		}
	})
	for p, times := range seen {
		if times != 1 {
			t.Errorf("message %s came %d times", p, times)
		}
	}
	if len(seen) != n {
		t.Errorf("%d messages came, want %d", len(seen), n)
	}
	t.holds(0, 0, 0, 0)
}

// flow lets a store's time go on by itself, for calls that wait by it, until the
// function that it returns is called.
func (t *T) flow() (stop func()) {
	c := t.store().Clock
	if c == nil {
		return func() {}
	}
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-end:
				return
			case <-time.After(time.Millisecond):
				c.Advance(time.Millisecond)
			}
		}
	}()
	return func() {
		close(end)
		<-ended
	}
}

func testQueueTogether(t *T) {
	t.queue()
	const keys, each = 6, 40
	var left atomic.Int64
	left.Store(keys * each)
	var mu sync.Mutex
	seen := map[string][]string{}
	defer t.flow()()
	t.together(keys+4, func(i int) error {
		q, ns := t.set().Queue, t.namespace()
		if i < keys {
			for n := range each {
				results := make([]driver.QueueResult, 1)
				m := keyed(fmt.Sprint(i), fmt.Sprintf("%04d", n))
				if err := errors.Join(q.Publish(t.Ctx, ns, queueName, m, results), results[0].Err); err != nil {
					return err
				}
			}
			return nil
		}
		for left.Load() > 0 {
			out, err := q.Receive(t.Ctx, ns, queueName, driver.QueueReceive{Max: 3, Wait: 10 * time.Millisecond})
			if err != nil {
				return err
			}
			mu.Lock()
			for _, d := range out {
				seen[d.Key] = append(seen[d.Key], string(d.Payload))
			}
			mu.Unlock()
			results := make([]driver.QueueResult, len(out))
			if err := q.Ack(t.Ctx, ns, queueName, receiptsOf(out), results); err != nil {
				return err
			}
			left.Add(-int64(len(out)))
		}
		return nil
	})
	for key, got := range seen {
		if len(got) != each || !slices.IsSorted(got) {
			t.Errorf("key %s came as %q", key, got)
		}
	}
	if len(seen) != keys {
		t.Errorf("%d keys came, want %d", len(seen), keys)
	}
}

func testQueueContext(t *T) {
	t.queue()
	t.sendAll("a")
	ctx, cancel := context.WithCancel(t.Ctx)
	cancel()
	errs := queueCalls(ctx, t.set(), t.namespace(), queueName)
	_, errs["CreateQueue"] = t.set().Queue.CreateQueue(ctx, t.namespace(), "other", t.queueOptions())
	_, errs["Queues"] = t.set().Queue.Queues(ctx, t.namespace())
	for call, err := range errs {
		t.refused(call, err, prism.ReasonCancelled)
	}
	t.holds(1, 0, 0, 0)
	t.receives("a")
}

func testQueueInvalid(t *T) {
	t.queue()
	q, ns := t.set().Queue, t.namespace()
	for _, name := range []string{"", "A", "a b", "-a", string(bytes.Repeat([]byte("a"), 64))} {
		_, err := q.CreateQueue(t.Ctx, ns, name, t.queueOptions())
		t.refused(fmt.Sprintf("a queue named %q", name), err, prism.ReasonInvalidArgument)
	}
	for _, f := range []func(*driver.QueueOptions){
		func(o *driver.QueueOptions) { o.Lease = 0 },
		func(o *driver.QueueOptions) { o.Lease = -time.Second },
		func(o *driver.QueueOptions) { o.MaxAttempts = -1 },
		func(o *driver.QueueOptions) { o.Retention = -1 },
	} {
		o := t.queueOptions()
		f(&o)
		_, err := q.CreateQueue(t.Ctx, ns, "invalid", o)
		t.refused(fmt.Sprintf("settings %+v", o), err, prism.ReasonInvalidArgument)
	}
	for _, r := range []driver.QueueReceive{{}, {Max: -1}, {Max: 1, Bytes: -1}, {Max: 1, Lease: -1}, {Max: 1, Wait: -1}} {
		_, err := q.Receive(t.Ctx, ns, queueName, r)
		t.refused(fmt.Sprintf("Receive %+v", r), err, prism.ReasonInvalidArgument)
	}
	for _, p := range []driver.QueuePeek{{Limit: 1}, {State: driver.QueueReady}, {State: driver.QueueDead + 1, Limit: 1}} {
		_, err := q.Peek(t.Ctx, ns, queueName, p)
		t.refused(fmt.Sprintf("Peek %+v", p), err, prism.ReasonInvalidArgument)
	}
}

func testQueueClosed(t *T) {
	t.queue()
	t.sendAll("a")
	t.receivesOne("a")
	ns, set := t.namespace(), *t.set()
	answer := t.waiting(t.Ctx, driver.QueueReceive{Max: 1, Wait: time.Hour})
	time.Sleep(5 * time.Millisecond) // it may have begun to wait, or not
	t.must(set.Store.Close())
	t.unavailable("a waiting Receive", t.answered(answer).err)
	errs := queueCalls(t.Ctx, &set, ns, queueName)
	_, errs["CreateQueue"] = set.Queue.CreateQueue(t.Ctx, ns, "other", t.queueOptions())
	_, errs["Queues"] = set.Queue.Queues(t.Ctx, ns)
	for call, err := range errs {
		t.unavailable(call, err)
	}
}

func testQueueReopen(t *T) {
	t.queue()
	t.send(driver.QueueMessage{Key: "k", Payload: []byte("plain"), Attributes: map[string]string{"a": "1"}})
	t.sendAll(pattern(100_000, 7), "leased", "passed", "twice")
	out := t.receive(3)
	t.ack(out[1])
	t.must(t.set().Queue.Ack(t.Ctx, t.namespace(), queueName, receiptsOf(out[:1]), make([]driver.QueueResult, 1)))
	held := out[2]
	t.briefly(1) // passed
	for range 2 {
		t.briefly(1)
		t.passed()
	}
	t.sendAll("last")
	before := t.peek(driver.QueueReady)
	t.reopen()
	after := t.peek(driver.QueueReady)
	if len(before) != len(after) {
		t.Fatalf("there were %d ready messages, now %d", len(before), len(after))
	}
	for i := range before {
		if diff := differStored(before[i], after[i]); diff != "" {
			t.Errorf("message %d: %s", i, diff)
		}
	}
	leased := t.peeks(driver.QueueLeased, "leased")
	if !sameTime(leased[0].DueAt, held.Until) {
		t.Errorf("a lease until %v became one until %v", held.Until, leased[0].DueAt)
	}
	if i := t.info(); i.Options != t.queueOptions() {
		t.Errorf("the settings became %+v", i.Options)
	}
	t.ack(held)
	t.receives("passed", "twice", "last")
	t.pass(101 * time.Second)
	t.reopen() // time went on while it was closed
	t.receives("passed", "twice", "last")
}

// differStored tells two messages apart.
func differStored(a, b driver.StoredMessage) string {
	switch {
	case a.ID != b.ID:
		return fmt.Sprintf("id %d and %d", a.ID, b.ID)
	case a.Key != b.Key || !bytes.Equal(a.Payload, b.Payload) || !maps.Equal(a.Attributes, b.Attributes):
		return fmt.Sprintf("content %q %s %q and %q %s %q", a.Key, short(a.Payload), a.Attributes, b.Key, short(b.Payload), b.Attributes)
	case a.Priority != b.Priority || a.Attempts != b.Attempts || a.State != b.State || a.Reason != b.Reason:
		return fmt.Sprintf("priority, attempts, state, reason %d %d %d %q and %d %d %d %q",
			a.Priority, a.Attempts, a.State, a.Reason, b.Priority, b.Attempts, b.State, b.Reason)
	case !sameTime(a.PublishedAt, b.PublishedAt) || !sameTime(a.DueAt, b.DueAt):
		return fmt.Sprintf("published and due %v %v and %v %v", a.PublishedAt, a.DueAt, b.PublishedAt, b.DueAt)
	}
	return ""
}

func testKeysReopen(t *T) {
	t.queue()
	t.send(keyed("a", "a1", "a2", "a3")...)
	t.send(keyed("b", "b1", "b2")...)
	out := t.receives("a1", "b1")
	t.reopen()
	t.receives()
	t.ack(out[0])
	next := t.receives("a2")
	t.reopen()
	t.ack(next...)
	t.ack(out[1])
	t.receives("a3", "b2")
}

func testPublishReopen(t *T) {
	t.queue()
	first := t.sendOnce("r", "a")
	t.must(first.Err)
	t.ack(t.receives("a")...)
	t.reopen()
	if r := t.sendOnce("r", "a"); !r.Replayed || r.ID != first.ID {
		t.Errorf("after a restart the answer is %+v, was %+v", r, first)
	}
	t.refused("another body", t.sendOnce("r", "b").Err, prism.ReasonKeyReused)
	t.receives()
}

func testGoneReopen(t *T) {
	t.queue()
	t.sendAll("a", "b")
	t.ack(t.receivesOne("a"))
	ns := t.another()
	_, err := t.set().Queue.CreateQueue(t.Ctx, ns, queueName, t.queueOptions())
	t.must(err)
	t.must(t.set().Store.Drop(t.Ctx, ns))
	t.reopen()
	t.receives("b")
	_, err = t.set().Queue.Info(t.Ctx, ns, queueName)
	t.refused("Info of a dropped queue", err, prism.ReasonNotFound)
}

func testFencesReopen(t *T) {
	t.queue(func(o *driver.QueueOptions) { o.MaxAttempts = 0 })
	last := t.sendAll("a")[0]
	seen := map[uint64]bool{}
	for range 3 {
		for range 2 {
			d := t.briefly(1)
			if len(d) != 1 || seen[d[0].Receipt.Fence] {
				t.Fatalf("got %+v; fences before were %v", d, seen)
			}
			seen[d[0].Receipt.Fence] = true
			t.passed()
		}
		id := t.sendAll("b")[0]
		if id <= last {
			t.Errorf("id %d after %d", id, last)
		}
		last = id
		for _, d := range t.briefly(100) {
			if string(d.Payload) == "b" {
				t.ack(d)
			}
		}
		t.passed()
		t.reopen()
	}
}
