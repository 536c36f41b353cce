package manifest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

// The actions of a change.
const (
	create  = "create"
	update  = "update"
	replace = "replace" // what no call changes: refused, with what to type
	none    = "none"
)

// A change is what an object of the files asks of the gateway.
type change struct {
	object config.Object
	action string
	fields []string // keys that differ
	diff   []string // each difference
	state  string
	err    error // why it is refused, or has failed

	spec     *adminv1.NamespaceSpec // of a namespace
	revision int64                  // of the one that is there
}

func (c *change) origin() string  { return c.object.Where().Pos().String() }
func (c *change) lines() []string { return c.diff }

func (c *change) why() string {
	if c.err == nil {
		return ""
	}
	return prism.From(c.err).Message
}

func (c *change) refuse(err error) { c.state, c.err = refused, err }

// present is what the gateway has.
type present struct {
	backends   map[string]*adminv1.Backend
	namespaces map[string]*adminv1.Namespace
}

// few are looked up one by one, more in pages.
const few = 50

// look asks the gateway for what it has of the objects, and all its backends.
func look(ctx context.Context, c adminv1.AdminServiceClient, list []config.Object) (present, error) {
	p := present{map[string]*adminv1.Backend{}, map[string]*adminv1.Namespace{}}
	all, err := c.ListBackends(ctx, &adminv1.ListBackendsRequest{})
	if err != nil {
		return p, err
	}
	for _, b := range all.GetBackends() {
		p.backends[b.GetName()] = b
	}
	var names []string
	for _, o := range list {
		if o.Namespace != nil {
			names = append(names, o.Namespace.Name)
		}
	}
	if len(names) > few {
		return p, eachNamespace(ctx, c, func(n *adminv1.Namespace) { p.namespaces[n.GetSpec().GetName()] = n })
	}
	for _, name := range names {
		r, err := c.GetNamespace(ctx, &adminv1.GetNamespaceRequest{Name: name})
		if errors.Is(err, prism.ReasonNotFound) {
			continue
		}
		if err != nil {
			return p, err
		}
		p.namespaces[name] = r.GetNamespace()
	}
	return p, nil
}

func eachNamespace(ctx context.Context, c adminv1.AdminServiceClient, take func(*adminv1.Namespace)) error {
	_, err := cli.Pages(ctx, 0, func(ctx context.Context, cursor string, size int32) (int, string, error) {
		page, err := c.ListNamespaces(ctx, &adminv1.ListNamespacesRequest{Cursor: cursor, Limit: size})
		if err != nil {
			return 0, "", err
		}
		for _, n := range page.GetNamespaces() {
			take(n)
		}
		return len(page.GetNamespaces()), page.GetCursor(), nil
	})
	return err
}

// plan compares the files with the gateway. What no change could bring about is
// refused, each with its reason.
func plan(ctx context.Context, c adminv1.AdminServiceClient, list []config.Object) ([]*change, error) {
	have, err := look(ctx, c, list)
	if err != nil {
		return nil, err
	}
	if problems := unknownBackends(list, have); len(problems) > 0 {
		return nil, invalid(problems)
	}
	changes := make([]*change, len(list))
	for i, o := range list {
		ch := &change{object: o, action: none, state: unchanged}
		if o.Namespace != nil {
			ch.namespace(have.namespaces[o.Namespace.Name])
		} else if err := ch.backend(have.backends[o.Backend.Name]); err != nil {
			return nil, err
		}
		changes[i] = ch
	}
	return changes, nil
}

// unknownBackends are those that neither the gateway nor the files have.
func unknownBackends(list []config.Object, have present) (problems []config.Problem) {
	var known []string
	for name := range have.backends {
		known = append(known, name)
	}
	for _, o := range list {
		if o.Backend != nil {
			known = append(known, o.Backend.Name)
		}
	}
	slices.Sort(known)
	for _, o := range list {
		if n := o.Namespace; n != nil && n.Backend != "" && !slices.Contains(known, n.Backend) {
			p := n.Problem("backend", config.Nearest(n.Backend, known), "unknown backend %q", n.Backend)
			p.Hint = "the gateway has: " + strings.Join(known, ", ")
			problems = append(problems, p)
		}
	}
	return problems
}

func (c *change) differs(have, want config.Object) bool {
	c.fields, c.diff = compare(wordsOf(have), wordsOf(want))
	if len(c.fields) > 0 {
		c.action, c.state = update, planned
	}
	return len(c.fields) > 0
}

func (c *change) isNew(want config.Object) {
	_, c.diff = compare(nil, wordsOf(want))
	c.action, c.state = create, planned
}

