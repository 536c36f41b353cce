package pebble

import (
	"encoding/binary"
	"errors"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// Every key in the store is
//
//	kind byte, uvarint length of the namespace, namespace, rest
//
// The length in front makes the pair (namespace, rest) unambiguous for any
// bytes, and within a namespace the order is the order of rest.
//
//	d  key                              the data
//	c  sequence                         the change log
//	x  expires_at ms, key               what expires, soonest first
//	r  receipt id                       receipts
//	o  time kept ms, sequence           receipts in the order they go
//	m  (nothing)                        what is known of the namespace
//	e  number                           persistent events
//	n  name                             durable subscriptions
//	p  (nothing)                        what is known of the events
//
// and one key without a namespace, reservedKey. Numbers are big endian.
const (
	kindData    = 'd'
	kindChange  = 'c'
	kindExpiry  = 'x'
	kindReceipt = 'r'
	kindOrder   = 'o'
	kindMeta    = 'm'
	kindEvent   = 'e'
	kindName    = 'n'
	kindLog     = 'p'
	kindStore   = 's'
)

// namespaceKinds are the spans that hold a namespace.
var namespaceKinds = [...]byte{kindData, kindChange, kindExpiry, kindReceipt, kindOrder, kindEvent, kindName, kindLog, kindMeta}

// reservedKey holds the version up to which they may have been given out, and
// the one before the first.
var reservedKey = []byte{kindStore, 0}

// appendSpan appends what all keys of a kind in a namespace begin with.
func appendSpan(dst []byte, kind byte, ns prism.Namespace) []byte {
	dst = append(dst, kind)
	dst = binary.AppendUvarint(dst, uint64(len(ns)))
	return append(dst, ns...)
}

// appendSpanEnd appends the smallest key after the span.
func appendSpanEnd(dst []byte, kind byte, ns prism.Namespace) []byte {
	return successor(appendSpan(dst, kind, ns), len(dst))
}

// successor turns dst[from:] into the smallest key after all keys that begin
// with it. It always exists, because no kind is 0xff.
func successor(dst []byte, from int) []byte {
	for i := len(dst) - 1; i >= from; i-- {
		if dst[i] != 0xff {
			dst[i]++
			return dst[:i+1]
		}
	}
	return dst[:from]
}

func appendDataKey(dst []byte, key prism.Key) []byte {
	return append(appendSpan(dst, kindData, key.Namespace), key.Name...)
}

func appendChangeKey(dst []byte, ns prism.Namespace, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(appendSpan(dst, kindChange, ns), seq)
}

func appendExpiryKey(dst []byte, key prism.Key, expires int64) []byte {
	dst = binary.BigEndian.AppendUint64(appendSpan(dst, kindExpiry, key.Namespace), uint64(expires))
	return append(dst, key.Name...)
}

func appendReceiptKey(dst []byte, ns prism.Namespace, id [16]byte) []byte {
	return append(appendSpan(dst, kindReceipt, ns), id[:]...)
}

func appendOrderKey(dst []byte, ns prism.Namespace, keep int64, seq uint64) []byte {
	dst = binary.BigEndian.AppendUint64(appendSpan(dst, kindOrder, ns), uint64(keep))
	return binary.BigEndian.AppendUint64(dst, seq)
}

func appendNumberKey(dst []byte, kind byte, ns prism.Namespace, number uint64) []byte {
	return binary.BigEndian.AppendUint64(appendSpan(dst, kind, ns), number)
}

func appendMetaKey(dst []byte, ns prism.Namespace) []byte { return appendSpan(dst, kindMeta, ns) }

var errKey = errors.New("a key in the store is malformed")

// splitKey takes a key apart. The parts alias b.
func splitKey(b []byte) (kind byte, ns, rest []byte, err error) {
	if len(b) < 2 {
		return 0, nil, nil, errKey
	}
	n, w := binary.Uvarint(b[1:])
	if w <= 0 || n > uint64(len(b)-1-w) || w > 1 && b[w] == 0 { // no padded lengths
		return 0, nil, nil, errKey
	}
	b, kind = b[1+w:], b[0]
	return kind, b[:n], b[n:], nil
}

// cutNumber takes a number off the front of a key's rest.
func cutNumber(rest []byte) (n uint64, after []byte, err error) {
	if len(rest) < 8 {
		return 0, nil, errKey
	}
	return binary.BigEndian.Uint64(rest), rest[8:], nil
}
