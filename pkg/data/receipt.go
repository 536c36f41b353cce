package data

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
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

// Receipt is what makes a mutation happen once. Its scope is the principal and
// the RPC, however the call arrived. key is the caller's idempotency key, retry
// an id that a client made for its own retries; key wins. Both empty: the zero
// Receipt, which asks for nothing. The caller fills in Body.
func Receipt(principal, rpc, key string, retry []byte) (driver.Receipt, error) {
	s := Series{Principal: principal}
	return s.Receipt(rpc, key, retry)
}

// A Series makes receipts for mutations that came together from one principal:
// the ids that a client made for them begin alike, and that is hashed once.
type Series struct {
	Principal string

	rpc    string
	retry  int    // length of the ids
	begin  string // of the ids, up to the counter
	hashed driver.Receipt
}

// Receipt is [Receipt] for one of them.
func (s *Series) Receipt(rpc, key string, retry []byte) (driver.Receipt, error) {
	switch {
	case key == "" && len(retry) == 0:
		return driver.Receipt{}, nil
	case len(retry) > prism.MaxIdempotencyKeyBytes:
		return driver.Receipt{}, prism.InvalidField("retry_id", "must be at most 128 bytes")
	}
	if err := checkIdempotencyKey(key); err != nil {
		return driver.Receipt{}, err
	}
	if key != "" {
		return receipt(s.Principal, rpc, key, KeepCallers), nil
	}
	return s.retryReceipt(rpc, retry), nil
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

// A Body hashes all that a request asks for, so that a key used for something
// else is noticed. Parts never run into each other.
type Body struct{ h hash.Hash }

// NewBody begins a hash.
func NewBody() Body { return Body{sha256.New()} }

// Number adds a number.
func (b Body) Number(v uint64) Body {
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], v)
	b.h.Write(n[:])
	return b
}

// Bytes adds bytes with their length.
func (b Body) Bytes(p []byte) Body {
	b.Number(uint64(len(p)))
	b.h.Write(p)
	return b
}

// Sum is the hash for [driver.Receipt.Body].
func (b Body) Sum() [16]byte {
	var sum [sha256.Size]byte
	b.h.Sum(sum[:0])
	return [16]byte(sum[:16])
}
