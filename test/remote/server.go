package remote

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// Serve answers calls on set until l is closed, and returns when the last
// connection is done.
func Serve(l net.Listener, set driver.Set) error {
	var conns sync.WaitGroup
	defer conns.Wait()
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		conns.Go(func() { newServer(c, set).run() })
	}
}

// server is one connection.
type server struct {
	*link
	set   driver.Set
	calls sync.WaitGroup

	state    sync.Mutex
	cancels  map[uint64]context.CancelFunc
	watchers map[uint64]driver.Watcher
	handles  uint64
}

func newServer(c net.Conn, set driver.Set) *server {
	return &server{
		link: newLink(c), set: set,
		cancels: map[uint64]context.CancelFunc{}, watchers: map[uint64]driver.Watcher{},
	}
}

// run reads until the caller goes away; what it left open ends with it.
func (s *server) run() {
	root, stop := context.WithCancel(context.Background())
	for {
		var q request
		if s.dec.Decode(&q) != nil {
			break
		}
		if q.Call == callCancel {
			s.state.Lock()
			cancel := s.cancels[q.ID]
			s.state.Unlock()
			if cancel != nil {
				cancel()
			}
			continue
		}
		ctx, cancel := within(root, q.Timeout)
		s.state.Lock()
		s.cancels[q.ID] = cancel
		s.state.Unlock()
		s.calls.Go(func() {
			a := s.answer(ctx, &q)
			cancel()
			s.state.Lock()
			delete(s.cancels, q.ID)
			s.state.Unlock()
			a.ID = q.ID
			// An answer that cannot be sent has nobody left to read it.
			_ = s.send(a)
		})
	}
	stop()
	s.calls.Wait()
	for _, w := range s.watchers {
		_ = w.Close()
	}
	_ = s.conn.Close()
}

// within bounds ctx by a timeout, if there is one.
func within(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if timeout == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, timeout)
}

func (s *server) answer(ctx context.Context, q *request) (a response) {
	var err error
	var page driver.Page
	var entry driver.Entry
	switch q.Call {
	case callHello:
		a.Info, a.Names = s.set.Info, s.set.Names()
	case callHealth:
		a.Health = s.set.Store.Health(ctx)
	case callUsage:
		a.Usage, err = s.set.Store.Usage(ctx, q.Namespace)
	case callDrop:
		err = s.set.Store.Drop(ctx, q.Namespace)
	case callClose:
		err = s.set.Store.Close()
	case callOp:
		a.Results = make([]driver.Result, 1)
		a.Results[0], err = apply(ctx, s.set, q.Namespace, q.Ops[0])
	case callScan:
		page, err = s.set.KeyValueScan.Scan(ctx, q.Namespace, q.Query, q.Token.open())
		a.Entries, a.Token = page.Entries, seal(page.Next)
	case callOrderedScan:
		page, err = s.set.KeyValueOrderedScan.Scan(ctx, q.Namespace, q.Query, q.Token.open())
		a.Entries, a.Token = page.Entries, seal(page.Next)
	case callCount:
		a.Count, err = s.set.KeyValueScan.Count(ctx, q.Namespace, q.Query)
	case callOrderedCount:
		a.Count, err = s.set.KeyValueOrderedScan.Count(ctx, q.Namespace, q.Query)
	case callFirst:
		entry, a.Found, err = s.set.KeyValueOrderedScan.First(ctx, q.Namespace, q.Query)
		a.Entries = []driver.Entry{entry}
	case callBatch:
		a.Results, a.Faults = make([]driver.Result, len(q.Ops)), map[int]fault{}
		err = s.set.KeyValueBatch.Batch(ctx, q.Namespace, q.Ops, a.Results)
		for i := range a.Results {
			if f := pack(a.Results[i].Err); f != nil {
				a.Faults[i], a.Results[i].Err = *f, nil
			}
		}
	case callCommit:
		a.Results, err = s.set.KeyValueTransactional.Commit(ctx, q.Namespace, q.Checks, q.Ops, q.Receipt)
	case callWatch:
		a.Handle, err = s.watch(ctx, q)
	case callNext:
		var c driver.Changes
		c, err = s.watcher(q.Handle).Next(ctx)
		a.Changes, a.Token = c.Changes, seal(c.Position)
	case callCloseWatch:
		err = s.watcher(q.Handle).Close()
	case callExport:
		a.Parcel, err = s.set.KeyValueMove.Export(ctx, q.Namespace, q.Keys, q.Receipts)
	case callExportReceipts:
		var next []byte
		a.Parcel, next, err = s.set.KeyValueMove.ExportReceipts(ctx, q.Namespace, q.Token.open(), q.Query.Limit)
		a.Token = seal(next)
	case callImport:
		err = s.set.KeyValueMove.Import(ctx, q.Namespace, q.Parcel)
	default:
		err = prism.New(prism.ReasonUnimplemented, "no call %d", q.Call)
	}
	a.Fault = pack(err)
	return a
}

