package redis

import (
	"context"
	_ "embed" // the scripts
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// Work queues and topics are lines: each has a hash tag of its own,
// {p1:<length>:<namespace>:q:<queue>} or {p1:<length>:<namespace>:t:<topic>}, so
// that a cluster spreads them, and what one script touches lies in one slot. A
// hash in the namespace's own slot has their names, and of what kind each is.
type lineKind struct {
	tag   string // in their keys, and with their names
	word  string // in what is told of them
	sweep *script
	drop  *script
}

//go:embed lua/ledger.lua
var ledgerText string

//go:embed lua/lines_claim.lua
var claimText string

//go:embed lua/lines_next.lua
var nextText string

var (
	claimScript = newScript(claimText, nil)
	nextScript  = newScript(nextText, nil)
	lineScripts = slices.Concat([]*script{claimScript, nextScript}, queueScripts, topicScripts)

	queueLines = &lineKind{tag: "q", word: "work", sweep: queueSweepScript, drop: queueDropScript}
	topicLines = &lineKind{tag: "t", word: "log", sweep: topicSweepScript, drop: topicDropScript}
)

// lineOf is the kind with a tag.
func lineOf(tag string) *lineKind {
	if tag == topicLines.tag {
		return topicLines
	}
	return queueLines
}

// linesKey lists the queues and topics of all namespaces by when to look at
// them: each as the tag of its kind and the prefix of its keys.
const linesKey = "{p1}lines"

// kindNames is the key of a namespace with its lines by name.
const kindNames = "N"

// prefix is what the keys of a line begin with.
func (k *lineKind) prefix(ns prism.Namespace, name string) string {
	return "{p1:" + strconv.Itoa(len(ns)) + ":" + string(ns) + ":" + k.tag + ":" + name + "}"
}

// makeLine makes a queue or a topic with a script that answers 1 if it was not
// there. Its name is noted before, so that Drop meets whatever there is and a
// name that two gateways make at once is of one kind, and after, should a Drop
// have come between.
func (s *store) makeLine(ctx context.Context, k *lineKind, ns prism.Namespace, name string, script *script, args ...any) (int64, error) {
	home, p := prefix(ns), k.prefix(ns, name)
	pipe := s.client.Pipeline()
	used := pipe.HGet(ctx, home+kindMeta, "v")
	pipe.HSetNX(ctx, home+kindNames, name, k.tag)
	tag := pipe.HGet(ctx, home+kindNames, name)
	if _, err := pipe.Exec(ctx); err != nil && !missing(err) {
		return 0, s.classify(ctx, err)
	}
	if tag.Val() != k.tag {
		is := lineOf(tag.Val()).word
		return 0, prism.New(prism.ReasonWrongKind, "%q is there, of kind %s", name, is).WithMeta("kind", is).WithNamespace(ns)
	}
	floor, _ := used.Uint64()
	made, err := s.run(ctx, script, []string{p + kindMeta}, append(args, floor)...).Int64()
	if err != nil || made != 1 {
		return made, s.classify(ctx, err)
	}
	pipe = s.client.Pipeline()
	pipe.HSetNX(ctx, home+kindNames, name, k.tag)
	pipe.ZAdd(ctx, linesKey, redis.Z{Member: k.tag + p})
	_, err = pipe.Exec(ctx)
	return made, s.classify(ctx, err)
}

// notedLines lists what is noted of a kind, by name.
func (s *store) notedLines(ctx context.Context, k *lineKind, ns prism.Namespace) ([]string, error) {
	noted, err := s.client.HGetAll(ctx, prefix(ns)+kindNames).Result()
	if err != nil {
		return nil, s.classify(ctx, err)
	}
	var names []string
	for name, tag := range noted {
		if tag == k.tag {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// lineNames lists the queues or topics of a namespace by name. One whose making
// was cut short is not there.
func (s *store) lineNames(ctx context.Context, k *lineKind, ns prism.Namespace) ([]string, error) {
	names, err := s.notedLines(ctx, k, ns)
	if err != nil || len(names) == 0 {
		return nil, err
	}
	pipe := s.client.Pipeline()
	there := make([]*redis.IntCmd, len(names))
	for i, name := range names {
		there[i] = pipe.Exists(ctx, k.prefix(ns, name)+kindMeta)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, s.classify(ctx, err)
	}
	found := names[:0]
	for i, name := range names {
		if there[i].Val() == 1 {
			found = append(found, name)
		}
	}
	return found, nil
}

// dropLines removes the queues and topics of a namespace, and tells the last
// number that any of them used up.
func (s *store) dropLines(ctx context.Context, ns prism.Namespace) (used uint64, err error) {
	for _, k := range []*lineKind{queueLines, topicLines} {
		names, err := s.notedLines(ctx, k, ns)
		if err != nil {
			return 0, err
		}
		for _, name := range names {
			p := k.prefix(ns, name)
			v, err := s.onLine(ctx, k.drop, p).Uint64()
			if err != nil && !missing(err) {
				return 0, s.classify(ctx, err)
			}
			used = max(used, v)
		}
	}
	return used, nil
}

// usageOfLines adds what the queues and topics of a namespace hold.
func (s *store) usageOfLines(ctx context.Context, ns prism.Namespace, u *driver.Usage) error {
	pipe := s.client.Pipeline()
	var keys, bytes []*redis.StringCmd
	var held, receipts []*redis.IntCmd
	for _, k := range []*lineKind{queueLines, topicLines} {
		names, err := s.lineNames(ctx, k, ns)
		if err != nil {
			return err
		}
		for _, name := range names {
			p := k.prefix(ns, name)
			if k == queueLines {
				held = append(held, pipe.HLen(ctx, p+kindKnown))
			} else {
				keys = append(keys, pipe.HGet(ctx, p+kindMeta, "n"))
			}
			bytes = append(bytes, pipe.HGet(ctx, p+kindMeta, "b"))
			receipts = append(receipts, pipe.ZCard(ctx, p+kindOrder))
		}
	}
	if len(bytes) == 0 {
		return nil
	}
	if _, err := pipe.Exec(ctx); err != nil && !missing(err) {
		return s.classify(ctx, err)
	}
	for _, n := range held {
		u.Keys += n.Val()
	}
	for _, n := range receipts {
		u.Receipts += n.Val()
	}
	sum := func(cmds []*redis.StringCmd) (all int64) {
		for _, cmd := range cmds {
			n, _ := cmd.Int64()
			all += n
		}
		return all
	}
	u.Keys, u.Bytes = u.Keys+sum(keys), u.Bytes+sum(bytes)
	return nil
}

const (
	// linesEvery is how often a gateway asks which queues and topics are due.
	linesEvery = time.Second
	// claimTime is how long a gateway has them for itself.
	claimTime = 30 * time.Second
)

// sweepLines does what time has brought where nobody looks: what is past its
// retention goes, and receipts that have ended.
func (s *store) sweepLines(ctx context.Context) error {
	claimed, err := s.run(ctx, claimScript, []string{linesKey}, claimTime.Milliseconds(), 100).StringSlice()
	if err != nil || len(claimed) == 0 {
		return s.classify(ctx, err)
	}
	for _, member := range claimed[1:] {
		again, err := s.sweepLine(ctx, lineOf(member[:1]), member[1:])
		if err == nil {
			err = s.run(ctx, nextScript, []string{linesKey}, member, claimed[0], again).Err()
		}
		if err != nil {
			return s.classify(ctx, err)
		}
	}
	return nil
}

// sweepLine says in how many milliseconds to come again; -1: never.
func (s *store) sweepLine(ctx context.Context, k *lineKind, p string) (again int64, err error) {
	for again == 0 {
		select {
		case <-s.closing:
			return 0, nil
		default:
		}
		again, err = s.onLine(ctx, k.sweep, p).Int64()
		switch {
		case missing(err):
			return -1, nil
		case err != nil:
			return 0, err
		}
	}
	return again, nil
}
