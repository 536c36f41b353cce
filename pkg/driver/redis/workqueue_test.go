package redis_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/redis"
	"github.com/prism-data-layer/prism/pkg/driver/redis/redistest"
	"github.com/prism-data-layer/prism/pkg/prism"
)

const jobs = "jobs"

func makeQueue(t *testing.T, s driver.Set, ns prism.Namespace, o driver.QueueOptions) {
	t.Helper()
	if _, err := s.Queue.CreateQueue(t.Context(), ns, jobs, o); err != nil {
		t.Fatal(err)
	}
}

// enqueue publishes messages whose payloads are their numbers.
func enqueue(ctx context.Context, s driver.Set, ns prism.Namespace, key string, payloads ...string) error {
	messages, results := make([]driver.QueueMessage, len(payloads)), make([]driver.QueueResult, len(payloads))
	for i, p := range payloads {
		messages[i] = driver.QueueMessage{Key: key, Payload: []byte(p)}
	}
	err := s.Queue.Publish(ctx, ns, jobs, messages, results)
	for _, r := range results {
		err = errors.Join(err, r.Err)
	}
	return err
}

// stopped opens a store whose own time stands still: nothing but news wakes
// those who wait.
func stopped(t *testing.T, server *redistest.Server) driver.Set {
	t.Helper()
	c := settings(server, "")
	c.Clock = clock.NewFake(time.Now())
	s, err := redis.Spec().Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Store.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// leases are what gateways have delivered. Numbers of leases tell in what order
// the server gave them.
type leases struct {
	time  time.Duration // of each
	mu    sync.Mutex
	given []driver.Delivery
	acked map[string]uint64 // the lease with which a payload was acknowledged
}

func (l *leases) note(d driver.Delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.given = append(l.given, d)
}

// ack notes an acknowledgement that the server has taken, and how many there are.
func (l *leases) ack(d driver.Delivery) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked[string(d.Payload)] = d.Receipt.Fence
	return len(l.acked)
}

func (l *leases) worked() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acked)
}

// check holds all leases against the promises: no message is under two that
// live, none comes after it was acknowledged, those of a key come in order. It
// gives the payloads that came.
func (l *leases) check(t *testing.T) (came map[string]int) {
	t.Helper()
	slices.SortFunc(l.given, func(a, b driver.Delivery) int { return cmp.Compare(a.Receipt.Fence, b.Receipt.Fence) })
	came = map[string]int{}
	last, newest := map[uint64]driver.Delivery{}, map[string]string{}
	for i, d := range l.given {
		p := string(d.Payload)
		if i > 0 && d.Receipt.Fence == l.given[i-1].Receipt.Fence {
			t.Errorf("two leases have number %d", d.Receipt.Fence)
		}
		if begin := d.Until.Add(-l.time); begin.Before(last[d.ID].Until) {
			t.Errorf("message %s was leased until %v and again at %v", p, last[d.ID].Until, begin)
		}
		if fence := l.acked[p]; fence > 0 && fence < d.Receipt.Fence {
			t.Errorf("message %s came after it was acknowledged", p)
		}
		if d.Key != "" {
			if p < newest[d.Key] {
				t.Errorf("message %s of key %s came after %s", p, d.Key, newest[d.Key])
			}
			newest[d.Key] = p
		}
		came[p]++
		last[d.ID] = d
	}
	return came
}

