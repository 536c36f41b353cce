package drivertest

import (
	"fmt"
	"slices"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
)

var queueDeadPromises = []promise{
	{"a message whose last lease passes becomes a dead letter, with a reason", testDeadPassed, ""},
	{"a message that is released in its last attempt becomes a dead letter with the reason", testDeadReleased, "queue_visibility"},
	{"a rejected message is a dead letter at once, with the reason", testReject, ""},
	{"a queue without a bound on attempts makes no dead letters by itself", testDeadNever, ""},
	{"a message that always fails holds up nothing behind it", testPoison, ""},
	{"the next of a key comes when the one before is a dead letter", testDeadKey, ""},
	{"a waiting Receive gets the next of a key when the one before is rejected", testWaitReject, ""},
	{"dead letters are not delivered, and do not end with the retention", testDeadStays, "clock"},
	{"Redrive makes the oldest dead letters ready, with no attempts counted", testRedrive, ""},
	{"Redrive and Purge take the dead letters that are named, and no other message", testDeadNamed, ""},
	{"a dead letter of a key that is driven again goes before younger ones, not beside one that is leased", testRedriveKey, ""},
	{"a message that comes back goes behind an older one of its key that was driven again", testRedriveBack, ""},
	{"a waiting Receive gets what is driven again", testWaitRedrive, ""},
	{"Purge removes all dead letters, and nothing else", testPurge, ""},
	{"dead letters are listed page by page, the oldest first", testDeadPages, ""},
	{"dead letters and their reasons outlive a restart", testDeadReopen, "reopen"},
	{"what was driven again or purged stays so after a restart", testRedriveReopen, "reopen"},
}

// buries makes dead letters.
func (t *T) buries(payloads ...string) {
	t.Helper()
	t.sendAll(payloads...)
	out := t.receives(payloads...)
	t.reject("bad", out...)
}

func testDeadPassed(t *T) {
	t.queue(func(o *driver.QueueOptions) { o.MaxAttempts, o.Lease = 3, t.second() })
	id := t.sendAll("a")[0]
	var d driver.Delivery
	for range 3 {
		t.holds(1, 0, 0, 0)
		d = t.receivesOne("a")
		t.passed()
	}
	t.receives()
	t.holds(0, 0, 0, 1)
	m := t.peeks(driver.QueueDead, "a")[0]
	if m.ID != id || m.Attempts != 3 || m.Reason == "" {
		t.Errorf("the dead letter is %d of %d attempts with reason %q, want %d of 3 with one", m.ID, m.Attempts, m.Reason, id)
	}
	t.lost("of a dead letter", d)
}

func testDeadReleased(t *T) {
	t.queue(func(o *driver.QueueOptions) { o.MaxAttempts = 2 })
	t.sendAll("a")
	t.release(0, "first", t.receivesOne("a"))
	d := t.receivesOne("a")
	if r := t.release(0, "second", d)[0]; !r.Dead {
		t.Errorf("the last Release did not say that it made a dead letter")
	}
	t.receives()
	if m := t.peeks(driver.QueueDead, "a")[0]; m.Reason != "second" || m.Attempts != 2 {
		t.Errorf("the dead letter has reason %q after %d attempts", m.Reason, m.Attempts)
	}
	t.lost("of a dead letter", d)
}

func testReject(t *T) {
	t.queue()
	t.sendAll("a", "b")
	d := t.receivesOne("a")
	t.reject("cannot be parsed", d)
	t.lost("rejected", d)
	t.holds(1, 0, 0, 1)
	if m := t.peeks(driver.QueueDead, "a")[0]; m.Reason != "cannot be parsed" || m.Attempts != 1 {
		t.Errorf("the dead letter has reason %q after %d attempts", m.Reason, m.Attempts)
	}
	t.receives("b")
}

func testDeadNever(t *T) {
	t.queue(func(o *driver.QueueOptions) { o.MaxAttempts = 0 })
	t.sendAll("a")
	for n := 1; n <= 10; n++ {
		if out := t.briefly(1); len(out) != 1 || out[0].Attempts != n {
			t.Fatalf("delivery %d: %+v", n, out)
		}
		t.passed()
	}
	t.holds(1, 0, 0, 0)
}

func testPoison(t *T) {
	t.queue()
	t.sendAll("poison")
	var want, got []string
	for i := range 20 {
		want = append(want, fmt.Sprint(i))
		t.sendAll(want[i])
	}
	poisoned := 0
	for range 40 {
		out := t.briefly(1)
		if len(out) == 0 {
			break
		}
		if string(out[0].Payload) == "poison" {
			poisoned++
			t.passed()
			continue
		}
		got = append(got, string(out[0].Payload))
		t.ack(out...)
	}
	if !slices.Equal(got, want) || poisoned != 5 {
		t.Errorf("behind a message that failed %d times came %q, want 5 times and %q", poisoned, got, want)
	}
	t.holds(0, 0, 0, 1)
}

func testDeadKey(t *T) {
	t.queue(func(o *driver.QueueOptions) { o.MaxAttempts, o.Lease = 1, t.second() })
	t.send(keyed("k", "1", "2", "3")...)
	t.receives("1")
	t.passed()
	d := t.receives("2")
	t.reject("bad", d...)
	t.receives("3")
	t.peeks(driver.QueueDead, "1", "2")
}

func testWaitReject(t *T) {
	t.queue()
	t.send(keyed("k", "1", "2")...)
	d := t.receivesOne("1")
	answer := t.waiting(t.Ctx, driver.QueueReceive{Max: 1, Wait: time.Hour})
	t.reject("bad", d)
	t.got(answer, "2")
}

