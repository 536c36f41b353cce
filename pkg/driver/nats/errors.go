package nats

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/prism-data-layer/prism/pkg/prism"
)

var errRecord = errors.New("what is stored is not readable")

// classify turns what the client library and the server say into a prism
// error. It is the only place that does.
func (s *store) classify(ctx context.Context, err error) error {
	var e *prism.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		return e
	case ctx.Err() != nil:
		return prism.From(ctx.Err())
	case errors.Is(err, nats.ErrMaxPayload):
		return prism.New(prism.ReasonQuotaExceeded, "backend %q: the server takes messages of at most %d bytes (max_payload), and this event with its attributes is larger", s.name, s.conn.MaxPayload()).
			WithQuota("backend:"+s.name, "max_payload").WithBackend(s.name).WithCause(err)
	case refused(err):
		return prism.New(prism.ReasonFailedPrecond, "backend %q: the server refuses the user that the gateway is", s.name).WithBackend(s.name).WithCause(err)
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return prism.New(prism.ReasonFailedPrecond, "backend %q: the server has no JetStream, so it keeps no events", s.name).WithBackend(s.name).WithCause(err)
	case errors.Is(err, errRecord):
		return prism.New(prism.ReasonDataLoss, "backend %q: what is stored is not readable", s.name).WithBackend(s.name).WithCause(err)
	}
	var answer jetstream.JetStreamError
	if errors.As(err, &answer) && answer.APIError() != nil {
		return s.classifyAnswer(answer.APIError(), err)
	}
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return s.classifyAnswer(api, err)
	}
	// The rest is a connection that is not there, or an answer that does not come.
	return s.unavailable().WithCause(err)
}

// refused reports whether the server does not let the gateway in, or not do that.
func refused(err error) bool {
	return errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired) || errors.Is(err, nats.ErrPermissionViolation)
}

// Codes of JetStream that the client library has no names for.
const (
	codeResources   = 10023
	codeMaxStreams  = 10027
	codeMemoryUsed  = 10028
	codeStorageUsed = 10047
)

func (s *store) classifyAnswer(api *jetstream.APIError, err error) error {
	switch api.ErrorCode {
	case codeResources, codeMaxStreams, codeMemoryUsed, codeStorageUsed:
		return prism.New(prism.ReasonQuotaExceeded, "backend %q: JetStream has used what it may use: %s", s.name, api.Description).
			WithQuota("backend:"+s.name, "jetstream").WithBackend(s.name).WithCause(err)
	}
	if api.Code == 503 || api.Code == 408 {
		return s.unavailable().WithCause(err)
	}
	return prism.Internal(err).WithBackend(s.name)
}

func (s *store) unavailable() *prism.Error {
	return prism.New(prism.ReasonBackendUnavailable, "backend %q does not answer", s.name).WithBackend(s.name)
}

// lost is why a stream ends whose connection broke: what came meanwhile may be
// missing.
func (s *store) lost() *prism.Error {
	return prism.New(prism.ReasonBackendUnavailable, "the connection to backend %q broke", s.name).WithBackend(s.name)
}

func (s *store) closedError() *prism.Error {
	return prism.New(prism.ReasonBackendUnavailable, "backend %q is closed", s.name).WithBackend(s.name)
}
