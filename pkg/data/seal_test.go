package data_test

import (
	"bytes"
	"encoding/base64"
	"testing"

	"github.com/prism-data-layer/prism/pkg/data"
	"github.com/prism-data-layer/prism/pkg/prism"
)

var secret = []byte("0123456789abcdef0123456789abcdef")

func wants(t *testing.T, err error, reason prism.Reason, field string) {
	t.Helper()
	e := prism.From(err)
	if e == nil || e.Reason != reason || len(e.Fields) != 1 || e.Fields[0].Field != field || e.Fields[0].Message == "" {
		t.Errorf("got %v, want %s on %s", err, reason, field)
	}
}

func TestASealedTokenOpensForItsOwnerOnly(t *testing.T) {
	t.Parallel()
	s := data.NewSealer(secret)
	token := []byte("the last key\x00\xff")
	sealed := s.Seal(token, "scan", "ann")
	if got, err := s.Open("cursor", sealed, "scan", "ann"); err != nil || !bytes.Equal(got, token) {
		t.Errorf("got %q, %v", got, err)
	}
	if again := s.Seal(token, "scan", "ann"); again != sealed {
		t.Error("the same token seals differently")
	}
	for _, owner := range [][]string{{}, {"scan"}, {"scan", "bob"}, {"ann", "scan"}, {"scan", "ann", ""}, {"scanann"}, {"scan", "ann\x00"}} {
		_, err := s.Open("cursor", sealed, owner...)
		wants(t, err, prism.ReasonInvalidCursor, "cursor")
	}
	_, err := data.NewSealer([]byte("another secret of another gateway")).Open("position", sealed, "scan", "ann")
	wants(t, err, prism.ReasonInvalidCursor, "position")
}

// Neither do parts of the owner run into each other, nor into the token.
func TestPartsOfAnOwnerDoNotRunTogether(t *testing.T) {
	t.Parallel()
	s := data.NewSealer(secret)
	proof := func(token string, owner ...string) string {
		raw, err := base64.RawURLEncoding.DecodeString(s.Seal([]byte(token), owner...))
		if err != nil {
			t.Fatal(err)
		}
		return string(raw[:17])
	}
	seen := map[string]int{}
	for i, p := range []string{
		proof("t", "ab", "c"), proof("t", "a", "bc"), proof("t", "abc"), proof("t", "", "abc"), proof("ct", "ab"),
		proof("\x00\x00\x01ct", "ab"), proof("\x00\x00\x02ab\x00\x00\x01ct"), proof("t", "a", "b", "c"),
	} {
		if was, ok := seen[p]; ok {
			t.Errorf("%d and %d have one proof", was, i)
		}
		seen[p] = i
	}
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

func TestATokenThatWasTamperedWithIsRefusedWhereverItWas(t *testing.T) {
	t.Parallel()
	s := data.NewSealer(secret)
	for _, token := range []string{"", "a", "ab", "abc", "the last key"} {
		sealed := s.Seal([]byte(token), "scan")
		refused := func(text string) {
			t.Helper()
			if got, err := s.Open("cursor", text, "scan"); err == nil {
				t.Errorf("%q opens as %q, and %q was sealed", text, got, sealed)
			}
		}
		for i := range sealed {
			for _, c := range alphabet + "=+/\n\r\x00é" {
				if string(c) != sealed[i:i+1] {
					refused(sealed[:i] + string(c) + sealed[i+1:])
				}
			}
			refused(sealed[:i])
			refused(sealed[:i] + sealed[i+1:])
			refused(sealed[:i] + "\n" + sealed[i:])
		}
		refused(sealed + "A")
		refused(sealed + "=")
		refused(sealed + "\n")
		raw, err := base64.RawURLEncoding.DecodeString(sealed)
		if err != nil {
			t.Fatal(err)
		}
		for bit := range len(raw) * 8 {
			flipped := bytes.Clone(raw)
			flipped[bit/8] ^= 1 << (bit % 8)
			refused(base64.RawURLEncoding.EncodeToString(flipped))
		}
		raw[0]++ // a version to come
		refused(base64.RawURLEncoding.EncodeToString(raw))
	}
}

// Whatever opens was sealed here, byte for byte.
func FuzzCursor(f *testing.F) {
	s := data.NewSealer(secret)
	owner := []string{"scan\x00\"dev\"", "kv"}
	for _, token := range []string{"", "\x01", "\x01the last key"} {
		sealed := s.Seal([]byte(token), owner...)
		f.Add(sealed)
		f.Add(sealed[1:])
		f.Add(sealed + "\n")
	}
	f.Add("")
	f.Add("AQ")
	f.Fuzz(func(t *testing.T, text string) {
		token, err := s.Open("cursor", text, owner...)
		if err != nil {
			e := prism.From(err)
			if e.Reason != prism.ReasonInvalidCursor || len(e.Fields) != 1 || e.Fields[0].Field != "cursor" || token != nil {
				t.Errorf("%q: got %q, %+v", text, token, e)
			}
			return
		}
		if want := s.Seal(token, owner...); want != text {
			t.Errorf("%q opens as %q, which seals as %q", text, token, want)
		}
	})
}
