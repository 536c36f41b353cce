package client_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/prism-data-layer/prism/pkg/client"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

// adminKey is the key that a gateway makes at its first start.
func adminKey(t *testing.T, g *harness.Gateway) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(g.Dir, "data", "admin.key"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// A restart is nothing that a caller sees, and every increment happens once.
func TestIncrementsAreExactOverRestarts(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Options{File: harness.Small})
	c := dial(t, g, client.WithConnections(2))
	kv := c.KeyValue("disk")
	const callers, between, restarts = 16, 168, 5
	var done atomic.Int64
	var over atomic.Bool
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for !over.Load() {
				if _, _, err := kv.Increment(t.Context(), "n", 1); err != nil {
					t.Errorf("increment: %v", err)
				}
				done.Add(1)
			}
		})
	}
	goOn := func() {
		from := done.Load()
		harness.Eventually(t, 20*time.Second, "calls go on", func() bool { return done.Load() >= from+between })
	}
	for i := range restarts {
		goOn()
		if i%2 == 0 {
			g.Restart(t)
			continue
		}
		_ = g.Kill() // calls in flight are cut off: what they did is not known
		g.Run(t)
	}
	goOn()
	over.Store(true)
	wg.Wait()
	n, _, err := kv.Increment(t.Context(), "n", 0)
	if err != nil || n != done.Load() {
		t.Errorf("the sum is %d, %v, want %d", n, err, done.Load())
	}
	if c.Stats().Retries.Load() == 0 {
		t.Error("nothing was sent again: no restart was met")
	}
}

// A watch goes on over restarts: every change once, in order.
func TestWatchGoesOnOverRestarts(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Options{File: harness.Small})
	c := dial(t, g)
	kv := c.KeyValue("disk")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	resumed := 0
	w, err := kv.Watch(ctx, client.WatchOptions{Prefix: "k", Values: true, Resumed: func(string, *prism.Error) { resumed++ }})
	ok(t, err)
	defer w.Close()
	const writes, restarts = 300, 3
	ahead := make(chan struct{}, 20) // writes that the watch has not told of
	due := make(chan struct{})       // a restart, while writes go on
	go func() {
		for i := range writes {
			ahead <- struct{}{}
			if _, err := kv.Set(ctx, "k", []byte(strconv.Itoa(i))); err != nil && ctx.Err() == nil {
				t.Errorf("set: %v", err)
			}
			if i%10 == 0 {
				_, _ = kv.Set(ctx, "other", nil)
			}
			if i > 0 && i%(writes/(restarts+1)) == 0 {
				due <- struct{}{}
			}
		}
	}()
	go func() {
		for range restarts {
			<-due
			g.Restart(t)
		}
	}()
	seen, last := 0, uint64(0)
	deadline := time.AfterFunc(2*time.Minute, cancel)
	defer deadline.Stop()
	for seen < writes {
		changes, err := w.Next()
		if err != nil {
			t.Fatalf("after %d of %d changes: %v", seen, writes, err)
		}
		for _, ch := range changes {
			if ch.Kind != client.ChangeSet || ch.Key != "k" || ch.Previous != last || ch.Version <= last {
				t.Fatalf("change %d is %+v, the one before had version %d", seen, ch, last)
			}
			if ch.HasValue && seen == writes-1 && string(ch.Value) != strconv.Itoa(seen) {
				t.Errorf("the last value is %q", ch.Value)
			}
			last = ch.Version
			seen++
			<-ahead
		}
	}
	if resumed == 0 || c.Stats().Resumes.Load() != int64(resumed) {
		t.Errorf("%d resumptions were told, %d counted", resumed, c.Stats().Resumes.Load())
	}
	// From its position another watch goes on: nothing of before comes again.
	position := w.Position()
	_, err = kv.Set(ctx, "k", []byte("after"))
	ok(t, err)
	again, err := kv.Watch(ctx, client.WatchOptions{Prefix: "k", Position: position})
	ok(t, err)
	defer again.Close()
	changes, err := again.Next()
	if err != nil || len(changes) != 1 || changes[0].Previous != last {
		t.Errorf("a watch from the position has %+v, %v", changes, err)
	}
	again.Close()
	if _, err := again.Next(); err == nil {
		t.Error("a closed watch goes on")
	}
	_, err = kv.Watch(ctx, client.WatchOptions{Position: "no"})
	refused(t, "a bad position", err, prism.ReasonInvalidCursor)
	for k, text := range map[client.ChangeKind]string{client.ChangeSet: "set", client.ChangeDelete: "delete", client.ChangeExpire: "expire", 99: "unknown"} {
		if k.String() != text {
			t.Errorf("kind %d is %q", k, k)
		}
	}
}

