package redis

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A cache keeps each entry under a key of its own, which the server ends at its
// time. It has no bound of its own for a namespace: that is the server's
// maxmemory, which knows nothing of namespaces.
type cache struct{ s *store }

var (
	_ driver.Cache     = (*cache)(nil)
	_ driver.CacheLock = (*cache)(nil)
)

// An entry is a head of 16 bytes and the value: format, seven bytes of
// nothing, and when it ends in milliseconds, 0 for never.
const (
	entryFormat = 1
	entryHead   = 16
)

func parseEntry(raw []byte) (e driver.CacheEntry, err error) {
	if err := readable(raw, entryHead, entryFormat); err != nil {
		return e, err
	}
	if ms := binary.BigEndian.Uint64(raw[8:]); ms != 0 {
		e.ExpiresAt = time.UnixMilli(int64(ms))
	}
	e.Value = raw[entryHead:len(raw):len(raw)]
	return e, nil
}

func (c *cache) Get(ctx context.Context, key prism.Key) (driver.CacheEntry, bool, error) {
	if err := c.s.enter(ctx); err != nil {
		return driver.CacheEntry{}, false, err
	}
	defer c.s.leave()
	raw, err := c.s.singles.get(ctx, c.s.home(key.Namespace, key.Name)+kindEntry+key.Name)
	if missing(err) {
		return driver.CacheEntry{}, false, nil
	}
	var e driver.CacheEntry
	if err == nil {
		e, err = parseEntry(bytesOf(raw))
	}
	return e, err == nil, c.s.classify(ctx, err)
}

// Do is one pipeline: an MGET for a run of gets, a script for a run of
// mutations.
func (c *cache) Do(ctx context.Context, ns prism.Namespace, ops []driver.CacheOp, results []driver.CacheResult) error {
	if err := c.s.enter(ctx); err != nil {
		return err
	}
	defer c.s.leave()
	if len(results) < len(ops) {
		return prism.InvalidField("results", "must have room for every operation")
	}
	clear(results[:len(ops)])
	parts := c.parts(ns, ops, results)
	if len(ops) == 1 && len(parts) == 1 && !ops[0].Reads() {
		answer, err := c.s.singles.change(ctx, cacheScript, parts[0].prefix, appendCacheOp(nil, &ops[0]))
		switch {
		case untried(err):
			return c.s.classify(ctx, err)
		case err != nil:
			results[0].Err = c.s.classify(ctx, err)
		default:
			results[0] = c.result(answer, &ops[0])
		}
		return nil
	}
	err := c.s.pipe(ctx, parts, func(pipe caller, part *part) { c.add(ctx, pipe, ops, part) })
	if err != nil {
		return err
	}
	for _, part := range parts {
		c.read(ctx, part, ops, results)
	}
	return nil
}

// parts cuts operations into runs of gets and of mutations.
func (c *cache) parts(ns prism.Namespace, ops []driver.CacheOp, results []driver.CacheResult) []*part {
	cut := cutter{s: c.s, ns: ns}
	for i := range ops {
		op := &ops[i]
		if op.Kind == 0 || op.Kind > driver.CacheIncrement {
			results[i].Err = errKind()
			continue
		}
		cut.cut(op.Key, i, func(last *part) bool {
			return joinsCache(ops[last.at[0]].Kind, op.Kind) && (op.Reads() || len(last.at) < stride)
		})
	}
	return cut.parts
}

// joinsCache reports whether one command can do both.
func joinsCache(a, b driver.CacheOpKind) bool {
	if a.Reads() || b.Reads() {
		return a == b && a == driver.CacheGet
	}
	return true
}

func (c *cache) add(ctx context.Context, pipe caller, ops []driver.CacheOp, part *part) {
	p := part.prefix
	switch first := &ops[part.at[0]]; first.Kind {
	case driver.CacheGet:
		keys := make([]string, len(part.at))
		for n, i := range part.at {
			keys[n] = p + kindEntry + ops[i].Key
		}
		part.get = pipe.MGet(ctx, keys...)
	case driver.CacheExists:
		part.ends = pipe.PExpireTime(ctx, p+kindEntry+first.Key)
	default:
		args := c.s.common(p)
		common := len(args)
		for _, i := range part.at {
			args = appendCacheOp(args, &ops[i])
		}
		part.do = pipe.call(ctx, cacheScript, c.s.keysOf(cacheScript, p, args[common:]), args...)
	}
}

// appendCacheOp adds an operation to the arguments of a script.
func appendCacheOp(args []any, op *driver.CacheOp) []any {
	var value any = op.Value
	if op.Kind == driver.CacheIncrement {
		value = op.Delta
	}
	return append(args, appendCacheWhat(nil, op), op.Key, value, op.Initial)
}

