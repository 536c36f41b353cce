package around_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/around"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// recorder is a hook that remembers.
type recorder struct {
	refuse error
	calls  *[]around.Call
	ends   *[]error
}

type mark struct{}

func newRecorder() recorder { return recorder{calls: new([]around.Call), ends: new([]error)} }

func (r recorder) Begin(ctx context.Context, c around.Call) (context.Context, int, error) {
	*r.calls = append(*r.calls, c)
	return context.WithValue(ctx, mark{}, "begun"), len(*r.calls), r.refuse
}

func (r recorder) End(span int, err error) {
	if span != len(*r.calls) {
		panic("End got another call's span")
	}
	*r.ends = append(*r.ends, err)
}

// each calls every method of every interface in s with zero arguments, under
// the names of the capability table.
func each(t *testing.T, s driver.Set, f func(capability, method string, call func() []reflect.Value)) {
	t.Helper()
	eachMethod(t, around.StoreCapability, reflect.ValueOf(&s.Store).Elem(), f)
	for _, c := range driver.Capabilities() {
		without := s
		c.Drop(&without)
		v, w := reflect.ValueOf(s), reflect.ValueOf(without)
		for i := range v.NumField() {
			if v.Field(i).Kind() == reflect.Interface && !v.Field(i).IsNil() && w.Field(i).IsNil() {
				eachMethod(t, c.Name, v.Field(i), f)
			}
		}
	}
}

func eachMethod(t *testing.T, capability string, iface reflect.Value, f func(capability, method string, call func() []reflect.Value)) {
	t.Helper()
	for i := range iface.NumMethod() {
		m := iface.Method(i)
		var args []reflect.Value
		for j := range m.Type().NumIn() {
			a := reflect.Zero(m.Type().In(j))
			switch m.Type().In(j) {
			case reflect.TypeFor[context.Context]():
				a = reflect.ValueOf(t.Context())
			case reflect.TypeFor[prism.Namespace]():
				a = reflect.ValueOf(prism.Namespace("orders"))
			case reflect.TypeFor[*driver.EventBatch]():
				a = reflect.ValueOf(&driver.EventBatch{Times: []int64{1}})
			case reflect.TypeFor[prism.Key]():
				a = reflect.ValueOf(prism.Key{Namespace: "orders", Name: "k"})
			}
			args = append(args, a)
		}
		f(capability, iface.Type().Method(i).Name, func() []reflect.Value { return m.Call(args) })
	}
}

func TestEveryMethodPassesTheHookOnceAndReachesTheDriver(t *testing.T) {
	t.Parallel()
	f := &fake{}
	rec := newRecorder()
	s := around.Wrap(filled(driver.Info{}, f), rec)
	seen := 0
	each(t, s, func(capability, method string, call func() []reflect.Value) {
		*rec.calls, *rec.ends = nil, nil
		f.called, f.ctx, f.err = "", nil, errors.New("the driver's error")
		out := call()
		if f.called != method {
			t.Errorf("%s.%s: the driver saw %q", capability, method, f.called)
		}
		if method == "Health" || method == "Close" {
			if len(*rec.calls) != 0 {
				t.Errorf("%s: passed the hook", method)
			}
			return
		}
		seen++
		if len(*rec.calls) != 1 || len(*rec.ends) != 1 {
			t.Fatalf("%s.%s: %d begins, %d ends, want one each", capability, method, len(*rec.calls), len(*rec.ends))
		}
		c := (*rec.calls)[0]
		if c.Capability != capability || c.Method != method || c.Namespace != "orders" {
			t.Errorf("%s.%s: the hook saw %+v", capability, method, c)
		}
		if f.ctx.Value(mark{}) != "begun" {
			t.Errorf("%s.%s: the driver did not see the hook's context", capability, method)
		}
		if got := out[len(out)-1].Interface(); got != f.err || (*rec.ends)[0] != f.err { //nolint:errorlint // the same value is the promise
			t.Errorf("%s.%s: caller got %v, End got %v, want the driver's error", capability, method, got, (*rec.ends)[0])
		}
	})
	if seen < 26 {
		t.Errorf("only %d methods passed the hook", seen)
	}
}

