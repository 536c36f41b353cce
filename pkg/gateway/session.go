package gateway

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/session"
	"github.com/prism-data-layer/prism/pkg/wire"
	configv1 "github.com/prism-data-layer/prism/proto/prism/config/v1"
	sessionv1 "github.com/prism-data-layer/prism/proto/prism/session/v1"
)

// Configs finds and judges client configurations.
type Configs interface {
	GetConfig(context.Context, *configv1.GetConfigRequest) (*configv1.GetConfigResponse, error)
	ListConfigs(context.Context, *configv1.ListConfigsRequest) (*configv1.ListConfigsResponse, error)
	ValidateConfig(context.Context, *configv1.ValidateConfigRequest) (*configv1.ValidateConfigResponse, error)
	// Resolve finds "name" or "name@version".
	Resolve(ctx context.Context, ref string) (*configv1.ClientConfig, error)
}

// RegisterSessions serves sessions and client configurations over the road.
func RegisterSessions(s grpc.ServiceRegistrar, r *Road, configs Configs) {
	sessionv1.RegisterSessionServiceServer(s, &sessions{
		road: r, configs: configs, m: r.methods(sessionv1.SessionService_ServiceDesc.ServiceName),
	})
	configv1.RegisterConfigServiceServer(s, &clientConfigs{
		road: r, configs: configs, m: r.methods(configv1.ConfigService_ServiceDesc.ServiceName),
	})
}

type sessions struct {
	sessionv1.UnimplementedSessionServiceServer
	road    *Road
	configs Configs
	m       map[string]*method
}

// self is a unary call that needs a valid credential and no namespace.
func self[Req proto.Message, Resp any](ctx context.Context, r *Road, m *method, req Req, do func(ctx context.Context, s session.Session, req Req) (Resp, error)) (resp Resp, err error) {
	c, err := r.enter(ctx, m, "", req)
	if err != nil {
		return resp, err
	}
	defer c.finish(&err)
	if err := wire.Validate(req); err != nil {
		return resp, err
	}
	resp, err = do(c.note, c.session, req)
	c.answered(resp)
	return resp, err
}

// features are what this gateway offers beyond the plain calls.
var features = []string{"pipeline", "watch", "transaction", "refresh"}

func (x *sessions) CreateSession(ctx context.Context, r *sessionv1.CreateSessionRequest) (*sessionv1.CreateSessionResponse, error) {
	return self(ctx, x.road, x.m["CreateSession"], r, func(ctx context.Context, s session.Session, r *sessionv1.CreateSessionRequest) (*sessionv1.CreateSessionResponse, error) {
		if err := x.road.Router.Pass(prism.ActionRead); err != nil { // it would be of no use
			return nil, err
		}
		config, kept, err := x.config(ctx, r)
		if err != nil {
			return nil, err
		}
		req := session.CreateRequest{ClientID: r.ClientId, ClientVersion: r.ClientVersion, Metadata: r.Metadata, Config: kept}
		for _, ns := range r.Namespaces {
			req.Namespaces = append(req.Namespaces, prism.Namespace(ns))
		}
		made, token, err := x.road.Sessions.Create(ctx, s.Principal(), req)
		if err != nil {
			return nil, err
		}
		info := made.Info()
		return &sessionv1.CreateSessionResponse{
			SessionId: made.ID(), SessionToken: token,
			CreatedAtMs: info.CreatedAt.UnixMilli(), ExpiresAtMs: info.ExpiresAt.UnixMilli(),
			Config: config, SupportedFeatures: features,
			HeartbeatIntervalMs: x.road.Sessions.Options().Heartbeat.Milliseconds(),
		}, nil
	})
}

