package driver_test

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/prism-data-layer/prism/pkg/driver"
	cachev1 "github.com/prism-data-layer/prism/proto/prism/cache/v1"
	keyvaluev1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	optionsv1 "github.com/prism-data-layer/prism/proto/prism/options/v1"
	pubsubv1 "github.com/prism-data-layer/prism/proto/prism/pubsub/v1"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
	timeseriesv1 "github.com/prism-data-layer/prism/proto/prism/timeseries/v1"
)

// full has something in every capability field.
func full() driver.Set { return driver.Fill(driver.Info{}, everything{}, parts...) }

// everything satisfies each interface by holding it; nothing of it is called.
type everything struct {
	driver.Store
	driver.KeyValue
	driver.KeyValueVersioned
	driver.KeyValueTTL
	driver.KeyValueOrderedScan
	driver.KeyValueBatch
	driver.KeyValueAtomic
	driver.KeyValueCAS
	driver.KeyValueTransactional
	driver.KeyValueWatch
	driver.KeyValueMove
}

// parts are for the models beside key-value: methods of one name meet in none.
var parts = []any{
	struct {
		driver.Cache
		driver.CacheBounded
		driver.CacheLock
	}{},
	struct {
		driver.Queue
		driver.QueueVisibility
		driver.QueueDelayed
		driver.QueuePriority
		driver.QueueDeadLetter
	}{},
	struct {
		driver.Stream
		driver.StreamPartitioning
		driver.StreamReplay
		driver.StreamRetention
		driver.StreamConsumerGroups
	}{},
	struct {
		driver.PubSub
		driver.PubSubWildcards
		driver.PubSubGroups
		driver.PubSubFiltering
		driver.PubSubOrdering
		driver.PubSubPersistent
	}{},
	struct {
		driver.TimeSeries
		driver.TimeSeriesAggregation
		driver.TimeSeriesRetention
	}{},
}

// capabilityFields are the fields of Set that are interfaces, but for Store.
func capabilityFields() []string {
	var names []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[driver.Set]()) {
		if f.Type.Kind() == reflect.Interface && f.Name != "Store" {
			names = append(names, f.Name)
		}
	}
	return names
}

// present lists the capability fields of s that are not nil.
func present(s driver.Set) []string {
	var names []string
	for _, f := range capabilityFields() {
		if !reflect.ValueOf(s).FieldByName(f).IsNil() {
			names = append(names, f)
		}
	}
	return names
}

func TestFillFillsEveryField(t *testing.T) {
	t.Parallel()
	s := full()
	if got, want := present(s), capabilityFields(); !slices.Equal(got, want) {
		t.Errorf("Fill filled %v, Set has %v", got, want)
	}
}

func TestTheTableAndTheFieldsOfSetAgreeBothWays(t *testing.T) {
	t.Parallel()
	fields := capabilityFields()
	caps := driver.Capabilities()
	if len(caps) != len(fields) {
		t.Errorf("%d capabilities, %d fields of Set", len(caps), len(fields))
	}
	for i, c := range caps {
		s := full()
		c.Drop(&s)
		gone := slices.DeleteFunc(slices.Clone(fields), func(f string) bool { return slices.Contains(present(s), f) })
		if len(gone) != 1 {
			t.Errorf("Drop of %s empties %v, want one field", c.Name, gone)
			continue
		}
		if i < len(fields) && gone[0] != fields[i] {
			t.Errorf("row %d of the table is %s, field %d of Set is %s", i, gone[0], i, fields[i])
		}
		if want := capabilityName(gone[0]); c.Name != want {
			t.Errorf("Drop of %s empties %s, whose name is %s", c.Name, gone[0], want)
		}
		if c.Has(&s) || s.Has(c.Name) {
			t.Errorf("%s is there after Drop", c.Name)
		}
		f := full()
		if !c.Has(&f) || !f.Has(c.Name) {
			t.Errorf("%s is not in a full set", c.Name)
		}
		if want := slices.DeleteFunc(f.Names(), func(n string) bool { return n == c.Name }); !slices.Equal(s.Names(), want) {
			t.Errorf("without %s: got %v, want %v", c.Name, s.Names(), want)
		}
		if c.Doc == "" {
			t.Errorf("%s says nothing of itself", c.Name)
		}
	}
}

// models are the beginnings of the fields' names, and their public names.
var models = map[string]string{"KeyValue": "keyvalue", "Cache": "cache", "Queue": "queue", "Stream": "stream", "PubSub": "pubsub", "TimeSeries": "timeseries"}

