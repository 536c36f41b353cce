package server

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/control"
	"github.com/prism-data-layer/prism/pkg/guard"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/route"
)

// declare brings the control store up to what the file says. A namespace that
// has left the file stays.
func (s *Server) declare(ctx context.Context, c *config.Gateway) error {
	for _, b := range c.Backends {
		record := control.Backend{Name: b.Name, Driver: b.Driver, DeclaredIn: declaredIn(b.Where)}
		before, err := s.control.SaveBackend(ctx, record)
		if err != nil {
			return err
		}
		if before.Driver != "" && before.Driver != b.Driver {
			s.log.Warn("a backend has changed its driver: data that it held is with the old one", "backend", b.Name, "was", before.Driver, "is", b.Driver)
		}
	}
	var problems []error
	for _, n := range c.Namespaces {
		record, err := namespaceOf(n)
		switch {
		case err != nil:
		case record.DeclaredIn == "":
			err = s.offer(ctx, record)
		default:
			err = s.admin.Declare(ctx, record)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", declaredIn(n.Where), err))
		}
	}
	for _, cc := range c.Configs {
		if _, _, err := s.control.RegisterConfig(ctx, clientConfigOf(cc), true, "file"); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", declaredIn(cc.Where), err))
		}
	}
	return errors.Join(problems...)
}

// offer makes a namespace of the built-in settings once: what an operator did
// with it since, deleting it included, stands.
func (s *Server) offer(ctx context.Context, n control.Namespace) error {
	events, _, err := s.control.NamespaceHistory(ctx, n.Name, control.Page{Limit: 1})
	if len(events) > 0 {
		return nil
	}
	if err != nil && !errors.Is(err, prism.ReasonNotFound) {
		return err
	}
	_, err = s.admin.Create(ctx, n, "built-in", false)
	return err
}

// Reload reads the file again. A file that is wrong changes nothing: what was
// in force stays, and the status says why.
func (s *Server) Reload(ctx context.Context) {
	s.reload.Lock()
	defer s.reload.Unlock()
	if s.o.File == "" {
		return
	}
	next, err := config.LoadGateway(s.o.File, config.Load{Drivers: s.o.Drivers.Names(), Dir: s.o.Dir})
	if err == nil {
		err = s.change(ctx, next)
	}
	if err != nil {
		text := err.Error()
		s.problem.Store(&text)
		s.log.Error("the new configuration is refused, the old one stays in force", "file", s.o.File, "error", err)
		return
	}
	s.problem.Store(nil)
	s.inForce = next
	s.log.Info("the new configuration is in force", "file", s.o.File)
}

// change puts another configuration in force, as far as that needs no restart.
func (s *Server) change(ctx context.Context, next *config.Gateway) error {
	for _, fixed := range []struct {
		name     string
		was, now any
	}{
		{"listen.data", s.inForce.Listen.Data, next.Listen.Data},
		{"listen.admin", s.inForce.Listen.Admin, next.Listen.Admin},
		{"listen.metrics", s.inForce.Listen.Metrics, next.Listen.Metrics},
		{"data_dir", s.inForce.DataDir, next.DataDir},
		{"auth.mode", s.inForce.Auth.Mode, next.Auth.Mode},
		{"faults", s.inForce.Faults, next.Faults},
	} {
		if fixed.was != fixed.now {
			s.log.Warn("this change takes effect at the next start", "setting", fixed.name, "in_force", fixed.was, "declared", fixed.now)
		}
	}
	if err := s.router.OpenBackends(ctx, backendsOf(next)); err != nil {
		return err
	}
	return s.declare(ctx, next)
}

func backendsOf(c *config.Gateway) []route.Backend {
	list := make([]route.Backend, len(c.Backends))
	for i, b := range c.Backends {
		list[i] = backendOf(b)
	}
	return list
}

// openAdded opens the backends that an operator has added. A file that declares
// one now has the word; one that cannot be opened is no reason not to start.
func (s *Server) openAdded(ctx context.Context) error {
	list, err := s.control.Backends(ctx)
	if err != nil {
		return err
	}
	for _, b := range list {
		if _, declared := s.inForce.Backend(b.Name); declared || !b.Added {
			continue
		}
		opened, err := s.addedBackend(b.Name, b.Driver, b.Options)
		if err == nil {
			err = s.router.AddBackend(ctx, opened)
		}
		if err != nil {
			s.log.Error("an added backend cannot be opened: its namespaces are not served", "backend", b.Name, "error", err)
		}
	}
	return nil
}

