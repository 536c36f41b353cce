package faults_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/prism-data-layer/prism/pkg/client"
	"github.com/prism-data-layer/prism/pkg/driver/clickhouse/clickhousetest"
	"github.com/prism-data-layer/prism/pkg/driver/nats/natstest"
	"github.com/prism-data-layer/prism/pkg/driver/redis/redistest"
	"github.com/prism-data-layer/prism/pkg/prism"
	cachev1 "github.com/prism-data-layer/prism/proto/prism/cache/v1"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	pubsubv1 "github.com/prism-data-layer/prism/proto/prism/pubsub/v1"
	timeseriesv1 "github.com/prism-data-layer/prism/proto/prism/timeseries/v1"
	"github.com/prism-data-layer/prism/test/faults/powercut"
	"github.com/prism-data-layer/prism/test/harness"
)

// backendTimeout is how long the gateway waits for a server, callDeadline how
// long callers wait for the gateway.
const (
	backendTimeout = time.Second
	callDeadline   = 10 * time.Second
)

// remotes is a gateway with an embedded store, Redis, NATS and ClickHouse.
func remotes(redis, nats, clickhouse string) string {
	return fmt.Sprintf(`apiVersion: prism/v1
auth: {mode: off}
backends:
  - {name: local, driver: pebble, options: {memtable: 1MiB, cache: 1MiB}}
  - {name: redis, driver: redis, options: {addrs: [%q], timeout: %s}}
  - {name: nats, driver: nats, options: {servers: [%q], timeout: %s}}
  - {name: clickhouse, driver: clickhouse, options: {addrs: [%q], database: default, timeout: %s}}
namespaces:
  - {name: disk, model: keyvalue, backend: local, access: {owners: ["user:dev"]}}
  - {name: keys, model: keyvalue, backend: redis, access: {owners: ["user:dev"]}}
  - {name: cached, model: cache, backend: redis, access: {owners: ["user:dev"]}}
  - {name: live, model: pubsub, backend: redis, access: {owners: ["user:dev"]}}
  - {name: events, model: pubsub, backend: nats, access: {owners: ["user:dev"]}}
  - {name: series, model: timeseries, backend: clickhouse, access: {owners: ["user:dev"]}}
drain: {timeout: 5s}
`, redis, backendTimeout, nats, backendTimeout, clickhouse, backendTimeout)
}

// A door is one kind of call, made again and again by a bare stub.
type door struct {
	name string
	call func(ctx context.Context, n int) error

	mu     sync.Mutex
	n      int // of the call
	ok     int
	acked  []int         // those that were answered
	failed int           // since the fault
	worst  time.Duration // of those that failed
	bad    []string      // what must not be
	since  time.Time     // only calls that begin later count
	back   time.Time     // the first that was answered since
	took   map[bool][]time.Duration
	broken bool // a fault is on
}

// once makes a call and takes note of it.
func (d *door) once() {
	d.mu.Lock()
	d.n++
	n, broken := d.n, d.broken
	d.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), callDeadline)
	defer cancel()
	begun := time.Now()
	err := d.call(ctx, n)
	took := time.Since(begun)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.took == nil {
		d.took = map[bool][]time.Duration{}
	}
	d.took[broken] = append(d.took[broken], took)
	if err == nil {
		d.ok++
		d.acked = append(d.acked, n)
		if d.back.IsZero() && begun.After(d.since) {
			d.back = time.Now()
		}
		return
	}
	d.failed++
	d.worst = max(d.worst, took)
	o := harness.Read(err)
	if o.Code() != codes.Unavailable || o.Info.GetReason() != string(prism.ReasonBackendUnavailable) || o.Retry.GetRetryDelay().AsDuration() <= 0 {
		d.bad = append(d.bad, err.Error())
	}
}

// run makes calls until ctx ends, some hundred a second at most.
func (d *door) run(ctx context.Context) {
	pace := time.NewTicker(5 * time.Millisecond)
	defer pace.Stop()
	for ctx.Err() == nil {
		d.once()
		<-pace.C
	}
}

