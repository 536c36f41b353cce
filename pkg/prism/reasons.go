package prism

import (
	"fmt"
	"slices"
	"time"
)

// A Reason is the identity of an error: UPPER_SNAKE, stable for ever.
type Reason string

// The reasons. Each has a row in the table below.
const (
	ReasonInvalidArgument Reason = "INVALID_ARGUMENT"
	ReasonInvalidCursor   Reason = "INVALID_CURSOR"
	ReasonKeyReused       Reason = "KEY_REUSED"
	ReasonOverflow        Reason = "OVERFLOW"
	ReasonNotANumber      Reason = "NOT_A_NUMBER"

	ReasonUnauthenticated Reason = "UNAUTHENTICATED"
	ReasonInvalidSession  Reason = "INVALID_SESSION"
	ReasonSessionExpired  Reason = "SESSION_EXPIRED"
	ReasonSessionRevoked  Reason = "SESSION_REVOKED"

	ReasonPermissionDenied Reason = "PERMISSION_DENIED"

	ReasonNotFound Reason = "NOT_FOUND"

	ReasonAlreadyExists   Reason = "ALREADY_EXISTS"
	ReasonConflict        Reason = "TRANSACTION_CONFLICT"
	ReasonInProgress      Reason = "IN_PROGRESS"
	ReasonCompacted       Reason = "COMPACTED"
	ReasonVersionMismatch Reason = "VERSION_MISMATCH"
	ReasonFailedPrecond   Reason = "FAILED_PRECONDITION"
	ReasonDeclaredInFile  Reason = "DECLARED_IN_FILE"
	ReasonNamespaceBusy   Reason = "NAMESPACE_NOT_ACTIVE"
	ReasonTransactionOver Reason = "TRANSACTION_OVER"
	ReasonLeaseLost       Reason = "LEASE_LOST"
	ReasonWrongKind       Reason = "WRONG_KIND"
	ReasonTaken           Reason = "SUBSCRIPTION_TAKEN"

	ReasonInvalidConfig Reason = "INVALID_CONFIG"
	ReasonNewerFormat   Reason = "NEWER_FORMAT"

	ReasonRateLimited    Reason = "RATE_LIMITED"
	ReasonQuotaExceeded  Reason = "QUOTA_EXCEEDED"
	ReasonMessageTooBig  Reason = "MESSAGE_TOO_LARGE"
	ReasonOverloaded     Reason = "OVERLOADED"
	ReasonDiskFull       Reason = "DISK_FULL"
	ReasonSlowConsumer   Reason = "SLOW_CONSUMER"
	ReasonTooManyStreams Reason = "TOO_MANY_STREAMS"
	ReasonBufferFull     Reason = "BUFFER_FULL"

	ReasonInternal Reason = "INTERNAL"
	ReasonDataLoss Reason = "DATA_LOSS"

	ReasonCapabilityMissing Reason = "CAPABILITY_MISSING"
	ReasonUnimplemented     Reason = "UNIMPLEMENTED"

	ReasonBackendUnavailable Reason = "BACKEND_UNAVAILABLE"
	ReasonUnavailable        Reason = "UNAVAILABLE"
	ReasonDraining           Reason = "DRAINING"
	ReasonMoved              Reason = "MOVED"
	ReasonMaintenance        Reason = "MAINTENANCE"

	ReasonDeadlineExceeded Reason = "DEADLINE_EXCEEDED"
	ReasonCancelled        Reason = "CANCELLED"
)

// A Status is the name of a gRPC status code; package wire knows the numbers.
type Status string

// An Info is what is known of a reason in general.
type Info struct {
	Reason     Reason
	Class      int // RFC-012's class, such as 404
	Number     int // within the class
	Status     Status
	Retryable  bool
	RetryAfter time.Duration
	Summary    string // what it means
	Fix        string // what a person can do
}

// Code is the stable code: PRISM-<class><nn>.
func (i Info) Code() string { return fmt.Sprintf("PRISM-%d%02d", i.Class, i.Number) }

