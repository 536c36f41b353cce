package loadtest_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prism-data-layer/prism/loadtest"
	"github.com/prism-data-layer/prism/loadtest/pace"
	"github.com/prism-data-layer/prism/loadtest/report"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A fake is a workload of one or two operations whose answers a test scripts.
// In a synctest bubble time stands still while code runs, so that every figure
// is exact.
type fake struct {
	ops      []string
	do       func(ctx context.Context, n uint64) loadtest.Outcome
	prepare  func(context.Context) error
	attempts func() report.Attempts
}

func (f *fake) Name() string { return "fake" }

func (f *fake) Operations() []string {
	if f.ops != nil {
		return f.ops
	}
	return []string{"op"}
}

func (f *fake) Options() map[string]string { return map[string]string{"kind": "fake"} }

func (f *fake) Do(ctx context.Context, n uint64) loadtest.Outcome { return f.do(ctx, n) }

func (f *fake) Prepare(ctx context.Context) error {
	if f.prepare == nil {
		return nil
	}
	return f.prepare(ctx)
}

func (f *fake) Attempts() (report.Attempts, bool) {
	if f.attempts == nil {
		return report.Attempts{}, false
	}
	return f.attempts(), true
}

// takes answers after d, or with ctx's error.
func takes(d time.Duration) func(context.Context, uint64) loadtest.Outcome {
	return func(ctx context.Context, _ uint64) loadtest.Outcome {
		return loadtest.Outcome{Err: pause(ctx, d)}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func constant(t *testing.T, rate float64, d time.Duration) pace.Schedule {
	t.Helper()
	s, err := pace.Constant(rate, d)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func run(t *testing.T, p loadtest.Plan, w loadtest.Workload) *report.Report {
	t.Helper()
	r, err := loadtest.Run(t.Context(), p, w)
	if err != nil {
		t.Fatal(err)
	}
	checkSums(t, r)
	return r
}

// checkSums holds for every run: no request is lost between the counters.
func checkSums(t *testing.T, r *report.Report) {
	t.Helper()
	q := r.Requests
	if q.Scheduled != q.Started+q.Dropped || q.Started != q.OK+q.Failed+q.Unfinished {
		t.Errorf("the counts do not add up: %+v", q)
	}
	if uint64(r.Response.Count) != q.Finished() || uint64(r.Service.Count) != q.Finished() {
		t.Errorf("%d response and %d service times for %d answers", r.Response.Count, r.Service.Count, q.Finished())
	}
	var ok, failed, points, kinds uint64
	for _, o := range r.Operations {
		ok, failed = ok+o.OK, failed+o.Failed
	}
	for _, p := range r.Timeline {
		points += p.OK + p.Failed
	}
	for _, e := range r.Errors {
		kinds += e.Count
	}
	if ok != q.OK || failed != q.Failed || points != q.Finished() || kinds != q.Failed {
		t.Errorf("operations have %d+%d, the timeline %d, the error table %d; want %d+%d", ok, failed, points, kinds, q.OK, q.Failed)
	}
}

func verdicts(r *report.Report) string {
	var codes []string
	for _, v := range r.Verdicts {
		codes = append(codes, v.Code+":"+string(v.Severity))
	}
	return strings.Join(codes, " ")
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.Abs(got-want) > tolerance*want {
		t.Errorf("%s is %g, want %g to within %g %%", what, got, want, tolerance*100)
	}
}

func TestAnEvenServerIsMeasuredExactly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, loadtest.Plan{Schedule: constant(t, 1000, 3*time.Second)}, &fake{do: takes(5 * time.Millisecond)})
		if r.Requests.OK != 3000 || r.Requests.Late != 0 || r.Requests.Dropped != 0 || r.TargetRPS != 1000 {
			t.Errorf("got %+v at %g/s; want 3,000 ok at 1,000/s", r.Requests, r.TargetRPS)
		}
		near(t, "p50", r.Response.P50Ms, 5, 0.001)
		near(t, "p99.99", r.Response.P9999Ms, 5, 0.001)
		near(t, "achieved rate", r.AchievedRPS, 1000, 1e-9)
		if r.Generator.Lag.MaxMs != 0 || r.Generator.PeakInFlight < 5 || r.Generator.PeakInFlight > 6 {
			t.Errorf("lag at most %g ms, %d in flight; want 0, 5 or 6", r.Generator.Lag.MaxMs, r.Generator.PeakInFlight)
		}
		if v := verdicts(r); v != "" || r.ExitCode() != report.ExitOK || !r.Pass() {
			t.Errorf("verdicts %q, exit %d; want none, 0", v, r.ExitCode())
		}
	})
}