// config is what the session asks for, by name or inline, resolved and judged.
func (x *sessions) config(ctx context.Context, r *sessionv1.CreateSessionRequest) (*configv1.ClientConfig, session.Config, error) {
	var c *configv1.ClientConfig
	var err error
	switch from := r.Config.(type) {
	case nil:
		return nil, session.Config{}, nil
	case *sessionv1.CreateSessionRequest_ConfigName:
		c, err = x.configs.Resolve(ctx, from.ConfigName)
	case *sessionv1.CreateSessionRequest_InlineConfig:
		c, err = from.InlineConfig, x.judge(ctx, from.InlineConfig)
	}
	if err != nil {
		return nil, session.Config{}, err
	}
	body, err := proto.Marshal(c)
	if err != nil {
		return nil, session.Config{}, prism.Internal(err)
	}
	return c, session.Config{Name: c.Name, Version: c.Version, Body: body}, nil
}

func (x *sessions) judge(ctx context.Context, c *configv1.ClientConfig) error {
	v, err := x.configs.ValidateConfig(ctx, &configv1.ValidateConfigRequest{Config: c})
	if err != nil {
		return err
	}
	if v.Valid {
		return nil
	}
	e := prism.New(prism.ReasonInvalidConfig, "inline_config: %s", v.Errors[0])
	for _, text := range v.Errors {
		e.WithField("inline_config", text)
	}
	return e
}

// configOf is the configuration that a session holds.
func configOf(s session.Session) *configv1.ClientConfig {
	if len(s.Config().Body) == 0 {
		return nil
	}
	c := &configv1.ClientConfig{}
	if err := proto.Unmarshal(s.Config().Body, c); err != nil {
		return nil
	}
	return c
}

func (x *sessions) Heartbeat(ctx context.Context, r *sessionv1.HeartbeatRequest) (*sessionv1.HeartbeatResponse, error) {
	return self(ctx, x.road, x.m["Heartbeat"], r, func(ctx context.Context, s session.Session, _ *sessionv1.HeartbeatRequest) (*sessionv1.HeartbeatResponse, error) {
		beat, err := x.road.Sessions.Heartbeat(ctx, s)
		if err != nil {
			return nil, err
		}
		return &sessionv1.HeartbeatResponse{
			ServerTimeMs: x.road.Clock.Now().UnixMilli(), TtlMs: beat.TTL.Milliseconds(), Status: sessionv1.SessionStatus(beat.Status),
		}, nil
	})
}

func (x *sessions) GetSession(ctx context.Context, r *sessionv1.GetSessionRequest) (*sessionv1.GetSessionResponse, error) {
	return self(ctx, x.road, x.m["GetSession"], r, func(_ context.Context, s session.Session, _ *sessionv1.GetSessionRequest) (*sessionv1.GetSessionResponse, error) {
		i := s.Info()
		resp := &sessionv1.GetSessionResponse{
			SessionId: i.ID, Status: sessionv1.SessionStatus(i.Status), Principal: i.Principal,
			CreatedAtMs: i.CreatedAt.UnixMilli(), ExpiresAtMs: i.ExpiresAt.UnixMilli(), LastActivityMs: i.LastActivity.UnixMilli(),
			Config: configOf(s),
			Metrics: &sessionv1.SessionMetrics{
				RequestsProcessed: i.Requests, BytesSent: i.BytesOut, BytesReceived: i.BytesIn, ActiveStreams: i.Streams,
			},
		}
		for _, ns := range i.Namespaces {
			resp.Namespaces = append(resp.Namespaces, string(ns))
		}
		return resp, nil
	})
}

func (x *sessions) RefreshSession(ctx context.Context, r *sessionv1.RefreshSessionRequest) (*sessionv1.RefreshSessionResponse, error) {
	return self(ctx, x.road, x.m["RefreshSession"], r, func(ctx context.Context, s session.Session, r *sessionv1.RefreshSessionRequest) (*sessionv1.RefreshSessionResponse, error) {
		extension := x.road.Sessions.Options().Max
		if r.ExtensionMs > 0 && r.ExtensionMs < extension.Milliseconds() {
			extension = time.Duration(r.ExtensionMs) * time.Millisecond
		}
		expires, token, err := x.road.Sessions.Refresh(ctx, s, extension)
		if err != nil {
			return nil, err
		}
		return &sessionv1.RefreshSessionResponse{ExpiresAtMs: expires.UnixMilli(), SessionToken: token}, nil
	})
}

