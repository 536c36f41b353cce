package clickhouse

import (
	"encoding/binary"
	"math"

	"github.com/ClickHouse/ch-go/proto"
)

// The columns of a block, as the server reads them. What comes in columns is
// appended to them as it is: a dictionary once for each batch and then a number
// or a few bytes for each event; nothing is made for a row.

var (
	_ proto.ColInput     = (*text)(nil)
	_ proto.ColInput     = (*words)(nil)
	_ proto.StateEncoder = (*words)(nil)
	_ proto.ColInput     = timeColumn{}
	_ proto.ColInput     = (*lists)(nil)
	_ proto.StateEncoder = (*lists)(nil)
)

// text is a column String: each value is its length and its bytes.
type text struct {
	rows int
	data []byte
}

func appendString[T ~string | ~[]byte](to []byte, s T) []byte {
	return append(binary.AppendUvarint(to, uint64(len(s))), s...)
}

func (c *text) add(b []byte) {
	c.data = appendString(c.data, b)
	c.rows++
}

func (c *text) reset()                       { c.rows, c.data = 0, c.data[:0] }
func (c *text) Type() proto.ColumnType       { return proto.ColumnTypeString }
func (c *text) Rows() int                    { return c.rows }
func (c *text) EncodeColumn(b *proto.Buffer) { b.PutRaw(c.data) }
func (c *text) WriteColumn(w *proto.Writer)  { w.ChainWrite(c.data) }

// words is a column of strings that repeat: LowCardinality(String) where low is
// set, otherwise String.
type words struct {
	low bool
	// text holds the dictionary if low, else all values.
	text text
	keys []uint32
	// index finds words in the dictionary.
	index map[string]uint32
	// spans are where the words of the batch being appended lie in scratch.
	spans   []uint32
	scratch []byte
}

// A vocabulary is what a batch's dictionary became in a column: add takes its
// entries.
type vocabulary []uint32

// learn makes the column know words; it knows those of one batch, or of one
// dimension of it, at a time if it is not low. Into is reused.
func (c *words) learn(dictionary []string, into vocabulary) vocabulary {
	into = into[:0]
	if !c.low {
		c.scratch, c.spans = c.scratch[:0], append(c.spans[:0], 0)
		for i, word := range dictionary {
			c.scratch = appendString(c.scratch, word)
			c.spans = append(c.spans, uint32(len(c.scratch)))
			into = append(into, uint32(i))
		}
		return into
	}
	for _, word := range dictionary {
		into = append(into, c.key(word))
	}
	return into
}

func (c *words) key(word string) uint32 {
	if c.index == nil {
		c.index = map[string]uint32{}
	}
	if len(c.index) == 0 {
		c.index[""] = 0 // a dictionary begins with the default
		c.text.add(nil)
	}
	k, ok := c.index[word]
	if !ok {
		k = uint32(c.text.rows)
		c.index[word] = k
		c.text.data = appendString(c.text.data, word)
		c.text.rows++
	}
	return k
}

// add appends a word of the last vocabulary.
func (c *words) add(word uint32) {
	if c.low {
		c.keys = append(c.keys, word)
		return
	}
	c.text.data = append(c.text.data, c.scratch[c.spans[word]:c.spans[word+1]]...)
	c.text.rows++
}

// addNone appends an empty word.
func (c *words) addNone() {
	if c.low {
		c.keys = append(c.keys, c.key(""))
		return
	}
	c.text.add(nil)
}

func (c *words) reset() {
	c.text.reset()
	c.keys = c.keys[:0]
	clear(c.index)
}

func (c *words) Rows() int {
	if c.low {
		return len(c.keys)
	}
	return c.text.rows
}

func (c *words) Type() proto.ColumnType {
	if c.low {
		return proto.ColumnTypeLowCardinality.Sub(proto.ColumnTypeString)
	}
	return proto.ColumnTypeString
}

// Marks of a LowCardinality column: a dictionary of its own follows, and the
// width of the keys.
const (
	lowVersion   = 1
	lowOwnWords  = 1<<9 | 1<<10
	lowKeysByte  = 0
	lowKeysShort = 1
	lowKeysWord  = 2
)

// EncodeState begins the column.
func (c *words) EncodeState(b *proto.Buffer) {
	if c.low {
		b.PutInt64(lowVersion)
	}
}

func (c *words) EncodeColumn(b *proto.Buffer) {
	if !c.low {
		c.text.EncodeColumn(b)
		return
	}
	if len(c.keys) == 0 {
		return
	}
	width := int64(lowKeysWord)
	switch {
	case c.text.rows <= math.MaxUint8:
		width = lowKeysByte
	case c.text.rows <= math.MaxUint16:
		width = lowKeysShort
	}
	b.PutInt64(lowOwnWords | width)
	b.PutInt64(int64(c.text.rows))
	c.text.EncodeColumn(b)
	b.PutInt64(int64(len(c.keys)))
	switch width {
	case lowKeysByte:
		for _, k := range c.keys {
			b.Buf = append(b.Buf, byte(k))
		}
	case lowKeysShort:
		for _, k := range c.keys {
			b.Buf = binary.LittleEndian.AppendUint16(b.Buf, uint16(k))
		}
	default:
		proto.ColUInt32(c.keys).EncodeColumn(b)
	}
}

func (c *words) WriteColumn(w *proto.Writer) {
	if !c.low {
		c.text.WriteColumn(w)
		return
	}
	w.ChainBuffer(c.EncodeColumn)
}

// timeColumn is nanoseconds as a DateTime64(9).
type timeColumn struct{ proto.ColInt64 }

func (timeColumn) Type() proto.ColumnType { return "DateTime64(9, 'UTC')" }

// lists is a column of lists: an Array of its first part, or a Map from it to
// the second.
type lists struct {
	kind  proto.ColumnType
	ends  []uint64
	parts []proto.ColInput
}

func (c *lists) Type() proto.ColumnType { return c.kind }
func (c *lists) Rows() int              { return len(c.ends) }

// EncodeState begins the parts.
func (c *lists) EncodeState(b *proto.Buffer) {
	for _, p := range c.parts {
		if s, ok := p.(proto.StateEncoder); ok {
			s.EncodeState(b)
		}
	}
}

func (c *lists) EncodeColumn(b *proto.Buffer) {
	proto.ColUInt64(c.ends).EncodeColumn(b)
	for _, p := range c.parts {
		p.EncodeColumn(b)
	}
}

func (c *lists) WriteColumn(w *proto.Writer) {
	proto.ColUInt64(c.ends).WriteColumn(w)
	for _, p := range c.parts {
		p.WriteColumn(w)
	}
}
