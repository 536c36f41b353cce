// Package wire holds the promises of drivertest against a whole gateway, from
// the outside: over the generated stub alone, as any gRPC client in any
// language would call it, and over the Go SDK.
package wire

import (
	"context"
	"encoding/hex"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

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
	kv  kvv1.KeyValueServiceClient
	now func() time.Time
	// Via, if set, carries single operations instead of the unary calls.
	Via func(ctx context.Context, ns string, op *kvv1.PipelineOp) (*kvv1.PipelineResult, error)
	// Bound sets how many receipts a namespace keeps: over the wire that is
	// the namespace's, not the call's.
	Bound func(ctx context.Context, ns string, max int64) error
	*seen
}

// seen remembers the answers to receipts, and the bounds of namespaces.
type seen struct {
	mu      sync.Mutex
	answers map[[16]byte][]driver.Result
	bounds  map[prism.Namespace]int64
}

func newSeen() *seen {
	return &seen{answers: map[[16]byte][]driver.Result{}, bounds: map[prism.Namespace]int64{}}
}

// bound brings a namespace to the bound that a receipt asks for.
func (s *Stub) bound(ctx context.Context, ns prism.Namespace, r driver.Receipt) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.IsZero() || s.bounds[ns] == r.Max || s.Bound == nil {
		return nil
	}
	s.bounds[ns] = r.Max
	return s.Bound(ctx, string(ns), r.Max)
}

// mark sets Replayed in what was answered before with r.
func (s *seen) mark(r driver.Receipt, results []driver.Result) {
	if r.IsZero() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before, again := s.answers[r.ID]
	replayed := again && slices.EqualFunc(before, results, alike)
	if !replayed {
		s.answers[r.ID] = slices.Clone(results)
	}
	for i := range results {
		results[i].Replayed = replayed
	}
}

func (s *seen) one(r driver.Receipt, res *driver.Result) {
	list := []driver.Result{*res}
	s.mark(r, list)
	*res = list[0]
}

func (s *seen) sent(r driver.Receipt) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.answers[r.ID]
	return ok
}

func alike(a, b driver.Result) bool {
	return a.Version == b.Version && a.Found == b.Found && a.Applied == b.Applied && a.Number == b.Number &&
		string(a.Value) == string(b.Value) && a.ExpiresAt.Equal(b.ExpiresAt)
}

// NewStub calls over conn; now is the gateway's time.
func NewStub(conn grpc.ClientConnInterface, now func() time.Time) *Stub {
	return &Stub{kv: kvv1.NewKeyValueServiceClient(conn), now: now, seen: newSeen()}
}

