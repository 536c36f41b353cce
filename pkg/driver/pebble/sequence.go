package pebble

import (
	"encoding/binary"
	"errors"

	"github.com/cockroachdb/pebble/v2"
)

// Versions are taken from one sequence for the whole store, so that none is
// ever used twice, whatever was dropped. Blocks of them are reserved on disk
// before use; a crash skips the rest of its block, a clean close does not.
//
// A new store begins at its time in microseconds, so that versions and
// positions of a store that was there before it mean nothing in it.
const (
	sequenceBlock  = 1 << 20
	sequenceMargin = 1 << 16 // more than one group can use
)

func (s *store) loadSequence() error {
	v, closer, err := s.db.Get(reservedKey)
	switch {
	case errors.Is(err, pebble.ErrNotFound):
		s.first = uint64(max(s.clock.Now().UnixMicro(), 1))
		s.seq = s.first
	case err != nil:
		return err
	default:
		b, err := unseal(keySum(reservedKey), v)
		if err == nil && len(b) != 16 {
			err = errRecord
		}
		if err == nil {
			s.seq, s.first = binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])
		}
		if err = errors.Join(err, closer.Close()); err != nil {
			return err
		}
	}
	for _, n := range s.namespaces {
		if n.meta.low == never { // damaged
			n.meta.low = s.seq
			n.publish(&n.meta)
		}
	}
	s.dirty.version.Store(s.seq)
	return s.reserve(s.seq + sequenceBlock)
}

// reserve makes upTo durable. It is rare enough to wait for.
func (s *store) reserve(upTo uint64) error {
	b := binary.BigEndian.AppendUint64(make([]byte, sealSize, sealSize+16), upTo)
	b = binary.BigEndian.AppendUint64(b, s.first)
	seal(keySum(reservedKey), b)
	if err := s.db.Set(reservedKey, b, pebble.Sync); err != nil {
		return err
	}
	s.reserved = upTo
	return nil
}

// releaseSequence gives the unused rest of the block back.
func (s *store) releaseSequence() error { return s.reserve(s.seq) }
