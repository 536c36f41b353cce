package frame

import (
	"encoding/binary"

	"google.golang.org/protobuf/encoding/protowire"
)

// A scan walks over the fields of a message, without a closure for each: events
// in rows have a dozen fields, and a message has tens of thousands of events.
type scan struct {
	rest []byte
	err  error

	// The field that next found.
	num protowire.Number
	typ protowire.Type
	v   []byte // of bytes
	n   uint64 // of numbers
}

// next reads a field; false is the end, or an error.
func (s *scan) next() bool {
	if len(s.rest) == 0 || s.err != nil {
		return false
	}
	size := 1
	if tag := s.rest[0]; tag < 0x80 && tag >= 8 {
		s.num, s.typ = protowire.Number(tag>>3), protowire.Type(tag&7)
	} else if s.num, s.typ, size = protowire.ConsumeTag(s.rest); size < 0 {
		return s.fail()
	}
	s.rest = s.rest[size:]
	switch s.typ {
	case protowire.BytesType:
		s.v, size = protowire.ConsumeBytes(s.rest)
		s.v = s.v[:len(s.v):len(s.v)]
	case protowire.VarintType:
		s.n, size = protowire.ConsumeVarint(s.rest)
	case protowire.Fixed64Type:
		s.n, size = protowire.ConsumeFixed64(s.rest)
	default:
		size = protowire.ConsumeFieldValue(s.num, s.typ, s.rest)
	}
	if size < 0 {
		return s.fail()
	}
	s.rest = s.rest[size:]
	return true
}

func (s *scan) fail() bool {
	s.err = errMalformed
	return false
}

// is reports whether the field is that one, of that type. A known field of
// another type is passed over, as the generated code would refuse it.
func (s *scan) is(num protowire.Number, typ protowire.Type) bool {
	return s.num == num && s.typ == typ
}

// numbers64 adds the fixed 64-bit numbers of a packed field.
func numbers64[T int64 | float64](list []T, packed []byte, of func(uint64) T) ([]T, error) {
	if len(packed)%8 != 0 {
		return list, errMalformed
	}
	if list == nil {
		list = make([]T, 0, len(packed)/8)
	}
	for ; len(packed) >= 8; packed = packed[8:] {
		list = append(list, of(binary.LittleEndian.Uint64(packed)))
	}
	return list, nil
}

// numbers32 adds the varints of a packed field.
func numbers32(list []uint32, packed []byte) ([]uint32, error) {
	if list == nil {
		list = make([]uint32, 0, varints(packed))
	}
	for len(packed) > 0 {
		if packed[0] < 0x80 {
			list, packed = append(list, uint32(packed[0])), packed[1:]
			continue
		}
		n, size := protowire.ConsumeVarint(packed)
		if size < 0 {
			return list, errMalformed
		}
		list, packed = append(list, uint32(n)), packed[size:]
	}
	return list, nil
}

// varints is how many there are.
func varints(packed []byte) (n int) {
	for _, b := range packed {
		if b < 0x80 {
			n++
		}
	}
	return n
}
