package pubsub_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prism-data-layer/prism/loadtest"
	"github.com/prism-data-layer/prism/loadtest/pace"
	"github.com/prism-data-layer/prism/loadtest/workload/pubsub"
)

// hub delivers each event to all, one of which may lose some.
type hub struct {
	mu     sync.Mutex
	subs   []chan []byte
	topics map[string]int
	refuse error
	losing bool
}

func (h *hub) Publish(_ context.Context, topic string, payload []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.topics[topic]++
	for i, s := range h.subs {
		if h.losing && i == 0 && h.topics[topic]%10 == 0 {
			continue
		}
		s <- payload
	}
	return nil
}

func (h *hub) Subscribe(ctx context.Context, pattern string) (pubsub.Subscription, error) {
	if h.refuse != nil {
		return nil, h.refuse
	}
	if !strings.HasSuffix(pattern, ".>") {
		return nil, errors.New(pattern)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	s := &sub{ctx, make(chan []byte, 1000)}
	h.subs = append(h.subs, s.events)
	return s, nil
}

type sub struct {
	ctx    context.Context
	events chan []byte
}

func (s *sub) Close() {}

func (s *sub) Next() ([][]byte, int64, error) {
	select {
	case e := <-s.events:
		time.Sleep(2 * time.Millisecond)
		return [][]byte{e, []byte("somebody else's")}, 0, nil
	case <-s.ctx.Done():
		return nil, 0, io.EOF
	}
}

func TestEverySubscriberGetsEveryEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, losing := range []bool{false, true} {
			h := &hub{topics: map[string]int{}, losing: losing}
			w, err := pubsub.New(h, pubsub.Config{Subscribers: 3, Topics: 1, Prefix: "load.x.", Run: 5})
			if err != nil {
				t.Fatal(err)
			}
			s, _ := pace.Constant(100, time.Second)
			r, err := loadtest.Run(t.Context(), loadtest.Plan{Schedule: s, Grace: 500 * time.Millisecond}, w)
			if err != nil {
				t.Fatal(err)
			}
			got, missing := r.Streams[0], uint64(0)
			if losing {
				missing = 10
			}
			if got.Messages != 300-missing || got.Missing() != missing || *got.Expected != 300 || got.Delay.P50Ms < 1.99 || got.Delay.P50Ms > 2.01 || h.topics["load.x.0"] != 100 {
				t.Errorf("got %+v, %v", got, h.topics)
			}
		}
	})
}

func TestASubscriberThatIsRefusedEndsTheRunBeforeItBegins(t *testing.T) {
	t.Parallel()
	w, _ := pubsub.New(&hub{refuse: errors.New("no")}, pubsub.Config{})
	s, _ := pace.Constant(100, time.Second)
	if _, err := loadtest.Run(t.Context(), loadtest.Plan{Schedule: s}, w); err == nil || !strings.Contains(err.Error(), "subscriber 1: no") {
		t.Errorf("got %v", err)
	}
	if _, err := pubsub.New(nil, pubsub.Config{Order: "x"}); err == nil {
		t.Error("a wrong order is not refused")
	}
}
