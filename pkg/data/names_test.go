package data_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/data"
	"github.com/prism-data-layer/prism/pkg/data/queue"
	"github.com/prism-data-layer/prism/pkg/data/workqueue"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/memory"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// queues is the namespace q of a store in memory, as logs and as work queues.
func queues(t *testing.T, p data.QueuePolicy, without ...string) (*queue.Store, *workqueue.Store) {
	t.Helper()
	now := clock.Real()
	set, err := memory.Spec().Open(context.Background(), driver.Config{Name: "m", Clock: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = set.Store.Close() })
	set = set.Without(without...)
	if set.Queue != nil {
		set.Queue = lookedAt{set.Queue}
	}
	sealer, names := data.NewSealer([]byte("0123456789abcdef0123456789abcdef")), data.NewNames()
	return queue.New(set, "q", p, sealer, now, new(queue.Hub), names), workqueue.New(set, "q", p, sealer, now, names)
}

// lookedAt lets others run between a look at a name and what follows from it.
type lookedAt struct{ driver.Queue }

func (q lookedAt) Info(ctx context.Context, ns prism.Namespace, name string) (driver.QueueInfo, error) {
	i, err := q.Queue.Info(ctx, ns, name)
	for range 20 {
		runtime.Gosched()
	}
	return i, err
}

func publishLog(t *testing.T, s *queue.Store, topic string) error {
	return s.Publish(t.Context(), topic, []queue.Message{{Partition: queue.AnyPartition}}, make([]queue.Result, 1))
}

func publishWork(t *testing.T, s *workqueue.Store, name string) error {
	return s.Publish(t.Context(), name, make([]workqueue.Message, 1), make([]workqueue.Result, 1))
}

func refused(t *testing.T, what string, err error, reason prism.Reason, key, value string) {
	t.Helper()
	if !errors.Is(err, reason) || key != "" && prism.From(err).Meta[key] != value {
		t.Errorf("%s: got %v %v, want %s with %s %q", what, err, prism.From(err), reason, key, value)
	}
}

func TestANameIsALogOrAWorkQueue(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	logs, work := queues(t, data.QueuePolicy{})
	if err := publishLog(t, logs, "log"); err != nil {
		t.Fatal(err)
	}
	if err := publishWork(t, work, "work"); err != nil {
		t.Fatal(err)
	}
	calls := map[string]error{"Publish to a log": publishWork(t, work, "log")}
	_, calls["Create a log"] = work.Create(ctx, "log", workqueue.Settings{})
	_, calls["Info of a log"] = work.Info(ctx, "log")
	_, calls["Receive from a log"] = work.Receive(ctx, "ann", "log", workqueue.Receive{})
	_, _, calls["Peek into a log"] = work.Peek(ctx, "ann", "log", 0, 0, "")
	_, calls["Acknowledge in a log"] = work.Acknowledge(ctx, "ann", "log", []string{"x"})
	_, calls["Redrive a log"] = work.Redrive(ctx, "log", nil, 0)
	_, calls["Purge a log"] = work.Purge(ctx, "log", nil)
	for what, err := range calls {
		refused(t, what, err, prism.ReasonWrongKind, "kind", "log")
	}
	calls = map[string]error{"Publish to a queue": publishLog(t, logs, "work")}
	_, calls["CreateTopic of a queue"] = logs.CreateTopic(ctx, "work", queue.TopicOptions{})
	_, calls["Info of a queue"] = logs.Info(ctx, "work")
	_, calls["Read a queue"] = logs.Read(ctx, "work", queue.ReadOptions{})
	_, calls["Subscribe to a queue"] = logs.Subscribe(ctx, "work", queue.SubscribeOptions{Group: "g"})
	_, calls["Seek in a queue"] = logs.Seek(ctx, "work", "g", &queue.Start{}, nil)
	calls["Commit in a queue"] = logs.Commit(ctx, "work", "g", []queue.PartitionOffset{{}})
	calls["SetRetention of a queue"] = logs.SetRetention(ctx, "work", queue.Retention{})
	_, calls["Groups of a queue"] = logs.Groups(ctx, "work")
	for what, err := range calls {
		refused(t, what, err, prism.ReasonWrongKind, "kind", "work")
	}
	_, err := work.Info(ctx, "none")
	refused(t, "what is not there", err, prism.ReasonNotFound, "kind", "")
}

// However many make a name at once, one kind wins and stays.
func TestANameThatManyMakeAtOnceIsOneKind(t *testing.T) {
	t.Parallel()
	logs, work := queues(t, data.QueuePolicy{})
	for round := range 100 {
		name := fmt.Sprintf("n%d", round)
		var all sync.WaitGroup
		begin := make(chan struct{})
		errs := make([]error, 8)
		for i := range errs {
			all.Go(func() {
				<-begin
				if i%2 == 0 {
					errs[i] = publishLog(t, logs, name)
				} else {
					errs[i] = publishWork(t, work, name)
				}
			})
		}
		close(begin)
		all.Wait()
		_, noLog := logs.Info(t.Context(), name)
		_, noWork := work.Info(t.Context(), name)
		if (noLog == nil) == (noWork == nil) {
			t.Fatalf("%s as a log: %v, as a work queue: %v", name, noLog, noWork)
		}
		for i, err := range errs {
			if is := noLog == nil; is == (i%2 == 0) && err != nil || is != (i%2 == 0) && !errors.Is(err, prism.ReasonWrongKind) {
				t.Errorf("%s is a log: %v; publisher %d got %v", name, is, i, err)
			}
		}
	}
}