// A watcher that was too slow for the gateway goes on where it was, without a
// gap and without anything twice.
func TestWatchGoesOnAfterItWasTooSlow(t *testing.T) {
	t.Parallel()
	now := clock.NewFake(time.Now())
	g := harness.Start(t, harness.Options{Clock: now})
	var why []prism.Reason
	c := dial(t, g)
	w, err := c.KeyValue(ns).Watch(t.Context(), client.WatchOptions{Values: true, Resumed: func(_ string, e *prism.Error) { why = append(why, e.Reason) }})
	ok(t, err)
	defer w.Close()
	const keys = 40
	for i := range keys {
		_, err := c.KeyValue(ns).Set(t.Context(), fmt.Sprint(i), make([]byte, 256<<10))
		ok(t, err)
	}
	harness.Eventually(t, 30*time.Second, "the gateway gives the watcher up", func() bool {
		now.Advance(time.Second)
		status, err := g.Admin(t).GetStatus(t.Context(), &adminv1.GetStatusRequest{})
		return err == nil && status.ActiveStreams <= 1 // of the pipeline
	})
	for seen := 0; seen < keys; {
		changes, err := w.Next()
		ok(t, err)
		for _, change := range changes {
			if change.Key != fmt.Sprint(seen) {
				t.Fatalf("change %d is of key %s", seen, change.Key)
			}
			seen++
		}
	}
	if !slices.Contains(why, prism.ReasonSlowConsumer) {
		t.Errorf("it was resumed for %v", why)
	}
}