func (x *sessions) CloseSession(ctx context.Context, r *sessionv1.CloseSessionRequest) (*sessionv1.CloseSessionResponse, error) {
	return self(ctx, x.road, x.m["CloseSession"], r, func(ctx context.Context, s session.Session, r *sessionv1.CloseSessionRequest) (*sessionv1.CloseSessionResponse, error) {
		if s.Implicit() {
			return nil, prism.New(prism.ReasonFailedPrecond, "there is no session to close: the implicit one ends by itself")
		}
		pending, err := x.road.Sessions.Close(ctx, s, r.Force)
		return &sessionv1.CloseSessionResponse{PendingOperations: int32(max(pending-1, 0))}, err // without this call
	})
}

func (x *sessions) GetLimits(ctx context.Context, r *sessionv1.GetLimitsRequest) (*sessionv1.GetLimitsResponse, error) {
	return self(ctx, x.road, x.m["GetLimits"], r, func(context.Context, session.Session, *sessionv1.GetLimitsRequest) (*sessionv1.GetLimitsResponse, error) {
		return &sessionv1.GetLimitsResponse{
			MaxKeyBytes: prism.MaxKeyBytes, MaxValueBytes: prism.MaxValueBytes, MaxMessageBytes: wire.MaxMessageBytes,
			MaxBatchItems: prism.MaxBatchItems, MaxTransactionWrites: prism.MaxTransactionWrites,
			MaxPageItems: prism.MaxPageItems, MaxPipelineFrames: prism.MaxPipelineFrames,
			MaxIdempotencyKeyBytes: prism.MaxIdempotencyKeyBytes, MaxTtlMs: wire.MaxTTL.Milliseconds(),
			DefaultDeadlineMs: DefaultDeadline.Milliseconds(), MaxNameBytes: prism.MaxNameBytes,
		}, nil
	})
}

type clientConfigs struct {
	configv1.UnimplementedConfigServiceServer
	road    *Road
	configs Configs
	m       map[string]*method
}

func (x *clientConfigs) ListConfigs(ctx context.Context, r *configv1.ListConfigsRequest) (*configv1.ListConfigsResponse, error) {
	return self(ctx, x.road, x.m["ListConfigs"], r, func(ctx context.Context, _ session.Session, r *configv1.ListConfigsRequest) (*configv1.ListConfigsResponse, error) {
		return x.configs.ListConfigs(ctx, r)
	})
}

func (x *clientConfigs) GetConfig(ctx context.Context, r *configv1.GetConfigRequest) (*configv1.GetConfigResponse, error) {
	return self(ctx, x.road, x.m["GetConfig"], r, func(ctx context.Context, _ session.Session, r *configv1.GetConfigRequest) (*configv1.GetConfigResponse, error) {
		return x.configs.GetConfig(ctx, r)
	})
}

func (x *clientConfigs) ValidateConfig(ctx context.Context, r *configv1.ValidateConfigRequest) (*configv1.ValidateConfigResponse, error) {
	return self(ctx, x.road, x.m["ValidateConfig"], r, func(ctx context.Context, _ session.Session, r *configv1.ValidateConfigRequest) (*configv1.ValidateConfigResponse, error) {
		return x.configs.ValidateConfig(ctx, r)
	})
}

// RegisterConfig is an operator's call: it is served on the admin port.
func (x *clientConfigs) RegisterConfig(ctx context.Context, r *configv1.RegisterConfigRequest) (*configv1.RegisterConfigResponse, error) {
	return self(ctx, x.road, x.m["RegisterConfig"], r, func(context.Context, session.Session, *configv1.RegisterConfigRequest) (*configv1.RegisterConfigResponse, error) {
		return nil, prism.New(prism.ReasonUnimplemented, "configurations are registered on the admin port")
	})
}