// A batch on a store that is gone ends well as a call: its items tell.
func TestTheErrorOfABatchIsThatOfItsFirstItem(t *testing.T) {
	t.Parallel()
	gone := prism.New(prism.ReasonBackendUnavailable, "no answer")
	for _, c := range []struct {
		call, item, want error
	}{{nil, nil, nil}, {nil, gone, gone}, {gone, nil, gone}} {
		rec := newRecorder()
		s := around.Wrap(driver.Set{KeyValueBatch: items{c.call, c.item}}, rec)
		err := s.KeyValueBatch.Batch(t.Context(), "n", make([]driver.Op, 2), make([]driver.Result, 2))
		if !errors.Is(err, c.call) || len(*rec.ends) != 1 || !errors.Is((*rec.ends)[0], c.want) {
			t.Errorf("a call that ends with %v, and its items with %v: the caller got %v, End got %v", c.call, c.item, err, *rec.ends)
		}
	}
}

// items answers every item of a batch alike.
type items struct{ call, item error }

func (a items) Batch(_ context.Context, _ prism.Namespace, ops []driver.Op, results []driver.Result) error {
	for i := range ops {
		results[i].Err = a.item
	}
	return a.call
}

func TestARefusedCallDoesNotReachTheDriver(t *testing.T) {
	t.Parallel()
	f := &fake{}
	rec := newRecorder()
	rec.refuse = prism.New(prism.ReasonOverloaded, "no")
	each(t, around.Wrap(filled(driver.Info{}, f), rec), func(capability, method string, call func() []reflect.Value) {
		if method == "Health" || method == "Close" {
			return
		}
		out := call()
		if got := out[len(out)-1].Interface(); got != rec.refuse { //nolint:errorlint // the same value is the promise
			t.Errorf("%s.%s: got %v, want the hook's refusal", capability, method, got)
		}
		if f.called != "" || len(*rec.ends) != 0 {
			t.Errorf("%s.%s: driver called %q, %d ends", capability, method, f.called, len(*rec.ends))
		}
	})
}

func TestMutationsAreMarked(t *testing.T) {
	t.Parallel()
	rec := newRecorder()
	reads := []string{
		"Usage", "Get", "Exists", "ExpiresAt", "Scan", "Count", "First", "Batch", "Watch",
		"Do", "Stats", "Peek", "Info", "Queues", "Delayed", "Priorities",
		"Read", "TopicInfo", "Topics", "OffsetAt", "Committed", "Groups",
		"Subscribe", "SubscribePattern", "SubscribeGroup", "SubscribeFiltered", "Replay", "Subscriptions",
		"QueryEvents", "AggregateEvents",
	}
	each(t, around.Wrap(filled(driver.Info{}, &fake{}), rec), func(_, method string, call func() []reflect.Value) {
		*rec.calls = nil
		call()
		if len(*rec.calls) == 0 {
			return
		}
		if got, want := (*rec.calls)[0].Mutates, !slices.Contains(reads, method); got != want {
			t.Errorf("%s: Mutates = %v, want %v", method, got, want)
		}
	})
}

func TestABatchTellsItsSizeAndWhetherItWrites(t *testing.T) {
	t.Parallel()
	rec := newRecorder()
	s := around.Wrap(filled(driver.Info{}, &fake{}), rec)
	get, set := driver.Op{Kind: driver.OpGet}, driver.Op{Kind: driver.OpSet}
	for _, c := range []struct {
		ops    []driver.Op
		writes bool
	}{{[]driver.Op{get, get}, false}, {[]driver.Op{get, get, set}, true}} {
		*rec.calls = nil
		if err := s.KeyValueBatch.Batch(t.Context(), "orders", c.ops, make([]driver.Result, len(c.ops))); err != nil {
			t.Fatal(err)
		}
		if got := (*rec.calls)[0]; got.Ops != len(c.ops) || got.Mutates != c.writes {
			t.Errorf("Batch of %d: the hook saw %+v, want Mutates %v", len(c.ops), got, c.writes)
		}
	}
	*rec.calls = nil
	if _, err := s.KeyValueTransactional.Commit(t.Context(), "orders", nil, []driver.Op{set, set}, driver.Receipt{}); err != nil {
		t.Fatal(err)
	}
	if got := (*rec.calls)[0]; got.Ops != 2 || !got.Mutates {
		t.Errorf("Commit: the hook saw %+v", got)
	}
}

