package drivertest_test

import (
	"context"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// carries breaks parcels on their way into a store and out of it.
type carries struct {
	driver.KeyValueMove
	in, out func(*driver.Parcel)
}

func (c carries) Import(ctx context.Context, ns prism.Namespace, p driver.Parcel) error {
	if c.in != nil {
		p.Entries = append([]driver.ParcelEntry(nil), p.Entries...)
		p.Receipts = append([]driver.KeptReceipt(nil), p.Receipts...)
		c.in(&p)
	}
	return c.KeyValueMove.Import(ctx, ns, p)
}

func (c carries) Export(ctx context.Context, ns prism.Namespace, keys []string, receipts []driver.ReceiptID) (driver.Parcel, error) {
	p, err := c.KeyValueMove.Export(ctx, ns, keys, receipts)
	if c.out != nil {
		c.out(&p)
	}
	return p, err
}

func importing(in func(*driver.Parcel)) func(driver.Set) driver.Set {
	return func(s driver.Set) driver.Set {
		s.KeyValueMove = carries{KeyValueMove: s.KeyValueMove, in: in}
		return s
	}
}

func exporting(out func(*driver.Parcel)) func(driver.Set) driver.Set {
	return func(s driver.Set) driver.Set {
		s.KeyValueMove = carries{KeyValueMove: s.KeyValueMove, out: out}
		return s
	}
}

// forgets walks no further than the first page of receipts.
type forgets struct{ driver.KeyValueMove }

func (f forgets) ExportReceipts(ctx context.Context, ns prism.Namespace, token []byte, limit int) (driver.Parcel, []byte, error) {
	p, _, err := f.KeyValueMove.ExportReceipts(ctx, ns, token, limit)
	return p, nil, err
}

// sets stores an imported entry as a call would.
type sets struct{ driver.Set }

func (s sets) Import(ctx context.Context, ns prism.Namespace, p driver.Parcel) error {
	for i := range p.Entries {
		e := &p.Entries[i]
		if _, err := s.KeyValue.Set(ctx, prism.Key{Namespace: ns, Name: e.Key}, e.Value, driver.SetOptions{TTL: e.TTL}, driver.Receipt{}); err != nil {
			return err
		}
	}
	p.Entries = nil
	return s.KeyValueMove.Import(ctx, ns, p)
}

func (s sets) Export(ctx context.Context, ns prism.Namespace, keys []string, receipts []driver.ReceiptID) (driver.Parcel, error) {
	return s.KeyValueMove.Export(ctx, ns, keys, receipts)
}

func (s sets) ExportReceipts(ctx context.Context, ns prism.Namespace, token []byte, limit int) (driver.Parcel, []byte, error) {
	return s.KeyValueMove.ExportReceipts(ctx, ns, token, limit)
}

var moveDefects = narrowed([]defect{
	{name: "Import uses up no version", finds: []string{
		"versions up to the parcel's are used up",
	}, wrap: importing(func(p *driver.Parcel) { p.Version = 0 })},
	{name: "Import loses receipts", finds: []string{
		"an imported receipt gives the first answer",
		"an imported receipt of a transaction gives all its answers",
		"an imported receipt with another body is KEY_REUSED",
	}, wrap: importing(func(p *driver.Parcel) { p.Receipts = nil })},
	{name: "Import keeps one answer of a transaction", finds: []string{
		"an imported receipt of a transaction gives all its answers",
	}, wrap: importing(func(p *driver.Parcel) {
		for i := range p.Receipts {
			p.Receipts[i].Answers = p.Receipts[i].Answers[:1]
		}
	})},
	{name: "Import lets entries live for ever", finds: []string{
		"an Export of nothing tells first of what has ended",
		"an entry that ended before its Import is not there and leaves its expiry",
		"an imported expiry is the same to the millisecond, and Touch starts the same time to live",
	}, wrap: importing(func(p *driver.Parcel) {
		for i := range p.Entries {
			p.Entries[i].ExpiresAt = time.Time{}
		}
	})},
	{name: "Import stops at a hundred entries", finds: []string{
		"a parcel of a thousand entries is taken whole",
	}, wrap: importing(func(p *driver.Parcel) { p.Entries = p.Entries[:min(len(p.Entries), 100)] })},
	{name: "Import is a Set", finds: []string{
		"Import leaves no change, and what comes after it does",
		"Import replaces what is there",
		"an Export of nothing tells first of what has ended",
		"an entry that ended before its Import is not there and leaves its expiry",
		"an imported entry has the value and the version it had",
		"an imported expiry is the same to the millisecond, and Touch starts the same time to live",
		"the version of an imported entry is used up",
	}, wrap: func(s driver.Set) driver.Set {
		s.KeyValueMove = sets{s}
		return s
	}},
	{name: "Export loses the time to live", finds: []string{
		"Export gives the entries asked for with value, version, expiry and time to live",
	}, wrap: exporting(func(p *driver.Parcel) {
		for i := range p.Entries {
			p.Entries[i].TTL = 0
		}
	})},
	{name: "Export knows no version", finds: []string{
		"a parcel's version is no smaller than any that was given out",
		"an Export of nothing tells first of what has ended",
	}, wrap: exporting(func(p *driver.Parcel) { p.Version = 1 })},
	{name: "a walk over receipts ends after a page", finds: []string{
		"a walk over the receipts sees each that is there",
	}, wrap: func(s driver.Set) driver.Set {
		s.KeyValueMove = forgets{s.KeyValueMove}
		return s
	}},
}, "keyvalue_basic", "keyvalue_ttl", "keyvalue_scan", "keyvalue_atomic", "keyvalue_transactional", "keyvalue_watch", "keyvalue_move")
