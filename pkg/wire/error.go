package wire

import (
	"context"
	"errors"
	"time"
	"unicode/utf8"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/prism-data-layer/prism/pkg/prism"
	commonv1 "github.com/prism-data-layer/prism/proto/prism/common/v1"
)

// Domain is the domain of every ErrorInfo.
const Domain = "prism"

// Bounds of what an error may carry: trailers are limited to 16 KiB, and the
// details must stay below 4 KiB however wrong a request was.
const (
	maxMessage    = 200
	maxText       = 120
	maxViolations = 10
	maxMeta       = 8
	maxCauses     = 5
)

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
// errors stay here.
func ToStatus(err error) *status.Status { return toStatus(prism.From(err), nil) }

// ToStatusResume is ToStatus for a stream that can be continued from position.
func ToStatusResume(err error, position string) *status.Status {
	e := prism.From(err)
	return toStatus(e, &commonv1.Resume{Position: position, RetryAfterMs: e.RetryAfter().Milliseconds()})
}

func toStatus(e *prism.Error, resume *commonv1.Resume) *status.Status {
	item := ToItem(e)
	st := status.New(Code(e.Reason), item.Message)

	info := &errdetails.ErrorInfo{Reason: item.Reason, Domain: Domain, Metadata: map[string]string{"code": item.Code}}
	for k, v := range item.Metadata {
		info.Metadata[k] = v
	}
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
	withDetails, err := st.WithDetails(details...)
	if err != nil {
		return st // only if a detail cannot be marshalled, and ours can
	}
	return withDetails
}

// ToItem is the error of one item in a batch, and the prism detail of a status.
func ToItem(e *prism.Error) *commonv1.Error {
	info := e.Reason.Info()
	item := &commonv1.Error{
		Reason:    string(e.Reason),
		Code:      info.Code(),
		Message:   cut(e.Message, maxMessage),
		Status:    int32(Code(e.Reason)),
		Retryable: info.Retryable,
		Namespace: cut(e.Namespace, maxText),
		Backend:   cut(e.Backend, maxText),
		RequestId: cut(e.RequestID, maxText),
		TraceId:   cut(e.TraceID, maxText),
	}
	if info.Retryable {
		item.RetryAfterMs = e.RetryAfter().Milliseconds()
	}
	for i, f := range e.Fields {
		if i == maxViolations {
			break
		}
		item.FieldViolations = append(item.FieldViolations, &commonv1.FieldViolation{Field: cut(f.Field, maxText), Message: cut(f.Message, maxText)})
	}
	if q := e.Quota; q != nil {
		item.Quota = &commonv1.QuotaViolation{Subject: cut(q.Subject, maxText), Message: cut(q.Message, maxText)}
	}
	for k, v := range e.Meta {
		if len(item.Metadata) == maxMeta {
			break
		}
		if item.Metadata == nil {
			item.Metadata = make(map[string]string, len(e.Meta))
		}
		item.Metadata[cut(k, maxText)] = cut(v, maxText)
	}
	item.Causes = causes(e)
	return item
}

// causes lists the prism errors under e, nearest first, flat and bounded.
func causes(e *prism.Error) []*commonv1.Error {
	var list []*commonv1.Error
	var next *prism.Error
	for err := e.Err; len(list) < maxCauses && errors.As(err, &next); err = next.Err {
		list = append(list, &commonv1.Error{
			Reason:  string(next.Reason),
			Code:    next.Code(),
			Message: cut(next.Message, maxMessage),
			Status:  int32(Code(next.Reason)),
			Backend: cut(next.Backend, maxText),
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
