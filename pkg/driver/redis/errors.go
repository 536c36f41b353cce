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
	case errors.Is(err, context.Canceled), late(ctx):
		return prism.New(prism.ReasonDeadlineExceeded, "the deadline passed before backend %q answered", s.name).WithBackend(s.name).WithCause(err)
	case errors.Is(err, redis.ErrClosed):
		return s.closedError()
	case errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrPoolExhausted):
		return prism.New(prism.ReasonOverloaded, "backend %q: all %d connections are busy", s.name, s.options.PoolSize).WithBackend(s.name).WithCause(err)
	case errors.Is(err, errNewer):
		return prism.New(prism.ReasonNewerFormat, "backend %q holds records of a newer version of prism: run that version, or one after it, on every gateway", s.name).WithBackend(s.name).WithCause(err)
	case errors.Is(err, errRecord), errors.Is(err, errAnswer):
		return prism.New(prism.ReasonDataLoss, "backend %q: what is stored is not readable", s.name).WithBackend(s.name).WithCause(err)
	}
	var reply redis.Error
	known := errors.As(err, &reply)
	if strings.Contains(err.Error(), sentinelsSay) {
		return s.classifySentinels(err, reply)
	}
	if known {
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

// classifyReply goes by the first word, which is what Redis promises to keep, and says
// what to do next.
func (s *store) classifyReply(err error) error {
	text := err.Error()
	word, _, _ := strings.Cut(text, " ")
	r, known := replies[word]
	if !known {
		for _, m := range mentions {
			if known = strings.Contains(text, m.text); known {
				r = m.reply
				break
			}
		}
	}
	if !known {
		return prism.Internal(err).WithBackend(s.name)
	}
	e := prism.New(r.reason, "backend %q: %s", s.name, r.message).WithBackend(s.name).WithCause(err)
	if r.reason == prism.ReasonQuotaExceeded {
		e = e.WithQuota("backend:"+s.name, "maxmemory")
	}
	return e
}

// sentinelsSay begins what the library says when no sentinel names a master; the reasons
// of all of them follow.
const sentinelsSay = "all sentinels specified in configuration are unreachable"

// classifySentinels tells why no sentinel names a master. Reply is what one of them
// answered, nil if none answers.
func (s *store) classifySentinels(err error, reply redis.Error) error {
	var e *prism.Error
	switch {
	case reply == nil:
		e = prism.New(prism.ReasonBackendUnavailable, "backend %q: no sentinel of options.addrs answers", s.name)
	case errors.Is(reply, redis.Nil):
		e = prism.New(prism.ReasonFailedPrecond, "backend %q: the sentinels know no master %q: redis-cli -p PORT SENTINEL MASTERS lists the names for options.sentinel.master", s.name, s.options.Sentinel.Master)
	case strings.HasPrefix(reply.Error(), "NOAUTH"), strings.HasPrefix(reply.Error(), "WRONGPASS"):
		e = prism.New(prism.ReasonFailedPrecond, "backend %q: the sentinels refuse the gateway (%s): see to options.sentinel.username and to the file of options.sentinel.password_file", s.name, before(reply.Error(), " "))
	default:
		return s.classifyReply(reply)
	}
	return e.WithBackend(s.name).WithCause(err)
}

// A reply is what an error of the server means.
type reply struct {
	reason  prism.Reason
	message string
}

func busy(message string) reply   { return reply{prism.ReasonBackendUnavailable, message} }
func refuse(message string) reply { return reply{prism.ReasonFailedPrecond, message} }

// replies are the errors that begin with a word of their own.
var replies = map[string]reply{
	"LOADING":     busy("the server is reading its data from disk after a start (LOADING): it answers when that is done; redis-cli INFO persistence tells how far it is"),
	"BUSY":        busy("a script of somebody else's keeps the server busy (BUSY): redis-cli SCRIPT KILL ends it"),
	"UNKILLABLE":  busy("a script of somebody else's keeps the server busy and has written already (UNKILLABLE): it has to end by itself"),
	"READONLY":    busy("the server is a replica and takes no writes (READONLY): name its master in options.addrs (redis-cli INFO replication tells it), or let sentinels tell (options.sentinel)"),
	"MASTERDOWN":  busy("the server is a replica that has lost its master (MASTERDOWN): redis-cli INFO replication tells which; start it, or promote the replica by REPLICAOF NO ONE"),
	"NOREPLICAS":  busy("the server has fewer replicas than it must have to take writes (NOREPLICAS): start them, or lower min-replicas-to-write"),
	"MISCONF":     busy("the server cannot write its snapshots and refuses writes (MISCONF): see to the disk that redis-cli CONFIG GET dir names, and to the server's log"),
	"CLUSTERDOWN": busy("the cluster does not serve the slot (CLUSTERDOWN): a master is gone and no replica has taken over yet, or none will; redis-cli --cluster check HOST:PORT tells"),
	"TRYAGAIN":    busy("the slot is moving to another node (TRYAGAIN): it is served again when it has moved"),
	"MOVED":       busy("the slot is on another node, again and again (MOVED): the cluster is changing; if it stays so, redis-cli --cluster fix HOST:PORT"),
	"ASK":         busy("the slot is moving to another node (ASK): it is served again when it has moved"),
	"NOGOODSLAVE": busy("the sentinels find no replica that could take over (NOGOODSLAVE): start one"),
	"OOM":         {prism.ReasonQuotaExceeded, "the server has used the memory that it may use (maxmemory): drop something, or redis-cli CONFIG SET maxmemory BYTES"},
	"NOAUTH":      refuse("the server wants a password (NOAUTH): write it to a file and name that as options.password_file"),
	"WRONGPASS":   refuse("the server does not know this user with this password (WRONGPASS): see to options.username and to the file of options.password_file"),
	"NOPERM":      refuse("the server does not let this user do what the driver does (NOPERM): redis-cli ACL SETUSER NAME +@all -@admin ~{p1* &p1:* gives it what it needs"),
	"CROSSSLOT":   refuse("the server is part of a cluster and was taken for a single one (CROSSSLOT): set mode: cluster in its options"),
	"WRONGTYPE":   {prism.ReasonDataLoss, "something else has written to the keys of this driver (WRONGTYPE): give it a database or a server of its own"},
}

// mentions are those that all begin with ERR, by what they contain.
var mentions = []struct {
	text string
	reply
}{
	{"max number of clients", busy("the server takes no more connections: lower options.pool_size, or redis-cli CONFIG SET maxclients NUMBER")},
	{"non local key", busy("the slot is moving to another node: it is served again when it has moved")},
	{"cluster is down", busy("the cluster does not serve the slot: redis-cli --cluster check HOST:PORT tells why")},
	{"without any password configured", refuse("the server has no password, and one is set in options.password_file: leave it out")},
	{"invalid password", refuse("the server does not know this password: see to the file of options.password_file")},
	{"DB index is out of range", refuse("the server has fewer databases than options.db asks for: redis-cli CONFIG GET databases tells how many")},
	{"SELECT is not allowed in cluster mode", refuse("the server is part of a cluster, which has database 0 only: leave options.db out")},
	{"cluster support disabled", refuse("the server is not part of a cluster: set mode: standalone in its options, with one address")},
	{"unknown command 'sentinel'", refuse("options.addrs are no sentinels: with options.sentinel they must be the sentinels' addresses, not the servers'")},
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
	case 'Y':
		return s.classify(context.Background(), errNewer)
	case 'R':
		return s.classifyReply(replyError(rest))
	}
	return s.classify(context.Background(), errRecord)
}

// A replyError is an error of the server that a script has caught.
type replyError string

func (e replyError) Error() string { return string(e) }
func (replyError) RedisError()     {}
