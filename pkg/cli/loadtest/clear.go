package loadtest

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/prism-data-layer/prism/loadtest/workload/kv"
	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/prism"
)

const (
	// clearBatch is the most that one call may name.
	clearBatch = 1000
	// clearBound is how long clearing up may take, and clearSoon how long once
	// a person has pressed Ctrl-C; a second Ctrl-C ends it at once.
	clearBound = 5 * time.Minute
	clearSoon  = 3 * time.Second
)

// clearUp deletes the keys of this run, by name: nothing is scanned, so nothing
// else can be hit.
func (o *runOptions) clearUp(ctx context.Context, s store, c kv.Config, ns string) error {
	if o.Keep {
		fmt.Fprintf(o.IO.ErrOut, "left %s in %s, under %s\n", cli.Plural(int64(c.Keys), "key"), ns, c.Prefix)
		return nil
	}
	bound := clearBound
	if ctx.Err() != nil {
		bound = clearSoon
	}
	calls, cancel := context.WithTimeout(context.WithoutCancel(ctx), bound)
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(clearSoon, cancel) })()
	keys := make([]string, 0, clearBatch)
	for i := uint64(0); i < c.Keys; {
		keys = keys[:0]
		for ; i < c.Keys && len(keys) < clearBatch; i++ {
			keys = append(keys, c.Prefix+strconv.FormatUint(i, 10))
		}
		if err := s.DeleteAll(calls, keys); err != nil {
			return cli.Partial("prismctl kv scan -n "+ns+" --prefix "+c.Prefix, "the keys of the load test could not all be deleted: %s", prism.From(err).Message)
		}
	}
	fmt.Fprintf(o.IO.ErrOut, "deleted the keys of this run under %s\n", c.Prefix)
	return nil
}
