package server

import (
	"context"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
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
		grpc.ForceServerCodecV2(wire.ServerCodec()),
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

// around wraps every stream, so that none holds up a drain, and guards gRPC's
// own: nobody may ask what there is who may not call either. Our own have a road
// for that.
func (s *Server) around(srv any, st grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	grpcs := strings.HasPrefix(info.FullMethod, "/grpc.")
	if grpcs && !strings.HasPrefix(info.FullMethod, "/grpc.health.") {
		if _, err := s.auth.Authenticate(st.Context(), credential(st.Context())); err != nil {
			return wire.ToStatus(err).Err()
		}
	}
	t := &talk{ServerStream: st, many: info.IsClientStream}
	done := make(chan error, 1)
	go func() { done <- handler(srv, t) }()
	select {
	case err := <-done:
		return err
	case <-s.draining:
	}
	if !grpcs {
		if err, ended := t.lastWords(done); ended {
			return err
		}
	}
	return wire.ToStatus(prism.New(prism.ReasonDraining, "the gateway is about to stop")).Err()
}

// A talk is a stream that refuses messages which cannot be read, and knows
// whether one is being sent.
type talk struct {
	grpc.ServerStream
	many  bool          // messages come in; of a single one the handler sees itself what it is
	sends atomic.Uint64 // odd while one goes out
}

func (t *talk) RecvMsg(m any) error {
	if err := t.ServerStream.RecvMsg(m); err != nil || !t.many {
		return err
	}
	if err := wire.Unreadable(m); err != nil {
		return wire.ToStatus(err).Err()
	}
	return nil
}

func (t *talk) SendMsg(m any) error {
	t.sends.Add(1)
	defer t.sends.Add(1)
	return t.ServerStream.SendMsg(m)
}

// lastWords waits for a handler that knows of the drain. It does not wait for
// one that is stuck in a message which nobody reads: that ends when its stream
// does.
func (t *talk) lastWords(done <-chan error) (err error, ended bool) {
	look := time.NewTicker(unread)
	defer look.Stop()
	for last := uint64(0); ; {
		select {
		case err := <-done:
			return err, true
		case <-look.C:
		}
		now := t.sends.Load()
		if now == last && now%2 == 1 {
			return nil, false
		}
		last = now
	}
}

// healthService is gRPC's own, which cannot tell a message that cannot be read
// from one that asks for nothing.
type healthService struct{ *health.Server }

func (h healthService) Check(ctx context.Context, r *healthv1.HealthCheckRequest) (*healthv1.HealthCheckResponse, error) {
	if err := wire.Unreadable(r); err != nil {
		return nil, wire.ToStatus(err).Err()
	}
	return h.Server.Check(ctx, r)
}

func (h healthService) Watch(r *healthv1.HealthCheckRequest, st grpc.ServerStreamingServer[healthv1.HealthCheckResponse]) error {
	if err := wire.Unreadable(r); err != nil {
		return wire.ToStatus(err).Err()
	}
	return h.Server.Watch(r, st)
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