// addedBackend judges a backend that stands in no file.
func (s *Server) addedBackend(name, driver string, options map[string]string) (route.Backend, error) {
	b, err := config.AddedBackend(name, driver, options, s.o.Drivers.Names())
	if err != nil {
		return route.Backend{}, err
	}
	opened := backendOf(b)
	opened.DeclaredIn, opened.Added = "", true
	return opened, nil
}

func backendOf(b config.Backend) route.Backend {
	return route.Backend{
		Name: b.Name, Driver: b.Driver, DeclaredIn: declaredIn(b.Where), Options: b.Options.Decode, Written: b.Options.Written(),
		Guard: guard.Settings{
			Off: b.Guard.Mode == "off", CallTimeout: b.Guard.CallTimeout,
			MaxInFlight: int(b.Guard.MaxInFlight), Failures: int(b.Guard.Failures),
		},
	}
}

func namespaceOf(n config.Namespace) (control.Namespace, error) {
	record := control.Namespace{
		Name: n.Name, Model: n.Model, Backend: n.Backend, Description: n.Description,
		Needs: control.Needs{
			Durability: n.Needs.Durability, TTL: n.Needs.TTL, ReadRPS: n.Needs.ReadRPS, WriteRPS: n.Needs.WriteRPS, SizeBytes: int64(n.Needs.Size),
		},
		Limits: control.Limits{
			RequestRPS: n.Limits.RequestRPS, Burst: n.Limits.Burst, Receipts: n.Limits.Receipts,
			Queues: n.Limits.Queues, Partitions: n.Limits.Partitions, Groups: n.Limits.Groups, MessageBytes: int64(n.Limits.MessageBytes),
			BufferBytes: int64(n.Limits.BufferBytes),
		},
		Access:     control.Access{Owners: n.Access.Owners},
		DefaultTTL: n.DefaultTTL, MaxTTL: n.MaxTTL, Retention: n.Retention, DeclaredIn: declaredIn(n.Where),
		NoAutoCreate: !n.AutoCreate, DefaultKind: n.DefaultKind,
	}
	for _, c := range n.Access.Consumers {
		kind, pattern := c.Subject()
		record.Access.Consumers = append(record.Access.Consumers, control.Grant{Principal: kind + ":" + pattern, Permissions: c.Permissions})
	}
	if !slices.Contains(route.Models(), record.Model) {
		return record, prism.New(prism.ReasonInvalidConfig, "namespace %q: this gateway has no model %s yet, only %s", n.Name, n.Model, strings.Join(route.Models(), ", "))
	}
	return record, nil
}

func clientConfigOf(c config.ClientConfig) control.ClientConfig {
	return control.ClientConfig{
		Name: c.Name, Version: c.Version, Pattern: patternOf(c.Pattern), Namespace: c.Namespace, Backend: c.Backend,
		Consistency: control.Consistency{Level: c.Consistency.Level, Timeout: c.Consistency.Timeout},
		Cache:       control.Cache{Enabled: c.Cache.Enabled, TTL: c.Cache.TTL, MaxSizeMB: int32(int64(c.Cache.MaxSize) >> 20)},
		RateLimit:   control.RateLimit{RequestsPerSecond: int32(c.RateLimit.RequestRPS), Burst: int32(c.RateLimit.Burst)},
	}
}

// patternOf is the access pattern of RFC-001 for a model.
func patternOf(model string) string {
	switch model {
	case "keyvalue":
		return control.PatternKeyValue
	case "reader":
		return control.PatternPagedReader
	case "transact":
		return control.PatternTransactWrite
	}
	return model
}

// declaredIn is "prism.yaml:14" for what stands in a file, and empty for what
// is built in.
func declaredIn(w config.Where) string {
	p := w.Pos()
	if !p.IsValid() || p.File == config.DefaultName {
		return ""
	}
	return fmt.Sprintf("%s:%d", filepath.Base(p.File), p.Line)
}
