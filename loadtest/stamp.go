package loadtest

import (
	"encoding/binary"
	"time"
)

// StampBytes is what a [Stamp] takes of a payload.
const StampBytes = 24

// A Stamp is what a message says of its request to whoever receives it. Run
// keeps messages of other runs out.
type Stamp struct {
	Run, N uint64
	Sent   time.Time
}

// Payload is s and behind it a value, at least as long as the stamp.
func (s Stamp) Payload(value []byte) []byte {
	b := make([]byte, 0, max(len(value), StampBytes))
	b = binary.BigEndian.AppendUint64(b, s.Run)
	b = binary.BigEndian.AppendUint64(b, s.N)
	b = binary.BigEndian.AppendUint64(b, uint64(s.Sent.UnixNano()))
	if len(value) > StampBytes {
		b = append(b, value[StampBytes:]...)
	}
	return b
}

// ReadStamp reads the stamp of a payload; false when it has none.
func ReadStamp(payload []byte) (Stamp, bool) {
	if len(payload) < StampBytes {
		return Stamp{}, false
	}
	at := func(i int) uint64 { return binary.BigEndian.Uint64(payload[8*i:]) }
	return Stamp{Run: at(0), N: at(1), Sent: time.Unix(0, int64(at(2)))}, true
}
