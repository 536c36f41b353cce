package drivertest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// RunQueueModel drives the work queues of two stores through the same random
// calls and compares every answer; ids and fences are each store's own. They
// need all queue capabilities. Where time cannot be moved on both, none passes. A
// store that can reopen does so now and then.
func RunQueueModel(t *testing.T, a, b Harness) {
	t.Helper()
	defer rapidFlags(t)()
	rapid.Check(t, func(r *rapid.T) {
		m := &queueModel{T: r, ctx: context.Background(), ns: modelNamespace()}
		for i, h := range []Harness{a, b} {
			m.side[i] = &queueSide{name: h.Name, opened: h.Open(modelTB{r}, Options{Receipts: 20})}
		}
		m.time = newModelTime(a, b, m.side[0].opened, m.side[1].opened)
		m.begin()
		r.Repeat(map[string]func(*rapid.T){
			"publish": m.publish, "publish again": m.publish, "receive": m.receive, "receive again": m.receive,
			"settle": m.settle, "settle again": m.settle, "dead": m.dead, "pass": m.pass,
			"reopen": m.reopen, "drop": m.drop, "peek": m.peek, "": func(*rapid.T) {},
		})
		m.compareAll()
	})
}

type queueModel struct {
	*rapid.T
	ctx  context.Context
	ns   prism.Namespace
	side [2]*queueSide
	time *modelTime

	ids    [][2]uint64              // of messages
	leases [][2]driver.LeaseReceipt // that were given, the newest last
}

type queueSide struct {
	name   string
	opened Opened
}

var modelQueues = []string{"one", "two"}

func (m *queueModel) options(queue string) driver.QueueOptions {
	if queue == "one" { // stores may be late with the retention
		return driver.QueueOptions{Lease: 5 * m.time.second, MaxAttempts: 2, Retention: 100_000 * time.Hour}
	}
	return driver.QueueOptions{Lease: 60 * m.time.second}
}

func (m *queueModel) begin() {
	for _, s := range m.side {
		for _, q := range modelQueues {
			if _, err := s.opened.Set.Queue.CreateQueue(m.ctx, m.ns, q, m.options(q)); err != nil {
				m.Fatalf("%s: create %s: %v", s.name, q, err)
			}
		}
	}
	m.ids, m.leases = nil, nil
}

func (m *queueModel) queue(r *rapid.T) string { return rapid.SampledFrom(modelQueues).Draw(r, "queue") }

// both makes a call on both sides; their errors must have one reason. True if
// there is none.
func (m *queueModel) both(what string, call func(i int, s *driver.Set) error) bool {
	m.time.tick()
	var errs [2]error
	for i, s := range m.side {
		errs[i] = call(i, &s.opened.Set)
	}
	return m.sameError(what, errs[0], errs[1])
}

func (m *queueModel) sameError(what string, a, b error) bool {
	if a == nil && b == nil {
		return true
	}
	if a == nil || b == nil || prism.From(a).Reason != prism.From(b).Reason {
		m.Fatalf("%s: %s says %v, %s %v", what, m.side[0].name, a, m.side[1].name, b)
	}
	return false
}

// sameTime compares times of the two sides.
func (m *queueModel) sameTime(a, b time.Time) bool { return sameTime(m.time.at(0, a), m.time.at(1, b)) }

// pairID notes that the sides gave a message these ids.
func (m *queueModel) pairID(what string, a, b uint64) {
	for _, p := range m.ids {
		if p == [2]uint64{a, b} {
			return
		}
		if p[0] == a || p[1] == b {
			m.Fatalf("%s: messages %d and %d do not belong together", what, a, b)
		}
	}
	m.ids = append(m.ids, [2]uint64{a, b})
}

// same compares two messages.
func (m *queueModel) same(what string, a, b driver.StoredMessage) {
	m.pairID(what, a.ID, b.ID)
	b.ID = a.ID
	for i, s := range []*driver.StoredMessage{&a, &b} {
		s.PublishedAt, s.DueAt = m.time.at(i, s.PublishedAt), m.time.at(i, s.DueAt)
	}
	if diff := differStored(a, b); diff != "" {
		m.Fatalf("%s: %s and %s differ: %s", what, m.side[0].name, m.side[1].name, diff)
	}
}

