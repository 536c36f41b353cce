package page

import (
	"context"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"
)

// Written is the Object of what no command shows alone: an event that is over,
// a message among others. It is JSON, which YAML reads too, in the words of the
// command that lists such things.
func Written(v any) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		var b strings.Builder
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		err := e.Encode(v)
		return b.String(), err
	}
}

// A Payload is what an object carries, as prismctl writes it. Where only the
// beginning is held the size is larger than it.
type Payload struct {
	Text   *string `json:"payload"`
	Base64 []byte  `json:"payload_base64"`
	Size   int64   `json:"size_bytes"`
}

// PayloadOf makes one of bytes, of which data may be the beginning.
func PayloadOf(data []byte, size int64) Payload {
	p := Payload{Size: size}
	if !utf8.Valid(data) {
		p.Base64 = data
		return p
	}
	s := string(data)
	p.Text = &s
	return p
}

// When is a time as prismctl writes it; nil for none.
func When(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := t.UTC().Format("2006-01-02T15:04:05.000Z")
	return &s
}
