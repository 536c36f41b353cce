package pebble

import (
	"bytes"
	"errors"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A cell is a key as the group sees it. Its value is there only if it was
// asked for or written by the group.
type cell struct {
	data
	stored  bool  // there is a record, live or not
	lapsed  bool  // its expiry has passed; the change for that is still owed
	damaged error // the record cannot be read; version and expiry are unknown
	size    int
}

func (c *cell) live() bool { return c.stored && !c.lapsed && c.damaged == nil }

// load finds the present state of a key. It fails only if the store does.
func (g *group) load(key prism.Key, value bool) (cell, error) {
	if c, ok := g.cells[key]; ok {
		return c, nil
	}
	g.key = appendDataKey(g.key[:0], key)
	hash := keySum(g.key)
	if !value {
		if c, ok := g.s.recent.get(g.namespace(key.Namespace), hash, key.Name); ok {
			c.lapse(g.nowMs)
			return c, nil
		}
	}
	if p := g.glimpse; p != nil && p.looked && g.s.dirty.slot(hash).Load() <= p.visible && (p.whole || !value) {
		p.cell.lapse(g.nowMs)
		return p.cell, nil
	}
	c, err := g.s.look(g.key, hash, value)
	c.lapse(g.nowMs)
	return c, err
}

// remember notes what the group leaves under a key.
func (g *group) remember(ns *namespace, key prism.Key, hash uint32, c cell) {
	g.hashes = append(g.hashes, hash)
	g.cells[key] = c
	g.s.recent.put(ns, hash, key.Name, &c)
}

func (c *cell) lapse(now int64) {
	c.lapsed = c.damaged == nil && c.expires != 0 && c.expires <= now
}

// look finds a key in the store.
func (s *store) look(key []byte, hash uint32, value bool) (cell, error) {
	record, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return cell{}, nil
	}
	if err != nil {
		if pebble.IsCorruptionError(err) {
			return cell{stored: true, damaged: err}, nil
		}
		return cell{}, err
	}
	d, err := parseData(hash, record)
	c := cell{data: d, stored: true, size: len(d.value), damaged: err}
	if err != nil {
		s.damage.Add(1)
	}
	if value {
		c.value = bytes.Clone(d.value)
	} else {
		c.value = nil
	}
	return c, closer.Close()
}

// A glimpse is what a caller saw under a key before its request was queued.
// Looking is most of a write's work; done by the callers it runs side by side
// and leaves the committer little. It holds if no group has written the key
// since, which the committer knows from dirty.
type glimpse struct {
	cell    cell
	visible uint64 // the last group that was visible before the look
	whole   bool   // the value is there
	looked  bool   // false: the committer is likely to remember the key
}

// peek looks at what a request is about to change.
func (s *store) peek(r *request) {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	for i := range r.ops {
		op := &r.ops[i]
		p := glimpse{visible: s.dirty.visible.Load(), whole: wantsValue(op.Kind)}
		*buf = appendDataKey((*buf)[:0], prism.Key{Namespace: r.ns, Name: op.Key})
		hash := keySum(*buf)
		if p.looked = p.whole || !s.recent.has(hash); p.looked {
			var err error
			if p.cell, err = s.look(*buf, hash, p.whole); err != nil {
				break // the committer meets it too
			}
		}
		r.glimpses = append(r.glimpses, p)
	}
}

// wantsValue reports whether what an operation does depends on the value.
func wantsValue(k driver.OpKind) bool {
	switch k {
	case driver.OpExists, driver.OpExpiresAt, driver.OpSet, driver.OpSetIf, driver.OpDelete, driver.OpDeleteIf, driver.OpSetIfAbsent:
		return false
	}
	return true
}

// known is load for operations whose answer depends on what is there.
func (g *group) known(key prism.Key, value bool) (cell, error) {
	c, err := g.load(key, value)
	if err == nil && c.damaged != nil {
		err = g.s.damaged(key, c.damaged)
	}
	return c, err
}

// once does an operation unless its receipt says that it was done before.
func (g *group) once(ns *namespace, op *driver.Op) (driver.Result, error) {
	key := prism.Key{Namespace: ns.name, Name: op.Key}
	if op.Kind.Reads() {
		return g.read(key, op.Kind)
	}
	if op.Receipt.IsZero() {
		if g.full && !frees(op.Kind) {
			return driver.Result{}, g.s.refuseFull()
		}
		return g.change(ns, key, op)
	}
	answers, found, err := g.replay(ns, op.Receipt)
	if err != nil {
		return driver.Result{}, err
	}
	if found {
		if len(answers) != 1 {
			return driver.Result{Replayed: true}, nil // of an empty transaction
		}
		return answers[0], nil
	}
	if g.full && !frees(op.Kind) {
		return driver.Result{}, g.s.refuseFull()
	}
	r, err := g.change(ns, key, op)
	if err != nil {
		return driver.Result{}, err
	}
	g.keep(ns, op.Receipt, []driver.Result{r})
	return r, nil
}

