package clickhouse

import (
	"context"
	"errors"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// Codes of the server's exceptions that are told apart.
const (
	codeUnknownTable      = 60
	codeUnknownDatabase   = 81
	codeTimeout           = 159
	codeTooSlow           = 160
	codeReadOnly          = 164
	codeRefused           = 192 // unknown user
	codeWrongPassword     = 193
	codeTooManyQueries    = 202
	codeSocketTimeout     = 209
	codeNetwork           = 210
	codeMemory            = 241
	codeTableReadOnly     = 242
	codeNotEnoughSpace    = 243
	codeTooManyParts      = 252
	codeQuorum            = 285
	codeUnknownStatus     = 319
	codeCancelled         = 394
	codeAccessDenied      = 497
	codeAuthentication    = 516
	codeKeeper            = 999
	codeShardsUnavailable = 279
)

// exceptionCode is the code of the server's exception, 0 if err is none.
func exceptionCode(err error) int {
	var e *clickhouse.Exception
	if errors.As(err, &e) {
		return int(e.Code)
	}
	return 0
}

// classify turns what the client library and the server say into a prism
// error. It is the only place that does.
func (s *store) classify(ctx context.Context, err error) error {
	var e *prism.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		return e
	}
	if code := exceptionCode(err); code != 0 {
		if e := s.classifyCode(code); e != nil {
			return e.WithBackend(s.name).WithCause(err)
		}
	}
	switch {
	case ctx.Err() != nil:
		return prism.From(ctx.Err())
	case late(ctx):
		return prism.New(prism.ReasonDeadlineExceeded, "the deadline passed before backend %q answered", s.name).WithBackend(s.name).WithCause(err)
	case exceptionCode(err) != 0:
		return prism.Internal(err).WithBackend(s.name)
	case errors.Is(err, errUnreached): // whatever the pool says of it
	case errors.Is(err, errLost):
		return prism.New(prism.ReasonBackendUnavailable, "backend %q did not answer; whether the events are stored is not known", s.name).WithBackend(s.name).WithCause(err)
	case errors.Is(err, clickhouse.ErrAcquireConnTimeout):
		return prism.New(prism.ReasonOverloaded, "backend %q: all %d connections are busy", s.name, s.options.PoolSize).WithBackend(s.name).WithCause(err)
	}
	return prism.New(prism.ReasonBackendUnavailable, "backend %q does not answer", s.name).WithBackend(s.name).WithCause(err)
}

// late reports whether the caller's deadline is over: a connection that was
// given it may fail a moment before the context does.
func late(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ok && !time.Now().Before(deadline)
}

// classifyCode says what is wrong and what to type next; nil if only a bug of
// ours explains the code.
func (s *store) classifyCode(code int) *prism.Error {
	switch code {
	case codeRefused, codeWrongPassword, codeAuthentication:
		return prism.New(prism.ReasonFailedPrecond, "backend %q: the server refuses user %q or the password; correct username and password_file", s.name, s.options.Username)
	case codeUnknownDatabase:
		return prism.New(prism.ReasonFailedPrecond, "backend %q: there is no database %q; CREATE DATABASE %s", s.name, s.options.Database, quoted(s.options.Database))
	case codeUnknownTable:
		s.settled.Store(false)
		return prism.New(prism.ReasonFailedPrecond, "backend %q: a table of database %q is gone; the next call makes it again, empty", s.name, s.options.Database)
	case codeReadOnly, codeTableReadOnly:
		return prism.New(prism.ReasonFailedPrecond, "backend %q takes no writes: user %q, or the table, is read-only; see SELECT * FROM system.replicas and the user's profile", s.name, s.options.Username)
	case codeAccessDenied:
		return prism.New(prism.ReasonFailedPrecond, "backend %q: user %q has too few rights; GRANT ALL ON %s.* TO %s", s.name, s.options.Username, quoted(s.options.Database), quoted(s.options.Username))
	case codeMemory:
		return prism.New(prism.ReasonQuotaExceeded, "backend %q: the server has used the memory it may use; ask for a shorter range, or raise max_memory_usage", s.name).
			WithQuota("backend:"+s.name, "max_memory_usage")
	case codeTooManyQueries:
		return prism.New(prism.ReasonOverloaded, "backend %q has too many queries at once; see max_concurrent_queries", s.name).WithRetryAfter(time.Second)
	case codeTooManyParts:
		return prism.New(prism.ReasonOverloaded, "backend %q merges more slowly than events come: send fewer and larger batches", s.name).WithRetryAfter(time.Second)
	case codeNotEnoughSpace:
		return prism.New(prism.ReasonDiskFull, "backend %q: the server's disk is full", s.name)
	case codeTimeout, codeTooSlow:
		return prism.New(prism.ReasonDeadlineExceeded, "backend %q: the server did not finish in time", s.name)
	case codeSocketTimeout, codeNetwork, codeShardsUnavailable, codeKeeper, codeQuorum, codeUnknownStatus:
		return prism.New(prism.ReasonBackendUnavailable, "backend %q cannot reach other servers of its cluster", s.name)
	case codeCancelled:
		return prism.New(prism.ReasonBackendUnavailable, "backend %q: the server ended the query", s.name)
	}
	return nil
}

func (s *store) closedError() *prism.Error {
	return prism.New(prism.ReasonBackendUnavailable, "backend %q is closed", s.name).WithBackend(s.name)
}
