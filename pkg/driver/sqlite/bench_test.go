package sqlite_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/memory"
	"github.com/prism-data-layer/prism/pkg/driver/sqlite"
)

const million = 1_000_000

// clicks are events of an hour: two dimensions, two metrics.
func clicks(from, n int) *driver.EventBatch {
	b := &driver.EventBatch{
		Times:      make([]int64, n),
		Types:      driver.Coded{Dictionary: []string{"http_request"}},
		Sources:    driver.Coded{Codes: make([]uint32, n)},
		Dimensions: []driver.Dimension{{Name: "method", Values: driver.Coded{Dictionary: []string{"GET", "PUT"}, Codes: make([]uint32, n)}}, {Name: "path", Values: driver.Coded{Codes: make([]uint32, n)}}},
		Metrics:    []driver.Metric{{Name: "ms", Values: make([]float64, n)}, {Name: "bytes", Values: make([]float64, n)}},
	}
	for i := range 50 {
		b.Sources.Dictionary = append(b.Sources.Dictionary, fmt.Sprint("web-", i))
		b.Dimensions[1].Values.Dictionary = append(b.Dimensions[1].Values.Dictionary, fmt.Sprint("/page/", i))
	}
	for i := range n {
		j := from + i
		b.Times[i] = 1_700_000_000_000_000_000 + int64(j)*3_600_000
		b.Sources.Codes[i] = uint32(j*7%50) + 1
		b.Dimensions[0].Values.Codes[i] = uint32(j%2) + 1
		b.Dimensions[1].Values.Codes[i] = uint32(j*31%50) + 1
		b.Metrics[0].Values[i] = float64(j % 1000)
		b.Metrics[1].Values[i] = float64(j * 13 % 100_000)
	}
	return b
}

// BenchmarkMillion stores a million events in batches of 10,000, computes
// figures by minute and reads all of them.
func BenchmarkMillion(b *testing.B) {
	for _, spec := range []driver.Spec{memory.Spec(), sqlite.Spec()} {
		b.Run(spec.Name, func(b *testing.B) {
			for b.Loop() {
				million1(b, spec)
			}
		})
	}
}

func million1(b *testing.B, spec driver.Spec) {
	ctx := context.Background()
	set, err := spec.Open(ctx, driver.Config{Name: "bench", Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = set.Store.Close() }()
	batches := make([]*driver.EventBatch, 100)
	for i := range batches {
		batches[i] = clicks(i*10_000, 10_000)
	}
	begin := time.Now()
	for _, batch := range batches {
		if _, err := set.TimeSeries.AppendEvents(ctx, "bench", batch, driver.Receipt{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(million/time.Since(begin).Seconds(), "appended/s")
	all := driver.Selection{Start: 0, End: 1 << 62}
	q := driver.AggregateQuery{Selection: all, Bucket: int64(time.Minute), Max: 50_000, Groups: []driver.GroupKey{{Kind: driver.GroupDimension, Name: "path"}}, Values: []driver.Aggregate{
		{Function: driver.AggregateCount}, {Function: driver.AggregateAvg, Metric: "ms"},
	}}
	begin = time.Now()
	a, err := set.TimeSeriesAggregation.AggregateEvents(ctx, "bench", q)
	if err != nil || len(a.Rows) < 3000 {
		b.Fatal(len(a.Rows), err)
	}
	b.ReportMetric(float64(time.Since(begin).Milliseconds()), "aggregate-ms")
	begin = time.Now()
	r, err := set.TimeSeries.QueryEvents(ctx, "bench", driver.EventQuery{Selection: all, Page: 1000})
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	for page, err := r.Page(ctx); err != nil || page.Events.Len() > 0; page, err = r.Page(ctx) {
		if err != nil {
			b.Fatal(err)
		}
		n += page.Events.Len()
	}
	b.ReportMetric(float64(n)/time.Since(begin).Seconds(), "read/s")
	u, err := set.Store.Usage(ctx, "bench")
	if err != nil || n != million {
		b.Fatal(n, err)
	}
	b.ReportMetric(float64(u.Bytes)/million, "bytes/event")
}

// BenchmarkSingle appends events one by one, by one caller and by many.
func BenchmarkSingle(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			set, err := sqlite.Spec().Open(b.Context(), driver.Config{Name: "bench", Dir: b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = set.Store.Close() }()
			b.SetParallelism(callers)
			if callers == 1 {
				for i := 0; b.Loop(); i++ {
					if _, err := set.TimeSeries.AppendEvents(b.Context(), "bench", clicks(i, 1), driver.Receipt{}); err != nil {
						b.Fatal(err)
					}
				}
				return
			}
			b.RunParallel(func(p *testing.PB) {
				for i := 0; p.Next(); i++ {
					if _, err := set.TimeSeries.AppendEvents(context.Background(), "bench", clicks(i, 1), driver.Receipt{}); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