func (d *door) look(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

// doors are the calls on the servers, and the one on the embedded store.
func doors(t *testing.T, g *harness.Gateway) (remote []*door, embedded *door) {
	kv, cache := g.KeyValue(t), g.Cache(t)
	pubsub := pubsubv1.NewPubSubServiceClient(g.Dial(t, "data"))
	series := timeseriesv1.NewTimeSeriesServiceClient(g.Dial(t, "data"))
	text := func(n int) []byte { return []byte(strconv.Itoa(n)) }
	keys := func(ns string) func(context.Context, int) error {
		var acked []byte
		return func(ctx context.Context, n int) error {
			r, err := kv.Get(ctx, &kvv1.GetRequest{Namespace: ns, Key: "k"})
			switch {
			case harness.Read(err).Code() == codes.NotFound && acked == nil:
			case err != nil:
				return err
			default:
				if last, _ := strconv.Atoi(string(r.Value)); acked != nil && last < first(strconv.Atoi(string(acked))) {
					was := acked
					acked = nil // said once
					return fmt.Errorf("%s was acked, and %s is there", was, r.Value)
				}
			}
			if _, err = kv.Set(ctx, &kvv1.SetRequest{Namespace: ns, Key: "k", Value: text(n)}); err == nil {
				acked = text(n)
			}
			return err
		}
	}
	publish := func(ns string, persistent bool) func(context.Context, int) error {
		return func(ctx context.Context, n int) error {
			_, err := pubsub.Publish(ctx, &pubsubv1.PublishRequest{Namespace: ns, Event: &pubsubv1.Outgoing{Topic: "t", Payload: text(n), Persistent: persistent}})
			return err
		}
	}
	return []*door{
		{name: "redis keyvalue", call: keys("keys")},
		{name: "redis cache", call: func(ctx context.Context, n int) error {
			if _, err := cache.Set(ctx, &cachev1.SetRequest{Namespace: "cached", Key: "k", Value: text(n)}); err != nil {
				return err
			}
			_, err := cache.Get(ctx, &cachev1.GetRequest{Namespace: "cached", Key: "k"})
			return err
		}},
		{name: "redis pubsub", call: publish("live", false)},
		{name: "nats pubsub", call: publish("events", false)},
		{name: "nats persistent", call: publish("events", true)},
		{name: "clickhouse timeseries", call: func(ctx context.Context, n int) error {
			_, err := series.AppendEvents(ctx, appendOne("series", &timeseriesv1.Event{TimeNs: int64(1 + n), EventType: "t"}))
			return err
		}},
	}, &door{name: "embedded", call: keys("disk")}
}

func first(n int, _ error) int { return n }

// A reader follows events with the SDK.
type reader struct {
	mu   sync.Mutex
	seen map[string]bool
	gaps int
}

func follow(t *testing.T, ctx context.Context, wg *sync.WaitGroup, p *client.PubSub, o client.SubscribeOptions) *reader {
	t.Helper()
	s, err := p.Subscribe(ctx, "t", o)
	if err != nil {
		t.Fatal(err)
	}
	r := &reader{seen: map[string]bool{}}
	wg.Go(func() {
		for {
			d, err := s.Next()
			if err != nil {
				if ctx.Err() == nil {
					t.Errorf("a subscription ended: %v", err)
				}
				return
			}
			r.mu.Lock()
			if d.Gap != nil {
				r.gaps++
			}
			for _, e := range d.Events {
				if (o.Durable != "") == e.Persistent {
					r.seen[string(e.Payload)] = true
				}
			}
			r.mu.Unlock()
		}
	})
	return r
}

func (r *reader) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.seen)
}

// p99 is of what was taken note of with a fault on, or without.
func (d *door) p99(broken bool) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := slices.Sorted(slices.Values(d.took[broken]))
	if len(list) == 0 {
		return 0
	}
	return list[len(list)*99/100]
}

// missing is how many of the calls that were answered are not among those seen.
func (d *door) missing(seen map[string]bool) (n int64) {
	for _, call := range d.acked {
		if !seen[strconv.Itoa(call)] {
			n++
		}
	}
	return n
}

// stored are the calls whose events are there.
func stored(t *testing.T, series *client.TimeSeries) map[string]bool {
	t.Helper()
	seen := map[string]bool{}
	events, err := series.StreamQuery(t.Context(), client.EventsQuery{TimeRange: client.TimeRange{Start: time.Unix(0, 1), End: time.Unix(1, 0)}}).All()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		seen[strconv.FormatInt(e.Time.UnixNano()-1, 10)] = true
	}
	return seen
}

