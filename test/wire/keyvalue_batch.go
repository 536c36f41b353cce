package wire

import (
	"context"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
	pwire "github.com/prism-data-layer/prism/pkg/wire"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

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
	s.Batched(ns, ops, results)
	return nil
}

// Batched turns the results of a batch into a driver's.
func (s *Stub) Batched(ns prism.Namespace, ops []driver.Op, results []driver.Result) {
	for i := range ops {
		switch {
		case results[i].Err == nil:
			results[i].Replayed = s.again(ns, ops[i].Receipt, results[i])
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
