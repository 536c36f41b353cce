package session

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/prism-data-layer/prism/pkg/auth"
)

// A token reads prism_session_ and 32 characters of base62: 190 random bits.
// Ids have 22 characters, 131 bits: an id opens nothing, yet must not be
// guessable, for it names a session in the admin API.
const (
	tokenPrefix = "prism_session_"
	tokenLen    = len(tokenPrefix) + 32
	idLen       = 22
)

// Hash is the SHA-256 of a token.
type Hash [sha256.Size]byte

// MarshalText writes hex.
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText reads hex.
func (h *Hash) UnmarshalText(text []byte) error {
	if hex.DecodedLen(len(text)) != len(h) {
		return fmt.Errorf("token hash has %d characters", len(text))
	}
	_, err := hex.Decode(h[:], text)
	return err
}

func newToken() (string, Hash) {
	t := tokenPrefix + auth.RandomText(32)
	return t, sha256.Sum256([]byte(t))
}

// hashToken hashes a presented token without allocating. Whatever the text, it
// is either the one that was given out or hashes to something unknown; the
// length is checked only to spare the work. Looking a hash up in a map needs
// no constant time: what a timing could tell is a hash, not a token.
func hashToken(s string) (Hash, bool) {
	if len(s) != tokenLen {
		return Hash{}, false
	}
	var b [tokenLen]byte
	copy(b[:], s)
	return sha256.Sum256(b[:]), true
}
