package telemetry

import (
	"context"
	"encoding/hex"
	"math/rand/v2"
)

// MaxRequestIDBytes bounds a request id that a caller brings.
const MaxRequestIDBytes = 64

// ids are what ties a call to its log lines, errors and spans. Texts are made
// when asked for: most calls never are.
type ids struct {
	given  string // the caller's own request id
	made   uint64
	trace  Trace
	parent spanID // the caller's span; zero: it has none
}

func idsOf(ctx context.Context) *ids {
	if c := CallOf(ctx); c != nil {
		return &c.ids
	}
	return nil
}

// newIDs are those of a call that begins. requestID and traceparent are what the
// caller sent; either may be empty or nonsense, and is then made anew. A valid
// traceparent keeps its trace and gets a span of ours.
func newIDs(requestID, traceparent string) (i ids) {
	if validRequestID(requestID) {
		i.given = requestID
	} else {
		i.made = rand.Uint64() | 1
	}
	if t, ok := ParseTraceparent(traceparent); ok {
		i.parent, i.trace = t.span, t.Child()
	} else {
		i.trace = NewTrace()
	}
	return i
}

// validRequestID admits what is safe in a log line, a header and a terminal.
func validRequestID(s string) bool {
	if s == "" || len(s) > MaxRequestIDBytes {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}

// RequestID is the id of the call in ctx, "" outside of one.
func RequestID(ctx context.Context) string {
	if i := idsOf(ctx); i != nil {
		return i.request()
	}
	return ""
}

func (i *ids) request() string {
	if i.given != "" {
		return i.given
	}
	var b [8]byte
	putUint64(b[:], i.made)
	return hex.EncodeToString(b[:])
}

// TraceOf is the trace of the call in ctx; its zero value is not Valid.
func TraceOf(ctx context.Context) Trace {
	if i := idsOf(ctx); i != nil {
		return i.trace
	}
	return Trace{}
}

// TraceID is the trace id of the call in ctx as 32 hex digits, "" outside of
// one.
func TraceID(ctx context.Context) string {
	if t := TraceOf(ctx); t.Valid() {
		return t.ID()
	}
	return ""
}
