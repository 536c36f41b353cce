package pubsub_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/clitest"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	pubsubv1 "github.com/prism-data-layer/prism/proto/prism/pubsub/v1"
)

func rig(t *testing.T) *clitest.Rig {
	r := clitest.New(t)
	r.Each = r.Refresh
	return r
}

func TestWhatIsPrinted(t *testing.T) {
	r := rig(t)
	for name, args := range map[string][]string{
		"publish":            {"pubsub", "publish", "orders.created", "17"},
		"publish-json":       {"pubsub", "publish", "orders.paid", "17", "--persistent", "--attribute", "region=eu", "-o", "json"},
		"publish-odd":        {"pubsub", "publish", "untold", "17"},
		"publish-bad":        {"pubsub", "publish", "a b", "17"},
		"publish-nothing":    {"pubsub", "publish"},
		"publish-no-payload": {"pubsub", "publish", "a"},
		"publish-twice":      {"pubsub", "publish", "a", "b", "-f", "x"},
		"publish-no-pair":    {"pubsub", "publish", "a", "b", "--attribute", "x"},
		"publish-nowhere":    {"pubsub", "publish", "a", "b", "-n", "orders"},
		"tail":               {"pubsub", "tail", "--limit", "3"},
		"tail-json":          {"pubsub", "tail", "orders.>", "--from", "earliest", "--limit", "2", "-o", "json"},
		"tail-bad":           {"pubsub", "tail", "a..b"},
		"tail-no-end":        {"pubsub", "tail", "--jq", ".topic"},
		"tail-two-starts":    {"pubsub", "tail", "--from", "p", "--since", "1h"},
		"tail-no-pair":       {"pubsub", "tail", "--where", "=x"},
		"tail-nowhere":       {"pubsub", "tail", "-n", "orders"},
		"subscriptions":      {"pubsub", "subscriptions"},
		"subscriptions-json": {"pubsub", "subscriptions", "--limit", "1", "-o", "json"},
		"subscriptions-wide": {"pubsub", "subscriptions", "-o", "wide"},
		"subscriptions-none": {"pubsub", "subscriptions", "-n", "orders"},
		"unsubscribe":        {"pubsub", "unsubscribe", "audit"},
		"unsubscribe-absent": {"pubsub", "unsubscribe", "nobody"},
	} {
		t.Run(name, func(t *testing.T) { r.Golden(name, args...) })
	}
}

func TestPublishSendsWhatIsAsked(t *testing.T) {
	r := rig(t)
	r.Stdin = "from a pipe"
	r.OK("pubsub", "publish", "a.b", "-", "--persistent", "--attribute", "k=v=w", "--ordering-key", "o", "--reply-to", "r", "--correlation-id", "c", "--idempotency-key", "i")
	file := r.Write("payload", "from a file")
	r.OK("pubsub", "publish", "a.b", "-f", file)
	got := r.Gateway.PubSub.Published()
	if len(got) != 2 || string(got[1].Payload) != "from a file" {
		t.Fatalf("published %v", got)
	}
	e := got[0]
	if string(e.Payload) != "from a pipe" || !e.Persistent || e.Attributes["k"] != "v=w" || e.OrderingKey != "o" || e.ReplyTo != "r" || e.CorrelationId != "c" || e.IdempotencyKey != "i" {
		t.Errorf("published %v", e)
	}
	r.Want(7, []string{"1 MiB"}, "pubsub", "publish", "a", "-f", r.Write("large", strings.Repeat("x", prism.MaxValueBytes+1)))
	r.Want(7, []string{"1 MiB"}, "pubsub", "publish", "a", strings.Repeat("x", prism.MaxValueBytes+1))
}

type stream = grpc.ServerStreamingServer[pubsubv1.SubscribeResponse]

// subscribing answers subscriptions one after the other and notes what they
// asked for.
func subscribing(g *clitest.Gateway, answers ...func(stream) error) (asked func() []*pubsubv1.SubscribeRequest) {
	var mu sync.Mutex
	var list []*pubsubv1.SubscribeRequest
	g.PubSub.OnSubscribe = func(r *pubsubv1.SubscribeRequest, s stream) error {
		mu.Lock()
		n := len(list)
		list = append(list, r)
		mu.Unlock()
		return answers[min(n, len(answers)-1)](s)
	}
	return func() []*pubsubv1.SubscribeRequest {
		mu.Lock()
		defer mu.Unlock()
		return list
	}
}

func send(s stream, position string, payloads ...string) error {
	m := &pubsubv1.SubscribeResponse{Position: position}
	for _, p := range payloads {
		m.Events = append(m.Events, &pubsubv1.Event{EventId: p, Topic: p, Payload: []byte(p), Position: position})
	}
	return s.Send(m)
}

