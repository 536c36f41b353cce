package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"hash/crc32"
	"io"
	"slices"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// An API key reads prism_<id>_<secret><checksum>, all in base62:
//
//	prism_Xk2mPq81LdRw_0h…32…Tz4Kf9aQ
//	      12 characters, public, 71 bits
//	                   32 characters, secret, 190 bits
//	                                 6 characters, CRC-32 of what stands before
//
// The text itself is the secret: nothing is decoded into fewer bits, so no two
// texts are the same key. The checksum lets a mistyped key be refused without
// asking the store, and a scanner of repositories be sure of what it found.
const (
	keyPrefix   = "prism_"
	keyIDLen    = 12
	secretLen   = 32
	checksumLen = 6
	keyLen      = len(keyPrefix) + keyIDLen + 1 + secretLen + checksumLen
)

// Hash is the SHA-256 of a whole key. A fast hash is right here: a secret of
// 190 random bits cannot be guessed from it, however fast it is tried. Slow
// hashes protect what people choose.
type Hash [sha256.Size]byte

// A KeyRecord is what is kept of an API key: everything but its secret.
type KeyRecord struct {
	ID          string // public: it names the key in lists, logs and the audit trail
	Principal   string
	Roles       []string
	Hash        Hash
	Description string
	CreatedAt   time.Time
	ExpiresAt   time.Time // zero: never
	LastUsedAt  time.Time // zero: never; some seconds behind
	RevokedAt   time.Time // zero: not revoked
}

// Keys is where key records are kept.
type Keys interface {
	// Key returns the record of id, or NOT_FOUND. Revoked and expired records
	// are returned as they are.
	Key(ctx context.Context, id string) (KeyRecord, error)
	// KeyGeneration grows with every key that is created, changed or revoked,
	// before the change is answered. It is asked on every call and must cost
	// no more than an atomic load.
	KeyGeneration() uint64
	// KeysUsed notes when keys were last used. It is called in batches, off
	// the road of a request; losing one does no harm.
	KeysUsed(ctx context.Context, at map[string]time.Time) error
}

// NewKey makes a key for principal and returns its record, to be stored, and
// its secret, to be shown once and forgotten. ttl 0 never expires.
func NewKey(principal string, roles []string, ttl time.Duration, now time.Time) (KeyRecord, string, error) {
	if !ValidPrincipal(principal) {
		return KeyRecord{}, "", prism.InvalidField("principal", `must read KIND:NAME, such as "service:checkout"; kinds are user, service, team and group`)
	}
	for _, r := range roles {
		if !ValidRole(r) {
			return KeyRecord{}, "", prism.InvalidField("roles", "must be among admin, operator, viewer")
		}
	}
	if ttl < 0 {
		return KeyRecord{}, "", prism.InvalidField("ttl_ms", "must not be negative")
	}
	// Milliseconds are what the store keeps; a record read back then equals
	// the one that was made.
	now = now.Truncate(time.Millisecond)
	record := KeyRecord{
		ID:        RandomText(keyIDLen),
		Principal: principal,
		Roles:     slices.Compact(slices.Sorted(slices.Values(roles))),
		CreatedAt: now,
	}
	if ttl > 0 {
		record.ExpiresAt = now.Add(ttl)
	}
	body := keyPrefix + record.ID + "_" + RandomText(secretLen)
	sum := checksum([]byte(body))
	secret := body + string(sum[:])
	record.Hash = sha256.Sum256([]byte(secret))
	return record, secret, nil
}

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func isBase62(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

// RandomText returns n characters of base62 from the system's randomness,
// 5.95 bits each: 22 are enough for an id that cannot be guessed.
func RandomText(n int) string { return randomText(rand.Reader, n) }

// randomText throws away bytes of 248 and above, which would make the first
// eight characters likelier than the others.
func randomText(r io.Reader, n int) string {
	text := make([]byte, 0, n)
	var buf [64]byte
	for len(text) < n {
		if _, err := io.ReadFull(r, buf[:]); err != nil {
			panic("auth: the system has no randomness: " + err.Error())
		}
		for _, b := range buf {
			if b < 248 && len(text) < n {
				text = append(text, base62[b%62])
			}
		}
	}
	return string(text)
}

// checksum writes the CRC-32 of b in six characters of base62. The loop is
// here because crc32's own makes b escape, an allocation for each call.
func checksum(b []byte) (text [checksumLen]byte) {
	sum := ^uint32(0)
	for _, c := range b {
		sum = crc32.IEEETable[byte(sum)^c] ^ sum>>8
	}
	sum = ^sum
	for i := checksumLen - 1; i >= 0; i-- {
		text[i] = base62[sum%62]
		sum /= 62
	}
	return text
}

// parseKey finds the id in a presented key and hashes the whole. It allocates
// nothing. ok is false unless every byte stands as NewKey writes it.
func parseKey(s string) (id string, hash Hash, ok bool) {
	if len(s) != keyLen || s[:len(keyPrefix)] != keyPrefix {
		return "", hash, false
	}
	var b [keyLen]byte
	copy(b[:], s)
	const sep = len(keyPrefix) + keyIDLen
	for i := len(keyPrefix); i < keyLen; i++ {
		if i == sep {
			ok = b[i] == '_'
		} else {
			ok = isBase62(b[i])
		}
		if !ok {
			return "", hash, false
		}
	}
	if sum := checksum(b[:keyLen-checksumLen]); [checksumLen]byte(b[keyLen-checksumLen:]) != sum {
		return "", hash, false
	}
	return s[len(keyPrefix):sep], sha256.Sum256(b[:]), true
}
