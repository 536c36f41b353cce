package admin

import (
	"context"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/telemetry"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

// GetTrace answers what this gateway keeps of a trace.
func (s *Service) GetTrace(_ context.Context, r *adminv1.GetTraceRequest) (*adminv1.GetTraceResponse, error) {
	if s.road.Traces != nil {
		if t, ok := s.road.Traces.Trace(r.TraceId); ok {
			return &adminv1.GetTraceResponse{Trace: traceOf(t)}, nil
		}
	}
	return nil, prism.NotFound("trace", r.TraceId)
}

// itemOverhead is what an item adds to an answer beside its own size.
const itemOverhead = 8

// ListTraces answers the last that are kept.
func (s *Service) ListTraces(_ context.Context, r *adminv1.ListTracesRequest) (*adminv1.ListTracesResponse, error) {
	resp := &adminv1.ListTracesResponse{}
	if s.road.Traces == nil {
		return resp, nil
	}
	limit, room := pageLimit(r.Limit), prism.MaxPageBytes
	for t := range s.road.Traces.Traces {
		if r.Errors && !failed(t) || r.Slow && !slow(t) {
			continue
		}
		found := traceOf(t)
		if room -= found.SizeVT() + itemOverhead; len(resp.Traces) == limit || room < 0 {
			resp.More = true
			break
		}
		resp.Traces = append(resp.Traces, found)
	}
	return resp, nil
}

func failed(t telemetry.KeptTrace) bool {
	for i := range t.Spans {
		if telemetry.Failure(t.Spans[i].Reason) {
			return true
		}
	}
	return false
}

func slow(t telemetry.KeptTrace) bool {
	for i := range t.Spans {
		if t.Spans[i].Slow {
			return true
		}
	}
	return false
}

func traceOf(t telemetry.KeptTrace) *adminv1.Trace {
	out := &adminv1.Trace{TraceId: t.ID, Spans: make([]*adminv1.Span, len(t.Spans))}
	for i := range t.Spans {
		s := &t.Spans[i]
		span := &adminv1.Span{
			SpanId: s.ID, ParentSpanId: s.Parent, Name: s.Name, Service: s.Service,
			StartUs: s.Start.UnixMicro(), DurationUs: s.Took.Microseconds(), Error: string(s.Reason), Slow: s.Slow,
			Attributes: make(map[string]string, len(s.Attributes)),
		}
		for _, a := range s.Attributes {
			span.Attributes[a.Key] = a.Value
		}
		out.Spans[i] = span
	}
	return out
}
