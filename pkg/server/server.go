// Package server is prismd put together: configuration, stores, road, ports,
// reload and drain. cmd/prismd starts it, and so do tests.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/prism-data-layer/prism/pkg/admin"
	"github.com/prism-data-layer/prism/pkg/auth"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/control"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/gateway"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/route"
	"github.com/prism-data-layer/prism/pkg/session"
	"github.com/prism-data-layer/prism/pkg/telemetry"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

// A State is where the gateway stands in its life.
type State int32

const (
	Starting State = iota
	Running
	Draining
	Stopping
	Stopped
)

func (s State) String() string {
	return [...]string{"Starting", "Running", "Draining", "Stopping", "Stopped"}[s]
}

// Options are what a server is made with.
type Options struct {
	Config  *config.Gateway
	Dir     string // where a relative data_dir starts
	File    string // the configuration file to watch; empty: none
	Drivers driver.Registry
	// Listeners that somebody else has opened, by the names data, admin and
	// metrics; those that are missing are opened here.
	Listeners map[string]net.Listener
	Clock     clock.Clock // nil: the machine's
	Log       *slog.Logger
	Version   string
	Commit    string
}

// A Server is one gateway.
type Server struct {
	o       Options
	clock   clock.Clock
	log     *slog.Logger
	started time.Time
	state   atomic.Int32
	dir     string
	lock    *os.File

	metrics  *telemetry.Metrics
	traces   *telemetry.Tracer // nil: none are kept
	calls    *telemetry.Calls
	export   *telemetry.Export // nil: nothing is sent
	control  *control.Store
	auth     *auth.Authenticator
	sessions *session.Manager
	router   *route.Router
	admin    *admin.Service
	configs  *admin.Configs
	health   *health.Server

	listeners  map[string]net.Listener
	silent     []*silentListener
	data, ops  *grpc.Server
	http       *http.Server
	draining   chan struct{}
	stopWork   context.CancelFunc // ends the background work
	background sync.WaitGroup

	reload  sync.Mutex
	inForce *config.Gateway
	problem atomic.Pointer[string] // of the last file that was refused
}

