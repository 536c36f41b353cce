package redis

import (
	"fmt"
	"sync"
	"testing"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/redis/redistest"
	"github.com/prism-data-layer/prism/pkg/prism"
)

func within(t *testing.T) *store {
	t.Helper()
	server := redistest.Seven().Start(t, "--appendonly", "no")
	set, err := open(t.Context(), driver.Config{Name: "redis", Options: func(into any) error {
		o := into.(*options)
		o.Addrs, o.PoolSize = []string{server.Addr}, 4
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := set.Store.Close(); err != nil {
			t.Error(err)
		}
	})
	return set.Store.(*store)
}

// Calls that gather behind others which do not come back go all the same, soon.
func TestCallsDoNotWaitForThoseThatAreStuck(t *testing.T) {
	t.Parallel()
	s := within(t)
	g := s.singles.one
	g.mu.Lock()
	g.running = g.few // as if so many were on their way
	g.mu.Unlock()
	var wg sync.WaitGroup
	for n := range 300 { // more than go together
		wg.Go(func() {
			k := prism.Key{Namespace: "kv", Name: fmt.Sprint("k", n)}
			if _, err := s.Set(t.Context(), k, []byte(k.Name), driver.SetOptions{}, driver.Receipt{}); err != nil {
				t.Errorf("Set %v: %v", k, err)
			}
			if e, found, err := s.Get(t.Context(), k); err != nil || !found || string(e.Value) != k.Name {
				t.Errorf("Get %v: %+v %v %v", k, e, found, err)
			}
		})
	}
	wg.Wait()
	g.mu.Lock()
	if g.running != g.few || len(g.queue) != 0 {
		t.Errorf("%d on their way, %d wait, when all is done", g.running, len(g.queue))
	}
	g.mu.Unlock()
}

// A script that the server knew is not sent again with one that it did not.
func TestOnlyWhatWasNotKnownIsSentAgain(t *testing.T) {
	t.Parallel()
	s := within(t)
	k := prism.Key{Namespace: "kv", Name: "n"}
	p := prefix(k.Namespace)
	unknown := *batchScript
	unknown.sum = "0000000000000000000000000000000000000000"
	calls := []*script{batchScript, &unknown, batchScript}
	var parts []*part
	for i := range calls {
		parts = append(parts, &part{at: []int{i}})
	}
	sent := 0
	err := s.pipe(t.Context(), parts, func(pipe caller, part *part) {
		sent++
		args := appendOp(s.common(p), &driver.Op{Kind: driver.OpIncrement, Key: k.Name, Delta: 1})
		part.do = pipe.call(t.Context(), calls[part.at[0]], s.keys(batchScript, p), args...)
	})
	e, _, got := s.Get(t.Context(), k)
	if err != nil || got != nil || string(e.Value) != "3" || sent != 4 {
		t.Errorf("counted %s with %d calls, want 3 with 4, %v, %v", e.Value, sent, err, got)
	}
	for i, p := range parts {
		if err := p.do.Err(); err != nil {
			t.Errorf("part %d: %v", i, err)
		}
	}
}
