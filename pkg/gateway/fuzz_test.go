package gateway_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/prism-data-layer/prism/pkg/prism"
	cachev1 "github.com/prism-data-layer/prism/proto/prism/cache/v1"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

// allowed are the codes that bytes of a caller may be answered with.
var allowed = []codes.Code{
	codes.OK, codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.FailedPrecondition,
	codes.OutOfRange, codes.Aborted, codes.ResourceExhausted,
}

// judge wants an answer that a caller of ours can get, with its reason.
func judge(t *testing.T, err error) {
	t.Helper()
	o := harness.Read(err)
	switch {
	case o.Code() == codes.Internal && strings.Contains(o.Message(), "unmarshal"): // gRPC's own, of what is no message
	case o.Info.GetReason() == string(prism.ReasonCapabilityMissing): // a namespace of another model
	case !slices.Contains(allowed, o.Code()):
		t.Errorf("answered with %v", err)
	case err != nil && o.Info.GetReason() == "":
		t.Errorf("no ErrorInfo in %v", err)
	}
}

// FuzzUnary_KeyValue sends any bytes as the request of any unary call.
func FuzzUnary_KeyValue(f *testing.F) {
	fuzzUnary(f, serviceOf("prism.keyvalue.v1.KeyValueService"))
}

// FuzzUnary_Cache is the same for caches.
func FuzzUnary_Cache(f *testing.F) { fuzzUnary(f, serviceOf("prism.cache.v1.CacheService")) }

// FuzzUnary_Queue is the same for logs.
func FuzzUnary_Queue(f *testing.F) { fuzzUnary(f, serviceOf("prism.queue.v1.QueueService")) }

// FuzzUnary_PubSub is the same for publish and subscribe.
func FuzzUnary_PubSub(f *testing.F) { fuzzUnary(f, serviceOf("prism.pubsub.v1.PubSubService")) }

func fuzzUnary(f *testing.F, service protoreflect.ServiceDescriptor) {
	var methods []protoreflect.MethodDescriptor
	for i := range service.Methods().Len() {
		m := service.Methods().Get(i)
		if !m.IsStreamingClient() && !m.IsStreamingServer() {
			methods = append(methods, m)
		}
	}
	for i, m := range methods {
		raw, err := proto.Marshal(harness.Valid(m.Input()).Interface())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(byte(i), raw)
	}
	f.Add(byte(0), []byte{0x0A, 3, 'm', 'e', 'm', 0x12, 2, 0xFF, 0xFE})
	g := harness.Start(f, harness.Options{File: harness.Models})
	conn := g.Dial(f, "data")
	f.Fuzz(func(t *testing.T, which byte, raw []byte) {
		if len(raw) > 1<<20 {
			return
		}
		m := methods[int(which)%len(methods)]
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second) // GetOrLock may wait for most of it
		defer cancel()
		var reply []byte
		judge(t, conn.Invoke(ctx, "/"+string(service.FullName())+"/"+string(m.Name()), raw, &reply, harness.Raw()))
	})
}

// FuzzStreamScript sends any messages over a Pipeline or a Transaction, the
// Pipeline of key-value or of a cache: the
// first byte chooses, and each message has its length in front. The stream must
// end, once, with a reason.
func FuzzStreamScript(f *testing.F) {
	script := func(stream byte, messages ...proto.Message) []byte {
		out := []byte{stream}
		for _, m := range messages {
			raw, err := proto.Marshal(m)
			if err != nil {
				f.Fatal(err)
			}
			out = append(append(out, byte(len(raw))), raw...)
		}
		return out
	}
	f.Add(script(0, opening(ns), frameOf(1, getOf("k"), setOf("k", "v")), frameOf(2, appendOf("k", "w"))))
	f.Add(script(0, frameOf(1)))
	f.Add(script(1, beginOf(&kvv1.TransactionBegin{Namespace: ns, TimeoutMs: 500}), txGet("k"), txSet("k", "v"), txDelete("l"), commit()))
	f.Add(script(1, beginOf(&kvv1.TransactionBegin{Namespace: ns}), rollback(), rollback()))
	f.Add(script(1, commit()))
	f.Add(script(2, cacheOpening("cache"), cacheFrameOf(1, cacheGetOf("k"), cacheSetOf("k", "v")), cacheFrameOf(2, cacheGetOf("k"))))
	g := harness.Start(f, harness.Options{File: harness.Models})
	conn := g.Dial(f, "data")
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) == 0 || len(script) > 1<<16 {
			return
		}
		name := kvv1.KeyValueService_Pipeline_FullMethodName
		switch script[0] % 3 {
		case 1:
			name = kvv1.KeyValueService_Transaction_FullMethodName
		case 2:
			name = cachev1.CacheService_Pipeline_FullMethodName
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		st, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, name, harness.Raw())
		if err != nil {
			t.Fatal(err)
		}
		for rest := script[1:]; len(rest) > 0; {
			n := min(int(rest[0]), len(rest)-1)
			if st.SendMsg(rest[1:1+n]) != nil {
				break
			}
			rest = rest[1+n:]
		}
		_ = st.CloseSend()
		for {
			var raw []byte
			err := st.RecvMsg(&raw)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				judge(t, err)
				return
			}
		}
	})
}
