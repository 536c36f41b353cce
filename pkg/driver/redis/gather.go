package redis

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Bounds of what goes to the server together.
const (
	// gatherAtOnce is how many pipelines are on their way before calls gather.
	gatherAtOnce = 2
	gatherCalls  = 128
	gatherBytes  = 256 << 10
	// gatherLarge is too large to be copied: such a call goes by itself.
	gatherLarge = 16 << 10
	// gatherAge is how long a call waits for those before it, which may be stuck.
	gatherAge = time.Millisecond
)

// A gatherer puts concurrent single calls together into pipelines. A call goes at
// once, by itself, while few are on their way; otherwise it joins those who wait,
// and all of them go when an answer comes. So a lone caller waits for nobody, and
// many callers share a round trip: their mutations of one namespace even a script.
type gatherer struct {
	s *store
	// Pipelines at once: before calls gather, and however long they take.
	few, most int

	mu      sync.Mutex
	running int
	queue   []*single // oldest first
	timer   *time.Timer
	armed   bool
	flying  sync.WaitGroup
}

// A single is one call that may share a pipeline: a GET, or an operation for a
// script.
type single struct {
	key    string // of a GET
	script *script
	prefix string // of the namespace
	args   []any  // of the script, for this operation
	size   int

	ctx   context.Context
	since time.Time
	done  chan struct{}
	text  string // the answer
	err   error  // redis.Nil: there is no such key
}

// gatherers are one for each node of a cluster, so that no node's calls wait for another's.
type gatherers struct {
	s     *store
	one   *gatherer // of a single server, and for a cluster whose nodes are not known
	nodes sync.Map  // address to *gatherer
}

func newGatherers(s *store) *gatherers { return &gatherers{s: s, one: newGatherer(s)} }

// of is the gatherer for what begins with a hash tag.
func (g *gatherers) of(ctx context.Context, key string) *gatherer {
	if g.s.cluster == nil {
		return g.one
	}
	node, err := g.s.cluster.MasterForKey(ctx, key)
	if err != nil {
		return g.one // whose call tells why
	}
	addr := node.Options().Addr
	if found, ok := g.nodes.Load(addr); ok {
		return found.(*gatherer)
	}
	found, _ := g.nodes.LoadOrStore(addr, newGatherer(g.s))
	return found.(*gatherer)
}

// close waits for what is on its way.
func (g *gatherers) close() {
	g.one.close()
	g.nodes.Range(func(_, node any) bool {
		node.(*gatherer).close()
		return true
	})
}

// get is the value of a key, redis.Nil if there is none.
func (g *gatherers) get(ctx context.Context, key string) (string, error) {
	return g.of(ctx, key).get(ctx, key)
}

// change has a script do one operation on what begins with a prefix.
func (g *gatherers) change(ctx context.Context, sc *script, prefix string, args []any) (string, error) {
	return g.of(ctx, prefix).change(ctx, sc, prefix, args)
}

func newGatherer(s *store) *gatherer {
	g := &gatherer{s: s, few: min(gatherAtOnce, s.options.PoolSize), most: s.options.PoolSize}
	g.timer = time.AfterFunc(time.Hour, g.late)
	return g
}

func (g *gatherer) close() {
	g.timer.Stop()
	g.flying.Wait()
}

func (g *gatherer) get(ctx context.Context, key string) (string, error) {
	if g.begin(0) {
		defer g.end()
		return g.s.client.Get(ctx, key).Result()
	}
	return g.wait(&single{key: key, ctx: ctx, size: len(key)})
}

func (g *gatherer) change(ctx context.Context, sc *script, prefix string, args []any) (string, error) {
	size := 0
	for _, a := range args {
		switch a := a.(type) {
		case []byte:
			size += len(a)
		case string:
			size += len(a)
		}
	}
	if g.begin(size) {
		defer g.end()
		answers, err := g.s.run(ctx, sc, g.s.keysOf(sc, prefix, args), append(g.s.common(prefix), args...)...).StringSlice()
		if err == nil && len(answers) != 1 {
			err = errAnswer
		}
		if err != nil {
			return "", err
		}
		return answers[0], nil
	}
	for i, a := range args {
		if b, ok := a.([]byte); ok {
			args[i] = slices.Clone(b) // the caller may be gone before it is sent
		}
	}
	return g.wait(&single{script: sc, prefix: prefix, args: args, ctx: ctx, size: size})
}

// begin reports whether a call of that size goes at once, by itself; then it is to
// be ended.
func (g *gatherer) begin(size int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if size > gatherLarge || g.running < g.few && len(g.queue) == 0 {
		g.running++
		return true
	}
	return false
}

func (g *gatherer) end() {
	g.mu.Lock()
	batch := g.next()
	g.mu.Unlock()
	if batch != nil {
		g.fly(batch)
	}
}

