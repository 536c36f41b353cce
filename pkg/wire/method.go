package wire

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	cachev1 "github.com/prism-data-layer/prism/proto/prism/cache/v1"
	configv1 "github.com/prism-data-layer/prism/proto/prism/config/v1"
	keyvaluev1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	optionsv1 "github.com/prism-data-layer/prism/proto/prism/options/v1"
	pubsubv1 "github.com/prism-data-layer/prism/proto/prism/pubsub/v1"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
	sessionv1 "github.com/prism-data-layer/prism/proto/prism/session/v1"
	timeseriesv1 "github.com/prism-data-layer/prism/proto/prism/timeseries/v1"
)

// A Method is what a method's options say.
type Method struct {
	FullName    string // "/prism.keyvalue.v1.KeyValueService/Get"
	Service     string // "prism.keyvalue.v1.KeyValueService"
	Name        string // "Get"
	Action      prism.Action
	Self        bool // needs only a valid credential
	Capability  string
	Idempotency optionsv1.Idempotency
	Stream      bool // in either direction
	Descriptor  protoreflect.MethodDescriptor
}

// Retryable reports whether a call may be sent again after an unknown outcome;
// keyed says that it carries an idempotency key or a retry id.
func (m *Method) Retryable(keyed bool) bool {
	switch m.Idempotency {
	case optionsv1.Idempotency_IDEMPOTENCY_READ, optionsv1.Idempotency_IDEMPOTENCY_NATURAL:
		return true
	case optionsv1.Idempotency_IDEMPOTENCY_KEYED:
		return keyed
	}
	return false
}

// Files are the files whose services prism serves.
func Files() []protoreflect.FileDescriptor {
	return []protoreflect.FileDescriptor{
		keyvaluev1.File_prism_keyvalue_v1_keyvalue_proto,
		cachev1.File_prism_cache_v1_cache_proto,
		queuev1.File_prism_queue_v1_queue_proto,
		queuev1.File_prism_queue_v1_workqueue_proto,
		pubsubv1.File_prism_pubsub_v1_pubsub_proto,
		timeseriesv1.File_prism_timeseries_v1_timeseries_proto,
		sessionv1.File_prism_session_v1_session_proto,
		configv1.File_prism_config_v1_config_proto,
		adminv1.File_prism_admin_v1_admin_proto,
	}
}

// Methods reads the options of every method of ours, by full name.
func Methods() map[string]*Method {
	methods := make(map[string]*Method)
	for _, f := range Files() {
		for i := range f.Services().Len() {
			svc := f.Services().Get(i)
			for j := range svc.Methods().Len() {
				m := methodOf(svc, svc.Methods().Get(j))
				methods[m.FullName] = m
			}
		}
	}
	return methods
}

func methodOf(svc protoreflect.ServiceDescriptor, d protoreflect.MethodDescriptor) *Method {
	o := d.Options()
	m := &Method{
		Service:     string(svc.FullName()),
		Name:        string(d.Name()),
		Capability:  proto.GetExtension(o, optionsv1.E_Capability).(string),
		Idempotency: proto.GetExtension(o, optionsv1.E_Idempotency).(optionsv1.Idempotency),
		Stream:      d.IsStreamingClient() || d.IsStreamingServer(),
		Descriptor:  d,
	}
	m.FullName = "/" + m.Service + "/" + m.Name
	switch proto.GetExtension(o, optionsv1.E_Permission).(optionsv1.Permission) {
	case optionsv1.Permission_PERMISSION_READ:
		m.Action = prism.ActionRead
	case optionsv1.Permission_PERMISSION_WRITE:
		m.Action = prism.ActionWrite
	case optionsv1.Permission_PERMISSION_SELF:
		m.Self = true
	case optionsv1.Permission_PERMISSION_ADMIN_READ:
		m.Action = prism.ActionAdminRead
	case optionsv1.Permission_PERMISSION_ADMIN_WRITE:
		m.Action = prism.ActionAdminWrite
	case optionsv1.Permission_PERMISSION_ADMIN_OPERATIONAL:
		m.Action = prism.ActionAdminOperate
	case optionsv1.Permission_PERMISSION_ADMIN_AUDIT:
		m.Action = prism.ActionAdminAudit
	}
	return m
}
