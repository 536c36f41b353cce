package gateway_test

import (
	"fmt"
	"testing"

	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

// BenchmarkHeard is what an operation costs on the road, alone and in a frame of
// a thousand: while nobody listens, one to all calls, and another one to errors.
func BenchmarkHeard(b *testing.B) {
	g := harness.Start(b, harness.Options{})
	kv, ctx := g.KeyValue(b), b.Context()
	if _, err := kv.Set(ctx, &kvv1.SetRequest{Namespace: ns, Key: "k", Value: make([]byte, 64)}); err != nil {
		b.Fatal(err)
	}
	for _, who := range []string{"nobody", "all", "errors"} {
		if who != "nobody" {
			st, err := g.Admin(b).TraceSession(ctx, &adminv1.TraceSessionRequest{Errors: who == "errors"})
			if err != nil {
				b.Fatal(err)
			}
			if _, err := st.Recv(); err != nil {
				b.Fatal(err)
			}
			go func() {
				for {
					if _, err := st.Recv(); err != nil {
						return
					}
				}
			}()
		}
		b.Run(fmt.Sprintf("call/%s", who), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := kv.Get(ctx, &kvv1.GetRequest{Namespace: ns, Key: "k"}); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("frame/%s", who), func(b *testing.B) {
			st, err := kv.Pipeline(ctx)
			if err != nil {
				b.Fatal(err)
			}
			ops := make([]*kvv1.PipelineOp, 1000)
			for i := range ops {
				ops[i] = getOf("k")
			}
			request := frameOf(1, ops...)
			if err := st.Send(opening(ns)); err != nil {
				b.Fatal(err)
			}
			if _, err := st.Recv(); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if err := st.Send(request); err != nil {
					b.Fatal(err)
				}
				for more := true; more; {
					r, err := st.Recv()
					if err != nil {
						b.Fatal(err)
					}
					more = r.More
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(ops)), "ns/operation")
		})
	}
}
