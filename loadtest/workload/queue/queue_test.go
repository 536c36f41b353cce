package queue_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prism-data-layer/prism/loadtest"
	"github.com/prism-data-layer/prism/loadtest/pace"
	"github.com/prism-data-layer/prism/loadtest/workload/queue"
)

// line is a queue in memory.
type line struct {
	mu       sync.Mutex
	messages [][]byte
	acked    int
	broken   bool
}

func (l *line) Publish(_ context.Context, payload []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.messages = append(l.messages, payload)
	return nil
}

func (l *line) Receive(ctx context.Context, most int, wait time.Duration) ([]queue.Leased, error) {
	for end := time.Now().Add(wait); ; {
		l.mu.Lock()
		if l.broken {
			l.mu.Unlock()
			return nil, errors.New("broken")
		}
		n := min(most, len(l.messages))
		var got []queue.Leased
		for _, m := range l.messages[:n] {
			got = append(got, queue.Leased{Payload: m})
		}
		l.messages = l.messages[n:]
		l.mu.Unlock()
		if n > 0 || !time.Now().Before(end) || ctx.Err() != nil {
			return got, ctx.Err()
		}
		time.Sleep(time.Millisecond)
	}
}

func (l *line) Ack(_ context.Context, messages []queue.Leased) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked += len(messages)
	return nil
}

func plan(t *testing.T) loadtest.Plan {
	t.Helper()
	s, err := pace.Constant(100, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return loadtest.Plan{Schedule: s, Grace: time.Second}
}

func TestConsumersWorkOffWhatIsPublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &line{}
		w, err := queue.New(l, queue.Config{Values: loadtest.FixedSize(40), Consumers: 2, Run: 7})
		if err != nil {
			t.Fatal(err)
		}
		l.messages = [][]byte{make([]byte, 40), []byte("x")} // of somebody else
		for range 2 {                                        // a workload runs again
			r, err := loadtest.Run(t.Context(), plan(t), w)
			if err != nil {
				t.Fatal(err)
			}
			s := r.Streams[0]
			if s.Messages != 100 || s.Missing() != 0 || s.Bytes != 4000 || s.Delay.MaxMs > 1.01 || s.FirstMs > 1.01 || r.Operations[0].SentBytes != 4000 {
				t.Errorf("got %+v", s)
			}
		}
		if l.acked != 202 {
			t.Errorf("%d acknowledged, want all", l.acked)
		}
	})
}

func TestReceivingAsARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, err := queue.New(&line{}, queue.Config{Mix: "publish=1,receive=1", Consumers: -1, Run: 7})
		if err != nil {
			t.Fatal(err)
		}
		r, err := loadtest.Run(t.Context(), plan(t), w)
		if err != nil {
			t.Fatal(err)
		}
		if o := r.Operations[1]; o.OK < 48 || o.OK > 52 || o.OK-o.Missed != r.Streams[0].Messages || r.Streams[0].Expected != nil {
			t.Errorf("got %+v, %+v", o, r.Streams[0])
		}
	})
}

func TestABrokenConsumerIsCountedAndTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &line{broken: true}
		w, _ := queue.New(l, queue.Config{Consumers: 1})
		time.AfterFunc(500*time.Millisecond, func() { l.mu.Lock(); l.broken = false; l.mu.Unlock() })
		r, err := loadtest.Run(t.Context(), plan(t), w)
		if err != nil {
			t.Fatal(err)
		}
		s := r.Streams[0]
		if s.Failed < 4 || s.Failed > 6 || s.Messages != 100 || r.Errors[0].Operation != "delivery" {
			t.Errorf("got %+v, %+v", s, r.Errors)
		}
	})
}

func TestWrongConfigurationsAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]queue.Config{"mix": {Mix: "pub=1"}, "batch": {Batch: -1}, "size": {Values: loadtest.FixedSize(-1)}} {
		if _, err := queue.New(&line{}, c); err == nil {
			t.Errorf("%s is not refused", name)
		}
	}
}
