package frame

import (
	"google.golang.org/protobuf/encoding/protowire"

	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
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
		if b, err = x.append(b); err != nil {
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
	}
	return x.Other.SizeVT()
}

func (x *Result) getSize() int {
	n := 0
	if len(x.Value) > 0 {
		n += 1 + protowire.SizeBytes(len(x.Value))
	}
	if x.Version != 0 {
		n += 1 + protowire.SizeVarint(x.Version)
	}
	if x.Expires {
		n += 1 + protowire.SizeVarint(uint64(x.ExpiresAtMs))
	}
	return n
}

func (x *Result) setSize() int {
	if x.Version == 0 {
		return 0
	}
	return 1 + protowire.SizeVarint(x.Version)
}

func (x *Result) append(b []byte) ([]byte, error) {
	switch x.Kind {
	case Get:
		b = protowire.AppendTag(b, resultGet, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(x.getSize()))
		if len(x.Value) > 0 {
			b = protowire.AppendTag(b, getValue, protowire.BytesType)
			b = protowire.AppendBytes(b, x.Value)
		}
		if x.Version != 0 {
			b = protowire.AppendTag(b, getVersion, protowire.VarintType)
			b = protowire.AppendVarint(b, x.Version)
		}
		if x.Expires {
			b = protowire.AppendTag(b, getExpires, protowire.VarintType)
			b = protowire.AppendVarint(b, uint64(x.ExpiresAtMs))
		}
		return b, nil
	case Set:
		b = protowire.AppendTag(b, resultSet, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(x.setSize()))
		if x.Version != 0 {
			b = protowire.AppendTag(b, setVersion, protowire.VarintType)
			b = protowire.AppendVarint(b, x.Version)
		}
		return b, nil
	}
	n := x.Other.SizeVT()
	if _, err := x.Other.MarshalToSizedBufferVT(b[len(b) : len(b)+n]); err != nil {
		return b, err
	}
	return b[:len(b)+n], nil
}

// mostResults is how many results get room before they are seen.
const mostResults = 1000

// Reset empties r.
func (r *Response) Reset() { *r = Response{} }

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
			return r.Results[len(r.Results)-1].read(v)
		}
		return nil
	})
}

func (x *Result) read(data []byte) error {
	plain := true
	err := fields(data, func(num protowire.Number, typ protowire.Type, v []byte, _ uint64) error {
		switch {
		case num == resultGet && typ == protowire.BytesType && x.Kind == Other:
			x.Kind = Get
			return x.readGet(v)
		case num == resultSet && typ == protowire.BytesType && x.Kind == Other:
			x.Kind = Set
			return x.readSet(v)
		}
		plain = false
		return nil
	})
	if err != nil || plain && x.Kind != Other {
		return err
	}
	other := &kvv1.PipelineResult{}
	if err := other.UnmarshalVT(data); err != nil {
		return err
	}
	*x = Result{Kind: Other, Other: other}
	return nil
}

func (x *Result) readGet(data []byte) error {
	return fields(data, func(num protowire.Number, typ protowire.Type, v []byte, n uint64) error {
		switch {
		case num == getValue && typ == protowire.BytesType:
			x.Value = append(make([]byte, 0, len(v)), v...) // the caller's alone
		case num == getVersion && typ == protowire.VarintType:
			x.Version = n
		case num == getExpires && typ == protowire.VarintType:
			x.ExpiresAtMs, x.Expires = int64(n), true
		}
		return nil
	})
}

func (x *Result) readSet(data []byte) error {
	return fields(data, func(num protowire.Number, typ protowire.Type, _ []byte, n uint64) error {
		if num == setVersion && typ == protowire.VarintType {
			x.Version = n
		}
		return nil
	})
}