func keyOf(r driver.Receipt) string {
	if r.IsZero() {
		return ""
	}
	return hex.EncodeToString(r.ID[:])
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

// request is the wire's form of an operation.
func request(ns prism.Namespace, op driver.Op) *kvv1.PipelineOp {
	n, id := string(ns), keyOf(op.Receipt)
	p := &kvv1.PipelineOp{}
	switch op.Kind {
	case driver.OpGet:
		p.Op = &kvv1.PipelineOp_Get{Get: &kvv1.GetRequest{Namespace: n, Key: op.Key}}
	case driver.OpExists:
		p.Op = &kvv1.PipelineOp_Exists{Exists: &kvv1.ExistsRequest{Namespace: n, Key: op.Key}}
	case driver.OpExpiresAt:
		p.Op = &kvv1.PipelineOp_GetTtl{GetTtl: &kvv1.GetTTLRequest{Namespace: n, Key: op.Key}}
	case driver.OpSet, driver.OpSetIf:
		r := &kvv1.SetRequest{Namespace: n, Key: op.Key, Value: op.Value, TtlMs: ttlOf(op.Options), KeepTtl: op.Options.KeepTTL, IdempotencyKey: id}
		if op.Kind == driver.OpSetIf {
			if r.CreateOnly = op.If.Absent; !r.CreateOnly {
				r.IfVersion = &op.If.Version
			}
		}
		p.Op = &kvv1.PipelineOp_Set{Set: r}
	case driver.OpDelete, driver.OpDeleteIf:
		r := &kvv1.DeleteRequest{Namespace: n, Key: op.Key, IdempotencyKey: id}
		if op.Kind == driver.OpDeleteIf {
			r.IfVersion = &op.If.Version
		}
		p.Op = &kvv1.PipelineOp_Delete{Delete: r}
	case driver.OpExpire:
		p.Op = &kvv1.PipelineOp_Expire{Expire: &kvv1.ExpireRequest{Namespace: n, Key: op.Key, TtlMs: op.Options.TTL.Milliseconds(), IdempotencyKey: id}}
	case driver.OpPersist:
		p.Op = &kvv1.PipelineOp_Persist{Persist: &kvv1.PersistRequest{Namespace: n, Key: op.Key, IdempotencyKey: id}}
	case driver.OpTouch:
		p.Op = &kvv1.PipelineOp_Touch{Touch: &kvv1.TouchRequest{Namespace: n, Key: op.Key, IdempotencyKey: id}}
	case driver.OpIncrement:
		p.Op = &kvv1.PipelineOp_Increment{Increment: &kvv1.IncrementRequest{Namespace: n, Key: op.Key, Delta: op.Delta, IdempotencyKey: id}}
	case driver.OpAppend:
		p.Op = &kvv1.PipelineOp_Append{Append: &kvv1.AppendRequest{Namespace: n, Key: op.Key, Value: op.Value, IdempotencyKey: id}}
	case driver.OpSetIfAbsent:
		p.Op = &kvv1.PipelineOp_SetIfAbsent{SetIfAbsent: &kvv1.SetIfAbsentRequest{Namespace: n, Key: op.Key, Value: op.Value, TtlMs: ttlOf(op.Options), IdempotencyKey: id}}
	case driver.OpGetAndSet:
		p.Op = &kvv1.PipelineOp_GetAndSet{GetAndSet: &kvv1.GetAndSetRequest{Namespace: n, Key: op.Key, Value: op.Value, TtlMs: ttlOf(op.Options), IdempotencyKey: id}}
	case driver.OpCompareAndSwap:
		p.Op = &kvv1.PipelineOp_CompareAndSwap{CompareAndSwap: &kvv1.CompareAndSwapRequest{
			Namespace: n, Key: op.Key, Expected: op.Expected, Value: op.Value, TtlMs: ttlOf(op.Options), IdempotencyKey: id,
		}}
	case driver.OpCompareAndDelete:
		p.Op = &kvv1.PipelineOp_CompareAndDelete{CompareAndDelete: &kvv1.CompareAndDeleteRequest{Namespace: n, Key: op.Key, Expected: op.Expected, IdempotencyKey: id}}
	}
	return p
}

// result reads an answer of the wire, whichever call it came from.
func (s *Stub) result(answer any) (r driver.Result) {
	switch a := answer.(type) {
	case *kvv1.GetResponse:
		r = driver.Result{Found: true, Value: a.Value, Version: a.Version, ExpiresAt: timeOf(a.ExpiresAtMs)}
	case *kvv1.SetResponse:
		r.Version = a.Version
	case *kvv1.DeleteResponse:
		r.Found, r.Version = a.Found, a.Version
	case *kvv1.ExistsResponse:
		r.Found = a.Exists
	case *kvv1.ExpireResponse:
		r.ExpiresAt = time.UnixMilli(a.ExpiresAtMs)
	case *kvv1.GetTTLResponse:
		if a.TtlMs != nil {
			r.ExpiresAt = s.now().Add(time.Duration(*a.TtlMs) * time.Millisecond)
		}
	case *kvv1.PersistResponse:
		r.Applied = a.Removed
	case *kvv1.TouchResponse:
		r.ExpiresAt = timeOf(a.ExpiresAtMs)
	case *kvv1.IncrementResponse:
		r.Number, r.Version = a.Value, a.Version
	case *kvv1.AppendResponse:
		r.Number, r.Version = a.SizeBytes, a.Version
	case *kvv1.SetIfAbsentResponse:
		r.Applied, r.Version = a.Applied, a.Version
	case *kvv1.GetAndSetResponse:
		r.Found, r.Value, r.Version = a.Found, a.Previous, a.Version
	case *kvv1.CompareAndSwapResponse:
		r.Applied, r.Version = a.Applied, a.Version
	case *kvv1.CompareAndDeleteResponse:
		r.Applied, r.Version = a.Applied, a.Version
	}
	return r
}

// call makes the unary call that an operation stands for.
func (s *Stub) call(ctx context.Context, ns prism.Namespace, op driver.Op) (driver.Result, error) {
	var answer any
	var err error
	if err := s.bound(ctx, ns, op.Receipt); err != nil {
		return driver.Result{}, err
	}
	if op.Kind == driver.OpGetAndSet && op.Options.KeepTTL {
		if op.Options.TTL, err = s.left(ctx, prism.Key{Namespace: ns, Name: op.Key}); err != nil {
			return driver.Result{}, err
		}
	}
	if s.Via != nil {
		a, err := s.Via(ctx, string(ns), request("", op))
		if err != nil {
			return driver.Result{}, err
		}
		r := s.frameResult(a)
		s.one(op.Receipt, &r)
		return r, nil
	}
	switch o := request(ns, op).Op.(type) {
	case *kvv1.PipelineOp_Get:
		answer, err = s.kv.Get(ctx, o.Get)
	case *kvv1.PipelineOp_Set:
		answer, err = s.kv.Set(ctx, o.Set)
	case *kvv1.PipelineOp_Delete:
		answer, err = s.kv.Delete(ctx, o.Delete)
	case *kvv1.PipelineOp_Exists:
		answer, err = s.kv.Exists(ctx, o.Exists)
	case *kvv1.PipelineOp_Expire:
		answer, err = s.kv.Expire(ctx, o.Expire)
	case *kvv1.PipelineOp_GetTtl:
		answer, err = s.kv.GetTTL(ctx, o.GetTtl)
	case *kvv1.PipelineOp_Persist:
		answer, err = s.kv.Persist(ctx, o.Persist)
	case *kvv1.PipelineOp_Touch:
		answer, err = s.kv.Touch(ctx, o.Touch)
	case *kvv1.PipelineOp_Increment:
		answer, err = s.kv.Increment(ctx, o.Increment)
	case *kvv1.PipelineOp_Append:
		answer, err = s.kv.Append(ctx, o.Append)
	case *kvv1.PipelineOp_SetIfAbsent:
		answer, err = s.kv.SetIfAbsent(ctx, o.SetIfAbsent)
	case *kvv1.PipelineOp_GetAndSet:
		answer, err = s.kv.GetAndSet(ctx, o.GetAndSet)
	case *kvv1.PipelineOp_CompareAndSwap:
		answer, err = s.kv.CompareAndSwap(ctx, o.CompareAndSwap)
	case *kvv1.PipelineOp_CompareAndDelete:
		answer, err = s.kv.CompareAndDelete(ctx, o.CompareAndDelete)
	}
	if err != nil {
		return driver.Result{}, failed(err)
	}
	r := s.result(answer)
	s.one(op.Receipt, &r)
	return r, nil
}

// Get calls Get.
func (s *Stub) Get(ctx context.Context, key prism.Key) (driver.Entry, bool, error) {
	r, err := s.call(ctx, key.Namespace, driver.Op{Kind: driver.OpGet, Key: key.Name})
	if e := prism.From(err); e != nil && e.Reason == prism.ReasonNotFound {
		return driver.Entry{}, false, nil
	}
	return driver.Entry{Value: r.Value, Version: r.Version, ExpiresAt: r.ExpiresAt}, r.Found, err
}

// Set calls Set.
func (s *Stub) Set(ctx context.Context, key prism.Key, value []byte, o driver.SetOptions, r driver.Receipt) (driver.Result, error) {
	return s.call(ctx, key.Namespace, driver.Op{Kind: driver.OpSet, Key: key.Name, Value: value, Options: o, Receipt: r})
}

// Delete calls Delete.
func (s *Stub) Delete(ctx context.Context, key prism.Key, r driver.Receipt) (driver.Result, error) {
	return s.call(ctx, key.Namespace, driver.Op{Kind: driver.OpDelete, Key: key.Name, Receipt: r})
}

// Exists calls Exists.
func (s *Stub) Exists(ctx context.Context, key prism.Key) (bool, error) {
	r, err := s.call(ctx, key.Namespace, driver.Op{Kind: driver.OpExists, Key: key.Name})
	return r.Found, err
}

// SetIf calls Set with a condition.
func (s *Stub) SetIf(ctx context.Context, key prism.Key, value []byte, c driver.Condition, o driver.SetOptions, r driver.Receipt) (driver.Result, error) {
	return s.call(ctx, key.Namespace, driver.Op{Kind: driver.OpSetIf, Key: key.Name, Value: value, If: c, Options: o, Receipt: r})
}

// DeleteIf calls Delete with a condition.
func (s *Stub) DeleteIf(ctx context.Context, key prism.Key, c driver.Condition, r driver.Receipt) (driver.Result, error) {
	return s.call(ctx, key.Namespace, driver.Op{Kind: driver.OpDeleteIf, Key: key.Name, If: c, Receipt: r})
}

// Expire calls Expire.
func (s *Stub) Expire(ctx context.Context, key prism.Key, ttl time.Duration, r driver.Receipt) (driver.Result, error) {
	return s.call(ctx, key.Namespace, driver.Op{Kind: driver.OpExpire, Key: key.Name, Options: driver.SetOptions{TTL: ttl}, Receipt: r})
}

// ExpiresAt calls GetTTL.
func (s *Stub) ExpiresAt(ctx context.Context, key prism.Key) (time.Time, error) {
	r, err := s.call(ctx, key.Namespace, driver.Op{Kind: driver.OpExpiresAt, Key: key.Name})
	return r.ExpiresAt, err
}

// Persist calls Persist.
func (s *Stub) Persist(ctx context.Context, key prism.Key, r driver.Receipt) (driver.Result, error) {
	return s.call(ctx, key.Namespace, driver.Op{Kind: driver.OpPersist, Key: key.Name, Receipt: r})
}

// Touch calls Touch.
func (s *Stub) Touch(ctx context.Context, key prism.Key, r driver.Receipt) (driver.Result, error) {
	return s.call(ctx, key.Namespace, driver.Op{Kind: driver.OpTouch, Key: key.Name, Receipt: r})
}

// Increment calls Increment.
func (s *Stub) Increment(ctx context.Context, key prism.Key, delta int64, r driver.Receipt) (driver.Result, error) {
	return s.call(ctx, key.Namespace, driver.Op{Kind: driver.OpIncrement, Key: key.Name, Delta: delta, Receipt: r})
}

// Append calls Append.
func (s *Stub) Append(ctx context.Context, key prism.Key, value []byte, r driver.Receipt) (driver.Result, error) {
	return s.call(ctx, key.Namespace, driver.Op{Kind: driver.OpAppend, Key: key.Name, Value: value, Receipt: r})
}

// SetIfAbsent calls SetIfAbsent.
func (s *Stub) SetIfAbsent(ctx context.Context, key prism.Key, value []byte, o driver.SetOptions, r driver.Receipt) (driver.Result, error) {
	return s.call(ctx, key.Namespace, driver.Op{Kind: driver.OpSetIfAbsent, Key: key.Name, Value: value, Options: o, Receipt: r})
}

// GetAndSet calls GetAndSet.
func (s *Stub) GetAndSet(ctx context.Context, key prism.Key, value []byte, o driver.SetOptions, r driver.Receipt) (driver.Result, error) {
	return s.call(ctx, key.Namespace, driver.Op{Kind: driver.OpGetAndSet, Key: key.Name, Value: value, Options: o, Receipt: r})
}

// CompareAndSwap calls CompareAndSwap.
func (s *Stub) CompareAndSwap(ctx context.Context, key prism.Key, expected, value []byte, o driver.SetOptions, r driver.Receipt) (driver.Result, error) {
	return s.call(ctx, key.Namespace, driver.Op{Kind: driver.OpCompareAndSwap, Key: key.Name, Expected: expected, Value: value, Options: o, Receipt: r})
}

// CompareAndDelete calls CompareAndDelete.
func (s *Stub) CompareAndDelete(ctx context.Context, key prism.Key, expected []byte, r driver.Receipt) (driver.Result, error) {
	return s.call(ctx, key.Namespace, driver.Op{Kind: driver.OpCompareAndDelete, Key: key.Name, Expected: expected, Receipt: r})
}

// Scan calls Scan, or ScanKeys for keys alone.
func (s *Stub) Scan(ctx context.Context, ns prism.Namespace, q driver.Query, token []byte) (driver.Page, error) {
	var page driver.Page
	cursor := ""
	var opts []grpc.CallOption
	if !utf8.Valid(token) { // grpc-go's own codec would not send it
		opts = append(opts, grpc.ForceCodecV2(pwire.Codec()))
	}
	if q.KeysOnly {
		a, err := s.kv.ScanKeys(ctx, &kvv1.ScanKeysRequest{
			Namespace: string(ns), Prefix: q.Prefix, Start: q.Start, End: q.End, Reverse: q.Reverse,
			Limit: int32(q.Limit), MaxBytes: int32(q.MaxBytes), Cursor: string(token),
		}, opts...)
		if err != nil {
			return page, Inverted(q, err)
		}
		for _, k := range a.Keys {
			page.Entries = append(page.Entries, driver.Entry{Key: k.Key, Size: int(k.SizeBytes), Version: k.Version, ExpiresAt: timeOf(k.ExpiresAtMs)})
		}
		cursor = a.Cursor
	} else {
		a, err := s.kv.Scan(ctx, &kvv1.ScanRequest{
			Namespace: string(ns), Prefix: q.Prefix, Start: q.Start, End: q.End, Reverse: q.Reverse,
			Limit: int32(q.Limit), MaxBytes: int32(q.MaxBytes), Cursor: string(token),
		}, opts...)
		if err != nil {
			return page, Inverted(q, err)
		}
		for _, e := range a.Entries {
			page.Entries = append(page.Entries, driver.Entry{Key: e.Key, Value: e.Value, Size: len(e.Value), Version: e.Version, ExpiresAt: timeOf(e.ExpiresAtMs)})
		}
		cursor = a.Cursor
	}
	if cursor != "" {
		page.Next = []byte(cursor)
	}
	return page, nil
}

// Inverted is nil for the refusal of a range that ends before it starts.
func Inverted(q driver.Query, err error) error {
	e := pwire.FromStatus(err)
	if e == nil || q.End != "" && q.Start > q.End && e.Reason == prism.ReasonInvalidArgument && e.Fields[0].Field == "end" {
		return nil
	}
	return e
}

// Count calls Count.
func (s *Stub) Count(ctx context.Context, ns prism.Namespace, q driver.Query) (int64, error) {
	a, err := s.kv.Count(ctx, &kvv1.CountRequest{Namespace: string(ns), Prefix: q.Prefix, Start: q.Start, End: q.End})
	return a.GetCount(), Inverted(q, err)
}

// First is a page of one.
func (s *Stub) First(ctx context.Context, ns prism.Namespace, q driver.Query) (driver.Entry, bool, error) {
	q.Limit = 1
	page, err := s.Scan(ctx, ns, q, nil)
	if err != nil || len(page.Entries) == 0 {
		return driver.Entry{}, false, err
	}
	return page.Entries[0], true, nil
}

// Batch is the batch call of its kind if all operations are of one that has
// one, and a frame of a Pipeline otherwise.
func (s *Stub) Batch(ctx context.Context, ns prism.Namespace, ops []driver.Op, results []driver.Result) error {
	kinds := map[driver.OpKind]bool{}
	for _, op := range ops {
		kinds[op.Kind] = true
	}
	var err error
	switch {
	case len(ops) == 0:
		return nil
	case len(kinds) == 1 && kinds[driver.OpGet]:
		err = s.batchGet(ctx, ns, ops, results)
	case len(kinds) <= 2 && kinds[driver.OpSet] != kinds[driver.OpSetIf] && len(kinds) == 1:
		err = s.batchSet(ctx, ns, ops, results)
	case len(kinds) == 1 && (kinds[driver.OpDelete] || kinds[driver.OpDeleteIf]):
		err = s.batchDelete(ctx, ns, ops, results)
	default:
		err = s.frame(ctx, ns, ops, results)
	}
	if err != nil {
		return failed(err)
	}
	s.Batched(ops, results)
	return nil
}

// Batched turns the results of a batch into a driver's.
func (s *Stub) Batched(ops []driver.Op, results []driver.Result) {
	for i := range ops {
		switch {
		case results[i].Err == nil:
			s.one(ops[i].Receipt, &results[i])
		case ops[i].Kind == driver.OpGet && prism.From(results[i].Err).Reason == prism.ReasonNotFound:
			results[i] = driver.Result{}
		}
	}
}

func (s *Stub) batchGet(ctx context.Context, ns prism.Namespace, ops []driver.Op, results []driver.Result) error {
	req := &kvv1.BatchGetRequest{Namespace: string(ns)}
	for _, op := range ops {
		req.Keys = append(req.Keys, op.Key)
	}
	a, err := s.kv.BatchGet(ctx, req)
	for i, r := range a.GetResults() {
		if e := r.GetError(); e != nil {
			results[i] = driver.Result{Err: pwire.FromItem(e)}
		} else {
			results[i] = s.result(r.GetEntry())
		}
	}
	return err
}

func (s *Stub) batchSet(ctx context.Context, ns prism.Namespace, ops []driver.Op, results []driver.Result) error {
	req := &kvv1.BatchSetRequest{Namespace: string(ns)}
	for _, op := range ops {
		req.Items = append(req.Items, request("", op).GetSet())
	}
	a, err := s.kv.BatchSet(ctx, req)
	for i, r := range a.GetResults() {
		if e := r.GetError(); e != nil {
			results[i] = driver.Result{Err: pwire.FromItem(e)}
		} else {
			results[i] = s.result(r.GetSet())
		}
	}
	return err
}

func (s *Stub) batchDelete(ctx context.Context, ns prism.Namespace, ops []driver.Op, results []driver.Result) error {
	req := &kvv1.BatchDeleteRequest{Namespace: string(ns)}
	for _, op := range ops {
		req.Items = append(req.Items, request("", op).GetDelete())
	}
	a, err := s.kv.BatchDelete(ctx, req)
	for i, r := range a.GetResults() {
		if e := r.GetError(); e != nil {
			results[i] = driver.Result{Err: pwire.FromItem(e)}
		} else {
			results[i] = s.result(r.GetDeleted())
		}
	}
	return err
}

// frame runs the operations as one frame of a stream of its own.
func (s *Stub) frame(ctx context.Context, ns prism.Namespace, ops []driver.Op, results []driver.Result) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	st, err := s.kv.Pipeline(ctx)
	if err != nil {
		return err
	}
	frame := &kvv1.PipelineFrame{Id: 1}
	for _, op := range ops {
		frame.Ops = append(frame.Ops, request("", op))
	}
	for _, req := range []*kvv1.PipelineRequest{
		{Message: &kvv1.PipelineRequest_Open{Open: &kvv1.PipelineOpen{Namespace: string(ns)}}},
		{Message: &kvv1.PipelineRequest_Frame{Frame: frame}},
	} {
		if st.Send(req) != nil {
			break // Recv says why
		}
	}
	if _, err := st.Recv(); err != nil {
		return err
	}
	i := 0
	for more := true; more; {
		a, err := st.Recv()
		if err != nil {
			return err
		}
		for _, r := range a.Results {
			results[i] = s.frameResult(r)
			i++
		}
		more = a.More
	}
	return nil
}

