package memory

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/driver"
)

// The list is a sorted slice with runs: it must do what a sorted slice does,
// over sizes that split and join runs.
func TestOrderedIsASortedSlice(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		var o ordered
		have := map[string]*entry{}
		grow := func(n int, key func(int) string) {
			for i := range n {
				k := key(i)
				if have[k] == nil {
					have[k] = &entry{key: k}
					o.insert(have[k])
				}
			}
		}
		for range rapid.IntRange(1, 4).Draw(r, "rounds") {
			from, step := rapid.IntRange(0, 3000).Draw(r, "from"), rapid.SampledFrom([]int{1, 7, -1, 997}).Draw(r, "step")
			grow(rapid.IntRange(0, 1500).Draw(r, "grow"), func(i int) string { return fmt.Sprintf("%06d", from+((i*step)%3000+3000)%3000) })
			n := rapid.IntRange(0, len(have)).Draw(r, "shrink")
			for k, e := range have {
				if n--; n < 0 {
					break
				}
				o.remove(e)
				delete(have, k)
			}
		}
		var want []string
		for k := range have {
			want = append(want, k)
		}
		slices.Sort(want)
		var got, back []string
		for p := o.seek(""); o.at(&p) != nil; p.item++ {
			got = append(got, o.at(&p).key)
		}
		for p := o.end(); ; {
			e := o.before(&p)
			if e == nil {
				break
			}
			back = append(back, e.key)
		}
		slices.Reverse(back)
		if !slices.Equal(got, want) || !slices.Equal(back, want) {
			r.Fatalf("%d forwards and %d backwards of %d", len(got), len(back), len(want))
		}
		probe := fmt.Sprintf("%06d", rapid.IntRange(0, 6000).Draw(r, "probe"))
		if i, _ := slices.BinarySearch(want, probe); o.rank(o.seek(probe)) != i {
			r.Fatalf("rank of %s is %d, want %d", probe, o.rank(o.seek(probe)), i)
		}
		for i := range o.runs {
			if len(o.runs[i].items) == 0 || len(o.runs[i].items) > maxRun || o.runs[i].first != o.runs[i].items[0].key {
				r.Fatalf("run %d is out of shape", i)
			}
		}
	})
}

func TestOrderedKeysFillTheirRuns(t *testing.T) {
	t.Parallel()
	var o ordered
	for i := range 10 * maxRun {
		o.insert(&entry{key: fmt.Sprintf("%08d", i)})
	}
	if len(o.runs) != 10 {
		t.Errorf("%d runs for %d keys in order, want 10", len(o.runs), 10*maxRun)
	}
}

func TestReceiptsReuseTheirRecords(t *testing.T) {
	t.Parallel()
	const bound = 100
	r := newReceipts(bound)
	id := func(i int) (q driver.Receipt) {
		q.ID[0], q.ID[1], q.Keep = byte(i), byte(i>>8), time.Second
		return q
	}
	for i := range 1000 {
		res := []driver.Result{{Version: uint64(i)}}
		if i%3 == 0 {
			res[0].Value = []byte("kept beside")
		}
		r.keep(id(i), 0, res...)
		if _, ok, err := r.replay(id(i), 0); !ok || err != nil {
			t.Fatalf("%d: %v %v", i, ok, err)
		}
	}
	if r.len() != bound || r.used > bound+1 || len(r.extra) > bound/2 {
		t.Errorf("%d receipts in %d records, %d beside; the bound is %d", r.len(), r.used, len(r.extra), bound)
	}
	r.sweep(2000, bound)
	if r.len() != 0 || len(r.extra) != 0 || r.oldest != none || r.newest != none {
		t.Errorf("%d receipts, %d beside, after their time", r.len(), len(r.extra))
	}
}

func TestHistoryKeepsItsBound(t *testing.T) {
	t.Parallel()
	h := history{max: 1300, age: 1 << 40}
	for i := uint64(1); i <= 5000; i++ {
		h.add(change{key: "k", version: i, when: 1})
	}
	if h.n != 1300 || h.floor != 3700 || h.last != 5000 || len(h.chunks) > 4 {
		t.Errorf("%d changes after %d up to %d in %d chunks", h.n, h.floor, h.last, len(h.chunks))
	}
	if i := h.after(4000); h.at(i).version != 4001 {
		t.Errorf("after 4000 comes %d", h.at(i).version)
	}
}

// The wall clock is set an hour forward after opening: no key ends the sooner,
// and what is shown is by the new wall.
func TestAWallClockThatIsSetEndsNothing(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, off := range []time.Duration{0, time.Hour, -time.Hour} {
		s := &store{clock: clock.Real(), opened: now, wall: now.Round(0).Add(-off)}
		e := entry{at: deadline(s.now(), time.Minute)}
		if e.ended(s.now()) {
			t.Errorf("set by %v: a key of a minute ended at once", off)
		}
		if d := time.Until(s.shown(e.at)); d < 58*time.Second || d > 61*time.Second {
			t.Errorf("set by %v: an expiry in a minute is shown in %v", off, d)
		}
		if !s.shown(0).IsZero() {
			t.Errorf("no expiry is shown as %v", s.shown(0))
		}
	}
}