func TestNoMessageIsUnderTwoLeasesOfTwoGateways(t *testing.T) {
	t.Parallel()
	for _, v := range redistest.Versions() {
		t.Run(v.Name, func(t *testing.T) {
			server := shared.get(t, v)
			gateways := []driver.Set{open(t, server, ""), open(t, server, "")}
			ns := prism.Namespace("leases-" + v.Name)
			const lease, n, keys = 40 * time.Millisecond, 400, 5
			makeQueue(t, gateways[0], ns, driver.QueueOptions{Lease: lease})
			held := &leases{time: lease, acked: map[string]uint64{}}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			var calls sync.WaitGroup
			for i := range 8 {
				calls.Go(func() {
					for round := i; ctx.Err() == nil; round++ {
						out, err := gateways[i%2].Queue.Receive(ctx, ns, jobs, driver.QueueReceive{Max: 1 + round%4, Wait: time.Minute})
						if err != nil {
							if ctx.Err() == nil {
								t.Error(err)
							}
							return
						}
						for at, d := range out {
							held.note(d)
							if (round+at)%4 == 0 {
								continue // its consumer has crashed
							}
							results := make([]driver.QueueResult, 1)
							// The other gateway ends the lease.
							if err := gateways[(i+1)%2].Queue.Ack(ctx, ns, jobs, []driver.LeaseReceipt{d.Receipt}, results); err != nil {
								return
							}
							if results[0].Err == nil && held.ack(d) == n {
								cancel()
							}
						}
					}
				})
			}
			for i := range n {
				key := fmt.Sprint(i % keys)
				if key == "0" {
					key = ""
				}
				if err := enqueue(ctx, gateways[i%2], ns, key, fmt.Sprintf("%04d", i)); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			}
			calls.Wait()
			came := held.check(t)
			if len(held.acked) != n || len(came) != n || len(held.given) == n {
				t.Errorf("%d messages of %d were worked off in %d deliveries; want %d and some more", len(held.acked), len(came), len(held.given), n)
			}
		})
	}
}

func TestWhatBecomesReadyWakesWhoWaitsOnAnotherGateway(t *testing.T) {
	t.Parallel()
	server := shared.get(t, redistest.Seven())
	here, there := open(t, server, ""), stopped(t, server)
	const ns = "news"
	makeQueue(t, here, ns, driver.QueueOptions{Lease: time.Hour, MaxAttempts: 9})
	receipt := func(d driver.Delivery) []driver.LeaseReceipt { return []driver.LeaseReceipt{d.Receipt} }
	ctx, results := t.Context(), make([]driver.QueueResult, 1)
	take := func() driver.Delivery {
		out, err := here.Queue.Receive(ctx, ns, jobs, driver.QueueReceive{Max: 1})
		if err != nil || len(out) != 1 {
			t.Fatalf("%d messages, %v", len(out), err)
		}
		return out[0]
	}
	var held driver.Delivery
	ready := func() {
		if err := enqueue(ctx, here, ns, "k", "1", "2"); err != nil {
			t.Fatal(err)
		}
		held = take()
	}
	for _, c := range []struct {
		what   string
		before func()
		then   func() error
	}{
		{"a message is published", func() {}, func() error { return enqueue(ctx, here, ns, "", "m") }},
		{"a message is released", func() { _ = enqueue(ctx, here, ns, "", "m"); held = take() }, func() error {
			return errors.Join(here.QueueVisibility.Release(ctx, ns, jobs, receipt(held), 0, "", results), results[0].Err)
		}},
		{"the one before of its key is acknowledged", ready, func() error {
			return errors.Join(here.Queue.Ack(ctx, ns, jobs, receipt(held), results), results[0].Err)
		}},
		{"the one before of its key is rejected", ready, func() error {
			return errors.Join(here.QueueDeadLetter.Reject(ctx, ns, jobs, receipt(held), "", results), results[0].Err)
		}},
		{"a dead letter is driven again", func() {}, func() error {
			return second(here.QueueDeadLetter.Redrive(ctx, ns, jobs, nil, 1))
		}},
	} {
		c.before()
		var wait sync.WaitGroup
		var waits atomic.Bool
		wait.Go(func() {
			waits.Store(true)
			out, err := there.Queue.Receive(ctx, ns, jobs, driver.QueueReceive{Max: 9, Wait: time.Hour})
			if err != nil || len(out) != 1 {
				t.Errorf("%s: %d messages, %v", c.what, len(out), err)
			}
			for _, d := range out {
				if err := there.Queue.Ack(ctx, ns, jobs, receipt(d), make([]driver.QueueResult, 1)); err != nil {
					t.Error(err)
				}
			}
		})
		eventually(t, "the other gateway waits", func() bool {
			return waits.Load() && raw(t, server).HGet(ctx, "{p1:4:news:q:jobs}m", "w").Val() == "1"
		})
		if err := c.then(); err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		wait.Wait()
	}
}

