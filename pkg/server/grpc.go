package server

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"github.com/prism-data-layer/prism/pkg/auth"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
)

// limits are what a port takes.
type limits struct {
	message, header, streams int
	connect, idle, answer    time.Duration
}

func limitsOf(c *config.Gateway) limits {
	return limits{
		message: int(c.Limits.MaxMessageBytes), header: int(c.Limits.MaxHeaderBytes), streams: int(c.Limits.MaxConcurrentStreams),
		connect: c.Limits.ConnectionTimeout, idle: c.Limits.KeepaliveTime, answer: c.Limits.KeepaliveTimeout,
	}
}

// Settings that were measured to help (design/PERFORMANCE): workers that are
// kept, and windows that need no estimate.
const (
	streamWorkers    = 64
	streamWindow     = 4 << 20
	connectionWindow = 16 << 20
	pingEvery        = 10 * time.Second // the shortest that a client may
)

func (l limits) options() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ForceServerCodecV2(wire.Codec()),
		grpc.NumStreamWorkers(streamWorkers),
		grpc.StaticStreamWindowSize(streamWindow),
		grpc.StaticConnWindowSize(connectionWindow),
		grpc.MaxConcurrentStreams(uint32(l.streams)),
		grpc.MaxRecvMsgSize(l.message),
		grpc.MaxSendMsgSize(l.message),
		grpc.MaxHeaderListSize(uint32(l.header)),
		grpc.ConnectionTimeout(l.connect),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: l.idle, Timeout: l.answer}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingEvery, PermitWithoutStream: true}),
		grpc.InTapHandle(arrive),
		grpc.WaitForHandlers(true),
	}
}

// GRPCOptions are the settings of a gateway's ports, for a bench that compares
// with a server which does nothing else.
func GRPCOptions() []grpc.ServerOption { return limitsOf(config.Default()).options() }

// arrive refuses a call with too much metadata before anything is done for it,
// and keeps the metadata of the others at hand.
func arrive(ctx context.Context, info *tap.Info) (context.Context, error) {
	n := 0
	for _, values := range info.Header {
		n += len(values)
	}
	if n > wire.MaxMetadataEntries {
		st := wire.ToStatus(prism.New(prism.ReasonMessageTooBig, "a call may have at most %d metadata entries", wire.MaxMetadataEntries))
		return ctx, status.Error(st.Code(), st.Message())
	}
	return wire.Arrive(ctx, info.Header), nil
}

// registerReflection lets tools such as grpcurl ask what there is.
func registerReflection(g *grpc.Server) { reflection.Register(g) }

// around wraps gRPC's own streams: nobody may ask what there is who may not
// call either, and none of them holds up a drain. Our own streams have a road
// of their own.
func (s *Server) around(srv any, st grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if !strings.HasPrefix(info.FullMethod, "/grpc.") {
		return handler(srv, st)
	}
	if !strings.HasPrefix(info.FullMethod, "/grpc.health.") {
		if _, err := s.auth.Authenticate(st.Context(), credential(st.Context())); err != nil {
			return wire.ToStatus(err).Err()
		}
	}
	done := make(chan error, 1)
	go func() { done <- handler(srv, st) }()
	select {
	case err := <-done:
		return err
	case <-s.draining:
		return wire.ToStatus(prism.New(prism.ReasonDraining, "the gateway is about to stop")).Err()
	}
}

// credential is what the caller of a stream brought.
func credential(ctx context.Context) (c auth.Credential) {
	if v := metadata.ValueFromIncomingContext(ctx, wire.Authorization); len(v) > 0 {
		c.Authorization = v[0]
	}
	if p, ok := peer.FromContext(ctx); ok {
		if tcp, ok := p.Addr.(interface{ AddrPort() netip.AddrPort }); ok {
			c.Peer = tcp.AddrPort().Addr()
		}
	}
	return c
}
