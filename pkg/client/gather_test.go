package client

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// answered calls do for each item at once and gives the results.
func answered(g *gather[int, int], items ...int) (results map[int]int, errs []error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	results = map[int]int{}
	for _, item := range items {
		wg.Go(func() {
			r, err := g.do(context.Background(), item, 1)
			mu.Lock()
			defer mu.Unlock()
			if results[item] = r; err != nil {
				errs = append(errs, err)
			}
		})
	}
	wg.Wait()
	return results, errs
}

func TestEachCallGetsItsOwnResultOfASharedRequest(t *testing.T) {
	var mu sync.Mutex
	var sizes []int
	g := gather[int, int]{send: func(_ context.Context, items []int) ([]int, error) {
		mu.Lock()
		sizes = append(sizes, len(items))
		mu.Unlock()
		out := make([]int, len(items))
		for i, n := range items {
			out[i] = 2 * n
		}
		return out, nil
	}}
	items := make([]int, 5*gatherItems)
	for i := range items {
		items[i] = i
	}
	results, errs := answered(&g, items...)
	for _, n := range items {
		if results[n] != 2*n {
			t.Fatalf("item %d got %d, want %d (%v)", n, results[n], 2*n, errs)
		}
	}
	total := 0
	for _, n := range sizes {
		if total += n; n > gatherItems {
			t.Errorf("a request of %d items, at most %d may be", n, gatherItems)
		}
	}
	if total != len(items) {
		t.Errorf("%d items were sent, want each once: %d", total, len(items))
	}
}

func TestARequestThatIsStuckHoldsUpNobody(t *testing.T) {
	stuck := make(chan struct{})
	begun := make(chan struct{}, 1)
	g := gather[int, int]{send: func(_ context.Context, items []int) ([]int, error) {
		if items[0] == 1 {
			begun <- struct{}{}
			<-stuck
		}
		return items, nil
	}}
	first := make(chan error, 1)
	go func() {
		_, err := g.do(context.Background(), 1, 1)
		first <- err
	}()
	<-begun
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if r, err := g.do(ctx, 2, 1); err != nil || r != 2 {
		t.Errorf("behind a request that is stuck: %d, %v", r, err)
	}
	close(stuck)
	if err := <-first; err != nil {
		t.Error(err)
	}
}

func TestWhatIsLargeDoesNotShareARequest(t *testing.T) {
	stuck := make(chan struct{})
	begun := make(chan struct{}, gatherItems)
	g := gather[int, int]{send: func(_ context.Context, items []int) ([]int, error) {
		begun <- struct{}{}
		<-stuck
		return items, nil
	}}
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			if _, err := g.do(context.Background(), i, gatherBytes); err != nil {
				t.Error(err)
			}
		})
	}
	for range 3 {
		<-begun
	}
	close(stuck)
	wg.Wait()
}

func TestAnErrorOfARequestIsThatOfAllItsCalls(t *testing.T) {
	g := gather[int, int]{send: func(context.Context, []int) ([]int, error) { return nil, errors.New("no") }}
	if _, errs := answered(&g, 1, 2, 3); len(errs) != 3 {
		t.Errorf("%d errors, want 3", len(errs))
	}
	g.send = func(context.Context, []int) ([]int, error) { return nil, nil }
	if _, errs := answered(&g, 1); len(errs) != 1 || !errors.Is(errs[0], prism.ReasonInternal) {
		t.Errorf("an answer without results: %v", errs)
	}
}
