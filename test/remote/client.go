package remote

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// Dial opens the set that is served at the Unix socket path. It has exactly
// the capabilities of the set behind it.
func Dial(path string) (driver.Set, error) {
	conn, err := net.Dial("unix", path)
	if err != nil {
		return driver.Set{}, err
	}
	c := &client{link: newLink(conn), pending: map[uint64]chan response{}, gone: make(chan struct{})}
	go c.read()
	hello, err := c.call(context.Background(), request{Call: callHello})
	if err != nil {
		return driver.Set{}, errors.Join(err, conn.Close())
	}
	var without []string
	for _, k := range driver.Capabilities() {
		if !slices.Contains(hello.Names, k.Name) {
			without = append(without, k.Name)
		}
	}
	hello.Info.Instant = false // a call waits for the other process
	s := driver.Fill(hello.Info, c).Without(without...)
	if s.KeyValueOrderedScan != nil {
		s.KeyValueOrderedScan = orderedScan{c}
	}
	return s, nil
}

// client is one connection; it has the methods of every capability.
type client struct {
	*link
	gone chan struct{} // closed with the connection

	state   sync.Mutex
	closing bool
	last    uint64
	pending map[uint64]chan response
	calls   sync.WaitGroup
}

func (c *client) read() {
	defer close(c.gone)
	for {
		var a response
		if c.dec.Decode(&a) != nil {
			return
		}
		c.state.Lock()
		answer := c.pending[a.ID]
		delete(c.pending, a.ID)
		c.state.Unlock()
		if answer != nil {
			answer <- a
		}
	}
}

// start gives q a number and a place for its answer; Close comes last.
func (c *client) start(q *request) (chan response, error) {
	c.state.Lock()
	defer c.state.Unlock()
	if c.closing {
		return nil, prism.New(prism.ReasonUnavailable, "the store is closed")
	}
	c.closing = q.Call == callClose
	c.calls.Add(1)
	c.last++
	q.ID = c.last
	answer := make(chan response, 1)
	c.pending[q.ID] = answer
	return answer, nil
}

// call sends q and waits for the answer. When ctx ends it says so to the other
// side and goes on waiting: the driver has the last word.
func (c *client) call(ctx context.Context, q request) (response, error) {
	if err := ctx.Err(); err != nil {
		return response{}, prism.From(err).WithCause(err)
	}
	if d, ok := ctx.Deadline(); ok {
		q.Timeout = max(time.Until(d), 1)
	}
	answer, err := c.start(&q)
	if err != nil {
		return response{}, err
	}
	defer c.calls.Done()
	lost := prism.New(prism.ReasonUnavailable, "the driver's process is gone")
	if c.send(q) != nil {
		return response{}, lost
	}
	done := ctx.Done()
	for {
		select {
		case a := <-answer:
			return a, verdict(ctx, a.Fault.unpack())
		case <-c.gone:
			select {
			case a := <-answer: // it came first
				return a, verdict(ctx, a.Fault.unpack())
			default:
				return response{}, lost
			}
		case <-done:
			done = nil
			_ = c.send(request{ID: q.ID, Call: callCancel})
		}
	}
}

// verdict gives a call that was ended by its caller the caller's own reason:
// over there a passed deadline may have looked like a cancellation.
func verdict(ctx context.Context, err error) error {
	if ctx.Err() == nil || err == nil {
		return err
	}
	if r := prism.From(err).Reason; r != prism.ReasonCancelled && r != prism.ReasonDeadlineExceeded {
		return err
	}
	return prism.From(ctx.Err()).WithCause(ctx.Err())
}

func (c *client) op(ctx context.Context, key prism.Key, op driver.Op) (driver.Result, error) {
	op.Key = key.Name
	a, err := c.call(ctx, request{Call: callOp, Namespace: key.Namespace, Ops: []driver.Op{op}})
	if len(a.Results) == 0 {
		return driver.Result{}, err
	}
	return a.Results[0], err
}

func (c *client) Health(ctx context.Context) driver.Health {
	a, err := c.call(ctx, request{Call: callHealth})
	if err != nil {
		return driver.Health{State: driver.Unhealthy, Message: err.Error()}
	}
	return a.Health
}

func (c *client) Usage(ctx context.Context, ns prism.Namespace) (driver.Usage, error) {
	a, err := c.call(ctx, request{Call: callUsage, Namespace: ns})
	return a.Usage, err
}

