package wire

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/prism-data-layer/prism/pkg/prism"
	commonv1 "github.com/prism-data-layer/prism/proto/prism/common/v1"
)

// Domain is the domain of every ErrorInfo.
const Domain = "prism"

// Bounds of what an error may carry: trailers are limited to 16 KiB, and the
// details must stay below 4 KiB however wrong a request was. An item stays
// below 3 KiB, so that a thousand of them fit a reply.
const (
	maxMessage = 200
	maxDetails = 4 << 10
	maxItem    = 3 << 10
)

// A bound says how much of an error's parts is kept.
type bound struct{ violations, causes, meta, text, metaText int }

// bounds are tried in turn until the error is small enough. The last one
// always is.
var bounds = [...]bound{
	{violations: 10, causes: 5, meta: 8, text: 120, metaText: 512},
	{violations: 10, causes: 2, meta: 8, text: 80, metaText: 256},
	{violations: 5, causes: 1, meta: 4, text: 60, metaText: 120},
	{violations: 2, causes: 0, meta: 2, text: 40, metaText: 40},
}

// codeOf maps the names in the reason table to gRPC's numbers.
var codeOf = map[prism.Status]codes.Code{
	"CANCELLED":           codes.Canceled,
	"INVALID_ARGUMENT":    codes.InvalidArgument,
	"DEADLINE_EXCEEDED":   codes.DeadlineExceeded,
	"NOT_FOUND":           codes.NotFound,
	"ALREADY_EXISTS":      codes.AlreadyExists,
	"PERMISSION_DENIED":   codes.PermissionDenied,
	"RESOURCE_EXHAUSTED":  codes.ResourceExhausted,
	"FAILED_PRECONDITION": codes.FailedPrecondition,
	"ABORTED":             codes.Aborted,
	"OUT_OF_RANGE":        codes.OutOfRange,
	"UNIMPLEMENTED":       codes.Unimplemented,
	"INTERNAL":            codes.Internal,
	"UNAVAILABLE":         codes.Unavailable,
	"DATA_LOSS":           codes.DataLoss,
	"UNAUTHENTICATED":     codes.Unauthenticated,
}

// reasonOf gives a reason to a status that came without our details: from the
// transport, a proxy, or gRPC itself.
var reasonOf = map[codes.Code]prism.Reason{
	codes.Canceled:           prism.ReasonCancelled,
	codes.InvalidArgument:    prism.ReasonInvalidArgument,
	codes.DeadlineExceeded:   prism.ReasonDeadlineExceeded,
	codes.NotFound:           prism.ReasonNotFound,
	codes.AlreadyExists:      prism.ReasonAlreadyExists,
	codes.PermissionDenied:   prism.ReasonPermissionDenied,
	codes.ResourceExhausted:  prism.ReasonMessageTooBig,
	codes.FailedPrecondition: prism.ReasonFailedPrecond,
	codes.Aborted:            prism.ReasonConflict,
	codes.OutOfRange:         prism.ReasonCompacted,
	codes.Unimplemented:      prism.ReasonUnimplemented,
	codes.Unavailable:        prism.ReasonUnavailable,
	codes.DataLoss:           prism.ReasonDataLoss,
	codes.Unauthenticated:    prism.ReasonUnauthenticated,
}

// Code is the gRPC status code of a reason.
func Code(r prism.Reason) codes.Code {
	if c, ok := codeOf[r.Info().Status]; ok {
		return c
	}
	return codes.Internal
}

// ToStatus turns an error into a gRPC status with all its details. Only the
// message and what was meant for the peer travel; causes that are not prism
// errors stay here. ToStatus(nil) is OK.
func ToStatus(err error) *status.Status { return toStatus(prism.From(err), nil) }

// ToStatusResume is ToStatus for a stream that can be continued from position.
func ToStatusResume(err error, position string) *status.Status {
	e := prism.From(err)
	return toStatus(e, &commonv1.Resume{Position: position, RetryAfterMs: e.RetryAfter().Milliseconds()})
}

func toStatus(e *prism.Error, resume *commonv1.Resume) *status.Status {
	if e == nil {
		return status.New(codes.OK, "")
	}
	var st *status.Status
	for _, b := range bounds {
		item := itemOf(e, b)
		st = status.New(codes.Code(item.Status), item.Message)
		withDetails, err := st.WithDetails(detailsOf(e, item, resume)...)
		if err != nil {
			return st // only if a detail cannot be marshalled, and ours can
		}
		st = withDetails
		if sizeOf(st) < maxDetails {
			break
		}
	}
	return st
}

// sizeOf is what the details take in the trailer, before its base64.
func sizeOf(st *status.Status) int {
	n := 0
	for _, d := range st.Proto().GetDetails() {
		n += proto.Size(d)
	}
	return n
}

func detailsOf(e *prism.Error, item *commonv1.Error, resume *commonv1.Resume) []protoadapt.MessageV1 {
	info := &errdetails.ErrorInfo{Reason: item.Reason, Domain: Domain, Metadata: make(map[string]string, len(item.Metadata)+3)}
	for k, v := range item.Metadata {
		info.Metadata[k] = v
	}
	info.Metadata["code"] = item.Code
	if item.Namespace != "" {
		info.Metadata["namespace"] = item.Namespace
	}
	if item.Backend != "" {
		info.Metadata["backend"] = item.Backend
	}
	details := []protoadapt.MessageV1{info, item}
	if item.RequestId != "" {
		details = append(details, &errdetails.RequestInfo{RequestId: item.RequestId, ServingData: item.TraceId})
	}
	if len(item.FieldViolations) > 0 {
		br := &errdetails.BadRequest{}
		for _, v := range item.FieldViolations {
			br.FieldViolations = append(br.FieldViolations, &errdetails.BadRequest_FieldViolation{Field: v.Field, Description: v.Message})
		}
		details = append(details, br)
	}
	if item.Retryable {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(e.RetryAfter())})
	}
	if q := item.Quota; q != nil {
		details = append(details, &errdetails.QuotaFailure{Violations: []*errdetails.QuotaFailure_Violation{{Subject: q.Subject, Description: q.Message}}})
	}
	if resume != nil {
		details = append(details, resume)
	}
	return details
}

