package tail

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"go.uber.org/goleak"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/tui/component/feed"
	"github.com/prism-data-layer/prism/tui/component/task"
	"github.com/prism-data-layer/prism/tui/keys"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A rig runs the commands of a stream as Bubble Tea does, and takes their
// messages one by one.
type rig struct {
	*Model[int]
	clock *clock.Fake
	msgs  chan tea.Msg
	got   []int
	sizes []int
}

func newRig(t *testing.T, o Options, open Stream[int]) *rig {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	r := &rig{clock: clock.NewFake(time.Unix(1000, 0)), msgs: make(chan tea.Msg, 100)}
	r.Model = New(task.NewRunner(ctx, r.clock), o, open, func(items []int) {
		r.got = append(r.got, items...)
		r.sizes = append(r.sizes, len(items))
	})
	return r
}

func (r *rig) run(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	go func() {
		switch msg := cmd().(type) {
		case nil:
		case tea.BatchMsg:
			for _, c := range msg {
				r.run(c)
			}
		default:
			r.msgs <- msg
		}
	}()
}

// step takes the next message.
func (r *rig) step() {
	cmd, _ := r.Update(<-r.msgs)
	r.run(cmd)
}

// beats lets the time go on until what is asked for has come.
func (r *rig) beats(until func() bool) {
	for !until() {
		select {
		case msg := <-r.msgs:
			cmd, _ := r.Update(msg)
			r.run(cmd)
		default:
			r.clock.Advance(Every)
			r.run(r.Beat(r.clock.Now()))
		}
	}
}

func TestWhatComesIsTakenInOrderAndInBatches(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	r := newRig(t, Options{}, func(ctx context.Context, to *Sink[int]) error {
		to.Send(0)
		<-gate
		for i := 1; i < 500; i++ {
			to.Send(i)
		}
		<-ctx.Done()
		return ctx.Err()
	})
	r.run(r.Start())
	r.step()
	close(gate)
	r.beats(func() bool { return len(r.got) == 500 })
	if !slices.IsSorted(r.got) || r.Dropped() != 0 {
		t.Errorf("%d dropped, in order: %v", r.Dropped(), slices.IsSorted(r.got))
	}
	if r.Feed().State(r.clock.Now()) != feed.Live {
		t.Errorf("the stream is %v", r.Feed().Mark(r.clock.Now()))
	}
	for range 100 { // it is quiet, and no less alive
		r.clock.Advance(time.Second)
		r.run(r.Beat(r.clock.Now()))
	}
	if r.Feed().State(r.clock.Now()) != feed.Live {
		t.Errorf("after silence the stream is %v", r.Feed().Mark(r.clock.Now()))
	}
	r.Close()
}

func TestAFloodIsBoundedAndCounted(t *testing.T) {
	t.Parallel()
	const n = 100_000
	sent := make(chan struct{})
	r := newRig(t, Options{Buffer: 100}, func(ctx context.Context, to *Sink[int]) error {
		for i := range n {
			to.Send(i)
		}
		close(sent)
		<-ctx.Done()
		return ctx.Err()
	})
	r.run(r.Start())
	<-sent
	r.step()
	if len(r.got) > 100 || r.got[len(r.got)-1] != n-1 || int64(len(r.got))+r.Dropped() != n {
		t.Errorf("%d taken, up to %d, %d dropped of %d", len(r.got), r.got[len(r.got)-1], r.Dropped(), n)
	}
	r.Close()
}

func TestAPatientSinkLosesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{Buffer: 10, Patient: true}, func(_ context.Context, to *Sink[int]) error {
		for i := range 95 {
			to.Send(i)
		}
		return nil
	})
	r.run(r.Start())
	r.beats(r.Over)
	if len(r.got) != 95 || r.Dropped() != 0 || slices.Max(r.sizes) > 10 {
		t.Errorf("%d taken, in batches of %v", len(r.got), r.sizes)
	}
	for range 20 {
		r.clock.Advance(time.Second)
		if r.Beat(r.clock.Now()) != nil {
			t.Fatal("what has ended for good is opened again")
		}
	}
}

func TestABrokenStreamIsOpenedAgain(t *testing.T) {
	t.Parallel()
	opened := 0
	r := newRig(t, Options{}, func(ctx context.Context, to *Sink[int]) error {
		opened++
		if opened < 4 {
			return errors.New("connection refused")
		}
		to.Send(opened)
		<-ctx.Done()
		return ctx.Err()
	})
	r.run(r.Start())
	r.step()
	if r.Feed().State(r.clock.Now()) != feed.Failed || r.Countdown() != "next attempt in 1s" {
		t.Errorf("%s, %s", r.Feed().Mark(r.clock.Now()), r.Countdown())
	}
	began := r.clock.Now()
	r.beats(func() bool { return len(r.got) == 1 })
	if took := r.clock.Now().Sub(began); took < 6*time.Second { // 1 + 2 + 4, a quarter early each
		t.Errorf("four attempts in %s", took)
	}
	if r.Feed().Err() != nil {
		t.Error(r.Feed().Err())
	}
	r.Close()
}

func TestWhilePausedNothingMoves(t *testing.T) {
	t.Parallel()
	next := make(chan int)
	r := newRig(t, Options{}, func(ctx context.Context, to *Sink[int]) error {
		for {
			select {
			case i := <-next:
				to.Send(i)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
	r.run(r.Start())
	next <- 1
	r.step()
	_, _ = r.Do(keys.Pause)
	next <- 2
	next <- 3
	r.clock.Advance(Every)
	r.beats(func() bool { return !r.waiting })
	if len(r.got) != 1 || r.Feed().State(r.clock.Now()) != feed.Paused {
		t.Errorf("got %v while paused", r.got)
	}
	cmd, _ := r.Do(keys.Pause)
	r.run(cmd)
	r.beats(func() bool { return len(r.got) == 3 })
	r.Close()
}

func TestAnotherStreamsMessageIsLeft(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{}, nil)
	if _, ok := r.Update(ready[int]{newSink[int](Options{})}); ok {
		t.Error("taken")
	}
	if _, ok := r.Do(keys.Up); ok {
		t.Error("done")
	}
}
