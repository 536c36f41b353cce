package redis_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/redis/redistest"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// calls is how many commands of a name the server has seen.
func calls(t *testing.T, server *redistest.Server, name string) int {
	t.Helper()
	text, err := raw(t, server).Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^cmdstat_` + name + `:calls=(\d+)`).FindStringSubmatch(text)
	if found == nil {
		return 0
	}
	n, err := strconv.Atoi(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Callers that come together share round trips; each gets the answer to its own
// call, and the server sees each read.
func TestCallsThatComeTogetherShareRoundTrips(t *testing.T) {
	t.Parallel()
	server := redistest.Seven().Start(t, "--appendonly", "no")
	s := open(t, server, "")
	const callers, each = 64, 50
	gets, scripts := calls(t, server, "get"), calls(t, server, "evalsha")
	var wg sync.WaitGroup
	for n := range callers {
		wg.Go(func() {
			ns := prism.Namespace(fmt.Sprint("ns", n%3))
			for i := range each {
				k, value := prism.Key{Namespace: ns, Name: fmt.Sprint("k", n)}, []byte(fmt.Sprintf("%d-%d", n, i))
				r, err := s.KeyValue.Set(t.Context(), k, value, driver.SetOptions{}, driver.Receipt{})
				clear(value) // it is the caller's again
				if err != nil || r.Version == 0 {
					t.Errorf("Set %v: %+v %v", k, r, err)
				}
				e, found, err := s.KeyValue.Get(t.Context(), k)
				if err != nil || !found || string(e.Value) != fmt.Sprintf("%d-%d", n, i) || e.Version != r.Version {
					t.Errorf("Get %v: %+v %v %v after version %d", k, e, found, err, r.Version)
				}
				if _, found, err := s.KeyValue.Get(t.Context(), prism.Key{Namespace: ns, Name: fmt.Sprint("none", n)}); found || err != nil {
					t.Errorf("Get of a missing key: %v %v", found, err)
				}
			}
			one := []driver.CacheOp{{Kind: driver.CacheIncrement, Key: "n", Delta: 1}}
			if r := make([]driver.CacheResult, 1); s.Cache.Do(t.Context(), ns, one, r) != nil || r[0].Err != nil || r[0].Number < 1 {
				t.Errorf("Increment: %+v", r[0])
			}
		})
	}
	wg.Wait()
	if n := calls(t, server, "get") - gets; n < 2*callers*each { // scripts read by GET too
		t.Errorf("the server saw %d reads of %d", n, 2*callers*each)
	}
	if n := calls(t, server, "evalsha") - scripts; n == 0 || n > callers*each/2 {
		t.Errorf("%d scripts for %d mutations by %d callers", n, callers*each, callers)
	}
	sum := make([]driver.CacheResult, 3)
	for i := range sum {
		if err := s.Cache.Do(t.Context(), prism.Namespace(fmt.Sprint("ns", i)), []driver.CacheOp{{Kind: driver.CacheGet, Key: "n"}}, sum[i:i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if got := fmt.Sprintf("%s %s %s", sum[0].Value, sum[1].Value, sum[2].Value); got != "22 21 21" {
		t.Errorf("counted %s", got)
	}
}

// A server that forgets its scripts meanwhile does nothing twice.
func TestNothingIsDoneTwiceWhenScriptsAreForgotten(t *testing.T) {
	t.Parallel()
	server := redistest.Seven().Start(t, "--appendonly", "no")
	a, b := open(t, server, ""), open(t, server, "")
	k := prism.Key{Namespace: "kv", Name: "n"}
	var done atomic.Int64
	var wg sync.WaitGroup
	for n := range 32 {
		s := a
		if n%2 == 1 {
			s = b
		}
		wg.Go(func() {
			for range 50 {
				_, err := s.KeyValueAtomic.Increment(t.Context(), k, 1, driver.Receipt{})
				switch {
				case err == nil:
					done.Add(1)
				case !errors.Is(err, prism.ReasonInternal): // NOSCRIPT again, before it was asked a second time
					t.Errorf("Increment: %v", err)
				}
			}
		})
	}
	stop := make(chan struct{})
	flushed := make(chan int)
	go func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				flushed <- n
				return
			default:
			}
			if err := raw(t, server).ScriptFlush(t.Context()).Err(); err != nil {
				t.Error(err)
			}
		}
	}()
	wg.Wait()
	close(stop)
	n := <-flushed
	e, _, err := a.KeyValue.Get(t.Context(), k)
	if err != nil || string(e.Value) != fmt.Sprint(done.Load()) {
		t.Errorf("counted %s of %d, %v; flushed %d times", e.Value, done.Load(), err, n)
	}
	if n == 0 || done.Load() == 0 {
		t.Errorf("flushed %d times, %d increments worked", n, done.Load())
	}
}

// A call ends at its own deadline, whoever it travels with, and a large one is
// nobody's company.
func TestCallsThatTravelTogetherKeepTheirDeadlines(t *testing.T) {
	t.Parallel()
	server := redistest.Seven().Start(t, "--appendonly", "no")
	s := open(t, server, "")
	k := prism.Key{Namespace: "kv", Name: "k"}
	if _, err := s.KeyValue.Set(t.Context(), k, []byte("v"), driver.SetOptions{}, driver.Receipt{}); err != nil {
		t.Fatal(err)
	}
	if err := raw(t, server).Do(t.Context(), "CLIENT", "PAUSE", 60_000, "ALL").Err(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	var wg sync.WaitGroup
	for n := range 32 {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(50+n)*time.Millisecond)
			defer cancel()
			var err error
			switch n % 3 {
			case 0:
				_, _, err = s.KeyValue.Get(ctx, k)
			case 1:
				value := []byte("w")
				_, err = s.KeyValue.Set(ctx, k, value, driver.SetOptions{}, driver.Receipt{})
				value[0] = 'x' // it is the caller's again, though it may still be sent
			default:
				_, err = s.KeyValue.Set(ctx, k, bytes.Repeat([]byte("w"), 100_000), driver.SetOptions{}, driver.Receipt{})
			}
			if !errors.Is(err, prism.ReasonDeadlineExceeded) {
				t.Errorf("call %d: %v", n, err)
			}
		})
	}
	wg.Wait()
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("they took %v, with deadlines of a tenth of a second", took)
	}
}
