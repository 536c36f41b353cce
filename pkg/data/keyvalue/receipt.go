package keyvalue

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/prism-data-layer/prism/pkg/data"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// rpcNames scope a receipt: one name for each RPC, however it arrived.
var rpcNames = [...]string{
	OpSet: "Set", OpSetIf: "Set", OpDelete: "Delete", OpDeleteIf: "Delete",
	OpExpire: "Expire", OpPersist: "Persist", OpTouch: "Touch",
	OpIncrement: "Increment", OpAppend: "Append", OpSetIfAbsent: "SetIfAbsent", OpGetAndSet: "GetAndSet",
	OpCompareAndSwap: "CompareAndSwap", OpCompareAndDelete: "CompareAndDelete",
}

// Once makes op happen once: key is the caller's idempotency key, retry an id
// that a client made; key wins. Both empty ask for nothing.
func Once(op *Op, principal, key string, retry []byte) error {
	return OnceOf(&Series{Principal: principal}, op, key, retry)
}

// A Series is for operations that came together from one principal.
type Series = data.Series

// OnceOf is Once for one of a series.
func OnceOf(s *Series, op *Op, key string, retry []byte) error {
	switch {
	case key == "" && len(retry) == 0, op.Kind.Reads():
		return nil
	case int(op.Kind) >= len(rpcNames):
		return prism.InvalidField("op", "must be set")
	}
	r, err := s.Receipt(rpcNames[op.Kind], key, retry)
	if err != nil {
		return err
	}
	r.Body = bodyOf(op)
	op.Receipt = r
	return nil
}

// bodyOf hashes all that op asks for, so that a key used for something else is
// noticed.
func bodyOf(op *Op) [16]byte {
	flags := uint64(op.Kind)
	if op.Options.KeepTTL {
		flags |= 1 << 8
	}
	if op.If.Absent {
		flags |= 1 << 9
	}
	var buf [512]byte
	b := binary.AppendUvarint(buf[:0], flags)
	b = binary.AppendVarint(b, op.Delta)
	b = binary.AppendVarint(b, int64(op.Options.TTL))
	b = binary.AppendUvarint(b, op.If.Version)
	for _, n := range [...]int{len(op.Key), len(op.Value), len(op.Expected)} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	var sum [sha256.Size]byte
	if len(b)+len(op.Key)+len(op.Value)+len(op.Expected) <= len(buf) {
		b = append(append(append(b, op.Key...), op.Value...), op.Expected...)
		sum = sha256.Sum256(b)
		return [16]byte(sum[:16])
	}
	h := sha256.New()
	h.Write(b)
	h.Write([]byte(op.Key))
	h.Write(op.Value)
	h.Write(op.Expected)
	h.Sum(sum[:0])
	return [16]byte(sum[:16])
}
