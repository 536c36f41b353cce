// Package wire holds the promises of drivertest against a whole gateway, from
// the outside: over the generated stub alone, as any gRPC client in any
// language would call it, and over the Go SDK.
package wire

import (
	"context"
	"encoding/hex"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
	pwire "github.com/prism-data-layer/prism/pkg/wire"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

// A Stub is every key-value capability over the generated client: no session,
// no retries. What drivers have and the wire has not is worked out here from
// what the wire does say: Replayed (the answer is the one that this receipt got
// before, versions included), the checks of Commit (the transaction reads the
// keys and looks at their versions), and KeepTTL of GetAndSet and in a
// transaction (the expiry is read first). A range whose end is before its start
// has no entries for a driver; the wire refuses it.
type Stub struct {
	driver.Mutations
	kv  kvv1.KeyValueServiceClient
	now func() time.Time
	// Via, if set, carries single operations instead of the unary calls.
	Via func(ctx context.Context, ns string, op *kvv1.PipelineOp) (*kvv1.PipelineResult, error)
	*seen[driver.Result]
	bounds
}

func alike(a, b driver.Result) bool {
	return a.Version == b.Version && a.Found == b.Found && a.Applied == b.Applied && a.Number == b.Number &&
		string(a.Value) == string(b.Value) && a.ExpiresAt.Equal(b.ExpiresAt)
}

// NewStub calls over conn; now is the gateway's time, bound may be nil.
func NewStub(conn grpc.ClientConnInterface, now func() time.Time, bound Bound) *Stub {
	s := &Stub{kv: kvv1.NewKeyValueServiceClient(conn), now: now, seen: newSeen(alike), bounds: bounds{set: bound}}
	s.Mutations = s.call
	return s
}

func keyOf(r driver.Receipt) string {
	if r.IsZero() {
		return ""
	}
	return hex.EncodeToString(r.ID[:])
}

// endsAll reports whether an error is of the call, and not of its one item.
func endsAll(e *prism.Error) bool {
	return e.Reason == prism.ReasonCancelled || e.Reason == prism.ReasonDeadlineExceeded || e.Reason.Info().Status == "UNAVAILABLE"
}

// failed keeps a nil error nil.
func failed(err error) error {
	if e := pwire.FromStatus(err); e != nil {
		return e
	}
	return nil
}

func ttlOf(o driver.SetOptions) *int64 {
	if o.TTL == 0 {
		return nil
	}
	ms := o.TTL.Milliseconds()
	return &ms
}

func timeOf(ms *int64) time.Time {
	if ms == nil {
		return time.Time{}
	}
	return time.UnixMilli(*ms)
}

// Retrying sends an id of the client's own for retries with a unary call.
func Retrying(ctx context.Context, id []byte) context.Context {
	return metadata.AppendToOutgoingContext(ctx, pwire.RetryID, hex.EncodeToString(id))
}