func (c *client) Drop(ctx context.Context, ns prism.Namespace) error {
	_, err := c.call(ctx, request{Call: callDrop, Namespace: ns})
	return err
}

// Close refuses new calls, closes the store over there, and waits for the
// answers that are still on their way.
func (c *client) Close() error {
	_, err := c.call(context.Background(), request{Call: callClose})
	if errors.Is(err, prism.ReasonUnavailable) {
		return nil // a second Close, or nobody left to close it
	}
	c.calls.Wait()
	return errors.Join(err, c.conn.Close())
}

func (c *client) Get(ctx context.Context, key prism.Key) (driver.Entry, bool, error) {
	r, err := c.op(ctx, key, driver.Op{Kind: driver.OpGet})
	return driver.Entry{Value: r.Value, Version: r.Version, ExpiresAt: r.ExpiresAt}, r.Found, err
}

func (c *client) Set(ctx context.Context, key prism.Key, value []byte, o driver.SetOptions, r driver.Receipt) (driver.Result, error) {
	return c.op(ctx, key, driver.Op{Kind: driver.OpSet, Value: value, Options: o, Receipt: r})
}

func (c *client) Delete(ctx context.Context, key prism.Key, r driver.Receipt) (driver.Result, error) {
	return c.op(ctx, key, driver.Op{Kind: driver.OpDelete, Receipt: r})
}

func (c *client) Exists(ctx context.Context, key prism.Key) (bool, error) {
	r, err := c.op(ctx, key, driver.Op{Kind: driver.OpExists})
	return r.Found, err
}

func (c *client) SetIf(ctx context.Context, key prism.Key, value []byte, i driver.Condition, o driver.SetOptions, r driver.Receipt) (driver.Result, error) {
	return c.op(ctx, key, driver.Op{Kind: driver.OpSetIf, Value: value, If: i, Options: o, Receipt: r})
}

func (c *client) DeleteIf(ctx context.Context, key prism.Key, i driver.Condition, r driver.Receipt) (driver.Result, error) {
	return c.op(ctx, key, driver.Op{Kind: driver.OpDeleteIf, If: i, Receipt: r})
}

func (c *client) Expire(ctx context.Context, key prism.Key, ttl time.Duration, r driver.Receipt) (driver.Result, error) {
	return c.op(ctx, key, driver.Op{Kind: driver.OpExpire, Options: driver.SetOptions{TTL: ttl}, Receipt: r})
}

func (c *client) ExpiresAt(ctx context.Context, key prism.Key) (time.Time, error) {
	r, err := c.op(ctx, key, driver.Op{Kind: driver.OpExpiresAt})
	return r.ExpiresAt, err
}

func (c *client) Persist(ctx context.Context, key prism.Key, r driver.Receipt) (driver.Result, error) {
	return c.op(ctx, key, driver.Op{Kind: driver.OpPersist, Receipt: r})
}

func (c *client) Touch(ctx context.Context, key prism.Key, r driver.Receipt) (driver.Result, error) {
	return c.op(ctx, key, driver.Op{Kind: driver.OpTouch, Receipt: r})
}

func (c *client) Increment(ctx context.Context, key prism.Key, delta int64, r driver.Receipt) (driver.Result, error) {
	return c.op(ctx, key, driver.Op{Kind: driver.OpIncrement, Delta: delta, Receipt: r})
}

func (c *client) Append(ctx context.Context, key prism.Key, value []byte, r driver.Receipt) (driver.Result, error) {
	return c.op(ctx, key, driver.Op{Kind: driver.OpAppend, Value: value, Receipt: r})
}

func (c *client) SetIfAbsent(ctx context.Context, key prism.Key, value []byte, o driver.SetOptions, r driver.Receipt) (driver.Result, error) {
	return c.op(ctx, key, driver.Op{Kind: driver.OpSetIfAbsent, Value: value, Options: o, Receipt: r})
}

func (c *client) GetAndSet(ctx context.Context, key prism.Key, value []byte, o driver.SetOptions, r driver.Receipt) (driver.Result, error) {
	return c.op(ctx, key, driver.Op{Kind: driver.OpGetAndSet, Value: value, Options: o, Receipt: r})
}

func (c *client) CompareAndSwap(ctx context.Context, key prism.Key, expected, value []byte, o driver.SetOptions, r driver.Receipt) (driver.Result, error) {
	return c.op(ctx, key, driver.Op{Kind: driver.OpCompareAndSwap, Expected: expected, Value: value, Options: o, Receipt: r})
}

