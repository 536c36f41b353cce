package admin

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/pkg/auth"
	"github.com/prism-data-layer/prism/pkg/control"
	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

// ListNamespaces pages through the namespaces by name.
func (s *Service) ListNamespaces(ctx context.Context, r *adminv1.ListNamespacesRequest) (*adminv1.ListNamespacesResponse, error) {
	list, err := s.road.Control.Namespaces(ctx)
	if err != nil {
		return nil, err
	}
	// The cursor is the last name: it tells nothing that the list does not.
	from := sort.Search(len(list), func(i int) bool { return list[i].Name > r.Cursor })
	if r.Cursor == "" {
		from = 0
	}
	list = list[from:]
	resp := &adminv1.ListNamespacesResponse{}
	if limit := min(pageLimit(r.Limit), prism.MaxPageItems); len(list) > limit {
		list = list[:limit]
		resp.Cursor = list[limit-1].Name
	}
	for _, n := range list {
		resp.Namespaces = append(resp.Namespaces, s.describe(ctx, n))
	}
	return resp, nil
}

// GetNamespace describes one.
func (s *Service) GetNamespace(ctx context.Context, r *adminv1.GetNamespaceRequest) (*adminv1.GetNamespaceResponse, error) {
	n, err := s.road.Control.Namespace(ctx, r.Name)
	if err != nil {
		return nil, err
	}
	return &adminv1.GetNamespaceResponse{Namespace: s.describe(ctx, n)}, nil
}

// CreateNamespace makes a namespace and binds it to a backend.
func (s *Service) CreateNamespace(ctx context.Context, r *adminv1.CreateNamespaceRequest) (*adminv1.CreateNamespaceResponse, error) {
	n := recordOf(r.Spec)
	if n.Model == "" {
		n.Model = "keyvalue"
	}
	who := caller(ctx)
	if len(n.Access.Owners) == 0 && who.Name() != auth.Dev {
		n.Access.Owners = []string{who.Name()}
	}
	made, err := s.Create(ctx, n, who.Name(), r.DryRun)
	if err != nil {
		return nil, err
	}
	return &adminv1.CreateNamespaceResponse{Namespace: s.describe(ctx, made)}, nil
}

// Create makes a namespace for actor: the admin API and the file of the
// gateway both come here.
func (s *Service) Create(ctx context.Context, n control.Namespace, actor string, dryRun bool) (control.Namespace, error) {
	s.change.Lock()
	defer s.change.Unlock()
	if err := check(n); err != nil {
		return n, err
	}
	binding, err := s.router.Bind(n.Model, n.Backend)
	if err != nil {
		return n, err
	}
	n.Binding, n.State = binding, control.Active
	if err := s.router.Retains(n); err != nil {
		return n, err
	}
	if dryRun {
		if _, err := s.road.Control.Namespace(ctx, n.Name); err == nil {
			return n, prism.New(prism.ReasonAlreadyExists, "namespace %q is there already", n.Name)
		}
		return n, nil
	}
	made, err := s.road.Control.CreateNamespace(ctx, n, actor)
	if err != nil {
		return n, err
	}
	return made, s.put(ctx, n.Name)
}

// fields are what an update may name, and how each is taken over.
var fields = map[string]func(to *control.Namespace, from control.Namespace){
	"description":    func(to *control.Namespace, from control.Namespace) { to.Description = from.Description },
	"needs":          func(to *control.Namespace, from control.Namespace) { to.Needs = from.Needs },
	"limits":         func(to *control.Namespace, from control.Namespace) { to.Limits = from.Limits },
	"access":         func(to *control.Namespace, from control.Namespace) { to.Access = from.Access },
	"default_ttl_ms": func(to *control.Namespace, from control.Namespace) { to.DefaultTTL = from.DefaultTTL },
	"max_ttl_ms":     func(to *control.Namespace, from control.Namespace) { to.MaxTTL = from.MaxTTL },
	"no_auto_create": func(to *control.Namespace, from control.Namespace) { to.NoAutoCreate = from.NoAutoCreate },
	"default_kind":   func(to *control.Namespace, from control.Namespace) { to.DefaultKind = from.DefaultKind },
	"retention_ms":   func(to *control.Namespace, from control.Namespace) { to.Retention = from.Retention },
}

// declared are the fields that a file owns once it declares the namespace.
var declared = []string{"needs", "limits", "access", "default_ttl_ms", "max_ttl_ms", "no_auto_create", "default_kind", "retention_ms"}