func (m *queueModel) publish(r *rapid.T) {
	queue := m.queue(r)
	var messages []driver.QueueMessage
	for range rapid.IntRange(1, 4).Draw(r, "messages") {
		w := driver.QueueMessage{
			Key:      rapid.SampledFrom([]string{"", "", "a", "b"}).Draw(r, "key"),
			Payload:  []byte(rapid.SampledFrom([]string{"", "x", "word", string(make([]byte, 6000))}).Draw(r, "payload")),
			Delay:    rapid.SampledFrom(m.time.seconds(0, 0, 0, 0.001, 3, 3600)).Draw(r, "delay"),
			Priority: rapid.SampledFrom([]int{0, 0, 1, 9, 10}).Draw(r, "priority"),
		}
		if rapid.Bool().Draw(r, "attributes") {
			w.Attributes = map[string]string{"n": w.Key}
		}
		if id := rapid.IntRange(-20, 10).Draw(r, "receipt"); id > 0 {
			sum := sha256.Sum256(fmt.Appendf(nil, "%s %+v", queue, w))
			w.Receipt = driver.Receipt{ID: [16]byte{byte(id), queue[0]}, Body: [16]byte(sum[:16]), Keep: rapid.SampledFrom(m.time.seconds(10, 86400)).Draw(r, "keep")}
		}
		messages = append(messages, w)
	}
	var results [2][]driver.QueueResult
	m.both("publish", func(i int, s *driver.Set) error {
		results[i] = make([]driver.QueueResult, len(messages))
		return s.Queue.Publish(m.ctx, m.ns, queue, messages, results[i])
	})
	for n := range messages {
		a, b := results[0][n], results[1][n]
		if m.sameError("publish", a.Err, b.Err) {
			m.pairID("publish", a.ID, b.ID)
			if a.Replayed != b.Replayed {
				m.Fatalf("publish: replayed %v and %v", a.Replayed, b.Replayed)
			}
		}
	}
}

func (m *queueModel) receive(r *rapid.T) {
	queue := m.queue(r)
	q := driver.QueueReceive{
		Max:   rapid.SampledFrom([]int{1, 1, 3, 100, 0}).Draw(r, "max"),
		Bytes: rapid.SampledFrom([]int{0, 0, 1, 100}).Draw(r, "bytes"),
		Lease: rapid.SampledFrom(m.time.seconds(0, 0, 0.001, 1, 3600)).Draw(r, "lease"),
	}
	var out [2][]driver.Delivery
	if !m.both("receive", func(i int, s *driver.Set) (err error) {
		out[i], err = s.Queue.Receive(m.ctx, m.ns, queue, q)
		return err
	}) {
		return
	}
	if len(out[0]) != len(out[1]) {
		m.Fatalf("receive %+v of %s: %d and %d messages: %+v, %+v", q, queue, len(out[0]), len(out[1]), out[0], out[1])
	}
	for n, a := range out[0] {
		b := out[1][n]
		m.same("receive", a.StoredMessage, b.StoredMessage)
		if !m.sameTime(a.Until, b.Until) || a.Receipt.ID != a.ID || b.Receipt.ID != b.ID {
			m.Fatalf("receive: leases until %v and %v, of %+v and %+v", a.Until, b.Until, a.Receipt, b.Receipt)
		}
		m.leases = append(m.leases, [2]driver.LeaseReceipt{a.Receipt, b.Receipt})
	}
}

func (m *queueModel) settle(r *rapid.T) {
	if len(m.leases) == 0 {
		return
	}
	queue := m.queue(r)
	var receipts [2][]driver.LeaseReceipt
	for range rapid.IntRange(1, 3).Draw(r, "receipts") {
		back := min(rapid.SampledFrom([]int{0, 0, 1, 2, 5, 20}).Draw(r, "back"), len(m.leases)-1)
		l := m.leases[len(m.leases)-1-back]
		receipts[0], receipts[1] = append(receipts[0], l[0]), append(receipts[1], l[1])
	}
	how := rapid.IntRange(0, 3).Draw(r, "how")
	d := rapid.SampledFrom(m.time.seconds(0, 0, 0.001, 2, 3600)).Draw(r, "time")
	reason := rapid.SampledFrom([]string{"", "why"}).Draw(r, "reason")
	var results [2][]driver.QueueResult
	if !m.both("settle", func(i int, s *driver.Set) error {
		results[i] = make([]driver.QueueResult, len(receipts[i]))
		switch how {
		case 0:
			return s.Queue.Ack(m.ctx, m.ns, queue, receipts[i], results[i])
		case 1:
			return s.QueueVisibility.Extend(m.ctx, m.ns, queue, receipts[i], d, results[i])
		case 2:
			return s.QueueVisibility.Release(m.ctx, m.ns, queue, receipts[i], d, reason, results[i])
		default:
			return s.QueueDeadLetter.Reject(m.ctx, m.ns, queue, receipts[i], reason, results[i])
		}
	}) {
		return
	}
	for n := range results[0] {
		a, b := results[0][n], results[1][n]
		what := fmt.Sprintf("settling %d of receipt %+v", how, receipts[0][n])
		if m.sameError(what, a.Err, b.Err) && (a.Dead != b.Dead || !m.sameTime(a.Until, b.Until)) {
			m.Fatalf("%s: %+v and %+v", what, a, b)
		}
	}
}

