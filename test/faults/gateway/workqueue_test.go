package faults_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/client"
	"github.com/prism-data-layer/prism/pkg/driver/redis/redistest"
	"github.com/prism-data-layer/prism/test/faults/powercut"
	"github.com/prism-data-layer/prism/test/harness"
)

// queues is a configuration with work queues on disk.
const queues = `apiVersion: prism/v1
auth: {mode: off}
backends:
  - {name: local, driver: pebble, options: {memtable: 1MiB, cache: 1MiB}}
namespaces:
  - {name: disk, model: queue, backend: local, access: {owners: ["user:dev"]}}
drain: {timeout: 5s}
`

// queuesOn is the same configuration with the queues on a Redis server.
func queuesOn(t *testing.T) string {
	t.Helper()
	server := redistest.Seven().Start(t, "--appendonly", "yes", "--appendfsync", "always")
	return strings.Replace(queues, "driver: pebble, options: {memtable: 1MiB, cache: 1MiB}", fmt.Sprintf("driver: redis, options: {addrs: [%q]}", server.Addr), 1)
}

// A worklog is what consumers saw of messages that are numbered per key.
type worklog struct {
	mu         sync.Mutex
	last       map[string]int          // delivered, per key
	acked      map[string]map[int]bool // answered to an Ack
	delivered  map[string]map[int]int
	again      int64 // delivered more than once
	afterAck   int64 // delivered although the Ack was answered before Receive was called
	outOfOrder int64
}

func newWorklog() *worklog {
	return &worklog{last: map[string]int{}, acked: map[string]map[int]bool{}, delivered: map[string]map[int]int{}}
}

// acks are those that were answered by now.
func (l *worklog) acks() map[string]map[int]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := map[string]map[int]bool{}
	for key := range l.last { // only the last of a key can come again
		if n := l.last[key]; l.acked[key][n] {
			seen[key] = map[int]bool{n: true}
		}
	}
	return seen
}

func (l *worklog) deliver(key string, n int, before map[string]map[int]bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.delivered[key] == nil {
		l.delivered[key], l.acked[key] = map[int]int{}, map[int]bool{}
	}
	if before[key][n] {
		l.afterAck++
	}
	if n < l.last[key] {
		l.outOfOrder++
	}
	if l.delivered[key][n]++; l.delivered[key][n] > 1 {
		l.again++
	}
	l.last[key] = n
}

func (l *worklog) ack(key string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked[key][n] = true
}

// work receives and acknowledges until ctx ends.
func (l *worklog) work(ctx context.Context, q *client.WorkQueue, lease time.Duration) {
	for ctx.Err() == nil {
		before := l.acks()
		out, err := q.Receive(ctx, client.ReceiveOptions{Max: 4, Lease: lease, Wait: time.Second})
		if err != nil {
			time.Sleep(20 * time.Millisecond) // the gateway is away
			continue
		}
		for _, m := range out {
			n, _ := strconv.Atoi(string(m.Payload))
			l.deliver(m.Key, n, before)
			if q.Ack(ctx, m) == nil {
				l.ack(m.Key, n)
			}
		}
	}
}

// F1 for work queues: SIGKILL of prismd under producers and consumers that go
// on over the restart. What was acked is worked off, in the order of its key;
// what was acknowledged does not come again. The control has no disk: a kill
// spares what the system was given, synced or not, so that F2 is the proof of the
// sync.
func TestFault_F1_KillUnderProducersAndConsumers(t *testing.T) {
	rounds := 3
	if powercut.Full() {
		rounds = 50
	}
	t.Run("strong", func(t *testing.T) {
		r := killUnderQueues(t, "F1-workqueue", queues, rounds, 2*time.Minute)
		if r.Lost != 0 || r.More["redelivered_after_ack"] != int64(0) || r.More["out_of_order"] != int64(0) {
			t.Errorf("messages are lost, came again after they were acknowledged, or out of order: %+v", r)
		}
	})
	t.Run("control", func(t *testing.T) {
		volatile := strings.Replace(queues, "driver: pebble, options: {memtable: 1MiB, cache: 1MiB}", "driver: memory", 1)
		if r := killUnderQueues(t, "F1-workqueue-control", volatile, 3, time.Second); r.Lost == 0 {
			t.Errorf("nothing is lost without a disk: this proves nothing")
		}
	})
}