// UpdateNamespace replaces the fields of the mask. Running calls go on; a
// change of access ends running streams, which then resume if they may.
func (s *Service) UpdateNamespace(ctx context.Context, r *adminv1.UpdateNamespaceRequest) (*adminv1.UpdateNamespaceResponse, error) {
	e := prism.New(prism.ReasonInvalidArgument, "")
	if len(r.UpdateMask) == 0 {
		e.WithField("update_mask", "must name the fields to replace")
	}
	for i, f := range r.UpdateMask {
		if fields[f] == nil {
			e.WithField(fmt.Sprintf("update_mask[%d]", i), fmt.Sprintf("%q is not one of %s", f, strings.Join(fieldNames(), ", ")))
		}
	}
	if len(e.Fields) > 0 {
		e.Message = e.Fields[0].Field + " " + e.Fields[0].Message
		return nil, e
	}
	s.change.Lock()
	defer s.change.Unlock()
	if r.DryRun {
		n, err := s.road.Control.Namespace(ctx, r.Spec.Name)
		if err == nil {
			err = s.edit(&n, recordOf(r.Spec), r.UpdateMask)
		}
		if err != nil {
			return nil, err
		}
		return &adminv1.UpdateNamespaceResponse{Namespace: s.describe(ctx, n)}, nil
	}
	n, err := s.road.Control.UpdateNamespace(ctx, r.Spec.Name, r.IfRevision, caller(ctx).Name(), strings.Join(r.UpdateMask, ", "),
		func(n *control.Namespace) error { return s.edit(n, recordOf(r.Spec), r.UpdateMask) })
	if err != nil {
		return nil, err
	}
	if err := s.put(ctx, n.Name); err != nil {
		return nil, err
	}
	return &adminv1.UpdateNamespaceResponse{Namespace: s.describe(ctx, n)}, nil
}

func fieldNames() []string {
	var names []string
	for f := range fields {
		names = append(names, f)
	}
	slices.Sort(names)
	return names
}

func (s *Service) edit(n *control.Namespace, from control.Namespace, mask []string) error {
	if n.State == control.Deleting || n.State == control.Deleted {
		return prism.New(prism.ReasonNamespaceBusy, "namespace %q is being deleted", n.Name)
	}
	for _, f := range mask {
		if n.DeclaredIn != "" && slices.Contains(declared, f) {
			return prism.New(prism.ReasonDeclaredInFile, "%s of namespace %q is declared in %s", f, n.Name, n.DeclaredIn).
				WithMeta("declared_in", n.DeclaredIn).WithMeta("field", f)
		}
		fields[f](n, from)
	}
	if err := check(*n); err != nil {
		return err
	}
	return s.router.Retains(*n)
}

// Declare makes a namespace as a file says, or brings it up to date. The
// binding stays: what the file says of the backend is a wish for creation.
func (s *Service) Declare(ctx context.Context, n control.Namespace) error {
	const actor = "file"
	have, err := s.road.Control.Namespace(ctx, n.Name)
	if prism.From(err) != nil && prism.From(err).Reason == prism.ReasonNotFound {
		_, err = s.Create(ctx, n, actor, false)
		return err
	}
	if err != nil {
		return err
	}
	if have.Model != n.Model {
		return prism.New(prism.ReasonFailedPrecond, "namespace %q is of model %s and cannot become %s", n.Name, have.Model, n.Model)
	}
	want := have
	want.Backend, want.Description, want.Needs, want.Limits, want.Access = n.Backend, n.Description, n.Needs, n.Limits, n.Access
	want.DefaultTTL, want.MaxTTL, want.DeclaredIn = n.DefaultTTL, n.MaxTTL, n.DeclaredIn
	want.NoAutoCreate, want.DefaultKind, want.Retention = n.NoAutoCreate, n.DefaultKind, n.Retention
	if same(have, want) {
		return nil
	}
	s.change.Lock()
	defer s.change.Unlock()
	_, err = s.road.Control.UpdateNamespace(ctx, n.Name, 0, actor, "from "+n.DeclaredIn, func(to *control.Namespace) error {
		if err := check(want); err != nil {
			return err
		}
		now := *to // a move may have changed the binding since it was read
		*to = want
		to.State, to.Revision, to.CreatedAt = now.State, now.Revision, now.CreatedAt
		to.Binding, to.Moves, to.Former = now.Binding, now.Moves, now.Former
		return s.router.Retains(*to)
	})
	if err != nil {
		return err
	}
	return s.put(ctx, n.Name)
}

