package pebble

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
)

// Every value in the store that matters is
//
//	format byte, CRC-32C of key, format and body (little endian), body
//
// Pebble has checksums of its own over blocks and log chunks; this one travels
// with the value through every cache and compaction and ties it to its key, so
// that a damaged or misplaced value is never served.
const (
	recordFormat = 1
	sealSize     = 1 + crc32.Size
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	errChecksum = errors.New("checksum mismatch")
	errRecord   = errors.New("malformed record")
)

// seal puts the seal of key and body into record, whose body is in place.
func seal(keySum uint32, record []byte) {
	record[0] = recordFormat
	binary.LittleEndian.PutUint32(record[1:], sum(keySum, record))
}

func sum(keySum uint32, record []byte) uint32 {
	s := crc32.Update(keySum, castagnoli, record[:1])
	return crc32.Update(s, castagnoli, record[sealSize:])
}

// unseal checks record and returns its body, which aliases it.
func unseal(keySum uint32, record []byte) ([]byte, error) {
	if len(record) < sealSize {
		return nil, errRecord
	}
	if binary.LittleEndian.Uint32(record[1:]) != sum(keySum, record) {
		return nil, errChecksum
	}
	if record[0] != recordFormat {
		return nil, fmt.Errorf("record format %d, this build reads %d", record[0], recordFormat)
	}
	return record[sealSize:], nil
}

func keySum(key []byte) uint32 { return crc32.Checksum(key, castagnoli) }

// data is what is stored under a key. Times are Unix milliseconds; expires 0
// is never, and ttl is the time to live that was last given.
type data struct {
	version uint64
	expires int64
	ttl     int64
	value   []byte
}

func uvarintLen(n uint64) int {
	l := 1
	for n >= 0x80 {
		n >>= 7
		l++
	}
	return l
}

func (d *data) size() int {
	return sealSize + uvarintLen(d.version) + uvarintLen(uint64(d.expires)) + uvarintLen(uint64(d.ttl)) + len(d.value)
}

// put fills dst, which is d.size() long.
func (d *data) put(keySum uint32, dst []byte) {
	b := dst[:sealSize]
	b = binary.AppendUvarint(b, d.version)
	b = binary.AppendUvarint(b, uint64(d.expires))
	b = binary.AppendUvarint(b, uint64(d.ttl))
	b = append(b, d.value...)
	seal(keySum, b)
}

// parseData reads a data record; value aliases it.
func parseData(keySum uint32, record []byte) (data, error) {
	b, err := unseal(keySum, record)
	if err != nil {
		return data{}, err
	}
	r := reader{b: b}
	d := data{version: r.uvarint(), expires: int64(r.uvarint()), ttl: int64(r.uvarint())}
	d.value = r.b
	if r.bad || d.version == 0 || d.expires < 0 || d.ttl < 0 {
		return data{}, errRecord
	}
	return d, nil
}

// logged is a change as the log keeps it.
type logged struct {
	kind     driver.ChangeKind
	previous uint64 // 0: the key was not there
	key      []byte
}

func appendLogged(dst []byte, kind driver.ChangeKind, version, previous uint64, key string) []byte {
	dst = append(dst, byte(kind))
	if previous != 0 {
		previous = version - previous
	}
	dst = binary.AppendUvarint(dst, previous)
	dst = binary.AppendUvarint(dst, uint64(len(key)))
	return append(dst, key...)
}

// logged reads the change that next has begun.
func (p *pieceReader) logged() (l logged, ok bool) {
	l = logged{kind: driver.ChangeKind(p.byte()), previous: p.uvarint(), key: p.bytes(p.length())}
	if l.kind < driver.ChangeSet || l.kind > driver.ChangeExpire || len(l.key) == 0 || l.previous >= p.seq {
		p.fail()
	}
	if l.previous != 0 {
		l.previous = p.seq - l.previous
	}
	return l, !p.bad
}

// meta is what is known of a namespace. It outlives Drop, so that positions
// from before are known to be gone.
type meta struct {
	low      uint64 // changes up to this version are no longer kept
	keys     int64  // expired ones count until they are swept
	bytes    int64  // of keys and values
	changes  int64
	receipts int64
}