// stalls is a server that does nothing for the first 200 ms of every second.
func stalls(ctx context.Context, _ uint64) loadtest.Outcome {
	into := time.Duration(time.Now().UnixNano()) % time.Second
	return loadtest.Outcome{Err: pause(ctx, 200*time.Millisecond-into)}
}

// The analytic value: a fifth of the requests wait 200 ms less the time they
// came into the stall, so 1 % of all wait more than 200·(1 - 0.01/0.2) = 190 ms
// and 0.1 % more than 199 ms.
func TestAStallIsSeenByEveryRequestThatWasDueInIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, loadtest.Plan{Schedule: constant(t, 2000, 5*time.Second)}, &fake{do: stalls})
		near(t, "response p99", r.Response.P99Ms, 190, 0.01)
		near(t, "response p99.9", r.Response.P999Ms, 199, 0.01)
		near(t, "response p90", r.Response.P90Ms, 100, 0.01)
		if r.Response.P75Ms != 0 || r.Requests.OK != 10_000 {
			t.Errorf("p75 %g ms of %d; want 0 of 10,000", r.Response.P75Ms, r.Requests.OK)
		}
		near(t, "max", r.Response.MaxMs, 200, 0.001)
	})
}

// With one slot the sends stop in a stall and the service time sees one slow
// request a second, as every closed loop does. The response time must not move.
func TestResponseTimeIsTheSameWhateverTheSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, loadtest.Plan{Schedule: constant(t, 2000, 5*time.Second), MaxInFlight: 1}, &fake{do: stalls})
		near(t, "response p99", r.Response.P99Ms, 190, 0.01)
		if r.Service.P99Ms != 0 {
			t.Errorf("service p99 is %g ms with one slot; want 0", r.Service.P99Ms)
		}
		near(t, "requests that waited", float64(r.Requests.Waited), 1995, 0.01)
		if r.Requests.Late == 0 || r.Requests.Dropped != 0 {
			t.Errorf("%d late, %d dropped; want some, none", r.Requests.Late, r.Requests.Dropped)
		}
		if v := verdicts(r); v != "saturated:warn" {
			t.Errorf("verdicts %q; want saturated", v)
		}
	})
}

func TestAClosedLoopMissesTheStallAndSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &fake{do: func(ctx context.Context, n uint64) loadtest.Outcome {
			if o := stalls(ctx, n); o.Err != nil {
				return o
			}
			return loadtest.Outcome{Err: pause(ctx, time.Millisecond)}
		}}
		r := run(t, loadtest.Plan{Closed: 4, Duration: 2 * time.Second, WarmUp: time.Second}, w)
		if r.Plan.Model != report.Closed || r.Plan.Workers != 4 || r.Response.P99Ms > 2 {
			t.Errorf("%s loop of %d, p99 %g ms; want a closed one of 4 that does not see the stall", r.Plan.Model, r.Plan.Workers, r.Response.P99Ms)
		}
		near(t, "throughput", r.ThroughputRPS, 4*800, 0.01)
		if v := verdicts(r); v != "closed-loop:note" || r.ExitCode() != report.ExitOK {
			t.Errorf("verdicts %q, exit %d; want a note, 0", v, r.ExitCode())
		}
	})
}