// DeleteNamespace takes a namespace out of force and drops its data behind the
// answer.
func (s *Service) DeleteNamespace(ctx context.Context, r *adminv1.DeleteNamespaceRequest) (*adminv1.DeleteNamespaceResponse, error) {
	s.change.Lock()
	defer s.change.Unlock()
	n, err := s.road.Control.Namespace(ctx, r.Name)
	if err != nil {
		return nil, err
	}
	if n.DeclaredIn != "" {
		return nil, prism.New(prism.ReasonDeclaredInFile, "namespace %q is declared in %s: take it out there first", n.Name, n.DeclaredIn).WithMeta("declared_in", n.DeclaredIn)
	}
	if n.State == control.Deleting {
		return nil, prism.New(prism.ReasonNamespaceBusy, "namespace %q is being deleted already", n.Name)
	}
	if err := s.moves.refuse(n.Name); err != nil {
		return nil, err
	}
	if r.DryRun {
		return &adminv1.DeleteNamespaceResponse{Operation: &adminv1.Operation{Kind: deleteKind, Resource: n.Name}}, nil
	}
	actor := caller(ctx).Name()
	if n, err = s.road.Control.SetNamespaceState(ctx, n.Name, control.Deleting, actor, ""); err != nil {
		return nil, err
	}
	o, err := s.road.Control.CreateOperation(ctx, deleteKind, n.Name, actor)
	if err != nil {
		return nil, err
	}
	if err := s.finishDelete(ctx, o, n); err != nil {
		return nil, err
	}
	return &adminv1.DeleteNamespaceResponse{Operation: operationOf(o)}, nil
}

const (
	deleteKind = "namespace.delete"
	deleteTime = 5 * time.Minute
)

// finishDelete takes the namespace out of force and drops the data in the
// background.
func (s *Service) finishDelete(ctx context.Context, o control.Operation, n control.Namespace) error {
	held := s.router.Held(n.Name)
	if err := s.put(ctx, n.Name); err != nil {
		return err
	}
	s.work.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deleteTime)
		defer cancel()
		err := s.router.Drop(ctx, n, held)
		if err == nil {
			err = s.road.Control.RemoveNamespace(ctx, n.Name, o.Actor, "")
		}
		if err != nil {
			s.road.Log.Error("cannot delete a namespace", "namespace", n.Name, "error", err)
		}
		if _, err := s.road.Control.FinishOperation(ctx, o.ID, err); err != nil {
			s.road.Log.Error("cannot finish an operation", "operation", o.ID, "error", err)
		}
		s.road.Metrics.Forget(prism.Namespace(n.Name))
	})
	return nil
}

// Resume goes on with the deletions and moves that a stop of the gateway has
// interrupted.
func (s *Service) Resume(ctx context.Context) error {
	if err := s.resumeMaintenance(ctx); err != nil {
		return err
	}
	running, err := s.road.Control.RunningOperations(ctx)
	if err != nil {
		return err
	}
	for _, o := range running {
		var err error
		switch o.Kind {
		case deleteKind:
			err = s.resumeDelete(ctx, o)
		case control.MoveKind:
			err = s.resumeMove(ctx, o)
		case control.LeaveKind:
			err = s.resumeLeave(ctx, o)
		}
		if err != nil {
			return err
		}
	}
	return s.road.Control.AbandonOperations(ctx, func(o control.Operation) bool {
		return o.Kind == deleteKind || o.Kind == control.MoveKind || o.Kind == control.LeaveKind
	})
}

func (s *Service) resumeDelete(ctx context.Context, o control.Operation) error {
	n, err := s.road.Control.Namespace(ctx, o.Resource)
	if err != nil { // gone already: only the last line was missing
		_, err := s.road.Control.FinishOperation(ctx, o.ID, nil)
		return err
	}
	return s.finishDelete(ctx, o, n)
}

// ListNamespaceHistory pages through what happened to a namespace, deleted ones
// too.
func (s *Service) ListNamespaceHistory(ctx context.Context, r *adminv1.ListNamespaceHistoryRequest) (*adminv1.ListNamespaceHistoryResponse, error) {
	events, next, err := s.road.Control.NamespaceHistory(ctx, r.Name, control.Page{Limit: pageLimit(r.Limit), After: r.Cursor})
	if err != nil {
		return nil, err
	}
	resp := &adminv1.ListNamespaceHistoryResponse{Cursor: next}
	for _, e := range events {
		resp.Events = append(resp.Events, &adminv1.NamespaceEvent{Revision: e.Revision, TimeMs: millis(e.Time), Kind: e.Kind, Actor: e.Actor, Detail: e.Detail})
	}
	return resp, nil
}

// put puts what the control store holds of one namespace in force.
func (s *Service) put(ctx context.Context, name string) error {
	n, err := s.road.Control.Namespace(ctx, name)
	if err != nil {
		return err
	}
	return s.router.Put(n)
}

// Apply puts what the control store holds in force.
func (s *Service) Apply(ctx context.Context) error {
	s.change.Lock()
	defer s.change.Unlock()
	list, err := s.road.Control.Namespaces(ctx)
	if err != nil {
		return err
	}
	return s.router.Apply(list)
}

