package redis_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/redis/redistest"
	"github.com/prism-data-layer/prism/pkg/prism"
)

const counters = 64

// A load increments counters, one call at a time each, and knows what it was answered.
type load struct {
	set      driver.Set
	ns       prism.Namespace
	acked    [counters]atomic.Int64 // increments that were answered
	unsure   [counters]atomic.Int64 // that were not: done or not
	strange  atomic.Int64           // answers that belong to another call
	failures sync.Map               // an error of each reason
	stop     chan struct{}
	work     sync.WaitGroup
}

// startLoad begins counting, each counter far from the others: so an answer tells whose
// it is.
func startLoad(t *testing.T, s driver.Set, ns prism.Namespace) *load {
	t.Helper()
	l := &load{set: s, ns: ns, stop: make(chan struct{})}
	for n := range l.acked {
		if _, err := set(t.Context(), s, l.key(n), fmt.Sprint(start(n)), none); err != nil {
			t.Fatal(err)
		}
		l.work.Go(func() { l.run(n) })
	}
	return l
}

func start(n int) int64 { return int64(n) * 1_000_000 }

func (l *load) key(n int) prism.Key {
	return prism.Key{Namespace: l.ns, Name: fmt.Sprint("counter", n)}
}

// most is what a counter can be at.
func (l *load) most(n int) int64 { return start(n) + l.acked[n].Load() + l.unsure[n].Load() }

func (l *load) run(n int) {
	for {
		select {
		case <-l.stop:
			return
		default:
		}
		l.call(n)
	}
}

// call increments a counter and reads it.
func (l *load) call(n int) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	r, err := l.set.KeyValueAtomic.Increment(ctx, l.key(n), 1, none)
	if err != nil {
		l.unsure[n].Add(1)
		l.failures.Store(prism.From(err).Reason, err)
		return
	}
	l.acked[n].Add(1)
	e, found, err := l.set.KeyValue.Get(ctx, l.key(n))
	if err != nil {
		l.failures.Store(prism.From(err).Reason, err)
		return
	}
	read, err := strconv.ParseInt(string(e.Value), 10, 64)
	for _, answer := range []int64{r.Number, read} {
		if err != nil || !found || answer <= start(n)-1 || answer > l.most(n) {
			l.strange.Add(1)
		}
	}
}

func (l *load) counts() (c [counters]int64) {
	for i := range c {
		c[i] = l.acked[i].Load()
	}
	return c
}

func (l *load) done() (sum int64) {
	for _, n := range l.counts() {
		sum += n
	}
	return sum
}

// progress waits until so many more calls have been answered.
func (l *load) progress(t *testing.T, more int64) {
	t.Helper()
	from := l.done()
	eventually(t, "calls are answered", func() bool { return l.done() >= from+more })
}

// everyone waits until every counter goes on.
func (l *load) everyone(t *testing.T) {
	t.Helper()
	from := l.counts()
	eventually(t, "every counter goes on", func() bool {
		for n, now := range l.counts() {
			if now < from[n]+3 {
				return false
			}
		}
		return true
	})
}

// received is what was answered and has reached a replica.
func (l *load) received(t *testing.T, master, replica *redistest.Server) [counters]int64 {
	t.Helper()
	c := l.counts()
	if err := master.Received(replica); err != nil {
		t.Fatal(err)
	}
	return c
}

// end stops the load. Nothing was done that was not asked for, no answer was another's,
// and of what was answered at least so much is there. It gives what is not.
func (l *load) end(t *testing.T, least [counters]int64) (lost int64) {
	t.Helper()
	close(l.stop)
	l.work.Wait()
	l.failures.Range(func(reason, err any) bool {
		if !prism.From(err.(error)).Retryable() {
			t.Errorf("a call fails with %v, which is not to be tried again: %v", reason, err)
		}
		return true
	})
	for n := range counters {
		var at int64
		eventually(t, "read", func() bool {
			e, _, err := l.set.KeyValue.Get(t.Context(), l.key(n))
			at, _ = strconv.ParseInt(string(e.Value), 10, 64)
			return err == nil
		})
		if at > l.most(n) || at < start(n)+least[n] {
			t.Errorf("counter %d is at %d, want %d to %d", n, at, start(n)+least[n], l.most(n))
		}
		lost += max(0, start(n)+l.acked[n].Load()-at)
	}
	if n := l.strange.Load(); n > 0 {
		t.Errorf("%d answers belong to other calls", n)
	}
	return lost
}

func TestAPlannedFailoverOfAClusterLosesNothing(t *testing.T) {
	t.Parallel()
	for placement, more := range map[string]string{"spread": "", "one-slot": "placement: one-slot"} {
		t.Run(placement, func(t *testing.T) {
			cluster := redistest.Seven().Cluster(t, 3)
			l := startLoad(t, openAt(t, cluster.Addrs(), more), "failover")
			for i := range 3 {
				l.progress(t, 500)
				if _, err := cluster.Replica(i).Ask("CLUSTER", "FAILOVER"); err != nil {
					t.Fatal(err)
				}
				if err := cluster.Replica(i).Promoted(); err != nil {
					t.Fatal(err)
				}
			}
			l.everyone(t)
			if lost := l.end(t, [counters]int64{}); lost != 0 {
				t.Errorf("%d answered increments are gone", lost)
			}
		})
	}
}

