package keyvalue

import (
	"crypto/sha256"
	"encoding/binary"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// How long receipts are kept: a caller's own key may come back after a day, an
// id that a client made for its own retries only after a reconnect.
const (
	KeepCallers = 24 * time.Hour
	KeepRetries = 10 * time.Minute
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
	s := Series{Principal: principal}
	return s.Once(op, key, retry)
}

// A Series is Once for operations that came together from one principal: the
// ids that a client made for them begin alike, and that is hashed once.
type Series struct {
	Principal string

	rpc    string
	retry  int    // length of the ids
	begin  string // of the ids, up to the counter
	hashed driver.Receipt
}

// Once makes op happen once.
func (s *Series) Once(op *Op, key string, retry []byte) error {
	switch {
	case key == "" && len(retry) == 0, op.Kind.Reads():
		return nil
	case len(retry) > prism.MaxIdempotencyKeyBytes:
		return prism.InvalidField("retry_id", "must be at most 128 bytes")
	case int(op.Kind) >= len(rpcNames):
		return prism.InvalidField("op", "must be set")
	}
	if err := checkIdempotencyKey(key); err != nil {
		return err
	}
	if key != "" {
		op.Receipt = receipt(s.Principal, rpcNames[op.Kind], key, KeepCallers)
	} else {
		op.Receipt = s.retryReceipt(rpcNames[op.Kind], retry)
	}
	op.Receipt.Body = bodyOf(op)
	return nil
}

func checkIdempotencyKey(key string) error {
	switch {
	case len(key) > prism.MaxIdempotencyKeyBytes:
		return prism.InvalidField("idempotency_key", "must be at most 128 bytes")
	case !utf8.ValidString(key):
		return prism.InvalidField("idempotency_key", "must be valid UTF-8")
	}
	return nil
}

func receipt(principal, rpc, key string, keep time.Duration) driver.Receipt {
	var buf [256]byte
	b := append(buf[:0], principal...)
	b = append(b, 0)
	b = append(b, rpc...)
	b = append(b, 0)
	b = append(b, key...)
	sum := sha256.Sum256(b)
	return driver.Receipt{ID: [16]byte(sum[:16]), Keep: keep}
}

// counterBytes is the end of a retry id, which our clients count up. It stays as
// it is at the end of the receipt's id, so that the receipts of one client lie
// side by side in a store that keeps order: neighbours are cheaper to write.
const counterBytes = 8

func (s *Series) retryReceipt(rpc string, retry []byte) driver.Receipt {
	n := max(len(retry)-counterBytes, 0)
	if s.rpc != rpc || s.retry != len(retry) || s.begin != string(retry[:n]) {
		s.rpc, s.retry, s.begin = rpc, len(retry), string(retry[:n])
		s.hashed = receipt(s.Principal, rpc+"?"+strconv.Itoa(len(retry)), s.begin, KeepRetries)
	}
	r := s.hashed
	clear(r.ID[counterBytes:])
	copy(r.ID[counterBytes:], retry[n:])
	return r
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
