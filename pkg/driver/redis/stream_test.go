package redis_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/redis/redistest"
	"github.com/prism-data-layer/prism/pkg/prism"
)

const orders = "orders"

func makeTopic(t *testing.T, s driver.Set, ns prism.Namespace, o driver.TopicOptions) {
	t.Helper()
	if _, err := s.Stream.CreateTopic(t.Context(), ns, orders, o); err != nil {
		t.Fatal(err)
	}
}

// appendTo appends a message to a partition.
func appendTo(ctx context.Context, s driver.Set, ns prism.Namespace, partition int32, payload string) (driver.StreamResult, error) {
	results := make([]driver.StreamResult, 1)
	err := s.StreamPartitioning.AppendTo(ctx, ns, orders, partition, []driver.StreamMessage{{Payload: []byte(payload)}}, results)
	return results[0], errors.Join(err, results[0].Err)
}

func TestAReaderHearsOfWhatAnotherGatewayAppends(t *testing.T) {
	t.Parallel()
	server := shared.get(t, redistest.Seven())
	here, there := open(t, server, ""), stopped(t, server)
	const ns, readers = "readers", 5
	makeTopic(t, here, ns, driver.TopicOptions{Partitions: 2})
	c := raw(t, server)
	for offset := range int64(3) {
		var wait sync.WaitGroup
		for range readers {
			wait.Go(func() {
				records, err := there.Stream.Read(t.Context(), ns, orders, driver.StreamRead{Partition: 1, Offset: offset, Max: 9, Wait: time.Hour})
				if err != nil || len(records) != 1 || records[0].Offset != offset {
					t.Errorf("a reader got %+v, %v", records, err)
				}
			})
		}
		eventually(t, "one of them waits", func() bool { return c.HGet(t.Context(), "{p1:7:readers:t:orders}m", "w1").Val() == "1" })
		if err := second(appendTo(t.Context(), here, ns, 0, "elsewhere")); err != nil {
			t.Fatal(err)
		}
		if err := second(appendTo(t.Context(), here, ns, 1, "m")); err != nil {
			t.Fatal(err)
		}
		wait.Wait()
	}
}

func TestNothingOfALogIsLostInACrash(t *testing.T) {
	t.Parallel()
	server := redistest.Eight().Start(t, "--appendonly", "yes", "--appendfsync", "always")
	s := open(t, server, "")
	const ns, partitions = "crash", 3
	makeTopic(t, s, ns, driver.TopicOptions{Partitions: partitions})
	var mu sync.Mutex
	acked := map[driver.PartitionOffset]string{}
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(acked)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var calls sync.WaitGroup
	for i := range 4 {
		calls.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				p := fmt.Sprintf("%d-%d", i, n)
				r, err := appendTo(context.Background(), s, ns, int32(n%partitions), p)
				if err != nil {
					continue
				}
				at := driver.PartitionOffset{Partition: r.Partition, Offset: r.Offset}
				mu.Lock()
				if acked[at] != "" {
					t.Errorf("offset %+v was given to %s and to %s", at, acked[at], p)
				}
				acked[at] = p
				mu.Unlock()
			}
		})
	}
	for range 3 {
		at := count()
		eventually(t, "the log grows", func() bool { return count() > at+50 })
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	calls.Wait()
	for n := range int32(partitions) {
		var records []driver.StreamRecord
		eventually(t, "the server is back", func() bool {
			var err error
			records, err = s.Stream.Read(t.Context(), ns, orders, driver.StreamRead{Partition: n, Max: 1 << 20})
			return err == nil
		})
		for i, r := range records {
			at := driver.PartitionOffset{Partition: n, Offset: r.Offset}
			if p := acked[at]; r.Offset != int64(i) || p != "" && p != string(r.Payload) {
				t.Errorf("record %d has offset %d and payload %q, want %q", i, r.Offset, r.Payload, p)
			}
			delete(acked, at)
		}
	}
	if len(acked) > 0 {
		t.Errorf("acked and not there: %v", acked)
	}
}

func TestALogThatNobodyReadsIsTrimmed(t *testing.T) {
	t.Parallel()
	server := redistest.Seven().Start(t, "--appendonly", "no")
	s, c := open(t, server, ""), raw(t, server)
	const ns, topic = "idle", "{p1:4:idle:t:orders}"
	makeTopic(t, s, ns, driver.TopicOptions{Partitions: 1, Retention: driver.Retention{Age: time.Second}})
	for range 3 {
		if err := second(appendTo(t.Context(), s, ns, 0, "m")); err != nil {
			t.Fatal(err)
		}
	}
	if n := c.XLen(t.Context(), topic+"s0").Val(); n == 0 {
		t.Fatalf("the partition is not where it is documented")
	}
	eventually(t, "what is past the retention goes", func() bool { return c.XLen(t.Context(), topic+"s0").Val() == 0 })
	if err := s.StreamConsumerGroups.Commit(t.Context(), ns, orders, "g", []driver.PartitionOffset{{Offset: 3}}); err != nil {
		t.Error(err)
	}
	if err := s.Store.Drop(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	if got := c.Keys(t.Context(), "{p1:4:idle:*").Val(); !slices.Equal(got, []string{"{p1:4:idle:0}m"}) {
		t.Errorf("Drop leaves %q", got)
	}
}
