// Package attack_test holds the attacks of the security design, each by its
// name: TestAttack_A1 is row A1.
package attack_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/prism-data-layer/prism/pkg/wire"
	"github.com/prism-data-layer/prism/test/harness"
)

// tenants is a gateway of two tenants, a and b, who may not see each other.
const tenants = `apiVersion: prism/v1
auth: {mode: required}
backends:
  - {name: volatile, driver: memory}
namespaces:
  - {name: a, model: keyvalue, backend: volatile, access: {owners: ["service:a"]}}
  - {name: b, model: keyvalue, backend: volatile, access: {owners: ["service:b"]}}
  - {name: cache, model: cache, backend: volatile, access: {owners: ["service:a"]}}
  - {name: queue, model: queue, backend: volatile, access: {owners: ["service:a"]}}
  - {name: pubsub, model: pubsub, backend: volatile, access: {owners: ["service:a"]}}
  - {name: timeseries, model: timeseries, backend: volatile, access: {owners: ["service:a"]}}
drain: {timeout: 5s}
`

// A rig is that gateway with a key for each tenant and one for its operator.
type rig struct {
	*harness.Gateway
	admin, a, b string
}

func start(t *testing.T, o harness.Options) *rig {
	t.Helper()
	if o.File == "" {
		o.File = tenants
	}
	g := harness.Start(t, o)
	key, err := os.ReadFile(filepath.Join(g.Dir, "data", "admin.key"))
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{Gateway: g, admin: strings.TrimSpace(string(key))}
	r.a, _ = g.Key(t, r.admin, "service:a")
	r.b, _ = g.Key(t, r.admin, "service:b")
	return r
}

func as(t *testing.T, key string) context.Context {
	t.Helper()
	return harness.As(harness.Context(t), key)
}

// knock makes one call of any method with a message that is good but for what
// edit does to it.
func knock(ctx context.Context, conn *grpc.ClientConn, m *wire.Method, edit func(protoreflect.Message)) error {
	msg := harness.Valid(m.Descriptor.Input())
	if m.Descriptor.IsStreamingClient() { // it begins with open, or begin
		first := m.Descriptor.Input().Fields().Get(0)
		inner := harness.Valid(first.Message())
		if edit != nil {
			edit(inner)
		}
		msg.Set(first, protoreflect.ValueOfMessage(inner))
	} else if edit != nil {
		edit(msg)
	}
	raw, err := proto.Marshal(msg.Interface())
	if err != nil {
		return err
	}
	d := m.Descriptor
	st, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: d.IsStreamingClient(), ServerStreams: d.IsStreamingServer()}, m.FullName, harness.Raw())
	if err != nil {
		return err
	}
	_ = st.SendMsg(raw)
	var reply []byte
	return st.RecvMsg(&reply)
}

func namespaced(name string) func(protoreflect.Message) {
	return func(m protoreflect.Message) {
		m.Set(m.Descriptor().Fields().ByName("namespace"), protoreflect.ValueOfString(name))
	}
}

func refused(t *testing.T, what string, err error, code codes.Code) harness.Outcome {
	t.Helper()
	o := harness.Read(err)
	if o.Code() != code {
		t.Errorf("%s: got %v, want %s", what, err, code)
	}
	return o
}

// models are the methods that name a namespace: those of every service of a
// model, so that a new one is attacked too.
func models() (list []*wire.Method) {
	for _, m := range wire.Methods() {
		switch m.Descriptor.ParentFile().Package() {
		case "prism.admin.v1", "prism.session.v1", "prism.config.v1":
		default:
			list = append(list, m)
		}
	}
	return list
}
