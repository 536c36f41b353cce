package ui

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	"github.com/prism-data-layer/prism/tui/component/rates"
	"github.com/prism-data-layer/prism/tui/page/overview"
)

// maxRows bounds the namespaces and the sessions that are asked for each time;
// the page says how many more there are.
const maxRows = 1000

// reconnectTime is how long a question waits for a connection that was lost.
const reconnectTime = 500 * time.Millisecond

// link is a connection that waits longer and longer before it tries again, and
// can be told not to.
type link interface {
	GetState() connectivity.State
	ResetConnectBackoff()
	WaitForStateChange(context.Context, connectivity.State) bool
}

// A source answers the pages from the admin API.
type source struct {
	client  adminv1.AdminServiceClient
	link    link // nil: the connection looks after itself
	address string
	f       *cli.Factory // for what is asked elsewhere than of the admin API

	once sync.Once // guards the connection to the data API
	conn grpc.ClientConnInterface
	err  error
}

// dataConn is the connection to the data API, made when it is first needed.
func (s *source) dataConn(ctx context.Context) (grpc.ClientConnInterface, error) {
	s.once.Do(func() {
		var t *cli.Target
		if t, s.err = s.f.Target(); s.err == nil {
			s.conn, s.err = s.f.Conn(context.WithoutCancel(ctx), t.Data)
		}
	})
	return s.conn, s.err
}

func newSource(ctx context.Context, f *cli.Factory) (*source, error) {
	t, err := f.Target()
	if err != nil {
		return nil, err
	}
	conn, err := f.Conn(ctx, t.Admin)
	if err != nil {
		return nil, err
	}
	s := &source{client: adminv1.NewAdminServiceClient(conn), address: t.Admin, f: f}
	s.link, _ = conn.(link)
	return s, nil
}

// Overview asks for all parts side by side.
func (s *source) Overview(ctx context.Context) (*overview.Snapshot, error) {
	s.reconnect(ctx)
	q := &question{source: s, out: &overview.Snapshot{More: map[overview.Part]int64{}, Problems: map[overview.Part]error{}}}
	var wg sync.WaitGroup
	for _, part := range []func(context.Context){q.status, q.stats, q.namespaces, q.backends, q.sessions} {
		wg.Go(func() { part(ctx) })
	}
	wg.Wait()
	if q.err != nil {
		return nil, s.explain(q.err)
	}
	if more := q.total - int64(len(q.out.Namespaces)); q.cut && more > 0 {
		q.out.More[overview.PartNamespaces] = more
	}
	return q.out, nil
}

// reconnect makes a lost connection try again now: gRPC would wait for up to
// two minutes, and a person looks at the screen.
func (s *source) reconnect(ctx context.Context) { reconnect(ctx, s.link) }

func reconnect(ctx context.Context, l link) {
	if l == nil || l.GetState() != connectivity.TransientFailure {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, reconnectTime)
	defer cancel()
	l.ResetConnectBackoff()
	for state := connectivity.TransientFailure; state != connectivity.Ready && l.WaitForStateChange(ctx, state); {
		state = l.GetState()
	}
}

// explain says in the page's terms that the time ran out: it is the page that
// gave it, not --timeout.
func (s *source) explain(err error) error {
	if errors.Is(err, prism.ReasonDeadlineExceeded) {
		return prism.New(prism.ReasonUnavailable, "the gateway at %s does not answer", s.address).WithCause(errNoAnswer)
	}
	return err
}

// A question collects the answers to one Overview. Each part writes its own
// fields, and the maps and the error under the lock.
type question struct {
	*source
	out *overview.Snapshot

	mu    sync.Mutex
	err   error
	total int64 // namespaces that there are
	cut   bool  // not all of them were asked for
}

func (q *question) problem(p overview.Part, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.out.Problems[p] = err
}

func (q *question) status(ctx context.Context) {
	r, err := q.client.GetStatus(ctx, &adminv1.GetStatusRequest{})
	if err != nil {
		q.err = err // whoever may not know this may know nothing
		return
	}
	q.out.Now, q.out.Started = moment(r.GetNowMs()), moment(r.GetStartedAtMs())
	q.out.Version, q.out.State = r.GetVersion(), r.GetState()
	q.total = r.GetNamespaces()
	if x := r.GetMaintenance(); x != nil {
		q.out.Maintenance = &overview.Maintenance{Refuses: x.GetRefuses(), Message: x.GetMessage(), Ends: moment(x.GetEndsAtMs())}
	}
	if p := r.GetConfigProblem(); p != "" {
		q.out.Notice = "a configuration was refused, the one before is in force: " + p
	}
}