func TestTheWarmUpIsInNoFigure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &fake{do: func(ctx context.Context, n uint64) loadtest.Outcome {
			if n < 500 { // all of the warm-up
				return loadtest.Outcome{Err: errors.Join(pause(ctx, 300*time.Millisecond), errors.New("cold"))}
			}
			return loadtest.Outcome{Err: pause(ctx, time.Millisecond), ReceivedBytes: 10, SentBytes: 3}
		}}
		r := run(t, loadtest.Plan{Schedule: constant(t, 500, time.Second), WarmUp: time.Second}, w)
		near(t, "max", r.Response.MaxMs, 1, 0.001)
		if r.Requests.OK != 500 || r.Requests.Failed != 0 || len(r.Errors) != 0 || r.WarmUp.Failed != 500 || r.WarmUp.DurationS != 1 {
			t.Errorf("%d ok, %d failed, warm-up %+v; want 500, 0, and 500 failed in the warm-up", r.Requests.OK, r.Requests.Failed, r.WarmUp)
		}
		if r.DurationS != 1 || r.ElapsedS < 2 || r.Requests.ReceivedBytes != 5000 || r.Requests.SentBytes != 1500 {
			t.Errorf("measured %gs of %gs, %d bytes in, %d out; want 1 of 2, 5,000, 1,500", r.DurationS, r.ElapsedS, r.Requests.ReceivedBytes, r.Requests.SentBytes)
		}
	})
}

func TestAttemptsAreCountedApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var attempts, retries atomic.Uint64
		w := &fake{
			do: func(ctx context.Context, n uint64) loadtest.Outcome {
				attempts.Add(2)
				retries.Add(1)
				return loadtest.Outcome{}
			},
			attempts: func() report.Attempts { return report.Attempts{Attempts: attempts.Load(), Retries: retries.Load()} },
		}
		// The warm-up's attempts are not the measurement's.
		r := run(t, loadtest.Plan{Schedule: constant(t, 100, time.Second), WarmUp: time.Second}, w)
		if a := r.Attempts; a == nil || a.Attempts < 196 || a.Attempts > 200 || a.Retries*2 != a.Attempts {
			t.Errorf("attempts %+v; want some 200 with 100 retries", a)
		}
		if v := verdicts(r); v != "retried:note" {
			t.Errorf("verdicts %q; want a note on the retries", v)
		}
	})
}

func TestWhatFindsNoSlotIsDroppedAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Two slots of 100 ms answer 20 a second; 100 a second come.
		p := loadtest.Plan{Schedule: constant(t, 100, 2*time.Second), MaxInFlight: 2, MaxBacklog: 8}
		r := run(t, p, &fake{do: takes(100 * time.Millisecond)})
		if r.Requests.Scheduled != 200 || r.Generator.PeakInFlight != 2 || r.Generator.PeakBacklog != 8 {
			t.Errorf("%d scheduled, peaks %d and %d; want 200, 2, 8", r.Requests.Scheduled, r.Generator.PeakInFlight, r.Generator.PeakBacklog)
		}
		near(t, "started", float64(r.Requests.Started), 48, 0.05)
		near(t, "throughput", r.ThroughputRPS, 20, 0.05)
		// A request waits for at most ten slots' worth and its own.
		if r.Response.MaxMs < 400 || r.Response.MaxMs > 601 {
			t.Errorf("response at most %g ms; want 400 to 600", r.Response.MaxMs)
		}
		if v := verdicts(r); v != "shortfall:fail dropped:warn saturated:warn" || r.ExitCode() != report.ExitFailed {
			t.Errorf("verdicts %q, exit %d; want shortfall, dropped, saturated, and 1", v, r.ExitCode())
		}
		p.AllowShortfall = true
		if r = run(t, p, &fake{do: takes(100 * time.Millisecond)}); r.ExitCode() != report.ExitOK {
			t.Errorf("exit %d with the shortfall allowed; want 0", r.ExitCode())
		}
	})
}

func TestNoAnswerIsAFailureAndALatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &fake{do: func(ctx context.Context, n uint64) loadtest.Outcome {
			if n%10 == 0 {
				return loadtest.Outcome{Err: pause(ctx, time.Hour)}
			}
			return loadtest.Outcome{}
		}}
		p := loadtest.Plan{Schedule: constant(t, 100, time.Second), Timeout: -1, Grace: 2 * time.Second}
		r := run(t, p, w)
		if r.Requests.Failed != 10 || r.Requests.Unfinished != 0 || r.Aborted {
			t.Fatalf("got %+v, aborted %v; want 10 failed", r.Requests, r.Aborted)
		}
		if e := r.Errors[0]; e.Reason != "DEADLINE_EXCEEDED" || e.Count != 10 || !strings.Contains(e.Message, "grace of 2s") {
			t.Errorf("error table %+v; want the grace named", r.Errors)
		}
		near(t, "max", r.Response.MaxMs, 3000, 0.001)

		p.Timeout = 50 * time.Millisecond
		r = run(t, p, w)
		near(t, "max with a timeout", r.Response.MaxMs, 50, 0.001)
		if e := r.Errors[0]; e.Message != "the deadline passed" || e.Code != "PRISM-50401" || e.Status != "DEADLINE_EXCEEDED" {
			t.Errorf("error table %+v; want the timeout", r.Errors)
		}
		if o := r.Operations[0]; o.FailedService == nil || o.FailedService.Count != 10 || o.ErrorPct != 10 {
			t.Errorf("operation %+v; want the ten failures apart too", o)
		}
	})
}

func TestCtrlCReportsWhatRan(t *testing.T) {
	for _, c := range []struct {
		name string
		at   time.Duration
		plan loadtest.Plan
	}{
		{"open", 1500 * time.Millisecond, loadtest.Plan{}},
		{"closed", 1500 * time.Millisecond, loadtest.Plan{Closed: 10, Duration: time.Minute}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(c.at, cancel)
				if c.plan.Closed == 0 {
					c.plan.Schedule = constant(t, 100, time.Minute)
				}
				w := &fake{do: func(ctx context.Context, n uint64) loadtest.Outcome {
					if n%50 == 49 {
						return loadtest.Outcome{Err: pause(ctx, time.Hour)} // some never end
					}
					return loadtest.Outcome{Err: pause(ctx, 100*time.Millisecond)}
				}}
				c.plan.Timeout = -1
				begun := time.Now()
				r, err := loadtest.Run(ctx, c.plan, w)
				if err != nil {
					t.Fatal(err)
				}
				checkSums(t, r)
				if took := time.Since(begun) - c.at; took > 500*time.Millisecond {
					t.Errorf("ended %s after Ctrl-C, want within 500ms", took)
				}
				if !r.Aborted || r.AbortReason != report.Interrupted || r.ExitCode() != report.ExitInterrupted {
					t.Errorf("aborted %v (%s), exit %d; want interrupted, 130", r.Aborted, r.AbortReason, r.ExitCode())
				}
				near(t, "measured time", r.DurationS, c.at.Seconds(), 0.02)
				// What the abort cut off did not fail.
				if r.Requests.OK < 100 || r.Requests.Unfinished == 0 || r.Requests.Failed != 0 {
					t.Errorf("got %+v; want more than 100 ok, some unfinished, none failed", r.Requests)
				}
				if r.AchievedPct < 99 {
					t.Errorf("achieved %g %% of what was due; want all", r.AchievedPct)
				}
			})
		})
	}
}

func TestCtrlCWhileTheLastAnswersAreAwaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(1100*time.Millisecond, cancel)
		r, err := loadtest.Run(ctx, loadtest.Plan{Schedule: constant(t, 10, time.Second), Grace: time.Minute, Timeout: -1}, &fake{do: takes(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		if !r.Aborted || r.Requests.Unfinished != 10 || r.ElapsedS > 2 {
			t.Errorf("aborted %v, %d unfinished after %gs; want 10 within 2s", r.Aborted, r.Requests.Unfinished, r.ElapsedS)
		}
		if v := verdicts(r); v != "aborted:warn nothing-finished:fail" {
			t.Errorf("verdicts %q", v)
		}
	})
}