// frees reports whether an operation may use the reserve of a full disk.
func frees(k driver.OpKind) bool {
	return k == driver.OpDelete || k == driver.OpDeleteIf || k == driver.OpCompareAndDelete
}

func (g *group) read(key prism.Key, kind driver.OpKind) (driver.Result, error) {
	if kind == 0 {
		return driver.Result{}, errKind()
	}
	c, err := g.known(key, kind == driver.OpGet)
	if err != nil {
		return driver.Result{}, err
	}
	if !c.live() {
		if kind == driver.OpExpiresAt {
			return driver.Result{}, notFound(key)
		}
		return driver.Result{}, nil
	}
	r := driver.Result{Found: true, Version: c.version, ExpiresAt: timeOf(c.expires)}
	switch kind {
	case driver.OpGet:
		r.Value = append(make([]byte, 0, len(c.value)), c.value...)
	case driver.OpExists:
		r = driver.Result{Found: true}
	case driver.OpExpiresAt:
		r = driver.Result{ExpiresAt: r.ExpiresAt}
	}
	return r, nil
}

func errKind() error { return prism.InvalidField("kind", "is not an operation") }

// ttlMillis rounds up, so that nothing ends early.
func ttlMillis(ttl time.Duration) int64 {
	ms := ttl.Milliseconds()
	if ttl > 0 && ttl%time.Millisecond != 0 {
		ms++
	}
	return ms
}

// expiry is when something set now with a time to live ends. It is never 0.
func (g *group) expiry(ttl time.Duration) int64 {
	at := g.now.Add(ttl)
	ms := at.UnixMilli()
	if at.Nanosecond()%int(time.Millisecond) != 0 {
		ms++
	}
	return max(ms, 1)
}

