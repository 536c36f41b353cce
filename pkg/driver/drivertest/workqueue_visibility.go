package drivertest

import (
	"fmt"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

var queueVisibilityPromises = []promise{
	{"Extend makes a lease end later, and tells when", testExtend, ""},
	{"Extend makes a lease end sooner", testExtendSooner, ""},
	{"a released message comes again at once, and its attempt counts", testRelease, ""},
	{"a released message comes before younger ones, and before the next of its key", testReleaseOrder, ""},
	{"the reason of the last Release stands with the message", testReleaseReason, ""},
	{"a waiting Receive gets a message that is released", testWaitRelease, ""},
	{"each of many leases has a result of its own", testSettleMany, ""},
	{"a lease or a delay that makes no sense is INVALID_ARGUMENT", testSettleInvalid, ""},
	{"an extended lease and the reason of a Release outlive a restart", testExtendReopen, "reopen"},
}

func testExtend(t *T) {
	t.queue()
	t.sendAll("a")
	d := t.briefly(1)[0]
	for range 3 {
		t.pass(t.second() / 2)
		r := t.settle(t.extending(2*t.second()), d)[0]
		d.Until = r.Until
		t.until(d, 2*t.second())
		if m := t.peeks(driver.QueueLeased, "a"); !sameTime(m[0].DueAt, r.Until) {
			t.Errorf("Peek tells %v of a lease until %v", m[0].DueAt, r.Until)
		}
	}
	t.pass(t.second())
	t.receives()
	t.passed()
	t.lost("passed", d)
	if again := t.receivesOne("a"); again.Attempts != 2 {
		t.Errorf("it is attempt %d, want 2", again.Attempts)
	}
}

func testExtendSooner(t *T) {
	t.queue()
	t.sendAll("a", "b")
	out := t.receive(2)
	t.settle(t.extending(t.second()), out[0])
	t.passed()
	t.receives("a")
	t.ack(out[1])
}

func testRelease(t *T) {
	t.queue()
	t.sendAll("a")
	for n := 1; n <= 3; n++ {
		d := t.receivesOne("a")
		if d.Attempts != n {
			t.Errorf("delivery %d is attempt %d", n, d.Attempts)
		}
		if r := t.release(0, "", d)[0]; r.Dead {
			t.Errorf("attempt %d of 5 made a dead letter", n)
		}
		t.lost("released", d)
		t.holds(1, 0, 0, 0)
	}
}

func testReleaseOrder(t *T) {
	t.queue()
	t.send(append(keyed("k", "k1", "k2"), keyed("", "a", "b", "c")...)...)
	out := t.receives("k1", "a", "b", "c")
	t.release(0, "", out[2], out[0], out[1])
	t.peeks(driver.QueueReady, "k1", "k2", "a", "b")
	t.receives("k1", "a", "b")
}

func testReleaseReason(t *T) {
	t.queue()
	t.sendAll("a")
	for _, reason := range []string{"database is down", "again", ""} {
		t.release(0, reason, t.receivesOne("a"))
		if m := t.peeks(driver.QueueReady, "a")[0]; m.Reason != reason {
			t.Errorf("the reason is %q, want %q", m.Reason, reason)
		}
	}
}

func testWaitRelease(t *T) {
	t.queue()
	t.sendAll("a")
	d := t.receivesOne("a")
	answer := t.waiting(t.Ctx, driver.QueueReceive{Max: 1, Wait: time.Hour})
	t.release(0, "", d)
	t.got(answer, "a")
}

func testSettleMany(t *T) {
	t.queue()
	for name, do := range t.settlings() {
		t.sendAll("a", "b")
		out := t.receive(2)
		t.ack(out[0])
		results := make([]driver.QueueResult, 2)
		t.must(do(t.Ctx, t.namespace(), queueName, receiptsOf(out), results))
		t.refused(name+" of a lease that is over", results[0].Err, prism.ReasonLeaseLost)
		if results[1].Err != nil {
			t.Errorf("%s beside one that is over: %v", name, results[1].Err)
		}
		t.must(t.set().Store.Drop(t.Ctx, t.namespace()))
		t.queue()
	}
}

func testSettleInvalid(t *T) {
	t.queue()
	t.sendAll("a")
	d := t.receivesOne("a")
	results := make([]driver.QueueResult, 1)
	for what, do := range map[string]settling{"Extend by 0": t.extending(0), "Extend by -1": t.extending(-1), "Release in -1": t.releasing(-1, "")} {
		t.refused(what, do(t.Ctx, t.namespace(), queueName, receiptsOf([]driver.Delivery{d}), results), prism.ReasonInvalidArgument)
	}
	t.ack(d)
}

func testExtendReopen(t *T) {
	t.queue()
	t.sendAll("a", "b")
	out := t.briefly(2)
	until := t.settle(t.extending(50*t.second()), out[0])[0].Until
	t.release(0, "not yet", out[1])
	t.reopen()
	if m := t.peeks(driver.QueueLeased, "a")[0]; !sameTime(m.DueAt, until) {
		t.Errorf("a lease until %v became one until %v", until, m.DueAt)
	}
	if m := t.peeks(driver.QueueReady, "b")[0]; m.Reason != "not yet" || m.Attempts != 1 {
		t.Errorf("a released message has reason %q and %d attempts", m.Reason, m.Attempts)
	}
	t.ack(out[0])
}

var queueDelayedPromises = []promise{
	{"a delayed message comes when it is due, not before", testDelay, ""},
	{"a released message comes after its delay", testReleaseDelay, ""},
	{"Delayed counts what waits for its time, and tells when the next is due", testDelayed, ""},
	{"Peek lists delayed messages by when they are due", testPeekDelayed, ""},
	{"a delayed message holds up its key, and no other", testDelayKey, ""},
	{"a delayed message goes by its age when it is due", testDelayAge, ""},
	{"a waiting Receive gets a message that becomes due", testWaitDelay, ""},
	{"a thousand messages that are due together all come", testDelayMany, ""},
	{"the retention of a delayed message begins when it is due", testDelayRetention, "clock"},
	{"delays outlive a restart", testDelayReopen, "reopen"},
}

func (t *T) delayed(payload string, d time.Duration) {
	t.Helper()
	t.send(driver.QueueMessage{Payload: []byte(payload), Delay: d})
}

func testDelay(t *T) {
	t.queue()
	t.delayed("later", 5*t.second())
	t.sendAll("now")
	t.holds(1, 1, 0, 0)
	t.receives("now")
	if t.store().Clock != nil {
		t.pass(5*t.second() - 2*time.Millisecond)
		t.receives()
	}
	t.pass(5*t.second() + 2*time.Millisecond)
	if d := t.receivesOne("later"); d.Attempts != 1 {
		t.Errorf("it is attempt %d, want 1", d.Attempts)
	}
}

func testReleaseDelay(t *T) {
	t.queue()
	t.sendAll("a", "b")
	d := t.receivesOne("a")
	t.release(2*t.second(), "busy", d)
	t.lost("released", d)
	t.holds(1, 1, 0, 0)
	if m := t.peeks(driver.QueueLater, "a")[0]; m.Reason != "busy" || m.Attempts != 1 {
		t.Errorf("a released message has reason %q and %d attempts", m.Reason, m.Attempts)
	}
	t.receives("b")
	t.pass(2*t.second() + 2*time.Millisecond)
	if d = t.receivesOne("a"); d.Attempts != 2 {
		t.Errorf("it is attempt %d, want 2", d.Attempts)
	}
}

func (t *T) countsDelayed(want int64, in time.Duration) {
	t.Helper()
	n, next, err := t.set().QueueDelayed.Delayed(t.Ctx, t.namespace(), queueName)
	t.must(err)
	if n != want || next.IsZero() != (want == 0) {
		t.Errorf("Delayed tells %d, next at %v; want %d", n, next, want)
	}
	slack := 2 * time.Millisecond
	if t.store().Clock == nil {
		slack = time.Second
	}
	if got := next.Sub(t.now()); want > 0 && (got-in).Abs() > slack {
		t.Errorf("the next is due in %v, want %v", got, in)
	}
}

func testDelayed(t *T) {
	t.queue()
	t.countsDelayed(0, 0)
	for _, n := range []time.Duration{30, 10, 20} {
		t.delayed(fmt.Sprint(int(n)), n*t.second())
	}
	t.countsDelayed(3, 10*t.second())
	t.pass(10*t.second() + 2*time.Millisecond)
	t.countsDelayed(2, 10*t.second())
	t.receives("10")
}

func testPeekDelayed(t *T) {
	t.queue()
	for _, n := range []time.Duration{30, 10, 20} {
		t.delayed(fmt.Sprint(int(n)), n*t.second())
	}
	before := t.now()
	for i, m := range t.peeks(driver.QueueLater, "10", "20", "30") {
		if in, want := m.DueAt.Sub(before), time.Duration(i+1)*10*t.second(); (in - want).Abs() > t.second() {
			t.Errorf("message %d is due in %v, want %v", i, in, want)
		}
	}
	t.peeks(driver.QueueReady)
}

func testDelayKey(t *T) {
	t.queue()
	t.send(driver.QueueMessage{Key: "k", Payload: []byte("k1"), Delay: 5 * t.second()})
	t.send(append(keyed("k", "k2"), append(keyed("j", "j1"), keyed("", "x")...)...)...)
	t.receives("j1", "x")
	t.pass(5*t.second() + 2*time.Millisecond)
	d := t.receives("k1")
	t.release(3*t.second(), "", d...)
	t.receives()
	t.pass(3*t.second() + 2*time.Millisecond)
	t.ack(t.receives("k1")...)
	t.receives("k2")
}

func testDelayAge(t *T) {
	t.queue()
	t.delayed("oldest", 2*t.second())
	t.sendAll("a")
	t.pass(2*t.second() + 2*time.Millisecond)
	t.sendAll("b")
	t.receives("oldest", "a", "b")
}

func testWaitDelay(t *T) {
	t.queue()
	answer := t.waiting(t.Ctx, driver.QueueReceive{Max: 1, Wait: time.Hour})
	t.delayed("a", 2*t.second())
	t.got(answer, "a")
	answer = t.waiting(t.Ctx, driver.QueueReceive{Max: 1, Wait: time.Hour})
	t.delayed("late", 1000*t.second())
	t.delayed("soon", t.second())
	t.got(answer, "soon")
}

func testDelayMany(t *T) {
	t.queue()
	const n = 1000
	var messages []driver.QueueMessage
	for i := range n {
		messages = append(messages, driver.QueueMessage{Payload: fmt.Appendf(nil, "%04d", i), Delay: 10 * t.second()})
	}
	t.send(messages...)
	t.holds(0, n, 0, 0)
	t.pass(10*t.second() + 2*time.Millisecond)
	t.holds(n, 0, 0, 0)
	out := t.receive(n)
	if len(out) != n {
		t.Fatalf("%d came, want %d", len(out), n)
	}
	for i := range out {
		if string(out[i].Payload) != fmt.Sprintf("%04d", i) {
			t.Fatalf("message %d is %q", i, out[i].Payload)
		}
	}
}

func testDelayRetention(t *T) {
	t.queue(func(o *driver.QueueOptions) { o.Retention = time.Minute })
	t.delayed("a", time.Hour)
	t.pass(time.Hour + 58*time.Second)
	t.holds(1, 0, 0, 0)
	t.pass(4 * time.Second)
	t.holds(0, 0, 0, 0)
}

func testDelayReopen(t *T) {
	t.queue()
	t.delayed("b", 20*t.second())
	t.delayed("a", 10*t.second())
	t.sendAll("now")
	t.release(30*t.second(), "later", t.receivesOne("now"))
	before := t.peek(driver.QueueLater)
	t.reopen()
	after := t.peeks(driver.QueueLater, "a", "b", "now")
	for i := range before {
		if diff := differStored(before[i], after[i]); diff != "" {
			t.Errorf("message %d: %s", i, diff)
		}
	}
	t.pass(20*t.second() + 2*time.Millisecond)
	t.receives("b", "a")
	t.reopen()
	t.pass(10*t.second() + 2*time.Millisecond)
	if d := t.receivesOne("now"); d.Attempts != 2 {
		t.Errorf("it is attempt %d, want 2", d.Attempts)
	}
}
