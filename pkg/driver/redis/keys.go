package redis

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// Every key of a namespace begins with {p1:<length>:<namespace>:<bucket>}, a
// hash tag: what one script touches lies in one slot. The length keeps the
// namespace apart from what follows, whatever bytes it is made of. One letter
// says what a key is:
//
//	k<key>  a value            i  keys, in byte order
//	m       meta               e  keys that expire, by their end
//	c       changes, a stream  x  version and size of keys that expire
//	r       receipts           o  receipts, by their end
//	h<key>  a cache entry      l<key>  a lock on one
//	s  receipts of a cache     q  those, by their end
//	N  names of queues and topics, whose keys are their own: see lineKind
//
// On one server nothing is gained by spreading a namespace over buckets, and its
// history and transactions want one place: the bucket is always 0. On a cluster the
// bucket of a key is its checksum, modulo 256, unless placement is one-slot.
const (
	kindValue         = "k"
	kindMeta          = "m"
	kindIndex         = "i"
	kindEnds          = "e"
	kindExpiring      = "x"
	kindChanges       = "c"
	kindReceipts      = "r"
	kindOrder         = "o"
	kindCacheReceipts = "s"
	kindCacheOrder    = "q"
	kindEntry         = "h"
	kindLock          = "l"
)

// dueKey lists the namespaces with something to do, by when. On a cluster there is one
// such list in each slot: see slots.
const dueKey = "{p1}due"

// stem is what the keys of all buckets of a namespace begin with.
func stem(ns prism.Namespace) string {
	return "{p1:" + strconv.Itoa(len(ns)) + ":" + string(ns) + ":"
}

// prefix is what the keys of a namespace begin with that lies in one slot.
func prefix(ns prism.Namespace) string { return bucketPrefix(ns, 0) }

func bucketPrefix(ns prism.Namespace, bucket int) string {
	return stem(ns) + strconv.Itoa(bucket) + "}"
}

func (s *store) valueKey(k prism.Key) string { return s.home(k.Namespace, k.Name) + kindValue + k.Name }

// channel is where watchers of a namespace wait. Channels do not belong to a
// database of the server, keys do.
func (s *store) channel(prefix string) string { return s.channels + prefix + "w" }

