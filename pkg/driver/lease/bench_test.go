package lease_test

import (
	"fmt"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/lease"
)

const queues = 1000

// waiting is an engine with n messages over a thousand queues, half of them
// delayed.
func waiting(n int) (e *lease.Engine, all []*lease.Queue, number func() uint64) {
	e = lease.New()
	seq := uint64(0)
	number = func() uint64 { seq++; return seq }
	for i := range queues {
		all = append(all, e.Make(lease.Name{Namespace: "n", Queue: "q" + strconv.Itoa(i)}, driver.QueueOptions{Lease: time.Minute, MaxAttempts: 1 << 30, Retention: 7 * 24 * time.Hour}))
	}
	for i := range n {
		m := lease.Message{ID: number(), Size: 100, State: driver.QueueReady}
		if i/queues%2 == 1 {
			m.State, m.At, m.Born = driver.QueueLater, int64(1e9+i), int64(1e9+i)
		}
		all[i%queues].Add(m)
	}
	return e, all, number
}

// What Receive, Release and a due delay cost with a thousand and with a million
// messages waiting: the figures of the two sizes are to be compared.
func BenchmarkCostOfWaiting(b *testing.B) {
	for _, n := range []int{1000, 1_000_000} {
		b.Run(fmt.Sprintf("receive-release/%d", n), func(b *testing.B) {
			_, all, number := waiting(n)
			for i := 0; b.Loop(); i++ {
				q := all[i%queues]
				l := q.Lease(1, 0, 1000, number)
				q.Release(l[0].Slot, 0, 0)
			}
		})
		b.Run(fmt.Sprintf("due/%d", n), func(b *testing.B) {
			_, all, number := waiting(n)
			now := int64(0)
			for i := 0; b.Loop(); i++ {
				q := all[i%queues]
				now++
				q.Add(lease.Message{ID: number(), Size: 100, Priority: 9, State: driver.QueueLater, At: now, Born: now})
				q.Advance(now)
				l := q.Lease(1, 0, 1<<40, number)
				q.Ack(l[0].Slot)
			}
		})
	}
}

// How many bytes a waiting message takes up.
func BenchmarkBytesOfAMessage(b *testing.B) {
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		e, _, _ := waiting(1_000_000)
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "bytes/message")
		runtime.KeepAlive(e)
	}
}