func TestARequestThatIgnoresItsContextDoesNotHangTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		w := &fake{do: func(_ context.Context, n uint64) loadtest.Outcome {
			if n == 3 {
				<-release
			}
			return loadtest.Outcome{}
		}}
		r := run(t, loadtest.Plan{Schedule: constant(t, 10, time.Second), Grace: time.Second}, w)
		close(release)
		synctest.Wait()
		if r.Generator.Stuck != 1 || r.Requests.Unfinished != 1 || r.Requests.OK != 9 || r.ElapsedS > 3 {
			t.Errorf("stuck %d, %+v after %gs; want one, within 3s", r.Generator.Stuck, r.Requests, r.ElapsedS)
		}
		if v := verdicts(r); v != "stuck:warn" {
			t.Errorf("verdicts %q; want stuck", v)
		}
	})
}

func TestTooManyErrorsEndTheRunAsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &fake{do: func(_ context.Context, n uint64) loadtest.Outcome {
			if n == 5 {
				return loadtest.Outcome{}
			}
			return loadtest.Outcome{Err: (&prism.Error{Reason: prism.ReasonBackendUnavailable, Message: "backend down", TraceID: "4bf9"})}
		}}
		r := run(t, loadtest.Plan{Schedule: constant(t, 100, time.Minute), MaxErrors: 50}, w)
		if !r.Aborted || r.AbortReason != "50 errors" || r.ExitCode() != report.ExitFailed || r.Requests.Failed != 50 {
			t.Errorf("aborted %v (%s), exit %d, %d failed; want 50 errors, 1", r.Aborted, r.AbortReason, r.ExitCode(), r.Requests.Failed)
		}
		e := r.Errors[0]
		want := report.Error{Operation: "op", Reason: "BACKEND_UNAVAILABLE", Code: "PRISM-60001", Status: "UNAVAILABLE", Message: "backend down", Count: 50, TraceID: "4bf9"}
		if len(r.Errors) != 1 || e != want {
			t.Errorf("error table %+v; want %+v", r.Errors, want)
		}
	})
}

func TestMaxRequestsEndTheRunEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, loadtest.Plan{Schedule: constant(t, 100, time.Minute), MaxRequests: 150}, &fake{do: takes(time.Millisecond)})
		if r.Aborted || r.Requests.OK != 150 || r.DurationS != 1.5 || r.TargetRPS != 100 {
			t.Errorf("aborted %v, %d ok in %gs at %g/s; want 150 in 1.5s at 100/s", r.Aborted, r.Requests.OK, r.DurationS, r.TargetRPS)
		}
		r = run(t, loadtest.Plan{Closed: 3, Duration: time.Minute, MaxRequests: 150}, &fake{do: takes(10 * time.Millisecond)})
		if r.Aborted || r.Requests.OK != 150 || r.DurationS > 0.6 {
			t.Errorf("closed: aborted %v, %d ok in %gs; want 150 in 0.5s", r.Aborted, r.Requests.OK, r.DurationS)
		}
	})
}

func TestErrorsAreGroupedByFirstLineAndTheTableIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &fake{ops: []string{"a", "b"}, do: func(_ context.Context, n uint64) loadtest.Outcome {
			switch {
			case n < 60:
				return loadtest.Outcome{Err: errors.New("first line\nsecond \x1b[31mline")}
			case n < 160:
				return loadtest.Outcome{Err: fmt.Errorf("key %d is odd", n)}
			case n < 170:
				return loadtest.Outcome{Operation: 1, Err: fmt.Errorf("call: %w", prism.ReasonRateLimited)}
			}
			return loadtest.Outcome{Operation: 1}
		}}
		r := run(t, loadtest.Plan{Schedule: constant(t, 200, time.Second)}, w)
		if len(r.Errors) > 12 || r.Errors[0].Message != "(other messages)" || r.Errors[1].Message != "first line" || r.Errors[1].Count != 60 {
			t.Errorf("error table of %d: %+v", len(r.Errors), r.Errors)
		}
		if e := r.Errors[2]; e.Operation != "b" || e.Reason != "RATE_LIMITED" || e.Count != 10 {
			t.Errorf("third row %+v; want 10 times RATE_LIMITED of b", e)
		}
		if r.Requests.ErrorPct != 85 || r.Operations[0].SharePct != 80 || r.Operations[1].SharePct != 20 {
			t.Errorf("errors %g %%, shares %g and %g; want 85, 80, 20", r.Requests.ErrorPct, r.Operations[0].SharePct, r.Operations[1].SharePct)
		}
	})
}

