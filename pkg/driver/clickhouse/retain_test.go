package clickhouse_test

import (
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver/clickhouse"
)

// A sweep that was slow must not delete what came after somebody has said that a
// namespace keeps its events for ever, or for longer.
func TestASweepGoesByWhatWasSaidLast(t *testing.T) {
	t.Parallel()
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			s := open(t, k)
			ctx := t.Context()
			for _, age := range []time.Duration{0, 200 * 365 * 24 * time.Hour} {
				if err := s.TimeSeriesRetention.RetainEvents(ctx, "ns", age); err != nil {
					t.Fatal(err)
				}
				if err := send(ctx, s, ticks(int(age.Hours()), 10)); err != nil {
					t.Fatal(err)
				}
				if err := clickhouse.Sweep(ctx, s, "ns", time.Hour); err != nil {
					t.Fatal(err)
				}
			}
			got, err := read(ctx, s)
			if err != nil || len(got) != 20 {
				t.Errorf("%d of 20 events are left, %v", len(got), err)
			}
			if err := s.TimeSeriesRetention.RetainEvents(ctx, "ns", time.Hour); err != nil {
				t.Fatal(err)
			}
			if err := clickhouse.Sweep(ctx, s, "ns", time.Hour); err != nil {
				t.Fatal(err)
			}
			if got, err := read(ctx, s); err != nil || len(got) != 0 {
				t.Errorf("%d events are left that are over, %v", len(got), err)
			}
		})
	}
}