func TestTransactionIsRunAgainAsAWhole(t *testing.T) {
	t.Parallel()
	c := dial(t, harness.Start(t, harness.Options{}))
	kv, ctx := c.KeyValue(ns), t.Context()
	const callers, each = 4, 10
	var runs atomic.Int64
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for done := 0; done < each; {
				_, err := kv.Transaction(ctx, func(tx *client.Tx) error {
					runs.Add(1)
					e, _, err := tx.Get("n")
					if err != nil {
						return err
					}
					n, _ := strconv.Atoi(string(e.Value))
					if err := tx.Set("n", []byte(strconv.Itoa(n+1)), client.TTL(time.Hour)); err != nil {
						return err
					}
					return tx.Delete("gone")
				})
				switch {
				case err == nil:
					done++
				case !errors.Is(err, prism.ReasonConflict):
					t.Errorf("transaction: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	e, err := kv.Get(ctx, "n")
	if err != nil || string(e.Value) != fmt.Sprint(callers*each) {
		t.Errorf("n is %q, %v", e.Value, err)
	}
	if runs.Load() <= callers*each {
		t.Log("no conflict was met")
	}
	mine := errors.New("my own")
	_, err = kv.Transaction(ctx, func(tx *client.Tx) error {
		_ = tx.Set("rolled back", nil)
		return mine
	})
	if !errors.Is(err, mine) {
		t.Errorf("the caller's error came back as %v", err)
	}
	if there, _ := kv.Exists(ctx, "rolled back"); there {
		t.Error("what was rolled back is there")
	}
	_, err = kv.Transaction(ctx, func(tx *client.Tx) error { return tx.Set("", nil) })
	refused(t, "a bad key", err, prism.ReasonInvalidArgument)
	conflicts := 0
	_, err = kv.Transaction(ctx, func(tx *client.Tx) error {
		conflicts++
		_, _, err := tx.Get("n")
		if err == nil {
			_, err = kv.Set(ctx, "n", []byte("0")) // another writer, each time
		}
		if err == nil {
			err = tx.Set("n", []byte("1"))
		}
		return err
	})
	refused(t, "a conflict that stays", err, prism.ReasonConflict)
	if conflicts != 4 {
		t.Errorf("it was run %d times, want 4", conflicts)
	}
}

// A forgetful stream loses answers to commits, as a connection that breaks does.
type forgetful struct {
	grpc.ClientStream
	lose *atomic.Int32
}

func (f forgetful) RecvMsg(m any) error {
	err := f.ClientStream.RecvMsg(m)
	if r, ok := m.(*kvv1.TransactionResponse); ok && err == nil && r.GetCommitted() != nil && f.lose.Add(-1) >= 0 {
		return status.Error(codes.Unavailable, "the connection is gone")
	}
	return err
}

func TestTransactionWhoseAnswerIsLostHappensOnce(t *testing.T) {
	t.Parallel()
	var lose atomic.Int32
	c := dial(t, harness.Start(t, harness.Options{}), client.WithDialOptions(grpc.WithChainStreamInterceptor(
		func(ctx context.Context, d *grpc.StreamDesc, cc *grpc.ClientConn, method string, next grpc.Streamer, o ...grpc.CallOption) (grpc.ClientStream, error) {
			st, err := next(ctx, d, cc, method, o...)
			return forgetful{st, &lose}, err
		})))
	kv := c.KeyValue(ns)
	for n, lost := range []int32{1, 2, 0, 3} {
		lose.Store(lost)
		written, err := kv.Transaction(t.Context(), func(tx *client.Tx) error {
			e, _, err := tx.Get("n")
			if err != nil {
				return err
			}
			was, _ := strconv.Atoi(string(e.Value))
			return errors.Join(tx.Set("n", []byte(strconv.Itoa(was+1))), tx.Delete("gone"))
		})
		lose.Store(0)
		ok(t, err)
		if e, err := kv.Get(t.Context(), "n"); err != nil || string(e.Value) != strconv.Itoa(n+1) || e.Version != written["n"] {
			t.Errorf("with %d answers lost n is %q of version %d, %v, want %d of version %d", lost, e.Value, e.Version, err, n+1, written["n"])
		}
	}
}

func TestTransactionTellsTheVersionsThatItMade(t *testing.T) {
	t.Parallel()
	kv, ctx := dial(t, harness.Start(t, harness.Options{})).KeyValue(ns), t.Context()
	before, err := kv.Set(ctx, "there", []byte("v"))
	ok(t, err)
	written, err := kv.Transaction(ctx, func(tx *client.Tx) error {
		e, found, err := tx.Get("there")
		if err != nil || !found || e.Version != before || string(e.Value) != "v" {
			t.Errorf("Get: %+v %v %v, want version %d", e, found, err, before)
		}
		err = errors.Join(tx.Set("there", []byte("w")), tx.Set("made", nil), tx.Delete("never"))
		if e, _, getErr := tx.Get("there"); e.Version != 0 || string(e.Value) != "w" {
			t.Errorf("its own write reads as %+v, %v", e, getErr)
		}
		return err
	})
	ok(t, err)
	for _, key := range []string{"there", "made"} {
		if e, err := kv.Get(ctx, key); err != nil || e.Version != written[key] || e.Version <= before {
			t.Errorf("%s has version %d, the commit told %d, %v", key, e.Version, written[key], err)
		}
	}
	if v, told := written["never"]; !told || v != 0 || len(written) != 3 {
		t.Errorf("versions %v, want three of which one is 0", written)
	}
}

// Nothing that a client started is left behind.
func TestClosedClientsLeaveNothingBehind(t *testing.T) {
	g := harness.Start(t, harness.Options{})
	c, err := client.Dial(g.Addr("data"))
	ok(t, err)
	_, err = c.KeyValue(ns).Set(t.Context(), "k", nil)
	ok(t, err)
	w, err := c.KeyValue(ns).Watch(t.Context(), client.WatchOptions{})
	ok(t, err)
	w.Close()
	ok(t, c.Close())
	harness.Eventually(t, 30*time.Second, "goroutines of the client end", func() bool { return !strings.Contains(stacks(), "prism/pkg/client.") })
}
