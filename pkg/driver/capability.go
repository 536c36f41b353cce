package driver

// A Capability is one small interface under its public name.
type Capability struct {
	Name string // as in the proto options, the matrix and the documentation
	Doc  string
	Has  func(*Set) bool
	// Drop empties the field, for a probe that narrows.
	Drop func(*Set)
}

// capabilities is the one table from which the gateway's refusal, the
// catalogue, the matrix and the documentation are made. A test compares it
// with the fields of Set and with the proto options, both ways.
var capabilities = []Capability{
	{"keyvalue_basic", "get, set, delete, exists", func(s *Set) bool { return s.KeyValue != nil }, func(s *Set) { s.KeyValue = nil }},
	{"keyvalue_versioned", "create-only and if-version conditions", func(s *Set) bool { return s.KeyValueVersioned != nil }, func(s *Set) { s.KeyValueVersioned = nil }},
	{"keyvalue_ttl", "expiry: set with a time to live, expire, persist, touch", func(s *Set) bool { return s.KeyValueTTL != nil }, func(s *Set) { s.KeyValueTTL = nil }},
	{"keyvalue_scan", "paged scans by prefix, count", func(s *Set) bool { return s.KeyValueScan != nil }, func(s *Set) { s.KeyValueScan = nil }},
	{"keyvalue_ordered_scan", "scans in byte order, by range, both directions", func(s *Set) bool { return s.KeyValueOrderedScan != nil }, func(s *Set) { s.KeyValueOrderedScan = nil }},
	{"keyvalue_batch", "many operations in one round trip", func(s *Set) bool { return s.KeyValueBatch != nil }, func(s *Set) { s.KeyValueBatch = nil }},
	{"keyvalue_atomic", "increment, append, set-if-absent, get-and-set", func(s *Set) bool { return s.KeyValueAtomic != nil }, func(s *Set) { s.KeyValueAtomic = nil }},
	{"keyvalue_cas", "compare-and-swap, compare-and-delete", func(s *Set) bool { return s.KeyValueCAS != nil }, func(s *Set) { s.KeyValueCAS = nil }},
	{"keyvalue_transactional", "several keys at once, all or nothing", func(s *Set) bool { return s.KeyValueTransactional != nil }, func(s *Set) { s.KeyValueTransactional = nil }},
	{"keyvalue_watch", "changes in order, from a position", func(s *Set) bool { return s.KeyValueWatch != nil }, func(s *Set) { s.KeyValueWatch = nil }},
}

// Capabilities lists the table.
func Capabilities() []Capability { return capabilities }

// Has reports whether s has the named capability.
func (s *Set) Has(name string) bool {
	for i := range capabilities {
		if capabilities[i].Name == name {
			return capabilities[i].Has(s)
		}
	}
	return false
}

// Names lists the capabilities of s in the table's order.
func (s *Set) Names() []string {
	var names []string
	for i := range capabilities {
		if capabilities[i].Has(s) {
			names = append(names, capabilities[i].Name)
		}
	}
	return names
}

// Without returns s with the named capabilities taken away.
func (s Set) Without(names ...string) Set {
	for _, n := range names {
		for i := range capabilities {
			if capabilities[i].Name == n {
				capabilities[i].Drop(&s)
			}
		}
	}
	return s
}