// Replication follows the ack, so what a replica had not received is lost with its master.
func TestAKilledMasterOfAClusterIsReplaced(t *testing.T) {
	t.Parallel()
	cluster := redistest.Seven().Cluster(t, 1)
	l := startLoad(t, openAt(t, cluster.Addrs(), ""), "failover")
	l.progress(t, 500)
	least := l.received(t, cluster.Nodes[0], cluster.Replica(0))
	if err := cluster.Nodes[0].Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Replica(0).Promoted(); err != nil {
		t.Fatal(err)
	}
	l.everyone(t)
	t.Logf("%d of %d answered increments were lost with the master", l.end(t, least), l.done())
}

// A failover of sentinels does not wait for the last writes, as one of a cluster can.
func TestSentinelsLeadToTheMaster(t *testing.T) {
	t.Parallel()
	f := redistest.Seven().Sentinel(t)
	s := openAt(t, f.Addrs(), "sentinel: {master: "+redistest.SentinelName+"}")
	if !strings.Contains(s.Info.Durability, "replica had not received") || s.Info.Durable {
		t.Errorf("acked means %q", s.Info.Durability)
	}
	l := startLoad(t, s, "failover")
	l.progress(t, 500)
	least := l.received(t, f.Master, f.Replica)
	if err := f.Failover(); err != nil {
		t.Fatal(err)
	}
	if err := f.Replica.Promoted(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the old master follows", func() bool { return f.Master.Role() == "slave" && f.Replica.Followed(f.Master) == nil })
	l.everyone(t)
	if err := f.Replica.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := f.Master.Promoted(); err != nil {
		t.Fatal(err)
	}
	l.everyone(t)
	t.Logf("%d of %d answered increments were lost with two masters", l.end(t, least), l.done())
	if h := s.Store.Health(t.Context()); h.State != driver.Healthy || h.Facts["mode"] != "sentinel" || h.Facts["role"] != "master" {
		t.Errorf("Health is %v %s %v", h.State, h.Message, h.Facts)
	}
}

// Connections are cut under load: what has lost its answer is not sent again, since it may
// have been done.
func TestLostAnswersAreNotAskedForAgain(t *testing.T) {
	t.Parallel()
	cluster := redistest.Seven().Cluster(t, 0)
	l := startLoad(t, openAt(t, cluster.Addrs(), ""), "cut off")
	for range 100 {
		l.progress(t, 50)
		for _, n := range cluster.Nodes {
			if _, err := n.Ask("CLIENT", "KILL", "TYPE", "normal"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if lost := l.end(t, [counters]int64{}); lost != 0 {
		t.Errorf("%d answered increments are gone", lost)
	}
	cut := int64(0)
	for n := range l.unsure {
		cut += l.unsure[n].Load()
	}
	if cut == 0 {
		t.Error("no call was cut off")
	}
}

// A node that does not answer keeps its own callers waiting, and nobody else's.
func TestAFrozenNodeKeepsNobodyFromTheOthers(t *testing.T) {
	t.Parallel()
	cluster := redistest.Seven().Cluster(t, 0)
	s := openAt(t, cluster.Addrs(), "timeout: 5m")
	var here, gone []prism.Key // on nodes that answer, and on the one that will not
	for i := range 60 {
		k := prism.Key{Namespace: "frozen", Name: fmt.Sprint("k", i)}
		before := ask(t, cluster.Nodes[0], "DBSIZE")
		if _, err := set(t.Context(), s, k, "v", none); err != nil {
			t.Fatal(err)
		}
		if ask(t, cluster.Nodes[0], "DBSIZE") == before {
			here = append(here, k)
		} else {
			gone = append(gone, k)
		}
	}
	if err := cluster.Nodes[0].Freeze(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var stuck, work sync.WaitGroup
	for _, k := range gone {
		stuck.Go(func() { _, _, _ = s.KeyValue.Get(ctx, k) })
	}
	for _, k := range here {
		work.Go(func() {
			for range 20 {
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				if e, found, err := s.KeyValue.Get(ctx, k); err != nil || !found || string(e.Value) != "v" {
					t.Errorf("Get %v: %v %v", k, found, err)
				}
				cancel()
			}
		})
	}
	work.Wait()
	if err := cluster.Nodes[0].Thaw(); err != nil {
		t.Fatal(err)
	}
	cancel()
	stuck.Wait()
	if len(here) == 0 || len(gone) == 0 {
		t.Errorf("%d keys are on nodes that answer, %d on the other", len(here), len(gone))
	}
}