func moment(ms int64) time.Time {
	if ms <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func (q *question) stats(ctx context.Context) {
	r, err := q.client.GetStats(ctx, &adminv1.GetStatsRequest{})
	if err != nil {
		q.problem(overview.PartStats, err)
		return
	}
	q.out.Stats = counters(r)
}

// counters adds up what was done in namespaces: there an operation inside a
// stream counts as the call that it would be alone, while a method counts its
// stream once, when it ends. The methods know of the calls that were refused
// before they reached a namespace, so that the errors are the larger of both.
func counters(r *adminv1.GetStatsResponse) rates.Snapshot {
	s := rates.Snapshot{At: time.UnixMilli(r.GetTimeMs()), Of: make(map[string]rates.Counter, len(r.GetNamespaces()))}
	for _, n := range r.GetNamespaces() {
		c := rates.Counter{
			Calls: n.GetReads() + n.GetWrites(), Errors: n.GetErrors(),
			Latency: rates.Histogram{BoundsUS: n.GetLatency().GetBoundsUs(), Counts: n.GetLatency().GetCounts()},
		}
		s.Of[n.GetNamespace()] = c
		s.Total = s.Total.Plus(c)
	}
	var failed int64
	for _, m := range r.GetMethods() {
		if isData(m.GetMethod()) {
			failed += m.GetErrors()
		}
	}
	s.Total.Errors = max(s.Total.Errors, failed)
	return s
}

// isData leaves out the admin API: looking at the screen is no traffic.
func isData(method string) bool {
	return strings.HasPrefix(method, "prism.") && !strings.HasPrefix(method, "prism.admin.")
}

func (q *question) namespaces(ctx context.Context) {
	more, err := cli.Pages(ctx, maxRows, func(ctx context.Context, cursor string, size int32) (int, string, error) {
		r, err := q.client.ListNamespaces(ctx, &adminv1.ListNamespacesRequest{Limit: size, Cursor: cursor})
		for _, n := range r.GetNamespaces() {
			q.out.Namespaces = append(q.out.Namespaces, overview.Namespace{
				Name: n.GetSpec().GetName(), Model: n.GetSpec().GetModel(), Backend: n.GetBoundBackend(),
				State: cli.EnumWord(n.GetState().String(), "NAMESPACE_STATE_"),
				Keys:  n.GetUsage().GetKeys(), KeysKnown: n.GetUsage() != nil, Estimated: n.GetUsage().GetEstimated(),
			})
		}
		return len(r.GetNamespaces()), r.GetCursor(), err
	})
	if err != nil {
		q.problem(overview.PartNamespaces, err)
	}
	q.cut = more != ""
}

func (q *question) backends(ctx context.Context) {
	r, err := q.client.ListBackends(ctx, &adminv1.ListBackendsRequest{})
	if err != nil {
		q.problem(overview.PartBackends, err)
		return
	}
	for _, b := range r.GetBackends() {
		problem := b.GetMessage()
		if problem == "" && b.GetHealth() != adminv1.HealthState_HEALTH_STATE_HEALTHY {
			problem = b.GetLastError()
		}
		q.out.Backends = append(q.out.Backends, overview.Backend{
			Name: b.GetName(), Driver: b.GetDriver(), Health: cli.EnumWord(b.GetHealth().String(), "HEALTH_STATE_"),
			Latency: time.Duration(b.GetLatencyUs()) * time.Microsecond, Durability: b.GetDurability(), Error: problem,
		})
	}
}

func (q *question) sessions(ctx context.Context) {
	var total int64
	_, err := cli.Pages(ctx, maxRows, func(ctx context.Context, cursor string, size int32) (int, string, error) {
		r, err := q.client.ListSessions(ctx, &adminv1.ListSessionsRequest{Limit: size, Cursor: cursor})
		for _, s := range r.GetSessions() {
			q.out.Sessions = append(q.out.Sessions, overview.Session{
				ID: s.GetSessionId(), Principal: s.GetPrincipal(), Client: program(s),
				Status:  cli.EnumWord(s.GetStatus().String(), "SESSION_STATUS_"),
				Created: moment(s.GetCreatedAtMs()), Active: moment(s.GetLastActivityMs()), Requests: s.GetMetrics().GetRequestsProcessed(),
			})
		}
		total = r.GetTotal()
		return len(r.GetSessions()), r.GetCursor(), err
	})
	if err != nil {
		q.problem(overview.PartSessions, err)
		return
	}
	if more := total - int64(len(q.out.Sessions)); more > 0 {
		q.mu.Lock()
		q.out.More[overview.PartSessions] = more
		q.mu.Unlock()
	}
}

// program names the program behind a session.
func program(s *adminv1.Session) string {
	switch {
	case s.GetClientId() == "" && s.GetImplicit():
		return "implicit"
	case s.GetClientVersion() == "":
		return s.GetClientId()
	}
	return s.GetClientId() + " " + s.GetClientVersion()
}
