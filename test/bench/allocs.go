package main

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/prism-data-layer/prism/pkg/auth"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/control"
	"github.com/prism-data-layer/prism/pkg/driver/all"
	"github.com/prism-data-layer/prism/pkg/gateway"
	"github.com/prism-data-layer/prism/pkg/route"
	"github.com/prism-data-layer/prism/pkg/session"
	"github.com/prism-data-layer/prism/pkg/telemetry"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

// handler catches the service that is registered, to call it without a wire.
type handler struct{ kvv1.KeyValueServiceServer }

func (h *handler) RegisterService(_ *grpc.ServiceDesc, impl any) {
	h.KeyValueServiceServer = impl.(kvv1.KeyValueServiceServer)
}

// benchAllocs counts what the road allocates for a Get, on top of a handler
// that only answers.
func benchAllocs(ctx context.Context, b *bench) error {
	if !b.wants("allocations") {
		return nil
	}
	dir, err := os.MkdirTemp("", "prism-bench-")
	if err != nil {
		return err
	}
	b.undo = append(b.undo, func() { os.RemoveAll(dir) })
	log, real := slog.New(slog.DiscardHandler), clock.Real()
	store, err := control.Open(ctx, filepath.Join(dir, "control.db"), real, log)
	if err != nil {
		return err
	}
	b.undo = append(b.undo, func() { store.Close() })
	router := route.New(route.Options{Drivers: all.Drivers(), Dir: dir, Secret: make([]byte, 32), Clock: real, Log: log})
	if err := router.OpenBackends(ctx, []route.Backend{{Name: "volatile", Driver: "memory"}}); err != nil {
		return err
	}
	b.undo = append(b.undo, func() { router.Close() })
	err = router.Apply([]control.Namespace{{Name: "mem", Model: "keyvalue", State: control.Active, Binding: control.Binding{Backend: "volatile", Driver: "memory"}}})
	if err != nil {
		return err
	}
	var h handler
	gateway.RegisterKeyValue(&h, &gateway.Road{
		Auth: auth.New(auth.Off, store, real), Sessions: session.New(store, session.Options{}, real, log), Router: router,
		Metrics: telemetry.NewMetrics(0), Traces: telemetry.NewTracer(telemetry.TracerOptions{Clock: real}), Clock: real, Log: log, Draining: make(chan struct{}),
	})
	ctx = metadata.NewIncomingContext(ctx, metadata.Pairs(":authority", "127.0.0.1", "content-type", "application/grpc", "user-agent", "grpc-go"))
	ctx = peer.NewContext(ctx, &peer.Peer{Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}})
	if _, err := h.Set(ctx, &kvv1.SetRequest{Namespace: "mem", Key: "k", Value: value}); err != nil {
		return err
	}
	req := &kvv1.GetRequest{Namespace: "mem", Key: "k"}
	count := func(s kvv1.KeyValueServiceServer) float64 {
		return testing.AllocsPerRun(10_000, func() {
			if _, err := s.Get(ctx, req); err != nil {
				fatal(err)
			}
		})
	}
	b.figure("allocations per unary Get on top of an echo handler", "", count(h)-count(echoServer{}), "<=", 3)
	return nil
}