func TestAWatcherPassesTheHookAtEachNext(t *testing.T) {
	t.Parallel()
	f := &fake{}
	rec := newRecorder()
	s := around.Wrap(filled(driver.Info{}, f), rec)
	w, err := s.KeyValueWatch.Watch(t.Context(), "orders", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := w.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	want := around.Call{Capability: "keyvalue_watch", Method: "Next", Namespace: "orders", Waits: true, Ops: 1}
	if len(*rec.calls) != 3 || (*rec.calls)[1] != want || (*rec.calls)[2] != want {
		t.Errorf("the hook saw %+v", *rec.calls)
	}
	if err := w.Close(); err != nil || f.called != "Watcher.Close" {
		t.Errorf("Close: %v, driver saw %q", err, f.called)
	}
}

func TestAWrappedSetHasExactlyTheInnerCapabilities(t *testing.T) {
	t.Parallel()
	full := filled(driver.Info{Driver: "fake"}, &fake{})
	for _, c := range driver.Capabilities() {
		for _, s := range []driver.Set{full, full.Without(c.Name), {Store: full.Store}} {
			w := around.Wrap(s, newRecorder())
			if !slices.Equal(w.Names(), s.Names()) || !reflect.DeepEqual(w.Info, s.Info) {
				t.Errorf("got %v %+v, want %v %+v", w.Names(), w.Info, s.Names(), s.Info)
			}
		}
	}
	if s := around.Wrap(driver.Set{}, newRecorder()); s.Store != nil {
		t.Error("an empty Set got a Store")
	}
}

func TestAPanicOfTheDriverEndsTheCall(t *testing.T) {
	t.Parallel()
	rec := newRecorder()
	s := around.Wrap(filled(driver.Info{}, &fake{panics: true}), rec)
	defer func() {
		if recover() == nil {
			t.Error("the panic did not go on")
		}
		if len(*rec.ends) != 1 || !errors.Is((*rec.ends)[0], around.ErrPanicked) {
			t.Errorf("End got %v, want ErrPanicked", *rec.ends)
		}
	}()
	_, _, _ = s.KeyValue.Get(t.Context(), prism.Key{Namespace: "orders", Name: "k"})
}

func TestWrapsNest(t *testing.T) {
	t.Parallel()
	outer, inner := newRecorder(), newRecorder()
	s := around.Wrap(around.Wrap(filled(driver.Info{}, &fake{}), inner), outer)
	e, found, err := s.KeyValue.Get(t.Context(), prism.Key{Namespace: "orders", Name: "k"})
	if e.Version != 7 || !found || err != nil {
		t.Errorf("got %+v %v %v", e, found, err)
	}
	if len(*outer.ends) != 1 || len(*inner.ends) != 1 {
		t.Errorf("%d outer and %d inner ends", len(*outer.ends), len(*inner.ends))
	}
}

// idle is the cheapest hook there is.
type idle struct{ _ int }

type span struct {
	_, _ int64
	_    string
}

func (idle) Begin(ctx context.Context, _ around.Call) (context.Context, span, error) {
	return ctx, span{}, nil
}
func (idle) End(span, error) {}

func TestAWrappedCallAllocatesNothing(t *testing.T) {
	s := around.Wrap(filled(driver.Info{}, &fake{}), idle{})
	ctx, key, value := t.Context(), prism.Key{Namespace: "orders", Name: "k"}, []byte("v")
	ops, results := make([]driver.Op, 2), make([]driver.Result, 2)
	for name, call := range map[string]func(){
		"Get":   func() { _, _, _ = s.KeyValue.Get(ctx, key) },
		"Set":   func() { _, _ = s.KeyValue.Set(ctx, key, value, driver.SetOptions{}, driver.Receipt{}) },
		"Batch": func() { _ = s.KeyValueBatch.Batch(ctx, "orders", ops, results) },
	} {
		if n := testing.AllocsPerRun(1000, call); n != 0 {
			t.Errorf("%s: %v allocations, want 0", name, n)
		}
	}
}

func BenchmarkWrappedGet(b *testing.B) {
	key := prism.Key{Namespace: "orders", Name: "k"}
	bare := filled(driver.Info{}, &fake{})
	for name, s := range map[string]driver.Set{"bare": bare, "wrapped": around.Wrap(bare, idle{})} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _, _ = s.KeyValue.Get(b.Context(), key)
			}
		})
	}
}