// literal is s as a pattern of Redis that matches s alone.
func literal(s string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`, "]", `\]`, "^", `\^`, "-", `\-`).Replace(s)
}

// A record is a head of 16 bytes and the value: format, flags, six bytes of
// nothing, version. With flag expires, 16 more stand between: when the key
// ends and the time to live it was given, in milliseconds.
const (
	recordFormat = 1
	recordHead   = 16
	flagExpires  = 1
	expiryHead   = 16
)

var (
	errRecord = errors.New("not a record of this driver")
	errNewer  = errors.New("a record of a newer format")
)

// readable tells a record that can be read from one of a newer driver, and from what
// is none.
func readable(raw []byte, head int, format byte) error {
	switch {
	case len(raw) >= head && raw[0] == format:
		return nil
	case len(raw) >= head && raw[0] > format && raw[0] < ' ': // formats are counted, text is not
		return errNewer
	}
	return errRecord
}

// parseRecord reads a record whose value may be cut off; the value is part of
// raw.
func parseRecord(raw []byte) (e driver.Entry, head int, err error) {
	if err := readable(raw, recordHead, recordFormat); err != nil {
		return e, 0, err
	}
	e.Version = binary.BigEndian.Uint64(raw[8:])
	head = recordHead
	if raw[1]&flagExpires != 0 {
		if head += expiryHead; len(raw) < head {
			return e, 0, errRecord
		}
		e.ExpiresAt = time.UnixMilli(int64(binary.BigEndian.Uint64(raw[recordHead:])))
	}
	e.Value = raw[head:len(raw):len(raw)]
	return e, head, nil
}

// bytesOf is an answer of the server without a copy: it is nobody else's.
func bytesOf(answer string) []byte { return unsafe.Slice(unsafe.StringData(answer), len(answer)) }

// Letters of the operations, as the scripts know them.
var letters = [...]byte{
	driver.OpSet: 's', driver.OpSetIf: 'S', driver.OpDelete: 'd', driver.OpDeleteIf: 'D',
	driver.OpExpire: 'e', driver.OpPersist: 'p', driver.OpTouch: 't',
	driver.OpIncrement: 'i', driver.OpAppend: 'a', driver.OpSetIfAbsent: 'n', driver.OpGetAndSet: 'g',
	driver.OpCompareAndSwap: 'c', driver.OpCompareAndDelete: 'C',
}

// letterInvalid stands for an operation that no store could do; refusedInvalid
// is the answer, if its receipt was not used before.
const (
	letterInvalid  = 'x'
	refusedInvalid = "EI"
)

const (
	opKeepTTL = 1 << iota
	opAbsent
)

// appendWhat says to a script what op does: letter, flags, time to live and the
// version asked for, then the receipt.
func appendWhat(b []byte, op *driver.Op) []byte {
	var flags byte
	if op.Options.KeepTTL {
		flags |= opKeepTTL
	}
	if op.If.Absent {
		flags |= opAbsent
	}
	letter := byte(letterInvalid)
	if checkOp(op) == nil {
		letter = letters[op.Kind]
	}
	b = append(b, letter, flags)
	b = binary.BigEndian.AppendUint64(b, uint64(ttlMillis(op.Options.TTL)))
	b = binary.BigEndian.AppendUint64(b, op.If.Version)
	if !op.Receipt.IsZero() {
		b = appendReceipt(b, op.Receipt)
	}
	return b
}

func appendReceipt(b []byte, r driver.Receipt) []byte {
	b = append(append(b, r.ID[:]...), r.Body[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(max(r.Keep.Microseconds(), 1)))
	return binary.BigEndian.AppendUint64(b, uint64(max(r.Max, 0)))
}

// ttlMillis rounds up, so that nothing ends early.
func ttlMillis(ttl time.Duration) int64 {
	ms := ttl.Milliseconds()
	if ttl > 0 && ttl%time.Millisecond != 0 {
		ms++
	}
	return ms
}

const (
	answerFound = 1 << iota
	answerApplied
	answerValue
)

var errAnswer = errors.New("an answer of a script cannot be read")

// parseAnswer reads what a script's answer() wrote. The value is part of raw.
func parseAnswer(raw []byte) (r driver.Result, err error) {
	const head = 1 + 8 + 8 + 1
	if len(raw) < head || len(raw) < head+int(raw[head-1]) {
		return r, errAnswer
	}
	flags, number, value := raw[0], raw[head:head+int(raw[head-1])], raw[head+int(raw[head-1]):]
	r.Found, r.Applied = flags&answerFound != 0, flags&answerApplied != 0
	r.Version = binary.BigEndian.Uint64(raw[1:])
	if ms := binary.BigEndian.Uint64(raw[9:]); ms != 0 {
		r.ExpiresAt = time.UnixMilli(int64(ms))
	}
	if len(number) > 0 {
		if r.Number, err = strconv.ParseInt(string(number), 10, 64); err != nil {
			return r, errAnswer
		}
	}
	if flags&answerValue != 0 {
		r.Value = bytes.Clone(value)
	}
	return r, nil
}

// parseAnswers reads the answers of a transaction, each after its length.
func parseAnswers(raw []byte) (results []driver.Result, err error) {
	for len(raw) > 0 {
		if len(raw) < 4 {
			return nil, errAnswer
		}
		n := int(binary.BigEndian.Uint32(raw))
		if raw = raw[4:]; len(raw) < n {
			return nil, errAnswer
		}
		r, err := parseAnswer(raw[:n])
		if err != nil {
			return nil, err
		}
		results = append(results, r)
		raw = raw[n:]
	}
	return results, nil
}

// A change as it stands in the stream: kind, the change before it in the
// namespace, the version before of its key, and when.
func parseChange(id string, fields map[string]any) (c driver.Change, before uint64, err error) {
	version, _, _ := strings.Cut(id, "-")
	if c.Version, err = strconv.ParseUint(version, 10, 64); err != nil {
		return c, 0, errRecord
	}
	key, ok := fields["k"].(string)
	h, ok2 := fields["h"].(string)
	if !ok || !ok2 || len(h) != 25 {
		return c, 0, errRecord
	}
	number := func(at int) uint64 { return binary.BigEndian.Uint64([]byte(h[at : at+8])) }
	c.Key, c.Kind, c.Previous, c.Time = key, driver.ChangeKind(h[0]), number(9), time.UnixMilli(int64(number(17)))
	return c, number(1), nil
}