// run runs a command while the clock goes on.
func run(r *clitest.Rig, args ...string) clitest.Result {
	fake := clock.NewFake(r.Gateway.Now())
	r.Prepare = func(f *cli.Factory) { f.Clock = fake }
	done := make(chan clitest.Result)
	go func() { done <- r.Run(args...) }()
	for {
		select {
		case got := <-done:
			return got
		case <-time.After(time.Millisecond):
			if fake.Timers() > 0 {
				fake.Advance(10 * time.Second)
			}
		}
	}
}

func TestATailOfPersistentEventsGoesOnWhereItWas(t *testing.T) {
	r := rig(t)
	asked := subscribing(r.Gateway,
		func(s stream) error {
			_ = send(s, "p-1", "a")
			return wire.ToStatusResume(prism.New(prism.ReasonDraining, "about to stop"), "p-1b").Err()
		},
		func(stream) error { return wire.ToStatus(prism.New(prism.ReasonUnavailable, "not yet")).Err() },
		func(s stream) error { return send(s, "p-2", "b", "c") },
	)
	got := run(r, "pubsub", "tail", "--from", "earliest", "--where", "k=v", "--limit", "2", "-o", "name")
	if got.Code != 0 || got.Out != "a\nb\n" || got.ErrOut != "the gateway is away; waiting to go on\nthe gateway is back\n" {
		t.Errorf("got %+v", got)
	}
	q := asked()
	if len(q) != 3 || !q[0].Start.GetEarliest() || q[1].Start.GetAfter() != "p-1b" || q[2].Start.GetAfter() != "p-1b" || q[0].Filter[0].Values[0] != "v" {
		t.Errorf("asked for %v", q)
	}
}

func TestALiveTailTellsOfItsGap(t *testing.T) {
	r := rig(t)
	subscribing(r.Gateway,
		func(s stream) error {
			_ = send(s, "", "a")
			return wire.ToStatus(prism.New(prism.ReasonDraining, "about to stop")).Err()
		},
		func(s stream) error {
			_ = s.Send(&pubsubv1.SubscribeResponse{Dropped: 5})
			return send(s, "", "b")
		},
	)
	got := run(r, "pubsub", "tail", "--group", "g", "--limit", "2", "-o", "name")
	want := "the gateway is away; waiting to go on\nthe gateway is back; events in between were missed\n5 events were dropped: they came faster than they are shown\n"
	if got.Code != 0 || got.Out != "a\nb\n" || got.ErrOut != want {
		t.Errorf("got %+v", got)
	}
}

func TestADurableTailAcknowledgesWhatItHasShown(t *testing.T) {
	r := rig(t)
	subscribing(r.Gateway, func(s stream) error {
		_ = send(s, "p-1", "a")
		_ = s.Send(&pubsubv1.SubscribeResponse{Position: "p-9", Events: []*pubsubv1.Event{{Topic: "b", Position: "p-2"}, {Topic: "c", Position: "p-3"}}})
		<-s.Context().Done()
		return nil
	})
	r.OK("pubsub", "tail", "--durable", "n", "--since", "1h", "--limit", "2")
	if got := strings.Join(r.Gateway.PubSub.Acked(), ", "); got != "n p-1, n p-2" {
		t.Errorf("acknowledged: %s", got)
	}
}

func TestATailEndsWithTheErrorThatCannotBeContinued(t *testing.T) {
	r := rig(t)
	subscribing(r.Gateway, func(stream) error {
		return wire.ToStatus(prism.New(prism.ReasonCompacted, "that position is gone")).Err()
	})
	r.Want(5, []string{"that position is gone", "--from earliest"}, "pubsub", "tail", "--from", "p-0")
	subscribing(r.Gateway, func(s stream) error { return send(s, "", "a") })
	if out := r.OK("pubsub", "tail", "-o", "name"); out != "a\n" {
		t.Errorf("a stream that the gateway ends: %q", out)
	}
}

func TestCtrlCEndsATailWith130(t *testing.T) {
	r := rig(t)
	ctx, cancel := context.WithCancelCause(context.Background())
	r.Context = ctx
	subscribing(r.Gateway, func(s stream) error {
		_ = send(s, "", "a")
		cancel(cli.Interrupt{})
		<-s.Context().Done()
		return s.Context().Err()
	})
	if got := r.Want(130, nil, "pubsub", "tail", "-o", "name"); got.ErrOut != "cancelled\n" {
		t.Errorf("errors: %q, want the word cancelled", got.ErrOut)
	}
}

func TestAGatewayThatIsNotThereIsExit6(t *testing.T) {
	r := clitest.Offline(t)
	for _, line := range []string{"pubsub publish a b", "pubsub tail", "pubsub subscriptions", "pubsub unsubscribe x"} {
		r.Want(6, []string{"cannot reach the gateway at 127.0.0.1:1"}, strings.Fields(line)...)
	}
}
