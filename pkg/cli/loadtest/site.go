package loadtest

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/loadtest/report"
	"github.com/prism-data-layer/prism/loadtest/scenario"
	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/client"
	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

// A site is the gateway under load: clients of the SDK, as an application would
// use it, each with a session and connections of its own. Requests go round
// among them.
type site struct {
	f       *cli.Factory
	clients []*client.Client
	next    atomic.Uint64
}

// open prepares the clients; they connect on the first call.
func open(f *cli.Factory, sessions, connections int, namespaces []string) (*site, error) {
	s := &site{f: f}
	for range sessions {
		c, err := f.SDK(client.WithConnections(connections), client.WithID("prismctl loadtest", f.Build.Version), client.WithNamespaces(namespaces...))
		if err != nil {
			s.Close()
			return nil, err
		}
		s.clients = append(s.clients, c)
	}
	return s, nil
}

// turn is whose request it is.
func (s *site) turn() int {
	if len(s.clients) == 1 {
		return 0
	}
	return int(s.next.Add(1) % uint64(len(s.clients)))
}

// each makes something of every client.
func each[T any](s *site, of func(*client.Client) T) []T {
	var all []T
	for _, c := range s.clients {
		all = append(all, of(c))
	}
	return all
}

// Stats are those of all clients.
func (s *site) Stats() report.Attempts {
	var a report.Attempts
	n := func(c *atomic.Int64) uint64 { return uint64(max(c.Load(), 0)) }
	for _, c := range s.clients {
		st := c.Stats()
		a.Attempts += n(&st.Attempts)
		a.Retries += n(&st.Retries)
		a.Coalesced += n(&st.Coalesced)
	}
	return a
}

func (s *site) Close() {
	for _, c := range s.clients {
		_ = c.Close()
	}
}

// A part is a workload's namespace. Its target is what the workload wants.
type part interface {
	// Check asks once without the SDK, which would wait for a gateway that is
	// not there.
	Check(ctx context.Context) error
	// Clear deletes what the run left, and says what it did.
	Clear(ctx context.Context) (string, error)
	// Left says what stays when nothing is deleted.
	Left() string
}

// part opens a workload's namespace.
func (s *site) part(w *scenario.Workload, namespace string, p scenario.Place) part {
	at := place{site: s, namespace: namespace, Place: p}
	switch w.Model {
	case "cache":
		return newCaches(at, w)
	case "queue":
		return newQueues(at)
	case "pubsub":
		return newTopics(at)
	case "ts":
		return newSeries(at)
	case "session":
		return newSessions(at)
	}
	return newKeys(at, w)
}

// A place is where a part works.
type place struct {
	*site
	scenario.Place
	namespace string
}

// conn is a connection without the SDK.
func (p place) conn(ctx context.Context) (grpc.ClientConnInterface, error) {
	t, err := p.f.Target()
	if err != nil {
		return nil, err
	}
	return p.f.Conn(ctx, t.Data)
}

// checked judges the answer to a question about a thing that need not be there.
func (p place) checked(err error, model string) error {
	switch {
	case noNamespace(err, p.namespace):
		return cli.WithFix(err, "prismctl namespace create %s --model %s", p.namespace, model)
	case errors.Is(err, prism.ReasonNotFound):
		return nil // it answers
	}
	return err
}

// noNamespace reports whether err says that the namespace is not there, which
// has the same reason as a key that is not.
func noNamespace(err error, namespace string) bool {
	var e *prism.Error
	return errors.As(err, &e) && e.Reason == prism.ReasonNotFound && e.Message == prism.NotFound("namespace", namespace).Message
}

// aboutTimeout bounds a question that nothing depends on.
const aboutTimeout = 5 * time.Second

// about says what is tested, for the report; little where it may not be asked.
func (s *site) about(ctx context.Context, namespaces []string) map[string]string {
	ctx, cancel := context.WithTimeout(ctx, aboutTimeout)
	defer cancel()
	about := map[string]string{}
	a, err := s.f.Admin(ctx)
	if err != nil {
		return about
	}
	if st, err := a.GetStatus(ctx, &adminv1.GetStatusRequest{}); err == nil {
		about["prismd"] = st.GetVersion()
		if st.GetCommit() != "" {
			about["prismd"] += " (" + st.GetCommit() + ")"
		}
	}
	for _, name := range namespaces {
		about["namespace "+name] = ""
		if n, err := a.GetNamespace(ctx, &adminv1.GetNamespaceRequest{Name: name}); err == nil {
			about["namespace "+name] = n.GetNamespace().GetBoundBackend() + " (" + n.GetNamespace().GetBoundDriver() + ")"
		}
	}
	return about
}
