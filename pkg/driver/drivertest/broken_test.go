package drivertest_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/drivertest"
	"github.com/prism-data-layer/prism/pkg/driver/memory"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A defect is a way in which a driver is wrong, and the promises that must find
// it: these and no others.
type defect struct {
	name  string
	wrap  func(driver.Set) driver.Set
	finds []string
	// may lists promises that find it when goroutines happen to meet.
	may []string
	// wide is true of one that others find too: only these are asked.
	wide bool
	// model is true if the random model finds it too.
	model bool
}

func only(s driver.Set, names ...string) driver.Set {
	for _, c := range driver.Capabilities() {
		if !slices.Contains(names, c.Name) {
			s = s.Without(c.Name)
		}
	}
	return s
}

// narrowed leaves what defects are in no other capability than these.
func narrowed(list []defect, capabilities ...string) []defect {
	for i := range list {
		wrap := list[i].wrap
		list[i].wrap = func(s driver.Set) driver.Set { return only(wrap(s), capabilities...) }
	}
	return list
}

var defects = []defect{
	{
		name: "a scan drops an entry",
		finds: []string{
			"a key deleted behind a page does not break the walk",
			"a key of the whole walk is seen exactly once beside writers",
			"a page holds no more than its bytes, but always one entry",
			"a page holds no more than its limit, and the pages are the whole",
			"a prefix may be any bytes, also 0xFF to its end",
			"a scan sees the keys with its prefix and no other",
			"a scan stays within its namespace",
			"a scan without prefix sees every key, with value, size and version",
			"deleted keys are in no scan",
			"pages of a thousand entries and more",
		}, wrap: func(s driver.Set) driver.Set {
			s.KeyValueScan = dropsEntries{s.KeyValueOrderedScan}
			s.KeyValueOrderedScan = nil
			return s
		},
	},
	{name: "a reverse scan walks forward", finds: []string{
		"a reverse scan walks backwards",
		"a scan keeps to its range: start inclusive, end exclusive",
		"byte order holds for any bytes",
		"random queries see what a sorted map sees",
		"range and prefix together are what is in both",
	}, wrap: func(s driver.Set) driver.Set {
		o := walksForward{s.KeyValueOrderedScan}
		s.KeyValueScan, s.KeyValueOrderedScan = o, o
		return s
	}},
	{name: "Set loses the time to live", finds: []string{
		"Expire, Persist and Touch of a missing key are NOT_FOUND",
		"Get and ExpiresAt tell when a key ends",
		"Persist removes the expiry and tells whether there was one",
		"Set with a time to live ends the key, not before and not after",
		"Set with keep_ttl keeps the expiry there is",
		"Touch starts the time to live anew that was last given",
		"a new time to live replaces the one before",
		"a thousand keys that end together are all gone",
		"a time to live of ten years does not wrap",
		"a version is not used again after expiry",
		"a watch tells of an expiry, after its time",
		"an expired key is in no scan, count or first",
		"an expired key is not there for Get, Exists, Delete, ExpiresAt",
		"an expired key is not there for a transaction",
		"an expired key is not there for atomics",
		"an expired key is not there for compare-and-swap",
		"an expired key is not there in a batch",
		"an expiry is told before what comes after it on its key",
		"create-only takes an expired key for absent",
		"receipts make Expire, Persist and Touch happen once",
	}, wrap: func(s driver.Set) driver.Set {
		s.KeyValue = losesTTL{s.KeyValue}
		return s
	}},
	{name: "Touch does nothing", finds: []string{
		"Touch starts the time to live anew that was last given",
		"receipts make Expire, Persist and Touch happen once",
	}, wrap: func(s driver.Set) driver.Set {
		s.KeyValueTTL = deafTouch{s.KeyValueTTL}
		return s
	}},
	{name: "Get of a missing key is an error", finds: []string{
		"Delete removes a key and says that it was there",
		"Drop may be called again, and for a namespace without data",
		"Drop removes every key of the namespace and of no other",
		"Get of a missing key says not found",
		"a random mix of calls does what a map does",
		"a receipt makes Set happen once",
		"a receipt with another body is KEY_REUSED and changes nothing",
		"keys are compared byte by byte",
		"keys may be any bytes",
		"set, get, delete, get in turn",
		"special characters in keys mean nothing",
	}, wrap: func(s driver.Set) driver.Set {
		s.KeyValue = wrongNotFound{s.KeyValue}
		return only(s, "keyvalue_basic")
	}},
	{name: "versions begin again after Delete", finds: []string{
		"a receipt makes Set happen once",
		"a version is not used again after Delete",
	}, may: []string{
		// Versions are numbered as they are shown, and 100 goroutines do not
		// show them in the order in which they were given.
		"100 goroutines set one key: one of them wins, each with a version of its own",
	}, wrap: func(s driver.Set) driver.Set {
		s.KeyValue = &reusesVersions{KeyValue: s.KeyValue, count: map[prism.Key]uint64{}, shown: map[prism.Key]map[uint64]uint64{}}
		return only(s, "keyvalue_basic")
	}},
	{name: "Set ignores receipts", finds: []string{
		"100 calls at once with one receipt have one effect",
		"Usage counts keys and bytes",
		"a receipt is forgotten after its time",
		"a receipt makes Set happen once",
		"a receipt of a batch is known to the single call and the other way round",
		"a receipt with another body is KEY_REUSED and changes nothing",
		"receipts are bounded and the oldest go first",
		"a receipt may bound them further",
		"what changes nothing is not told",
	}, wrap: func(s driver.Set) driver.Set {
		s.KeyValue = ignoresReceipts{s.KeyValue}
		return s
	}},
	{name: "a receipt forgets its body", finds: []string{
		"a receipt with another body is KEY_REUSED and changes nothing",
	}, wrap: func(s driver.Set) driver.Set {
		s.KeyValue = forgetsBody{s.KeyValue}
		return only(s, "keyvalue_basic")
	}},
	{name: "a conflict leaves half a transaction", finds: []string{
		"a check holds on a key that is read and not written",
		"a check of a key that was made anew fails",
		"a check of an absent key fails once it is there",
		"a failed check applies nothing: TRANSACTION_CONFLICT",
		"an expired key is not there for a transaction",
		"of two committers that read the same exactly one succeeds",
	}, may: []string{"money moves between accounts and none is lost"}, wrap: func(s driver.Set) driver.Set {
		s.KeyValueTransactional = halfCommits{s.KeyValueTransactional, s.KeyValue}
		return s
	}},
	{name: "a watch skips deletions", finds: []string{
		"a prefix filters, byte by byte",
		"a watch tells of sets and deletes with current and previous version",
		"changes of concurrent writers come in order for each key",
		"every kind of change is told",
	}, wrap: func(s driver.Set) driver.Set {
		s.KeyValueWatch = skipsDeletions{s.KeyValueWatch}
		return s
	}},
	{name: "namespace and key are joined by a slash", finds: []string{
		"Drop forgets receipts",
		"Drop may be called again, and for a namespace without data",
		"Drop removes every key of the namespace and of no other",
		"Usage counts keys and bytes",
		"namespaces a and a/b share no keys, whatever bytes they are made of",
		"receipts of other ids and other namespaces are strangers",
	}, wrap: func(s driver.Set) driver.Set {
		s.KeyValue = joins{s.KeyValue}
		return only(s, "keyvalue_basic")
	}},
	{name: "a batch runs backwards", finds: []string{
		"every item has a receipt of its own",
		"every kind of change is told",
		"every kind of operation means what its method means",
		"operations on one key run in order",
		"versions in a batch grow and differ",
	}, wrap: func(s driver.Set) driver.Set {
		s.KeyValueBatch = backwards{s.KeyValueBatch}
		return s
	}},
	{name: "Increment wraps around", finds: []string{
		"Increment past either end is OVERFLOW and changes nothing",
	}, wrap: func(s driver.Set) driver.Set {
		s.KeyValueAtomic = wrapsAround{s.KeyValueAtomic}
		return s
	}},
	{name: "CompareAndSwap does not compare", finds: []string{
		"10 to 20 applies, then 10 to 30 does not",
		"CompareAndSwap leaves any other value alone",
		"what changes nothing is not told",
	}, may: []string{"concurrent CompareAndSwap loses no addition"}, wrap: func(s driver.Set) driver.Set {
		s.KeyValueCAS = swapsAll{s.KeyValueCAS, s.KeyValue}
		return s
	}},
	{name: "create-only overwrites", finds: []string{
		"a refusal leaves no receipt",
		"create-only on an existing key is ALREADY_EXISTS and changes nothing",
		"of 100 creators at once exactly one wins",
	}, wrap: func(s driver.Set) driver.Set {
		s.KeyValueVersioned = overwrites{s.KeyValueVersioned, s.KeyValue}
		return s
	}},
	{name: "Get panics at an empty value", finds: []string{
		"Set over a key replaces its value",
		"a random mix of calls does what a map does",
		"an empty value is not a missing key",
	}, wrap: func(s driver.Set) driver.Set {
		s.KeyValue = panics{s.KeyValue}
		return only(s, "keyvalue_basic")
	}},
	{name: "Drop leaves everything", finds: []string{
		"Drop forgets receipts",
		"Drop may be called again, and for a namespace without data",
		"Drop removes every key of the namespace and of no other",
		"calls after Close fail with UNAVAILABLE",
	}, wrap: func(s driver.Set) driver.Set {
		s.Store = deafDrop{s.Store}
		return only(s, "keyvalue_basic")
	}},
	{name: "a context that has ended is ignored", finds: []string{
		"a context that has ended changes nothing",
	}, wrap: func(s driver.Set) driver.Set {
		s.KeyValue = ignoresContext{s.KeyValue}
		return only(s, "keyvalue_basic")
	}},
	{name: "Get hands out the value it keeps", finds: []string{
		"a value that was returned belongs to the caller",
	}, wrap: func(s driver.Set) driver.Set {
		s.KeyValue = &sharesValues{KeyValue: s.KeyValue, kept: map[prism.Key]driver.Entry{}}
		return only(s, "keyvalue_basic")
	}},
}

