package drivertest

import (
	"bytes"
	"context"
	crand "crypto/rand"
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// ModelRuns names the variable with the number of sequences that RunModel
// tries; "full" is the thousand of the nightly form.
const ModelRuns = "PRISM_MODEL"

const (
	modelQuick = 15
	modelFull  = 1000
	modelSteps = 100 // on average, a sequence
)

// RunModel drives two stores through the same random calls and compares every
// answer. They need all capabilities. Where either has no clock in the test's
// hands, no time passes and nothing ends: expiries are then compared by the
// hour, and what happens at an expiry is left to the promises. Versions are each
// store's own: what is compared is that they stand in one-to-one relation for
// each key. A store that can reopen does so now and then, and the watches on both
// must tell the same story for each key. What one of them does not have is left out.
func RunModel(t *testing.T, a, b Harness) {
	t.Helper()
	defer rapidFlags(t)()
	rapid.Check(t, func(r *rapid.T) {
		m := &model{T: r, ctx: context.Background(), ns: modelNamespace()}
		for i, h := range []Harness{a, b} {
			m.side[i] = &modelSide{name: h.Name, opened: h.Open(modelTB{r}, Options{})}
			m.real = m.real || m.side[i].opened.Clock == nil
			m.apart = m.apart || h.Apart
		}
		m.watched = m.both("keyvalue_watch")
		m.forget()
		actions := map[string]func(*rapid.T){
			"single": m.single, "single again": m.single, "single once more": m.single,
			"batch": m.batch, "commit": m.commit, "scan": m.scan, "pass": m.pass,
			"reopen": m.reopen, "drop": m.drop, "": func(*rapid.T) {},
		}
		if !m.both("keyvalue_transactional") {
			delete(actions, "commit")
		}
		r.Repeat(actions)
		m.drain()
		m.compareAll()
		m.closeWatches()
	})
}

// both reports whether both sides have a capability.
func (m *model) both(capability string) bool {
	return m.side[0].opened.Set.Has(capability) && m.side[1].opened.Set.Has(capability)
}

// rapidFlags sets how much rapid does, which it takes from the command line
// only; a number given there holds.
func rapidFlags(t *testing.T) (restore func()) {
	runs := modelQuick
	switch v := os.Getenv(ModelRuns); v {
	case "":
	case "full":
		runs = modelFull
	default:
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			t.Fatalf("%s=%q is neither a number nor full", ModelRuns, v)
		}
		runs = n
	}
	given := map[string]bool{}
	flag.Visit(func(f *flag.Flag) { given[f.Name] = true })
	before := map[string]string{}
	for name, n := range map[string]int{"rapid.checks": runs, "rapid.steps": modelSteps} {
		if f := flag.Lookup(name); f != nil && !given[name] {
			before[name] = f.Value.String()
			_ = f.Value.Set(strconv.Itoa(n))
		}
	}
	return func() {
		for name, value := range before {
			_ = flag.Lookup(name).Value.Set(value)
		}
	}
}

// modelTB is rapid's T with a temporary folder.
type modelTB struct{ *rapid.T }

