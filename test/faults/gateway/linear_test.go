package faults_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/prism-data-layer/prism/pkg/client"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
	"github.com/prism-data-layer/prism/test/faults/powercut"
	"github.com/prism-data-layer/prism/test/harness"
)

// What a history is made of, as the table asks.
const (
	historyClients = 5
	historyCalls   = 40 // of each client
	historyPairs   = 5  // ten keys
)

// both is a configuration with keys and work queues on disk.
const both = `apiVersion: prism/v1
auth: {mode: off}
backends:
  - {name: local, driver: pebble, options: {memtable: 1MiB, cache: 1MiB}}
namespaces:
  - {name: disk, model: keyvalue, backend: local, access: {owners: ["user:dev"]}}
  - {name: work, model: queue, backend: local, access: {owners: ["user:dev"]}}
drain: {timeout: 5s}
`

// F28: what clients see of keys, compare-and-swap, transactions and work queues
// while prismd is killed and started again is what one client after another
// could have seen. Half of the clients are the SDK's, which send again what was
// not answered.
func TestFault_F28_Linearizability(t *testing.T) {
	rounds, beside := 3, 6
	if powercut.Full() {
		rounds, beside = 50, 20
	}
	seed := seedOf(t)
	for _, kind := range []struct {
		id    string
		model porcupine.Model
		run   func(*linear, int, *rand.Rand, string, *history)
	}{
		{"F28", pairs, (*linear).keys}, {"F28-queue", orderly, (*linear).queue},
	} {
		t.Run(kind.id, func(t *testing.T) {
			report := powercut.Begin(kind.id, seed)
			l := newLinear(t, seed, both)
			verdicts := map[porcupine.CheckResult]int{}
			for round := range rounds {
				for i, h := range l.round(round, beside, true, kind.run) {
					if kind.id == "F28-queue" {
						h = settled(append(h, l.peek(nameOf(round, i))))
					}
					result := porcupine.CheckOperationsTimeout(kind.model, h, 30*time.Second)
					if verdicts[result]++; result != porcupine.Ok {
						t.Errorf("history %d of round %d is %s:\n%s", i, round, result, told(kind.model, h))
					}
					report.Acked += int64(len(h))
				}
				report.Rounds++
			}
			report.More["histories"] = rounds * beside
			report.More["ok"], report.More["illegal"], report.More["unknown"] = verdicts[porcupine.Ok], verdicts[porcupine.Illegal], verdicts[porcupine.Unknown]
			report.More["without_answer"] = l.lost.Load()
			report.Print()
		})
	}
	// The control: a gateway that answers some reads out of what it read before.
	t.Run("control", func(t *testing.T) {
		report := powercut.Begin("F28-control", seed)
		l := newLinear(t, seed, both, asStale+"=1")
		caught := 0
		histories := l.round(0, beside, false, (*linear).keys)
		for _, h := range histories {
			if porcupine.CheckOperationsTimeout(pairs, h, 30*time.Second) == porcupine.Illegal {
				caught++
			}
		}
		report.Rounds = 1
		report.More["histories"], report.More["illegal"] = len(histories), caught
		report.Print()
		// A read beside a write may be stale and right.
		if caught < len(histories)/2 {
			t.Errorf("of %d histories with stale reads %d were caught", len(histories), caught)
		}
	})
}

// told writes a history down, for people.
func told(m porcupine.Model, h []porcupine.Operation) (text string) {
	for _, op := range h {
		text += fmt.Sprintf("client %d, %d–%d: %s\n", op.ClientId, op.Call, op.Return, m.DescribeOperation(op.Input, op.Output))
	}
	return text
}

// A linear is a gateway that clients write histories of.
type linear struct {
	*prismd
	seed uint64
	c    *client.Client
	done atomic.Int64 // calls of this round
	lost atomic.Int64 // calls without an answer
}

