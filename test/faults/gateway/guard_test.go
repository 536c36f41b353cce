package faults_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/prism-data-layer/prism/pkg/client"
	"github.com/prism-data-layer/prism/pkg/driver/redis/redistest"
	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	"github.com/prism-data-layer/prism/test/faults/powercut"
	"github.com/prism-data-layer/prism/test/harness"
)

// slack is by how much a quick run, on a machine that does other things too, may
// miss a figure of time.
func slack(d time.Duration) time.Duration {
	if powercut.Full() {
		return d
	}
	return 5 * d
}

// A calling takes note of calls.
type calling struct {
	mu     sync.Mutex
	ok     int
	failed int
	took   []time.Duration // of those that failed
	bad    []string        // ends that must not be
	last   time.Time       // an answer came
}

func (c *calling) note(begun time.Time, err error, expected bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		c.ok++
		c.last = time.Now()
	case expected:
		c.failed++
		c.took = append(c.took, time.Since(begun))
	default:
		c.bad = append(c.bad, err.Error())
	}
}

// refusals are how many calls failed, the 99th percentile of how long that took,
// and the longest, which is also what the machine had to do besides.
func (c *calling) refusals() (n int, p99, worst time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.took) == 0 {
		return 0, 0, 0
	}
	list := slices.Sorted(slices.Values(c.took))
	return len(list), list[len(list)*99/100], list[len(list)-1]
}

// F8: a server is stopped under 200 calls a second. Once the breaker is open
// callers are told within 50 ms, and nobody has to find out that it is back.
func TestFault_F8_BreakerWhileStopped(t *testing.T) {
	hold := 3 * time.Second
	if powercut.Full() {
		hold = 30 * time.Second
	}
	for _, row := range remoteRows() {
		t.Run(row.name, func(t *testing.T) {
			addr, s := row.start(t)
			straight := row // past the proxy: its connections are goroutines too
			straight.backend = func(string) string { return row.backend(addr) }
			stopped(t, newDistant(t, straight, addr, s, ""), hold)
		})
	}
}

func stopped(t *testing.T, r *distant, hold time.Duration) {
	report := powercut.Begin("F8-breaker-"+r.name, 0)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var all, open calling // open: while the breaker is
	var counting sync.Mutex
	now := &all
	var wg sync.WaitGroup
	wg.Go(func() {
		atRate(ctx, 5*time.Millisecond, func(n int) {
			counting.Lock()
			into := now
			counting.Unlock()
			begun := time.Now()
			err := r.try(r.write, n%100, 10*time.Second)
			into.note(begun, err, unavailable(err))
		})
	})
	into := func(c *calling) {
		counting.Lock()
		now = c
		counting.Unlock()
	}
	harness.Eventually(t, time.Minute, "calls are answered", func() bool { all.mu.Lock(); defer all.mu.Unlock(); return all.ok > 100 })
	goroutines := runtime.NumGoroutine()
	if err := r.server.Stop(); err != nil {
		t.Fatal(err)
	}
	report.More["red_ms"] = r.until("the backend is red", slack(5*time.Second), red).Milliseconds()
	into(&open)
	lasting(t, hold)
	refused, p99, worst := open.refusals()
	into(&all)
	if err := r.server.Start(); err != nil {
		t.Fatal(err)
	}
	returned := time.Now()
	harness.Eventually(t, slack(2*time.Second), "calls are answered again", func() bool { all.mu.Lock(); defer all.mu.Unlock(); return all.last.After(returned) })
	report.More["back_ms"] = time.Since(returned).Milliseconds()
	report.More["green_ms"] = r.until("the backend is green", slack(10*time.Second), green).Milliseconds()
	harness.Eventually(t, time.Minute, "what was begun has ended", func() bool { return runtime.NumGoroutine() <= goroutines+10 })
	stop()
	wg.Wait()
	report.Rounds, report.Acked = 1, int64(all.ok)
	report.More["refused_while_open"] = refused
	report.More["refusal_p99_us_while_open"], report.More["slowest_refusal_us_while_open"] = p99.Microseconds(), worst.Microseconds()
	report.Print()
	if refused == 0 || open.ok > 0 {
		t.Errorf("while the breaker was open %d calls were refused and %d answered", refused, open.ok)
	}
	if p99 > slack(50*time.Millisecond) {
		t.Errorf("calls were refused after %v", p99)
	}
	if bad := slices.Concat(all.bad, open.bad); len(bad) > 0 {
		t.Errorf("%d calls ended otherwise than UNAVAILABLE with a wait, the first with %s", len(bad), bad[0])
	}
}