// F8: Redis, NATS and ClickHouse are stopped, killed and frozen under calls. Callers are told
// so before their deadline, with when to try again; the embedded store beside
// them does not notice; all is well within two seconds of their return, and
// nothing that was acked is gone.
func TestFault_F8_BackendsDown(t *testing.T) {
	hold, within := time.Second, 20*time.Second
	if powercut.Full() {
		hold, within = 10*time.Second, 2*time.Second
	}
	redis, nats := redistest.Seven().Start(t, "--appendonly", "yes", "--appendfsync", "always"), natstest.Start(t, "")
	clickhouse := clickhousetest.Server18(t)
	g := harness.Start(t, harness.Options{File: remotes(redis.Addr, nats.URL, clickhouse.Native)})
	remote, embedded := doors(t, g)
	c, err := client.Dial(g.Addr("data"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	report := powercut.Begin("F8", 0)
	ctx, stop := context.WithCancel(t.Context())
	var wg, readers sync.WaitGroup
	defer readers.Wait()
	reading, close := context.WithCancel(t.Context())
	defer close()
	durable := follow(t, reading, &readers, c.PubSub("events"), client.SubscribeOptions{Durable: "d", AutoAck: true})
	live := follow(t, reading, &readers, c.PubSub("live"), client.SubscribeOptions{})
	persistent, appended := remote[len(remote)-2], remote[len(remote)-1]
	all := append(slices.Clone(remote), embedded)
	for _, d := range all {
		wg.Go(func() { d.run(ctx) })
	}
	more := func(what string, patience time.Duration, list []*door, count func(*door) int, n int) {
		t.Helper()
		for _, d := range list {
			var from int
			d.look(func() { from = count(d) })
			harness.Eventually(t, patience, d.name+": "+what, func() (done bool) {
				d.look(func() { done = count(d) >= from+n })
				return done
			})
		}
	}
	answered := func(d *door) int { return d.ok }
	refused := func(d *door) int { return d.failed }
	more("calls are answered", time.Minute, all, answered, 20)
	goroutines := runtime.NumGoroutine()
	slowest := map[string]int64{}
	for _, fault := range []struct {
		name      string
		on, off   []func() error
		connected bool
	}{
		{"stopped", []func() error{redis.Stop, nats.Stop, clickhouse.Stop}, []func() error{redis.Start, nats.Start, clickhouse.Start}, false},
		{"killed", []func() error{redis.Kill, nats.Kill, clickhouse.Kill}, []func() error{redis.Start, nats.Start, clickhouse.Start}, false},
		{"frozen", []func() error{redis.Freeze, nats.Freeze, clickhouse.Freeze}, []func() error{redis.Thaw, nats.Thaw, clickhouse.Thaw}, true},
	} {
		for _, d := range all {
			d.look(func() { d.broken, d.failed, d.worst = true, 0, 0 })
		}
		each(t, fault.on)
		held := time.Now()
		more(fault.name+": calls are refused", time.Minute, remote, refused, 2)
		more(fault.name+": the embedded store answers", time.Minute, []*door{embedded}, answered, 20)
		harness.Eventually(t, time.Minute, "the fault lasts", func() bool { return time.Since(held) >= hold })
		each(t, fault.off)
		returned := time.Now()
		for _, d := range all {
			d.look(func() { d.since, d.back, d.broken = returned, time.Time{}, false })
		}
		for _, d := range all {
			harness.Eventually(t, within, d.name+" is back after "+fault.name, func() (done bool) {
				d.look(func() { done = !d.back.IsZero() })
				return done
			})
			d.look(func() {
				slowest[fault.name] = max(slowest[fault.name], d.back.Sub(returned).Milliseconds())
				if d.worst >= callDeadline {
					t.Errorf("%s, %s: a call took %v", fault.name, d.name, d.worst)
				}
				report.More["slowest_refusal_ms_"+fault.name] = max(most(report.More["slowest_refusal_ms_"+fault.name]), d.worst.Milliseconds())
			})
		}
		had := live.count()
		harness.Eventually(t, within+10*time.Second, fault.name+": live events come again", func() bool { return live.count() > had })
		report.Rounds++
	}
	more("calls are answered", time.Minute, all, answered, 20)
	harness.Eventually(t, time.Minute, "what was begun has ended", func() bool { return runtime.NumGoroutine() <= goroutines+10 })
	stop()
	wg.Wait()
	missing := func() int64 {
		durable.mu.Lock()
		defer durable.mu.Unlock()
		return persistent.missing(durable.seen)
	}
	// A reader is given time for what it has not been sent yet.
	for deadline := time.Now().Add(20 * time.Second); missing() > 0 && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond)
	}
	report.Lost = missing() + appended.missing(stored(t, c.TimeSeries("series")))
	for _, d := range all {
		report.Acked += int64(d.ok)
		if d == embedded && d.failed > 0 {
			t.Errorf("the embedded store refused %d calls", d.failed)
		}
		if len(d.bad) > 0 {
			t.Errorf("%s: %d calls ended otherwise than UNAVAILABLE with a wait, the first with %s", d.name, len(d.bad), d.bad[0])
		}
	}
	report.More["back_ms"] = slowest
	report.More["embedded_p99_us"], report.More["embedded_p99_us_during"] = embedded.p99(false).Microseconds(), embedded.p99(true).Microseconds()
	report.More["live_gaps_told"] = live.gaps
	report.Print()
	if report.Lost != 0 {
		t.Errorf("%d acked events never came", report.Lost)
	}
	if live.gaps < 2 {
		t.Errorf("a live subscription was told of %d gaps, of two at least", live.gaps)
	}
}