func (s *Stub) frameResult(r *kvv1.PipelineResult) driver.Result {
	switch a := r.Result.(type) {
	case *kvv1.PipelineResult_Error:
		return driver.Result{Err: pwire.FromItem(a.Error)}
	case *kvv1.PipelineResult_Get:
		return s.result(a.Get)
	case *kvv1.PipelineResult_Set:
		return s.result(a.Set)
	case *kvv1.PipelineResult_Delete:
		return s.result(a.Delete)
	case *kvv1.PipelineResult_Exists:
		return s.result(a.Exists)
	case *kvv1.PipelineResult_Expire:
		return s.result(a.Expire)
	case *kvv1.PipelineResult_GetTtl:
		return s.result(a.GetTtl)
	case *kvv1.PipelineResult_Persist:
		return s.result(a.Persist)
	case *kvv1.PipelineResult_Touch:
		return s.result(a.Touch)
	case *kvv1.PipelineResult_Increment:
		return s.result(a.Increment)
	case *kvv1.PipelineResult_Append:
		return s.result(a.Append)
	case *kvv1.PipelineResult_SetIfAbsent:
		return s.result(a.SetIfAbsent)
	case *kvv1.PipelineResult_GetAndSet:
		return s.result(a.GetAndSet)
	case *kvv1.PipelineResult_CompareAndSwap:
		return s.result(a.CompareAndSwap)
	default:
		return s.result(r.GetCompareAndDelete())
	}
}

