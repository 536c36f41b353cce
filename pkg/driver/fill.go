package driver

// Fill makes a Set from an opened driver: each capability is filled by the
// first of store and parts whose type satisfies its interface. A driver of
// several models gives a part for each, so that their methods may share names.
// It is called once, by the driver's own Open; what a probe found wanting is
// taken away with [Set.Without].
func Fill(info Info, store Store, parts ...any) Set {
	s := Set{Info: info, Store: store}
	for _, part := range append([]any{store}, parts...) {
		fill(&s.KeyValue, part)
		fill(&s.KeyValueVersioned, part)
		fill(&s.KeyValueTTL, part)
		fill(&s.KeyValueScan, part)
		fill(&s.KeyValueOrderedScan, part)
		fill(&s.KeyValueBatch, part)
		fill(&s.KeyValueAtomic, part)
		fill(&s.KeyValueCAS, part)
		fill(&s.KeyValueTransactional, part)
		fill(&s.KeyValueWatch, part)
		fill(&s.KeyValueMove, part)
		fill(&s.Cache, part)
		fill(&s.CacheBounded, part)
		fill(&s.CacheLock, part)
		fill(&s.Queue, part)
		fill(&s.QueueVisibility, part)
		fill(&s.QueueDelayed, part)
		fill(&s.QueuePriority, part)
		fill(&s.QueueDeadLetter, part)
		fill(&s.Stream, part)
		fill(&s.StreamPartitioning, part)
		fill(&s.StreamReplay, part)
		fill(&s.StreamRetention, part)
		fill(&s.StreamConsumerGroups, part)
		fill(&s.PubSub, part)
		fill(&s.PubSubWildcards, part)
		fill(&s.PubSubGroups, part)
		fill(&s.PubSubFiltering, part)
		fill(&s.PubSubOrdering, part)
		fill(&s.PubSubPersistent, part)
		fill(&s.TimeSeries, part)
		fill(&s.TimeSeriesAggregation, part)
		fill(&s.TimeSeriesRetention, part)
	}
	return s
}

// fill puts part where nothing is yet, if it has the methods.
func fill[T comparable](field *T, part any) {
	var none T
	if v, ok := part.(T); ok && *field == none {
		*field = v
	}
}
