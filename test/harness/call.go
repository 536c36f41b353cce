package harness

import (
	"context"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"github.com/prism-data-layer/prism/pkg/wire"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	cachev1 "github.com/prism-data-layer/prism/proto/prism/cache/v1"
	commonv1 "github.com/prism-data-layer/prism/proto/prism/common/v1"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	sessionv1 "github.com/prism-data-layer/prism/proto/prism/session/v1"
)

// KeyValue is a bare stub of the data port.
func (g *Gateway) KeyValue(t TB) kvv1.KeyValueServiceClient {
	return kvv1.NewKeyValueServiceClient(g.Dial(t, "data"))
}

// Cache is a bare stub of the data port.
func (g *Gateway) Cache(t TB) cachev1.CacheServiceClient {
	return cachev1.NewCacheServiceClient(g.Dial(t, "data"))
}

// Sessions is a bare stub of the data port.
func (g *Gateway) Sessions(t TB) sessionv1.SessionServiceClient {
	return sessionv1.NewSessionServiceClient(g.Dial(t, "data"))
}

// Admin is a bare stub of the admin port.
func (g *Gateway) Admin(t TB) adminv1.AdminServiceClient {
	return adminv1.NewAdminServiceClient(g.Dial(t, "admin"))
}

// As sends a credential with the calls of ctx.
func As(ctx context.Context, key string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, wire.Authorization, "Bearer "+key)
}

// In sends a session token with the calls of ctx.
func In(ctx context.Context, token string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, wire.SessionToken, token)
}

// Key makes an API key with the credential admin, empty where none is asked for.
func (g *Gateway) Key(t TB, admin, principal string, roles ...string) (secret, id string) {
	t.Helper()
	ctx := Context(t)
	if admin != "" {
		ctx = As(ctx, admin)
	}
	r, err := g.Admin(t).CreateKey(ctx, &adminv1.CreateKeyRequest{Principal: principal, Roles: roles})
	if err != nil {
		t.Fatalf("create a key for %s: %v", principal, err)
	}
	return r.Secret, r.Key.KeyId
}

// An Outcome is all that an error says on the wire.
type Outcome struct {
	*status.Status
	Info       *errdetails.ErrorInfo
	Error      *commonv1.Error
	BadRequest *errdetails.BadRequest
	Retry      *errdetails.RetryInfo
	Quota      *errdetails.QuotaFailure
	Request    *errdetails.RequestInfo
	Resume     *commonv1.Resume
}

// Read takes an error apart.
func Read(err error) Outcome {
	o := Outcome{Status: status.Convert(err)}
	for _, d := range o.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			o.Info = d
		case *commonv1.Error:
			o.Error = d
		case *errdetails.BadRequest:
			o.BadRequest = d
		case *errdetails.RetryInfo:
			o.Retry = d
		case *errdetails.QuotaFailure:
			o.Quota = d
		case *errdetails.RequestInfo:
			o.Request = d
		case *commonv1.Resume:
			o.Resume = d
		}
	}
	return o
}

// Reason is the error's identity, empty if it has none of ours.
func Reason(err error) string { return Read(err).Info.GetReason() }

// Fields are the wrong fields that an error names.
func (o Outcome) Fields() []string {
	var names []string
	for _, v := range o.BadRequest.GetFieldViolations() {
		names = append(names, v.Field)
	}
	return names
}