// Commit runs a transaction that reads the checked keys, writes and commits.
func (s *Stub) Commit(ctx context.Context, ns prism.Namespace, checks []driver.Check, writes []driver.Op, r driver.Receipt) ([]driver.Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	st, err := s.kv.Transaction(ctx)
	if err != nil {
		return nil, failed(err)
	}
	step := func(req *kvv1.TransactionRequest) (*kvv1.TransactionResponse, error) {
		_ = st.Send(req) // Recv says why it failed
		resp, err := st.Recv()
		return resp, failed(err)
	}
	if _, err := step(&kvv1.TransactionRequest{Step: &kvv1.TransactionRequest_Begin{Begin: &kvv1.TransactionBegin{Namespace: string(ns), IdempotencyKey: keyOf(r)}}}); err != nil {
		return nil, err
	}
	for _, c := range checks {
		got, err := step(&kvv1.TransactionRequest{Step: &kvv1.TransactionRequest_Get{Get: &kvv1.TransactionGet{Key: c.Key}}})
		if err != nil {
			return nil, err
		}
		// A commit that is sent again reads what it wrote the first time.
		if v := got.GetGot().GetVersion(); v != c.Version && !s.sent(r) {
			return nil, prism.New(prism.ReasonConflict, "key %q has version %d, not %d", c.Key, v, c.Version)
		}
	}
	for _, w := range writes {
		req, err := s.write(ctx, ns, w)
		if err != nil {
			return nil, err
		}
		if _, err := step(req); err != nil {
			return nil, err
		}
	}
	done, err := step(&kvv1.TransactionRequest{Step: &kvv1.TransactionRequest_Commit{Commit: &kvv1.TransactionCommit{}}})
	if err != nil {
		return nil, err
	}
	results := make([]driver.Result, len(done.GetCommitted().GetVersions()))
	for i, v := range done.GetCommitted().GetVersions() {
		results[i] = driver.Result{Version: v.Version, Found: writes[i].Kind == driver.OpDelete && v.Version != 0}
	}
	s.mark(r, results)
	return results, nil
}

