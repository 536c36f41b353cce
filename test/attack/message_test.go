package attack_test

import (
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

// lengthPrefixed frames messages as gRPC does.
func lengthPrefixed(messages ...[]byte) (body []byte) {
	for _, m := range messages {
		body = binary.BigEndian.AppendUint32(append(body, 0), uint32(len(m)))
		body = append(body, m...)
	}
	return body
}

// sendRaw sends a body and reads the status, with its details, off the frames.
func sendRaw(t *testing.T, addr, path string, body []byte, credential string) harness.Outcome {
	t.Helper()
	var more []hpack.HeaderField
	if credential != "" {
		more = append(more, hpack.HeaderField{Name: "authorization", Value: "Bearer " + credential})
	}
	got, fields := rawSend(t, addr, path, body, more...)
	code, err := strconv.Atoi(got)
	if err != nil {
		t.Errorf("%s: %s instead of a status", path, got)
		return harness.Outcome{Status: status.New(codes.Unknown, got)}
	}
	st := &spb.Status{Code: int32(code)}
	for _, f := range fields {
		switch f.Name {
		case "grpc-message":
			st.Message = f.Value
		case "grpc-status-details-bin":
			raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(f.Value, "="))
			if err == nil {
				err = proto.Unmarshal(raw, st)
			}
			if err != nil {
				t.Errorf("%s: the details cannot be read: %v", path, err)
			}
		}
	}
	return harness.Read(status.FromProto(st).Err())
}

// unreadable are messages that no decoder takes, for whatever method.
func unreadable(in protoreflect.MessageDescriptor) map[string][]byte {
	bad := map[string][]byte{
		"a wire type that there is not": {0x0f},
		"a field without its end":       {0x0a, 0x05, 'a'},
		"a tag without its end":         {0x80},
		"an end of no group":            {0x0c},
	}
	if in.Fields().Len() > 0 {
		f := in.Fields().Get(0)
		wrong := protowire.AppendTag(nil, f.Number(), protowire.VarintType)
		wrong = append(wrong, 1)
		if f.Kind() == protoreflect.Int32Kind || f.Kind() == protoreflect.Int64Kind || f.Kind() == protoreflect.BoolKind || f.Kind() == protoreflect.EnumKind {
			wrong = protowire.AppendBytes(protowire.AppendTag(nil, f.Number(), protowire.Fixed32Type), nil)
		}
		bad["another wire type than the field's"] = wrong
	}
	return bad
}

// portOf is where a method is served.
func portOf(m *wire.Method) string {
	if strings.HasPrefix(m.Service, "prism.admin.") || m.FullName == "/prism.config.v1.ConfigService/RegisterConfig" {
		return "admin"
	}
	return "data"
}

// A message that cannot be decoded is INVALID_ARGUMENT with our details on every
// method, and not even that to who may not call.
func TestAMessageThatCannotBeReadIsAnInvalidArgument(t *testing.T) {
	t.Parallel()
	r := start(t, harness.Options{})
	for name, m := range wire.Methods() {
		for what, raw := range unreadable(m.Descriptor.Input()) {
			o := sendRaw(t, r.Addr(portOf(m)), name, lengthPrefixed(raw), r.admin)
			want, reason := codes.InvalidArgument, prism.ReasonInvalidArgument
			if (m.Name == "Pipeline" || m.Name == "StreamEvents") && strings.HasPrefix(what, "another") {
				want, reason = codes.FailedPrecondition, prism.ReasonFailedPrecond // frames are read by hand: it is a field that they do not know
			}
			if o.Code() != want || o.Info.GetReason() != string(reason) || o.Info.GetDomain() != "prism" || o.Request.GetRequestId() == "" {
				t.Errorf("%s with %s: %v %q, %v, request %v", name, what, o.Code(), o.Message(), o.Info, o.Request)
			}
			if o := sendRaw(t, r.Addr(portOf(m)), name, lengthPrefixed(raw), ""); o.Code() != codes.Unauthenticated {
				t.Errorf("%s with %s and no credential: %v %q", name, what, o.Code(), o.Message())
			}
		}
	}
}

// Strings that are not UTF-8 are refused by field.
func TestATextThatIsNotUTF8IsAnInvalidArgument(t *testing.T) {
	t.Parallel()
	r := start(t, harness.Options{})
	found := 0
	for name, m := range wire.Methods() {
		fields := m.Descriptor.Input().Fields()
		for i := range fields.Len() {
			f := fields.Get(i)
			if f.Kind() != protoreflect.StringKind || f.IsMap() || f.IsList() { // items have errors of their own
				continue
			}
			found++
			msg := harness.Valid(m.Descriptor.Input())
			if ns := fields.ByName("namespace"); ns != nil && m.Service == kvv1.KeyValueService_ServiceDesc.ServiceName {
				msg.Set(ns, protoreflect.ValueOfString("a"))
			}
			msg.Clear(f)
			raw, err := proto.Marshal(msg.Interface())
			if err != nil {
				t.Fatal(err)
			}
			raw = protowire.AppendBytes(protowire.AppendTag(raw, f.Number(), protowire.BytesType), []byte("a\xffb"))
			o := sendRaw(t, r.Addr(portOf(m)), name, lengthPrefixed(raw), r.admin)
			if o.Code() != codes.InvalidArgument || o.Info.GetReason() == "" {
				t.Errorf("%s.%s: %v %q, %v", name, f.Name(), o.Code(), o.Message(), o.Info)
			}
		}
	}
	if found < 30 {
		t.Errorf("only %d texts were found", found)
	}
}

// An unreadable message later in a stream ends it the same way.
func TestAFrameThatCannotBeReadEndsItsPipeline(t *testing.T) {
	t.Parallel()
	r := start(t, harness.Options{})
	for path, first := range map[string][]byte{
		"/prism.keyvalue.v1.KeyValueService/Pipeline":    {0x0a, 0x03, 0x0a, 0x01, 'a'},
		"/prism.cache.v1.CacheService/Pipeline":          {0x0a, 0x07, 0x0a, 0x05, 'c', 'a', 'c', 'h', 'e'},
		"/prism.keyvalue.v1.KeyValueService/Transaction": {0x0a, 0x03, 0x0a, 0x01, 'a'},
	} {
		o := sendRaw(t, r.Addr("data"), path, lengthPrefixed(first, []byte{0x0f}), r.a)
		if o.Code() != codes.InvalidArgument || o.Info.GetReason() != string(prism.ReasonInvalidArgument) || !strings.Contains(o.Message(), "cannot be read") {
			t.Errorf("%s: %v %q, %v", path, o.Code(), o.Message(), o.Info)
		}
	}
}

// gRPC's own service answers so too.
func TestAHealthCheckThatCannotBeReadIsAnInvalidArgument(t *testing.T) {
	t.Parallel()
	r := start(t, harness.Options{})
	for _, method := range []string{"Check", "Watch"} {
		for _, raw := range [][]byte{{0x0f}, {0x0a, 0x01, 0xff}} {
			o := sendRaw(t, r.Addr("data"), "/grpc.health.v1.Health/"+method, lengthPrefixed(raw), "")
			if o.Code() != codes.InvalidArgument || o.Info.GetReason() == "" {
				t.Errorf("%s with %x: %v %q, %v", method, raw, o.Code(), o.Message(), o.Info)
			}
		}
	}
}
