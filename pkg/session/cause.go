package session

import "github.com/prism-data-layer/prism/pkg/prism"

// A Cause is why sessions ended: the label of a metric.
type Cause string

// The causes.
const (
	CauseIdle     Cause = "idle"
	CauseLifetime Cause = "lifetime"
	CauseClosed   Cause = "closed"
	CauseRevoked  Cause = "revoked"
)

// invalid is the answer to an unknown token and to one of another principal,
// in the same words.
func invalid() *prism.Error {
	return prism.New(prism.ReasonInvalidSession, "the session token is not valid")
}

func errClosed() *prism.Error {
	return prism.New(prism.ReasonInvalidSession, "the session was closed")
}

func errClosing() *prism.Error {
	return prism.New(prism.ReasonInvalidSession, "the session is being closed")
}

func errIdle() *prism.Error {
	return prism.New(prism.ReasonSessionExpired, "the session was idle for too long")
}

func errLifetime() *prism.Error {
	return prism.New(prism.ReasonSessionExpired, "the session reached the end of its life")
}

// errRevoked says what the operator gave as the reason, shortened to fit.
func errRevoked(reason string) *prism.Error {
	const text = "the session was ended by an operator"
	if reason == "" {
		return prism.New(prism.ReasonSessionRevoked, text)
	}
	for i := range reason {
		if i > 120 {
			reason = reason[:i] + "…"
			break
		}
	}
	return prism.New(prism.ReasonSessionRevoked, "%s: %s", text, reason)
}

func unknown(id string) error { return prism.NotFound("session", id) }

func errCredential() *prism.Error {
	return prism.New(prism.ReasonUnauthenticated, "the credential that opened the session no longer holds")
}
