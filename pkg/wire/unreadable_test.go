package wire_test

import (
	"errors"
	"strings"
	"testing"

	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	"github.com/prism-data-layer/prism/pkg/wire/frame"
	keyvaluev1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

func TestTheServersCodecMarksWhatItCannotRead(t *testing.T) {
	t.Parallel()
	c := wire.ServerCodec()
	wrong := []byte{0x10, 0x01} // the key as a number
	for name, m := range map[string]any{
		"one of ours":      &keyvaluev1.GetRequest{Namespace: "old", Key: "old"},
		"one of another's": &healthv1.HealthCheckRequest{Service: "old"},
		"a frame":          &frame.Request{Set: true, ID: 7},
	} {
		data := wrong
		if name != "one of ours" {
			data = []byte{0x0a, 0x05}
		}
		if err := c.Unmarshal(mem.BufferSlice{mem.SliceBuffer(data)}, m); err != nil {
			t.Errorf("%s: the codec fails: %v", name, err)
		}
		err := wire.Unreadable(m)
		if !errors.Is(err, prism.ReasonInvalidArgument) || !strings.HasPrefix(prism.From(err).Message, "the message cannot be read: ") {
			t.Errorf("%s: %v", name, err)
		}
		if m, ok := m.(proto.Message); ok {
			if err := wire.Validate(m); !errors.Is(err, prism.ReasonInvalidArgument) || len(prism.From(err).Fields) != 0 {
				t.Errorf("%s is valid, or its fields are judged: %v", name, err)
			}
		}
		// The next message in the same memory is not marked.
		if err := c.Unmarshal(nil, m); err != nil || wire.Unreadable(m) != nil {
			t.Errorf("%s, a good message after: %v, %v", name, err, wire.Unreadable(m))
		}
	}
	if err := c.Unmarshal(nil, 7); err == nil {
		t.Error("what is no message is taken")
	}
	if err := wire.Unreadable(7); err != nil {
		t.Errorf("what is no message: %v", err)
	}
}

// An unknown field of a newer client is no mark.
func TestUnknownFieldsAreNoMark(t *testing.T) {
	t.Parallel()
	m := &keyvaluev1.GetRequest{}
	if err := wire.ServerCodec().Unmarshal(mem.BufferSlice{mem.SliceBuffer([]byte{0xfa, 0x3f, 0x01, 'x'})}, m); err != nil {
		t.Fatal(err)
	}
	if err := wire.Unreadable(m); err != nil {
		t.Error(err)
	}
}
