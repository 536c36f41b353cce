package ts_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prism-data-layer/prism/loadtest"
	"github.com/prism-data-layer/prism/loadtest/pace"
	"github.com/prism-data-layer/prism/loadtest/workload/ts"
)

// store remembers what it was asked.
type store struct{}

func (store) Append(_ context.Context, events []ts.Event) error {
	now := time.Now()
	for i, e := range events {
		if e.Time.After(now) || e.Source != events[0].Source || i > 0 && !e.Time.After(events[i-1].Time) {
			panic("an event of the future, of another source or not in order")
		}
	}
	return nil
}

func (store) Query(_ context.Context, _ string, from, to time.Time, most int) (int, error) {
	if to.Sub(from) != time.Minute || most != 20 {
		panic("another range")
	}
	return most, nil
}

func (store) Aggregate(context.Context, string, time.Time, time.Time, time.Duration) (int, error) {
	return 0, nil
}

func TestEventsAreAppendedQueriedAndAggregated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, err := ts.New(store{}, ts.Config{Mix: "append=8,query=1,aggregate=1", Batch: 20, Sources: 3})
		if err != nil {
			t.Fatal(err)
		}
		s, _ := pace.Constant(100, time.Second)
		r, err := loadtest.Run(t.Context(), loadtest.Plan{Schedule: s}, w)
		if err != nil {
			t.Fatal(err)
		}
		a, q, g := r.Operations[0], r.Operations[1], r.Operations[2]
		if a.OK < 78 || a.OK > 82 || a.Items != 20*a.OK || q.Items != 20*q.OK || q.Missed != 0 || g.OK < 8 || g.Missed != g.OK || r.Requests.Failed != 0 {
			t.Errorf("got %+v, %+v, %+v", a, q, g)
		}
	})
	if _, err := ts.New(store{}, ts.Config{Batch: 1 << 20}); err == nil {
		t.Error("a batch that no call takes is not refused")
	}
}