// appendCacheWhat says to the script what op does: letter, condition and time
// to live, then the receipt.
func appendCacheWhat(b []byte, op *driver.CacheOp) []byte {
	letter := [...]byte{driver.CacheSet: 's', driver.CacheDelete: 'd', driver.CacheTouch: 't', driver.CacheIncrement: 'i'}[op.Kind]
	if op.TTL < 0 || op.If > driver.CachePresent {
		letter = letterInvalid
	}
	b = append(b, letter, byte(op.If))
	b = binary.BigEndian.AppendUint64(b, uint64(ttlMillis(op.TTL)))
	if !op.Receipt.IsZero() {
		b = appendReceipt(b, op.Receipt)
	}
	return b
}

// read puts the answers of a part where they belong.
func (c *cache) read(ctx context.Context, p *part, ops []driver.CacheOp, results []driver.CacheResult) {
	switch {
	case p.get != nil:
		values, err := p.get.Result()
		for n, i := range p.at {
			if err != nil {
				results[i].Err = c.s.classify(ctx, err)
			} else if raw, ok := values[n].(string); ok {
				e, err := parseEntry(bytesOf(raw))
				results[i] = driver.CacheResult{Found: err == nil, Value: e.Value, ExpiresAt: e.ExpiresAt, Err: c.s.classify(ctx, err)}
			}
		}
	case p.ends != nil:
		at, err := p.ends.Result()
		results[p.at[0]] = driver.CacheResult{Found: err == nil && at != -2, Err: c.s.classify(ctx, err)}
	default:
		answers, err := p.do.StringSlice()
		if err == nil && len(answers) != len(p.at) {
			err = errAnswer
		}
		for n, i := range p.at {
			if err != nil {
				results[i].Err = c.s.classify(ctx, err)
				continue
			}
			results[i] = c.result(answers[n], &ops[i])
		}
	}
}

func (c *cache) result(answer string, op *driver.CacheOp) driver.CacheResult {
	if answer == refusedInvalid {
		if op.TTL < 0 {
			return driver.CacheResult{Err: prism.InvalidField("ttl", "must not be negative")}
		}
		return driver.CacheResult{Err: prism.InvalidField("if", "is not a condition")}
	}
	r, err := c.s.result(answer, &driver.Op{Key: op.Key, Delta: op.Delta})
	if err != nil {
		return driver.CacheResult{Err: err}
	}
	return driver.CacheResult{Found: r.Found, Applied: r.Applied, Number: r.Number, ExpiresAt: r.ExpiresAt, Replayed: r.Replayed}
}

// lock runs the lock script on a key.
func (c *cache) lock(ctx context.Context, key prism.Key, args ...any) (word string, rest any, err error) {
	if err := c.s.enter(ctx); err != nil {
		return "", nil, err
	}
	defer c.s.leave()
	p := c.s.home(key.Namespace, key.Name)
	answer, err := c.s.run(ctx, lockScript, []string{p + kindEntry + key.Name, p + kindLock + key.Name}, args...).Slice()
	if err == nil && len(answer) != 2 {
		err = errAnswer
	}
	if err != nil {
		return "", nil, c.s.classify(ctx, err)
	}
	word, _ = answer[0].(string)
	return word, answer[1], nil
}

func (c *cache) Lock(ctx context.Context, key prism.Key, owner driver.LockOwner, hold time.Duration) (driver.CacheLease, error) {
	if hold <= 0 {
		return driver.CacheLease{}, prism.InvalidField("hold", "must be positive")
	}
	word, rest, err := c.lock(ctx, key, "lock", owner[:], ttlMillis(hold))
	if err != nil {
		return driver.CacheLease{}, err
	}
	switch rest := rest.(type) {
	case string:
		e, err := parseEntry([]byte(rest))
		return driver.CacheLease{Entry: e, Found: err == nil}, c.s.classify(ctx, err)
	case int64:
		return driver.CacheLease{Locked: word == "locked", Until: time.UnixMilli(rest)}, nil
	}
	return driver.CacheLease{}, c.s.classify(ctx, errAnswer)
}

func (c *cache) Fill(ctx context.Context, key prism.Key, owner driver.LockOwner, value []byte, ttl time.Duration) (bool, error) {
	if ttl < 0 {
		return false, prism.InvalidField("ttl", "must not be negative")
	}
	word, _, err := c.lock(ctx, key, "fill", owner[:], ttlMillis(ttl), value)
	return word == "done", err
}

func (c *cache) Unlock(ctx context.Context, key prism.Key, owner driver.LockOwner) (bool, error) {
	word, _, err := c.lock(ctx, key, "unlock", owner[:], 0)
	return word == "done", err
}