func newLinear(t *testing.T, seed uint64, file string, env ...string) *linear {
	l := &linear{prismd: newPrismd(t, file, env...), seed: seed}
	l.start()
	l.ready()
	var err error
	if l.c, err = client.Dial(l.addr("data")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.c.Close() })
	return l
}

// round writes n histories beside each other. With kill, prismd is killed once
// somewhere in their middle, and started again.
func (l *linear) round(round, n int, kill bool, run func(*linear, int, *rand.Rand, string, *history)) [][]porcupine.Operation {
	l.done.Store(0)
	begun := time.Now()
	parts := make([][historyClients]history, n)
	var wg sync.WaitGroup
	for i := range parts {
		for w := range historyClients {
			h := &parts[i][w]
			h.begun = begun
			random := rand.New(rand.NewPCG(l.seed, uint64(round*n+i)<<8|uint64(w)))
			wg.Go(func() { run(l, w, random, nameOf(round, i), h) })
		}
	}
	if kill {
		all := int64(n * historyClients * historyCalls)
		at := all/5 + rand.New(rand.NewPCG(l.seed, uint64(round))).Int64N(all/2)
		harness.Eventually(l.t, time.Minute, "the middle of the round", func() bool { return l.done.Load() >= at })
		l.signal(syscall.SIGKILL)
		l.wait(5 * time.Second)
		l.start()
		l.ready()
	}
	wg.Wait()
	joined := make([][]porcupine.Operation, n)
	for i := range parts {
		for w := range parts[i] {
			joined[i] = append(joined[i], parts[i][w].ops...)
		}
	}
	return joined
}

func nameOf(round, i int) string { return fmt.Sprintf("r%d-%d", round, i) }

// known says whether a call was answered. One that was not is waited for: the
// next would not be answered either.
func (l *linear) known(err error) bool {
	l.done.Add(1)
	if err == nil {
		return true
	}
	switch codeOf(err) {
	case codes.Unavailable, codes.Canceled, codes.DeadlineExceeded:
	default:
		l.t.Errorf("a call was answered with %v", err)
	}
	l.lost.Add(1)
	l.ready()
	return false
}

// codeOf is the status of an error of a bare stub or of the SDK.
func codeOf(err error) codes.Code {
	if e := (*prism.Error)(nil); errors.As(err, &e) {
		return wire.ToStatus(e).Code()
	}
	return status.Code(err)
}

func (l *linear) keys(w int, random *rand.Rand, name string, h *history) {
	a := keyAsker{l: l, ctx: context.Background(), sdk: l.c.KeyValue("disk"), name: name}
	if w%2 == 0 {
		a.stub = kvv1.NewKeyValueServiceClient(l.dial())
	}
	var seen string // a value that may still be there
	for n := range historyCalls {
		in := kvCall{pair: random.IntN(historyPairs), key: random.IntN(2), value: fmt.Sprintf("%d.%d", w, n)}
		in.op = []string{"get", "get", "get", "set", "set", "cas", "cas", "delete", "absent", "swap", "move"}[random.IntN(11)]
		if in.op == "cas" {
			in.expected = seen
			if r, err := a.sdk.Get(a.ctx, a.key(in, in.key)); err == nil {
				in.expected = string(r.Value)
			}
		}
		h.call(w, in, in.op != "get", func() (any, bool) {
			out, err := a.ask(in)
			if out.value != "" {
				seen = out.value
			}
			return out, l.known(err)
		})
	}
}

// A keyAsker makes the calls of one client, by bare stubs where it has one.
type keyAsker struct {
	l    *linear
	ctx  context.Context
	sdk  *client.KeyValue
	stub kvv1.KeyValueServiceClient
	name string
}

func (a *keyAsker) key(in kvCall, i int) string { return fmt.Sprintf("%s-%d-%d", a.name, in.pair, i) }