func (s *Stub) write(ctx context.Context, ns prism.Namespace, w driver.Op) (*kvv1.TransactionRequest, error) {
	if w.Kind == driver.OpDelete {
		return &kvv1.TransactionRequest{Step: &kvv1.TransactionRequest_Delete{Delete: &kvv1.TransactionDelete{Key: w.Key}}}, nil
	}
	if w.Options.KeepTTL {
		var err error
		if w.Options.TTL, err = s.left(ctx, prism.Key{Namespace: ns, Name: w.Key}); err != nil {
			return nil, err
		}
	}
	return &kvv1.TransactionRequest{Step: &kvv1.TransactionRequest_Set{Set: &kvv1.TransactionSet{Key: w.Key, Value: w.Value, TtlMs: ttlOf(w.Options)}}}, nil
}

// left is the time to live that a key has, 0 for none.
func (s *Stub) left(ctx context.Context, key prism.Key) (time.Duration, error) {
	at, err := s.ExpiresAt(ctx, key)
	switch e := prism.From(err); {
	case e != nil && e.Reason == prism.ReasonNotFound:
		return 0, nil
	case err != nil || at.IsZero():
		return 0, err
	}
	return at.Sub(s.now()), nil
}

// Watch calls Watch.
func (s *Stub) Watch(_ context.Context, ns prism.Namespace, prefix string, after driver.Position) (driver.Watcher, error) {
	ctx, cancel := context.WithCancel(context.Background())
	st, err := s.kv.Watch(ctx, &kvv1.WatchRequest{Namespace: string(ns), Prefix: prefix, Position: string(after)})
	if err != nil {
		cancel()
		return nil, failed(err)
	}
	w := &stubWatch{cancel: cancel, next: make(chan watched), ctx: ctx}
	first, err := st.Recv() // it comes at once; so does a refusal
	if err != nil {
		cancel()
		return nil, failed(err)
	}
	go func() {
		select {
		case w.next <- watched{resp: first}:
		case <-ctx.Done():
			return
		}
		for {
			resp, err := st.Recv()
			select {
			case w.next <- watched{resp, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return w, nil
}

type watched struct {
	resp *kvv1.WatchResponse
	err  error
}

type stubWatch struct {
	cancel context.CancelFunc
	ctx    context.Context
	next   chan watched
	err    error
}

func (w *stubWatch) Next(ctx context.Context) (driver.Changes, error) {
	if w.err != nil {
		return driver.Changes{}, w.err
	}
	if err := ctx.Err(); err != nil { // even if something is ready
		return driver.Changes{}, prism.From(err)
	}
	select {
	case got := <-w.next:
		if got.err != nil {
			w.err = failed(got.err)
			return driver.Changes{}, w.err
		}
		return changesOf(got.resp), nil
	case <-ctx.Done():
		return driver.Changes{}, prism.From(ctx.Err())
	case <-w.ctx.Done():
		return driver.Changes{}, prism.New(prism.ReasonCancelled, "the watch is closed")
	}
}

func changesOf(r *kvv1.WatchResponse) driver.Changes {
	c := driver.Changes{Position: driver.Position(r.Position)}
	for _, x := range r.Changes {
		c.Changes = append(c.Changes, driver.Change{
			Kind: driver.ChangeKind(x.Kind), Key: x.Key, Version: x.Version, Previous: x.PreviousVersion, Time: time.UnixMilli(x.TimeMs),
		})
	}
	return c
}

func (w *stubWatch) Close() error {
	w.cancel()
	return nil
}

// Retrying sends an id of the client's own for retries with a unary call.
func Retrying(ctx context.Context, id []byte) context.Context {
	return metadata.AppendToOutgoingContext(ctx, pwire.RetryID, hex.EncodeToString(id))
}
