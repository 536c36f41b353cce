package guard_test

import (
	"context"
	"testing"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/guard"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// silent opens a query without a word to its store, which does not answer.
type silent struct{ driver.TimeSeries }

func (silent) QueryEvents(context.Context, prism.Namespace, driver.EventQuery) (driver.EventReader, error) {
	return silentReader{}, nil
}

type silentReader struct{ driver.EventReader }

func (silentReader) Page(context.Context) (driver.EventPage, error) {
	return driver.EventPage{}, away()
}

func TestAReaderThatOpensIsNoAnswer(t *testing.T) {
	t.Parallel()
	g := guard.New("b", guard.Settings{}, clock.NewFake(start))
	set := g.Wrap(driver.Set{Info: driver.Info{Driver: "silent"}, TimeSeries: silent{}})
	for range guard.DefaultFailures {
		r, err := set.TimeSeries.QueryEvents(t.Context(), "n", driver.EventQuery{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Page(t.Context()); err == nil {
			t.Fatal("a page of a store that does not answer")
		}
	}
	if got := g.State(); got != guard.Open {
		t.Errorf("the breaker is %s after %d pages that failed in a row", got, guard.DefaultFailures)
	}
}
