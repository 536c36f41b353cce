package telemetry_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/telemetry"
)

const getMethod = "prism.keyvalue.v1.KeyValueService/Get"

// scrape reads /metrics into a map from the series to its value.
func scrape(t *testing.T, m *telemetry.Metrics) map[string]float64 {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:9090/metrics", nil)
	r.RemoteAddr = "127.0.0.1:5"
	w := httptest.NewRecorder()
	telemetry.NewHandler(telemetry.HTTPOptions{Metrics: m}).ServeHTTP(w, r)
	body, err := io.ReadAll(w.Result().Body)
	if err != nil || w.Code != http.StatusOK {
		t.Fatalf("scrape: %d %v\n%s", w.Code, err, body)
	}
	series := map[string]float64{}
	for _, match := range regexp.MustCompile(`(?m)^([a-z_]+(?:\{.*\})?) (\S+)$`).FindAllStringSubmatch(string(body), -1) {
		v, err := strconv.ParseFloat(match[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		series[match[1]] = v
	}
	return series
}

func TestTheScrapeAndTheSnapshotSayTheSame(t *testing.T) {
	t.Parallel()
	m := telemetry.NewMetrics(0)
	get := m.Register("/" + getMethod)
	for i := range 100 {
		get.Observe(codes.OK, time.Duration(i)*100*time.Microsecond)
	}
	get.Observe(codes.NotFound, time.Minute)
	get.Observe(codes.Code(99), time.Millisecond)
	get.Observe(codes.Canceled, time.Millisecond)
	ns := m.Namespace("orders")
	ns.Observe(3, 0, false, time.Millisecond)
	ns.Observe(0, 2, true, 2*time.Millisecond)

	s := m.Snapshot()
	if len(s.Methods) != 1 || len(s.Namespaces) != 1 {
		t.Fatalf("got %+v", s)
	}
	got := s.Methods[0]
	if got.Method != getMethod || got.Calls != 103 || got.Errors != 2 || got.Latency.Total() != 103 {
		t.Errorf("method: got %s %d calls %d errors", got.Method, got.Calls, got.Errors)
	}
	if len(got.Latency.Counts) != len(got.Latency.BoundsUS)+1 || got.Latency.Counts[len(got.Latency.BoundsUS)] != 1 {
		t.Errorf("the minute is not above every bound: %v", got.Latency.Counts)
	}
	if n := s.Namespaces[0]; n.Namespace != "orders" || n.Reads != 3 || n.Writes != 2 || n.Errors != 1 || n.Latency.SumUS != 3000 {
		t.Errorf("namespace: got %+v", n)
	}

	series := scrape(t, m)
	want := map[string]float64{
		`prism_requests_total{code="OK",method="` + getMethod + `"}`:                       100,
		`prism_requests_total{code="NOT_FOUND",method="` + getMethod + `"}`:                1,
		`prism_requests_total{code="UNKNOWN",method="` + getMethod + `"}`:                  1,
		`prism_request_duration_seconds_count{method="` + getMethod + `"}`:                 103,
		`prism_request_duration_seconds_sum{method="` + getMethod + `"}`:                   float64(got.Latency.SumUS) / 1e6,
		`prism_request_duration_seconds_bucket{method="` + getMethod + `",le="+Inf"}`:      103,
		`prism_namespace_operations_total{kind="read",namespace="orders"}`:                 3,
		`prism_namespace_operations_total{kind="write",namespace="orders"}`:                2,
		`prism_namespace_errors_total{namespace="orders"}`:                                 1,
		`prism_namespace_duration_seconds_bucket{namespace="orders",le="0.001024"}`:        1,
		`prism_namespace_duration_seconds_bucket{namespace="orders",le="0.002048"}`:        2,
		`prism_namespace_duration_seconds_count{namespace="orders"}`:                       2,
		`prism_request_duration_seconds_bucket{method="` + getMethod + `",le="16.777216"}`: 102,
	}
	for k, v := range want {
		if series[k] != v {
			t.Errorf("%s = %v, want %v", k, series[k], v)
		}
	}
	var cumulative int64
	for i, b := range got.Latency.BoundsUS {
		cumulative += got.Latency.Counts[i]
		k := fmt.Sprintf(`prism_request_duration_seconds_bucket{method=%q,le="%v"}`, getMethod, float64(b)/1e6)
		if v, ok := series[k]; ok && int64(v) != cumulative {
			t.Errorf("%s = %v, the snapshot has %d", k, v, cumulative)
		}
	}
	for _, k := range []string{"go_goroutines", "process_start_time_seconds"} {
		if series[k] == 0 {
			t.Errorf("%s is missing", k)
		}
	}
}

func TestMadeUpMethodsShareOneCounter(t *testing.T) {
	t.Parallel()
	m := telemetry.NewMetrics(0)
	if m.Register(getMethod) != m.Register("/"+getMethod) || m.Method("/"+getMethod) != m.Register(getMethod) {
		t.Error("one method has two counters")
	}
	for i := range 1000 {
		m.Method(fmt.Sprintf("/evil/%d", i)).Observe(codes.Unimplemented, 0)
	}
	s := m.Snapshot()
	if len(s.Methods) != 1 || s.Methods[0].Method != telemetry.Other || s.Methods[0].Calls != 1000 {
		t.Errorf("got %+v", s.Methods)
	}
}

func TestNamespacesPastTheBoundShareOneLabel(t *testing.T) {
	t.Parallel()
	m := telemetry.NewMetrics(2)
	for i := range 10 {
		m.Namespace(prism.Namespace(fmt.Sprintf("n%d", i))).Observe(1, 0, false, 0)
	}
	s := m.Snapshot()
	if len(s.Namespaces) != 3 || s.Namespaces[2].Namespace != telemetry.Other || s.Namespaces[2].Reads != 8 {
		t.Errorf("got %+v", s.Namespaces)
	}
	m.Error(prism.NotFound("key", "k").WithNamespace("n0"))
	m.Forget("n0")
	m.Namespace("n9").Observe(1, 0, false, 0)
	s = m.Snapshot()
	if len(s.Namespaces) != 3 || s.Namespaces[0].Namespace != "n1" || s.Namespaces[1].Namespace != "n9" {
		t.Errorf("after Forget: got %+v", s.Namespaces)
	}
	for k := range scrape(t, m) {
		if strings.Contains(k, `"n0"`) {
			t.Errorf("%s is there after Forget", k)
		}
	}
}

func TestErrorsAreCountedByCategoryCodeBackendAndNamespace(t *testing.T) {
	t.Parallel()
	m := telemetry.NewMetrics(0)
	m.Namespace("orders")
	e := prism.New(prism.ReasonBackendUnavailable, "no answer").WithBackend("cache-1").WithNamespace("orders")
	m.Error(e)
	m.Error(e)
	m.Error(prism.NotFound("namespace", "evil").WithNamespace("evil-1"))
	m.Error(prism.NotFound("namespace", "evil").WithNamespace("evil-2"))
	m.Error(prism.New("NEVER_HEARD_OF", "x"))
	series := scrape(t, m)
	for k, want := range map[string]float64{
		`prism_errors_total{backend="cache-1",category="backend",code="PRISM-60001",namespace="orders"}`: 2,
		`prism_errors_total{backend="",category="client",code="PRISM-40401",namespace="_other"}`:         2,
		`prism_errors_total{backend="",category="server",code="PRISM-50001",namespace=""}`:               1,
	} {
		if series[k] != want {
			t.Errorf("%s = %v, want %v", k, series[k], want)
		}
	}
}

func TestEveryReasonHasACategory(t *testing.T) {
	t.Parallel()
	m := telemetry.NewMetrics(0)
	for _, i := range prism.Infos() {
		m.Error(prism.New(i.Reason, "x"))
	}
	seen := map[string]int{}
	for k := range scrape(t, m) {
		if match := regexp.MustCompile(`^prism_errors_total\{.*category="([a-z_]*)"`).FindStringSubmatch(k); match != nil {
			seen[match[1]]++
		}
	}
	total := 0
	for _, n := range seen {
		total += n
	}
	if total != len(prism.Infos()) || seen[""] != 0 || len(seen) != 10 {
		t.Errorf("%d reasons in %v, want %d in ten categories", total, seen, len(prism.Infos()))
	}
}

func TestErrorSeriesAreBounded(t *testing.T) {
	t.Parallel()
	m := telemetry.NewMetrics(0)
	const n = 5000
	for i := range n {
		m.Error(prism.New(prism.ReasonInternal, "x").WithBackend(fmt.Sprintf("b%d", i)))
	}
	series, sum := 0, 0.0
	for k, v := range scrape(t, m) {
		if strings.HasPrefix(k, "prism_errors_total") {
			series++
			sum += v
		}
	}
	if series > 4200 || sum != n {
		t.Errorf("%d series hold %v errors, want at most 4200 and %d", series, sum, n)
	}
}

func TestAGaugeIsAskedAtEachScrape(t *testing.T) {
	t.Parallel()
	m := telemetry.NewMetrics(0)
	n := 0.0
	m.Gauge("prism_sessions_active", "Sessions that are open.", func() float64 { n++; return n })
	for want := 1.0; want <= 2; want++ {
		if got := scrape(t, m)["prism_sessions_active"]; got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

func TestQuantilesAreReadFromTheBuckets(t *testing.T) {
	t.Parallel()
	m := telemetry.NewMetrics(0)
	x := m.Register("m")
	for i := range 1000 {
		x.Observe(codes.OK, time.Duration(i+1)*time.Millisecond)
	}
	l := m.Snapshot().Methods[0].Latency
	for q, want := range map[float64]time.Duration{0.5: 500 * time.Millisecond, 0.99: 990 * time.Millisecond} {
		if got := l.Quantile(q); got < want*8/10 || got > want*12/10 {
			t.Errorf("quantile %v: got %v, want about %v", q, got, want)
		}
	}
	if got := (telemetry.Latency{}).Quantile(0.5); got != 0 {
		t.Errorf("without calls: got %v", got)
	}
	x.Observe(codes.OK, time.Hour)
	if got := m.Snapshot().Methods[0].Latency.Quantile(1); got != 1<<24*time.Microsecond {
		t.Errorf("above every bound: got %v, want the last bound", got)
	}
}

func TestCountsAreExactUnderConcurrency(t *testing.T) {
	t.Parallel()
	m := telemetry.NewMetrics(0)
	m.Register(getMethod)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 1000 {
				m.Method(getMethod).Observe(codes.OK, time.Microsecond)
				m.Namespace(prism.Namespace(fmt.Sprintf("n%d", i%10))).Observe(1, 1, false, 0)
				m.Error(prism.New(prism.ReasonInternal, "x"))
			}
		})
	}
	all.Wait()
	s := m.Snapshot()
	if s.Methods[0].Calls != 8000 || len(s.Namespaces) != 10 || s.Namespaces[3].Writes != 800 {
		t.Errorf("got %d calls, %d namespaces", s.Methods[0].Calls, len(s.Namespaces))
	}
	if got := scrape(t, m)[`prism_errors_total{backend="",category="server",code="PRISM-50001",namespace=""}`]; got != 8000 {
		t.Errorf("got %v errors, want 8000", got)
	}
}

func TestCountingAllocatesNothing(t *testing.T) {
	m := telemetry.NewMetrics(0)
	m.Register(getMethod)
	m.Namespace("orders")
	e := prism.NotFound("key", "k").WithNamespace("orders")
	m.Error(e)
	if n := testing.AllocsPerRun(1000, func() {
		m.Method("/"+getMethod).Observe(codes.OK, 120*time.Microsecond)
		m.Namespace("orders").Observe(1, 0, false, 120*time.Microsecond)
		m.Error(e)
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkObserve(b *testing.B) {
	m := telemetry.NewMetrics(0)
	x, ns := m.Register(getMethod), m.Namespace("orders")
	e := prism.NotFound("key", "k").WithNamespace("orders")
	for name, f := range map[string]func(){
		"method":    func() { x.Observe(codes.OK, 120*time.Microsecond) },
		"lookup":    func() { m.Method("/"+getMethod).Observe(codes.OK, 120*time.Microsecond) },
		"namespace": func() { ns.Observe(1, 0, false, 120*time.Microsecond) },
		"error":     func() { m.Error(e) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					f()
				}
			})
		})
	}
	ctx := b.Context()
	b.Run("ids", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = telemetry.WithIDs(ctx, "", "")
		}
	})
}
