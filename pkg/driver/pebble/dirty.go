package pebble

import (
	"context"
	"sync/atomic"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// dirty keeps readers from showing what is not on disk yet. Pebble makes a
// group visible when it is applied, which is before it is synced; a reader
// that meets such a key waits for the sync, all others do not. Keys share
// slots by their hash, which can only make a reader wait for nothing.
type dirty struct {
	slots   [8192]atomic.Uint64 // number of the last group that wrote
	applied atomic.Uint64       // groups that may be visible
	visible atomic.Uint64       // groups that are
	synced  atomic.Uint64
	version atomic.Uint64 // the last one that is on disk
	failed  atomic.Bool
	done    signal
}

// mark is called before the group is applied.
func (d *dirty) mark(hash uint32, group uint64) { d.slot(hash).Store(group) }

// markAll is mark for a group that may have written anything.
func (d *dirty) markAll(group uint64) {
	for i := range d.slots {
		d.slots[i].Store(group)
	}
}

func (d *dirty) slot(hash uint32) *atomic.Uint64 { return &d.slots[hash%uint32(len(d.slots))] }

// settle waits until what was read of a key is on disk; called after the read.
func (d *dirty) settle(ctx context.Context, hash uint32) error {
	return d.await(ctx, d.slot(hash).Load())
}

// settleAll is settle for a read of many keys.
func (d *dirty) settleAll(ctx context.Context) error { return d.await(ctx, d.applied.Load()) }

func (d *dirty) await(ctx context.Context, group uint64) error {
	for d.synced.Load() < group {
		c := d.done.wait()
		if d.synced.Load() >= group {
			return nil
		}
		if d.failed.Load() {
			return errNotSynced
		}
		select {
		case <-c:
		case <-ctx.Done():
			return prism.From(ctx.Err())
		}
	}
	return nil
}

func (d *dirty) advance(group, version uint64) {
	d.version.Store(version)
	d.synced.Store(group)
	d.done.fire()
}

func (d *dirty) fail() {
	d.failed.Store(true)
	d.done.fire()
}