// ToItem is the error of one item in a batch, and the prism detail of a status.
func ToItem(e *prism.Error) *commonv1.Error {
	var item *commonv1.Error
	for _, b := range bounds {
		if item = itemOf(e, b); item.SizeVT() < maxItem {
			break
		}
	}
	return item
}

func itemOf(e *prism.Error, b bound) *commonv1.Error {
	info := e.Reason.Info()
	item := &commonv1.Error{
		Reason:    string(info.Reason),
		Code:      info.Code(),
		Message:   cut(e.Message, maxMessage),
		Status:    int32(Code(info.Reason)),
		Retryable: info.Retryable,
		Namespace: cut(e.Namespace, b.text),
		Backend:   cut(e.Backend, b.text),
		RequestId: cut(e.RequestID, b.text),
		TraceId:   cut(e.TraceID, b.text),
		Causes:    causes(e, b),
	}
	if info.Retryable {
		item.RetryAfterMs = e.RetryAfter().Milliseconds()
	}
	for _, f := range e.Fields[:min(len(e.Fields), b.violations)] {
		item.FieldViolations = append(item.FieldViolations, &commonv1.FieldViolation{Field: cut(f.Field, b.text), Message: cut(f.Message, b.text)})
	}
	if q := e.Quota; q != nil {
		item.Quota = &commonv1.QuotaViolation{Subject: cut(q.Subject, b.text), Message: cut(q.Message, b.text)}
	}
	if len(e.Meta) > 0 {
		names := slices.Sorted(maps.Keys(e.Meta)) // the same error reads the same twice
		names = names[:min(len(names), b.meta)]
		item.Metadata = make(map[string]string, len(names))
		for _, k := range names {
			item.Metadata[cut(k, b.text)] = cut(e.Meta[k], b.metaText)
		}
	}
	return item
}

// causes lists the prism errors under e, nearest first, flat and bounded.
func causes(e *prism.Error, b bound) []*commonv1.Error {
	var list []*commonv1.Error
	var next *prism.Error
	for err := e.Err; len(list) < b.causes && errors.As(err, &next); err = next.Err {
		info := next.Reason.Info()
		list = append(list, &commonv1.Error{
			Reason:  string(info.Reason),
			Code:    info.Code(),
			Message: cut(next.Message, maxMessage),
			Status:  int32(Code(info.Reason)),
			Backend: cut(next.Backend, b.text),
		})
	}
	return list
}

// FromItem is the reverse of ToItem.
func FromItem(item *commonv1.Error) *prism.Error {
	e := &prism.Error{
		Reason:    prism.Reason(item.Reason),
		Message:   item.Message,
		Namespace: item.Namespace,
		Backend:   item.Backend,
		RequestID: item.RequestId,
		TraceID:   item.TraceId,
		Retry:     time.Duration(item.RetryAfterMs) * time.Millisecond,
		Meta:      item.Metadata,
	}
	if !e.Reason.Known() { // a newer gateway: keep what gRPC knows of it
		e.Reason = reasonFor(codes.Code(item.Status))
	}
	for _, v := range item.FieldViolations {
		e.Fields = append(e.Fields, prism.FieldError{Field: v.Field, Message: v.Message})
	}
	if q := item.Quota; q != nil {
		e.Quota = &prism.QuotaError{Subject: q.Subject, Message: q.Message}
	}
	under := e
	for _, c := range item.Causes {
		cause := FromItem(c)
		under.Err, under = cause, cause
	}
	return e
}

// FromStatus turns what a gRPC call returned into a prism error; nil stays nil.
func FromStatus(err error) *prism.Error {
	e, _ := FromStream(err)
	return e
}

// FromStream is FromStatus for a stream's end; resume is nil when it cannot be
// continued.
func FromStream(err error) (e *prism.Error, resume *commonv1.Resume) {
	if err == nil {
		return nil, nil
	}
	var own *prism.Error
	if errors.As(err, &own) {
		return own, nil
	}
	st, ok := status.FromError(err)
	if !ok {
		switch {
		case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
			return prism.From(err), nil
		}
		return prism.New(prism.ReasonUnavailable, "the connection to the gateway failed").WithCause(err), nil
	}
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *commonv1.Error:
			e = FromItem(d)
		case *commonv1.Resume:
			resume = d
		}
	}
	if e == nil {
		e = prism.New(reasonFor(st.Code()), "%s", st.Message())
	}
	return e, resume
}

func reasonFor(c codes.Code) prism.Reason {
	if r, ok := reasonOf[c]; ok {
		return r
	}
	return prism.ReasonInternal
}

// cut shortens s to at most n bytes of valid UTF-8.
func cut(s string, n int) string {
	if !utf8.ValidString(s) {
		s = string([]rune(s))
	}
	if len(s) <= n {
		return s
	}
	end := n - len("…")
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
