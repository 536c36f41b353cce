package pebble

import (
	"encoding/binary"

	"github.com/prism-data-layer/prism/pkg/driver"
)

// putCacheEntry makes the record of an entry; expires is Unix milliseconds, 0: never.
func putCacheEntry(keySum uint32, dst []byte, expires int64, value []byte) []byte {
	dst = append(dst, make([]byte, sealSize)...)
	dst = binary.AppendUvarint(dst, uint64(expires))
	dst = append(dst, value...)
	seal(keySum, dst)
	return dst
}

// parseCacheEntry reads an entry; value aliases record.
func parseCacheEntry(keySum uint32, record []byte) (expires int64, value []byte, err error) {
	b, err := unseal(keySum, record)
	if err != nil {
		return 0, nil, err
	}
	r := reader{b: b}
	if expires = int64(r.uvarint()); r.bad || expires < 0 {
		return 0, nil, errRecord
	}
	return expires, r.b, nil
}

// cacheMeta is what is known of the cache of a namespace.
type cacheMeta struct {
	entries  int64 // those that have ended count until they are swept
	bytes    int64 // of keys and values
	receipts int64
	sequence uint64 // given to the last receipt
}

func (m *cacheMeta) append(keySum uint32, dst []byte) []byte {
	dst = append(dst, make([]byte, sealSize)...)
	for _, n := range [...]int64{m.entries, m.bytes, m.receipts} {
		dst = binary.AppendUvarint(dst, uint64(max(n, 0)))
	}
	dst = binary.AppendUvarint(dst, m.sequence)
	seal(keySum, dst)
	return dst
}

func parseCacheMeta(keySum uint32, record []byte) (cacheMeta, error) {
	b, err := unseal(keySum, record)
	if err != nil {
		return cacheMeta{}, err
	}
	r := reader{b: b}
	m := cacheMeta{entries: int64(r.uvarint()), bytes: int64(r.uvarint()), receipts: int64(r.uvarint()), sequence: r.uvarint()}
	if r.bad || len(r.b) != 0 || m.entries < 0 || m.bytes < 0 || m.receipts < 0 {
		return cacheMeta{}, errRecord
	}
	return m, nil
}

// A cacheReceipt is the stored answer of a mutation.
type cacheReceipt struct {
	body     [16]byte
	expires  int64  // Unix milliseconds; never 0
	sequence uint64 // its place among those that end together
	answer   driver.CacheResult
}

func (c *cacheReceipt) append(keySum uint32, dst []byte) []byte {
	dst = append(dst, make([]byte, sealSize)...)
	dst = append(dst, c.body[:]...)
	dst = binary.AppendUvarint(dst, uint64(c.expires))
	dst = binary.AppendUvarint(dst, c.sequence)
	var flags byte
	if c.answer.Found {
		flags |= resultFound
	}
	if c.answer.Applied {
		flags |= resultApplied
	}
	dst = append(dst, flags)
	dst = binary.AppendVarint(dst, c.answer.Number)
	var ends int64
	if !c.answer.ExpiresAt.IsZero() {
		ends = c.answer.ExpiresAt.UnixMilli()
	}
	dst = binary.AppendUvarint(dst, uint64(ends))
	seal(keySum, dst)
	return dst
}

func parseCacheReceipt(keySum uint32, record []byte) (c cacheReceipt, err error) {
	b, err := unseal(keySum, record)
	if err != nil {
		return c, err
	}
	r := reader{b: b}
	copy(c.body[:], r.bytes(len(c.body)))
	c.expires, c.sequence = int64(r.uvarint()), r.uvarint()
	flags := r.byte()
	c.answer.Found, c.answer.Applied = flags&resultFound != 0, flags&resultApplied != 0
	c.answer.Number = r.varint()
	c.answer.ExpiresAt = timeOf(int64(r.uvarint()))
	if r.bad || len(r.b) != 0 || c.expires <= 0 || flags&^(resultFound|resultApplied) != 0 {
		return cacheReceipt{}, errRecord
	}
	return c, nil
}
