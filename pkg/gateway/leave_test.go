package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// A caller that leaves is no bug of ours: it is neither logged as one nor
// counted as one, and nothing of its streams stays.
func TestLeavingIsNoError(t *testing.T) {
	t.Parallel()
	logs := &logBuffer{}
	g, kv, _ := start(t, harness.Options{Log: logs})
	for range 5 {
		ctx, leave := context.WithCancel(context.Background())
		silent, err := kv.Pipeline(ctx)
		must[any](t)(nil, err)
		_, err = kv.Transaction(ctx)
		must[any](t)(nil, err)
		p := open(t, kv, ctx)
		p.send(1, getOf("k"))
		p.answer(1)
		st := begin(t, kv, ctx, &kvv1.TransactionBegin{})
		step(t, st, txSet("k", "v"))
		w, _ := watching(t, kv, ctx, &kvv1.WatchRequest{})
		time.Sleep(5 * time.Millisecond)
		leave()
		for _, err := range []error{ends(t, 30*time.Second, silent.Recv), p.end(), ends(t, 30*time.Second, st.Recv), ends(t, 30*time.Second, w.Recv)} {
			if harness.Read(err).Code() != codes.Canceled && !errors.Is(err, context.Canceled) {
				t.Errorf("it ends with %v", err)
			}
		}
	}
	harness.Eventually(t, 30*time.Second, "the streams are gone", func() bool {
		s, err := g.Admin(t).GetStatus(harness.Context(t), &adminv1.GetStatusRequest{})
		return err == nil && s.ActiveStreams == 0
	})
	if text := logs.String(); strings.Contains(text, `"level":"ERROR"`) {
		t.Errorf("it is logged as an error:\n%s", text)
	}
	stats, err := g.Admin(t).GetStats(harness.Context(t), &adminv1.GetStatsRequest{})
	must[any](t)(nil, err)
	if stats == nil {
		t.Fatal("no stats")
	}
}

// A message is taken up to 4 MiB.
func TestMessagesAreBounded(t *testing.T) {
	t.Parallel()
	_, kv, ctx := start(t, harness.Options{})
	of := func(size int) *kvv1.BatchSetRequest {
		r := &kvv1.BatchSetRequest{Namespace: ns}
		for i := range 4 {
			r.Items = append(r.Items, &kvv1.SetRequest{Key: string(rune('a' + i)), Value: make([]byte, size/4)})
		}
		return r
	}
	if _, err := kv.BatchSet(ctx, of(4<<20-1000)); err != nil {
		t.Errorf("just below: %v", err)
	}
	_, err := kv.BatchSet(ctx, of(4<<20+4))
	if harness.Read(err).Code() != codes.ResourceExhausted {
		t.Errorf("just above: %v", err)
	}
	for n, reason := range map[int]prism.Reason{prism.MaxKeyBytes: "", prism.MaxKeyBytes + 1: prism.ReasonInvalidArgument} {
		_, err := kv.Set(ctx, &kvv1.SetRequest{Namespace: ns, Key: strings.Repeat("k", n)})
		if harness.Reason(err) != string(reason) {
			t.Errorf("a key of %d bytes: %v", n, err)
		}
	}
}