func TestOneOfThoseWhoWaitOnAGatewayLooks(t *testing.T) {
	t.Parallel()
	server := redistest.Seven().Start(t, "--appendonly", "no")
	here, there := open(t, server, ""), stopped(t, server)
	const ns, n = "crowd", 50
	makeQueue(t, here, ns, driver.QueueOptions{Lease: time.Hour})
	var wait sync.WaitGroup
	var got atomic.Int64
	for range n {
		wait.Go(func() {
			out, err := there.Queue.Receive(t.Context(), ns, jobs, driver.QueueReceive{Max: 1, Wait: time.Hour})
			if err != nil {
				t.Error(err)
			}
			got.Add(int64(len(out)))
		})
	}
	c := raw(t, server)
	calls := func() int64 {
		for line := range strings.Lines(c.Info(t.Context(), "commandstats").Val()) {
			if rest, ok := strings.CutPrefix(line, "cmdstat_evalsha:calls="); ok {
				var n int64
				_, _ = fmt.Sscan(strings.SplitN(rest, ",", 2)[0], &n)
				return n
			}
		}
		return 0
	}
	eventually(t, "all of them wait", func() bool { return calls() >= n+1 })
	before := calls()
	if err := enqueue(t.Context(), here, ns, "", "m"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "one of them gets it", func() bool { return got.Load() == 1 })
	// The message went to the one who looked, and the next looks after him; here's
	// sweeper asks now and then, what is published is one.
	if n := calls() - before; n > 25 {
		t.Errorf("a message that %d wait for made %d calls", 50, n)
	}
	for range n - 1 {
		if err := enqueue(t.Context(), here, ns, "", "m"); err != nil {
			t.Fatal(err)
		}
	}
	wait.Wait()
}

func TestNothingOfAQueueIsLostOrLeasedTwiceInACrash(t *testing.T) {
	t.Parallel()
	server := redistest.Seven().Start(t, "--appendonly", "yes", "--appendfsync", "always")
	gateways := []driver.Set{open(t, server, ""), open(t, server, "")}
	const ns, lease = "crash", 100 * time.Millisecond
	makeQueue(t, gateways[0], ns, driver.QueueOptions{Lease: lease})
	held := &leases{time: lease, acked: map[string]uint64{}}
	var mu sync.Mutex
	published := map[string]bool{}
	producing, stopProducing := context.WithCancel(t.Context())
	consuming, stopConsuming := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stopConsuming()
	var producers, consumers sync.WaitGroup
	for i, s := range gateways {
		producers.Go(func() {
			for n := 0; producing.Err() == nil; n++ {
				p := fmt.Sprintf("%d-%06d", i, n)
				if enqueue(context.Background(), s, ns, []string{"", fmt.Sprint("k", i)}[n%2], p) == nil {
					mu.Lock()
					published[p] = true
					mu.Unlock()
				}
			}
		})
		for range 3 {
			consumers.Go(func() {
				for consuming.Err() == nil {
					out, _ := s.Queue.Receive(consuming, ns, jobs, driver.QueueReceive{Max: 3, Wait: 50 * time.Millisecond})
					for _, d := range out {
						held.note(d)
						results := make([]driver.QueueResult, 1)
						if s.Queue.Ack(context.Background(), ns, jobs, []driver.LeaseReceipt{d.Receipt}, results) == nil && results[0].Err == nil {
							held.ack(d)
						}
					}
				}
			})
		}
	}
	for range 3 {
		at := held.worked()
		eventually(t, "the queue flows", func() bool { return held.worked() > at+50 })
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
	}
	stopProducing()
	producers.Wait()
	// A message whose Ack was not answered may be gone: the queue is then empty
	// without it.
	eventually(t, "all is worked off", func() bool {
		i, err := gateways[0].Queue.Info(t.Context(), ns, jobs)
		return err == nil && i.Ready+i.Leased == 0
	})
	stopConsuming()
	consumers.Wait()
	came := held.check(t)
	for p := range published {
		if came[p] == 0 {
			t.Errorf("message %s was acked to its producer and never came", p)
		}
	}
}

