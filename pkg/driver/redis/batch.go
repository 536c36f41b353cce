package redis

import (
	"context"
	"errors"
	"net"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// stride is how many mutations one script does: it keeps the server to itself
// meanwhile, a third of a millisecond or so.
const stride = 64

// A part is some operations on a bucket that one command does.
type part struct {
	prefix string
	at     []int // places in the batch
	one    *redis.StringCmd
	get    *redis.SliceCmd
	ends   *redis.DurationCmd
	do     *redis.Cmd
}

// A cutter cuts operations on a namespace into parts. Those on a bucket keep their order.
type cutter struct {
	s     *store
	ns    prism.Namespace
	parts []*part
	last  [bucketCount]*part
}

// cut puts the operation at a place where it belongs: into the last part of its key's
// bucket if that one's command can do it too.
func (c *cutter) cut(key string, at int, joins func(last *part) bool) {
	bucket := c.s.bucket(key)
	last := c.last[bucket]
	if last == nil || !joins(last) {
		p := &part{}
		if last != nil {
			p.prefix = last.prefix
		} else {
			p.prefix = bucketPrefix(c.ns, bucket)
		}
		c.parts = append(c.parts, p)
		c.last[bucket], last = p, p
	}
	last.at = append(last.at, at)
}

// Batch is one pipeline, on a cluster one to each node: an MGET for a run of gets, a
// script for a run of mutations.
func (s *store) Batch(ctx context.Context, ns prism.Namespace, ops []driver.Op, results []driver.Result) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	if len(results) < len(ops) {
		return prism.InvalidField("results", "must have room for every operation")
	}
	if len(ops) == 0 {
		return nil
	}
	clear(results[:len(ops)])
	parts := s.parts(ns, ops, results)
	err := s.pipe(ctx, parts, func(pipe caller, part *part) { s.add(ctx, pipe, ops, part) })
	if err != nil {
		return err
	}
	for _, p := range parts {
		s.read(ctx, p, ops, results)
	}
	return nil
}

// pipe sends parts in one pipeline; add adds one. The error is for all, when
// nothing was sent.
func (s *store) pipe(ctx context.Context, parts []*part, add func(caller, *part)) error {
	send := func(parts []*part, whole bool) error {
		pipe := s.client.Pipeline()
		for _, p := range parts {
			add(caller{pipe, whole}, p)
		}
		_, err := pipe.Exec(ctx)
		return err
	}
	if len(parts) == 0 {
		return nil
	}
	err := send(parts, false)
	// A server that was restarted has forgotten the scripts. What came before in
	// the pipeline is done, and of what came after the mutations that it knew: those
	// that another gateway had given to it meanwhile.
	if i := slices.IndexFunc(parts, (*part).unknown); i >= 0 {
		again := slices.DeleteFunc(slices.Clone(parts[i:]), func(p *part) bool { return p.do != nil && !p.unknown() })
		err = send(again, true)
	}
	if untried(err) && s.cluster == nil {
		return s.classify(ctx, err)
	}
	return nil
}

// unknown reports whether the server did not know the script of a part.
func (p *part) unknown() bool { return p.do != nil && noScript(p.do.Err()) }

// untried reports whether err says that nothing was sent.
func untried(err error) bool {
	var dial *net.OpError
	return errors.As(err, &dial) && dial.Op == "dial" || errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, redis.ErrPoolExhausted)
}

// parts cuts a batch into runs of reads and of mutations.
func (s *store) parts(ns prism.Namespace, ops []driver.Op, results []driver.Result) []*part {
	c := cutter{s: s, ns: ns}
	for i := range ops {
		op := &ops[i]
		if !op.Kind.Reads() || op.Kind == 0 {
			if err := checkOp(op); err != nil && op.Receipt.IsZero() {
				results[i].Err = err
				continue
			}
		}
		c.cut(op.Key, i, func(last *part) bool {
			return joins(ops[last.at[0]].Kind, op.Kind) && (op.Kind.Reads() || len(last.at) < stride)
		})
	}
	return c.parts
}

// joins reports whether one command can do both.
func joins(a, b driver.OpKind) bool {
	if a.Reads() || b.Reads() {
		return a == b && a == driver.OpGet
	}
	return true
}

// add adds the command of a part to a pipeline.
func (s *store) add(ctx context.Context, pipe caller, ops []driver.Op, part *part) {
	p := part.prefix
	switch first := &ops[part.at[0]]; first.Kind {
	case driver.OpGet:
		keys := make([]string, len(part.at))
		for n, i := range part.at {
			keys[n] = p + kindValue + ops[i].Key
		}
		part.get = pipe.MGet(ctx, keys...)
	case driver.OpExists, driver.OpExpiresAt:
		part.ends = pipe.PExpireTime(ctx, p+kindValue+first.Key)
	default:
		args := s.common(p)
		common := len(args)
		for _, i := range part.at {
			args = appendOp(args, &ops[i])
		}
		part.do = pipe.call(ctx, batchScript, s.keysOf(batchScript, p, args[common:]), args...)
	}
}

// read puts the answers of a part where they belong.
func (s *store) read(ctx context.Context, p *part, ops []driver.Op, results []driver.Result) {
	switch {
	case p.get != nil:
		values, err := p.get.Result()
		for n, i := range p.at {
			if err != nil {
				results[i].Err = s.classify(ctx, err)
			} else if raw, ok := values[n].(string); ok {
				results[i] = s.got(ctx, raw)
			}
		}
	case p.ends != nil:
		i := p.at[0]
		at, err := p.ends.Result()
		results[i] = s.ended(ctx, &ops[i], at, err)
	default:
		answers, err := p.do.StringSlice()
		if err == nil && len(answers) != len(p.at) {
			err = errAnswer
		}
		for n, i := range p.at {
			if err != nil {
				results[i].Err = s.classify(ctx, err)
				continue
			}
			results[i], results[i].Err = s.result(answers[n], &ops[i])
		}
	}
}

func (s *store) got(ctx context.Context, raw string) driver.Result {
	e, _, err := parseRecord(bytesOf(raw))
	if err != nil {
		return driver.Result{Err: s.classify(ctx, err)}
	}
	return driver.Result{Found: true, Value: e.Value, Version: e.Version, ExpiresAt: e.ExpiresAt}
}

func (s *store) ended(ctx context.Context, op *driver.Op, at time.Duration, err error) driver.Result {
	if err != nil {
		return driver.Result{Err: s.classify(ctx, err)}
	}
	end, err := expiry(at, op.Key)
	if op.Kind == driver.OpExists {
		return driver.Result{Found: err == nil}
	}
	return driver.Result{ExpiresAt: end, Err: err}
}
