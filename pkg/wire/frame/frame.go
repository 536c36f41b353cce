// Package frame codes by hand the messages that carry much: those of a Pipeline
// (of KeyValue and of Cache, which are laid out alike), and the events of a
// subscription.
//
// A frame carries up to a thousand operations, nearly all of them gets and
// plain sets, and the generated code makes four objects of each. Here they are
// slices of plain structs; whatever is rarer stays a generated message. On the
// wire nothing differs: tests hold that both codings read each other, and that
// answers are the same bit for bit.
package frame

import (
	"errors"
	"strings"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	cachev1 "github.com/prism-data-layer/prism/proto/prism/cache/v1"
	commonv1 "github.com/prism-data-layer/prism/proto/prism/common/v1"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

// A Kind tells which operations are plain fields of Op and Result.
type Kind uint8

// Other is an operation or a result that stays a generated message; Failed is
// an error in place of a result.
const (
	Other Kind = iota
	Get
	Set
	Failed
)

// A Model is what the messages of one model have of their own.
type Model struct {
	op     func() OpMessage
	result func() ResultMessage
	// Fields of its GetResponse.
	value, number protowire.Number
}

// The models that have a Pipeline.
var (
	KeyValue = &Model{
		op: func() OpMessage { return &kvv1.PipelineOp{} }, result: func() ResultMessage { return &kvv1.PipelineResult{} },
		value: 1, number: 2,
	}
	Cache = &Model{
		op: func() OpMessage { return &cachev1.PipelineOp{} }, result: func() ResultMessage { return &cachev1.PipelineResult{} },
		value: 2, number: 1,
	}
)

// A Message is what the generated code makes of one.
type Message interface {
	SizeVT() int
	MarshalToSizedBufferVT([]byte) (int, error)
	UnmarshalVT([]byte) error
}

// An OpMessage is the model's PipelineOp.
type OpMessage interface {
	Message
	ProtoReflect() protoreflect.Message
	GetRetryId() []byte
	GetTimeoutMs() int64
	GetTraceparent() string
}

// A ResultMessage is the model's PipelineResult.
type ResultMessage interface {
	Message
	GetError() *commonv1.Error
}

// A Request is a PipelineRequest as the gateway reads it.
type Request struct {
	Model *Model // set before it is read; nil: what a frame holds is not
	Open  *Open  // nil: a frame
	Set   bool   // whether there was a frame at all
	ID    uint64
	Ops   []Op
	Bad   error // why the message could not be read, if wire.ServerCodec could not
	size  int   // of the message that was read
}

// An Open is the message that opens a Pipeline.
type Open struct{ Namespace string }

// An Op is a PipelineOp.
type Op struct {
	Kind           Kind
	Namespace      string
	Key            string
	Value          []byte
	IdempotencyKey string
	RetryID        []byte
	TimeoutMs      int64
	Traceparent    string
	Other          OpMessage
}

// Name is that of the unary call that does the same.
func (o *Op) Name() string {
	switch o.Kind {
	case Get:
		return "Get"
	case Set:
		return "Set"
	}
	m := o.Other.ProtoReflect()
	set := m.WhichOneof(m.Descriptor().Oneofs().ByName("op"))
	if set == nil {
		return "Pipeline" // an operation that asks for nothing
	}
	return strings.TrimSuffix(string(set.Message().Name()), "Request")
}

// A Response is a PipelineResponse.
type Response struct {
	Model   *Model // set before it is written or read
	ID      uint64
	More    bool
	Results []Result
}

// A Result is a PipelineResult.
type Result struct {
	Kind  Kind
	Value []byte
	// Number is the version. A cache has none: there it is 1 for an entry that
	// was found, and for a set that was applied.
	Number      uint64
	ExpiresAtMs int64
	Expires     bool
	Error       *commonv1.Error // nil: it worked
	Other       ResultMessage
}

// Field numbers, the same in each model.
const (
	requestOpen, requestFrame             = 1, 2
	openNamespace                         = 1
	frameID, frameOps                     = 1, 2
	opGet, opSet                          = 1, 2
	opRetryID, opTimeout, opTraceparent   = 20, 21, 22
	reqNamespace, reqKey, reqValue        = 1, 2, 3
	reqIdempotencyKey                     = 15
	responseID, responseResults, respMore = 1, 2, 3
	resultGet, resultSet, resultError     = 1, 2, 15
	getExpires                            = 3
	setNumber                             = 1
)

var errMalformed = errors.New("frame: malformed message")

// Reset empties r for reuse; its Ops keep their room, and its Model stays.
func (r *Request) Reset() {
	clear(r.Ops)
	*r = Request{Model: r.Model, Ops: r.Ops[:0]}
}

// SizeVT is the size of the message that was read.
func (r *Request) SizeVT() int { return r.size }

// UnmarshalVT reads a message. What it keeps is a copy of data.
func (r *Request) UnmarshalVT(data []byte) error {
	err := fields(data, func(num protowire.Number, typ protowire.Type, v []byte, _ uint64) error {
		switch {
		case num == requestOpen && typ == protowire.BytesType:
			r.Reset() // of a oneof the last one holds
			r.Open = &Open{}
			return r.Open.read(v)
		case num == requestFrame && typ == protowire.BytesType:
			r.Set, r.Open = true, nil
			if r.Model == nil {
				return nil
			}
			// One copy for the whole frame: keys and values are parts of it.
			return r.frame(append(make([]byte, 0, len(v)), v...))
		}
		return nil
	})
	r.size = len(data)
	return err
}

func (o *Open) read(data []byte) error {
	return fields(data, func(num protowire.Number, typ protowire.Type, v []byte, _ uint64) error {
		switch {
		case num != openNamespace:
		case typ != protowire.BytesType:
			return errMalformed
		default:
			o.Namespace = string(v)
		}
		return nil
	})
}

func (r *Request) frame(data []byte) error {
	return fields(data, func(num protowire.Number, typ protowire.Type, v []byte, n uint64) error {
		switch {
		case num == frameID && typ == protowire.VarintType:
			r.ID = n
		case num == frameOps && typ == protowire.BytesType:
			r.Ops = append(r.Ops, Op{})
			return r.Ops[len(r.Ops)-1].read(r.Model, v)
		}
		return nil
	})
}

// read reads one operation: by hand if it is a get or a plain set with nothing
// else but its id and its time, and by the generated code otherwise.
func (o *Op) read(m *Model, data []byte) error {
	plain := true
	err := fields(data, func(num protowire.Number, typ protowire.Type, v []byte, n uint64) error {
		switch {
		case num == opGet && typ == protowire.BytesType && o.Kind == Other:
			o.Kind = Get
			ok, err := o.request(v, false)
			plain = plain && ok
			return err
		case num == opSet && typ == protowire.BytesType && o.Kind == Other:
			o.Kind = Set
			ok, err := o.request(v, true)
			plain = plain && ok
			return err
		case num == opRetryID && typ == protowire.BytesType:
			o.RetryID = v
		case num == opTimeout && typ == protowire.VarintType:
			o.TimeoutMs = int64(n)
		case num == opTraceparent && typ == protowire.BytesType:
			o.Traceparent = text(v)
		default:
			plain = false
		}
		return nil
	})
	if err != nil || plain && o.Kind != Other {
		return err
	}
	other := m.op()
	if err := other.UnmarshalVT(data); err != nil {
		return err
	}
	*o = Op{Kind: Other, Other: other, RetryID: other.GetRetryId(), TimeoutMs: other.GetTimeoutMs(), Traceparent: other.GetTraceparent()}
	return nil
}

// request reads the fields that a get and a plain set have; ok is false if
// there are others.
func (o *Op) request(data []byte, set bool) (ok bool, err error) {
	ok = true
	err = fields(data, func(num protowire.Number, typ protowire.Type, v []byte, _ uint64) error {
		switch {
		case typ != protowire.BytesType:
			ok = false
		case num == reqNamespace:
			o.Namespace = text(v)
		case num == reqKey && set:
			o.Key = strings.Clone(text(v)) // a store may keep it: not the whole frame with it
		case num == reqKey:
			o.Key = text(v)
		case num == reqValue && set:
			o.Value = v
		case num == reqIdempotencyKey && set:
			o.IdempotencyKey = text(v)
		default:
			ok = false
		}
		return nil
	})
	return ok, err
}

// fields calls each for every field of a message: v for bytes, n for varints.
func fields(data []byte, each func(num protowire.Number, typ protowire.Type, v []byte, n uint64) error) error {
	for len(data) > 0 {
		num, typ, size := protowire.ConsumeTag(data)
		if size < 0 {
			return errMalformed
		}
		data = data[size:]
		var v []byte
		var n uint64
		switch typ {
		case protowire.BytesType:
			v, size = protowire.ConsumeBytes(data)
			v = v[:len(v):len(v)]
		case protowire.VarintType:
			n, size = protowire.ConsumeVarint(data)
		default:
			size = protowire.ConsumeFieldValue(num, typ, data)
		}
		if size < 0 {
			return errMalformed
		}
		if err := each(num, typ, v, n); err != nil {
			return err
		}
		data = data[size:]
	}
	return nil
}

// text is b as a string, without a copy: b is never written to again.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
