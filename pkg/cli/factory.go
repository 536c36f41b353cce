package cli

import (
	"context"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	cachev1 "github.com/prism-data-layer/prism/proto/prism/cache/v1"
	keyvaluev1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	pubsubv1 "github.com/prism-data-layer/prism/proto/prism/pubsub/v1"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
	timeseriesv1 "github.com/prism-data-layer/prism/proto/prism/timeseries/v1"
)

// DefaultTimeout is how long one call to the gateway may take.
const DefaultTimeout = 30 * time.Second

// A Build says which program this is.
type Build struct {
	Version string // "0.1.0"
	Commit  string
	Date    string
}

// A Factory gives commands what they need, when they run and not before: a
// command that only prints help opens no file and no connection.
type Factory struct {
	IO    *iostreams.IOStreams
	Clock clock.Clock
	Build Build

	// Globals are the flags that every command takes.
	Globals *Globals
	// Place is the folder and the person that the command runs for.
	Place Place
	// Settings reads, once, the files and the environment.
	Settings func() (*config.Settings, error)
	// Target says, once, where this command talks to and as whom.
	Target func() (*Target, error)
	// Conn opens, once for each address, the connection to a gateway.
	Conn func(ctx context.Context, address string) (grpc.ClientConnInterface, error)

	// Tree makes the whole tree of commands for another factory; see Execute.
	Tree func(*Factory) *cobra.Command

	// Tracing makes the spans of the command's calls; nil: they are sent nowhere.
	Tracing trace.TracerProvider

	traceID func() string // one for all calls of a command
	kinds   []KindInfo

	completions int  // how many were made
	patient     bool // a person sees nothing until the command's calls are answered

	mu    sync.Mutex                  // of conns
	conns map[string]*grpc.ClientConn // by address
}

// Globals are the values of the global flags.
type Globals struct {
	Context   string
	Namespace string
	Config    string
	Data      string
	Admin     string
	Insecure  bool
	CA        string
	TokenFile string

	Output  string
	Quiet   bool
	UTC     bool
	Times   string // --time-format
	Verbose int
	Debug   bool

	Color   string
	NoInput bool
	NoPager bool
	Timeout time.Duration
}

// Chatty reports whether details belong on ErrOut.
func (g *Globals) Chatty() bool { return g.Verbose > 0 || g.Debug }

// A Target is a gateway and who we are to it.
type Target struct {
	Context   string // its name; "" when none is in use
	Data      string // address of the data API
	Admin     string // address of the admin API
	Token     string // secret: never printed
	TLS       bool
	CAFile    string
	Protected bool
	Namespace string // of data commands; "" when nothing names one
}

// NewFactory returns a factory for the given streams. Any of its functions may
// be replaced before the first command runs.
func NewFactory(ios *iostreams.IOStreams, build Build) *Factory {
	f := &Factory{IO: ios, Clock: ios.Clock(), Build: build, Globals: &Globals{}}
	f.Settings = sync.OnceValues(f.resolve)
	f.Target = sync.OnceValues(f.target)
	f.Conn = f.dial
	f.traceID = sync.OnceValue(newTraceID)
	return f
}

// Admin is the gateway's admin API.
func (f *Factory) Admin(ctx context.Context) (adminv1.AdminServiceClient, error) {
	t, err := f.Target()
	if err != nil {
		return nil, err
	}
	conn, err := f.Conn(ctx, t.Admin)
	if err != nil {
		return nil, err
	}
	return adminv1.NewAdminServiceClient(conn), nil
}

// data is a client of one of the services on the data port.
func data[C any](ctx context.Context, f *Factory, client func(grpc.ClientConnInterface) C) (c C, err error) {
	t, err := f.Target()
	if err != nil {
		return c, err
	}
	conn, err := f.Conn(ctx, t.Data)
	if err != nil {
		return c, err
	}
	return client(conn), nil
}

// KeyValue is the gateway's key-value API.
func (f *Factory) KeyValue(ctx context.Context) (keyvaluev1.KeyValueServiceClient, error) {
	return data(ctx, f, keyvaluev1.NewKeyValueServiceClient)
}

// PubSub is the gateway's pub/sub API.
func (f *Factory) PubSub(ctx context.Context) (pubsubv1.PubSubServiceClient, error) {
	return data(ctx, f, pubsubv1.NewPubSubServiceClient)
}

// WorkQueue is the gateway's work queue API.
func (f *Factory) WorkQueue(ctx context.Context) (queuev1.WorkQueueServiceClient, error) {
	return data(ctx, f, queuev1.NewWorkQueueServiceClient)
}

// Log is the gateway's API of logs.
func (f *Factory) Log(ctx context.Context) (queuev1.QueueServiceClient, error) {
	return data(ctx, f, queuev1.NewQueueServiceClient)
}

// Cache is the gateway's API of caches.
func (f *Factory) Cache(ctx context.Context) (cachev1.CacheServiceClient, error) {
	return data(ctx, f, cachev1.NewCacheServiceClient)
}

// TimeSeries is the gateway's API of time series.
func (f *Factory) TimeSeries(ctx context.Context) (timeseriesv1.TimeSeriesServiceClient, error) {
	return data(ctx, f, timeseriesv1.NewTimeSeriesServiceClient)
}

// Namespace is the namespace that a data command works on: what a flag, the
// environment, the project or the context names, else the one that dev up
// makes for the model and calls by its name.
func (f *Factory) Namespace(model string) (string, error) {
	t, err := f.Target()
	if err != nil || t.Namespace != "" {
		return t.namespace(), err
	}
	return model, nil
}

func (t *Target) namespace() string {
	if t == nil {
		return ""
	}
	return t.Namespace
}

// Kinds lists the kinds that the commands of this tree print.
func (f *Factory) Kinds() []KindInfo { return f.kinds }

// Close ends what was opened.
func (f *Factory) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.conns {
		_ = c.Close()
	}
	f.conns = nil
}
