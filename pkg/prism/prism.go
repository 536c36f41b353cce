// Package prism holds the words that every other package speaks: namespaces,
// keys, actions, and the one error type. It imports only the standard library.
package prism

import (
	"unicode/utf8"
)

// Limits that hold on every backend. They are published by the session API and
// tested at limit-1, limit and limit+1.
const (
	MaxKeyBytes            = 1024
	MaxValueBytes          = 1 << 20
	MaxNameBytes           = 63
	MaxIdempotencyKeyBytes = 128
	MaxBatchItems          = 1000
	MaxTransactionWrites   = 128
	MaxTransactionReads    = 1000
	MaxPageItems           = 1000
	MaxPageBytes           = 4<<20 - 64<<10 // a reply of 4 MiB less room for framing
	MaxPipelineFrames      = 16
	MaxAttributes          = 64
	MaxAttributeNameBytes  = 128
	MaxAttributeBytes      = 1024
	MaxEvents              = 128 << 10 // of a time-series message
	MaxEventTypeBytes      = 256       // and of a source
	MaxEventIDBytes        = 128
	MaxMetrics             = 256
	MaxColumns             = 1024 // of dimensions, and of metrics, of a batch; an event has fewer
	MaxGroupKeys           = 8
	MaxAggregates          = 32
	MaxAggregateRows       = 50_000
	// MaxEventTime is the last nanosecond of the year 2261: what follows soon
	// does not fit into 64 bits.
	MaxEventTime = 9214646399999999999
)

// A Namespace is the name of a dataset: the unit of configuration, access,
// quota and isolation. Use [ParseNamespace] for a name that came from outside.
type Namespace string

// A Key is a name inside a namespace. The two never meet in a string: only a
// driver joins them, and it does so without ambiguity.
type Key struct {
	Namespace Namespace
	Name      string
}

// ValidName reports whether s is a legal name of a namespace, backend, topic
// or configuration: [a-z][a-z0-9-]{0,62}.
func ValidName(s string) bool {
	if len(s) == 0 || len(s) > MaxNameBytes || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	for i := 1; i < len(s); i++ {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// ParseNamespace checks a namespace that came from outside.
func ParseNamespace(s string) (Namespace, error) {
	if !ValidName(s) {
		return "", InvalidField("namespace", "must match [a-z][a-z0-9-]{0,62}")
	}
	return Namespace(s), nil
}

// CheckKey reports why s cannot be a key, as an INVALID_ARGUMENT on field.
// Keys are valid UTF-8 of 1 to [MaxKeyBytes] bytes; NUL is allowed and nothing
// is normalised.
func CheckKey(field, s string) error {
	switch {
	case s == "":
		return InvalidField(field, "must not be empty")
	case len(s) > MaxKeyBytes:
		return InvalidField(field, "must be at most 1024 bytes")
	case !utf8.ValidString(s):
		return InvalidField(field, "must be valid UTF-8")
	}
	return nil
}

// An Action is what a caller wants to do with a namespace or with the gateway.
type Action uint8

// Actions on data come from a method's options; admin actions are the roles'
// permissions of the admin API.
const (
	ActionNone Action = iota // refused everywhere: an unmapped method is denied
	ActionRead
	ActionWrite
	ActionAdminRead
	ActionAdminWrite
	ActionAdminOperate
	ActionAdminAudit
)

var actionNames = [...]string{"none", "read", "write", "admin:read", "admin:write", "admin:operational", "admin:audit"}

func (a Action) String() string {
	if int(a) < len(actionNames) {
		return actionNames[a]
	}
	return "unknown"
}