func (m *meta) append(dst []byte) []byte {
	dst = append(dst, make([]byte, sealSize)...)
	dst = binary.AppendUvarint(dst, m.low)
	for _, n := range [...]int64{m.keys, m.bytes, m.changes, m.receipts} {
		dst = binary.AppendUvarint(dst, uint64(max(n, 0)))
	}
	return dst
}

func parseMeta(keySum uint32, record []byte) (meta, error) {
	b, err := unseal(keySum, record)
	if err != nil {
		return meta{}, err
	}
	r := reader{b: b}
	m := meta{low: r.uvarint()}
	for _, n := range [...]*int64{&m.keys, &m.bytes, &m.changes, &m.receipts} {
		if *n = int64(r.uvarint()); *n < 0 {
			r.bad = true
		}
	}
	if r.bad || len(r.b) != 0 {
		return meta{}, errRecord
	}
	return m, nil
}

// kept is a receipt as the log keeps it.
type kept struct {
	id      [16]byte
	body    [16]byte
	answers []byte // as appendAnswers writes them
}

func (k *kept) append(dst []byte) []byte {
	dst = append(dst, k.id[:]...)
	dst = append(dst, k.body[:]...)
	dst = binary.AppendUvarint(dst, uint64(len(k.answers)))
	return append(dst, k.answers...)
}

// kept reads the receipt that next has begun.
func (p *pieceReader) kept() (k kept, ok bool) {
	copy(k.id[:], p.bytes(len(k.id)))
	copy(k.body[:], p.bytes(len(k.body)))
	k.answers = p.bytes(p.length())
	return k, !p.bad
}

func appendAnswers(dst []byte, answers []driver.Result) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(answers)))
	for i := range answers {
		dst = appendResult(dst, &answers[i])
	}
	return dst
}

// parseAnswers gives the answers to a receipt that came again.
func parseAnswers(b []byte) ([]driver.Result, error) {
	r := reader{b: b}
	n := r.uvarint()
	if r.bad || n > uint64(len(r.b)) { // each takes more than a byte
		return nil, errRecord
	}
	answers := make([]driver.Result, n)
	for i := range answers {
		r.result(&answers[i])
		answers[i].Replayed = true
	}
	if r.bad || len(r.b) != 0 {
		return nil, errRecord
	}
	return answers, nil
}

const (
	resultFound = 1 << iota
	resultApplied
	resultValue
	resultExpires
	resultAll = 1<<iota - 1
)

func appendResult(dst []byte, r *driver.Result) []byte {
	var flags byte
	if r.Found {
		flags |= resultFound
	}
	if r.Applied {
		flags |= resultApplied
	}
	if r.Value != nil {
		flags |= resultValue
	}
	if !r.ExpiresAt.IsZero() {
		flags |= resultExpires
	}
	dst = append(dst, flags)
	dst = binary.AppendUvarint(dst, r.Version)
	dst = binary.AppendVarint(dst, r.Number)
	if flags&resultExpires != 0 {
		dst = binary.AppendVarint(dst, r.ExpiresAt.UnixMilli())
	}
	if flags&resultValue != 0 {
		dst = binary.AppendUvarint(dst, uint64(len(r.Value)))
		dst = append(dst, r.Value...)
	}
	return dst
}

// reader takes records apart; after the first fault it gives zeros.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) fail() { r.b, r.bad = nil, true }

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) bytes(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.fail()
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

// length reads how many bytes follow; what is too long for an int fails later.
func (r *reader) length() int { return int(min(r.uvarint(), math.MaxInt32)) }

func (r *reader) uvarint() uint64 {
	n, w := binary.Uvarint(r.b)
	if w <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[w:]
	return n
}

func (r *reader) varint() int64 {
	n, w := binary.Varint(r.b)
	if w <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[w:]
	return n
}

func (r *reader) result(res *driver.Result) {
	flags := r.byte()
	if flags&^resultAll != 0 {
		r.fail()
		return
	}
	res.Found, res.Applied = flags&resultFound != 0, flags&resultApplied != 0
	res.Version, res.Number = r.uvarint(), r.varint()
	if flags&resultExpires != 0 {
		res.ExpiresAt = time.UnixMilli(r.varint())
	}
	if flags&resultValue != 0 {
		n := r.uvarint()
		if n > uint64(len(r.b)) {
			r.fail()
			return
		}
		res.Value = append(make([]byte, 0, n), r.bytes(int(n))...)
	}
}