func (c *change) namespace(now *adminv1.Namespace) {
	want := *c.object.Namespace
	if now == nil {
		c.isNew(c.object)
		c.spec = specOf(&want)
		return
	}
	have := namespaceOf(now)
	if want.Backend == "" {
		want.Backend = have.Backend
	}
	if !want.Declared("access") { // nobody is locked out by leaving it out
		want.Access = have.Access
	}
	c.spec, c.revision = specOf(&want), now.GetRevision()
	if !c.differs(config.Object{Kind: config.KindNamespace, Namespace: have}, config.Object{Kind: config.KindNamespace, Namespace: &want}) {
		return
	}
	files := slices.DeleteFunc(slices.Clone(c.fields), func(f string) bool { return f == "description" })
	switch {
	case now.GetState() == adminv1.NamespaceState_NAMESPACE_STATE_DELETING:
		c.refuse(prism.New(prism.ReasonNamespaceBusy, "namespace %q is being deleted", want.Name))
	case have.Model != want.Model:
		c.refuse(cli.WithFix(prism.New(prism.ReasonFailedPrecond, "namespace %q is of model %s and cannot become %s", want.Name, have.Model, want.Model),
			"write model: %s, or give it another name", have.Model))
	case have.Backend != want.Backend:
		c.refuse(cli.WithFix(prism.New(prism.ReasonFailedPrecond, "the data of namespace %q is on backend %s, not on %s", want.Name, have.Backend, want.Backend),
			"prismctl namespace move %s --to %s, or write backend: %s", want.Name, want.Backend, have.Backend))
	case now.GetDeclaredIn() != "" && len(files) > 0:
		c.refuse(declared("namespace", want.Name, now.GetDeclaredIn(), files))
	}
}

func declared(noun, name, where string, fields []string) error {
	err := prism.New(prism.ReasonDeclaredInFile, "%s of %s %q: the gateway's own file declares it, %s", strings.Join(fields, ", "), noun, name, where)
	return cli.WithFix(err.WithMeta("declared_in", where), "change it in %s", where)
}

func (c *change) backend(now *adminv1.Backend) error {
	want := c.object
	if now == nil {
		c.isNew(want)
		return nil
	}
	b, err := backendOf(now)
	if err != nil {
		return fmt.Errorf("the options of backend %q cannot be read: %w", now.GetName(), err)
	}
	switch {
	case !c.differs(config.Object{Kind: config.KindBackend, Backend: b}, want):
	case now.GetDeclaredIn() != "":
		c.refuse(declared("backend", now.GetName(), now.GetDeclaredIn(), c.fields))
	default:
		c.action = replace
		c.refuse(cli.WithFix(prism.New(prism.ReasonFailedPrecond, "backend %q must be replaced: it is open with another %s", now.GetName(), strings.Join(c.fields, " and other ")),
			"%sprismctl backend remove %s, and apply again", emptied(now), now.GetName()))
	}
	return nil
}

// emptied is what to do before a backend can be removed: its namespaces go to
// another, which keeps their data.
func emptied(b *adminv1.Backend) string {
	bound := b.GetNamespaces()
	switch n := len(bound); n {
	case 0:
		return ""
	case 1:
		return "prismctl namespace move " + bound[0] + " --to BACKEND, then "
	default:
		return fmt.Sprintf("prismctl namespace move %s --to BACKEND, and %d more, then ", bound[0], n-1)
	}
}

// mask names the fields of an update as the admin API does.
func (c *change) mask() []string {
	mask := make([]string, len(c.fields))
	for i, f := range c.fields {
		switch f {
		case "default_ttl", "max_ttl", "retention":
			f += "_ms"
		case "auto_create":
			f = "no_auto_create"
		}
		mask[i] = f
	}
	return mask
}

// send makes the change, or with dryRun lets the gateway judge it. Of what it
// cannot judge yet nothing is sent.
func (c *change) send(ctx context.Context, client adminv1.AdminServiceClient, dryRun bool) error {
	switch {
	case c.object.Backend != nil && dryRun:
		return nil
	case c.object.Backend != nil:
		b := c.object.Backend
		_, err := client.AddBackend(ctx, &adminv1.AddBackendRequest{Name: b.Name, Driver: b.Driver, Options: b.Options.Written()})
		return err
	case c.action == create:
		_, err := client.CreateNamespace(ctx, &adminv1.CreateNamespaceRequest{Spec: c.spec, DryRun: dryRun})
		return err
	}
	_, err := client.UpdateNamespace(ctx, &adminv1.UpdateNamespaceRequest{Spec: c.spec, UpdateMask: c.mask(), IfRevision: c.revision, DryRun: dryRun})
	return err
}