func TestProgressIsSeenFourTimesASecondAndEndsWithDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []report.Snapshot
		p := loadtest.Plan{
			Schedule: constant(t, 1000, 2*time.Second), WarmUp: 600 * time.Millisecond,
			Progress: func(s report.Snapshot) { seen = append(seen, s) },
		}
		r := run(t, p, &fake{do: takes(10 * time.Millisecond), prepare: func(context.Context) error { time.Sleep(time.Second); return nil }})
		if r.WarmUp.PreparedS != 1 {
			t.Errorf("prepared in %gs, want 1", r.WarmUp.PreparedS)
		}
		var phases []string
		for i, s := range seen {
			if i == 0 || seen[i-1].Phase != s.Phase {
				phases = append(phases, string(s.Phase))
			}
		}
		if got := strings.Join(phases, " "); got != "preparing warm-up running draining done" && got != "preparing warm-up running done" {
			t.Errorf("phases: %s", got)
		}
		if n := len(seen); n < 10 || n > 14 {
			t.Errorf("%d snapshots in 2.6s; want some 12", n)
		}
		middle, last := seen[len(seen)/2], seen[len(seen)-1]
		near(t, "rate in the middle", middle.RecentRPS, 1000, 0.05)
		if middle.TargetRPS != 1000 || middle.InFlight < 9 || middle.InFlight > 11 || middle.Recent.Max != 10*time.Millisecond || middle.Remaining <= 0 {
			t.Errorf("in the middle: %+v", middle)
		}
		if o := last.Operations[0]; o.Name != "op" || o.OK != 2000 || o.Total.Max != 10*time.Millisecond || last.Load != "open loop, constant 1000/s" || last.Length != 2*time.Second {
			t.Errorf("at the end: %+v", last)
		}
		if last.OK != 2000 || last.Total.Max != 10*time.Millisecond || last.InFlight != 0 {
			t.Errorf("at the end: %+v", last)
		}
		if n := len(r.Timeline); n < 20 || n > 21 || r.Timeline[0].AtS != 0.1 || r.Timeline[0].TargetRPS != 1000 {
			t.Errorf("timeline %+v; want a point each 100 ms", r.Timeline)
		}
	})
}

func TestTwoRunsOfOneSeedAskTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ask := func() map[uint64]int {
			var mu sync.Mutex
			asked := make(map[uint64]int)
			run(t, loadtest.Plan{Schedule: constant(t, 500, time.Second)}, &fake{do: func(_ context.Context, n uint64) loadtest.Outcome {
				mu.Lock()
				defer mu.Unlock()
				asked[n]++
				return loadtest.Outcome{}
			}})
			return asked
		}
		first := ask()
		for n := range uint64(500) {
			if first[n] != 1 {
				t.Fatalf("request %d was made %d times; want once", n, first[n])
			}
		}
		if second := ask(); len(second) != len(first) {
			t.Errorf("%d requests, then %d", len(first), len(second))
		}
	})
}

func TestThresholdsDecideTheExitCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept, _ := report.ParseThresholds("p99<20ms,error_rate<0.1%,rps>=99")
		broken, _ := report.ParseThresholds("p99<20ms,op:p50<1ms")
		p := loadtest.Plan{Schedule: constant(t, 100, time.Second), Thresholds: kept}
		if r := run(t, p, &fake{do: takes(5 * time.Millisecond)}); r.ExitCode() != report.ExitOK || len(r.Thresholds) != 3 {
			t.Errorf("exit %d, %+v; want 0", r.ExitCode(), r.Thresholds)
		}
		p.Thresholds = broken
		r := run(t, p, &fake{do: takes(5 * time.Millisecond)})
		if r.ExitCode() != report.ExitThreshold || !r.Thresholds[0].Pass || r.Thresholds[1].Pass {
			t.Errorf("exit %d, %+v; want 99 because of the second", r.ExitCode(), r.Thresholds)
		}
	})
}

// One request that hangs into the grace must not halve the throughput, and
// answers after the end must not raise it.
func TestThroughputIsOfTheAnswersInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &fake{do: func(ctx context.Context, n uint64) loadtest.Outcome {
			if n == 50 {
				return loadtest.Outcome{Err: pause(ctx, 3*time.Second)}
			}
			return loadtest.Outcome{Err: pause(ctx, time.Millisecond)}
		}}
		r := run(t, loadtest.Plan{Schedule: constant(t, 100, time.Second)}, w)
		if r.ThroughputRPS != 99 || r.Operations[0].ThroughputRPS != 99 || r.AchievedRPS != 100 || r.Requests.OK != 100 {
			t.Errorf("%g/s answered, %g/s started, %d ok; want 99, 100, 100", r.ThroughputRPS, r.AchievedRPS, r.Requests.OK)
		}
	})
}

func TestWrongPlansAreRefusedBeforeAnythingRuns(t *testing.T) {
	t.Parallel()
	good := constant(t, 10, time.Second)
	unknown, _ := report.ParseThresholds("scan:p99<1ms")
	for field, p := range map[string]loadtest.Plan{
		"rate":          {},
		"closed":        {Closed: -1},
		"duration":      {Closed: 1},
		"warm_up":       {Schedule: good, WarmUp: -1},
		"max_in_flight": {Schedule: good, MaxInFlight: -1},
		"max_backlog":   {Schedule: good, MaxBacklog: -1},
		"grace":         {Schedule: good, Grace: -1},
		"threshold":     {Schedule: good, Thresholds: unknown},
	} {
		_, err := loadtest.Run(t.Context(), p, &fake{})
		var e *prism.Error
		if !errors.As(err, &e) || len(e.Fields) != 1 || e.Fields[0].Field != field {
			t.Errorf("%s: got %v", field, err)
		}
	}
	if _, err := loadtest.Run(t.Context(), loadtest.Plan{Schedule: good, Closed: 1, Duration: 1}, &fake{}); err == nil {
		t.Error("a rate and a closed loop at once were accepted")
	}
	w := &fake{prepare: func(context.Context) error { return prism.ReasonDiskFull }}
	if _, err := loadtest.Run(t.Context(), loadtest.Plan{Schedule: good}, w); !errors.Is(err, prism.ReasonDiskFull) {
		t.Errorf("a store that cannot be filled: got %v", err)
	}
}

// A real run on the real clock: half a second, loose bounds.
func TestARealRunKeepsItsRate(t *testing.T) {
	t.Parallel()
	for _, precise := range []bool{false, true} {
		p := loadtest.Plan{Schedule: constant(t, 2000, 400*time.Millisecond), WarmUp: 100 * time.Millisecond, Precise: precise, AllowShortfall: true}
		r := run(t, p, &fake{do: takes(0)})
		if r.Requests.OK != 800 || r.Requests.Scheduled != 800 || r.WarmUp.OK != 200 {
			t.Errorf("precise %v: %+v, warm-up %+v; want 800 ok after 200", precise, r.Requests, r.WarmUp)
		}
		if r.AchievedPct < 50 || r.Generator.Lag.Count+int64(r.Requests.Waited) != 800 || r.Environment.Cores == 0 {
			t.Errorf("precise %v: achieved %g %%, lag of %d, %+v", precise, r.AchievedPct, r.Generator.Lag.Count, r.Environment)
		}
	}
}
