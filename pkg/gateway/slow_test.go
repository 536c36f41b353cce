package gateway_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

// more than flow control lets a client leave unread.
const large, many = 256 << 10, 40

// fill writes what a watcher who does not read cannot be sent.
func fill(t *testing.T, kv kvv1.KeyValueServiceClient) {
	t.Helper()
	for i := range many {
		if _, err := kv.Set(t.Context(), &kvv1.SetRequest{Namespace: ns, Key: fmt.Sprint("k", i), Value: bytes.Repeat([]byte{byte(i)}, large)}); err != nil {
			t.Fatal(err)
		}
	}
}

// seen reads a watch to its end.
func seen(st watchStream, keys map[string]int) error {
	for {
		r, err := st.Recv()
		if err != nil {
			return err
		}
		for _, c := range r.Changes {
			keys[c.Key]++
		}
	}
}

func TestASubscriberWhoDoesNotReadIsEndedWithItsPosition(t *testing.T) {
	t.Parallel()
	c := clock.NewFake(time.Now())
	g, kv, ctx := start(t, harness.Options{Clock: c})
	st, _ := watching(t, kv, ctx, &kvv1.WatchRequest{Prefix: "k", IncludeValues: true})
	fill(t, kv)
	harness.Eventually(t, 30*time.Second, "the stream ends at the gateway", func() bool {
		c.Advance(time.Second)
		status, err := g.Admin(t).GetStatus(ctx, &adminv1.GetStatusRequest{})
		return err == nil && status.ActiveStreams == 0
	})
	// The client wakes up: it gets what was sent, then the reason.
	keys := map[string]int{}
	o := want(t, "the slow reader's end", seen(st, keys), codes.ResourceExhausted, prism.ReasonSlowConsumer)
	if o.Resume.GetPosition() == "" || o.Request.GetRequestId() == "" {
		t.Fatalf("the end says %v, %v", o.Resume, o.Request)
	}
	// What it goes on with is what it has not been sent. A message that was
	// under way may come twice.
	rest, err := kv.Watch(ctx, &kvv1.WatchRequest{Namespace: ns, Prefix: "k", IncludeValues: true, Position: o.Resume.Position})
	if err != nil {
		t.Fatal(err)
	}
	for len(keys) < many {
		r, err := rest.Recv()
		if err != nil {
			t.Fatalf("after %d keys: %v", len(keys), err)
		}
		for _, c := range r.Changes {
			keys[c.Key]++
		}
	}
}

func TestASubscriberWhoReadsIsNotTakenForSlow(t *testing.T) {
	t.Parallel()
	c := clock.NewFake(time.Now())
	_, kv, ctx := start(t, harness.Options{Clock: c})
	st, _ := watching(t, kv, ctx, &kvv1.WatchRequest{Prefix: "k", IncludeValues: true})
	for i := range 5 {
		set(t, kv, fmt.Sprint("k", i), "v")
		r, err := st.Recv()
		if err != nil || len(r.Changes) != 1 {
			t.Fatalf("change %d: %v, %v", i, r, err)
		}
		c.Advance(11 * time.Second) // longer than a slow one has
	}
}