func testDeadStays(t *T) {
	t.queue(func(o *driver.QueueOptions) { o.Retention = time.Minute })
	t.buries("a")
	t.pass(time.Hour)
	t.receives()
	t.peeks(driver.QueueDead, "a")
}

func (t *T) redrive(want int64, limit int, ids ...uint64) {
	t.Helper()
	n, err := t.set().QueueDeadLetter.Redrive(t.Ctx, t.namespace(), queueName, ids, limit)
	t.must(err)
	if n != want {
		t.Errorf("Redrive of %d (limit %d) moved %d, want %d", ids, limit, n, want)
	}
}

func (t *T) purge(want int64, ids ...uint64) {
	t.Helper()
	n, err := t.set().QueueDeadLetter.Purge(t.Ctx, t.namespace(), queueName, ids)
	t.must(err)
	if n != want {
		t.Errorf("Purge of %d removed %d, want %d", ids, n, want)
	}
}

func testRedrive(t *T) {
	t.queue()
	t.buries("a", "b", "c", "d")
	t.redrive(2, 2)
	t.holds(2, 0, 0, 2)
	if m := t.peeks(driver.QueueReady, "a", "b")[0]; m.Attempts != 0 || m.Reason != "" {
		t.Errorf("driven again, it has %d attempts and reason %q", m.Attempts, m.Reason)
	}
	if d := t.receives("a", "b"); d[0].Attempts != 1 {
		t.Errorf("its next delivery is attempt %d, want 1", d[0].Attempts)
	}
	t.redrive(2, 0)
	t.redrive(0, 0)
	t.receives("c", "d")
}

func testDeadNamed(t *T) {
	t.queue()
	t.buries("a", "b", "c", "d")
	dead := t.peek(driver.QueueDead)
	ready := t.sendAll("ready")[0]
	t.redrive(1, 0, dead[2].ID, dead[2].ID, ready, ready+1000)
	t.peeks(driver.QueueReady, "c", "ready")
	t.purge(1, dead[0].ID, dead[0].ID, ready, dead[2].ID)
	t.peeks(driver.QueueDead, "b", "d")
	t.receives("c", "ready")
}

func testRedriveKey(t *T) {
	t.queue()
	before := t.now()
	t.send(keyed("k", "1")...)
	t.pass(t.second())
	t.send(keyed("k", "2", "3", "4")...)
	t.reject("bad", t.receives("1")...)
	t.redrive(1, 0)
	t.reject("bad", t.receives("1")...) // before 2, which had been next
	second := t.receives("2")
	t.redrive(1, 0)
	if i := t.info(); i.Oldest.Sub(before).Abs() > t.second()/2 {
		t.Errorf("with the oldest behind one that is leased Info tells %v, want %v", i.Oldest, before)
	}
	t.receives() // 2 is leased
	t.ack(second...)
	t.ack(t.receives("1")...)
	t.ack(t.receives("3")...)
	t.receives("4")
}

func testRedriveBack(t *T) {
	t.queue()
	t.send(keyed("k", "1", "2", "3")...)
	t.reject("bad", t.receives("1")...)
	t.briefly(1) // 2
	t.redrive(1, 0)
	t.receives()
	t.passed()
	t.ack(t.receives("1")...)
	t.ack(t.receives("2")...)
	t.receives("3")
}

func testWaitRedrive(t *T) {
	t.queue()
	t.buries("a")
	answer := t.waiting(t.Ctx, driver.QueueReceive{Max: 1, Wait: time.Hour})
	t.redrive(1, 0)
	t.got(answer, "a")
}

func testPurge(t *T) {
	t.queue()
	t.buries("a", "b")
	t.sendAll("c")
	t.purge(2)
	t.purge(0)
	t.holds(1, 0, 0, 0)
	t.receives("c")
}

func testDeadPages(t *T) {
	t.queue()
	var want, got []string
	for i := range 12 {
		want = append(want, fmt.Sprint(i))
	}
	t.sendAll(want...)
	out := t.receives(want...)
	slices.Reverse(out)
	t.reject("bad", out...)
	for token := []byte(nil); len(got) <= len(want); {
		page, err := t.set().Queue.Peek(t.Ctx, t.namespace(), queueName, driver.QueuePeek{State: driver.QueueDead, Limit: 5, Token: token})
		t.must(err)
		for _, m := range page.Messages {
			got = append(got, string(m.Payload))
		}
		if token = page.Next; token == nil {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("dead letters are listed as %q, want %q", got, want)
	}
}

func testDeadReopen(t *T) {
	t.queue(func(o *driver.QueueOptions) { o.MaxAttempts = 1 })
	t.sendAll("rejected", "passed")
	t.reject("cannot be parsed", t.receivesOne("rejected"))
	t.briefly(1)
	t.passed()
	before := t.peeks(driver.QueueDead, "rejected", "passed")
	t.reopen()
	after := t.peeks(driver.QueueDead, "rejected", "passed")
	for i := range before {
		if diff := differStored(before[i], after[i]); diff != "" {
			t.Errorf("dead letter %d: %s", i, diff)
		}
	}
	t.receives()
}

func testRedriveReopen(t *T) {
	t.queue()
	t.buries("a", "b", "c")
	dead := t.peek(driver.QueueDead)
	t.redrive(1, 0, dead[0].ID)
	t.purge(1, dead[1].ID)
	t.reopen()
	t.peeks(driver.QueueDead, "c")
	if d := t.receivesOne("a"); d.Attempts != 1 {
		t.Errorf("driven again and restarted, it is attempt %d, want 1", d.Attempts)
	}
}