func (s *server) watch(ctx context.Context, q *request) (uint64, error) {
	w, err := s.set.KeyValueWatch.Watch(ctx, q.Namespace, q.Prefix, q.Token.open())
	if err != nil {
		return 0, err
	}
	s.state.Lock()
	defer s.state.Unlock()
	s.handles++
	s.watchers[s.handles] = w
	return s.handles, nil
}

func (s *server) watcher(handle uint64) driver.Watcher {
	s.state.Lock()
	defer s.state.Unlock()
	return s.watchers[handle]
}

// apply runs op by the method of its name.
func apply(ctx context.Context, s driver.Set, ns prism.Namespace, op driver.Op) (r driver.Result, err error) {
	key := prism.Key{Namespace: ns, Name: op.Key}
	switch op.Kind {
	case driver.OpGet:
		var e driver.Entry
		e, r.Found, err = s.KeyValue.Get(ctx, key)
		r.Value, r.Version, r.ExpiresAt = e.Value, e.Version, e.ExpiresAt
		return r, err
	case driver.OpExists:
		r.Found, err = s.KeyValue.Exists(ctx, key)
		return r, err
	case driver.OpExpiresAt:
		r.ExpiresAt, err = s.KeyValueTTL.ExpiresAt(ctx, key)
		return r, err
	case driver.OpSet:
		return s.KeyValue.Set(ctx, key, op.Value, op.Options, op.Receipt)
	case driver.OpSetIf:
		return s.KeyValueVersioned.SetIf(ctx, key, op.Value, op.If, op.Options, op.Receipt)
	case driver.OpDelete:
		return s.KeyValue.Delete(ctx, key, op.Receipt)
	case driver.OpDeleteIf:
		return s.KeyValueVersioned.DeleteIf(ctx, key, op.If, op.Receipt)
	case driver.OpExpire:
		return s.KeyValueTTL.Expire(ctx, key, op.Options.TTL, op.Receipt)
	case driver.OpPersist:
		return s.KeyValueTTL.Persist(ctx, key, op.Receipt)
	case driver.OpTouch:
		return s.KeyValueTTL.Touch(ctx, key, op.Receipt)
	case driver.OpIncrement:
		return s.KeyValueAtomic.Increment(ctx, key, op.Delta, op.Receipt)
	case driver.OpAppend:
		return s.KeyValueAtomic.Append(ctx, key, op.Value, op.Receipt)
	case driver.OpSetIfAbsent:
		return s.KeyValueAtomic.SetIfAbsent(ctx, key, op.Value, op.Options, op.Receipt)
	case driver.OpGetAndSet:
		return s.KeyValueAtomic.GetAndSet(ctx, key, op.Value, op.Options, op.Receipt)
	case driver.OpCompareAndSwap:
		return s.KeyValueCAS.CompareAndSwap(ctx, key, op.Expected, op.Value, op.Options, op.Receipt)
	case driver.OpCompareAndDelete:
		return s.KeyValueCAS.CompareAndDelete(ctx, key, op.Expected, op.Receipt)
	}
	return r, prism.New(prism.ReasonUnimplemented, "no operation %d", op.Kind)
}
