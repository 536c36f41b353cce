package frame

import (
	"google.golang.org/protobuf/encoding/protowire"

	commonv1 "github.com/prism-data-layer/prism/proto/prism/common/v1"
)

// SizeVT is how many bytes the message takes.
func (r *Response) SizeVT() int {
	n := 0
	if r.ID != 0 {
		n += 1 + protowire.SizeVarint(r.ID)
	}
	for i := range r.Results {
		n += 1 + protowire.SizeBytes(r.Results[i].size())
	}
	if r.More {
		n += 2
	}
	return n
}

// MarshalToSizedBufferVT fills buf, which is as long as SizeVT says.
func (r *Response) MarshalToSizedBufferVT(buf []byte) (int, error) {
	b := buf[:0]
	if r.ID != 0 {
		b = protowire.AppendTag(b, responseID, protowire.VarintType)
		b = protowire.AppendVarint(b, r.ID)
	}
	for i := range r.Results {
		x := &r.Results[i]
		b = protowire.AppendTag(b, responseResults, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(x.size()))
		var err error
		if b, err = x.append(r.Model, b); err != nil {
			return 0, err
		}
	}
	if r.More {
		b = protowire.AppendTag(b, respMore, protowire.VarintType)
		b = protowire.AppendVarint(b, 1)
	}
	return len(b), nil
}

func (x *Result) size() int {
	switch x.Kind {
	case Get:
		return 1 + protowire.SizeBytes(x.getSize())
	case Set:
		return 1 + protowire.SizeBytes(x.setSize())
	case Failed:
		return 1 + protowire.SizeBytes(x.Error.SizeVT())
	}
	return x.Other.SizeVT()
}

func (x *Result) getSize() int {
	n := 0
	if len(x.Value) > 0 {
		n += 1 + protowire.SizeBytes(len(x.Value))
	}
	if x.Number != 0 {
		n += 1 + protowire.SizeVarint(x.Number)
	}
	if x.Expires {
		n += 1 + protowire.SizeVarint(uint64(x.ExpiresAtMs))
	}
	return n
}

func (x *Result) setSize() int {
	if x.Number == 0 {
		return 0
	}
	return 1 + protowire.SizeVarint(x.Number)
}

func (x *Result) append(m *Model, b []byte) ([]byte, error) {
	switch x.Kind {
	case Get:
		b = protowire.AppendTag(b, resultGet, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(x.getSize()))
		if m.number < m.value { // fields are written in the order of their numbers
			b = appendNumber(b, m.number, x.Number)
		}
		if len(x.Value) > 0 {
			b = protowire.AppendTag(b, m.value, protowire.BytesType)
			b = protowire.AppendBytes(b, x.Value)
		}
		if m.number > m.value {
			b = appendNumber(b, m.number, x.Number)
		}
		if x.Expires {
			b = protowire.AppendTag(b, getExpires, protowire.VarintType)
			b = protowire.AppendVarint(b, uint64(x.ExpiresAtMs))
		}
		return b, nil
	case Set:
		b = protowire.AppendTag(b, resultSet, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(x.setSize()))
		return appendNumber(b, setNumber, x.Number), nil
	case Failed:
		b = protowire.AppendTag(b, resultError, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(x.Error.SizeVT()))
		return appendMessage(b, x.Error)
	}
	return appendMessage(b, x.Other)
}

func appendNumber(b []byte, field protowire.Number, n uint64) []byte {
	if n == 0 {
		return b
	}
	b = protowire.AppendTag(b, field, protowire.VarintType)
	return protowire.AppendVarint(b, n)
}

// appendMessage writes m into the room that b has for it.
func appendMessage(b []byte, m Message) ([]byte, error) {
	n := m.SizeVT()
	if _, err := m.MarshalToSizedBufferVT(b[len(b) : len(b)+n]); err != nil {
		return b, err
	}
	return b[:len(b)+n], nil
}

// mostResults is how many results get room before they are seen.
const mostResults = 1000

// Reset empties r; its Model stays.
func (r *Response) Reset() { *r = Response{Model: r.Model} }

// UnmarshalVT reads a message; what it keeps is its own.
func (r *Response) UnmarshalVT(data []byte) error {
	return fields(data, func(num protowire.Number, typ protowire.Type, v []byte, n uint64) error {
		switch {
		case num == responseID && typ == protowire.VarintType:
			r.ID = n
		case num == respMore && typ == protowire.VarintType:
			r.More = n != 0
		case num == responseResults && typ == protowire.BytesType:
			if r.Results == nil { // most results of a frame are of one size
				r.Results = make([]Result, 0, min(len(data)/(len(v)+2)+1, mostResults))
			}
			r.Results = append(r.Results, Result{})
			return r.Results[len(r.Results)-1].read(r.Model, v)
		}
		return nil
	})
}

func (x *Result) read(m *Model, data []byte) error {
	plain := true
	err := fields(data, func(num protowire.Number, typ protowire.Type, v []byte, _ uint64) error {
		switch {
		case num == resultGet && typ == protowire.BytesType && x.Kind == Other:
			x.Kind = Get
			return x.readGet(m, v)
		case num == resultSet && typ == protowire.BytesType && x.Kind == Other:
			x.Kind = Set
			return x.readSet(v)
		case num == resultError && typ == protowire.BytesType && x.Kind == Other:
			x.Kind, x.Error = Failed, &commonv1.Error{}
			return x.Error.UnmarshalVT(v)
		}
		plain = false
		return nil
	})
	if err != nil || plain && x.Kind != Other {
		return err
	}
	other := m.result()
	if err := other.UnmarshalVT(data); err != nil {
		return err
	}
	*x = Result{Kind: Other, Other: other, Error: other.GetError()}
	return nil
}

func (x *Result) readGet(m *Model, data []byte) error {
	return fields(data, func(num protowire.Number, typ protowire.Type, v []byte, n uint64) error {
		switch {
		case num == m.value && typ == protowire.BytesType:
			x.Value = append(make([]byte, 0, len(v)), v...) // the caller's alone
		case num == m.number && typ == protowire.VarintType:
			x.Number = n
		case num == getExpires && typ == protowire.VarintType:
			x.ExpiresAtMs, x.Expires = int64(n), true
		}
		return nil
	})
}

func (x *Result) readSet(data []byte) error {
	return fields(data, func(num protowire.Number, typ protowire.Type, _ []byte, n uint64) error {
		if num == setNumber && typ == protowire.VarintType {
			x.Number = n
		}
		return nil
	})
}
