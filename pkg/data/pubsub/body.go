package pubsub

import (
	"maps"
	"slices"

	"github.com/prism-data-layer/prism/pkg/data"
)

// attributes adds a map to a body, in an order of its own.
func attributes(b data.Body, m map[string]string) data.Body {
	b.Number(uint64(len(m)))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		b.Bytes([]byte(k)).Bytes([]byte(m[k]))
	}
	return b
}
