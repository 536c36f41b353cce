package dev

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"

	"github.com/prism-data-layer/prism/pkg/client"
	"github.com/prism-data-layer/prism/pkg/client/admin"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/supervise"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

// probeNamespace is where the probe writes, so that it touches nobody's data.
const probeNamespace = "prism-probe"

// A probe asks a gateway whether it keeps what it is given. Of each process it
// asks that once, by a write that is read back; later it only reads.
type probe struct {
	admin func() string // the credential, if the gateway wants one

	mu     sync.Mutex
	proved int // the pid that has passed
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
	kv := c.KeyValue(probeNamespace)
	if p.proved != i.PID {
		if err := p.write(ctx, kv, i); err != nil {
			return err
		}
	}
	got, err := kv.Get(ctx, "ready")
	if err != nil {
		return err
	}
	if string(got.Value) != p.value {
		return fmt.Errorf("wrote %q and read back %q", p.value, got.Value)
	}
	p.proved = i.PID
	return nil
}

// write stores a fresh value, in a namespace that it makes the first time.
func (p *probe) write(ctx context.Context, kv *client.KeyValue, i supervise.Instance) error {
	p.value = rand.Text()
	_, err := kv.Set(ctx, "ready", []byte(p.value))
	if !errors.Is(err, prism.ReasonNotFound) {
		return err
	}
	a, err := admin.Dial(i.Addrs["admin"], admin.Options{APIKey: p.admin()})
	if err != nil {
		return err
	}
	defer a.Close()
	_, err = a.CreateNamespace(ctx, &adminv1.CreateNamespaceRequest{Spec: &adminv1.NamespaceSpec{
		Name: probeNamespace, Model: "keyvalue", Description: "prismctl dev proves here that a write can be read back",
	}})
	if err != nil && !errors.Is(err, prism.ReasonAlreadyExists) {
		return err
	}
	_, err = kv.Set(ctx, "ready", []byte(p.value))
	return err
}
