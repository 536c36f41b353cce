package keyvalue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Phase is how far a move is.
type Phase string

// The phases, in order. From each a move may fall back to one before.
const (
	Copying   Phase = "copying"     // what is there
	CatchUp   Phase = "catching up" // with what was changed meanwhile
	Verifying Phase = "verifying"   // everything, key by key
	Switching Phase = "switching"   // writes are held
)

// Progress is what a move can tell of itself.
type Progress struct {
	Phase    Phase
	Total    int64 // keys, as the source counted them at the beginning
	Seen     int64 // keys of the source that this pass has looked at
	Copied   int64 // keys that were stored on the target, again ones too
	Bytes    int64 // of their values
	Receipts int64
	Lag      int64 // keys that were changed and not copied yet
	Verified int64 // keys that were the same on both
	Holds    int64 // how often writes were held
	Held     time.Duration
}

// Marks are where a move began to listen: what ended on one side since then and
// not on the other is found in the histories.
type Marks struct{ Source, Target driver.Position }

// An Arrival is what must be kept of a move that is about to be done.
type Arrival struct {
	Former
	Progress
}

// A Move takes a namespace from the backend where it is to another, while it is
// used. Only one runs in a namespace.
type Move struct {
	Place     *Place
	Namespace prism.Namespace
	To        driver.Set
	Clock     clock.Clock

	KeysPerSecond  int64 // of the copy; 0: no bound
	BytesPerSecond int64

	// Exclusive runs f while nobody else changes namespaces; nil: nobody does.
	Exclusive func(f func() error) error
	// Settle makes the new binding durable. It runs while writes are held; an
	// error means that the old one is in force.
	Settle func(Arrival) error
	// Report is told how it goes; nil: nobody asks.
	Report func(Progress)

	// Marks are where an earlier Run began, which was interrupted and has left
	// its copy on the target; nil: there was none, and the target is empty.
	Marks *Marks
	// Mark keeps where this one begins; nil: nobody would go on with it.
	Mark func(Marks) error

	from     *driver.Set
	tail     *tail
	at       driver.Position          // of the source's history
	lag      map[string]driver.Change // the last that the source told of what was changed; zero: only the tail did
	receipts []driver.KeptReceipt
	unsure   []driver.ReceiptID
	suspects map[string]struct{} // differed when they were verified
	ends     endings
	progress Progress
	begun    time.Time // of the copy, for its rate
	paced    pace
}

// errShort is the end of a hold that came before all was done.
var errShort = errors.New("the hold of writes was too short")

// patience is how long a move waits after a hold that was too short, longer
// each time.
const (
	patience    = 50 * time.Millisecond
	maxPatience = 10 * time.Second
)

// Run moves the namespace. With an error, or when ctx ends, everything is where
// it was, and the target holds a copy that a later Run goes on with or the
// caller drops.
func (m *Move) Run(ctx context.Context) error {
	if err := m.begin(ctx); err != nil {
		return err
	}
	defer m.Place.change(func(st *stay) { st.tail = nil })
	for {
		err := m.pass(ctx)
		if !errors.Is(err, prism.ReasonCompacted) {
			return err
		}
		// It fell behind a history, and begins anew.
		m.Marks = nil
		if err := m.To.Store.Drop(ctx, m.Namespace); err != nil {
			return err
		}
	}
}

// begin sees to it that the move hears of every write from here on.
func (m *Move) begin(ctx context.Context) error {
	m.from = m.Place.now.Load().set
	m.tail = newTail(m.from.KeyValueWatch != nil)
	m.Place.change(func(st *stay) { st.tail = m.tail })
	return m.Place.await(ctx, m.Clock, false)
}

