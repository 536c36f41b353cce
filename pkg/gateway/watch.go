package gateway

import (
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/data/keyvalue"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

func (k *keyValue) Watch(r *kvv1.WatchRequest, st grpc.ServerStreamingServer[kvv1.WatchResponse]) error {
	c, kv, err := k.walk(st.Context(), k.watch, r)
	if err != nil {
		return err
	}
	var position string // to resume from: one that this gateway gave
	err = k.follow(&c, kv, r, following[kvv1.WatchRequest](&c, st), &position)
	return c.leaveStream(err, position)
}

// follow sends changes until the stream ends; position is after what was sent.
func (k *keyValue) follow(c *call, kv *keyvalue.Store, r *kvv1.WatchRequest, st grpc.ServerStreamingServer[kvv1.WatchResponse], position *string) error {
	ctx, cancel := c.live(st.Context())
	defer cancel()
	w, err := kv.Watch(ctx, r.Prefix, r.Position, r.IncludeValues)
	if err != nil {
		return err
	}
	defer w.Close()
	out := newOutbox(c.road.Clock, st.Send)
	defer out.close()
	*position = r.Position
	for {
		events, after, err := w.Next(ctx)
		if err != nil {
			return why(ctx, err)
		}
		if err := out.send(ctx, changes(events, after)); err != nil {
			return why(ctx, err)
		}
		*position = after
	}
}

func changes(events []keyvalue.WatchEvent, after string) *kvv1.WatchResponse {
	resp := &kvv1.WatchResponse{Position: after, Changes: make([]*kvv1.Change, len(events))}
	for i := range events {
		e := &events[i]
		resp.Changes[i] = &kvv1.Change{
			Kind: kvv1.ChangeKind(e.Kind), Key: e.Key, Version: e.Version, PreviousVersion: e.Previous, TimeMs: e.Time.UnixMilli(),
		}
		if e.HasValue {
			resp.Changes[i].Value = append([]byte{}, e.Value...) // empty is not absent
		}
	}
	return resp
}
