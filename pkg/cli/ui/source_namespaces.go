package ui

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	"github.com/prism-data-layer/prism/tui/page/namespaces"
)

// namespaceSource answers the pages of namespaces.
type namespaceSource struct{ *source }

// partRows bounds each part of the page of one namespace.
const partRows = 200

// Namespaces asks for all namespaces and for what they do.
func (s namespaceSource) Namespaces(ctx context.Context, most int) (*namespaces.List, error) {
	out := &namespaces.List{}
	var total int64
	cut := false
	data := hasDataPage()
	err := s.together(ctx,
		func(ctx context.Context) error {
			r, err := s.client.GetStatus(ctx, &adminv1.GetStatusRequest{})
			out.Now, out.Started, total = moment(r.GetNowMs()), moment(r.GetStartedAtMs()), r.GetNamespaces()
			return err
		},
		func(ctx context.Context) error {
			r, err := s.client.GetStats(ctx, &adminv1.GetStatsRequest{})
			if out.StatsProblem = err; err == nil {
				out.Stats = counters(r)
			}
			return nil
		},
		func(ctx context.Context) error {
			more, err := cli.Pages(ctx, most, func(ctx context.Context, cursor string, size int32) (int, string, error) {
				r, err := s.client.ListNamespaces(ctx, &adminv1.ListNamespacesRequest{Limit: size, Cursor: cursor})
				for _, n := range r.GetNamespaces() {
					row := namespaceRow(n)
					row.HasData = data
					out.Namespaces = append(out.Namespaces, row)
				}
				return len(r.GetNamespaces()), r.GetCursor(), err
			})
			cut = more != ""
			return err
		})
	if err != nil {
		return nil, err
	}
	if cut {
		out.More = max(total-int64(len(out.Namespaces)), 1)
	}
	return out, nil
}

// hasDataPage reports whether there is a page for what namespaces hold.
func hasDataPage() bool { return slices.Contains(pageNames(), "data") }

func namespaceRow(n *adminv1.Namespace) namespaces.Namespace {
	u := n.GetUsage()
	return namespaces.Namespace{
		Name: n.GetSpec().GetName(), Model: n.GetSpec().GetModel(), Backend: n.GetBoundBackend(), State: cli.EnumWord(n.GetState().String(), "NAMESPACE_STATE_"),
		Known: u != nil, Estimated: u.GetEstimated(), Keys: u.GetKeys(), Bytes: u.GetSizeBytes(), Sessions: u.GetActiveSessions(), Streams: u.GetActiveStreams(),
	}
}

// Namespace asks for everything about one.
func (s namespaceSource) Namespace(ctx context.Context, name string) (*namespaces.One, error) {
	out := &namespaces.One{More: map[namespaces.Part]int64{}}
	var problems [4]error // each part writes its own
	parts := [...]namespaces.Part{namespaces.PartStats, namespaces.PartSessions, namespaces.PartHistory, namespaces.PartFailures}
	var now, started time.Time
	var sessionsMore int64
	err := s.together(ctx,
		func(ctx context.Context) (err error) { now, started, err = s.clock(ctx); return err },
		func(ctx context.Context) error {
			r, err := s.client.GetNamespace(ctx, &adminv1.GetNamespaceRequest{Name: name})
			if err == nil {
				describeNamespace(out, r.GetNamespace())
			}
			return err
		},
		func(ctx context.Context) error {
			r, err := s.client.GetStats(ctx, &adminv1.GetStatsRequest{})
			if problems[0] = err; err == nil {
				out.Stats = counters(r)
			}
			return nil
		},
		func(ctx context.Context) error {
			r, err := s.client.ListSessions(ctx, &adminv1.ListSessionsRequest{Namespace: name, Limit: partRows})
			problems[1] = err
			for _, x := range r.GetSessions() {
				out.Sessions = append(out.Sessions, namespaces.Session{
					ID: x.GetSessionId(), Principal: x.GetPrincipal(), Client: program(x), Status: cli.EnumWord(x.GetStatus().String(), "SESSION_STATUS_"),
					Active: moment(x.GetLastActivityMs()), Requests: x.GetMetrics().GetRequestsProcessed(),
				})
			}
			sessionsMore = max(r.GetTotal()-int64(len(out.Sessions)), 0)
			return nil
		},
		func(ctx context.Context) error {
			r, err := s.client.ListNamespaceHistory(ctx, &adminv1.ListNamespaceHistoryRequest{Name: name, Limit: partRows})
			problems[2] = err
			for _, e := range r.GetEvents() {
				out.History = append(out.History, namespaces.Event{Time: moment(e.GetTimeMs()), Kind: e.GetKind(), Actor: e.GetActor(), Detail: e.GetDetail(), Revision: e.GetRevision()})
			}
			return nil
		},
		func(ctx context.Context) error {
			r, err := s.client.ListTraces(ctx, &adminv1.ListTracesRequest{Errors: true, Limit: partRows})
			problems[3] = err
			for _, t := range r.GetTraces() {
				out.Failures = append(out.Failures, failures(t, name)...)
			}
			return nil
		})
	if err != nil {
		return nil, err
	}
	out.Now, out.Started, out.HasData = now, started, hasDataPage()
	out.Problems = map[namespaces.Part]error{}
	for i, p := range problems {
		if p != nil {
			out.Problems[parts[i]] = p
		}
	}
	out.More[namespaces.PartSessions] = sessionsMore
	return out, nil
}