func TestEachDefectIsFoundByTheRightPromises(t *testing.T) {
	// What is wrong with the others is none of the time series' business, and
	// these take the longest.
	others := slices.Concat(defects, cacheDefects, queueDefects, streamDefects, pubsubDefects)
	for i := range others {
		wrap := others[i].wrap
		others[i].wrap = func(s driver.Set) driver.Set {
			return wrap(s).Without("timeseries_basic", "timeseries_aggregation", "timeseries_retention")
		}
	}
	for _, d := range slices.Concat(others, timeseriesDefects) {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			h := drivertest.Driver(memory.Spec()).Wrapped(d.name, d.wrap)
			h.Patience = 3 * time.Second
			var found, asked []string
			if d.wide {
				asked = d.finds
			}
			for _, o := range drivertest.Check(t.Context(), h, asked...) {
				if o.State == drivertest.Failed && !slices.Contains(d.may, o.Promise) {
					found = append(found, o.Promise)
					if o.Message == "" {
						t.Errorf("%q failed without a word", o.Promise)
					}
				}
			}
			slices.Sort(found)
			slices.Sort(d.finds)
			if !slices.Equal(found, d.finds) {
				t.Errorf("found by\n\t%s\nwant\n\t%s", strings.Join(found, "\n\t"), strings.Join(d.finds, "\n\t"))
			}
		})
	}
}