// pass copies, verifies and switches.
func (m *Move) pass(ctx context.Context) error {
	m.at, m.lag, m.suspects = nil, map[string]driver.Change{}, map[string]struct{}{}
	m.ends = newEndings(m.from, &m.To)
	m.begun, m.paced = m.Clock.Now(), pace{}
	total, err := m.from.KeyValueScan.Count(ctx, m.Namespace, driver.Query{Limit: 1, MaxBytes: 1})
	if err != nil {
		return err
	}
	m.progress = Progress{Phase: Copying, Total: total, Holds: m.progress.Holds, Held: m.progress.Held}
	if err := m.listen(ctx); err != nil {
		return err
	}
	if err := m.useUp(ctx); err != nil {
		return err
	}
	if err := m.walk(ctx, m.from, m.copyKeys); err != nil {
		return err
	}
	if err := m.walk(ctx, &m.To, m.pruneKeys); err != nil {
		return err
	}
	if err := m.copyReceipts(ctx); err != nil {
		return err
	}
	if err := m.catchUp(ctx); err != nil {
		return err
	}
	if err := m.verify(ctx); err != nil {
		return err
	}
	return m.switchOver(ctx)
}

// listen finds where the histories are to be followed from.
func (m *Move) listen(ctx context.Context) (err error) {
	if m.from.KeyValueWatch == nil {
		return nil
	}
	if m.Marks != nil {
		m.at, m.ends.at = m.Marks.Source, m.Marks.Target
		return nil
	}
	if m.at, err = m.changes(ctx, m.from, nil, func(driver.Change) {}); err != nil {
		return err
	}
	if m.ends.on {
		if m.ends.at, err = m.changes(ctx, &m.To, nil, func(driver.Change) {}); err != nil {
			return err
		}
	}
	m.Marks = &Marks{Source: m.at, Target: m.ends.at}
	if m.Mark != nil {
		return m.Mark(*m.Marks)
	}
	return nil
}

// changes calls f with everything that a history holds after a position, and
// returns the position at its end; nil begins there.
func (m *Move) changes(ctx context.Context, set *driver.Set, at driver.Position, f func(driver.Change)) (driver.Position, error) {
	for {
		w, err := set.KeyValueWatch.Watch(ctx, m.Namespace, "", at)
		if err != nil {
			return nil, err
		}
		batch, err := w.Next(ctx)
		_ = w.Close()
		if err != nil {
			return nil, err
		}
		begun := at != nil
		at = batch.Position
		for i := range batch.Changes {
			f(batch.Changes[i])
		}
		if len(batch.Changes) == 0 || !begun {
			return at, nil
		}
	}
}

// useUp makes every version that the source has given out one that the target
// never gives.
func (m *Move) useUp(ctx context.Context) error {
	p, err := m.from.KeyValueMove.Export(ctx, m.Namespace, nil, nil)
	if err != nil {
		return err
	}
	return m.To.KeyValueMove.Import(ctx, m.Namespace, driver.Parcel{Version: p.Version})
}

// fewKeys is how much lag is left to the hold of writes, and catchUpRounds how
// often a move tries to come that near.
const (
	fewKeys       = 256
	catchUpRounds = 100
)

// catchUp copies what was changed until little is left.
func (m *Move) catchUp(ctx context.Context) error {
	m.phase(CatchUp)
	for range catchUpRounds {
		if err := m.gather(ctx); err != nil {
			return err
		}
		few := len(m.lag) <= fewKeys
		if err := m.drain(ctx); err != nil || few {
			return err
		}
	}
	return nil
}

// gather adds what was changed to the lag, and takes the receipts along.
func (m *Move) gather(ctx context.Context) (err error) {
	if m.from.KeyValueWatch != nil {
		m.at, err = m.changes(ctx, m.from, m.at, func(c driver.Change) {
			m.lag[c.Key] = c
			m.ends.source(c)
		})
		if err != nil {
			return err
		}
	}
	n := m.tail.take()
	for key := range n.keys {
		if _, ok := m.lag[key]; !ok {
			m.lag[key] = driver.Change{}
		}
	}
	m.progress.Lag = int64(len(m.lag))
	// What is not taken over, because a hold was too short, waits for the next.
	m.receipts, m.unsure = append(m.receipts, n.receipts...), append(m.unsure, n.unsure...)
	return m.takeReceipts(ctx)
}

