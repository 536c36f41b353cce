package wire

import (
	"bytes"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire/frame"
)

// ServerCodec is Codec for a gateway. When a codec fails, gRPC answers INTERNAL
// by itself, before any handler can say better. So this one leaves a message
// that cannot be read empty but for a mark, which Unreadable finds, and the road
// answers it like any other bad request: with a credential asked for first.
func ServerCodec() encoding.CodecV2 { return serverCodec{} }

type serverCodec struct{ codec }

func (c serverCodec) Unmarshal(data mem.BufferSlice, v any) error {
	err := c.codec.Unmarshal(data, v)
	if err == nil {
		return nil
	}
	switch m := v.(type) {
	case *frame.Request:
		m.Reset()
		m.Bad = err
	case spoilable:
		m.Reset()
		m.Spoil(err)
	case proto.Message:
		proto.Reset(m)
		m.ProtoReflect().SetUnknown(append(bytes.Clone(mark), err.Error()...))
	default:
		return err
	}
	return nil
}

// spoilable are the messages with a frame.Reading.
type spoilable interface {
	Reset()
	Spoil(error)
	Spoiled() error
}

// mark is an unknown field with the largest number there is; what follows it is
// why. A caller that sends one itself gets the refusal that it asked for.
var mark = protowire.AppendTag(nil, protowire.MaxValidNumber, protowire.BytesType)

// Unreadable is the refusal of a message that ServerCodec could not read, nil
// for every other.
func Unreadable(v any) error {
	switch m := v.(type) {
	case *frame.Request:
		if m.Bad != nil {
			return unreadable(m.Bad.Error())
		}
	case spoilable:
		if err := m.Spoiled(); err != nil {
			return unreadable(err.Error())
		}
	case proto.Message:
		if why, bad := bytes.CutPrefix(m.ProtoReflect().GetUnknown(), mark); bad {
			return unreadable(string(why))
		}
	}
	return nil
}

func unreadable(why string) error {
	return prism.New(prism.ReasonInvalidArgument, "the message cannot be read: %s", why)
}
