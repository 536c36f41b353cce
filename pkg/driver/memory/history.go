package memory

import (
	"sort"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
)

// chunkLen is how many changes stand together: 20 KiB.
const chunkLen = 512

// A change takes 40 bytes; its key's bytes are the entry's.
type change struct {
	key               string
	version, previous uint64
	when              int64 // milliseconds<<2 | kind
}

func (c *change) kind() driver.ChangeKind { return driver.ChangeKind(c.when & 3) }
func (c *change) time() time.Time         { return time.UnixMilli(c.when >> 2) }

// A history is what a watch can go back to: the last changes of a namespace in
// order of version.
type history struct {
	chunks [][]change
	head   int // changes of chunks[0] that are gone
	n      int
	floor  uint64 // the last version that is no longer there
	last   uint64 // of the newest change
	max    int
	age    int64 // milliseconds
}

func (h *history) at(i int) *change {
	i += h.head
	return &h.chunks[i/chunkLen][i%chunkLen]
}

func (h *history) add(c change) {
	h.last = c.version
	if k := len(h.chunks); k == 0 || len(h.chunks[k-1]) == chunkLen {
		// The first chunk grows from nothing, for a namespace of few changes.
		h.chunks = append(h.chunks, nil)
		if k > 0 {
			h.chunks[k] = make([]change, 0, chunkLen)
		}
	}
	tail := &h.chunks[len(h.chunks)-1]
	*tail = append(*tail, c)
	h.n++
	if h.n > h.max {
		h.drop()
	}
	h.trim(c.when >> 2)
}

// trim forgets what is older than the history's age.
func (h *history) trim(nowMS int64) {
	for h.n > 0 && h.at(0).when>>2 < nowMS-h.age {
		h.drop()
	}
}

func (h *history) drop() {
	c := h.at(0)
	h.floor = c.version
	*c = change{}
	h.n--
	h.head++
	if h.head == chunkLen {
		h.chunks[0] = nil
		h.chunks = h.chunks[1:]
		h.head = 0
	}
}

// after is the index of the first change newer than version.
func (h *history) after(version uint64) int {
	return sort.Search(h.n, func(i int) bool { return h.at(i).version > version })
}