// takeReceipts takes over the receipts that are known of.
func (m *Move) takeReceipts(ctx context.Context) error {
	for len(m.unsure) > 0 {
		part := m.unsure[:min(len(m.unsure), pageReceipts)]
		p, err := m.from.KeyValueMove.Export(ctx, m.Namespace, nil, part)
		if err != nil {
			return err
		}
		m.receipts, m.unsure = append(m.receipts, p.Receipts...), m.unsure[len(part):]
	}
	for len(m.receipts) > 0 {
		part := m.receipts[:min(len(m.receipts), pageReceipts)]
		if err := m.To.KeyValueMove.Import(ctx, m.Namespace, driver.Parcel{Receipts: part}); err != nil {
			return err
		}
		m.progress.Receipts += int64(len(part))
		m.receipts = m.receipts[len(part):]
	}
	m.receipts, m.unsure = nil, nil
	return nil
}

// drain copies the lag as it is known.
func (m *Move) drain(ctx context.Context) error {
	keys := make([]string, 0, lagKeys)
	for key := range m.lag {
		keys = append(keys, key)
		if len(keys) == lagKeys {
			if err := m.sync(ctx, keys); err != nil {
				return err
			}
			keys = keys[:0]
		}
	}
	if len(keys) > 0 {
		if err := m.sync(ctx, keys); err != nil {
			return err
		}
	}
	return m.ends.settled(ctx, m)
}

// sync makes keys on the target what they are on the source.
func (m *Move) sync(ctx context.Context, keys []string) error {
	p, err := m.from.KeyValueMove.Export(ctx, m.Namespace, keys, nil)
	if err != nil {
		return err
	}
	gone := absent(keys, p.Entries)
	if err := m.store(ctx, p.Entries); err != nil {
		return err
	}
	if gone, err = m.ends.gone(ctx, m, gone); err != nil {
		return err
	}
	if err := m.remove(ctx, gone); err != nil {
		return err
	}
	for _, key := range keys {
		delete(m.lag, key)
	}
	m.progress.Lag = int64(len(m.lag))
	m.report()
	return nil
}

func (m *Move) store(ctx context.Context, entries []driver.ParcelEntry) error {
	if len(entries) == 0 {
		return nil
	}
	if err := m.To.KeyValueMove.Import(ctx, m.Namespace, driver.Parcel{Entries: entries}); err != nil {
		return err
	}
	for i := range entries {
		m.ends.alive(entries[i].Key)
		m.progress.Copied++
		m.progress.Bytes += int64(len(entries[i].Value))
	}
	return nil
}

// remove takes keys from the target, those too that have ended there and were
// not told of yet: a store may leave such a key to its sweeper, and the end would
// be told after the switch.
func (m *Move) remove(ctx context.Context, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	endless := make([]driver.ParcelEntry, len(keys))
	for i, key := range keys {
		endless[i] = driver.ParcelEntry{Entry: driver.Entry{Key: key, Version: 1}}
	}
	if err := m.To.KeyValueMove.Import(ctx, m.Namespace, driver.Parcel{Entries: endless}); err != nil {
		return err
	}
	ops, results := make([]Op, len(keys)), make([]Result, len(keys))
	for i, key := range keys {
		ops[i] = Op{Kind: OpDelete, Key: key}
	}
	if err := batchOn(ctx, &m.To, m.Namespace, ops, results); err != nil {
		return err
	}
	for i := range results {
		if results[i].Err != nil {
			return results[i].Err
		}
	}
	return nil
}

// absent are the keys that have no entry.
func absent(keys []string, entries []driver.ParcelEntry) (gone []string) {
	there := make(map[string]struct{}, len(entries))
	for i := range entries {
		there[entries[i].Key] = struct{}{}
	}
	for _, key := range keys {
		if _, ok := there[key]; !ok {
			gone = append(gone, key)
		}
	}
	return gone
}

