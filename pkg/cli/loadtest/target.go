package loadtest

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/prism-data-layer/prism/loadtest/report"
	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/client"
	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	keyvaluev1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

// A gateway is a namespace behind the SDK, as an application would use it.
type gateway struct {
	f         *cli.Factory
	client    *client.Client
	kv        *client.KeyValue
	namespace string
}

var _ store = (*gateway)(nil)

// dial prepares the SDK; it connects on the first call.
func dial(_ context.Context, f *cli.Factory, namespace string, connections int) (store, error) {
	c, err := f.SDK(client.WithConnections(connections), client.WithID("prismctl loadtest", f.Build.Version), client.WithNamespaces(namespace))
	if err != nil {
		return nil, err
	}
	return &gateway{f: f, client: c, kv: c.KeyValue(namespace), namespace: namespace}, nil
}

// Check asks without the SDK, which would wait for a gateway that is not there.
func (g *gateway) Check(ctx context.Context) error {
	c, err := g.f.KeyValue(ctx)
	if err != nil {
		return err
	}
	_, err = c.Get(ctx, &keyvaluev1.GetRequest{Namespace: g.namespace, Key: prefix})
	switch {
	case noNamespace(err, g.namespace):
		return cli.WithFix(err, "prismctl namespace create %s --model keyvalue", g.namespace)
	case errors.Is(err, prism.ReasonNotFound):
		return nil // no such key: it answers
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

func (g *gateway) About(ctx context.Context) map[string]string {
	ctx, cancel := context.WithTimeout(ctx, aboutTimeout)
	defer cancel()
	about := map[string]string{"namespace": g.namespace}
	a, err := g.f.Admin(ctx)
	if err != nil {
		return about
	}
	if st, err := a.GetStatus(ctx, &adminv1.GetStatusRequest{}); err == nil {
		about["prismd"] = st.GetVersion()
		if st.GetCommit() != "" {
			about["prismd"] += " (" + st.GetCommit() + ")"
		}
	}
	if n, err := a.GetNamespace(ctx, &adminv1.GetNamespaceRequest{Name: g.namespace}); err == nil {
		about["backend"] = n.GetNamespace().GetBoundBackend() + " (" + n.GetNamespace().GetBoundDriver() + ")"
	}
	return about
}

func (g *gateway) Get(ctx context.Context, key string) ([]byte, bool, error) {
	e, err := g.kv.Get(ctx, key)
	if errors.Is(err, prism.ReasonNotFound) && !noNamespace(err, g.namespace) {
		return nil, false, nil
	}
	return e.Value, err == nil, err
}

func (g *gateway) Set(ctx context.Context, key string, value []byte) error {
	_, err := g.kv.Set(ctx, key, value)
	return err
}

func (g *gateway) Delete(ctx context.Context, key string) error {
	_, _, err := g.kv.Delete(ctx, key)
	return err
}

func (g *gateway) DeleteAll(ctx context.Context, keys []string) error {
	results, err := g.kv.BatchDelete(ctx, keys...)
	for _, r := range results {
		if err == nil {
			err = r.Err
		}
	}
	return err
}

func (g *gateway) Stats() report.Attempts {
	s := g.client.Stats()
	n := func(c *atomic.Int64) uint64 { return uint64(max(c.Load(), 0)) }
	return report.Attempts{Attempts: n(&s.Attempts), Retries: n(&s.Retries), Coalesced: n(&s.Coalesced)}
}

func (g *gateway) Close() error { return g.client.Close() }
