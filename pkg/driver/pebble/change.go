package pebble

import (
	"bytes"
	"math"
	"slices"
	"strconv"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A change is a mutation at work: the operation, and the key as it finds it.
type change struct {
	ns   *namespace
	key  prism.Key
	op   *driver.Op
	cell cell
}

// change does a mutation.
func (g *group) change(ns *namespace, key prism.Key, op *driver.Op) (driver.Result, error) {
	if err := checkOptions(op); err != nil {
		return driver.Result{}, err
	}
	c := change{ns: ns, key: key, op: op}
	var err error
	if c.cell, err = g.load(key, wantsValue(op.Kind)); err != nil {
		return driver.Result{}, err
	}
	// What a plain set or delete leaves does not depend on the record, so
	// they also mend a damaged one.
	mends := (op.Kind == driver.OpSet || op.Kind == driver.OpDelete) && !op.Options.KeepTTL
	if c.cell.damaged != nil && !mends {
		return driver.Result{}, g.s.damaged(key, c.cell.damaged)
	}
	switch op.Kind {
	case driver.OpSet, driver.OpSetIf:
		return g.changeSet(&c)
	case driver.OpDelete, driver.OpDeleteIf:
		return g.changeDelete(&c)
	case driver.OpExpire:
		return g.changeExpire(&c)
	case driver.OpPersist:
		return g.changePersist(&c)
	case driver.OpTouch:
		return g.changeTouch(&c)
	case driver.OpIncrement:
		return g.changeIncrement(&c)
	case driver.OpAppend:
		return g.changeAppend(&c)
	case driver.OpSetIfAbsent:
		return g.changeSetIfAbsent(&c)
	case driver.OpGetAndSet:
		return g.changeGetAndSet(&c)
	case driver.OpCompareAndSwap, driver.OpCompareAndDelete:
		return g.changeCompared(&c)
	}
	return driver.Result{}, errKind()
}

func (g *group) changeSet(c *change) (r driver.Result, err error) {
	if c.op.Kind == driver.OpSetIf {
		if err := condition(c.key, &c.cell, c.op.If); err != nil {
			return r, err
		}
	}
	r.Version, err = g.set(c.ns, c.key, &c.cell, c.op.Value, c.op.Options)
	return r, err
}

func (g *group) changeDelete(c *change) (r driver.Result, err error) {
	if c.op.Kind == driver.OpDeleteIf {
		if err := condition(c.key, &c.cell, c.op.If); err != nil {
			return r, err
		}
	}
	if r.Found = c.cell.live() || c.cell.damaged != nil; r.Found {
		r.Version, err = g.remove(c.ns, c.key, &c.cell, driver.ChangeDelete)
	}
	return r, err
}

func (g *group) changeExpire(c *change) (r driver.Result, err error) {
	if !c.cell.live() {
		return r, notFound(c.key)
	}
	expires := g.expiry(c.op.Options.TTL)
	r.Version, r.ExpiresAt = c.cell.version, timeOf(expires)
	return r, g.retime(c.ns, c.key, &c.cell, expires, ttlMillis(c.op.Options.TTL))
}

func (g *group) changePersist(c *change) (r driver.Result, err error) {
	if !c.cell.live() {
		return r, notFound(c.key)
	}
	r.Version, r.Applied = c.cell.version, c.cell.expires != 0
	if r.Applied || c.cell.ttl != 0 {
		err = g.retime(c.ns, c.key, &c.cell, 0, 0)
	}
	return r, err
}

func (g *group) changeTouch(c *change) (r driver.Result, err error) {
	if !c.cell.live() {
		return r, notFound(c.key)
	}
	r.Version = c.cell.version
	if c.cell.expires != 0 {
		expires := g.nowMs + c.cell.ttl
		r.ExpiresAt = timeOf(expires)
		err = g.retime(c.ns, c.key, &c.cell, expires, c.cell.ttl)
	}
	return r, err
}

func (g *group) changeIncrement(c *change) (r driver.Result, err error) {
	var n int64
	if c.cell.live() {
		if n, err = number(c.cell.value); err != nil {
			return r, err
		}
	}
	delta := c.op.Delta
	if delta > 0 && n > math.MaxInt64-delta || delta < 0 && n < math.MinInt64-delta {
		return r, prism.New(prism.ReasonOverflow, "%d plus %d does not fit 64 bits", n, delta)
	}
	r.Number = n + delta
	r.Version, err = g.set(c.ns, c.key, &c.cell, strconv.AppendInt(nil, r.Number, 10), keeping(c))
	return r, err
}

func (g *group) changeAppend(c *change) (r driver.Result, err error) {
	var value []byte
	if c.cell.live() {
		value = c.cell.value
	}
	if len(value)+len(c.op.Value) > prism.MaxValueBytes {
		return r, prism.InvalidField("value", "must not make the whole larger than "+strconv.Itoa(prism.MaxValueBytes)+" bytes")
	}
	value = slices.Concat(value, c.op.Value) // never in place: a cell may hold a caller's memory
	r.Number = int64(len(value))
	r.Version, err = g.set(c.ns, c.key, &c.cell, value, keeping(c))
	return r, err
}

func (g *group) changeSetIfAbsent(c *change) (r driver.Result, err error) {
	if c.cell.live() {
		return driver.Result{Version: c.cell.version}, nil
	}
	r.Applied = true
	r.Version, err = g.set(c.ns, c.key, &c.cell, c.op.Value, c.op.Options)
	return r, err
}

func (g *group) changeGetAndSet(c *change) (r driver.Result, err error) {
	if r.Found = c.cell.live(); r.Found {
		r.Value = append(make([]byte, 0, len(c.cell.value)), c.cell.value...)
	}
	r.Version, err = g.set(c.ns, c.key, &c.cell, c.op.Value, c.op.Options)
	return r, err
}

// changeCompared swaps or deletes if the value is the expected one.
func (g *group) changeCompared(c *change) (r driver.Result, err error) {
	if !c.cell.live() {
		return r, nil
	}
	if !bytes.Equal(c.cell.value, c.op.Expected) {
		return driver.Result{Version: c.cell.version}, nil
	}
	r.Applied = true
	if c.op.Kind == driver.OpCompareAndDelete {
		r.Version, err = g.remove(c.ns, c.key, &c.cell, driver.ChangeDelete)
		return r, err
	}
	o := c.op.Options
	o.KeepTTL = o.TTL == 0
	r.Version, err = g.set(c.ns, c.key, &c.cell, c.op.Value, o)
	return r, err
}

// keeping keeps the expiry of a key that is there; one that is made gets what
// the operation says.
func keeping(c *change) driver.SetOptions {
	if c.cell.live() {
		return driver.SetOptions{KeepTTL: true}
	}
	return driver.SetOptions{TTL: c.op.Options.TTL}
}

func checkOptions(op *driver.Op) error {
	switch o := op.Options; {
	case o.TTL < 0, op.Kind == driver.OpExpire && o.TTL == 0:
		return prism.InvalidField("ttl", "must be positive")
	case o.TTL > 0 && o.KeepTTL:
		return prism.InvalidField("keep_ttl", "must not be given together with a time to live")
	case (op.Kind == driver.OpSetIf || op.Kind == driver.OpDeleteIf) && op.If.Absent == (op.If.Version != 0):
		return prism.InvalidField("if", "must be either absent or a version")
	}
	return nil
}

// condition checks what a mutation asks of the key.
func condition(key prism.Key, c *cell, want driver.Condition) error {
	live := c.live()
	if want.Absent {
		if live {
			return prism.New(prism.ReasonAlreadyExists, "the key exists already").WithNamespace(key.Namespace).
				WithMeta("current_version", strconv.FormatUint(c.version, 10))
		}
		return nil
	}
	var version uint64
	if live {
		version = c.version
	}
	if version != want.Version || !live {
		return prism.New(prism.ReasonVersionMismatch, "the key has version %d, not %d", version, want.Version).
			WithNamespace(key.Namespace).WithMeta("current_version", strconv.FormatUint(version, 10))
	}
	return nil
}

func notFound(key prism.Key) error {
	return prism.New(prism.ReasonNotFound, "the key is not there").WithNamespace(key.Namespace)
}

// number reads what Increment works on: a decimal int64, written as Go would.
func number(value []byte) (int64, error) {
	if len(value) <= 20 {
		if n, err := strconv.ParseInt(string(value), 10, 64); err == nil {
			return n, nil
		}
	}
	return 0, prism.New(prism.ReasonNotANumber, "the value is not a decimal 64-bit integer")
}
