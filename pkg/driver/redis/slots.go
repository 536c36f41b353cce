package redis

import (
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// A cluster cuts all keys into slots by a checksum of their hash tag: what stands
// between the first { and the first } after it. A prefix of ours begins with the one
// and ends with the other, so whatever bytes a namespace has, the keys of one of its
// buckets have one tag. One with a } in its name lies in one slot as a whole.
const slotCount = 16384

// bucketCount is how many buckets a namespace has that is spread over a cluster.
const bucketCount = 256

// crc16 is the checksum of a cluster: CCITT's polynomial, beginning with zero.
func crc16(s string) (sum uint16) {
	for i := range len(s) {
		sum = sum<<8 ^ crcTable[byte(sum>>8)^s[i]]
	}
	return sum
}

var crcTable = func() (table [256]uint16) {
	for i := range table {
		sum := uint16(i) << 8
		for range 8 {
			if carry := sum&0x8000 != 0; carry {
				sum = sum<<1 ^ 0x1021
			} else {
				sum <<= 1
			}
		}
		table[i] = sum
	}
	return table
}()

// slotOf is the slot of what begins with a prefix.
func slotOf(prefix string) int {
	tag, _, _ := strings.Cut(prefix[1:], "}")
	return int(crc16(tag) % slotCount)
}

// bucket is where a key of a namespace lies.
func (s *store) bucket(key string) int {
	if !s.spread {
		return 0
	}
	return int(crc16(key) % bucketCount)
}

// home is what the keys of a key's bucket begin with.
func (s *store) home(ns prism.Namespace, key string) string { return bucketPrefix(ns, s.bucket(key)) }

// homes are the prefixes of all buckets of a namespace.
func (s *store) homes(ns prism.Namespace) []string {
	if !s.spread {
		return []string{prefix(ns)}
	}
	all := make([]string, bucketCount)
	for i := range all {
		all[i] = bucketPrefix(ns, i)
	}
	return all
}

// slotsKey holds a bit for each slot of a cluster in which something was ever due.
const slotsKey = "{p1}slots"

// slots are the lists of what is due on a cluster: one in each slot, since a script
// touches one slot only. A number in its tag puts a list there.
type slots struct {
	numbers [slotCount]uint32
	used    [slotCount / 64]atomic.Uint64 // those that this gateway has met
}

func newSlots() *slots {
	sl := new(slots)
	for left, n := slotCount, uint32(1); left > 0; n++ {
		if number := &sl.numbers[slotOf(dueTag(n))]; *number == 0 {
			*number = n
			left--
		}
	}
	return sl
}

func dueTag(number uint32) string { return "{p1#" + strconv.FormatUint(uint64(number), 10) + "}" }

// list is the list of a slot.
func (sl *slots) list(slot int) string { return dueTag(sl.numbers[slot]) + "due" }

// use notes that something in a slot may be due.
func (sl *slots) use(slot int) {
	if word, bit := &sl.used[slot/64], uint64(1)<<(slot%64); word.Load()&bit == 0 {
		word.Or(bit)
	}
}

func (sl *slots) isUsed(slot int) bool { return sl.used[slot/64].Load()&(1<<(slot%64)) != 0 }

// due is the list of what is due for what begins with a prefix.
func (s *store) due(prefix string) string {
	if s.slots == nil {
		return dueKey
	}
	slot := slotOf(prefix)
	s.slots.use(slot)
	return s.slots.list(slot)
}
