// Package client is the Go SDK. It opens a session by itself, puts concurrent
// calls together on one stream, tries again where that is safe, resumes
// streams, and gives back prism errors: a restart of the gateway is invisible.
//
//	c, err := client.Dial("127.0.0.1:8980")
//	kv := c.KeyValue("kv")
//	version, err := kv.Set(ctx, "greeting", []byte("hello"))
package client

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // the client side of the health check
	"google.golang.org/grpc/keepalive"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
)

// DefaultTimeout bounds a call whose context has no deadline.
const DefaultTimeout = 30 * time.Second

// serviceConfig makes gRPC follow the gateway's health and leaves retries to
// this package, which knows what is safe to send again.
const serviceConfig = `{"loadBalancingConfig":[{"round_robin":{}}],"healthCheckConfig":{"serviceName":""}}`

// A Client talks to one gateway. It is safe for concurrent use.
type Client struct {
	o       options
	conns   []*grpc.ClientConn
	next    atomic.Uint32
	session *sessionKeeper
	retry   retrier
	ids     idSource
	stats   Stats

	mu        sync.RWMutex
	pipelines map[pipelineKey]*pipeline
	closed    bool
}

// Dial prepares a client; it connects on the first call. The address is
// "host:port", or anything else that gRPC can resolve.
func Dial(address string, opts ...Option) (*Client, error) {
	o := defaultOptions()
	for _, opt := range opts {
		opt(&o)
	}
	c := &Client{o: o, ids: newIDSource(), pipelines: map[pipelineKey]*pipeline{}}
	c.retry = newRetrier(&c.stats)
	for range o.connections {
		conn, err := grpc.NewClient(address, c.o.dialOptions()...)
		if err != nil {
			c.Close()
			return nil, prism.New(prism.ReasonInvalidArgument, "cannot dial %q", address).WithCause(err)
		}
		c.conns = append(c.conns, conn)
	}
	c.session = newSessionKeeper(c)
	return c, nil
}

// Close ends the session and the connections. Calls in flight fail.
func (c *Client) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	pipelines := c.pipelines
	c.mu.Unlock()
	for _, p := range pipelines {
		p.close()
	}
	if c.session != nil {
		c.session.close()
	}
	for _, conn := range c.conns {
		conn.Close()
	}
	return nil
}

// Conn is a connection of the client's, for calls that it has no method for.
func (c *Client) Conn() *grpc.ClientConn {
	if len(c.conns) == 1 {
		return c.conns[0]
	}
	return c.conns[int(c.next.Add(1))%len(c.conns)]
}

// Stats counts what the client did beyond what it was asked for, so that its
// cleverness hides nothing from a measurement.
type Stats struct {
	Attempts  atomic.Int64 // operations sent, those sent again included
	Retries   atomic.Int64 // operations sent again
	Frames    atomic.Int64 // Pipeline frames that carried operations
	Coalesced atomic.Int64 // operations that shared a frame with another
	Sessions  atomic.Int64 // sessions created, those after a loss included
	Resumes   atomic.Int64 // streams continued
}

// Stats are the client's counters.
func (c *Client) Stats() *Stats { return &c.stats }

type options struct {
	apiKey      string
	tls         *tls.Config
	connections int
	failFast    bool
	noSession   bool
	config      string
	namespaces  []string
	id, version string
	patience    time.Duration
	extra       []grpc.DialOption
	tracer      trace.Tracer // nil: no spans are made
}

func defaultOptions() options { return options{connections: 1, id: "prism-go", patience: patience} }

// An Option changes how a client is made.
type Option func(*options)

// WithAPIKey sends an API key with every call.
func WithAPIKey(key string) Option { return func(o *options) { o.apiKey = key } }

// WithTLS encrypts; without it the connection is plain text, for loopback.
func WithTLS(c *tls.Config) Option { return func(o *options) { o.tls = c } }

// WithConnections spreads the calls over n connections; default 1.
func WithConnections(n int) Option { return func(o *options) { o.connections = max(n, 1) } }

// WithFailFast reports an unreachable gateway at once instead of waiting for
// it until the deadline: for tools that a person waits for.
func WithFailFast() Option { return func(o *options) { o.failFast = true } }

// WithoutSession uses the implicit session of the credential.
func WithoutSession() Option { return func(o *options) { o.noSession = true } }

// WithConfig opens the session with a named client configuration, "name" or
// "name@version".
func WithConfig(name string) Option { return func(o *options) { o.config = name } }

// WithNamespaces narrows the session to these namespaces.
func WithNamespaces(names ...string) Option { return func(o *options) { o.namespaces = names } }

// WithID names the program in session lists.
func WithID(id, version string) Option { return func(o *options) { o.id, o.version = id, version } }

// WithDialOptions adds options for gRPC itself.
func WithDialOptions(opts ...grpc.DialOption) Option {
	return func(o *options) { o.extra = append(o.extra, opts...) }
}

func (o *options) dialOptions() []grpc.DialOption {
	creds := insecure.NewCredentials()
	if o.tls != nil {
		creds = credentials.NewTLS(o.tls)
	}
	opts := []grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithDisableRetry(),
		grpc.WithChainUnaryInterceptor(o.unary),
		grpc.WithChainStreamInterceptor(o.stream),
		grpc.WithDefaultCallOptions(
			grpc.ForceCodecV2(wire.Codec()),
			grpc.WaitForReady(!o.failFast),
			grpc.MaxCallRecvMsgSize(wire.MaxMessageBytes),
			grpc.MaxCallSendMsgSize(wire.MaxMessageBytes),
		),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 10 * time.Second, PermitWithoutStream: true}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
			MinConnectTimeout: 10 * time.Second,
		}),
		grpc.WithInitialWindowSize(4 << 20),
		grpc.WithInitialConnWindowSize(16 << 20),
	}
	return append(opts, o.extra...)
}

// bound gives ctx the default deadline if it has none.
func bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, DefaultTimeout)
}

// hexOf spells an id for metadata and idempotency keys.
func hexOf(id []byte) string { return hex.EncodeToString(id) }

// An idSource makes retry ids: 8 random bytes of the client, 8 of a counter.
type idSource struct {
	client [8]byte
	n      *atomic.Uint64
}

func newIDSource() idSource {
	s := idSource{n: new(atomic.Uint64)}
	rand.Read(s.client[:]) //nolint:errcheck // crypto/rand does not fail
	return s
}

func (s idSource) next() []byte {
	id := make([]byte, 16)
	copy(id, s.client[:])
	binary.BigEndian.PutUint64(id[8:], s.n.Add(1))
	return id
}
