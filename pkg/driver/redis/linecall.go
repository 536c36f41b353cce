package redis

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// answerBytes is about how much one script gives back: it keeps the server to
// itself meanwhile. partBytes is how much one takes.
const (
	answerBytes = 4 << 20
	partBytes   = 1 << 20
)

// onLine runs a script on a line. What is not there is redis.Nil.
func (s *store) onLine(ctx context.Context, script *script, p string, args ...any) *redis.Cmd {
	return s.run(ctx, script, s.lineKeys(ctx, script, p), s.lineArgs(p, args)...)
}

// lineKeys are those that a script of a line takes: on a cluster all that it
// touches, as with keys.
func (s *store) lineKeys(ctx context.Context, script *script, p string) []string {
	keys := []string{p + kindMeta}
	if s.slots == nil {
		return keys
	}
	for _, kind := range script.kinds {
		keys = append(keys, p+kind)
	}
	if len(script.each) == 0 {
		return keys
	}
	for n := range s.partitionsOf(ctx, p) {
		for _, kind := range script.each {
			keys = append(keys, p+kind+strconv.Itoa(n))
		}
	}
	return keys
}

// partitionsOf is how many partitions a topic has, which is fixed when it is made; 0
// if it is not there. One that was dropped and made anew with more of them has keys
// that are not named: then a script may break off while its slot moves to another node.
func (s *store) partitionsOf(ctx context.Context, p string) int {
	if n, ok := s.partitions.Load(p); ok {
		return n.(int)
	}
	n, err := s.client.HGet(ctx, p+kindMeta, "p").Int()
	if err == nil {
		s.partitions.Store(p, n)
	}
	return n
}

// An answered reads the answer of a script, one value after the other.
type answered struct {
	values []any
	broken bool
}

func (a *answered) text() (v string) {
	if len(a.values) > 0 {
		var ok bool
		if v, ok = a.values[0].(string); ok {
			a.values = a.values[1:]
			return v
		}
	}
	a.broken, a.values = true, nil
	return ""
}

// number reads an integer, or text that is one.
func (a *answered) number() (n int64) {
	if len(a.values) > 0 {
		switch v := a.values[0].(type) {
		case int64:
			a.values = a.values[1:]
			return v
		case string:
			if n, err := strconv.ParseInt(v, 10, 64); err == nil {
				a.values = a.values[1:]
				return n
			}
		}
	}
	a.broken, a.values = true, nil
	return 0
}

// time reads milliseconds, 0 for none.
func (a *answered) time() (t time.Time) {
	if ms := a.number(); ms != 0 {
		t = time.UnixMilli(ms)
	}
	return t
}

// lineArgs are the arguments that every script of a line has, and more.
func (s *store) lineArgs(p string, more []any) []any {
	return append([]any{p, s.channel(p), s.options.Receipts}, more...)
}

// runs are parts of a batch, each what one script does: up to stride places and
// partBytes, one place at least.
type runs struct {
	parts []*part
	bytes int // of the last
}

func (r *runs) add(i, size int) {
	if n := len(r.parts); n == 0 || len(r.parts[n-1].at) == stride || r.bytes+size > partBytes {
		r.parts, r.bytes = append(r.parts, new(part)), 0
	}
	last := r.parts[len(r.parts)-1]
	last.at = append(last.at, i)
	r.bytes += size
}

// onLineRuns runs a script for each part, in one pipeline: head and what add adds
// for each place are its arguments. Each place is given its answer or an error.
// The error is for all, redis.Nil if the line is not there.
func (s *store) onLineRuns(
	ctx context.Context, script *script, p string, head []any, r *runs,
	add func(args []any, i int) []any, give func(i int, answer string, err error),
) error {
	parts := r.parts
	if len(parts) == 0 {
		parts = []*part{{}} // whether the line is there is asked in any case
	}
	keys := s.lineKeys(ctx, script, p)
	err := s.pipe(ctx, parts, func(pipe caller, part *part) {
		args := s.lineArgs(p, head)
		for _, i := range part.at {
			args = add(args, i)
		}
		part.do = pipe.call(ctx, script, keys, args...)
	})
	if err != nil {
		return err
	}
	for _, part := range parts {
		answers, err := part.do.StringSlice()
		switch {
		case missing(err), len(part.at) == 0 && err != nil:
			return err
		case err == nil && len(answers) < len(part.at):
			err = errAnswer
		}
		for n, i := range part.at {
			if err != nil {
				give(i, "", err)
			} else {
				give(i, answers[n], nil)
			}
		}
	}
	return nil
}
