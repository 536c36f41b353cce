package pebble

import (
	"encoding/binary"
)

// A piece is what one group adds to one log of a namespace: the entries of many
// operations in one record, because a record costs the store more than what is
// in it. Its key ends in the sequence of its last entry, so that a seek to a
// sequence finds the piece that holds it, and what is synced is known from the
// key: a piece is of one group.
//
// The body is
//
//	uvarint number of entries, uvarint stamp, uvarint sequence of the first,
//	and for each entry: uvarint sequence since the one before, and its own part
//
// The stamp is what all entries share: the time of changes, the expiry of
// receipts.
type piece struct {
	stamp       int64
	count       uint64
	first, last uint64
	entries     []byte
}

// A piece is cut when it is this long, so that reading one entry stays cheap.
const pieceBytes = 64 << 10

// begin appends an entry's sequence; the caller appends the entry's own part to
// p.entries.
func (p *piece) begin(seq uint64) {
	if p.count == 0 {
		p.first, p.last = seq, seq
	}
	p.count++
	p.entries = binary.AppendUvarint(p.entries, seq-p.last)
	p.last = seq
}

func (p *piece) reset() { p.stamp, p.count, p.entries = 0, 0, p.entries[:0] }

func (p *piece) size() int {
	return sealSize + uvarintLen(p.count) + uvarintLen(uint64(p.stamp)) + uvarintLen(p.first) + len(p.entries)
}

// put fills dst, which is p.size() long.
func (p *piece) put(keySum uint32, dst []byte) {
	b := binary.AppendUvarint(dst[:sealSize], p.count)
	b = binary.AppendUvarint(b, uint64(p.stamp))
	b = binary.AppendUvarint(b, p.first)
	b = append(b, p.entries...)
	seal(keySum, b)
}

// writePiece writes a piece under g.key, and empties it.
func (g *group) writePiece(p *piece) {
	op := g.batch.SetDeferred(len(g.key), p.size())
	copy(op.Key, g.key)
	p.put(keySum(g.key), op.Value)
	_ = op.Finish()
	p.reset()
}

// pieceReader takes a piece apart, entry by entry.
type pieceReader struct {
	reader
	stamp int64
	count uint64 // in all
	left  uint64
	seq   uint64 // of the entry that is read
}

// parsePiece reads the head of a piece. What is read of it aliases record.
func parsePiece(keySum uint32, record []byte) (pieceReader, error) {
	b, err := unseal(keySum, record)
	if err != nil {
		return pieceReader{}, err
	}
	p := pieceReader{reader: reader{b: b}}
	p.count, p.stamp, p.seq = p.uvarint(), int64(p.uvarint()), p.uvarint()
	p.left = p.count
	if p.bad || p.stamp < 0 || p.count == 0 || p.count > uint64(len(p.b)) { // each entry takes more than a byte
		return pieceReader{}, errRecord
	}
	return p, nil
}

// next begins the next entry, whose own part is then to be read.
func (p *pieceReader) next() bool {
	if p.left == 0 || p.bad {
		return false
	}
	p.left--
	p.seq += p.uvarint()
	return !p.bad
}

// end reports whether the piece was read to its end and was whole.
func (p *pieceReader) end() error {
	if p.bad || p.left == 0 && len(p.b) != 0 {
		return errRecord
	}
	return nil
}