// hurried are calls with a short deadline on a server that is slow.
type hurried struct {
	mu         sync.Mutex
	late, busy []time.Duration // past the deadline; until the refusal
	bad        []string
}

// run makes them one after the other, until ctx ends.
func (h *hurried) run(ctx context.Context, r *distant, deadline time.Duration) {
	for ctx.Err() == nil {
		begun := time.Now()
		err := r.try(r.read, 0, deadline)
		took := time.Since(begun)
		h.mu.Lock()
		switch harness.Read(err).Code() {
		case codes.DeadlineExceeded:
			h.late = append(h.late, took-deadline)
		case codes.ResourceExhausted:
			h.busy = append(h.busy, took)
		case codes.Unavailable: // the breaker, by its probes
		default:
			h.bad = append(h.bad, fmt.Sprint(err))
		}
		h.mu.Unlock()
		if took < 50*time.Millisecond { // as one who obeys RetryInfo
			lasting(r.t, 50*time.Millisecond)
		}
	}
}

// beside is the 99th percentile of calls on the store in memory.
func (r *distant) beside() time.Duration {
	r.t.Helper()
	kv, took := kvv1.NewKeyValueServiceClient(r.conn), []time.Duration(nil)
	for range 500 {
		begun := time.Now()
		if _, err := kv.Set(harness.Context(r.t), &kvv1.SetRequest{Namespace: "mem", Key: "k"}); err != nil {
			r.t.Fatalf("the store beside it: %v", err)
		}
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	return took[len(took)*99/100]
}

// F9: what a server says comes five seconds late. Callers get their deadline, no
// more calls are under way than may be, and the store beside does not notice.
func TestFault_F9_LateAnswers(t *testing.T) {
	for _, row := range remoteRows() {
		t.Run(row.name, func(t *testing.T) {
			addr, s := row.start(t)
			late(t, newDistant(t, row, addr, s, ", guard: {max_in_flight: 20}"))
		})
	}
}

func late(t *testing.T, r *distant) {
	const deadline, most = 400 * time.Millisecond, 20
	report := powercut.Begin("F9-late-"+r.name, 0)
	before := r.beside()
	r.proxy.set(fault{delay: 5 * time.Second})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var h hurried
	var inFlight int64
	var wg sync.WaitGroup
	for range 2 * most {
		wg.Go(func() { h.run(ctx, r, deadline) })
	}
	harness.Eventually(t, time.Minute, "calls are late, and others are refused", func() bool {
		inFlight = max(inFlight, r.status().InFlight)
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.late) >= most && len(h.busy) >= most
	})
	during := r.beside()
	stop()
	wg.Wait()
	r.proxy.set(fault{})
	slices.Sort(h.late)
	median, latest := h.late[len(h.late)/2], h.late[len(h.late)-1]
	report.Rounds = len(h.late) + len(h.busy)
	report.More["in_flight_most"], report.More["refused"] = inFlight, len(h.busy)
	report.More["ms_past_deadline_median"], report.More["ms_past_deadline_latest"] = median.Milliseconds(), latest.Milliseconds()
	report.More["beside_p99_us"], report.More["beside_p99_us_during"] = before.Microseconds(), during.Microseconds()
	report.More["green_ms"] = r.until("the backend is green", time.Minute, green).Milliseconds()
	report.Print()
	if inFlight > most || len(h.bad) > 0 {
		t.Errorf("%d calls were under way, of %d that may be; wrong ends: %q", inFlight, most, h.bad)
	}
	if median.Abs() > slack(50*time.Millisecond) {
		t.Errorf("callers got their deadline %v late", median)
	}
	if powercut.Full() && during > 3*before+10*time.Millisecond {
		t.Errorf("the store beside it took %v, and %v before", during, before)
	}
}

