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

	"github.com/prism-data-layer/prism/pkg/wire"
	cachev1 "github.com/prism-data-layer/prism/proto/prism/cache/v1"
	commonv1 "github.com/prism-data-layer/prism/proto/prism/common/v1"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	timeseriesv1 "github.com/prism-data-layer/prism/proto/prism/timeseries/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

// dataServices are served on the data port: all that there are but the
// operator's, so that a new one is in every table.
func dataServices() (list []protoreflect.ServiceDescriptor) {
	for _, f := range wire.Files() {
		for i := range f.Services().Len() {
			if f.Package() != "prism.admin.v1" {
				list = append(list, f.Services().Get(i))
			}
		}
	}
	return list
}

// serviceOf finds one by its full name.
func serviceOf(name protoreflect.FullName) protoreflect.ServiceDescriptor {
	services := dataServices()
	return services[slices.IndexFunc(services, func(s protoreflect.ServiceDescriptor) bool { return s.FullName() == name })]
}

// TestBadValuesOfEveryField drives every bad value of every rule through every
// field of every call, from the descriptors: later calls are covered too.
func TestBadValuesOfEveryField(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Options{File: harness.Models})
	conn, kv := g.Dial(t, "data"), g.KeyValue(t)
	for _, s := range dataServices() {
		for i := range s.Methods().Len() {
			m := s.Methods().Get(i)
			if s.FullName() == "prism.config.v1.ConfigService" && m.Name() == "RegisterConfig" {
				continue // the admin port's: refused here as a whole
			}
			t.Run(string(s.Name())+"."+string(m.Name()), func(t *testing.T) {
				for _, v := range harness.Values(m.Input()) {
					if v.Leaf() == "value" { // what an Append finds there counts too
						_, _ = kv.Delete(t.Context(), &kvv1.DeleteRequest{Namespace: ns, Key: "mem"})
					}
					if m.Name() == "GetOrLock" { // nobody is to wait for the lock of the call before
						_, _ = g.Cache(t).Delete(t.Context(), &cachev1.DeleteRequest{Namespace: "cache", Key: "mem"})
					}
					errs := exchange(t, conn, s, m, v)
					check(t, v, errs)
				}
			})
		}
	}
}

// accepted says that a value is no error, whatever its field's rule says.
func accepted(v harness.Value) bool {
	switch {
	case v.Leaf() == "traceparent": // a trace context that is wrong is ignored, as W3C asks
	case v.What == "2147483647" && slices.Contains([]string{"partition", "partitions", "offset", "end_offset"}, v.Leaf()): // no topic has as many
	case v.Leaf() == "namespace" && v.What == "absent" && strings.Contains(v.Field, "["): // the batch's, or the stream's
	default:
		return false
	}
	return true
}

// check wants the errors of a bad value to name its field, and none of a good
// value to do so.
func check(t *testing.T, v harness.Value, errs []*commonv1.Error) {
	t.Helper()
	var named []string
	for _, e := range errs {
		if e.Reason == "INTERNAL" || e.Reason == "UNKNOWN" || e.Reason == "" {
			t.Errorf("%s = %s: %v", v.Field, v.What, e)
		}
		for _, f := range e.FieldViolations {
			named = append(named, f.Field)
		}
	}
	is := func(field string) bool {
		leaf := field[strings.LastIndexByte(field, '.')+1:]
		leaf, _, _ = strings.Cut(leaf, "[")
		return leaf == v.Leaf() || leaf+"s" == v.Leaf() // an item of keys is a key
	}
	switch {
	case accepted(v):
	case v.Good && slices.ContainsFunc(named, is):
		t.Errorf("%s = %s is refused: %v", v.Field, v.What, errs)
	case !v.Good && !slices.ContainsFunc(named, is):
		t.Errorf("%s = %s is not refused with the field: %v", v.Field, v.What, errs)
	}
}

// exchange sends one message as it is and returns all errors that come back:
// of the call, and of its items.
func exchange(t *testing.T, conn *grpc.ClientConn, s protoreflect.ServiceDescriptor, m protoreflect.MethodDescriptor, v harness.Value) []*commonv1.Error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	name := "/" + string(s.FullName()) + "/" + string(m.Name())
	desc := &grpc.StreamDesc{ClientStreams: m.IsStreamingClient(), ServerStreams: m.IsStreamingServer()}
	st, err := conn.NewStream(ctx, desc, name, harness.Raw())
	if err != nil {
		t.Fatal(err)
	}
	first, answers := opener(t, s, m, v), 1
	if first != nil {
		_ = st.SendMsg(first)
		answers++
	}
	_ = st.SendMsg(v.Raw)
	_ = st.CloseSend()
	var found []*commonv1.Error
	for range answers {
		var raw []byte
		err := st.RecvMsg(&raw)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			e := harness.Read(err)
			if e.Error == nil {
				t.Errorf("%s of %s = %s: no detail in %v", name, v.Field, v.What, err)
				return found
			}
			return append(found, e.Error)
		}
		found = append(found, itemsOf(t, m, raw)...)
	}
	return found
}

