package telemetry

import (
	"strconv"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// ServiceName is what the gateway calls itself to others.
const ServiceName = "prismd"

// attributesOf are those of a call. None holds what a caller wrote, but for a
// request id, which is bounded and plain.
func attributesOf(r *record) []Attribute {
	status := "OK"
	if r.Reason != "" {
		status = string(r.Reason.Info().Status)
	}
	list := []Attribute{
		{"rpc.system.name", "grpc"},
		{"rpc.method", r.Method},
		{"rpc.response.status_code", status},
		{"prism.request_id", r.request},
	}
	if r.Namespace != "" {
		list = append(list, Attribute{"prism.namespace", string(r.Namespace)})
	}
	if r.Ops > 0 {
		list = append(list, Attribute{"prism.frame.operations", strconv.Itoa(r.Ops)})
	}
	return withReason(list, r.Reason)
}

func (s *step) name() string { return s.Operation + " " + s.Backend }

func (s *step) attributes(ns prism.Namespace) []Attribute {
	list := []Attribute{
		{"db.system.name", s.System},
		{"db.operation.name", s.Operation},
		{"prism.backend", s.Backend},
	}
	if s.Ops > 1 { // of one it is no batch
		list = append(list, Attribute{"db.operation.batch.size", strconv.Itoa(s.Ops)})
	}
	if ns != "" {
		list = append(list, Attribute{"prism.namespace", string(ns)})
	}
	return withReason(list, s.reason)
}

func withReason(list []Attribute, r prism.Reason) []Attribute {
	if r == "" {
		return list
	}
	return append(list, Attribute{"error.type", string(r)})
}