type dropsEntries struct{ driver.KeyValueOrderedScan }

func (d dropsEntries) Scan(ctx context.Context, ns prism.Namespace, q driver.Query, token []byte) (driver.Page, error) {
	p, err := d.KeyValueOrderedScan.Scan(ctx, ns, q, token)
	if n := len(p.Entries); n > 2 {
		p.Entries = slices.Delete(p.Entries, 1, 2)
	}
	return p, err
}

type walksForward struct{ driver.KeyValueOrderedScan }

func (d walksForward) Scan(ctx context.Context, ns prism.Namespace, q driver.Query, token []byte) (driver.Page, error) {
	q.Reverse = false
	return d.KeyValueOrderedScan.Scan(ctx, ns, q, token)
}

type losesTTL struct{ driver.KeyValue }

func (d losesTTL) Set(ctx context.Context, k prism.Key, v []byte, o driver.SetOptions, r driver.Receipt) (driver.Result, error) {
	if o.TTL > 0 && !o.KeepTTL {
		o.TTL = 0
	}
	return d.KeyValue.Set(ctx, k, v, o, r)
}

type deafTouch struct{ driver.KeyValueTTL }

func (d deafTouch) Touch(ctx context.Context, k prism.Key, _ driver.Receipt) (driver.Result, error) {
	at, err := d.ExpiresAt(ctx, k)
	return driver.Result{ExpiresAt: at}, err
}