func (a *keyAsker) ask(in kvCall) (out kvAnswer, err error) {
	if in.op == "move" {
		return a.move(in)
	}
	if a.stub != nil {
		return a.bare(in)
	}
	key, value := a.key(in, in.key), []byte(in.value)
	switch in.op {
	case "get":
		e, err := a.sdk.Get(a.ctx, key)
		if codeOf(err) == codes.NotFound {
			err = nil
		}
		out.value = string(e.Value)
		return out, err
	case "set":
		_, err = a.sdk.Set(a.ctx, key, value)
	case "delete":
		out.ok, _, err = a.sdk.Delete(a.ctx, key)
	case "absent":
		out.ok, _, err = a.sdk.SetIfAbsent(a.ctx, key, value)
	case "cas":
		out.ok, _, err = a.sdk.CompareAndSwap(a.ctx, key, []byte(in.expected), value)
	case "swap":
		var r client.Replaced
		r, err = a.sdk.GetAndSet(a.ctx, key, value)
		out.value = string(r.Previous)
	}
	return out, err
}

func (a *keyAsker) bare(in kvCall) (out kvAnswer, err error) {
	const ns = "disk"
	key, value := a.key(in, in.key), []byte(in.value)
	switch in.op {
	case "get":
		r, err := a.stub.Get(a.ctx, &kvv1.GetRequest{Namespace: ns, Key: key})
		if codeOf(err) == codes.NotFound {
			err = nil
		}
		out.value = string(r.GetValue())
		return out, err
	case "set":
		_, err = a.stub.Set(a.ctx, &kvv1.SetRequest{Namespace: ns, Key: key, Value: value})
	case "delete":
		var r *kvv1.DeleteResponse
		r, err = a.stub.Delete(a.ctx, &kvv1.DeleteRequest{Namespace: ns, Key: key})
		out.ok = r.GetFound()
	case "absent":
		var r *kvv1.SetIfAbsentResponse
		r, err = a.stub.SetIfAbsent(a.ctx, &kvv1.SetIfAbsentRequest{Namespace: ns, Key: key, Value: value})
		out.ok = r.GetApplied()
	case "cas":
		var r *kvv1.CompareAndSwapResponse
		r, err = a.stub.CompareAndSwap(a.ctx, &kvv1.CompareAndSwapRequest{Namespace: ns, Key: key, Expected: []byte(in.expected), Value: value})
		out.ok = r.GetApplied()
	case "swap":
		var r *kvv1.GetAndSetResponse
		r, err = a.stub.GetAndSet(a.ctx, &kvv1.GetAndSetRequest{Namespace: ns, Key: key, Value: value})
		out.value = string(r.GetPrevious())
	}
	return out, err
}

// move reads both keys of a pair and writes both in a transaction. Where the SDK
// has run it again the commit may be the first one's, and the reads are not.
func (a *keyAsker) move(in kvCall) (out kvAnswer, err error) {
	runs := 0
	_, err = a.sdk.Transaction(a.ctx, func(tx *client.Tx) error {
		runs++
		for i := range out.both {
			e, found, err := tx.Get(a.key(in, i))
			if err != nil {
				return err
			}
			if out.both[i] = ""; found {
				out.both[i] = string(e.Value)
			}
		}
		for i, value := range moved(in.value, out.both) {
			if err := tx.Set(a.key(in, i), []byte(value)); err != nil {
				return err
			}
		}
		return nil
	})
	out.ok, out.blind = true, runs > 1
	if codeOf(err) == codes.Aborted {
		return kvAnswer{}, nil
	}
	return out, err
}