// switchOver holds writes, takes over the rest and switches; where the hold was
// too short it lets them go on and tries again.
func (m *Move) switchOver(ctx context.Context) error {
	wait := patience
	for {
		err := m.exclusive(func() error { return m.hold(ctx) })
		if !errors.Is(err, errShort) {
			return err
		}
		t := m.Clock.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return prism.From(ctx.Err())
		}
		wait = min(2*wait, maxPatience)
		if err := m.catchUp(ctx); err != nil {
			return err
		}
	}
}

func (m *Move) exclusive(f func() error) error {
	if m.Exclusive == nil {
		return f()
	}
	return m.Exclusive(f)
}

// hold is one try to switch.
func (m *Move) hold(ctx context.Context) error {
	m.phase(Switching)
	m.progress.Holds++
	h := newHold()
	defer close(h.over)
	start := m.Clock.Now()
	defer func() { m.progress.Held += m.Clock.Now().Sub(start) }()
	m.Place.change(func(st *stay) {
		if holds {
			st.hold = h
		}
	})

	limited, cancel := context.WithTimeoutCause(ctx, holdTime, errShort)
	defer cancel()
	go func() {
		select {
		case <-h.short:
			cancel()
		case <-limited.Done():
		}
	}()
	arrival, err := m.arrive(limited)
	if err == nil && limited.Err() != nil {
		err = errShort
	}
	if err == nil {
		err = m.Settle(arrival)
	}
	if err != nil {
		m.Place.change(func(st *stay) { st.hold = nil })
		m.ends.release()
		if limited.Err() != nil && ctx.Err() == nil {
			return errShort
		}
		return err
	}
	m.switched(arrival.Former)
	return nil
}

// switched puts the target in force: the writers that wait go there.
func (m *Move) switched(f Former) {
	st := newStay(&m.To, m.Place.now.Load().moves+1)
	st.before = &former{set: m.from, version: f.Version, start: f.Start, ordered: f.Ordered}
	away := m.Place.now.Load().away
	m.Place.enforce(st)
	away()
}

// arrive takes over all that is left, while nothing is written.
func (m *Move) arrive(ctx context.Context) (a Arrival, err error) {
	if err := m.Place.await(ctx, m.Clock, false); err != nil {
		return a, err
	}
	// Keys may still end by themselves: what ends after this version the target
	// tells, and it alone.
	p, err := m.from.KeyValueMove.Export(ctx, m.Namespace, nil, nil)
	if err != nil {
		return a, err
	}
	m.ends.last = p.Version
	if err := m.gather(ctx); err != nil {
		return a, err
	}
	for key := range m.lag {
		m.suspects[key] = struct{}{}
	}
	if err := m.drain(ctx); err != nil {
		return a, err
	}
	if err := m.compareSuspects(ctx); err != nil {
		return a, err
	}
	if n := len(m.suspects); n > 0 && holds {
		return a, m.differs(n)
	}
	if err := m.To.KeyValueMove.Import(ctx, m.Namespace, driver.Parcel{Version: p.Version}); err != nil {
		return a, err
	}
	a.Version, a.Ordered, a.Progress = p.Version, m.from.KeyValueOrderedScan != nil, m.progress
	a.Start, err = m.ends.retell(ctx, m)
	return a, err
}

func (m *Move) differs(n int) error {
	for key := range m.suspects {
		return prism.New(prism.ReasonDataLoss, "%d keys are not the same on both backends, %q among them: nothing was switched", n, key).WithNamespace(m.Namespace)
	}
	return nil
}

func (m *Move) phase(p Phase) {
	m.progress.Phase = p
	m.report()
}

func (m *Move) report() {
	if m.Report != nil {
		m.Report(m.progress)
	}
}

// String is for people: it stands in the operation.
func (p Progress) String() string {
	s := fmt.Sprintf("%s: %d of %d keys", p.Phase, min(p.Seen, max(p.Total, p.Seen)), max(p.Total, p.Seen))
	if p.Lag > 0 {
		s += fmt.Sprintf(", %d changed since", p.Lag)
	}
	return s
}