// check says what is wrong with a namespace, every field at once.
func check(n control.Namespace) error {
	e := prism.New(prism.ReasonInvalidArgument, "")
	wrong := func(bad bool, field, message string) {
		if bad {
			e.WithField(field, message)
		}
	}
	wrong(!prism.ValidName(n.Name), "name", "must match [a-z][a-z0-9-]{0,62}")
	wrong(n.Needs.Durability != "" && n.Needs.Durability != "strong" && n.Needs.Durability != "relaxed", "needs.durability", `must be "strong" or "relaxed"`)
	wrong(n.MaxTTL > 0 && n.DefaultTTL > n.MaxTTL, "default_ttl_ms", "must not be longer than max_ttl_ms")
	wrong(n.DefaultTTL < 0 || n.MaxTTL < 0, "max_ttl_ms", "must not be negative")
	wrong(n.DefaultTTL > mostTTL || n.MaxTTL > mostTTL, "max_ttl_ms", "must be at most 10 years")
	wrong(n.Needs.TTL > mostTTL, "needs.ttl_ms", "must be at most 10 years")
	wrong(n.Limits.Receipts > mostReceipts, "limits.receipts", "must be at most 100000000")
	checkQueues(n, wrong)
	checkSeries(n, wrong)
	for i, o := range n.Access.Owners {
		wrong(!validPattern(o), fmt.Sprintf("access.owners[%d]", i), "must be KIND:NAME, such as team:shop")
	}
	for i, g := range n.Access.Consumers {
		wrong(!validPattern(g.Principal), fmt.Sprintf("access.consumers[%d].principal", i), "must be KIND:NAME, such as service:checkout.*")
		wrong(len(g.Permissions) == 0, fmt.Sprintf("access.consumers[%d].permissions", i), "must name read, write or both")
		for j, p := range g.Permissions {
			wrong(p != "read" && p != "write", fmt.Sprintf("access.consumers[%d].permissions[%d]", i, j), "must be read or write")
		}
	}
	if len(e.Fields) == 0 {
		return nil
	}
	e.Message = e.Fields[0].Field + " " + e.Fields[0].Message
	return e
}

// checkQueues judges what only a namespace of queues can have.
func checkQueues(n control.Namespace, wrong func(bad bool, field, message string)) {
	queues := n.Model == "queue"
	wrong(n.NoAutoCreate && !queues, "no_auto_create", "is for namespaces of model queue")
	wrong(n.DefaultKind != "" && !queues, "default_kind", "is for namespaces of model queue")
	wrong(queues && n.DefaultKind != "" && n.DefaultKind != "log" && n.DefaultKind != "work", "default_kind", `must be "log" or "work"`)
	for _, l := range []struct {
		field    string
		n, most  int64
		mostText string
	}{
		{"limits.queues", n.Limits.Queues, 1_000_000, "1000000"},
		{"limits.partitions", n.Limits.Partitions, 1_000_000, "1000000"},
		{"limits.groups", n.Limits.Groups, 100_000, "100000"},
		{"limits.message_bytes", n.Limits.MessageBytes, prism.MaxValueBytes, "1 MiB"},
	} {
		wrong(l.n != 0 && !queues, l.field, "is for namespaces of model queue")
		wrong(queues && (l.n < 0 || l.n > l.most), l.field, "must be at most "+l.mostText)
	}
}

// checkSeries looks at what only a namespace of time series has.
func checkSeries(n control.Namespace, wrong func(bad bool, field, message string)) {
	series := n.Model == "timeseries"
	wrong(n.Retention != 0 && !series, "retention_ms", "is for namespaces of model timeseries")
	wrong(n.Retention < 0 || n.Retention > mostRetention, "retention_ms", "must be at most 100 years")
	wrong(n.Limits.BufferBytes != 0 && !series, "limits.buffer_bytes", "is for namespaces of model timeseries")
	wrong(n.Limits.BufferBytes < 0 || n.Limits.BufferBytes > mostBuffer, "limits.buffer_bytes", "must be at most 4 GiB")
}

// What any namespace may ask for: as much as a file may say.
const (
	mostTTL      = 3650 * 24 * time.Hour
	mostReceipts = 100_000_000
)

// What a namespace of time series may ask for.
const (
	mostRetention = 100 * 365 * 24 * time.Hour
	mostBuffer    = 4 << 30
)

// validPattern reports whether s may stand in an access rule.
func validPattern(s string) bool {
	return auth.ValidPrincipal(strings.ReplaceAll(s, "*", "x")) && !strings.Contains(strings.SplitN(s, ":", 2)[0], "*")
}
