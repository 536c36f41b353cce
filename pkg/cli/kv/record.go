package kv

import (
	b64 "encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/prism-data-layer/prism/pkg/prism"
	keyvaluev1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

// A record is one line of an export: {"key":…,"value":…,"expires_at":…}, with
// value_base64 in place of value where the value is not UTF-8.
type record struct {
	Key       *string    `json:"key"`
	Value     *string    `json:"value,omitempty"`
	Base64    *string    `json:"value_base64,omitempty"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}

func recordOf(e *keyvaluev1.Entry) record {
	key := e.GetKey()
	r := record{Key: &key}
	if v := e.GetValue(); utf8.Valid(v) {
		s := string(v)
		r.Value = &s
	} else {
		s := base64(v)
		r.Base64 = &s
	}
	if e.ExpiresAtMs != nil {
		at := time.UnixMilli(e.GetExpiresAtMs()).UTC()
		r.ExpiresAt = &at
	}
	return r
}

// parseRecord reads a line. Fields of other names are let be, so that what
// kv scan -o jsonl prints can be imported too.
func parseRecord(line []byte) (record, error) {
	var r record
	if err := json.Unmarshal(line, &r); err != nil {
		return r, errors.New("not a JSON object with key and value")
	}
	switch {
	case r.Key == nil:
		return r, errors.New(`"key" is missing`)
	case r.Value == nil && r.Base64 == nil:
		return r, errors.New(`"value" is missing`)
	case r.Value != nil && r.Base64 != nil:
		return r, errors.New(`"value" and "value_base64" are both there`)
	}
	return r, prismText(prism.CheckKey("key", *r.Key))
}

func prismText(err error) error {
	if err == nil {
		return nil
	}
	return errors.New(prism.From(err).Message)
}

// request makes the write of a record; nil for one that has expired since.
func (r record) request(createOnly bool, now time.Time) (*keyvaluev1.SetRequest, error) {
	req := &keyvaluev1.SetRequest{Key: *r.Key, CreateOnly: createOnly}
	if r.Base64 != nil {
		v, err := b64.StdEncoding.DecodeString(*r.Base64)
		if err != nil {
			return nil, errors.New(`"value_base64" is not base64`)
		}
		req.Value = v
	} else {
		req.Value = []byte(*r.Value)
	}
	if len(req.Value) > prism.MaxValueBytes {
		return nil, fmt.Errorf("value must be at most 1 MiB")
	}
	if r.ExpiresAt != nil {
		ms := r.ExpiresAt.Sub(now).Milliseconds()
		if ms <= 0 {
			return nil, nil
		}
		req.TtlMs = &ms
	}
	return req, nil
}