func timeOf(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// set stores a value as a new version.
func (g *group) set(ns *namespace, key prism.Key, c *cell, value []byte, o driver.SetOptions) (uint64, error) {
	if c.lapsed {
		if _, err := g.remove(ns, key, c, driver.ChangeExpire); err != nil {
			return 0, err
		}
	}
	d := data{value: value}
	switch {
	case o.TTL != 0:
		d.expires, d.ttl = g.expiry(o.TTL), ttlMillis(o.TTL)
	case o.KeepTTL && c.live():
		d.expires, d.ttl = c.expires, c.ttl
	}
	g.s.seq++
	d.version = g.s.seq
	t := g.touch(ns)
	if !c.stored {
		ns.meta.keys++
		ns.meta.bytes += int64(len(key.Name))
	}
	ns.meta.bytes += int64(len(value) - c.size)
	hash := g.put(key, &d)
	g.reindex(t, key, c, d.expires)
	var previous uint64
	if c.live() {
		previous = c.version
	}
	g.record(t, driver.ChangeSet, d.version, previous, key.Name)
	g.remember(ns, key, hash, cell{data: d, stored: true, size: len(value)})
	return d.version, nil
}

// remove takes a key away, because it was deleted or has expired.
func (g *group) remove(ns *namespace, key prism.Key, c *cell, kind driver.ChangeKind) (uint64, error) {
	g.s.seq++
	version := g.s.seq
	t := g.touch(ns)
	ns.meta.keys--
	ns.meta.bytes -= int64(len(key.Name) + c.size)
	g.key = appendDataKey(g.key[:0], key)
	hash := keySum(g.key)
	_ = g.batch.Delete(g.key, nil)
	g.reindex(t, key, c, 0)
	g.record(t, kind, version, c.version, key.Name)
	*c = cell{}
	g.remember(ns, key, hash, *c)
	return version, nil
}

// retime gives the record another expiry under the same version.
func (g *group) retime(ns *namespace, key prism.Key, c *cell, expires, ttl int64) error {
	t := g.touch(ns)
	d := c.data
	d.expires, d.ttl = expires, ttl
	hash := g.put(key, &d)
	g.reindex(t, key, c, expires)
	g.remember(ns, key, hash, cell{data: d, stored: true, size: len(d.value)})
	return nil
}

func (g *group) put(key prism.Key, d *data) (hash uint32) {
	g.key = appendDataKey(g.key[:0], key)
	hash = keySum(g.key)
	op := g.batch.SetDeferred(len(g.key), d.size())
	copy(op.Key, g.key)
	d.put(hash, op.Value)
	_ = op.Finish()
	return hash
}

// reindex moves a key in the expiry index.
func (g *group) reindex(t *touch, key prism.Key, c *cell, expires int64) {
	if c.expires == expires {
		return
	}
	if c.expires != 0 {
		g.key = appendExpiryKey(g.key[:0], key, c.expires)
		_ = g.batch.Delete(g.key, nil)
	}
	if expires != 0 {
		g.key = appendExpiryKey(g.key[:0], key, expires)
		_ = g.batch.Set(g.key, nil, nil)
		t.due = min(t.due, expires)
	}
}

// record adds to the change log.
func (g *group) record(t *touch, kind driver.ChangeKind, version, previous uint64, key string) {
	p := &t.changes
	p.stamp = g.nowMs
	p.begin(version)
	p.entries = appendLogged(p.entries, kind, version, previous, key)
	t.ns.meta.changes++
	t.logged = true
	if len(p.entries) >= pieceBytes {
		g.writeChanges(t)
	}
}

func (g *group) writeChanges(t *touch) {
	if p := &t.changes; p.count > 0 {
		g.key = appendChangeKey(g.key[:0], t.ns.name, p.last)
		g.writePiece(p)
	}
}

// transact does a transaction: all of it or nothing.
func (g *group) transact(ns *namespace, r *request) error {
	if !r.receipt.IsZero() {
		answers, found, err := g.replay(ns, r.receipt)
		if err != nil {
			return err
		}
		if found {
			r.results = answers
			return nil
		}
	}
	if g.full && slices.ContainsFunc(r.ops, func(o driver.Op) bool { return !frees(o.Kind) }) {
		return g.s.refuseFull()
	}
	for _, check := range r.checks {
		c, err := g.known(prism.Key{Namespace: ns.name, Name: check.Key}, false)
		if err != nil {
			return err
		}
		var version uint64
		if c.live() {
			version = c.version
		}
		if version != check.Version {
			return prism.New(prism.ReasonConflict, "a key that the transaction read has changed").WithNamespace(ns.name)
		}
	}
	// Everything that can fail comes before the first write.
	cells := make([]cell, len(r.ops))
	for i := range r.ops {
		op := &r.ops[i]
		if op.Kind != driver.OpSet && op.Kind != driver.OpDelete {
			return prism.InvalidField("writes", "must be sets and deletes")
		}
		if err := checkOptions(op); err != nil {
			return err
		}
		for j := range i {
			if r.ops[j].Key == op.Key {
				return prism.InvalidField("writes", "must not name a key twice")
			}
		}
		key := prism.Key{Namespace: ns.name, Name: op.Key}
		c, err := g.load(key, false)
		if err != nil {
			return err
		}
		if c.damaged != nil && op.Options.KeepTTL {
			return g.s.damaged(key, c.damaged)
		}
		cells[i] = c
	}
	r.results = make([]driver.Result, len(r.ops))
	for i := range r.ops {
		op, c := &r.ops[i], &cells[i]
		key := prism.Key{Namespace: ns.name, Name: op.Key}
		var err error
		if op.Kind == driver.OpSet {
			r.results[i].Version, err = g.set(ns, key, c, op.Value, op.Options)
		} else if r.results[i].Found = c.live() || c.damaged != nil; r.results[i].Found {
			r.results[i].Version, err = g.remove(ns, key, c, driver.ChangeDelete)
		}
		if err != nil {
			return err
		}
	}
	if !r.receipt.IsZero() {
		g.keep(ns, r.receipt, r.results)
	}
	return nil
}

// drop removes a namespace. Its meta stays with the end of its history, so
// that old positions are known to be gone.
func (g *group) drop(ns *namespace) error {
	t := g.touch(ns)
	g.s.seq++ // a position from before is then older than what comes
	for _, kind := range namespaceKinds {
		if kind == kindMeta {
			continue
		}
		from := appendSpan(nil, kind, ns.name)
		if err := g.batch.DeleteRange(from, appendSpanEnd(nil, kind, ns.name), nil); err != nil {
			return err
		}
	}
	g.s.streams.drop(g, ns.name)
	ns.meta = meta{low: g.s.seq}
	g.dropped = ns
	t.logged = true // wakes watchers: their history is gone
	return nil
}