// infos is the one table of errors. Rows are only ever added; a number is
// never given to another reason.
var infos = []Info{
	{ReasonInvalidArgument, 400, 1, "INVALID_ARGUMENT", false, 0, "a field of the request is wrong", "correct the fields that the error names"},
	{ReasonInvalidCursor, 400, 2, "INVALID_ARGUMENT", false, 0, "the cursor is not one that this gateway gave to you for this query", "start the listing again without a cursor"},
	{ReasonKeyReused, 400, 3, "INVALID_ARGUMENT", false, 0, "the idempotency key was used before with another request", "use a fresh idempotency key for each different request"},
	{ReasonOverflow, 400, 4, "OUT_OF_RANGE", false, 0, "the result does not fit a signed 64-bit integer", "reset the counter, or use a smaller delta"},
	{ReasonNotANumber, 400, 5, "FAILED_PRECONDITION", false, 0, "the value is not a decimal 64-bit integer", "increment only keys whose value is a number"},
	{ReasonCancelled, 400, 6, "CANCELLED", false, 0, "the caller went away before the answer", "none needed"},

	{ReasonUnauthenticated, 401, 1, "UNAUTHENTICATED", false, 0, "the call carries no valid credential", "send authorization: Bearer KEY; create one with prismctl key create"},
	{ReasonInvalidSession, 401, 2, "UNAUTHENTICATED", false, 0, "the session token is not valid", "create a session again with your credential"},
	{ReasonSessionExpired, 401, 3, "UNAUTHENTICATED", false, 0, "the session is over", "create a session again with your credential"},
	{ReasonSessionRevoked, 401, 4, "UNAUTHENTICATED", false, 0, "the session was ended by an operator", "ask the operator, then create a session again"},

	{ReasonPermissionDenied, 403, 1, "PERMISSION_DENIED", false, 0, "you may not do that, or it is not there", "ask the owner of the namespace for access"},

	{ReasonNotFound, 404, 1, "NOT_FOUND", false, 0, "what was asked for is not there", "list what is there"},

	{ReasonAlreadyExists, 409, 1, "ALREADY_EXISTS", false, 0, "it is there already", "update it, or choose another name"},
	{ReasonConflict, 409, 2, "ABORTED", true, 0, "another writer changed a key that this transaction read", "run the whole transaction again"},
	{ReasonInProgress, 409, 3, "ABORTED", true, 50 * time.Millisecond, "the same call is still running", "wait and send it again with the same idempotency key"},
	{ReasonTaken, 409, 4, "ABORTED", false, 0, "another reader took over the subscription", "use a name of its own for each reader"},
	{ReasonCompacted, 410, 1, "OUT_OF_RANGE", false, 0, "the position is older than the history that is kept", "read the present state, then watch from its position"},

	{ReasonVersionMismatch, 412, 1, "FAILED_PRECONDITION", false, 0, "the key has another version than you asked for", "read the key again and decide anew"},
	{ReasonFailedPrecond, 412, 2, "FAILED_PRECONDITION", false, 0, "the system is not in a state for that", "see the message"},
	{ReasonDeclaredInFile, 412, 3, "FAILED_PRECONDITION", false, 0, "that field is declared in a file, and the file owns it", "change the file that the error names"},
	{ReasonNamespaceBusy, 412, 4, "FAILED_PRECONDITION", false, 0, "the namespace is being created, deleted or moved", "wait until prismctl namespace describe says Active"},
	{ReasonTransactionOver, 412, 5, "FAILED_PRECONDITION", false, 0, "the transaction has ended", "begin another transaction"},
	{ReasonLeaseLost, 412, 6, "FAILED_PRECONDITION", false, 0, "the lease is over: it passed, or its message was settled", "do not repeat it; the message comes again if it is still there"},
	{ReasonWrongKind, 412, 7, "FAILED_PRECONDITION", false, 0, "the name is a log and was used as a work queue, or the other way round", "choose another name, or the other service; prismctl queue info says what it is"},

	{ReasonInvalidConfig, 422, 1, "INVALID_ARGUMENT", false, 0, "the configuration is not valid", "correct the lines that the error names"},
	{ReasonNewerFormat, 422, 2, "FAILED_PRECONDITION", false, 0, "the data was written by a newer version", "use the newer version, or another data folder"},

	{ReasonRateLimited, 429, 1, "RESOURCE_EXHAUSTED", true, 100 * time.Millisecond, "the rate limit was met", "slow down, or ask for a higher limit"},
	{ReasonQuotaExceeded, 429, 2, "RESOURCE_EXHAUSTED", false, 0, "a quota was met", "free some of it, or ask for a higher quota"},
	{ReasonMessageTooBig, 429, 3, "RESOURCE_EXHAUSTED", false, 0, "the message is larger than the gateway takes", "send less at once"},
	{ReasonSlowConsumer, 429, 4, "RESOURCE_EXHAUSTED", true, 0, "the reader of the stream was too slow", "resume from the position in the error"},
	{ReasonTooManyStreams, 429, 5, "RESOURCE_EXHAUSTED", true, time.Second, "too many streams or transactions are open", "close some"},
	{ReasonBufferFull, 429, 6, "RESOURCE_EXHAUSTED", true, 200 * time.Millisecond, "as many events wait for the store as may", "slow down, or use StreamEvents, which waits by itself"},

	{ReasonInternal, 500, 1, "INTERNAL", false, 0, "a bug of ours", "report it with the request id"},
	{ReasonDataLoss, 500, 2, "DATA_LOSS", false, 0, "stored data is damaged and is not served", "restore the backend from a copy"},

	{ReasonUnimplemented, 501, 1, "UNIMPLEMENTED", false, 0, "this gateway does not have that call", "upgrade the gateway"},

	{ReasonUnavailable, 503, 1, "UNAVAILABLE", true, 100 * time.Millisecond, "the gateway cannot be reached", "start it with prismctl dev up; prismctl dev doctor looks for what is wrong"},
	{ReasonDraining, 503, 2, "UNAVAILABLE", true, 50 * time.Millisecond, "the gateway is about to stop", "try again: another process takes over"},
	{ReasonMoved, 503, 3, "UNAVAILABLE", true, 0, "the namespace moved to another backend", "try again"},
	{ReasonOverloaded, 503, 4, "RESOURCE_EXHAUSTED", true, 100 * time.Millisecond, "the gateway has more work than it can do in time", "slow down"},
	{ReasonMaintenance, 503, 5, "UNAVAILABLE", true, 10 * time.Second, "an operator lets the gateway refuse such calls for a while", "try again later; prismctl maintenance status says until when"},
	{ReasonDeadlineExceeded, 504, 1, "DEADLINE_EXCEEDED", false, 0, "the deadline passed before the answer", "allow more time with --timeout"},

	{ReasonDiskFull, 507, 1, "RESOURCE_EXHAUSTED", true, time.Second, "the disk of the backend is full", "free some space; no restart is needed"},

	{ReasonBackendUnavailable, 600, 1, "UNAVAILABLE", true, 500 * time.Millisecond, "the backend does not answer", "prismctl backend health says more"},
	{ReasonCapabilityMissing, 602, 1, "UNIMPLEMENTED", false, 0, "the namespace's backend cannot do that", "choose a backend that has the capability; prismctl backend describe lists them"},
}

// Info returns the row of r; an unknown reason gets INTERNAL's.
func (r Reason) Info() Info {
	for i := range infos {
		if infos[i].Reason == r {
			return infos[i]
		}
	}
	return ReasonInternal.Info()
}

// Known reports whether r is in the table.
func (r Reason) Known() bool { return r.Info().Reason == r }

// Infos lists the table in its order: by class, then by number.
func Infos() []Info { return slices.Clone(infos) }

// LookupCode finds the row with a stable code such as "PRISM-40401".
func LookupCode(code string) (Info, bool) {
	for _, i := range infos {
		if i.Code() == code {
			return i, true
		}
	}
	return Info{}, false
}