// peek is the last call of a history: it sees all that is left in a queue.
func (l *linear) peek(queue string) porcupine.Operation {
	var out queueAnswer
	stub := queuev1.NewWorkQueueServiceClient(l.dial())
	for _, state := range []queuev1.MessageState{queuev1.MessageState_MESSAGE_STATE_READY, queuev1.MessageState_MESSAGE_STATE_LEASED} {
		r, err := stub.Peek(context.Background(), &queuev1.PeekRequest{Namespace: "work", Queue: queue, State: state, Limit: 1000})
		if err != nil {
			l.t.Fatal(err)
		}
		from := len(out.left)
		for _, m := range r.Messages {
			out.left = append(out.left, queued{string(m.Payload), number(m.MessageId), int(m.Attempts), state == queuev1.MessageState_MESSAGE_STATE_LEASED})
		}
		slices.SortFunc(out.left[from:], func(a, b queued) int { return cmp.Compare(a.place, b.place) })
	}
	return porcupine.Operation{Input: queueCall{op: "peek"}, Output: out, Call: math.MaxInt64, Return: math.MaxInt64}
}

// number is a message id as the gateway counts; 0 for none.
func number(id string) uint64 {
	n, _ := strconv.ParseUint(id, 10, 64)
	return n
}

// queue publishes, receives, acknowledges and releases on a queue whose leases
// outlast the test.
func (l *linear) queue(w int, random *rand.Rand, name string, h *history) {
	const ns = "work"
	ctx := context.Background()
	stub := queuev1.NewWorkQueueServiceClient(l.dial())
	sdk := l.c.WorkQueue(ns, name)
	if _, err := stub.CreateQueue(ctx, &queuev1.CreateQueueRequest{Namespace: ns, Queue: name, Settings: &queuev1.QueueSettings{MaxAttempts: 1000}}); err != nil && !l.known(err) {
		_, err = stub.CreateQueue(ctx, &queuev1.CreateQueueRequest{Namespace: ns, Queue: name, Settings: &queuev1.QueueSettings{MaxAttempts: 1000}})
		if err != nil {
			l.t.Error(err)
		}
	}
	type held struct{ id, lease string }
	var mine []held
	for n := range historyCalls {
		in := queueCall{op: []string{"publish", "receive", "settle"}[random.IntN(3)]}
		if in.op == "settle" {
			if in.op = []string{"ack", "release"}[random.IntN(2)]; len(mine) == 0 {
				in.op = "receive"
			}
		}
		var m held
		switch in.op {
		case "publish":
			in.id = fmt.Sprintf("%d.%d", w, n)
		case "ack", "release":
			m, mine = mine[0], mine[1:]
			in.id = m.id
		}
		h.call(w, in, true, func() (any, bool) {
			var out queueAnswer
			var results []*queuev1.LeaseResult
			var err error
			switch in.op {
			case "publish":
				if w%2 == 1 { // sent again until it is answered
					var id string
					id, err = sdk.Publish(ctx, client.Message{Payload: []byte(in.id)})
					out.place = number(id)
					break
				}
				var r *queuev1.WorkQueueServicePublishResponse
				r, err = stub.Publish(ctx, &queuev1.WorkQueueServicePublishRequest{Namespace: ns, Queue: name, Message: &queuev1.WorkMessage{Payload: []byte(in.id)}})
				out.place = number(r.GetMessageId())
			case "receive":
				var r *queuev1.ReceiveResponse
				r, err = stub.Receive(ctx, &queuev1.ReceiveRequest{Namespace: ns, Queue: name, LeaseMs: time.Hour.Milliseconds()})
				for _, got := range r.GetMessages() {
					out.id, out.attempt, out.place = string(got.Payload), int(got.Attempt), number(got.MessageId)
					mine = append(mine, held{out.id, got.Lease})
				}
			case "ack":
				var r *queuev1.WorkQueueServiceAcknowledgeResponse
				r, err = stub.Acknowledge(ctx, &queuev1.WorkQueueServiceAcknowledgeRequest{Namespace: ns, Queue: name, Leases: []string{m.lease}})
				results = r.GetResults()
			case "release":
				var r *queuev1.ReleaseResponse
				r, err = stub.Release(ctx, &queuev1.ReleaseRequest{Namespace: ns, Queue: name, Leases: []string{m.lease}})
				results = r.GetResults()
			}
			out.lost = len(results) == 1 && results[0].GetError() != nil
			return out, l.known(err)
		})
	}
}
