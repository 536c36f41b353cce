package faults_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/client"
	"github.com/prism-data-layer/prism/test/faults/powercut"
	"github.com/prism-data-layer/prism/test/harness"
)

// F1 at the gateway: SIGKILL of prismd under 16 writers of the SDK, which go on
// over the restart. What was acked is there.
func TestFault_F1_KillUnderSDKWriters(t *testing.T) {
	rounds, want := 3, int64(500)
	if powercut.Full() {
		rounds, want = 50, 100_000
	}
	const writers = 16
	seed := seedOf(t)
	random := rand.New(rand.NewPCG(seed, 1))
	report := powercut.Begin("F1-gateway", seed)
	p := newPrismd(t, harness.Small)
	p.start()
	p.ready()
	c, err := client.Dial(p.addr("data"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	kv := c.KeyValue("disk")
	ctx, stop := context.WithCancel(t.Context())
	var acked, attempted [writers]atomic.Int64
	var failed atomic.Int64
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for n := 1; ctx.Err() == nil; n++ {
				attempted[w].Store(int64(n))
				for {
					if _, err := kv.Set(ctx, key(w, n), []byte(key(w, n))); err == nil {
						acked[w].Store(int64(n))
						break
					} else if ctx.Err() != nil {
						return
					}
					failed.Add(1)
				}
			}
		})
	}
	var reopened []time.Duration
	total := func() (n int64) {
		for w := range writers {
			n += acked[w].Load()
		}
		return n
	}
	for round := 0; round < rounds || total() < want; round++ {
		before := total()
		time.Sleep(50*time.Millisecond + time.Duration(random.Int64N(int64(450*time.Millisecond))))
		p.signal(syscall.SIGKILL)
		p.wait(5 * time.Second)
		begun := time.Now()
		p.start()
		p.ready()
		reopened = append(reopened, time.Since(begun))
		harness.Eventually(t, 20*time.Second, "writes are acked again", func() bool { return total() > before })
		report.Rounds++
	}
	stop()
	wg.Wait()
	report.Acked = total()
	fresh, err := client.Dial(p.addr("data"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = fresh.Close() }()
	found := map[string]bool{}
	for e, err := range fresh.KeyValue("disk").Scan(t.Context(), client.Range{PageItems: 1000}) {
		if err != nil {
			t.Fatal(err)
		}
		if string(e.Value) != e.Key {
			t.Errorf("key %s has the value %q", e.Key, e.Value)
		}
		found[e.Key] = true
	}
	for w := range writers {
		for n := 1; int64(n) <= attempted[w].Load(); n++ {
			if !found[key(w, n)] && int64(n) <= acked[w].Load() {
				report.Lost++
			}
			delete(found, key(w, n))
		}
	}
	report.Phantom = int64(len(found))
	slices.Sort(reopened)
	report.More["reopen_p99_ms"] = reopened[len(reopened)*99/100].Milliseconds()
	report.More["failed_calls"] = failed.Load()
	report.Print()
	if report.Lost != 0 || report.Phantom != 0 {
		t.Errorf("%d of %d acked writes are lost, %d are there that nobody wrote", report.Lost, report.Acked, report.Phantom)
	}
	if p99 := reopened[len(reopened)*99/100]; p99 > 5*time.Second {
		t.Errorf("opening again took %v", p99)
	}
}
