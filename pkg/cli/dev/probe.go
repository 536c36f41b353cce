package dev

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/prism-data-layer/prism/pkg/client"
	"github.com/prism-data-layer/prism/pkg/client/admin"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/supervise"
	"github.com/prism-data-layer/prism/pkg/wire"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

// probeNamespace is where the probe writes, so that it touches nobody's data.
const probeNamespace = "prism-probe"

// A probe asks a gateway whether it keeps what it is given. Of each process it
// asks that once, by a write that is read back; later it only reads. A gateway
// without a backend that takes keys can only be asked for its health.
type probe struct {
	admin func() string // the credential, if the gateway wants one

	mu     sync.Mutex
	proved int    // the pid that has passed
	where  string // the namespace that it has passed in; "" for none
	value  string
}

func (p *probe) check(ctx context.Context, i supervise.Instance) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	opts := []client.Option{client.WithFailFast(), client.WithoutSession(), client.WithID("prismctl dev", "")}
	if token := p.admin(); token != "" {
		opts = append(opts, client.WithAPIKey(token))
	}
	c, err := client.Dial(i.Addrs["data"], opts...)
	if err != nil {
		return err
	}
	defer c.Close()
	if p.proved != i.PID {
		p.value = rand.Text()
		if p.where, err = p.write(ctx, c, i); err != nil {
			return err
		}
	}
	if p.where != "" {
		got, err := c.KeyValue(p.where).Get(ctx, "ready")
		if err != nil {
			return err
		}
		if string(got.Value) != p.value {
			return fmt.Errorf("wrote %q and read back %q", p.value, got.Value)
		}
	} else if err := serving(ctx, c); err != nil {
		return err
	}
	p.proved = i.PID
	return nil
}

// write stores the value in a namespace of the probe's own and returns its
// name; "" when there is nowhere to store anything. It is on the default
// backend, else on any that takes keys: the file may have changed since the
// first one was made.
func (p *probe) write(ctx context.Context, c *client.Client, i supervise.Instance) (namespace string, err error) {
	a, err := admin.Dial(i.Addrs["admin"], admin.Options{APIKey: p.admin()})
	if err != nil {
		return "", err
	}
	defer a.Close()
	if err = p.set(ctx, c, a, probeNamespace, ""); err == nil || prism.From(err).Retryable() {
		return probeNamespace, err
	}
	list, listErr := a.ListBackends(ctx, &adminv1.ListBackendsRequest{})
	if listErr != nil {
		return "", listErr
	}
	able := false
	for _, b := range list.GetBackends() {
		if !slices.Contains(b.GetCapabilities(), "keyvalue_basic") {
			continue
		}
		able = true
		name := probeNamespace + "-" + b.GetName()
		if err = p.set(ctx, c, a, name[:min(len(name), prism.MaxNameBytes)], b.GetName()); err == nil {
			return name, nil
		}
	}
	if !able {
		return "", nil
	}
	return "", err
}

// set stores the value in a namespace, which it makes where it is missing.
func (p *probe) set(ctx context.Context, c *client.Client, a *admin.Client, namespace, backend string) error {
	kv := c.KeyValue(namespace)
	_, err := kv.Set(ctx, "ready", []byte(p.value))
	if !errors.Is(err, prism.ReasonNotFound) {
		return err
	}
	_, err = a.CreateNamespace(ctx, &adminv1.CreateNamespaceRequest{Spec: &adminv1.NamespaceSpec{
		Name: namespace, Model: "keyvalue", Backend: backend, Description: "prismctl dev proves here that a write can be read back",
	}})
	if err != nil && !errors.Is(err, prism.ReasonAlreadyExists) {
		return err
	}
	_, err = kv.Set(ctx, "ready", []byte(p.value))
	return err
}

// serving asks the gateway whether it takes calls.
func serving(ctx context.Context, c *client.Client) error {
	r, err := healthpb.NewHealthClient(c.Conn()).Check(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		return wire.FromStatus(err)
	}
	if r.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		return fmt.Errorf("its health is %s", r.GetStatus())
	}
	return nil
}