// opener is what must come before a message on a stream.
func opener(t *testing.T, s protoreflect.ServiceDescriptor, m protoreflect.MethodDescriptor, v harness.Value) []byte {
	t.Helper()
	var first proto.Message
	switch {
	case m.Name() == "Pipeline" && !strings.HasPrefix(v.Field, "open"):
		if first = opening(ns); s.FullName() == "prism.cache.v1.CacheService" {
			first = cacheOpening("cache")
		}
	case m.Name() == "Transaction" && !strings.HasPrefix(v.Field, "begin"):
		first = beginOf(&kvv1.TransactionBegin{Namespace: ns})
	case m.Name() == "StreamEvents" && !strings.HasPrefix(v.Field, "open"):
		first = &timeseriesv1.StreamEventsRequest{Message: &timeseriesv1.StreamEventsRequest_Open{Open: &timeseriesv1.OpenStream{Namespace: "timeseries"}}}
	default:
		return nil
	}
	raw, err := proto.Marshal(first)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// itemsOf are the errors of the items in a reply.
func itemsOf(t *testing.T, m protoreflect.MethodDescriptor, raw []byte) (found []*commonv1.Error) {
	t.Helper()
	reply := harness.Valid(m.Output())
	if err := proto.Unmarshal(raw, reply.Interface()); err != nil {
		t.Fatalf("%s: its reply: %v", m.Name(), err)
	}
	results := m.Output().Fields().ByName("results")
	if results == nil {
		results = m.Output().Fields().ByName("entries")
	}
	if results == nil || !results.IsList() || results.Message() == nil || results.Message().Fields().ByName("error") == nil {
		return nil
	}
	l := reply.Get(results).List()
	field := results.Message().Fields().ByName("error")
	for i := range l.Len() {
		if item := l.Get(i).Message(); item.Has(field) {
			found = append(found, item.Get(field).Message().Interface().(*commonv1.Error))
		}
	}
	return found
}

// A message that is cut anywhere is refused, and by nothing worse than gRPC's
// own answer to what it cannot read.
func TestTruncatedMessages(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Options{})
	conn := g.Dial(t, "data")
	for name, m := range wire.Methods() {
		if m.Stream || strings.Contains(name, "admin") {
			continue
		}
		whole, err := proto.Marshal(harness.Valid(m.Descriptor.Input()).Interface())
		if err != nil {
			t.Fatal(err)
		}
		whole = append(whole, 0x7A, 5, 'h', 'e', 'l', 'l', 'o', 0x80, 1) // a key, and a tag that is cut
		for cut := range whole {
			var reply []byte
			err := conn.Invoke(harness.Context(t), name, whole[:cut], &reply, harness.Raw())
			switch o := harness.Read(err); o.Code() {
			case codes.Unknown:
				t.Errorf("%s cut at %d: %v", name, cut, err)
			case codes.Internal:
				if !strings.Contains(o.Message(), "unmarshal") {
					t.Errorf("%s cut at %d: %v", name, cut, err)
				}
			}
		}
	}
}

// Fields that nobody knows, and a field twice, change nothing.
func TestUnknownAndRepeatedFields(t *testing.T) {
	t.Parallel()
	g, kv, ctx := start(t, harness.Options{})
	set(t, kv, "k", "v")
	conn := g.Dial(t, "data")
	raw, _ := proto.Marshal(&kvv1.GetRequest{Namespace: "none", Key: "other"})
	again, _ := proto.Marshal(&kvv1.GetRequest{Namespace: ns, Key: "k"})
	raw = append(append(raw, again...), 0xF8, 0x3F, 1) // field 1023 = 1
	var reply []byte
	if err := conn.Invoke(ctx, kvv1.KeyValueService_Get_FullMethodName, raw, &reply, harness.Raw()); err != nil {
		t.Errorf("the last one of a field counts: %v", err)
	}
	wrong := []byte{0x08, 1} // namespace as a number
	if err := conn.Invoke(ctx, kvv1.KeyValueService_Get_FullMethodName, wrong, &reply, harness.Raw()); err == nil || harness.Read(err).Code() == codes.Unknown {
		t.Errorf("a field of another type: %v", err)
	}
}
