package admin

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"github.com/prism-data-layer/prism/pkg/control"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/session"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

func recordOf(s *adminv1.NamespaceSpec) control.Namespace {
	ms := func(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
	n := control.Namespace{
		Name: s.GetName(), Model: s.GetModel(), Backend: s.GetBackend(), Description: s.GetDescription(),
		Needs: control.Needs{
			Durability: s.GetNeeds().GetDurability(), TTL: ms(s.GetNeeds().GetTtlMs()),
			ReadRPS: s.GetNeeds().GetReadRps(), WriteRPS: s.GetNeeds().GetWriteRps(), SizeBytes: s.GetNeeds().GetSizeBytes(),
		},
		Limits: control.Limits{
			RequestRPS: s.GetLimits().GetRequestRps(), Burst: s.GetLimits().GetBurst(), Receipts: s.GetLimits().GetReceipts(),
			Queues: s.GetLimits().GetQueues(), Partitions: s.GetLimits().GetPartitions(), Groups: s.GetLimits().GetGroups(), MessageBytes: s.GetLimits().GetMessageBytes(),
			BufferBytes: s.GetLimits().GetBufferBytes(),
		},
		Access:     control.Access{Owners: s.GetAccess().GetOwners()},
		DefaultTTL: ms(s.GetDefaultTtlMs()), MaxTTL: ms(s.GetMaxTtlMs()), Retention: ms(s.GetRetentionMs()),
		NoAutoCreate: s.GetNoAutoCreate(), DefaultKind: s.GetDefaultKind(),
	}
	for _, g := range s.GetAccess().GetConsumers() {
		n.Access.Consumers = append(n.Access.Consumers, control.Grant{Principal: g.Principal, Permissions: g.Permissions})
	}
	return n
}

func specOf(n control.Namespace) *adminv1.NamespaceSpec {
	s := &adminv1.NamespaceSpec{
		Name: n.Name, Model: n.Model, Backend: n.Backend, Description: n.Description,
		Needs: &adminv1.Needs{
			Durability: n.Needs.Durability, TtlMs: n.Needs.TTL.Milliseconds(),
			ReadRps: n.Needs.ReadRPS, WriteRps: n.Needs.WriteRPS, SizeBytes: n.Needs.SizeBytes,
		},
		Limits: &adminv1.NamespaceLimits{
			RequestRps: n.Limits.RequestRPS, Burst: n.Limits.Burst, Receipts: n.Limits.Receipts,
			Queues: n.Limits.Queues, Partitions: n.Limits.Partitions, Groups: n.Limits.Groups, MessageBytes: n.Limits.MessageBytes,
			BufferBytes: n.Limits.BufferBytes,
		},
		Access:       &adminv1.Access{Owners: n.Access.Owners},
		DefaultTtlMs: n.DefaultTTL.Milliseconds(), MaxTtlMs: n.MaxTTL.Milliseconds(), RetentionMs: n.Retention.Milliseconds(),
		NoAutoCreate: n.NoAutoCreate, DefaultKind: n.DefaultKind,
	}
	for _, g := range n.Access.Consumers {
		s.Access.Consumers = append(s.Access.Consumers, &adminv1.Grant{Principal: g.Principal, Permissions: g.Permissions})
	}
	return s
}

// describe adds to a record what is known of it in force.
func (s *Service) describe(ctx context.Context, n control.Namespace) *adminv1.Namespace {
	out := &adminv1.Namespace{
		Spec: specOf(n), State: adminv1.NamespaceState(n.State), BoundBackend: n.Binding.Backend, BoundDriver: n.Binding.Driver,
		CreatedAtMs: millis(n.CreatedAt), UpdatedAtMs: millis(n.UpdatedAt), Revision: n.Revision, DeclaredIn: n.DeclaredIn,
	}
	if n.Backend != "" && n.Backend != n.Binding.Backend {
		out.Notes = append(out.Notes, fmt.Sprintf("the data is on backend %s, not on %s as declared: only a move changes that", n.Binding.Backend, n.Backend))
	}
	if m := s.moves.find(n.Name); m != nil {
		out.Notes = append(out.Notes, fmt.Sprintf("moving to backend %s: %s", m.spec.To.Backend, m.now()))
	}
	if f := n.Former; f != nil && !f.Left {
		out.Notes = append(out.Notes, fmt.Sprintf("backend %s still holds the data from before the move", f.Binding.Backend))
	}
	st, inForce := s.router.Namespace(ctx, n.Name)
	if !inForce {
		if n.State == control.Active {
			out.State = adminv1.NamespaceState_NAMESPACE_STATE_DEGRADED
			out.Notes = append(out.Notes, fmt.Sprintf("backend %s is not open: calls are refused", n.Binding.Backend))
		}
		return out
	}
	out.Capabilities, out.Durability = st.Capabilities, st.Durability
	if n.Needs.Durability == "strong" && !st.Durable {
		out.Notes = append(out.Notes, "strong durability is asked for, and the backend does not give it: "+st.Durability)
	}
	_, _, active, _ := s.sessions.List(ctx, session.Filter{Namespace: prism.Namespace(n.Name)}, session.Page{Limit: 1}) //nolint:errcheck // without cursor it does not fail
	out.Usage = &adminv1.NamespaceUsage{
		Keys: st.Usage.Keys, SizeBytes: st.Usage.Bytes, Receipts: st.Usage.Receipts, Estimated: st.Usage.Estimated,
		ReceiptsLimit: receiptsLimit(n), ActiveStreams: st.Inflight, ActiveSessions: int64(active),
	}
	return out
}

func receiptsLimit(n control.Namespace) int64 {
	if n.Limits.Receipts > 0 {
		return n.Limits.Receipts
	}
	return defaultReceipts
}

// defaultReceipts is what a store keeps for a namespace that says nothing.
const defaultReceipts = 1_000_000

// same reports whether a declaration changes nothing.
func same(a, b control.Namespace) bool { return reflect.DeepEqual(a, b) }