// capabilityName is how a field's name is said in public: the model, then the
// words of the rest; the model alone is its basic capability.
func capabilityName(field string) string {
	var model, rest string
	for m := range models {
		if r, ok := strings.CutPrefix(field, m); ok {
			model, rest = models[m], r
		}
	}
	if rest == "" {
		return model + "_basic"
	}
	var b strings.Builder
	for i, r := range rest {
		upper := r >= 'A' && r <= 'Z'
		if upper && i > 0 && rest[i-1] >= 'a' && rest[i-1] <= 'z' {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return model + "_" + strings.ToLower(b.String())
}

// unasked are what a request cannot ask for by a field alone: a bound, a move
// and a retention are the operator's, a wildcard is in the text of a pattern.
var unasked = map[string]bool{"cache_bounded": true, "keyvalue_move": true, "pubsub_wildcards": true, "timeseries_retention": true}

func TestTheTableAndTheProtoOptionsAgreeBothWays(t *testing.T) {
	t.Parallel()
	asked := map[string]string{}
	files := []protoreflect.FileDescriptor{
		keyvaluev1.File_prism_keyvalue_v1_keyvalue_proto, cachev1.File_prism_cache_v1_cache_proto,
		queuev1.File_prism_queue_v1_queue_proto, queuev1.File_prism_queue_v1_workqueue_proto, pubsubv1.File_prism_pubsub_v1_pubsub_proto,
		timeseriesv1.File_prism_timeseries_v1_timeseries_proto,
	}
	var fields func(protoreflect.MessageDescriptors)
	fields = func(messages protoreflect.MessageDescriptors) {
		for i := range messages.Len() {
			for j := range messages.Get(i).Fields().Len() {
				f := messages.Get(i).Fields().Get(j)
				if name, _ := proto.GetExtension(f.Options(), optionsv1.E_Needs).(string); name != "" {
					asked[name] = string(f.FullName())
				}
			}
			fields(messages.Get(i).Messages())
		}
	}
	for _, file := range files {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				m := methods.Get(j)
				name, _ := proto.GetExtension(m.Options(), optionsv1.E_Capability).(string)
				if name == "" {
					t.Errorf("%s says no capability", m.FullName())
				}
				asked[name] = string(m.FullName())
			}
		}
		fields(file.Messages())
	}

	table := map[string]bool{}
	for _, c := range driver.Capabilities() {
		if table[c.Name] {
			t.Errorf("%s is in the table twice", c.Name)
		}
		table[c.Name] = true
		if asked[c.Name] == "" && !unasked[c.Name] {
			t.Errorf("%s is in the driver's table, and nothing in the protos asks for it", c.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		if !table[name] {
			t.Errorf("%s asks for %q, which is not in the driver's table", asked[name], name)
		}
	}
}

func TestAnUnknownCapabilityIsNotThere(t *testing.T) {
	t.Parallel()
	s := full()
	if s.Has("keyvalue_magic") {
		t.Error("a full set has keyvalue_magic")
	}
	if w := s.Without("keyvalue_magic"); !slices.Equal(w.Names(), s.Names()) {
		t.Errorf("without keyvalue_magic: got %v", w.Names())
	}
	if got := present(driver.Fill(driver.Info{}, nothing{})); got != nil {
		t.Errorf("a store alone got %v", got)
	}
}

func TestCapabilitiesOfAModel(t *testing.T) {
	t.Parallel()
	s := full()
	if got, want := s.NamesOf("cache"), []string{"cache_basic", "cache_bounded", "cache_lock"}; !slices.Equal(got, want) {
		t.Errorf("cache: %v, want %v", got, want)
	}
	if got := s.NamesOf("queue", "stream"); len(got) != 10 || got[0] != "queue_basic" || got[9] != "stream_consumer_groups" {
		t.Errorf("queue and stream: %v", got)
	}
}

type nothing struct{ driver.Store }

func TestARegistryFindsDriversByName(t *testing.T) {
	t.Parallel()
	r := driver.Registry{{Name: "memory"}, {Name: "pebble"}}
	if s, ok := r.Find("pebble"); !ok || s.Name != "pebble" {
		t.Errorf("pebble: got %q, %v", s.Name, ok)
	}
	if _, ok := r.Find("reddis"); ok {
		t.Error("reddis was found")
	}
	if got, want := r.Names(), []string{"memory", "pebble"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestOptionsAreDecodedWhereThereAreAny(t *testing.T) {
	t.Parallel()
	n := 1
	if err := (driver.Config{}).Decode(&n); err != nil || n != 1 {
		t.Errorf("without options: %d, %v", n, err)
	}
	c := driver.Config{Options: func(into any) error { *into.(*int) = 2; return nil }}
	if err := c.Decode(&n); err != nil || n != 2 {
		t.Errorf("with options: %d, %v", n, err)
	}
}

func TestWordsOfTheContract(t *testing.T) {
	t.Parallel()
	for s, want := range map[driver.HealthState]string{
		0: "unknown", driver.Healthy: "healthy", driver.Degraded: "degraded", driver.Unhealthy: "unhealthy",
	} {
		if s.String() != want {
			t.Errorf("state %d is %q, want %q", s, s, want)
		}
	}
	if !(driver.Receipt{}).IsZero() || (driver.Receipt{Keep: 1}).IsZero() {
		t.Error("a receipt is asked for by its Keep, and by nothing else")
	}
	for k := driver.OpGet; k <= driver.OpCompareAndDelete; k++ {
		reads := k == driver.OpGet || k == driver.OpExists || k == driver.OpExpiresAt
		if k.Reads() != reads {
			t.Errorf("operation %d: Reads is %v", k, k.Reads())
		}
	}
}
