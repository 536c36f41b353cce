package clickhouse

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// identified are events with ids; an empty one is none.
func identified(ids ...string) *driver.EventBatch {
	b := &driver.EventBatch{Times: make([]int64, len(ids))}
	for _, id := range ids {
		b.IDs.Data = append(b.IDs.Data, id...)
		b.IDs.Ends = append(b.IDs.Ends, uint32(len(b.IDs.Data)))
	}
	return b
}

func mine(t *testing.T, w *windows, r driver.Receipt, now time.Time, ids ...string) *claim {
	t.Helper()
	c, other, err := w.claim("ns", identified(ids...), r, now)
	if err != nil || other != nil {
		t.Fatalf("claim of %q: %v, %v", ids, other, err)
	}
	return c
}

func TestIDsOnTheirWayAreWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWindows(100, 100)
	first := mine(t, w, driver.Receipt{}, noon, "a", "b")
	if _, other, _ := w.claim("ns", identified("c", "b"), driver.Receipt{}, noon); other != first {
		t.Errorf("b is on its way, and the claim waits for %v", other)
	}
	if got := mine(t, w, driver.Receipt{}, noon, "c"); got.result.Stored != 1 {
		t.Errorf("what waited had claimed c: %+v", got.result)
	}
	first.settle(noon, errors.New("refused"))
	again := mine(t, w, driver.Receipt{}, noon, "b", "a")
	if again.result.Stored != 2 {
		t.Errorf("what was refused is not new again: %+v", again.result)
	}
	again.settle(noon, nil)
	if got := mine(t, w, driver.Receipt{}, noon, "a", "b", "d", ""); got.result != (driver.AppendResult{Stored: 2, Duplicates: 2}) {
		t.Errorf("got %+v", got.result)
	}
}

func TestWindowsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWindows(10, 3)
	for i := range 100 {
		mine(t, w, driver.Receipt{ID: [16]byte{byte(i)}, Keep: time.Hour}, noon, fmt.Sprint(i)).settle(noon, nil)
	}
	v := w.of["ns"]
	if len(v.ids) != 10 || len(v.receipts) != 3 || w.count("ns") != 3 {
		t.Errorf("%d ids and %d receipts are remembered, want 10 and 3", len(v.ids), len(v.receipts))
	}
	mine(t, w, driver.Receipt{ID: [16]byte{200}, Keep: time.Hour, Max: 1}, noon, "x").settle(noon, nil)
	if len(v.receipts) != 1 {
		t.Errorf("%d receipts are remembered, want the 1 that was asked for", len(v.receipts))
	}
	w.sweep(noon.Add(driver.DedupeWindow))
	if w.of["ns"] == nil || len(v.ids) != 0 {
		t.Error("ids outlive their window, or a receipt is gone with them")
	}
	w.sweep(noon.Add(time.Hour))
	if w.of["ns"] != nil {
		t.Error("an empty window stays")
	}
}

func TestAReceiptEndsAtItsTime(t *testing.T) {
	t.Parallel()
	w := newWindows(10, 10)
	long := driver.Receipt{ID: [16]byte{1}, Keep: time.Hour}
	short := driver.Receipt{ID: [16]byte{2}, Keep: time.Minute}
	mine(t, w, long, noon, "").settle(noon, nil)
	mine(t, w, short, noon, "").settle(noon, nil)
	later := noon.Add(2 * time.Minute)
	if c := mine(t, w, short, later, ""); c.result.Replayed {
		t.Error("a receipt is answered after its end, because one before it is kept longer")
	}
	if c := mine(t, w, long, later, ""); !c.result.Replayed {
		t.Error("a receipt is not answered within its time")
	}
	other := long
	other.Body = [16]byte{9}
	if _, _, err := w.claim("ns", identified(""), other, later); !errors.Is(err, prism.ReasonKeyReused) {
		t.Errorf("another body: %v", err)
	}
}
