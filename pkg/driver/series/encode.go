package series

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"

	"github.com/prism-data-layer/prism/pkg/driver"
)

// A stored chunk is a checksum, a version, the number of events and then the
// columns: differences of times and numbers, dictionaries with codes, floats as
// they are. What is the same in all events, or in none, takes a byte.
const encodingVersion = 1

// ErrDamaged says that bytes are no chunk that this program has written.
var ErrDamaged = errors.New("a chunk of events is damaged")

const checksumSize = 4

// Encode puts a chunk into bytes.
func (c *Chunk) Encode() []byte {
	e := encoder{b: make([]byte, checksumSize, 64+32*c.Len())}
	e.number(encodingVersion)
	e.number(uint64(c.Len()))
	last := uint64(0)
	for _, t := range c.Events.Times {
		e.number(uint64(t) - last)
		last = uint64(t)
	}
	seq := uint64(0)
	for _, s := range c.Seqs {
		e.b = binary.AppendVarint(e.b, int64(s-seq))
		seq = s
	}
	e.coded(&c.Events.Types)
	e.coded(&c.Events.Sources)
	e.number(uint64(len(c.Events.Dimensions)))
	for i := range c.Events.Dimensions {
		e.text(c.Events.Dimensions[i].Name)
		e.coded(&c.Events.Dimensions[i].Values)
	}
	e.number(uint64(len(c.Events.Metrics)))
	for i := range c.Events.Metrics {
		m := &c.Events.Metrics[i]
		e.text(m.Name)
		e.bytes(m.Present)
		for _, v := range m.Values {
			e.b = binary.LittleEndian.AppendUint64(e.b, math.Float64bits(v))
		}
	}
	e.blobs(&c.Events.Payloads)
	e.blobs(&c.Events.IDs)
	binary.BigEndian.PutUint32(e.b, crc32.Checksum(e.b[checksumSize:], crc32.MakeTable(crc32.Castagnoli)))
	return e.b
}

type encoder struct{ b []byte }

func (e *encoder) number(n uint64) { e.b = binary.AppendUvarint(e.b, n) }

func (e *encoder) text(s string) {
	e.number(uint64(len(s)))
	e.b = append(e.b, s...)
}

func (e *encoder) bytes(s []byte) {
	e.number(uint64(len(s)))
	e.b = append(e.b, s...)
}

func (e *encoder) coded(c *driver.Coded) {
	e.number(uint64(len(c.Dictionary)))
	for _, s := range c.Dictionary {
		e.text(s)
	}
	e.number(uint64(len(c.Codes)))
	for _, code := range c.Codes {
		e.number(uint64(code))
	}
}

func (e *encoder) blobs(b *driver.Blobs) {
	e.number(uint64(len(b.Ends)))
	start := uint32(0)
	for _, end := range b.Ends {
		e.number(uint64(end - start))
		start = end
	}
	if len(b.Ends) > 0 {
		e.bytes(b.Data)
	}
}

// Decode takes a chunk out of bytes, which it does not keep.
func Decode(b []byte) (*Chunk, error) {
	if len(b) < checksumSize || binary.BigEndian.Uint32(b) != crc32.Checksum(b[checksumSize:], crc32.MakeTable(crc32.Castagnoli)) {
		return nil, ErrDamaged
	}
	return decode(b[checksumSize:])
}

func decode(b []byte) (*Chunk, error) {
	d := decoder{b: b}
	if d.number() != encodingVersion {
		return nil, ErrDamaged
	}
	n := d.count(1)
	c := &Chunk{Seqs: make([]uint64, n)}
	c.Events.Times = make([]int64, n)
	last, seq := uint64(0), uint64(0)
	for i := range n {
		last += d.number()
		c.Events.Times[i] = int64(last)
	}
	for i := range n {
		seq += uint64(d.signed())
		c.Seqs[i] = seq
	}
	c.Events.Types, c.Events.Sources = d.coded(n), d.coded(n)
	for range d.count(1) {
		c.Events.Dimensions = append(c.Events.Dimensions, driver.Dimension{Name: d.text(), Values: d.coded(n)})
	}
	for range d.count(1) {
		if d.failed {
			break // a column takes its space before it is read
		}
		c.Events.Metrics = append(c.Events.Metrics, d.metric(n))
	}
	c.Events.Payloads, c.Events.IDs = d.blobs(n), d.blobs(n)
	if d.failed || len(d.b) > 0 || n == 0 {
		return nil, ErrDamaged
	}
	return c, nil
}

// A decoder reads on after a failure as if there were nothing left.
type decoder struct {
	b      []byte
	failed bool
}

func (d *decoder) fail() {
	d.failed, d.b = true, nil
}

func (d *decoder) number() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) signed() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

// count is a number of things of at least that size, which must be there.
func (d *decoder) count(size int) int {
	n := d.number()
	if n > uint64(len(d.b)/size) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) take(n int) []byte {
	if n > len(d.b) {
		d.fail()
		return nil
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) text() string { return string(d.take(d.count(1))) }

func (d *decoder) coded(n int) (c driver.Coded) {
	for range d.count(1) {
		c.Dictionary = append(c.Dictionary, d.text())
	}
	codes := d.count(1)
	if codes == 0 {
		return c
	}
	if codes != n {
		d.fail()
		return driver.Coded{}
	}
	c.Codes = make([]uint32, n)
	for i := range c.Codes {
		code := d.number()
		if code > uint64(len(c.Dictionary)) {
			d.fail()
			return driver.Coded{}
		}
		c.Codes[i] = uint32(code)
	}
	return c
}

func (d *decoder) metric(n int) driver.Metric {
	m := driver.Metric{Name: d.text()}
	if present := d.take(d.count(1)); len(present) > 0 {
		if len(present) != (n+7)/8 {
			d.fail()
		}
		m.Present = append([]byte(nil), present...)
	}
	values := d.take(8 * n)
	m.Values = make([]float64, n)
	for i := range len(values) / 8 {
		m.Values[i] = math.Float64frombits(binary.LittleEndian.Uint64(values[8*i:]))
	}
	return m
}

func (d *decoder) blobs(n int) (b driver.Blobs) {
	ends := d.count(1)
	if ends == 0 {
		return b
	}
	if ends != n {
		d.fail()
		return b
	}
	b.Ends = make([]uint32, n)
	end := uint64(0)
	for i := range b.Ends {
		end += d.number()
		b.Ends[i] = uint32(min(end, math.MaxUint32))
	}
	b.Data = append([]byte(nil), d.take(d.count(1))...)
	if uint64(len(b.Data)) != end {
		d.fail()
		return driver.Blobs{}
	}
	return b
}