// failures are the calls of a trace that failed in a namespace.
func failures(t *adminv1.Trace, namespace string) (list []namespaces.Failure) {
	for _, s := range t.GetSpans() {
		if s.GetError() != "" && s.GetAttributes()["prism.namespace"] == namespace {
			list = append(list, namespaces.Failure{
				Time: time.UnixMicro(s.GetStartUs()), Method: strings.TrimPrefix(s.GetName(), "prism."), Reason: s.GetError(),
				Took: time.Duration(s.GetDurationUs()) * time.Microsecond, Trace: t.GetTraceId(),
			})
		}
	}
	return list
}

func describeNamespace(out *namespaces.One, n *adminv1.Namespace) {
	spec := n.GetSpec()
	millis := func(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }
	out.Namespace = namespaceRow(n)
	out.Driver, out.Durability, out.Description, out.Declared = n.GetBoundDriver(), n.GetDurability(), spec.GetDescription(), n.GetDeclaredIn()
	if w := spec.GetBackend(); w != n.GetBoundBackend() {
		out.Wanted = w
	}
	out.Revision, out.Created, out.Updated = n.GetRevision(), moment(n.GetCreatedAtMs()), moment(n.GetUpdatedAtMs())
	out.DefaultTTL, out.MaxTTL, out.Retention = millis(spec.GetDefaultTtlMs()), millis(spec.GetMaxTtlMs()), millis(spec.GetRetentionMs())
	out.NoAutoCreate, out.DefaultKind = spec.GetNoAutoCreate(), spec.GetDefaultKind()
	out.Owners = spec.GetAccess().GetOwners()
	for _, g := range spec.GetAccess().GetConsumers() {
		out.Grants = append(out.Grants, namespaces.Grant{Principal: g.GetPrincipal(), Permissions: strings.Join(g.GetPermissions(), ", ")})
	}
	out.Needs = limits(
		namespaces.Limit{Name: "TTL (ms)", Of: spec.GetNeeds().GetTtlMs()}, namespaces.Limit{Name: "reads a second", Of: spec.GetNeeds().GetReadRps()},
		namespaces.Limit{Name: "writes a second", Of: spec.GetNeeds().GetWriteRps()}, namespaces.Limit{Name: "size", Of: spec.GetNeeds().GetSizeBytes(), Bytes: true})
	l := spec.GetLimits()
	out.Limits = limits(
		namespaces.Limit{Name: "requests a second", Of: l.GetRequestRps()}, namespaces.Limit{Name: "burst", Of: l.GetBurst()}, namespaces.Limit{Name: "receipts", Of: l.GetReceipts()},
		namespaces.Limit{Name: "queues", Of: l.GetQueues()}, namespaces.Limit{Name: "partitions", Of: l.GetPartitions()}, namespaces.Limit{Name: "groups", Of: l.GetGroups()},
		namespaces.Limit{Name: "message", Of: l.GetMessageBytes(), Bytes: true}, namespaces.Limit{Name: "buffer", Of: l.GetBufferBytes(), Bytes: true})
	out.Receipts, out.ReceiptsLimit = n.GetUsage().GetReceipts(), n.GetUsage().GetReceiptsLimit()
	out.Capabilities, out.Notes = n.GetCapabilities(), n.GetNotes()
}

// limits leaves out those that are not set.
func limits(all ...namespaces.Limit) []namespaces.Limit {
	return slices.DeleteFunc(all, func(l namespaces.Limit) bool { return l.Of == 0 })
}

// Homes asks the gateway, without changing anything, which backends could hold
// a namespace: it alone knows.
func (s namespaceSource) Homes(ctx context.Context, w namespaces.Wish) ([]namespaces.Backend, error) {
	s.reconnect(ctx)
	r, err := s.client.ListBackends(ctx, &adminv1.ListBackendsRequest{})
	if err != nil {
		return nil, s.explain(err)
	}
	var out []namespaces.Backend
	for _, b := range r.GetBackends() {
		home := namespaces.Backend{Name: b.GetName(), Driver: b.GetDriver(), Health: cli.EnumWord(b.GetHealth().String(), "HEALTH_STATE_"), Durability: b.GetDurability()}
		home.Cannot, home.Fewer = s.fits(ctx, w, b.GetName())
		out = append(out, home)
	}
	return out, ctx.Err()
}

// fits is why a backend cannot hold a namespace, and what it would lack there.
func (s namespaceSource) fits(ctx context.Context, w namespaces.Wish, backend string) (cannot string, fewer []string) {
	var err error
	if w.Move {
		var r *adminv1.MoveNamespaceResponse
		r, err = s.client.MoveNamespace(ctx, &adminv1.MoveNamespaceRequest{Name: w.Name, To: backend, AllowFewer: true, DryRun: true})
		fewer = r.GetFewer()
	} else {
		name := w.Name
		if !prism.ValidName(name) {
			name = "to-be" // whether the name is right is told beside the name
		}
		spec := &adminv1.NamespaceSpec{Name: name, Model: w.Model, Backend: backend}
		_, err = s.client.CreateNamespace(ctx, &adminv1.CreateNamespaceRequest{Spec: spec, DryRun: true})
	}
	if err == nil || errors.Is(err, prism.ReasonAlreadyExists) || errors.Is(err, prism.ReasonPermissionDenied) {
		return "", fewer
	}
	return prism.From(err).Message, fewer
}
