package client

import (
	"context"
	"io"
	"time"

	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

// A ChangeKind says what happened to a key.
type ChangeKind int

const (
	ChangeSet    = ChangeKind(kvv1.ChangeKind_CHANGE_KIND_SET)
	ChangeDelete = ChangeKind(kvv1.ChangeKind_CHANGE_KIND_DELETE)
	ChangeExpire = ChangeKind(kvv1.ChangeKind_CHANGE_KIND_EXPIRE)
)

func (k ChangeKind) String() string {
	switch k {
	case ChangeSet:
		return "set"
	case ChangeDelete:
		return "delete"
	case ChangeExpire:
		return "expire"
	}
	return "unknown"
}

// A Change tells that a key got a new version, or ended.
type Change struct {
	Kind     ChangeKind
	Key      string
	Version  uint64
	Previous uint64
	Time     time.Time
	Value    []byte
	HasValue bool
}

// WatchOptions say what to watch.
type WatchOptions struct {
	Prefix   string
	Position string // from an earlier watch; empty: from now
	Values   bool
	// Resumed is told each time the stream was lost and goes on, and why.
	Resumed func(position string, why *prism.Error)
}

// A Watcher follows the changes of a namespace over restarts and lost
// connections, without a gap and without a repetition.
type Watcher struct {
	k      *KeyValue
	o      WatchOptions
	ctx    context.Context
	cancel context.CancelFunc
	st     grpc.ServerStreamingClient[kvv1.WatchResponse]
	sess   *session
	fails  int
	why    *prism.Error
	first  []Change // that came with the confirmation of the start
	start  string   // the position before them
}

// Watch starts following changes. It returns when the gateway has confirmed
// the starting position: what is written after that is seen.
func (k *KeyValue) Watch(ctx context.Context, o WatchOptions) (*Watcher, error) {
	ctx, cancel := context.WithCancel(ctx)
	w := &Watcher{k: k, o: o, ctx: ctx, cancel: cancel}
	first, err := w.Next()
	if err != nil {
		cancel()
		return nil, err
	}
	w.first, w.start = first, o.Position
	return w, nil
}

// Position is where the watch stands, after what Next has returned; a later
// watch can go on from it.
func (w *Watcher) Position() string {
	if len(w.first) > 0 {
		return w.start
	}
	return w.o.Position
}

// Next waits for changes. It returns an error only when going on is impossible
// or the context has ended. It may return no changes with a new position.
func (w *Watcher) Next() ([]Change, error) {
	if first := w.first; len(first) > 0 {
		w.first = nil
		return first, nil
	}
	for {
		if w.st == nil {
			if err := w.open(); err != nil {
				if err := w.again(err); err != nil {
					return nil, err
				}
				continue
			}
		}
		resp, err := w.st.Recv()
		if err != nil {
			w.st = nil
			if err := w.again(err); err != nil {
				return nil, err
			}
			continue
		}
		if w.why != nil {
			w.k.c.stats.Resumes.Add(1)
			if w.o.Resumed != nil {
				w.o.Resumed(w.o.Position, w.why)
			}
			w.why = nil
		}
		w.fails = 0
		w.o.Position = resp.Position
		return changesOf(resp), nil
	}
}

func (w *Watcher) open() error {
	ctx, sess, err := w.k.c.session.attach(w.ctx)
	if err != nil {
		return err
	}
	w.sess = sess
	w.k.c.stats.Attempts.Add(1)
	w.st, err = kvv1.NewKeyValueServiceClient(w.k.c.Conn()).Watch(ctx, &kvv1.WatchRequest{
		Namespace: w.k.ns, Prefix: w.o.Prefix, Position: w.o.Position, IncludeValues: w.o.Values,
	})
	if err != nil {
		w.st = nil
	}
	return err
}

// again waits before the next try, or returns why there is none. Without a
// position, or while the gateway cannot be reached by a client that is not to
// wait, a failure is final after a few tries.
func (w *Watcher) again(err error) error {
	if w.ctx.Err() != nil {
		return prism.From(w.ctx.Err())
	}
	e, resume := wire.FromStream(err)
	if e == nil || err == io.EOF {
		e = prism.New(prism.ReasonUnavailable, "the gateway ended the stream")
	}
	lost := w.k.c.session.lost(w.sess, e)
	w.fails++
	if !lost && !e.Retryable() && resume == nil || w.fails >= maxAttempts && w.k.c.o.failFast {
		return e
	}
	// What came last knows best: a message that was under way when the stream
	// was ended may have come after the position that the end names.
	if resume != nil && w.o.Position == "" {
		w.o.Position = resume.Position
	}
	w.why = e
	if !sleep(w.ctx, delay(min(w.fails, maxAttempts), e)) {
		return prism.From(w.ctx.Err())
	}
	return nil
}

func changesOf(r *kvv1.WatchResponse) []Change {
	changes := make([]Change, len(r.Changes))
	for i, c := range r.Changes {
		changes[i] = Change{
			Kind: ChangeKind(c.Kind), Key: c.Key, Version: c.Version, Previous: c.PreviousVersion,
			Time: time.UnixMilli(c.TimeMs), Value: c.Value, HasValue: c.Value != nil,
		}
	}
	return changes
}

// Close ends the watch.
func (w *Watcher) Close() { w.cancel() }
