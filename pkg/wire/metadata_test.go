package wire_test

import (
	"context"
	"testing"

	"google.golang.org/grpc/metadata"

	"github.com/prism-data-layer/prism/pkg/wire"
)

func TestMetadataReadsTheSameHoweverItArrived(t *testing.T) {
	md := metadata.Pairs(wire.Authorization, "Bearer a", wire.SessionToken, "first", wire.SessionToken, "second", wire.RequestID, "")
	type other struct{}
	byGRPC := context.WithValue(metadata.NewIncomingContext(t.Context(), md), other{}, 1)
	arrived := context.WithValue(wire.Arrive(metadata.NewIncomingContext(t.Context(), md), md), other{}, 1)
	for name, want := range map[string]string{wire.Authorization: "Bearer a", wire.SessionToken: "first", wire.RequestID: "", wire.RetryID: ""} {
		for how, ctx := range map[string]context.Context{"by gRPC": byGRPC, "at hand": arrived} {
			if got := wire.MetadataOf(ctx).First(name); got != want {
				t.Errorf("%s, %s: got %q, want %q", name, how, got, want)
			}
		}
	}
	if got := wire.MetadataOf(t.Context()).First(wire.Authorization); got != "" {
		t.Errorf("a call without metadata has %q", got)
	}
	if arrived.Value(other{}) != 1 || len(metadata.ValueFromIncomingContext(arrived, wire.SessionToken)) != 2 {
		t.Error("what else the context holds is lost")
	}
	ctx, cancel := context.WithCancel(wire.Arrive(t.Context(), md))
	cancel()
	if ctx.Err() == nil {
		t.Error("the context does not end")
	}
}
