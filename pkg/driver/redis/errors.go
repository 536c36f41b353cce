package redis

import (
	"context"
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

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
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), late(ctx):
		return prism.New(prism.ReasonDeadlineExceeded, "the deadline passed before backend %q answered", s.name).WithBackend(s.name).WithCause(err)
	case errors.Is(err, redis.ErrClosed):
		return s.closedError()
	case errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrPoolExhausted):
		return prism.New(prism.ReasonOverloaded, "backend %q: all %d connections are busy", s.name, s.options.PoolSize).WithBackend(s.name).WithCause(err)
	case errors.Is(err, errRecord), errors.Is(err, errAnswer):
		return prism.New(prism.ReasonDataLoss, "backend %q: what is stored is not readable", s.name).WithBackend(s.name).WithCause(err)
	}
	var reply redis.Error
	if errors.As(err, &reply) {
		return s.classifyReply(reply)
	}
	return prism.New(prism.ReasonBackendUnavailable, "backend %q does not answer", s.name).WithBackend(s.name).WithCause(err)
}

// late reports whether the caller's deadline is over: a connection that was
// given it may fail a moment before the context does.
func late(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ok && !time.Now().Before(deadline)
}

// classifyReply goes by the first word, which is what Redis promises to keep.
func (s *store) classifyReply(err error) error {
	text := err.Error()
	word, _, _ := strings.Cut(text, " ")
	var e *prism.Error
	switch word {
	case "LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY", "NOREPLICAS", "UNKILLABLE":
		e = prism.New(prism.ReasonBackendUnavailable, "backend %q is busy: %s", s.name, word)
	case "READONLY":
		e = prism.New(prism.ReasonBackendUnavailable, "backend %q: the server is a replica and takes no writes", s.name)
	case "MISCONF":
		e = prism.New(prism.ReasonBackendUnavailable, "backend %q: the server cannot write its snapshots and refuses writes", s.name)
	case "OOM":
		e = prism.New(prism.ReasonQuotaExceeded, "backend %q: the server has used the memory it may use (maxmemory)", s.name).
			WithQuota("backend:"+s.name, "maxmemory")
	case "NOAUTH", "WRONGPASS", "NOPERM":
		e = prism.New(prism.ReasonFailedPrecond, "backend %q: the server refuses the user that the gateway is (%s)", s.name, word)
	case "WRONGTYPE":
		e = prism.New(prism.ReasonDataLoss, "backend %q: something else has written to the keys of this driver", s.name)
	default:
		switch {
		case strings.Contains(text, "max number of clients"):
			e = prism.New(prism.ReasonBackendUnavailable, "backend %q: the server takes no more connections", s.name)
		case strings.Contains(text, "invalid password"), strings.Contains(text, "without any password configured"):
			e = prism.New(prism.ReasonFailedPrecond, "backend %q: the server refuses the password", s.name)
		default:
			return prism.Internal(err).WithBackend(s.name)
		}
	}
	return e.WithBackend(s.name).WithCause(err)
}

func (s *store) closedError() *prism.Error {
	return prism.New(prism.ReasonBackendUnavailable, "backend %q is closed", s.name).WithBackend(s.name)
}

func errKind() error { return prism.InvalidField("kind", "is not an operation") }

func notFound(key string) error { return prism.NotFound("key", key) }

// refused is an E answer of a script: a letter, and what belongs to it.
func (s *store) refused(answer string, op *driver.Op) error {
	if len(answer) < 2 {
		return s.classify(context.Background(), errAnswer)
	}
	if answer == refusedInvalid {
		return checkOp(op)
	}
	rest := answer[2:]
	switch answer[1] {
	case 'N':
		return notFound(op.Key)
	case 'X':
		return prism.New(prism.ReasonAlreadyExists, "key %q is there already", op.Key)
	case 'V':
		if len(rest) != 8 {
			break
		}
		have := binary.BigEndian.Uint64([]byte(rest))
		return prism.New(prism.ReasonVersionMismatch, "key %q has version %d, not %d", op.Key, have, op.If.Version).
			WithMeta("current_version", strconv.FormatUint(have, 10))
	case '#':
		return prism.New(prism.ReasonNotANumber, "the value of key %q is not a decimal 64-bit integer", op.Key)
	case 'O':
		return prism.New(prism.ReasonOverflow, "adding %d to key %q does not fit 64 bits", op.Delta, op.Key)
	case 'L':
		return prism.InvalidField("value", "would make the stored value larger than 1 MiB")
	case 'K':
		return prism.New(prism.ReasonKeyReused, "the idempotency key was used before with another request")
	case 'C':
		return prism.New(prism.ReasonConflict, "another writer changed a key that was read")
	case 'R':
		return s.classifyReply(replyError(rest))
	}
	return s.classify(context.Background(), errRecord)
}

// A replyError is an error of the server that a script has caught.
type replyError string

func (e replyError) Error() string { return string(e) }
func (replyError) RedisError()     {}