type wrongNotFound struct{ driver.KeyValue }

func (d wrongNotFound) Get(ctx context.Context, k prism.Key) (driver.Entry, bool, error) {
	e, found, err := d.KeyValue.Get(ctx, k)
	if err == nil && !found {
		err = prism.NotFound("key", k.Name)
	}
	return e, found, err
}

// reusesVersions counts each key's versions from 1, and anew after Delete.
type reusesVersions struct {
	driver.KeyValue
	mu    sync.Mutex
	count map[prism.Key]uint64
	shown map[prism.Key]map[uint64]uint64
}

func (d *reusesVersions) show(k prism.Key, version uint64) uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if version == 0 {
		return 0
	}
	if d.shown[k] == nil {
		d.shown[k] = map[uint64]uint64{}
	}
	if _, there := d.shown[k][version]; !there {
		d.count[k]++
		d.shown[k][version] = d.count[k]
	}
	return d.shown[k][version]
}

func (d *reusesVersions) Get(ctx context.Context, k prism.Key) (driver.Entry, bool, error) {
	e, found, err := d.KeyValue.Get(ctx, k)
	e.Version = d.show(k, e.Version)
	return e, found, err
}

func (d *reusesVersions) Set(ctx context.Context, k prism.Key, v []byte, o driver.SetOptions, r driver.Receipt) (driver.Result, error) {
	res, err := d.KeyValue.Set(ctx, k, v, o, r)
	res.Version = d.show(k, res.Version)
	return res, err
}

func (d *reusesVersions) Delete(ctx context.Context, k prism.Key, r driver.Receipt) (driver.Result, error) {
	res, err := d.KeyValue.Delete(ctx, k, r)
	res.Version = d.show(k, res.Version)
	if res.Found {
		d.mu.Lock()
		delete(d.count, k)
		d.mu.Unlock()
	}
	return res, err
}

type ignoresReceipts struct{ driver.KeyValue }

func (d ignoresReceipts) Set(ctx context.Context, k prism.Key, v []byte, o driver.SetOptions, _ driver.Receipt) (driver.Result, error) {
	return d.KeyValue.Set(ctx, k, v, o, driver.Receipt{})
}

type forgetsBody struct{ driver.KeyValue }

func (d forgetsBody) Set(ctx context.Context, k prism.Key, v []byte, o driver.SetOptions, r driver.Receipt) (driver.Result, error) {
	r.Body = [16]byte{}
	return d.KeyValue.Set(ctx, k, v, o, r)
}

type halfCommits struct {
	driver.KeyValueTransactional
	kv driver.KeyValue
}

func (d halfCommits) Commit(ctx context.Context, ns prism.Namespace, checks []driver.Check, writes []driver.Op, r driver.Receipt) ([]driver.Result, error) {
	res, err := d.KeyValueTransactional.Commit(ctx, ns, checks, writes, r)
	if err != nil && prism.From(err).Reason == prism.ReasonConflict && len(writes) > 0 {
		_, _ = d.kv.Set(ctx, prism.Key{Namespace: ns, Name: writes[0].Key}, writes[0].Value, driver.SetOptions{}, driver.Receipt{})
	}
	return res, err
}

type skipsDeletions struct{ driver.KeyValueWatch }

func (d skipsDeletions) Watch(ctx context.Context, ns prism.Namespace, prefix string, after driver.Position) (driver.Watcher, error) {
	w, err := d.KeyValueWatch.Watch(ctx, ns, prefix, after)
	return &skippingWatcher{Watcher: w, first: true}, err
}

type skippingWatcher struct {
	driver.Watcher
	first bool
}