// killUnderQueues prints what became of the messages of a gateway that is killed
// again and again; what does not come is waited for as long as patience.
func killUnderQueues(t *testing.T, id, file string, rounds int, patience time.Duration) *powercut.Report {
	t.Helper()
	const producers, consumers, lease = 8, 4, 2 * time.Second
	seed := seedOf(t)
	random := rand.New(rand.NewPCG(seed, 1))
	report := powercut.Begin(id, seed)
	p := newPrismd(t, file)
	p.start()
	p.ready()
	dial := func() *client.WorkQueue {
		c, err := client.Dial(p.addr("data"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c.WorkQueue("disk", "work")
	}
	log := newWorklog()
	producing, stopProducing := context.WithCancel(t.Context())
	consuming, stopConsuming := context.WithCancel(t.Context())
	defer stopProducing()
	defer stopConsuming()
	var acked [producers]atomic.Int64
	var producer, consumer sync.WaitGroup
	for w := range producers {
		q := dial()
		producer.Go(func() {
			for n := 1; producing.Err() == nil; n++ {
				m := client.Message{Key: fmt.Sprint(w), Payload: []byte(strconv.Itoa(n)), IdempotencyKey: key(w, n)}
				for {
					if _, err := q.Publish(producing, m); err == nil {
						acked[w].Store(int64(n))
						break
					} else if producing.Err() != nil {
						return
					}
				}
			}
		})
	}
	for range consumers {
		q := dial()
		consumer.Go(func() { log.work(consuming, q, lease) })
	}
	total := func() (n int64) {
		for w := range producers {
			n += acked[w].Load()
		}
		return n
	}
	for range rounds {
		before := total()
		time.Sleep(50*time.Millisecond + time.Duration(random.Int64N(int64(450*time.Millisecond))))
		p.signal(syscall.SIGKILL)
		p.wait(5 * time.Second)
		p.start()
		p.ready()
		harness.Eventually(t, 30*time.Second, "publishes are acked again", func() bool { return total() > before })
		report.Rounds++
	}
	stopProducing()
	producer.Wait()
	report.Acked = total()
	missing := func() (n int64) {
		log.mu.Lock()
		defer log.mu.Unlock()
		for w := range producers {
			for i := 1; int64(i) <= acked[w].Load(); i++ {
				if log.delivered[fmt.Sprint(w)][i] == 0 {
					n++
				}
			}
		}
		return n
	}
	deadline := time.Now().Add(patience)
	for missing() > 0 && time.Now().Before(deadline) {
		time.Sleep(50 * time.Millisecond)
	}
	stopConsuming()
	consumer.Wait()
	report.Lost = missing()
	report.More["redelivered"] = log.again
	report.More["redelivered_after_ack"] = log.afterAck
	report.More["out_of_order"] = log.outOfOrder
	report.Print()
	return report
}

// F17: a message whose handler always fails is a dead letter after five
// deliveries; the backlog behind it flows, and no key is reordered.
func TestFault_F17_PoisonMessage(t *testing.T) {
	poison(t, "F17", queues)
	poison(t, "F17-redis", queuesOn(t))
}

func poison(t *testing.T, id, file string) {
	t.Helper()
	report := powercut.Begin(id, 0)
	g := harness.Start(t, harness.Options{File: file})
	c, err := client.Dial(g.Addr("data"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	q := c.WorkQueue("disk", "work")
	const backlog = 200
	for n := 1; n <= backlog; n++ {
		if _, err := q.Publish(t.Context(), client.Message{Key: fmt.Sprint(n % 7), Payload: []byte(strconv.Itoa(n))}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	log := newWorklog()
	poisoned := 0
	_ = q.Consume(ctx, client.ConsumeOptions{Parallel: 4, Backoff: func(int) time.Duration { return 0 }}, func(_ context.Context, m *client.LeasedMessage) error {
		n, _ := strconv.Atoi(string(m.Payload))
		if n == 3 {
			log.mu.Lock()
			poisoned++
			log.mu.Unlock()
			return errors.New("cannot be handled")
		}
		log.deliver(m.Key, n, nil)
		log.mu.Lock()
		defer log.mu.Unlock()
		if report.Acked++; report.Acked == backlog-1 {
			cancel()
		}
		return nil
	})
	report.More["deliveries_of_poison"] = poisoned
	report.More["out_of_order"] = log.outOfOrder
	report.Print()
	if poisoned != 5 || log.outOfOrder != 0 || report.Acked != backlog-1 {
		t.Errorf("the message was delivered %d times, %d came out of order, %d of %d were worked off", poisoned, log.outOfOrder, report.Acked, backlog-1)
	}
}
