package frame

import "google.golang.org/protobuf/encoding/protowire"

// SizeVT is how many bytes the message takes.
func (o *Open) SizeVT() int { return 1 + protowire.SizeBytes(sizeOf(len(o.Namespace))) }

// MarshalToSizedBufferVT fills buf, which is as long as SizeVT says.
func (o *Open) MarshalToSizedBufferVT(buf []byte) (int, error) {
	b := protowire.AppendTag(buf[:0], requestOpen, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(sizeOf(len(o.Namespace))))
	return len(appendText(b, openNamespace, o.Namespace)), nil
}

// A Frame is a PipelineRequest as a client writes it: the operations of
// concurrent callers, each coded by its caller when it joins.
type Frame struct {
	ID  uint64
	Ops []byte // coded, one after the other
}

// AppendGet codes a get.
func (f *Frame) AppendGet(key string, timeoutMs int64, traceparent string) {
	request := sizeOf(len(key))
	b := protowire.AppendTag(f.Ops, frameOps, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(1+protowire.SizeBytes(request)+timeoutSize(timeoutMs)+traceSize(traceparent)))
	b = protowire.AppendTag(b, opGet, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(request))
	b = appendText(b, reqKey, key)
	f.Ops = appendTrace(appendTimeout(b, timeoutMs), traceparent)
}

// AppendSet codes a set without conditions and without an expiry.
func (f *Frame) AppendSet(key string, value []byte, idempotencyKey string, retryID []byte, timeoutMs int64, traceparent string) {
	request := sizeOf(len(key)) + sizeOf(len(value)) + sizeOf(len(idempotencyKey))
	size := 1 + protowire.SizeBytes(request) + retrySize(retryID) + timeoutSize(timeoutMs) + traceSize(traceparent)
	b := protowire.AppendTag(f.Ops, frameOps, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	b = protowire.AppendTag(b, opSet, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(request))
	b = appendText(b, reqKey, key)
	if len(value) > 0 {
		b = protowire.AppendTag(b, reqValue, protowire.BytesType)
		b = protowire.AppendBytes(b, value)
	}
	b = appendText(b, reqIdempotencyKey, idempotencyKey)
	f.Ops = appendTrace(appendTimeout(appendRetry(b, retryID), timeoutMs), traceparent)
}

// Append codes any operation, which has no retry id, no timeout and no trace
// itself.
func (f *Frame) Append(op OpMessage, retryID []byte, timeoutMs int64, traceparent string) error {
	size := op.SizeVT()
	b := protowire.AppendTag(f.Ops, frameOps, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size+retrySize(retryID)+timeoutSize(timeoutMs)+traceSize(traceparent)))
	start := len(b)
	b = append(b, make([]byte, size)...)
	if _, err := op.MarshalToSizedBufferVT(b[start:]); err != nil {
		return err // f is as it was
	}
	f.Ops = appendTrace(appendTimeout(appendRetry(b, retryID), timeoutMs), traceparent)
	return nil
}

// SizeVT is how many bytes the message takes.
func (f *Frame) SizeVT() int { return 1 + protowire.SizeBytes(f.size()) }

func (f *Frame) size() int {
	if f.ID == 0 {
		return len(f.Ops)
	}
	return 1 + protowire.SizeVarint(f.ID) + len(f.Ops)
}

// MarshalToSizedBufferVT fills buf, which is as long as SizeVT says.
func (f *Frame) MarshalToSizedBufferVT(buf []byte) (int, error) {
	b := protowire.AppendTag(buf[:0], requestFrame, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(f.size()))
	if f.ID != 0 {
		b = protowire.AppendTag(b, frameID, protowire.VarintType)
		b = protowire.AppendVarint(b, f.ID)
	}
	return len(append(b, f.Ops...)), nil
}

// sizeOf is what n bytes take as a field with a number below 16, which is left
// out when it is empty.
func sizeOf(n int) int {
	if n == 0 {
		return 0
	}
	return 1 + protowire.SizeBytes(n)
}

func appendText(b []byte, field protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendString(b, s)
}

func retrySize(id []byte) int {
	if len(id) == 0 {
		return 0
	}
	return 2 + protowire.SizeBytes(len(id))
}

func appendRetry(b, id []byte) []byte {
	if len(id) == 0 {
		return b
	}
	b = protowire.AppendTag(b, opRetryID, protowire.BytesType)
	return protowire.AppendBytes(b, id)
}

func timeoutSize(ms int64) int {
	if ms == 0 {
		return 0
	}
	return 2 + protowire.SizeVarint(uint64(ms))
}

func appendTimeout(b []byte, ms int64) []byte {
	if ms == 0 {
		return b
	}
	b = protowire.AppendTag(b, opTimeout, protowire.VarintType)
	return protowire.AppendVarint(b, uint64(ms))
}

func traceSize(traceparent string) int {
	if traceparent == "" {
		return 0
	}
	return 2 + protowire.SizeBytes(len(traceparent))
}

func appendTrace(b []byte, traceparent string) []byte {
	return appendText(b, opTraceparent, traceparent)
}