func (w *skippingWatcher) Next(ctx context.Context) (driver.Changes, error) {
	for {
		c, err := w.Watcher.Next(ctx)
		c.Changes = slices.DeleteFunc(c.Changes, func(c driver.Change) bool { return c.Kind == driver.ChangeDelete })
		if len(c.Changes) > 0 || w.first || err != nil {
			w.first = false
			return c, err
		}
	}
}

type joins struct{ driver.KeyValue }

func (joins) key(k prism.Key) prism.Key {
	return prism.Key{Namespace: "joined", Name: string(k.Namespace) + "/" + k.Name}
}

func (d joins) Get(ctx context.Context, k prism.Key) (driver.Entry, bool, error) {
	return d.KeyValue.Get(ctx, d.key(k))
}

func (d joins) Exists(ctx context.Context, k prism.Key) (bool, error) {
	return d.KeyValue.Exists(ctx, d.key(k))
}

func (d joins) Set(ctx context.Context, k prism.Key, v []byte, o driver.SetOptions, r driver.Receipt) (driver.Result, error) {
	return d.KeyValue.Set(ctx, d.key(k), v, o, r)
}

func (d joins) Delete(ctx context.Context, k prism.Key, r driver.Receipt) (driver.Result, error) {
	return d.KeyValue.Delete(ctx, d.key(k), r)
}

type backwards struct{ driver.KeyValueBatch }

func (d backwards) Batch(ctx context.Context, ns prism.Namespace, ops []driver.Op, results []driver.Result) error {
	reversed := slices.Clone(ops)
	slices.Reverse(reversed)
	err := d.KeyValueBatch.Batch(ctx, ns, reversed, results)
	slices.Reverse(results[:len(ops)])
	return err
}

type wrapsAround struct{ driver.KeyValueAtomic }

func (d wrapsAround) Increment(ctx context.Context, k prism.Key, delta int64, r driver.Receipt) (driver.Result, error) {
	res, err := d.KeyValueAtomic.Increment(ctx, k, delta, r)
	if err != nil && prism.From(err).Reason == prism.ReasonOverflow {
		return driver.Result{}, nil
	}
	return res, err
}

type swapsAll struct {
	driver.KeyValueCAS
	kv driver.KeyValue
}

func (d swapsAll) CompareAndSwap(ctx context.Context, k prism.Key, expected, v []byte, o driver.SetOptions, r driver.Receipt) (driver.Result, error) {
	e, found, err := d.kv.Get(ctx, k)
	if err == nil && found {
		expected = e.Value
	}
	return d.KeyValueCAS.CompareAndSwap(ctx, k, expected, v, o, r)
}

type overwrites struct {
	driver.KeyValueVersioned
	kv driver.KeyValue
}

func (d overwrites) SetIf(ctx context.Context, k prism.Key, v []byte, c driver.Condition, o driver.SetOptions, r driver.Receipt) (driver.Result, error) {
	if c.Absent && c.Version == 0 {
		return d.kv.Set(ctx, k, v, o, r)
	}
	return d.KeyValueVersioned.SetIf(ctx, k, v, c, o, r)
}

type panics struct{ driver.KeyValue }

func (d panics) Get(ctx context.Context, k prism.Key) (driver.Entry, bool, error) {
	e, found, err := d.KeyValue.Get(ctx, k)
	if found && len(e.Value) == 0 {
		panic("index out of range")
	}
	return e, found, err
}

type deafDrop struct{ driver.Store }

func (deafDrop) Drop(context.Context, prism.Namespace) error { return nil }

type ignoresContext struct{ driver.KeyValue }

func (d ignoresContext) Set(_ context.Context, k prism.Key, v []byte, o driver.SetOptions, r driver.Receipt) (driver.Result, error) {
	return d.KeyValue.Set(context.Background(), k, v, o, r)
}

// sharesValues gives every reader of a version the same slice.
type sharesValues struct {
	driver.KeyValue
	mu   sync.Mutex
	kept map[prism.Key]driver.Entry
}

func (d *sharesValues) Get(ctx context.Context, k prism.Key) (driver.Entry, bool, error) {
	e, found, err := d.KeyValue.Get(ctx, k)
	if !found {
		return e, found, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.kept[k].Version != e.Version {
		d.kept[k] = e
	}
	return d.kept[k], true, nil
}