func most(v any) int64 { n, _ := v.(int64); return n }

// each runs what is done to the servers, at once.
func each(t *testing.T, do []func() error) {
	t.Helper()
	var wg sync.WaitGroup
	errs := make([]error, len(do))
	for i, f := range do {
		wg.Go(func() { errs[i] = f() })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// F9: servers that do not answer keep no caller past its deadline, and hold
// nothing up when it is over; calls on the embedded store go on.
func TestFault_F9_BackendsSlow(t *testing.T) {
	calls := 3
	if powercut.Full() {
		calls = 30
	}
	const deadline, callers = 300 * time.Millisecond, 40
	redis, nats := redistest.Seven().Start(t, "--appendonly", "yes", "--appendfsync", "always"), natstest.Start(t, "")
	clickhouse := clickhousetest.Server18(t)
	g := harness.Start(t, harness.Options{File: remotes(redis.Addr, nats.URL, clickhouse.Native)})
	remote, embedded := doors(t, g)
	report := powercut.Begin("F9", 0)
	for _, d := range append(slices.Clone(remote), embedded) {
		if err := d.call(t.Context(), 1); err != nil {
			t.Fatalf("%s: %v", d.name, err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	var beside sync.WaitGroup
	beside.Go(func() { embedded.run(ctx) })
	enough := func(broken bool) func() bool {
		return func() (done bool) {
			embedded.look(func() { done = len(embedded.took[broken]) >= 200 })
			return done
		}
	}
	harness.Eventually(t, time.Minute, "the embedded store answers", enough(false))
	goroutines := runtime.NumGoroutine()
	each(t, []func() error{redis.Freeze, nats.Freeze, clickhouse.Freeze})
	for _, d := range remote { // the signal is on its way when Freeze returns
		harness.Eventually(t, time.Minute, d.name+" is frozen", func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			defer cancel()
			return d.call(ctx, 1) != nil
		})
	}
	embedded.look(func() { embedded.broken = true })
	var wg sync.WaitGroup
	var mu sync.Mutex
	var over []time.Duration // past the deadline
	for _, d := range remote {
		if d.name == "redis keyvalue" { // its call is not made for many at once
			continue
		}
		for range callers {
			wg.Go(func() {
				for n := range calls {
					ctx, cancel := context.WithTimeout(t.Context(), deadline)
					begun := time.Now()
					err := d.call(ctx, n)
					late := time.Since(begun) - deadline
					cancel()
					mu.Lock()
					over = append(over, late)
					mu.Unlock()
					switch harness.Read(err).Code() {
					case codes.DeadlineExceeded, codes.ResourceExhausted, codes.Unavailable:
					default:
						t.Errorf("%s: a call on a server that does not answer ended with %v", d.name, err)
					}
				}
			})
		}
	}
	wg.Wait()
	harness.Eventually(t, time.Minute, "no call is held up", func() bool { return runtime.NumGoroutine() <= goroutines+20 })
	harness.Eventually(t, time.Minute, "the embedded store answers", enough(true))
	each(t, []func() error{redis.Thaw, nats.Thaw, clickhouse.Thaw})
	begun := time.Now()
	for _, d := range remote {
		harness.Eventually(t, 20*time.Second, d.name+" is back", func() bool { return d.call(t.Context(), 2) == nil })
	}
	report.More["back_ms"] = time.Since(begun).Milliseconds()
	stop()
	beside.Wait()
	slices.Sort(over)
	median, latest := over[len(over)/2], over[len(over)-1]
	report.Rounds, report.More["calls"] = 1, len(over)
	report.More["ms_past_deadline_median"], report.More["ms_past_deadline_latest"] = median.Milliseconds(), latest.Milliseconds()
	report.More["embedded_p99_us"], report.More["embedded_p99_us_during"] = embedded.p99(false).Microseconds(), embedded.p99(true).Microseconds()
	report.Print()
	// The latest is also what the machine has to do besides.
	if powercut.Full() && median > 50*time.Millisecond {
		t.Errorf("callers were kept %v past their deadline", median)
	}
	if len(embedded.bad) > 0 {
		t.Errorf("the embedded store: %s", embedded.bad[0])
	}
}
