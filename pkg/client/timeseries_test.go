package client_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/client"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/test/harness"
)

// seriesFile is a gateway with time series that outlive a restart.
const seriesFile = `apiVersion: prism/v1
auth: {mode: off}
backends:
  - {name: local, driver: sqlite}
namespaces:
  - {name: timeseries, model: timeseries, backend: local, access: {owners: ["user:dev"]}}
drain: {timeout: 5s}
`

var seriesBase = time.Unix(1_700_000_000, 0)

func tick(i int) client.Measurement {
	return client.Measurement{
		Time: seriesBase.Add(time.Duration(i)), Type: "tick", Source: fmt.Sprint("s", i%3),
		Dimensions: map[string]string{"host": fmt.Sprint("h", i%10)}, Metrics: map[string]float64{"n": float64(i)},
	}
}

func wholeRange() client.TimeRange {
	return client.TimeRange{Start: seriesBase.Add(-time.Hour), End: seriesBase.Add(time.Hour)}
}

func TestEventsAreAppendedReadAndAggregated(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Options{File: harness.Models})
	ts := dial(t, g).TimeSeries("timeseries")
	var events []client.Measurement
	for i := range 100 {
		events = append(events, tick(i))
	}
	events[99].Metrics["n"] = math.NaN()
	events[98].ID, events[97].ID, events[98].Payload = "same", "same", []byte("p")
	a, err := ts.Append(t.Context(), events...)
	if err != nil || a.Accepted != 98 || a.Duplicates != 1 || a.Rejected != 1 || len(a.Rejections) != 1 || a.Rejections[0].Index != 99 {
		t.Fatalf("append: %+v, %v", a, err)
	}
	page, err := ts.Query(t.Context(), client.EventsQuery{TimeRange: wholeRange(), Limit: 60})
	if err != nil || len(page.Events) != 60 || page.Cursor == "" {
		t.Fatalf("query: %d events, %v", len(page.Events), err)
	}
	if got, want := fmt.Sprint(page.Events[7]), fmt.Sprint(tick(7)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	all, err := ts.StreamQuery(t.Context(), client.EventsQuery{TimeRange: wholeRange(), Descending: true}).All()
	if err != nil || len(all) != 98 || !all[97].Time.Equal(seriesBase) {
		t.Errorf("stream: %d events, %v", len(all), err)
	}
	rows, source, err := ts.Aggregate(t.Context(), client.AggregateQuery{
		TimeRange: wholeRange(), By: []string{"host"}, BySource: true,
		Aggregates: []client.Aggregate{{Function: client.AggregateCount}, {Function: client.AggregateQuantile, Metric: "n", Quantile: 0.5}},
	})
	if err != nil || source != "raw" || len(rows) != 30 || *rows[0].Group[0] != "s0" || *rows[0].Values[0] < 3 {
		t.Errorf("aggregate: %d rows of %s, %v", len(rows), source, err)
	}
	info, err := ts.Describe(t.Context())
	if err != nil || info.Events != 98 || info.Sent != 100 || info.Stored != 98 {
		t.Errorf("describe: %+v, %v", info, err)
	}
	if _, err := ts.Query(t.Context(), client.EventsQuery{TimeRange: client.TimeRange{Start: seriesBase, End: seriesBase}}); !errors.Is(err, prism.ReasonInvalidArgument) {
		t.Errorf("an empty range: %v", err)
	}
}

func TestAnAppenderTellsWhatBecameOfEachEvent(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Options{File: harness.Models})
	ts := dial(t, g).TimeSeries("timeseries")
	var mu sync.Mutex
	refused := map[int64]bool{}
	a := ts.Appender(t.Context(), client.AppenderOptions{Events: 100, Answered: func(first int64, x client.Appended, err *prism.Error) {
		mu.Lock()
		defer mu.Unlock()
		for _, r := range x.Rejections {
			refused[first+int64(r.Index)] = true
		}
	}})
	for i := range 1050 {
		m := tick(i)
		if i%100 == 77 {
			m.Type = ""
		}
		if err := a.Add(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	columns := client.Columns{Times: []int64{seriesBase.UnixNano(), seriesBase.UnixNano() + 1}, Types: client.Coded{Dictionary: []string{"ready"}}}
	if err := a.AddColumns(t.Context(), &columns); err != nil {
		t.Fatal(err)
	}
	totals, err := a.Close(t.Context())
	if want := (client.Totals{Sent: 1052, Accepted: 1042, Rejected: 10}); totals != want || err != nil {
		t.Errorf("got %+v, %v, want %+v", totals, err, want)
	}
	for i := int64(77); i < 1050; i += 100 {
		if !refused[i] {
			t.Errorf("event %d is not told as refused: %v", i, refused)
		}
	}
	if err := a.Add(t.Context(), tick(0)); err == nil {
		t.Errorf("a closed appender takes an event")
	}
}

func TestAnAppenderSendsWhatIsOldEnough(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Options{File: harness.Models})
	ts := dial(t, g).TimeSeries("timeseries")
	a := ts.Appender(t.Context(), client.AppenderOptions{Age: time.Millisecond})
	defer a.Close(t.Context()) //nolint:errcheck // looked at below
	if err := a.Add(t.Context(), tick(0)); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, 20*time.Second, "the event is stored without a flush", func() bool { return a.Totals().Accepted == 1 })
}

func TestAnAppenderFailsWhatMayNotBeStored(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Options{File: harness.Models})
	a := dial(t, g).TimeSeries("nowhere").Appender(t.Context(), client.AppenderOptions{})
	if err := a.Add(t.Context(), tick(0)); err != nil {
		t.Fatal(err)
	}
	totals, err := a.Close(t.Context())
	if want := (client.Totals{Sent: 1, Failed: 1}); totals != want || !errors.Is(err, prism.ReasonNotFound) {
		t.Errorf("got %+v, %v, want %+v and NOT_FOUND", totals, err, want)
	}
}

// Restarts are nothing that an appender's caller sees, and every event that was
// acked is there once.
func TestEventsAreExactOverRestarts(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Options{File: seriesFile})
	ts := dial(t, g).TimeSeries("timeseries")
	a := ts.Appender(t.Context(), client.AppenderOptions{Events: 50})
	const events, restarts = 6000, 3
	due := make(chan struct{}) // a restart, while events go on
	var adding sync.WaitGroup
	adding.Go(func() {
		defer close(due)
		for i := range events {
			if err := a.Add(t.Context(), tick(i)); err != nil {
				t.Errorf("add: %v", err)
				return
			}
			if i > 0 && i%(events/(restarts+1)) == 0 {
				due <- struct{}{}
			}
		}
	})
	for range due {
		harness.Eventually(t, 60*time.Second, "events are acked", func() bool { return a.Totals().Accepted > 0 })
		g.Restart(t)
	}
	adding.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	totals, err := a.Close(ctx)
	if totals.Sent != events || totals.Accepted != events || err != nil {
		t.Errorf("got %+v, %v", totals, err)
	}
	all, err := ts.StreamQuery(t.Context(), client.EventsQuery{TimeRange: wholeRange()}).All()
	if err != nil || len(all) != events {
		t.Fatalf("%d events are there, want %d: %v", len(all), events, err)
	}
	for i := range all {
		if all[i].Metrics["n"] != float64(i) {
			t.Fatalf("event %d is %v", i, all[i])
		}
	}
}