func TestAQueueOnAFullServerIsWorkedOff(t *testing.T) {
	t.Parallel()
	server := redistest.Eight().Start(t, "--maxmemory-policy", "noeviction")
	s := open(t, server, "")
	const ns = "full"
	makeQueue(t, s, ns, driver.QueueOptions{Lease: time.Hour})
	if err := enqueue(t.Context(), s, ns, "k", "1", "2"); err != nil {
		t.Fatal(err)
	}
	fill(t, raw(t, server))
	if err := enqueue(t.Context(), s, ns, "k", "3"); !errors.Is(err, prism.ReasonQuotaExceeded) {
		t.Errorf("a message that there is no memory for: %v, want QUOTA_EXCEEDED", err)
	}
	for _, want := range []string{"1", "2"} {
		out, err := s.Queue.Receive(t.Context(), ns, jobs, driver.QueueReceive{Max: 9})
		if err != nil || len(out) != 1 || string(out[0].Payload) != want {
			t.Fatalf("%d messages, %v; want %s", len(out), err, want)
		}
		results := make([]driver.QueueResult, 1)
		if err := errors.Join(s.Queue.Ack(t.Context(), ns, jobs, []driver.LeaseReceipt{out[0].Receipt}, results), results[0].Err); err != nil {
			t.Error(err)
		}
	}
	out, err := s.Queue.Receive(t.Context(), ns, jobs, driver.QueueReceive{Max: 9, Wait: time.Millisecond})
	if err != nil || len(out) != 0 {
		t.Errorf("the queue is empty, and Receive gives %d, %v", len(out), err)
	}
}

func TestWhatIsDoneLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	server := redistest.Seven().Start(t, "--appendonly", "no")
	s, c := open(t, server, ""), raw(t, server)
	const ns = "tidy"
	makeQueue(t, s, ns, driver.QueueOptions{Lease: time.Hour, Retention: time.Second})
	results := make([]driver.QueueResult, 4)
	for _, key := range []string{"", "k"} {
		if err := enqueue(t.Context(), s, ns, key, "1", "2"); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			out, err := s.Queue.Receive(t.Context(), ns, jobs, driver.QueueReceive{Max: 1})
			if err != nil || len(out) != 1 {
				t.Fatalf("%d messages, %v", len(out), err)
			}
			if err := s.Queue.Ack(t.Context(), ns, jobs, []driver.LeaseReceipt{out[0].Receipt}, results); err != nil {
				t.Fatal(err)
			}
		}
	}
	left := func() []string { return slices.Sorted(slices.Values(c.Keys(t.Context(), "{p1:4:tidy:q:*").Val())) }
	if got, want := left(), []string{"{p1:4:tidy:q:jobs}m"}; !slices.Equal(got, want) {
		t.Errorf("when all is acknowledged there are %q, want %q", got, want)
	}
	if err := enqueue(t.Context(), s, ns, "k", "old", "older"); err != nil {
		t.Fatal(err)
	}
	// Nobody looks at the queue: the sweeper comes.
	eventually(t, "what is past the retention goes", func() bool {
		if err := c.ZAdd(t.Context(), "{p1}lines", goredis.Z{Member: "q{p1:4:tidy:q:jobs}"}).Err(); err != nil {
			t.Fatal(err)
		}
		return len(left()) == 1
	})
	if err := s.Store.Drop(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	if got := c.Keys(t.Context(), "{p1:4:tidy:*").Val(); !slices.Equal(got, []string{"{p1:4:tidy:0}m"}) {
		t.Errorf("Drop leaves %q, want the key that knows which numbers are used up", got)
	}
}

func TestANameThatTwoGatewaysMakeIsOfOneKind(t *testing.T) {
	t.Parallel()
	server := shared.get(t, redistest.Eight())
	gateways := []driver.Set{open(t, server, ""), open(t, server, "")}
	for round := range 20 {
		ns := prism.Namespace(fmt.Sprint("kinds-", round))
		errs := make([]error, 2)
		var calls sync.WaitGroup
		calls.Go(func() {
			_, errs[0] = gateways[0].Queue.CreateQueue(t.Context(), ns, jobs, driver.QueueOptions{Lease: time.Minute})
		})
		calls.Go(func() {
			_, errs[1] = gateways[1].Stream.CreateTopic(t.Context(), ns, jobs, driver.TopicOptions{Partitions: 1})
		})
		calls.Wait()
		if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs...), prism.ReasonWrongKind) {
			t.Errorf("a queue and a topic of one name: %v and %v, want one of them and WRONG_KIND", errs[0], errs[1])
		}
		queues, err := gateways[1].Queue.Queues(t.Context(), ns)
		topics, err2 := gateways[0].Stream.Topics(t.Context(), ns)
		if len(queues)+len(topics) != 1 || err != nil || err2 != nil {
			t.Errorf("there are queues %q and topics %q, %v %v", queues, topics, err, err2)
		}
	}
}
