// Package data is what all models share above the drivers: tokens that only
// this gateway can have made, receipts, and the refusal of a call that the
// backend cannot serve. One folder below it for each model.
package data

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"strings"
	"sync"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Sealer makes opaque tokens that only this gateway can have made: cursors
// and stream positions. A token opens only with the purpose and the owner it
// was sealed for.
type Sealer struct{ macs sync.Pool }

// NewSealer returns a sealer with the gateway's secret of 32 bytes.
func NewSealer(secret []byte) *Sealer {
	return &Sealer{macs: sync.Pool{New: func() any { return hmac.New(sha256.New, secret) }}}
}

const (
	sealVersion  = 1
	sealMacBytes = 16
)

// Seal returns token with its proof. Owner parts never run into each other.
func (s *Sealer) Seal(token []byte, owner ...string) string {
	out := make([]byte, 0, 1+sealMacBytes+len(token))
	out = append(out, sealVersion)
	mac := s.mac(token, owner)
	out = append(out, mac[:sealMacBytes]...)
	out = append(out, token...)
	return base64.RawURLEncoding.EncodeToString(out)
}

// Open returns what was sealed, or INVALID_CURSOR on the field.
func (s *Sealer) Open(field, sealed string, owner ...string) ([]byte, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(sealed)
	// The decoder passes over line breaks; no two texts are the same token.
	if err != nil || strings.ContainsAny(sealed, "\r\n") || len(raw) < 1+sealMacBytes || raw[0] != sealVersion {
		return nil, invalidCursor(field)
	}
	token := raw[1+sealMacBytes:]
	mac := s.mac(token, owner)
	if !hmac.Equal(mac[:sealMacBytes], raw[1:1+sealMacBytes]) {
		return nil, invalidCursor(field)
	}
	return token, nil
}

func (s *Sealer) mac(token []byte, owner []string) (sum [sha256.Size]byte) {
	h := s.macs.Get().(hash.Hash)
	defer s.macs.Put(h)
	h.Reset()
	h.Write([]byte{byte(len(owner))}) // or a part could pass for the token's beginning
	for _, o := range owner {
		h.Write([]byte{byte(len(o) >> 16), byte(len(o) >> 8), byte(len(o))})
		h.Write([]byte(o))
	}
	h.Write(token)
	h.Sum(sum[:0])
	return sum
}

func invalidCursor(field string) *prism.Error {
	return prism.New(prism.ReasonInvalidCursor, "%s is not one that this gateway gave for this query", field).
		WithField(field, "must come from the page before, with all other fields unchanged")
}
