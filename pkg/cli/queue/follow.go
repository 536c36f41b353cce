package queue

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/prism"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
)

// followLog prints what a log has, as the flags say.
func (o *subscribeOptions) followLog(ctx context.Context) error {
	switch {
	case o.Lease != 0:
		return cli.Usage("leave out --lease", "%s is a log: it leases nothing", o.Queue)
	case o.Group == "" && o.Ack:
		return cli.Usage("add --group NAME", "--ack is for a group: a log is read without changing it")
	case o.Group != "" && (o.To != "" || o.Partition >= 0):
		return cli.Usage("leave out --group, or --to and --partition", "a group reads all partitions and has no end")
	}
	from, err := parsePoint("from", o.From, o.Clock.Now())
	switch {
	case err != nil:
		return err
	case o.Group != "":
		return o.keep(ctx, func(ctx context.Context) (bool, error) { return o.member(ctx, from) })
	case o.To != "":
		return o.rangeOf(ctx, from)
	}
	return o.tail(ctx, from)
}

// print shows messages of a log, as many as are still asked for.
func (o *subscribeOptions) print(messages []*queuev1.Message) (ids []string, err error) {
	o.answered()
	for _, m := range messages {
		if o.enough() {
			break
		}
		if err := o.list.Add(fromLog(m)); err != nil {
			return ids, err
		}
		ids = append(ids, m.GetMessageId())
		o.left = max(o.left-1, 0)
	}
	return ids, o.list.Flush()
}

// rangeOf prints what lies between two places, all partitions by time.
func (o *subscribeOptions) rangeOf(ctx context.Context, from point) error {
	to, err := parsePoint("to", o.To, o.Clock.Now())
	if err != nil {
		return err
	}
	if to.earliest {
		return cli.Usage("--to latest, an offset or a time", "nothing lies before the earliest message")
	}
	r, err := o.h.replay(ctx, o.Queue, o.Partition, from, to)
	if err != nil {
		return err
	}
	for !o.enough() {
		m, err := r.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			_, err = o.print([]*queuev1.Message{m})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// mostUnacknowledged is what a member without --ack may have: as much as the
// gateway lets it.
const mostUnacknowledged = 100_000

// member reads as one of a group until the stream ends, or all is shown. Done
// means all.
func (o *subscribeOptions) member(ctx context.Context, from point) (done bool, err error) {
	streaming, cancel := context.WithCancel(ctx)
	defer cancel()
	most := int32(mostUnacknowledged)
	if !o.endless { // what is not shown goes to others at once
		most = int32(min(o.left, mostUnacknowledged))
	}
	st, err := o.h.log.Subscribe(streaming, &queuev1.SubscribeRequest{
		Namespace: o.h.ns, Topic: o.Queue, Group: o.Group, Start: from.proto(), MaxUnacknowledged: most,
	})
	if err != nil {
		return false, err
	}
	for !o.enough() {
		r, err := st.Recv()
		if err != nil {
			return false, resumable(err)
		}
		ids, err := o.print(r.GetMessages())
		if err == nil && o.Ack && len(ids) > 0 {
			_, err = o.h.log.Acknowledge(ctx, &queuev1.AcknowledgeRequest{Namespace: o.h.ns, Topic: o.Queue, Group: o.Group, MessageIds: ids})
		}
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

// resumable makes of the end of a stream that can go on one that is waited for.
func resumable(err error) error {
	var r *cli.Resumable
	if errors.As(err, &r) && !away(err) {
		return prism.New(prism.ReasonUnavailable, "the stream has ended").WithCause(err)
	}
	return err
}

// mostFollowed is how many partitions are followed at once: each takes a
// stream, and a connection has room for a hundred.
const mostFollowed = 64

// A found is what a partition gave, or why it gives no more.
type found struct {
	messages []*queuev1.Message
	err      error
}

// tail follows the partitions side by side from a place on.
func (o *subscribeOptions) tail(ctx context.Context, from point) error {
	parts, err := o.h.partitions(ctx, o.Queue, o.Partition)
	if err != nil {
		return err
	}
	if len(parts) > mostFollowed {
		return cli.Usage("follow one with --partition N, or share them with --group NAME", "%s has %d partitions, too many to follow at once", o.Queue, len(parts))
	}
	streaming, cancel := context.WithCancel(ctx)
	var readers sync.WaitGroup
	defer readers.Wait()
	defer cancel()
	come := make(chan found)
	for _, p := range parts {
		f := &follower{o: o, partition: p.GetPartition(), start: from.proto(), come: come}
		readers.Go(func() { f.run(streaming) })
	}
	for !o.enough() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case f := <-come:
			if f.err == nil {
				_, f.err = o.print(f.messages)
			} else if away(f.err) {
				o.gone()
				f.err = nil
			}
			if f.err != nil {
				return f.err
			}
		}
	}
	return nil
}

// A follower reads one partition, over restarts of the gateway.
type follower struct {
	o         *subscribeOptions
	partition int32
	start     *queuev1.StartPosition
	position  string // after what was given on
	come      chan<- found
}

func (f *follower) run(ctx context.Context) {
	for {
		err := f.read(ctx)
		f.give(ctx, found{err: err})
		if ctx.Err() != nil || f.position == "" || !away(err) {
			return
		}
		timer := f.o.Clock.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

func (f *follower) give(ctx context.Context, x found) {
	select {
	case f.come <- x:
	case <-ctx.Done():
	}
}

// read follows the partition until its stream ends.
func (f *follower) read(ctx context.Context) error {
	r := &queuev1.ReadRequest{Namespace: f.o.h.ns, Topic: f.o.Queue, Partition: f.partition, Start: f.start}
	if f.position != "" {
		r.Start, r.Position = nil, f.position
	}
	st, err := f.o.h.log.Read(ctx, r)
	if err != nil {
		return err
	}
	for {
		batch, err := st.Recv()
		if err != nil {
			return resumable(err)
		}
		f.give(ctx, found{messages: batch.GetMessages()})
		f.position = batch.GetPosition()
	}
}
