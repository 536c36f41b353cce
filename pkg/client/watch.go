package client

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/prism"
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
	*follower[kvv1.WatchResponse]          // with Close
	first                         []Change // that came with the confirmation of the start
	start                         string   // the position before them
}

// Watch starts following changes. It returns when the gateway has confirmed
// the starting position: what is written after that is seen.
func (k *KeyValue) Watch(ctx context.Context, o WatchOptions) (*Watcher, error) {
	w := &Watcher{follower: follow(ctx, k.c, o.Position, o.Resumed, func(ctx context.Context, conn *grpc.ClientConn, position string) (grpc.ServerStreamingClient[kvv1.WatchResponse], error) {
		return kvv1.NewKeyValueServiceClient(conn).Watch(ctx, &kvv1.WatchRequest{
			Namespace: k.ns, Prefix: o.Prefix, Position: position, IncludeValues: o.Values,
		})
	})}
	first, err := w.Next()
	if err != nil {
		w.Close()
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
	return w.position
}

// Next waits for changes. It returns an error only when going on is impossible
// or the context has ended. It may return no changes with a new position.
func (w *Watcher) Next() ([]Change, error) {
	if first := w.first; len(first) > 0 {
		w.first = nil
		return first, nil
	}
	resp, err := w.next()
	if err != nil {
		return nil, err
	}
	w.position = resp.Position
	return changesOf(resp), nil
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
