package ui

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prism-data-layer/prism/loadtest/report"
	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/tui"
	"github.com/prism-data-layer/prism/tui/component/tail"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/page/loadtest"
	"github.com/prism-data-layer/prism/tui/page/overview"
)

// runSource answers the reports that loadtest run --save keeps. A file is read
// again when it has changed.
type runSource struct {
	*source
	mu   sync.Mutex
	read map[string]readRun
}

type readRun struct {
	at  time.Time
	run loadtest.Run
}

func loadtestPages(s *source) []page.Factory {
	return []page.Factory{loadtest.Factory(&runSource{source: s, read: map[string]readRun{}})}
}

func (s *runSource) Runs(ctx context.Context) ([]loadtest.Run, error) {
	dir := filepath.Join(s.f.Dirs().State, "loadtest")
	files, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		return nil, prism.New(prism.ReasonInternal, "the saved runs cannot be listed").WithCause(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []loadtest.Run
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), ".json")
		if !ok || !prism.ValidName(name) {
			continue
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		info, err := f.Info()
		if err != nil {
			continue // it was deleted meanwhile
		}
		if before, ok := s.read[name]; !ok || !before.at.Equal(info.ModTime()) {
			s.read[name] = readRun{info.ModTime(), runOf(name, filepath.Join(dir, f.Name()))}
		}
		list = append(list, s.read[name].run)
	}
	slices.SortFunc(list, func(a, b loadtest.Run) int { return b.Started.Compare(a.Started) })
	return list, nil
}

func runOf(name, path string) loadtest.Run {
	f, err := os.Open(path)
	if err != nil {
		return loadtest.Run{Name: name, Err: err}
	}
	defer f.Close()
	r, err := report.ReadJSON(f)
	if err != nil {
		return loadtest.Run{Name: name, Err: err}
	}
	ms := func(f float64) time.Duration { return time.Duration(f * float64(time.Millisecond)) }
	return loadtest.Run{
		Name: name, Workload: r.Workload, Load: r.Plan.Load(), Started: r.StartedAt, Length: time.Duration(r.DurationS * float64(time.Second)),
		Target: r.TargetRPS, Rate: r.ThroughputRPS, Achieved: r.AchievedPct, Errors: r.Requests.ErrorPct, Passed: r.Pass(), Aborted: r.Aborted,
		Latency: loadtest.Percentiles{P50: ms(r.Response.P50Ms), P95: ms(r.Response.P95Ms), P99: ms(r.Response.P99Ms), Max: ms(r.Response.MaxMs)},
	}
}

// A running load test is what its page asks.
type running struct {
	snapshots chan loadtest.Snapshot // closed after the last
}

// Snapshots gives what comes until the run has ended.
func (r *running) Snapshots(ctx context.Context, to *tail.Sink[loadtest.Snapshot]) error {
	to.Open()
	for {
		select {
		case s, ok := <-r.snapshots:
			if !ok {
				return nil
			}
			to.Send(s)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// tell gives a snapshot to the page. A page that is late loses the oldest: the
// run does not wait for it.
func (r *running) tell(s loadtest.Snapshot) {
	for {
		select {
		case r.snapshots <- s:
			return
		default:
		}
		select {
		case <-r.snapshots:
		default:
		}
	}
}

// LoadTest shows a load test on its own page while it runs: it is what loadtest
// run --ui starts. Whoever leaves the page before the end ends the run, and the
// report is of what ran.
func LoadTest(f *cli.Factory) func(ctx context.Context, title string, run func(context.Context, func(report.Snapshot)) (*report.Report, error)) (*report.Report, error) {
	return func(ctx context.Context, title string, run func(context.Context, func(report.Snapshot)) (*report.Report, error)) (*report.Report, error) {
		return watchRun(ctx, f, func() tui.Terminal { return tui.Terminal{In: os.Stdin, Out: os.Stdout} }, title, run)
	}
}

func watchRun(ctx context.Context, f *cli.Factory, terminal func() tui.Terminal, title string, run func(context.Context, func(report.Snapshot)) (*report.Report, error)) (*report.Report, error) {
	o := newOptions(f)
	o.View = overview.Name
	opts, err := o.dashboards()
	if err != nil {
		return nil, err
	}
	r := &running{snapshots: make(chan loadtest.Snapshot, 16)}
	opts.View, opts.Pages, opts.ReadOnly = loadtest.LiveName, []page.Factory{loadtest.LiveFactory(title, r)}, true
	runCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	var rep *report.Report
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(r.snapshots)
		var last report.Snapshot
		rep, err = run(runCtx, func(s report.Snapshot) {
			last = s
			r.tell(snapshotOf(s))
		})
		end := snapshotOf(last)
		end.Phase, end.Remaining, end.Result = string(report.Done), 0, resultOf(rep, err)
		end.InFlight, end.Backlog, end.Faults = 0, 0, nil
		r.tell(end)
	}()
	t := terminal()
	t.Env = o.environment()
	shown := tui.Run(ctx, opts, t)
	cancel()
	<-done
	if err == nil && ctx.Err() == nil {
		err = shown
	}
	return rep, err
}

func snapshotOf(s report.Snapshot) loadtest.Snapshot {
	out := loadtest.Snapshot{
		Phase: string(s.Phase), Elapsed: s.Elapsed, Length: s.Length, Remaining: s.Remaining, Workload: s.Workload, Load: s.Load,
		Target: s.TargetRPS, Rate: s.RecentRPS, InFlight: s.InFlight, Backlog: s.Backlog, OK: s.OK, Failed: s.Failed, Dropped: s.Dropped,
		Total: loadtest.Percentiles(s.Total), Recent: loadtest.Percentiles(s.Recent), Faults: s.Faults,
	}
	for _, x := range s.Operations {
		out.Operations = append(out.Operations, loadtest.Operation{Name: x.Name, OK: x.OK, Failed: x.Failed, Rate: x.RPS, Total: loadtest.Percentiles(x.Total)})
	}
	for _, x := range s.Streams {
		out.Operations = append(out.Operations, loadtest.Operation{Name: x.Name, OK: x.Messages, Failed: x.Failed, Total: loadtest.Percentiles(x.Delay)})
	}
	for _, e := range s.Errors {
		code := e.Code
		if code == "" {
			code = e.Status
		}
		out.Errors = append(out.Errors, loadtest.Error{Operation: e.Operation, Code: code, Message: e.Message, Trace: e.TraceID, Count: e.Count})
	}
	return out
}

func resultOf(r *report.Report, err error) *loadtest.Result {
	if r == nil {
		if err == nil {
			err = prism.New(prism.ReasonInternal, "there is no report")
		}
		return &loadtest.Result{Problem: err}
	}
	out := &loadtest.Result{Passed: r.Pass(), Achieved: r.AchievedPct}
	for _, v := range r.Verdicts {
		out.Verdicts = append(out.Verdicts, loadtest.Verdict{Severity: string(v.Severity), Text: v.Text})
	}
	return out
}