// New opens everything that the configuration names and listens. Nothing
// stays behind when it fails.
func New(ctx context.Context, o Options) (_ *Server, err error) {
	s := &Server{
		o: o, clock: o.Clock, log: o.Log, draining: make(chan struct{}),
		listeners: map[string]net.Listener{}, inForce: o.Config, stopWork: func() {}, calls: new(telemetry.Calls),
	}
	if s.clock == nil {
		s.clock = clock.Real()
	}
	s.started = s.clock.Now()
	defer func() {
		if err != nil {
			s.release()
		}
	}()
	if s.dir, err = o.Config.ResolveDataDir(o.Dir); err != nil {
		return nil, prism.New(prism.ReasonInvalidConfig, "data_dir: %s", err)
	}
	for _, step := range []func(context.Context) error{s.openTelemetry, s.lockDir, s.listen, s.openStores, s.bootstrap, s.putInForce, s.serveOptions} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// openStores opens the control store and the backends, and makes the parts
// that live on them.
func (s *Server) openStores(ctx context.Context) (err error) {
	if s.control, err = control.Open(ctx, filepath.Join(s.dir, "control.db"), s.clock, s.log); err != nil {
		return err
	}
	secret, err := s.control.Secret(ctx, "cursors")
	if err != nil {
		return err
	}
	c := s.o.Config
	s.auth = auth.New(auth.Mode(c.Auth.Mode), s.control, s.clock)
	s.sessions = session.New(s.control, session.Options{
		Idle: c.Sessions.Idle, Max: c.Sessions.Max, Heartbeat: c.Sessions.Heartbeat, Grace: c.Sessions.Grace,
		MaxTotal: int(c.Limits.MaxSessions), MaxPerPrincipal: int(c.Limits.MaxSessions),
	}, s.clock, s.log)
	s.router = route.New(route.Options{Drivers: s.o.Drivers, Dir: s.dir, Secret: secret, Clock: s.clock, Log: s.log, Faults: c.Faults, Audit: s.audit})
	road := &admin.Road{Auth: s.auth, Control: s.control, Metrics: s.metrics, Traces: s.traces, Calls: s.calls, Clock: s.clock, Log: s.log, Draining: s.draining}
	s.admin = admin.New(road, s.sessions, s.router, admin.Server{Status: s.status, Backend: s.addedBackend})
	s.configs = admin.NewConfigs(s.control)
	s.gauges()

	limits := limitsOf(c)
	s.health = health.NewServer()
	guard := grpc.ChainStreamInterceptor(s.around)
	s.data = grpc.NewServer(append(limits.options(), guard)...)
	s.ops = grpc.NewServer(append(limits.options(), guard, grpc.UnaryInterceptor(road.Interceptor()), grpc.ChainStreamInterceptor(road.StreamInterceptor()))...)
	if err := s.router.OpenBackends(ctx, backendsOf(c)); err != nil {
		return err
	}
	return s.openAdded(ctx)
}

// bootstrap makes the first key of a gateway that asks for credentials and has
// none to let an operator in: an admin's, in a file only its owner can read.
func (s *Server) bootstrap(ctx context.Context) error {
	if s.auth.Mode() == auth.Off {
		s.log.Warn("AUTHENTICATION IS OFF: whoever can connect to this machine's loopback is the principal dev")
		return nil
	}
	keys, err := s.control.Keys(ctx, true)
	if err != nil || len(keys) > 0 {
		return err
	}
	record, secret, err := auth.NewKey("user:admin", []string{auth.RoleAdmin}, 0, s.clock.Now())
	if err != nil {
		return err
	}
	record.Description = "made at the first start"
	path := filepath.Join(s.dir, "admin.key")
	if err := config.WriteFile(path, []byte(secret+"\n")); err != nil {
		return fmt.Errorf("write the first key: %w", err)
	}
	s.log.Warn("made the first admin key: use it to make others, then revoke it", "file", path, "key_id", record.ID)
	return s.control.CreateKey(ctx, record)
}

// putInForce declares what the file says and applies what the control store
// holds.
func (s *Server) putInForce(ctx context.Context) error {
	if err := s.sessions.Load(ctx); err != nil {
		return err
	}
	if err := s.declare(ctx, s.o.Config); err != nil {
		return err
	}
	if err := s.admin.Apply(ctx); err != nil {
		s.log.Error("some namespaces cannot be served", "error", err)
	}
	return s.admin.Resume(ctx)
}

// serveOptions puts the services on their ports.
func (s *Server) serveOptions(context.Context) error {
	road := &gateway.Road{
		Auth: s.auth, Sessions: s.sessions, Router: s.router, Metrics: s.metrics, Traces: s.traces, Calls: s.calls, Clock: s.clock, Log: s.log,
		Draining: s.draining, Deadline: s.o.Config.Limits.DefaultDeadline,
	}
	gateway.RegisterKeyValue(s.data, road)
	gateway.RegisterQueue(s.data, road)
	gateway.RegisterWorkQueue(s.data, road)
	gateway.RegisterCache(s.data, road)
	gateway.RegisterPubSub(s.data, road)
	gateway.RegisterTimeSeries(s.data, road)
	gateway.RegisterSessions(s.data, road, s.configs)
	s.admin.Register(s.ops, s.configs)
	for _, g := range []*grpc.Server{s.data, s.ops} {
		healthv1.RegisterHealthServer(g, healthService{s.health})
		registerReflection(g)
	}
	s.http = &http.Server{
		Handler: telemetry.NewHandler(telemetry.HTTPOptions{
			Metrics: s.metrics,
			Ready:   func() bool { return s.State() == Running },
		}),
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	return nil
}

// State is where the gateway stands.
func (s *Server) State() State { return State(s.state.Load()) }

// Addr is the address of a port: data, admin or metrics.
func (s *Server) Addr(name string) string { return s.listeners[name].Addr().String() }

// Run serves until ctx ends, then drains. A second way to stop, at once, is to
// close force. It returns nil after a clean drain.
func (s *Server) Run(ctx context.Context, force <-chan struct{}) error {
	work, stop := context.WithCancel(context.Background())
	s.stopWork = stop
	s.startWork(work)

	failed := make(chan error, 3)
	serve := func(name string, f func(net.Listener) error) {
		go func() {
			if err := f(s.listeners[name]); err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, grpc.ErrServerStopped) {
				failed <- fmt.Errorf("serve %s: %w", name, err)
			}
		}()
	}
	serve("data", s.data.Serve)
	serve("admin", s.ops.Serve)
	serve("metrics", s.http.Serve)

	s.state.Store(int32(Running))
	s.log.Info("ready", "data", s.Addr("data"), "admin", s.Addr("admin"), "metrics", s.Addr("metrics"), "version", s.o.Version)
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	case <-force:
	}
	return errors.Join(err, s.stop(force))
}