func (m *queueModel) dead(r *rapid.T) {
	queue := m.queue(r)
	var ids [2][]uint64
	for range rapid.SampledFrom([]int{0, 0, 1, 3}).Draw(r, "ids") {
		if len(m.ids) > 0 {
			p := rapid.SampledFrom(m.ids).Draw(r, "id")
			ids[0], ids[1] = append(ids[0], p[0]), append(ids[1], p[1])
		}
	}
	limit := rapid.IntRange(0, 2).Draw(r, "limit")
	purge := rapid.IntRange(0, 4).Draw(r, "purge") == 0
	var n [2]int64
	m.both("dead letters", func(i int, s *driver.Set) (err error) {
		if purge {
			n[i], err = s.QueueDeadLetter.Purge(m.ctx, m.ns, queue, ids[i])
		} else {
			n[i], err = s.QueueDeadLetter.Redrive(m.ctx, m.ns, queue, ids[i], limit)
		}
		return err
	})
	if n[0] != n[1] {
		m.Fatalf("dead letters (purge %v, ids %d, limit %d): %d and %d", purge, ids[0], limit, n[0], n[1])
	}
}

func (m *queueModel) pass(r *rapid.T) {
	m.time.pass(rapid.SampledFrom(m.time.seconds(0.001, 0.5, 3, 6, 60, 2400)).Draw(r, "time"))
}

func (m *queueModel) reopen(r *rapid.T) {
	if rapid.IntRange(0, 4).Draw(r, "restart") != 0 {
		return
	}
	m.compareAll()
	for _, s := range m.side {
		if s.opened.Reopen != nil {
			s.opened.Set = s.opened.Reopen()
		}
	}
	m.compareAll()
}

func (m *queueModel) drop(r *rapid.T) {
	if rapid.IntRange(0, 9).Draw(r, "drop") != 0 {
		return
	}
	m.both("drop", func(_ int, s *driver.Set) error { return s.Store.Drop(m.ctx, m.ns) })
	m.begin()
	m.compareAll()
}

func (m *queueModel) peek(*rapid.T) { m.compareAll() }

// compareAll compares everything that the queues hold.
func (m *queueModel) compareAll() {
	for _, queue := range modelQueues {
		for state := driver.QueueReady; state <= driver.QueueDead; state++ {
			m.comparePages(queue, driver.QueuePeek{State: state, Limit: 3, Bytes: 10_000})
		}
		var infos [2]driver.QueueInfo
		var priorities [2][]int64
		var delayed [2]int64
		var next [2]time.Time
		m.both("info", func(i int, s *driver.Set) (err error) {
			if infos[i], err = s.Queue.Info(m.ctx, m.ns, queue); err != nil {
				return err
			}
			if priorities[i], err = s.QueuePriority.Priorities(m.ctx, m.ns, queue); err != nil {
				return err
			}
			delayed[i], next[i], err = s.QueueDelayed.Delayed(m.ctx, m.ns, queue)
			return err
		})
		a, b := infos[0], infos[1]
		if !m.sameTime(a.Oldest, b.Oldest) {
			m.Fatalf("the oldest of %s is of %v and %v", queue, a.Oldest, b.Oldest)
		}
		for _, i := range []*driver.QueueInfo{&a, &b} { // what is counted since the start differs after one
			i.Oldest, i.Published, i.Delivered, i.Acked, i.Redelivered = time.Time{}, 0, 0, 0, 0
		}
		if a != b || !slices.Equal(priorities[0], priorities[1]) || delayed[0] != delayed[1] || !m.sameTime(next[0], next[1]) {
			m.Fatalf("%s: %+v %d %d %v and %+v %d %d %v", queue, a, priorities[0], delayed[0], next[0], b, priorities[1], delayed[1], next[1])
		}
	}
	var usage [2]driver.Usage
	var names [2][]string
	m.both("usage", func(i int, s *driver.Set) (err error) {
		if usage[i], err = s.Store.Usage(m.ctx, m.ns); err != nil {
			return err
		}
		names[i], err = s.Queue.Queues(m.ctx, m.ns)
		return err
	})
	if !usage[0].Estimated && !usage[1].Estimated && usage[0].Keys != usage[1].Keys || !slices.Equal(names[0], names[1]) {
		m.Fatalf("usage %+v and %+v, queues %q and %q", usage[0], usage[1], names[0], names[1])
	}
}

func (m *queueModel) comparePages(queue string, p driver.QueuePeek) {
	tokens := [2][]byte{}
	for first := true; first || tokens[0] != nil; first = false {
		var pages [2]driver.QueuePage
		if !m.both("peek", func(i int, s *driver.Set) (err error) {
			q := p
			q.Token = tokens[i]
			pages[i], err = s.Queue.Peek(m.ctx, m.ns, queue, q)
			return err
		}) {
			return
		}
		a, b := pages[0].Messages, pages[1].Messages
		if len(a) != len(b) || (pages[0].Next == nil) != (pages[1].Next == nil) {
			m.Fatalf("peek %+v of %s: %d and %d messages: %+v, %+v", p, queue, len(a), len(b), a, b)
		}
		for n := range a {
			m.same(fmt.Sprintf("peek of state %d of %s, message %d", p.State, queue, n), a[n], b[n])
			if !maps.Equal(a[n].Attributes, b[n].Attributes) {
				m.Fatalf("attributes %q and %q", a[n].Attributes, b[n].Attributes)
			}
		}
		tokens = [2][]byte{pages[0].Next, pages[1].Next}
	}
}
