package auth

import (
	"errors"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Cause says why a credential was refused. It is for the log and for a
// metric's label: the peer gets one text for all of them.
type Cause string

const (
	CauseNone      Cause = "no_credential"
	CauseScheme    Cause = "not_bearer"
	CauseMalformed Cause = "malformed"
	CauseUnknown   Cause = "unknown_key"
	CauseMismatch  Cause = "wrong_secret"
	CauseExpired   Cause = "key_expired"
	CauseRevoked   Cause = "key_revoked"
	CausePeer      Cause = "peer_not_local"
)

// A Refusal is the cause inside the UNAUTHENTICATED error of Authenticate,
// found with errors.As. It never holds what was presented, but for a key's
// public id.
type Refusal struct {
	Cause Cause
	KeyID string
}

func (r *Refusal) Error() string {
	if r.KeyID == "" {
		return string(r.Cause)
	}
	return string(r.Cause) + " " + r.KeyID
}

// CauseOf finds the cause in an error of Authenticate; empty if there is none.
func CauseOf(err error) Cause {
	var r *Refusal
	if errors.As(err, &r) {
		return r.Cause
	}
	return ""
}

// refuse builds the one error that a peer sees, whatever the cause.
func refuse(c Cause, keyID string) error {
	return prism.New(prism.ReasonUnauthenticated, "the call carries no valid credential").WithCause(&Refusal{c, keyID})
}
