package pebble

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// What is remembered of a key is what was put last, or nothing.
func TestRecentTellsOnlyWhatWasPutLast(t *testing.T) {
	t.Parallel()
	type place struct {
		ns   *namespace
		name string
	}
	var r recent
	a, b := newNamespace("a", meta{}), newNamespace("b", meta{})
	want := map[place]cell{}
	random := rand.New(rand.NewPCG(1, 2))
	hashOf := func(name string) uint32 { return keySum([]byte(name)) % 16 * (recentSets / 4) } // many in one set, some with the same tags
	hits := 0
	for i := range 20_000 {
		p := place{a, fmt.Sprint("key-", random.IntN(20))}
		if random.IntN(2) == 0 {
			p.ns = b
		}
		hash := hashOf(p.name)
		switch n := random.IntN(100); {
		case n < 50:
			c := cell{data: data{version: uint64(i + 1), expires: int64(i), ttl: int64(n)}, stored: n%2 == 0, size: n}
			r.put(p.ns, hash, p.name, &c)
			want[p] = c
			if got, ok := r.get(p.ns, hash, p.name); !ok || got.version != c.version {
				t.Fatalf("%v is %+v %v just after it was put as %+v", p, got, ok, c)
			}
			if !r.has(hash) {
				t.Fatalf("%v is there and has says no", p)
			}
		case n < 97:
			got, ok := r.get(p.ns, hash, p.name)
			if ok {
				hits++
			}
			if c := want[p]; ok && (got.version != c.version || got.expires != c.expires || got.ttl != c.ttl || got.size != c.size || got.stored != c.stored) {
				t.Fatalf("%v is %+v, want %+v or nothing", p, got, c)
			}
		case n < 99:
			r.forget(hash)
			if got, ok := r.get(p.ns, hash, p.name); ok {
				t.Fatalf("%v is still %+v after it was forgotten", p, got)
			}
		default:
			r.drop(p.ns)
			if got, ok := r.get(p.ns, hash, p.name); ok {
				t.Fatalf("%v is still %+v after its namespace was dropped", p, got)
			}
		}
	}
	if hits < 500 {
		t.Errorf("only %d keys were remembered", hits)
	}
	long := string(make([]byte, recentKey+1))
	r.put(a, 1, long, &cell{stored: true})
	if _, ok := r.get(a, 1, long); ok {
		t.Error("a key that is too long was kept")
	}
}
