package around_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/around"
	"github.com/prism-data-layer/prism/pkg/driver/drivertest"
	"github.com/prism-data-layer/prism/pkg/driver/memory"
)

// counter is a whole wrapper: it counts and does nothing else.
type counter struct{ begun, ended *atomic.Int64 }

func (c counter) Begin(ctx context.Context, _ around.Call) (context.Context, struct{}, error) {
	c.begun.Add(1)
	return ctx, struct{}{}, nil
}

func (c counter) End(struct{}, error) { c.ended.Add(1) }

func TestAWrapperThatOnlyCountsKeepsEveryPromise(t *testing.T) {
	c := counter{new(atomic.Int64), new(atomic.Int64)}
	wrap := func(s driver.Set) driver.Set { return around.Wrap(s, c) }
	drivertest.Run(t, drivertest.Driver(memory.Spec()).Wrapped("memory, counted", wrap))
	if b, e := c.begun.Load(), c.ended.Load(); b == 0 || b != e {
		t.Errorf("%d calls begun, %d ended", b, e)
	}
}
