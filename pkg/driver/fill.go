package driver

// Fill makes a Set from an opened driver: each capability whose interface impl
// satisfies is filled. It is called once, by the driver's own Open, with the
// names that a probe found wanting.
func Fill(info Info, impl Store, without ...string) Set {
	s := Set{Info: info, Store: impl}
	s.KeyValue, _ = impl.(KeyValue)
	s.KeyValueVersioned, _ = impl.(KeyValueVersioned)
	s.KeyValueTTL, _ = impl.(KeyValueTTL)
	s.KeyValueScan, _ = impl.(KeyValueScan)
	s.KeyValueOrderedScan, _ = impl.(KeyValueOrderedScan)
	s.KeyValueBatch, _ = impl.(KeyValueBatch)
	s.KeyValueAtomic, _ = impl.(KeyValueAtomic)
	s.KeyValueCAS, _ = impl.(KeyValueCAS)
	s.KeyValueTransactional, _ = impl.(KeyValueTransactional)
	s.KeyValueWatch, _ = impl.(KeyValueWatch)
	return s.Without(without...)
}