// next is what goes in place of what has come back, nil if nobody waits. g.mu is
// held.
func (g *gatherer) next() []*single {
	if len(g.queue) == 0 {
		g.running--
		return nil
	}
	n, size := 0, 0
	for n < len(g.queue) && n < gatherCalls && (n == 0 || size+g.queue[n].size <= gatherBytes) {
		size += g.queue[n].size
		n++
	}
	batch := g.queue[:n:n]
	g.queue = g.queue[n:]
	return batch
}

// fly sends batch, and what has gathered meanwhile, until nobody waits.
func (g *gatherer) fly(batch []*single) {
	g.flying.Go(func() {
		for batch != nil {
			g.send(batch)
			g.mu.Lock()
			batch = g.next()
			g.mu.Unlock()
		}
	})
}

// wait joins those who wait for the next pipeline. A caller who gives up leaves
// his operation behind, which may be done all the same.
func (g *gatherer) wait(c *single) (string, error) {
	c.done, c.since = make(chan struct{}), time.Now()
	g.mu.Lock()
	g.queue = append(g.queue, c)
	batch := g.overdue()
	g.mu.Unlock()
	if batch != nil {
		g.fly(batch)
	}
	select {
	case <-c.done:
		return c.text, c.err
	case <-c.ctx.Done():
		g.forget(c)
		return "", c.ctx.Err()
	}
}

// forget takes a call out of the queue, if it still stands there.
func (g *gatherer) forget(c *single) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.queue, c); i >= 0 {
		g.queue = slices.Delete(g.queue, i, i+1)
	}
}

// overdue is what goes although others are on their way: what has waited for
// long enough, or the few that may always go. Otherwise it sees to it that
// somebody looks again. g.mu is held.
func (g *gatherer) overdue() []*single {
	if len(g.queue) == 0 || g.running >= g.most {
		return nil
	}
	if left := gatherAge - time.Since(g.queue[0].since); left > 0 && g.running >= g.few {
		if !g.armed {
			g.armed = true
			g.timer.Reset(left)
		}
		return nil
	}
	g.running++
	return g.next()
}

// late is called when somebody may have waited for long enough.
func (g *gatherer) late() {
	g.mu.Lock()
	g.armed = false
	batch := g.overdue()
	if batch != nil && len(g.queue) > 0 {
		g.armed = true
		g.timer.Reset(gatherAge)
	}
	g.mu.Unlock()
	if batch != nil {
		g.fly(batch)
	}
}

// send sends a batch in one pipeline and hands out the answers.
func (g *gatherer) send(batch []*single) {
	ctx := latest(batch)
	parts := gathered(batch)
	err := g.s.pipe(ctx, parts, func(pipe caller, p *part) { g.add(ctx, pipe, p, batch) })
	for _, p := range parts {
		p.hand(batch, err)
	}
}

// gathered cuts a batch into commands: each GET is one, and the operations of a
// namespace for one script are one. Nothing orders calls that came together.
func gathered(batch []*single) (parts []*part) {
	type place struct {
		script *script
		prefix string
	}
	open := map[place]*part{}
	for i, c := range batch {
		to := place{c.script, c.prefix}
		p := open[to]
		if c.script == nil || p == nil || len(p.at) == stride {
			p = new(part)
			parts = append(parts, p)
			open[to] = p
		}
		p.at = append(p.at, i)
	}
	return parts
}

func (g *gatherer) add(ctx context.Context, pipe caller, p *part, batch []*single) {
	first := batch[p.at[0]]
	if first.script == nil {
		p.one = pipe.Get(ctx, first.key)
		return
	}
	args := g.s.common(first.prefix)
	common := len(args)
	for _, i := range p.at {
		args = append(args, batch[i].args...)
	}
	p.do = pipe.call(ctx, first.script, g.s.keysOf(first.script, first.prefix, args[common:]), args...)
}

// hand gives the answers of a part to those who wait; err is of the whole pipeline.
func (p *part) hand(batch []*single, err error) {
	var answers []string
	switch {
	case err != nil:
	case p.one != nil:
		var text string
		text, err = p.one.Result()
		answers = []string{text}
	default:
		if answers, err = p.do.StringSlice(); err == nil && len(answers) != len(p.at) {
			err = errAnswer
		}
	}
	for n, i := range p.at {
		c := batch[i]
		if c.err = err; err == nil {
			c.text = answers[n]
		}
		close(c.done)
	}
}

// A lasting context ends at a time and needs no timer: the connection has one.
type lasting struct {
	context.Context
	at time.Time
}

func (l lasting) Deadline() (time.Time, bool) { return l.at, true }

// latest is a context for all calls of a batch: it lasts as long as the most
// patient of them.
func latest(batch []*single) context.Context {
	var last time.Time
	for _, c := range batch {
		at, ok := c.ctx.Deadline()
		if !ok {
			return context.Background()
		}
		if at.After(last) {
			last = at
		}
	}
	return lasting{context.Background(), last}
}

// missing reports whether err says that there is no such key. One that holds the word is
// something else: a sentinel's that knows no such master.
func missing(err error) bool { return err == redis.Nil } //nolint:errorlint // see above
