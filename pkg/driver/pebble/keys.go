package pebble

import (
	"encoding/binary"
	"errors"
	"strings"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// Every key in the store is
//
//	kind byte, uvarint length of the namespace, namespace, rest
//
// The length in front makes the pair (namespace, rest) unambiguous for any
// bytes, and within a namespace the order is the order of rest.
//
//	d  key                                   the data
//	c  sequence of the last                  the change log, in pieces
//	x  expires_at ms, key                    what expires, soonest first
//	r  time kept ms, sequence of the last    receipts in the order they go, in pieces
//	m  (nothing)                             what is known of the namespace
//	w  part, ...                        work queues:
//	   q  queue                         settings
//	   m  queue, 0, id                  messages
//	   b  queue, 0, id                  payloads that are too large to be read at the start
//	   l  queue, 0, id                  what became of messages
//	   i  first receipt id              receipts, in runs of ids that follow one another
//	   o  time kept ms, sequence        those runs in the order they go
//	k  part, ...                        the namespace's cache, which shares nothing with the rest:
//	   0                                what is known of it
//	   d  key                           entries
//	   x  expires_at ms, key            what ends, soonest first
//	   r  receipt id                    receipts
//	   o  expires_at ms, sequence       receipts in the order they go
//	e  number                           persistent events
//	n  name                             durable subscriptions
//	p  (nothing)                        what is known of the events
//	t  topic                            how topics of logs are set
//	l  topic, 0, partition, offset      messages, in pieces; the offset is that of the last
//	f  topic, 0, partition              where partitions begin, once something has gone
//	g  topic, 0, group, partition       what groups have committed
//
// and one key without a namespace, reservedKey. Numbers are big endian.
const (
	kindData    = 'd'
	kindChange  = 'c'
	kindExpiry  = 'x'
	kindReceipt = 'r'
	kindMeta    = 'm'
	kindCache   = 'k'
	kindQueue   = 'w'
	kindEvent   = 'e'
	kindName    = 'n'
	kindLog     = 'p'
	kindTopic   = 't'
	kindMessage = 'l'
	kindFloor   = 'f'
	kindGroup   = 'g'
	kindStore   = 's'
)

// The parts of work queues.
const (
	queuePartSettings = 'q'
	queuePartMessage  = 'm'
	queuePartPayload  = 'b'
	queuePartState    = 'l'
	queuePartReceipt  = 'i'
	queuePartOrder    = 'o'
)

// The parts of a cache. What is known of it comes first.
const (
	cachePartMeta    = 0
	cachePartEntry   = 'd'
	cachePartExpiry  = 'x'
	cachePartReceipt = 'r'
	cachePartOrder   = 'o'
)

// namespaceKinds are the spans that hold a namespace.
var namespaceKinds = [...]byte{kindData, kindChange, kindExpiry, kindReceipt, kindEvent, kindName, kindLog, kindTopic, kindMessage, kindFloor, kindGroup, kindMeta}

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

func appendReceiptKey(dst []byte, ns prism.Namespace, keep int64, seq uint64) []byte {
	dst = binary.BigEndian.AppendUint64(appendSpan(dst, kindReceipt, ns), uint64(keep))
	return binary.BigEndian.AppendUint64(dst, seq)
}

func appendQueuePart(dst []byte, ns prism.Namespace, part byte) []byte {
	return append(appendSpan(dst, kindQueue, ns), part)
}

func appendSettingsKey(dst []byte, ns prism.Namespace, queue string) []byte {
	return append(appendQueuePart(dst, ns, queuePartSettings), queue...)
}

// appendMessageKey is unambiguous because no name of a queue has a 0 in it.
func appendMessageKey(dst []byte, ns prism.Namespace, part byte, queue string, id uint64) []byte {
	dst = append(append(appendQueuePart(dst, ns, part), queue...), 0)
	return binary.BigEndian.AppendUint64(dst, id)
}

func appendQueueReceiptKey(dst []byte, ns prism.Namespace, id [16]byte) []byte {
	return append(appendQueuePart(dst, ns, queuePartReceipt), id[:]...)
}

func appendQueueOrderKey(dst []byte, ns prism.Namespace, keep int64, seq uint64) []byte {
	dst = binary.BigEndian.AppendUint64(appendQueuePart(dst, ns, queuePartOrder), uint64(keep))
	return binary.BigEndian.AppendUint64(dst, seq)
}

func appendCachePart(dst []byte, ns prism.Namespace, part byte) []byte {
	return append(appendSpan(dst, kindCache, ns), part)
}

func appendCacheKey(dst []byte, ns prism.Namespace, part byte, rest string) []byte {
	return append(appendCachePart(dst, ns, part), rest...)
}

func appendCacheTimeKey(dst []byte, ns prism.Namespace, part byte, at int64, rest string) []byte {
	return append(binary.BigEndian.AppendUint64(appendCachePart(dst, ns, part), uint64(at)), rest...)
}

func appendNumberKey(dst []byte, kind byte, ns prism.Namespace, number uint64) []byte {
	return binary.BigEndian.AppendUint64(appendSpan(dst, kind, ns), number)
}

func appendTopicKey(dst []byte, ns prism.Namespace, topic string) []byte {
	return append(appendSpan(dst, kindTopic, ns), topic...)
}

// appendPartitionKey is unambiguous because no name of a topic has a 0 in it.
func appendPartitionKey(dst []byte, kind byte, ns prism.Namespace, topic string, partition int32) []byte {
	dst = append(append(appendSpan(dst, kind, ns), topic...), 0)
	return binary.BigEndian.AppendUint32(dst, uint32(partition))
}

func appendOffsetKey(dst []byte, ns prism.Namespace, topic string, partition int32, offset int64) []byte {
	return binary.BigEndian.AppendUint64(appendPartitionKey(dst, kindMessage, ns, topic, partition), uint64(offset))
}

// appendGroupKey ends in the partition, so a group may have any name.
func appendGroupKey(dst []byte, ns prism.Namespace, topic, group string, partition int32) []byte {
	dst = append(append(append(appendSpan(dst, kindGroup, ns), topic...), 0), group...)
	return binary.BigEndian.AppendUint32(dst, uint32(partition))
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

// cutTopic takes a topic off the front of a key's rest, and a partition off its
// end. What is between is the name of a group.
func cutTopic(rest string) (topic, group string, partition int32, err error) {
	topic, rest, found := strings.Cut(rest, "\x00")
	if !found || len(rest) < 4 {
		return "", "", 0, errKey
	}
	end := len(rest) - 4
	return topic, rest[:end], int32(binary.BigEndian.Uint32([]byte(rest[end:]))), nil
}

// cutNumber takes a number off the front of a key's rest.
func cutNumber(rest []byte) (n uint64, after []byte, err error) {
	if len(rest) < 8 {
		return 0, nil, errKey
	}
	return binary.BigEndian.Uint64(rest), rest[8:], nil
}