// F10: a server that comes and goes. The breaker opens, and what the backend sees
// of callers that try again is little more than without a fault.
func TestFault_F10_Flapping(t *testing.T) {
	cycles := 6
	if powercut.Full() {
		cycles = 60
	}
	eachRemote(t, func(t *testing.T, r *distant) {
		report := powercut.Begin("F10-"+r.name, 0)
		c, err := client.Dial(r.gateway.Addr("data"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var all calling
		calls := 0
		var wg sync.WaitGroup
		before := r.attempts.Load()
		wg.Go(func() {
			atRate(ctx, 5*time.Millisecond, func(n int) {
				all.mu.Lock()
				calls++
				all.mu.Unlock()
				one, cancel := context.WithTimeout(context.Background(), 2*time.Second)
				defer cancel()
				begun := time.Now()
				err := r.send(one, c, n%100)
				all.note(begun, err, errors.Is(err, prism.ReasonBackendUnavailable) || errors.Is(err, prism.ReasonDeadlineExceeded))
			})
		})
		for range cycles {
			lasting(t, time.Second)
			r.proxy.set(fault{down: true})
			lasting(t, time.Second)
			r.proxy.set(fault{})
		}
		report.More["green_ms"] = r.until("the backend is green", slack(10*time.Second), green).Milliseconds()
		stop()
		wg.Wait()
		seen, opened := r.attempts.Load()-before, r.status().BreakerOpened
		report.Rounds, report.Acked = cycles, int64(all.ok)
		report.More["sent_again"] = c.Stats().Retries.Load()
		report.More["calls"], report.More["attempts_seen"], report.More["breaker_opened"] = calls, seen, opened
		report.Print()
		if float64(seen) > 1.2*float64(calls) {
			t.Errorf("the backend saw %d attempts of %d calls", seen, calls)
		}
		if opened == 0 || all.ok == 0 || len(all.bad) > 0 {
			t.Errorf("the breaker opened %d times, %d calls were answered, and %d ended wrongly: %q", opened, all.ok, len(all.bad), all.bad[:min(len(all.bad), 1)])
		}
	})
}

// F12: packets to a server are dropped, and nobody is told.
func TestFault_F12_HalfOpen(t *testing.T) {
	eachRemote(t, func(t *testing.T, r *distant) {
		r.halfOpen("F12-"+r.name, func(cut bool) { r.proxy.set(fault{held: cut}) })
	})
}

// F12 as a network does it: the server is in a network of its own, where the
// system drops the packets.
func TestFault_F12_DroppedPackets(t *testing.T) {
	n := startNetwork(t)
	server, err := redistest.Run(n.program(t, redistest.Seven()), "--bind", n.addr, "--port", "6379", "--protected-mode", "no")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	row := remoteRows()[0]
	backend, addr := row.backend, net.JoinHostPort(n.addr, "6379")
	row.backend = func(string) string { return backend(addr) } // past the proxy
	newDistant(t, row, addr, server, "").halfOpen("F12-netns-"+row.name, n.drop)
}

// halfOpen cuts the server off, idle and under calls.
func (r *distant) halfOpen(id string, cut func(bool)) {
	t := r.t
	report := powercut.Begin(id, 0)
	fill := func() error { // the pool
		var wg sync.WaitGroup
		errs := make([]error, 30)
		for n := range errs {
			wg.Go(func() { errs[n] = r.try(r.write, n, 10*time.Second) })
		}
		wg.Wait()
		for _, err := range errs {
			if err != nil {
				return err
			}
		}
		return nil
	}
	if err := fill(); err != nil {
		t.Fatal(err)
	}
	for _, calling := range []bool{false, true} {
		cut(true)
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		if calling {
			for range 8 {
				wg.Go(func() {
					for ctx.Err() == nil {
						if err := r.try(r.read, 1, 10*time.Second); err != nil && !unavailable(err) {
							t.Errorf("a call ended with %v", err)
						}
					}
				})
			}
		}
		word := map[bool]string{false: "idle", true: "under_calls"}[calling]
		report.More["detected_ms_"+word] = r.until("the backend is red, "+word, slack(10*time.Second), red).Milliseconds()
		stop()
		wg.Wait()
		cut(false)
		report.More["green_ms_"+word] = r.until("the backend is green, "+word, slack(10*time.Second), green).Milliseconds()
		harness.Eventually(t, slack(10*time.Second), "the pool is full again", func() bool { return fill() == nil })
		report.Rounds++
	}
	report.Print()
}

// F13: a server that is started again without its data, and with settings that
// keep less. The gateway says at any time what acked means.
func TestFault_F13_RestartWithLoss(t *testing.T) {
	eachRemote(t, func(t *testing.T, r *distant) {
		bare, _ := r.bare(t)
		report := powercut.Begin("F13-"+r.name, 0)
		acked := 0
		for n := range 50 {
			if r.try(r.write, n, 5*time.Second) == nil {
				acked++
			}
		}
		r.until("the gateway says what acked means", slack(10*time.Second), func(b *adminv1.Backend) bool {
			return b.Durable == r.durable && strings.Contains(b.Durability, r.says)
		})
		if err := r.server.Kill(); err != nil {
			t.Fatal(err)
		}
		r.proxy.point(bare)
		told := r.until("the gateway says what it means now", slack(10*time.Second), func(b *adminv1.Backend) bool {
			if b.Durable && !r.durable {
				t.Errorf("a server that does not fsync is told as durable: %s", b.Durability)
			}
			return !b.Durable && strings.Contains(b.Durability, r.bareSays) && green(b)
		})
		if r.says != r.bareSays {
			report.More["told_ms"] = told.Milliseconds()
		}
		harness.Eventually(t, slack(2*time.Second), "calls are answered again", func() bool { return r.try(r.write, 1000, 5*time.Second) == nil })
		lost := 0
		for n := range 50 {
			switch err := r.try(r.read, n, 5*time.Second); {
			case errors.Is(err, errNothing):
				lost++
			default:
				t.Errorf("a read of what is lost ended with %v", err)
			}
		}
		report.Rounds, report.Acked = 1, int64(acked)
		report.More["lost_with_the_server"] = lost
		report.Print()
	})
}

// Connections are reset in the middle of answers: no answer is ever given to
// another request.
func TestFault_F12_AnswersAreNotMixedUp(t *testing.T) {
	rounds := 40
	if powercut.Full() {
		rounds = 1000
	}
	eachRemote(t, func(t *testing.T, r *distant) {
		const keys = 64
		rounds := rounds
		if r.model == "timeseries" { // each write is a part on the server's disk
			rounds = min(rounds, 200)
		}
		report := powercut.Begin("F12-answers-"+r.name, 0)
		for n := range keys {
			harness.Eventually(t, time.Minute, "it is written", func() bool { return r.try(r.write, n, 10*time.Second) == nil })
		}
		r.proxy.set(fault{resets: true})
		var all calling
		var wg sync.WaitGroup
		for n := range keys {
			wg.Go(func() {
				for round := range rounds {
					call := r.read
					if round%8 == 0 {
						call = r.write
					}
					begun := time.Now()
					err := r.try(call, n, 10*time.Second)
					// More callers than connections: an overload is an answer too.
					all.note(begun, err, unavailable(err) || harness.Read(err).Code() == codes.ResourceExhausted)
					if err != nil {
						lasting(t, 50*time.Millisecond) // as one who is told to wait
					}
				}
			})
		}
		wg.Wait()
		r.proxy.set(fault{})
		r.until("the backend is green", slack(10*time.Second), green)
		for n := range keys {
			if err := r.try(r.read, n, 10*time.Second); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		}
		report.Rounds, report.Acked = rounds, int64(all.ok)
		report.More["answered"], report.More["refused"] = all.ok, all.failed
		report.Print()
		if len(all.bad) > 0 {
			t.Errorf("%d calls ended wrongly, the first with %s", len(all.bad), all.bad[0])
		}
		if all.ok == 0 || all.failed == 0 {
			t.Errorf("%d calls were answered and %d refused: nothing was tried", all.ok, all.failed)
		}
	})
}