func (t modelTB) TempDir() string {
	dir, err := os.MkdirTemp("", "drivertest")
	if err != nil {
		t.Fatalf("temporary folder: %v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

type model struct {
	*rapid.T
	ctx  context.Context
	ns   prism.Namespace
	side [2]*modelSide
	real bool // time is not in the test's hands on either side

	watched bool // both sides tell of changes
	apart   bool // a side keeps a receipt with its key

	// versions pairs, for each key, the versions of the two sides; seen lists
	// them in the order in which they came.
	versions map[string]*pairs
}

type modelSide struct {
	name    string
	opened  Opened
	watcher driver.Watcher
	at      driver.Position
	changes []driver.Change
}

type pairs struct {
	to   [2]map[uint64]uint64
	seen [][2]uint64
}

var (
	modelKeys   = []string{"a", "b", "a/b", "a/c", "\x00", "\xff", "\xff\xff", "n"}
	modelValues = []string{"", "1", "-7", "9223372036854775807", "word", string(bytes.Repeat([]byte("long "), 1000))}
	modelTTLs   = []time.Duration{0, 0, 0, time.Millisecond, time.Second, 5 * time.Second, time.Hour}
	realTTLs    = []time.Duration{0, 0, time.Hour}
)

// modelNamespace is a fresh one: a store may be shared.
func modelNamespace() prism.Namespace {
	return prism.Namespace("model" + strings.ToLower(crand.Text()))
}

// ttls are the times to live that are drawn.
func (m *model) ttls() []time.Duration {
	if m.real {
		return realTTLs
	}
	return modelTTLs
}

// pair notes that the sides gave a key these versions, and fails if either
// stands for another one already.
func (m *model) pair(what, key string, v [2]uint64) {
	if v[0] == 0 && v[1] == 0 {
		return
	}
	p := m.versions[key]
	if p == nil {
		p = &pairs{to: [2]map[uint64]uint64{{}, {}}}
		m.versions[key] = p
	}
	known := false
	for i := range v {
		other, there := p.to[i][v[i]]
		if known = there; there && other != v[1-i] || v[i] == 0 {
			m.Fatalf("%s: versions %s %d and %s %d do not belong together", what, m.side[0].name, v[0], m.side[1].name, v[1])
		}
	}
	if !known {
		p.to[0][v[0]], p.to[1][v[1]] = v[1], v[0]
		p.seen = append(p.seen, v)
	}
}

// forget begins anew: after Drop, and at first.
func (m *model) forget() {
	m.versions = map[string]*pairs{}
	for _, s := range m.side {
		s.at = nil
		m.watch(s)
	}
}

// version draws a version of a key for both sides: the newest, an older one,
// or one that never was.
func (m *model) version(r *rapid.T, key string) [2]uint64 {
	p := m.versions[key]
	if p == nil || rapid.IntRange(0, 9).Draw(r, "wrong version") == 0 {
		return [2]uint64{3, 3}
	}
	back := min(rapid.SampledFrom([]int{0, 0, 0, 1, 5}).Draw(r, "versions back"), len(p.seen)-1)
	return p.seen[len(p.seen)-1-back]
}

// op draws an operation, once for each side.
func (m *model) op(r *rapid.T, kinds ...driver.OpKind) [2]driver.Op {
	if len(kinds) == 0 {
		for k := driver.OpGet; k <= driver.OpCompareAndDelete; k++ {
			kinds = append(kinds, k)
		}
	}
	op := driver.Op{Kind: rapid.SampledFrom(kinds).Draw(r, "kind"), Key: rapid.SampledFrom(modelKeys).Draw(r, "key")}
	version := [2]uint64{}
	switch op.Kind {
	case driver.OpSet, driver.OpSetIf, driver.OpAppend, driver.OpSetIfAbsent, driver.OpGetAndSet, driver.OpCompareAndSwap:
		op.Value = []byte(rapid.SampledFrom(modelValues).Draw(r, "value"))
	case driver.OpIncrement:
		op.Delta = rapid.SampledFrom([]int64{1, -1, 5, 1 << 62, -1 << 63}).Draw(r, "delta")
	}
	switch op.Kind {
	case driver.OpCompareAndSwap, driver.OpCompareAndDelete:
		op.Expected = []byte(rapid.SampledFrom(modelValues).Draw(r, "expected"))
	case driver.OpSetIf, driver.OpDeleteIf:
		if op.If.Absent = rapid.Bool().Draw(r, "absent"); !op.If.Absent {
			version = m.version(r, op.Key)
		}
	}
	switch op.Kind {
	case driver.OpSet, driver.OpSetIf, driver.OpSetIfAbsent, driver.OpGetAndSet, driver.OpCompareAndSwap, driver.OpExpire:
		op.Options.TTL = rapid.SampledFrom(m.ttls()).Draw(r, "ttl")
		if op.Options.TTL == 0 && op.Kind != driver.OpExpire && op.Kind != driver.OpCompareAndSwap {
			op.Options.KeepTTL = rapid.Bool().Draw(r, "keep ttl")
		}
	}
	if !op.Kind.Reads() {
		op.Receipt = m.receipt(r, op.Key, fmt.Sprintf("%+v %v", op, version[0]))
	}
	ops := [2]driver.Op{op, op}
	for i, v := range version {
		ops[i].If.Version = v
	}
	return ops
}

// receipt draws none, or one of few ids with the hash of what is asked.
func (m *model) receipt(r *rapid.T, key, asked string) driver.Receipt {
	id := rapid.IntRange(-20, 10).Draw(r, "receipt")
	if id <= 0 {
		return driver.Receipt{}
	}
	keeps := []time.Duration{24 * time.Hour, 10 * time.Second}
	if m.real {
		keeps = keeps[:1]
	}
	rec := driver.Receipt{ID: [16]byte{byte(id)}, Keep: rapid.SampledFrom(keeps).Draw(r, "keep")}
	if m.apart {
		copy(rec.ID[1:], key)
	}
	sum := sha256.Sum256([]byte(asked))
	copy(rec.Body[:], sum[:])
	return rec
}

// single makes a call of the method that stands for an operation.
func (m *model) single(r *rapid.T) {
	ops := m.op(r)
	var res [2]driver.Result
	for i, s := range m.side {
		res[i], res[i].Err = call(m.ctx, &s.opened.Set, m.ns, ops[i])
	}
	m.compare(ops[0], res)
}

// call makes the method call that op stands for.
func call(ctx context.Context, s *driver.Set, ns prism.Namespace, op driver.Op) (res driver.Result, err error) {
	k := prism.Key{Namespace: ns, Name: op.Key}
	switch op.Kind {
	case driver.OpGet:
		var e driver.Entry
		e, res.Found, err = s.KeyValue.Get(ctx, k)
		res.Value, res.Version, res.ExpiresAt = e.Value, e.Version, e.ExpiresAt
	case driver.OpExists:
		res.Found, err = s.KeyValue.Exists(ctx, k)
	case driver.OpExpiresAt:
		res.ExpiresAt, err = s.KeyValueTTL.ExpiresAt(ctx, k)
	case driver.OpSet:
		return s.KeyValue.Set(ctx, k, op.Value, op.Options, op.Receipt)
	case driver.OpSetIf:
		return s.KeyValueVersioned.SetIf(ctx, k, op.Value, op.If, op.Options, op.Receipt)
	case driver.OpDelete:
		return s.KeyValue.Delete(ctx, k, op.Receipt)
	case driver.OpDeleteIf:
		return s.KeyValueVersioned.DeleteIf(ctx, k, op.If, op.Receipt)
	case driver.OpExpire:
		return s.KeyValueTTL.Expire(ctx, k, op.Options.TTL, op.Receipt)
	case driver.OpPersist:
		return s.KeyValueTTL.Persist(ctx, k, op.Receipt)
	case driver.OpTouch:
		return s.KeyValueTTL.Touch(ctx, k, op.Receipt)
	case driver.OpIncrement:
		return s.KeyValueAtomic.Increment(ctx, k, op.Delta, op.Receipt)
	case driver.OpAppend:
		return s.KeyValueAtomic.Append(ctx, k, op.Value, op.Receipt)
	case driver.OpSetIfAbsent:
		return s.KeyValueAtomic.SetIfAbsent(ctx, k, op.Value, op.Options, op.Receipt)
	case driver.OpGetAndSet:
		return s.KeyValueAtomic.GetAndSet(ctx, k, op.Value, op.Options, op.Receipt)
	case driver.OpCompareAndSwap:
		return s.KeyValueCAS.CompareAndSwap(ctx, k, op.Expected, op.Value, op.Options, op.Receipt)
	case driver.OpCompareAndDelete:
		return s.KeyValueCAS.CompareAndDelete(ctx, k, op.Expected, op.Receipt)
	}
	return res, err
}

// compare compares what the method of op says it answers.
func (m *model) compare(op driver.Op, res [2]driver.Result) {
	what := fmt.Sprintf("operation %d on %q (%s, %s)", op.Kind, op.Key, m.side[0].name, m.side[1].name)
	if !m.sameError(what, op.Key, res[0].Err, res[1].Err) {
		return
	}
	timed := op.Kind == driver.OpExpire || op.Kind == driver.OpPersist || op.Kind == driver.OpTouch
	var d [2]driver.Result
	for i, r := range res {
		r.Err = nil
		if !timed && op.Kind != driver.OpCompareAndDelete {
			d[i].Version = r.Version
		}
		r.Version = 0
		if r.Replayed || op.Kind == driver.OpPersist {
			// An expiry of long ago cannot be compared by distance.
			r.ExpiresAt = time.Time{}
		}
		if !r.ExpiresAt.IsZero() {
			r.ExpiresAt = time.UnixMilli(0).Add(m.left(m.side[i], r.ExpiresAt))
		}
		res[i] = r
	}
	if op.Kind == driver.OpExists || op.Kind == driver.OpExpiresAt {
		d = [2]driver.Result{}
	}
	if diff := differ(res[0], res[1]); diff != "" {
		m.Fatalf("%s: %s", what, diff)
	}
	m.pair(what, op.Key, [2]uint64{d[0].Version, d[1].Version})
}

// left is how long it is until an expiry on a side.
func (m *model) left(s *modelSide, at time.Time) time.Duration {
	now := time.Now()
	if s.opened.Clock != nil {
		now = s.opened.Clock.Now()
	}
	if m.real {
		return at.Sub(now).Round(time.Hour)
	}
	return at.Sub(now)
}

// sameError compares reasons; true if there is no error.
func (m *model) sameError(what, key string, a, b error) bool {
	if a == nil && b == nil {
		return true
	}
	if a == nil || b == nil || prism.From(a).Reason != prism.From(b).Reason {
		m.Fatalf("%s: %v and %v", what, a, b)
	}
	if prism.From(a).Reason == prism.ReasonVersionMismatch {
		var v [2]uint64
		for i, err := range []error{a, b} {
			v[i], _ = strconv.ParseUint(prism.From(err).Meta["current_version"], 10, 64)
		}
		m.pair(what+": current_version", key, v)
	}
	return false
}

func (m *model) batch(r *rapid.T) {
	var ops [2][]driver.Op
	for range rapid.IntRange(0, 6).Draw(r, "operations") {
		op := m.op(r)
		ops[0], ops[1] = append(ops[0], op[0]), append(ops[1], op[1])
	}
	results := [2][]driver.Result{}
	for i, s := range m.side {
		results[i] = make([]driver.Result, len(ops[i]))
		if err := s.opened.Set.KeyValueBatch.Batch(m.ctx, m.ns, ops[i], results[i]); err != nil {
			m.Fatalf("%s: batch: %v", s.name, err)
		}
	}
	for n := range ops[0] {
		m.compare(ops[0][n], [2]driver.Result{results[0][n], results[1][n]})
	}
}

func (m *model) commit(r *rapid.T) {
	var checks [2][]driver.Check
	for range rapid.IntRange(0, 2).Draw(r, "checks") {
		key := rapid.SampledFrom(modelKeys).Draw(r, "checked")
		var v [2]uint64
		if !rapid.Bool().Draw(r, "absent") {
			v = m.version(r, key)
		}
		for i := range checks {
			checks[i] = append(checks[i], driver.Check{Key: key, Version: v[i]})
		}
	}
	var writes []driver.Op
	for _, key := range rapid.SliceOfNDistinct(rapid.SampledFrom(modelKeys), 0, 4, rapid.ID).Draw(r, "written") {
		op := m.op(r, driver.OpSet, driver.OpDelete)[0]
		op.Key, op.Receipt = key, driver.Receipt{}
		writes = append(writes, op)
	}
	receipt := m.receipt(r, "", fmt.Sprintf("%+v %+v", checks[0], writes))
	var results [2][]driver.Result
	var errs [2]error
	for i, s := range m.side {
		results[i], errs[i] = s.opened.Set.KeyValueTransactional.Commit(m.ctx, m.ns, checks[i], writes, receipt)
	}
	if !m.sameError("commit", "", errs[0], errs[1]) {
		return
	}
	if len(results[0]) != len(results[1]) {
		m.Fatalf("commit: %d and %d results", len(results[0]), len(results[1]))
	}
	for n := range min(len(writes), len(results[0])) {
		m.compare(writes[n], [2]driver.Result{results[0][n], results[1][n]})
	}
}

func (m *model) scan(r *rapid.T) {
	bound := rapid.SampledFrom(append([]string{"", "", ""}, modelKeys...))
	m.compareScan(driver.Query{
		Prefix:   rapid.SampledFrom([]string{"", "", "a", "a/", "\xff", "\x00", "x"}).Draw(r, "prefix"),
		Start:    bound.Draw(r, "start"),
		End:      bound.Draw(r, "end"),
		Reverse:  rapid.Bool().Draw(r, "reverse"),
		KeysOnly: rapid.Bool().Draw(r, "keys only"),
		Limit:    rapid.IntRange(1, 10).Draw(r, "limit"),
		MaxBytes: rapid.SampledFrom([]int{1, 100, 1 << 20}).Draw(r, "bytes"),
	})
}

func (m *model) compareScan(q driver.Query) {
	var all [2][]driver.Entry
	var counts [2]int64
	var firsts [2]driver.Entry
	for i, s := range m.side {
		set := s.opened.Set
		var token []byte
		for pages := 0; pages == 0 || token != nil; pages++ {
			page, err := set.KeyValueScan.Scan(m.ctx, m.ns, q, token)
			if err != nil || pages > 1000 {
				m.Fatalf("%s: scan %+v, page %d: %v", s.name, q, pages, err)
			}
			all[i] = append(all[i], page.Entries...)
			token = page.Next
		}
		var err error
		if counts[i], err = set.KeyValueScan.Count(m.ctx, m.ns, q); err != nil {
			m.Fatalf("%s: count %+v: %v", s.name, q, err)
		}
		if firsts[i], _, err = set.KeyValueOrderedScan.First(m.ctx, m.ns, q); err != nil {
			m.Fatalf("%s: first of %+v: %v", s.name, q, err)
		}
		if int(counts[i]) != len(all[i]) {
			m.Fatalf("%s: scan %+v has %d entries, count says %d", s.name, q, len(all[i]), counts[i])
		}
		if len(all[i]) > 0 && firsts[i].Key != all[i][0].Key {
			m.Fatalf("%s: first of %+v is %q, the scan begins with %q", s.name, q, firsts[i].Key, all[i][0].Key)
		}
	}
	if !slices.Equal(keysOf(all[0]), keysOf(all[1])) {
		m.Fatalf("scan %+v: %s has %q, %s has %q", q, m.side[0].name, keysOf(all[0]), m.side[1].name, keysOf(all[1]))
	}
	for n, a := range all[0] {
		b := all[1][n]
		m.compare(driver.Op{Kind: driver.OpGet, Key: a.Key}, [2]driver.Result{
			{Version: a.Version, Value: a.Value, Number: int64(a.Size), ExpiresAt: a.ExpiresAt},
			{Version: b.Version, Value: b.Value, Number: int64(b.Size), ExpiresAt: b.ExpiresAt},
		})
		if q.KeysOnly && (a.Value != nil || b.Value != nil) {
			m.Fatalf("scan of keys only has values: %q", a.Key)
		}
	}
}

func (m *model) pass(r *rapid.T) {
	if m.real {
		return
	}
	d := rapid.SampledFrom([]time.Duration{time.Millisecond, 500 * time.Millisecond, time.Second, 6 * time.Second, time.Minute}).Draw(r, "time")
	for _, s := range m.side {
		s.opened.Clock.Advance(d)
	}
}

// reopen restarts the sides that can; their watches go on from where they were.
func (m *model) reopen(r *rapid.T) {
	if rapid.IntRange(0, 4).Draw(r, "restart") != 0 {
		return
	}
	for _, s := range m.side {
		if s.opened.Reopen == nil {
			continue
		}
		m.unwatch(s)
		s.opened.Set = s.opened.Reopen()
		m.watch(s)
	}
}

func (m *model) drop(r *rapid.T) {
	if rapid.IntRange(0, 9).Draw(r, "drop") != 0 {
		return
	}
	m.drain()
	m.closeWatches()
	used := m.versions
	for _, s := range m.side {
		if err := s.opened.Set.Store.Drop(m.ctx, m.ns); err != nil {
			m.Fatalf("%s: drop: %v", s.name, err)
		}
	}
	m.forget()
	m.versions = used // they stay used up
	m.compareAll()
}

// compareAll compares everything that is there.
func (m *model) compareAll() {
	m.compareScan(driver.Query{Limit: 100, MaxBytes: prism.MaxPageBytes})
	var usage [2]driver.Usage
	for i, s := range m.side {
		var err error
		if usage[i], err = s.opened.Set.Store.Usage(m.ctx, m.ns); err != nil {
			m.Fatalf("%s: usage: %v", s.name, err)
		}
	}
	if !usage[0].Estimated && !usage[1].Estimated && usage[0].Keys != usage[1].Keys {
		m.Fatalf("usage: %d and %d keys", usage[0].Keys, usage[1].Keys)
	}
}