// probeEvery is how often each backend is asked how it does: a breaker opens
// and closes by it.
const probeEvery = time.Second

// startWork starts what runs beside the calls.
func (s *Server) startWork(ctx context.Context) {
	run := func(name string, f func(context.Context) error) {
		s.background.Go(func() {
			if err := f(ctx); err != nil && !errors.Is(err, context.Canceled) {
				s.log.Error("background work ended", "work", name, "error", err)
			}
		})
	}
	run("sessions", s.sessions.Run)
	run("keys", s.auth.Run)
	run("probes", func(ctx context.Context) error { s.router.Watch(ctx, probeEvery); return nil })
	if s.o.File != "" {
		run("configuration", func(ctx context.Context) error {
			config.Watch(ctx, s.clock, s.o.File, time.Second, func() { s.Reload(ctx) })
			return nil
		})
	}
}

// status is what only the server knows of itself.
func (s *Server) status() *adminv1.GetStatusResponse {
	rss, cpu := usage()
	st := &adminv1.GetStatusResponse{
		Version: s.o.Version, Commit: s.o.Commit, GoVersion: runtime.Version(), State: s.State().String(),
		StartedAtMs: s.started.UnixMilli(), DataAddress: s.Addr("data"), AdminAddress: s.Addr("admin"), MetricsAddress: s.Addr("metrics"),
		RssBytes: rss, CpuSeconds: cpu, Goroutines: int64(runtime.NumGoroutine()), Pid: int64(os.Getpid()),
	}
	st.FaultsEnabled = s.router.FaultsAllowed()
	if p := s.problem.Load(); p != nil {
		st.ConfigProblem = *p
	}
	return st
}

// gauges publishes the numbers that other parts keep.
func (s *Server) gauges() {
	s.metrics.Gauge("prism_active_sessions", "Sessions that are open, implicit ones too.", func() float64 {
		st := s.sessions.Stats()
		return float64(st.Explicit + st.Implicit)
	})
	s.metrics.Gauge("prism_active_streams", "Streams that are open.", func() float64 { return float64(s.sessions.Stats().Streams) })
	s.cacheMetrics()
	s.metrics.Gauge("prism_pubsub_subscriptions", "Subscriptions that are open.", func() float64 { return float64(s.router.PubSub().Subscriptions) })
	s.metrics.Counter("prism_pubsub_published_total", "Events that were published.", func() float64 { return float64(s.router.PubSub().Published) })
	s.metrics.Counter("prism_pubsub_delivered_total", "Events that were sent to subscriptions.", func() float64 { return float64(s.router.PubSub().Delivered) })
	s.metrics.Counter("prism_pubsub_dropped_total", "Events that were dropped because their reader was too slow.", func() float64 { return float64(s.router.PubSub().Dropped) })
	s.metrics.Gauge("prism_pubsub_backlog", "Persistent events that durable subscriptions have not acknowledged.", func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		return float64(s.router.PubSubBacklog(ctx))
	})
	s.metrics.Backends(s.router.BackendStats)
	s.seriesMetrics()
	s.metrics.Queues(s.router.QueueStats)
	s.metrics.Logs(s.router.LogStats)
	s.metrics.Gauge("prism_state", "Where the gateway stands: 1 running, 2 draining, 3 stopping.", func() float64 { return float64(s.State()) })
}

// audit records what the gateway does by itself.
func (s *Server) audit(r control.AuditRecord) {
	if err := s.control.Audit(context.Background(), r); err != nil {
		s.log.Error("cannot write the audit record", "error", err)
	}
}