func TestPublishingMakesOnlyWhatTheNamespaceSays(t *testing.T) {
	t.Parallel()
	logs, work := queues(t, data.QueuePolicy{NoAutoCreate: true})
	refused(t, "a log without auto_create", publishLog(t, logs, "log"), prism.ReasonNotFound, "auto_create", "false")
	refused(t, "a queue without auto_create", publishWork(t, work, "work"), prism.ReasonNotFound, "auto_create", "false")
	if _, err := logs.CreateTopic(t.Context(), "log", queue.TopicOptions{}); err != nil {
		t.Error(err)
	}
	if err := publishLog(t, logs, "log"); err != nil {
		t.Error(err)
	}
	refused(t, "the name of a log", publishWork(t, work, "log"), prism.ReasonWrongKind, "kind", "log")

	logs, work = queues(t, data.QueuePolicy{DefaultKind: data.WorkKind})
	refused(t, "a log where queues are made", publishLog(t, logs, "log"), prism.ReasonNotFound, "default_kind", "work")
	if err := publishWork(t, work, "work"); err != nil {
		t.Error(err)
	}
	logs, work = queues(t, data.QueuePolicy{DefaultKind: data.LogKind})
	refused(t, "a queue where logs are made", publishWork(t, work, "work"), prism.ReasonNotFound, "default_kind", "log")
	if err := publishLog(t, logs, "log"); err != nil {
		t.Error(err)
	}
	if _, err := work.Create(t.Context(), "work", workqueue.Settings{}); err != nil {
		t.Error(err)
	}
}

func TestANamespaceHasBoundsOfQueuesPartitionsAndGroups(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	logs, work := queues(t, data.QueuePolicy{Queues: 3, Partitions: 10, Groups: 1})
	create := func(name string, partitions int32) error {
		_, err := logs.CreateTopic(ctx, name, queue.TopicOptions{Partitions: partitions})
		return err
	}
	if err := errors.Join(create("a", 4), publishWork(t, work, "b")); err != nil {
		t.Fatal(err)
	}
	full := func(what string, err error, message string) {
		t.Helper()
		refused(t, what, err, prism.ReasonQuotaExceeded, "", "")
		if q := prism.From(err).Quota; q == nil || q.Subject != "namespace:q" || q.Message != message {
			t.Errorf("%s: the quota is %+v", what, q)
		}
	}
	full("seven partitions more", create("c", 7), "10 partitions")
	if err := create("c", 6); err != nil {
		t.Fatal(err)
	}
	full("a fourth name", create("d", 1), "3 topics and queues")
	full("a fourth by publishing", publishWork(t, work, "d"), "3 topics and queues")
	if err := errors.Join(create("a", 4), publishWork(t, work, "b"), publishLog(t, logs, "c")); err != nil {
		t.Errorf("what is there: %v", err)
	}
	at := []queue.PartitionOffset{{}}
	if err := errors.Join(logs.Commit(ctx, "a", "g", at), logs.Commit(ctx, "a", "g", at), logs.Commit(ctx, "c", "h", at)); err != nil {
		t.Fatal(err)
	}
	full("a second group by Commit", logs.Commit(ctx, "a", "h", at), "1 groups of a topic")
	_, err := logs.Seek(ctx, "a", "h", &queue.Start{}, nil)
	full("a second group by Seek", err, "1 groups of a topic")
	_, err = logs.Subscribe(ctx, "a", queue.SubscribeOptions{Group: "h"})
	full("a second group by Subscribe", err, "1 groups of a topic")
	m, err := logs.Subscribe(ctx, "a", queue.SubscribeOptions{Group: "g"})
	if err != nil {
		t.Fatal(err)
	}
	m.Leave()
}

func TestANamespaceHasABoundOfPayloads(t *testing.T) {
	t.Parallel()
	logs, work := queues(t, data.QueuePolicy{MessageBytes: 3})
	for n, fits := range map[int]bool{2: true, 3: true, 4: false} {
		lr, wr := make([]queue.Result, 1), make([]workqueue.Result, 1)
		err := errors.Join(
			logs.Publish(t.Context(), "log", []queue.Message{{Partition: queue.AnyPartition, Payload: make([]byte, n)}}, lr),
			work.Publish(t.Context(), "work", []workqueue.Message{{Payload: make([]byte, n)}}, wr))
		if err != nil || (lr[0].Err == nil) != fits || (wr[0].Err == nil) != fits {
			t.Errorf("%d bytes: %v, %v, %v", n, err, lr[0].Err, wr[0].Err)
		}
	}
}

func TestWhoWaitsForANameEndsWithItsContext(t *testing.T) {
	t.Parallel()
	names := data.NewNames()
	err := names.Alone(t.Context(), func() error {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		return names.Alone(ctx, func() error { return nil })
	})
	refused(t, "who waits", err, prism.ReasonCancelled, "", "")
}

// A backend of one kind alone is asked of that alone.
func TestABackendMayHaveOneKindAlone(t *testing.T) {
	t.Parallel()
	logs, _ := queues(t, data.QueuePolicy{Queues: 1}, "queue_basic")
	if err := publishLog(t, logs, "log"); err != nil {
		t.Error(err)
	}
	refused(t, "a second", publishLog(t, logs, "other"), prism.ReasonQuotaExceeded, "", "")
	_, work := queues(t, data.QueuePolicy{}, "stream_basic")
	if err := publishWork(t, work, "work"); err != nil {
		t.Error(err)
	}
}
