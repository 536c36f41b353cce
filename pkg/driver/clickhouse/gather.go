package clickhouse

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// maxWaiting is how many calls may wait for room in a block; one more is
// refused.
const maxWaiting = 4096

// A gatherer puts the events of concurrent appends, of whatever namespaces,
// together into blocks. A block goes when no other is on its way, when it is
// full, half full while a connection is idle, or old; so a lone caller waits for nobody, and many callers
// share the large blocks that the server wants. There are as many blocks as
// connections and one more: when all are full, callers wait.
type gatherer struct {
	s *store

	// turn is held by the one caller who may put events into the open block;
	// the others stand in line.
	turn    chan struct{}
	waiting atomic.Int64

	mu     sync.Mutex
	open   *block
	free   []*block
	made   int
	flying int
	// landed is closed, and made anew, when a block has come back.
	landed chan struct{}
	timer  *time.Timer
	seq    uint64
	busy   sync.WaitGroup
}

func newGatherer(s *store) *gatherer {
	// The order of events of one time, and their identity there, is their
	// number; processes begin anywhere in 64 bits, so theirs do not meet.
	g := &gatherer{s: s, turn: make(chan struct{}, 1), landed: make(chan struct{}), seq: rand.Uint64()}
	g.timer = time.AfterFunc(time.Hour, g.late)
	return g
}

// close waits for what is on its way.
func (g *gatherer) close() {
	g.timer.Stop()
	g.busy.Wait()
}

// add puts the events of a claim into a block, with which the claim is settled.
func (g *gatherer) add(ctx context.Context, ns prism.Namespace, batch *driver.EventBatch, c *claim) error {
	if g.waiting.Add(1) > maxWaiting {
		g.waiting.Add(-1)
		return prism.New(prism.ReasonOverloaded, "backend %q: %d appends wait for the server", g.s.name, maxWaiting).WithBackend(g.s.name)
	}
	defer g.waiting.Add(-1)
	select {
	case g.turn <- struct{}{}:
	case <-ctx.Done():
		return prism.From(ctx.Err())
	}
	defer func() { <-g.turn }()
	b, err := g.room(ctx, c.rows(batch), size(batch))
	if err != nil {
		return err
	}
	b.append(ns, batch, c.keep, g.seq)
	g.seq += uint64(c.rows(batch))
	b.bytes += size(batch)
	b.claims = append(b.claims, c)
	b.ctxs = append(b.ctxs, ctx)
	g.mu.Lock()
	defer g.mu.Unlock()
	b.filling = false
	g.launch()
	return nil
}

// room is the open block when so many rows and bytes fit into it, marked as being
// filled, so that nobody sends it meanwhile. The turn is the caller's.
func (g *gatherer) room(ctx context.Context, rows, bytes int) (*block, error) {
	for {
		g.mu.Lock()
		if g.open == nil && (len(g.free) > 0 || g.made <= g.s.options.InsertConnections) {
			g.open = g.fresh()
		}
		if b := g.open; b != nil && (b.rows() == 0 || b.rows()+rows <= g.s.options.Batch.Rows && b.bytes+bytes <= g.s.options.Batch.Bytes) {
			b.filling = true
			g.mu.Unlock()
			return b, nil
		}
		if g.open != nil && g.flying < g.s.options.InsertConnections {
			g.send()
			g.mu.Unlock()
			continue
		}
		landed := g.landed
		g.mu.Unlock()
		select {
		case <-landed:
		case <-ctx.Done():
			return nil, prism.From(ctx.Err())
		}
	}
}

// fresh is an empty block. g.mu is held.
func (g *gatherer) fresh() *block {
	if n := len(g.free); n > 0 {
		b := g.free[n-1]
		g.free = g.free[:n-1]
		return b
	}
	g.made++
	return newBlock(g.s.layout)
}

// launch sends the open block if it is time, or sees to it that somebody looks
// again. g.mu is held.
func (g *gatherer) launch() {
	b := g.open
	if b == nil || b.filling || b.rows() == 0 {
		return
	}
	if b.since.IsZero() {
		b.since = time.Now()
	}
	if g.flying >= g.s.options.InsertConnections {
		return
	}
	left := g.s.options.Batch.Age - time.Since(b.since)
	if g.flying > 0 && left > 0 && 2*b.rows() < g.s.options.Batch.Rows && 2*b.bytes < g.s.options.Batch.Bytes {
		g.timer.Reset(left)
		return
	}
	g.send()
}

// late is called when a block may have become old.
func (g *gatherer) late() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.launch()
}

// send sends the open block. g.mu is held.
func (g *gatherer) send() {
	b := g.open
	g.open = nil
	g.flying++
	g.busy.Go(func() {
		err := g.insert(b)
		for _, c := range b.claims {
			c.settle(g.s.clock.Now(), err)
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		g.flying--
		b.reset()
		g.free = append(g.free, b)
		close(g.landed)
		g.landed = make(chan struct{})
		g.launch()
	})
}

// Waits before a block is sent again.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 2 * time.Second
)

// insert sends a block, again when it certainly is not stored or the server
// knows it by its token, for as long as its most patient caller waits.
func (g *gatherer) insert(b *block) error {
	ctx, ours, cancel := latest(b.ctxs, g.s.options.Timeout)
	defer cancel()
	b.token = strconv.FormatUint(rand.Uint64(), 36) + "-" + strconv.FormatUint(b.seqs[0], 36)
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := g.s.inserts.insert(ctx, g.s.insertInto, b)
		again := exceptionCode(err) == codeTooManyParts || errors.Is(err, errLost) && g.s.layout.modern
		switch {
		case err != nil && ours && late(ctx): // the callers have time left
			return g.s.classify(context.Background(), errors.Join(errLost, err))
		case err == nil || !again || ctx.Err() != nil:
			return g.s.classify(ctx, err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return g.s.classify(context.Background(), err)
		}
	}
}

// latest is a context for all callers of a block: it lasts as long as the most
// patient of them, and not for ever; ours tells which.
func latest(ctxs []context.Context, most time.Duration) (_ context.Context, ours bool, _ context.CancelFunc) {
	end := time.Now().Add(most)
	last := time.Time{}
	for _, ctx := range ctxs {
		at, ok := ctx.Deadline()
		if !ok || at.After(end) {
			at, ours = end, true
		}
		if at.After(last) {
			last = at
		}
	}
	ctx, cancel := context.WithDeadline(context.Background(), last)
	return ctx, ours, cancel
}

// inFlight is how many blocks are on their way.
func (g *gatherer) inFlight() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.flying
}
