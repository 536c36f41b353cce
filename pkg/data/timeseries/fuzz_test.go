package timeseries_test

import (
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"github.com/prism-data-layer/prism/pkg/data/timeseries"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// FuzzAppend puts columns of any lengths and contents to the checks: they are
// taken, refused one by one or refused whole, and the store only sees columns
// that fit together and hold nothing that it must not.
func FuzzAppend(f *testing.F) {
	f.Add(uint8(3), []byte{1, 0, 1}, "type", "a", []byte{1, 1, 2}, []byte("ab"), []byte{5}, []byte{0, 0, 0, 0, 0, 0, 0xf8, 0x7f})
	f.Add(uint8(0), []byte{}, "", "", []byte{9}, []byte{}, []byte{}, []byte{})
	f.Add(uint8(9), []byte{2, 200}, "\xff", "", []byte{1, 2, 3, 4, 5, 6, 7, 8, 9}, []byte("abcdefghi"), []byte{255, 1}, make([]byte, 72))
	f.Fuzz(func(t *testing.T, n uint8, codes []byte, first, second string, ends, data, present, values []byte) {
		r := newRig(t, timeseries.Policy{})
		in := &timeseries.Incoming{}
		for i := range n {
			in.Times = append(in.Times, int64(i)-1)
		}
		coded := driver.Coded{Dictionary: []string{first, second}}
		for _, c := range codes {
			coded.Codes = append(coded.Codes, uint32(c))
		}
		in.Types, in.Sources, in.Dimensions = coded, coded, []driver.Dimension{{Name: first, Values: coded}, {Name: "d"}}
		for _, e := range ends {
			in.IDs.Ends = append(in.IDs.Ends, uint32(e))
		}
		in.IDs.Data = data
		m := driver.Metric{Name: second, Present: present}
		for ; len(values) >= 8; values = values[8:] {
			m.Values = append(m.Values, math.Float64frombits(binary.LittleEndian.Uint64(values)))
		}
		in.Metrics = []driver.Metric{m}
		a, err := r.Append(t.Context(), in)
		if err != nil {
			if !errors.Is(err, prism.ReasonInvalidArgument) || len(prism.From(err).Fields) == 0 {
				t.Fatalf("got %v", err)
			}
			return
		}
		if a.Accepted+a.Duplicates+a.Rejected != int64(n) || int64(len(a.Rejections)) != min(a.Rejected, timeseries.MaxRejections) {
			t.Fatalf("of %d events: %+v", n, a)
		}
		for _, x := range a.Rejections {
			if len(x.Err.Fields) == 0 {
				t.Errorf("event %d is refused without a field: %v", x.Index, x.Err)
			}
		}
	})
}
