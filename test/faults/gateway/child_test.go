package faults_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/prism-data-layer/prism/pkg/client"
	"github.com/prism-data-layer/prism/pkg/prism"
	cachev1 "github.com/prism-data-layer/prism/proto/prism/cache/v1"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	pubsubv1 "github.com/prism-data-layer/prism/proto/prism/pubsub/v1"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
)

// consumerLease is how long a consumer that is stopped or killed keeps its message.
const consumerLease = 50 * time.Millisecond

// consume is the program of a consumer: it says what it has got, and
// acknowledges it when it is told to go on.
func consume(addr string) int {
	c, err := client.Dial(addr)
	if err != nil {
		fmt.Println("error", err)
		return 1
	}
	defer func() { _ = c.Close() }()
	q, told := c.WorkQueue("disk", "work"), bufio.NewScanner(os.Stdin)
	for {
		messages, err := q.Receive(context.Background(), client.ReceiveOptions{Lease: consumerLease, Wait: 20 * time.Second})
		if err != nil {
			fmt.Println("error", err)
			return 1
		}
		for _, m := range messages {
			fmt.Println("got", string(m.Payload))
			if !told.Scan() {
				return 0
			}
			if err := q.Ack(context.Background(), m); err != nil {
				fmt.Println("refused", string(prism.From(err).Reason))
				continue
			}
			fmt.Println("acked", string(m.Payload))
		}
	}
}

// What a client holds that will vanish, besides its streams.
const (
	vanishLease   = time.Second
	vanishMembers = 4 // of the group on the log
	perConnection = 50
)

// vanish is the program of a client that opens streams of every kind, takes a
// lock and leases, says so and does nothing more.
func vanish(addr string, streams int) error {
	ctx := context.Background()
	var conn *grpc.ClientConn
	var err error
	for n := range streams {
		if n%perConnection == 0 {
			if conn, err = grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
				return err
			}
		}
		if err := vanishing(ctx, conn, n); err != nil {
			return fmt.Errorf("stream %d: %w", n, err)
		}
	}
	if _, err := cachev1.NewCacheServiceClient(conn).GetOrLock(ctx, &cachev1.GetOrLockRequest{Namespace: "cache", Key: "locked", LockMs: vanishLease.Milliseconds()}); err != nil {
		return err
	}
	work := queuev1.NewWorkQueueServiceClient(conn)
	r, err := work.Receive(ctx, &queuev1.ReceiveRequest{Namespace: "queue", Queue: "leased", MaxMessages: 1000, LeaseMs: vanishLease.Milliseconds()})
	if err != nil {
		return err
	}
	fmt.Println("holds", len(r.Messages))
	select {}
}

// vanishing opens a stream and waits until it stands.
func vanishing(ctx context.Context, conn *grpc.ClientConn, n int) error {
	if n < vanishMembers {
		st, err := queuev1.NewQueueServiceClient(conn).Subscribe(ctx, &queuev1.SubscribeRequest{Namespace: "queue", Topic: "log", Group: "g"})
		return stands(st, err)
	}
	switch n % 5 {
	case 0:
		st, err := kvv1.NewKeyValueServiceClient(conn).Watch(ctx, &kvv1.WatchRequest{Namespace: "mem"})
		return stands(st, err)
	case 1:
		st, err := pubsubv1.NewPubSubServiceClient(conn).Subscribe(ctx, &pubsubv1.SubscribeRequest{Namespace: "pubsub", Pattern: ">"})
		return stands(st, err)
	case 2:
		st, err := kvv1.NewKeyValueServiceClient(conn).Pipeline(ctx)
		if err == nil {
			err = st.Send(&kvv1.PipelineRequest{Message: &kvv1.PipelineRequest_Open{Open: &kvv1.PipelineOpen{Namespace: "mem"}}})
		}
		return stands(st, err)
	case 3:
		st, err := kvv1.NewKeyValueServiceClient(conn).Transaction(ctx)
		if err == nil {
			err = st.Send(&kvv1.TransactionRequest{Step: &kvv1.TransactionRequest_Begin{Begin: &kvv1.TransactionBegin{Namespace: "mem", TimeoutMs: time.Minute.Milliseconds()}}})
		}
		return stands(st, err)
	}
	go func() { // it is answered when there is something
		_, _ = queuev1.NewWorkQueueServiceClient(conn).Receive(ctx, &queuev1.ReceiveRequest{Namespace: "queue", Queue: "empty", WaitMs: time.Minute.Milliseconds()})
	}()
	return nil
}

func stands[M any](st interface{ Recv() (*M, error) }, err error) error {
	if err == nil {
		_, err = st.Recv()
	}
	return err
}
