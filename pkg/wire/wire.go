// Package wire is where prism's words meet gRPC's: errors and statuses,
// metadata names, what each method's options say, the codec, and the check of
// field rules. It is the only package that knows both sides.
package wire

// Metadata names. All are lower case, as HTTP/2 wants them.
const (
	// Authorization carries the credential: "Bearer KEY".
	Authorization = "authorization"
	// SessionToken carries the secret token of an explicit session.
	SessionToken = "x-session-token"
	// RequestID names the call in logs and errors; made by the gateway if absent.
	RequestID = "x-request-id"
	// RetryID is a client's own id of an operation that it may send again.
	RetryID = "x-prism-retry-id"
	// Traceparent is the W3C trace context.
	Traceparent = "traceparent"
)

// Limits of the transport, the same on both sides.
const (
	MaxMessageBytes    = 4 << 20
	MaxHeaderListBytes = 16 << 10
	MaxMetadataEntries = 64
	MaxStreams         = 100
)