func (c *client) CompareAndDelete(ctx context.Context, key prism.Key, expected []byte, r driver.Receipt) (driver.Result, error) {
	return c.op(ctx, key, driver.Op{Kind: driver.OpCompareAndDelete, Expected: expected, Receipt: r})
}

func (c *client) Scan(ctx context.Context, ns prism.Namespace, q driver.Query, token []byte) (driver.Page, error) {
	a, err := c.call(ctx, request{Call: callScan, Namespace: ns, Query: q, Token: seal(token)})
	return driver.Page{Entries: a.Entries, Next: a.Token.open()}, err
}

func (c *client) Count(ctx context.Context, ns prism.Namespace, q driver.Query) (int64, error) {
	a, err := c.call(ctx, request{Call: callCount, Namespace: ns, Query: q})
	return a.Count, err
}

func (c *client) First(ctx context.Context, ns prism.Namespace, q driver.Query) (driver.Entry, bool, error) {
	a, err := c.call(ctx, request{Call: callFirst, Namespace: ns, Query: q})
	if len(a.Entries) == 0 {
		return driver.Entry{}, false, err
	}
	return a.Entries[0], a.Found, err
}

// orderedScan asks the other capability of the same two method names.
type orderedScan struct{ *client }

func (c orderedScan) Scan(ctx context.Context, ns prism.Namespace, q driver.Query, token []byte) (driver.Page, error) {
	a, err := c.call(ctx, request{Call: callOrderedScan, Namespace: ns, Query: q, Token: seal(token)})
	return driver.Page{Entries: a.Entries, Next: a.Token.open()}, err
}

func (c orderedScan) Count(ctx context.Context, ns prism.Namespace, q driver.Query) (int64, error) {
	a, err := c.call(ctx, request{Call: callOrderedCount, Namespace: ns, Query: q})
	return a.Count, err
}

func (c *client) Batch(ctx context.Context, ns prism.Namespace, ops []driver.Op, results []driver.Result) error {
	a, err := c.call(ctx, request{Call: callBatch, Namespace: ns, Ops: ops})
	copy(results, a.Results)
	for i, f := range a.Faults {
		results[i].Err = f.unpack()
	}
	return err
}

func (c *client) Commit(ctx context.Context, ns prism.Namespace, checks []driver.Check, writes []driver.Op, r driver.Receipt) ([]driver.Result, error) {
	a, err := c.call(ctx, request{Call: callCommit, Namespace: ns, Checks: checks, Ops: writes, Receipt: r})
	return a.Results, err
}

func (c *client) Watch(ctx context.Context, ns prism.Namespace, prefix string, after driver.Position) (driver.Watcher, error) {
	a, err := c.call(ctx, request{Call: callWatch, Namespace: ns, Prefix: prefix, Token: seal(after)})
	if err != nil {
		return nil, err
	}
	return &watcher{c, a.Handle}, nil
}

func (c *client) Export(ctx context.Context, ns prism.Namespace, keys []string, receipts []driver.ReceiptID) (driver.Parcel, error) {
	a, err := c.call(ctx, request{Call: callExport, Namespace: ns, Keys: keys, Receipts: receipts})
	return a.Parcel, err
}

func (c *client) ExportReceipts(ctx context.Context, ns prism.Namespace, token []byte, limit int) (driver.Parcel, []byte, error) {
	a, err := c.call(ctx, request{Call: callExportReceipts, Namespace: ns, Token: seal(token), Query: driver.Query{Limit: limit}})
	return a.Parcel, a.Token.open(), err
}

func (c *client) Import(ctx context.Context, ns prism.Namespace, p driver.Parcel) error {
	_, err := c.call(ctx, request{Call: callImport, Namespace: ns, Parcel: p})
	return err
}

// watcher is a handle on one of the other side's.
type watcher struct {
	c      *client
	handle uint64
}

func (w *watcher) Next(ctx context.Context) (driver.Changes, error) {
	a, err := w.c.call(ctx, request{Call: callNext, Handle: w.handle})
	return driver.Changes{Changes: a.Changes, Position: a.Token.open()}, err
}

func (w *watcher) Close() error {
	_, err := w.c.call(context.Background(), request{Call: callCloseWatch, Handle: w.handle})
	return err
}
