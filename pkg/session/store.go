package session

import (
	"context"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Store keeps explicit sessions over a restart of the gateway. Implicit ones
// are not kept: the next call makes another.
type Store interface {
	// SaveSession inserts or replaces a record and returns once it is durable.
	SaveSession(ctx context.Context, r Record) error
	// TouchSessions notes what changes with every call. Ids that are not there
	// are passed over; losing a touch does no harm.
	TouchSessions(ctx context.Context, touches []Touch) error
	// DeleteSessions removes records; ids that are not there are passed over.
	DeleteSessions(ctx context.Context, ids []string) error
	// LoadSessions returns every record.
	LoadSessions(ctx context.Context) ([]Record, error)
}

// A Record is a session as it is stored.
type Record struct {
	ID            string            `json:"id"`
	Principal     string            `json:"principal"`
	KeyID         string            `json:"key_id,omitempty"`
	Tokens        []Token           `json:"tokens"`
	Namespaces    []prism.Namespace `json:"namespaces,omitempty"`
	ClientID      string            `json:"client_id,omitempty"`
	ClientVersion string            `json:"client_version,omitempty"`
	Metadata      map[string]string `json:"metadata,omitempty"`
	Config        Config            `json:"config"`
	CreatedAt     time.Time         `json:"created_at"`
	ExpiresAt     time.Time         `json:"expires_at"`

	// Kept apart, for TouchSessions changes them.
	LastActivity time.Time `json:"-"`
	Requests     int64     `json:"-"`
	BytesIn      int64     `json:"-"`
	BytesOut     int64     `json:"-"`
}

// A Token is what is kept of a session token: the SHA-256 of 190 random bits,
// and until when it holds (zero: as long as the session).
type Token struct {
	Hash  Hash      `json:"hash"`
	Until time.Time `json:"until,omitzero"`
}

// A Touch is what changed in a session since it was saved.
type Touch struct {
	ID                          string
	LastActivity                time.Time
	Requests, BytesIn, BytesOut int64
}

// A Config is the client configuration that a session was created with, by
// name or inline. What Body means is the caller's business.
type Config struct {
	Name    string `json:"name,omitempty"` // empty: inline or none
	Version string `json:"version,omitempty"`
	Body    []byte `json:"body,omitempty"`
}
