package pebble

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// FuzzKeyEncode holds that keys are injective, keep the order within a
// namespace, come apart as they were put together, and stay in their span.
func FuzzKeyEncode(f *testing.F) {
	f.Add("a", "b/c", "a/b", "c")
	f.Add("", "\x00", "\x00", "\x00\x00")
	f.Add("b", "key", "b", "key\xff")
	f.Add("n\xff\xff", "\xff", "n", "\xff\xff\xff")
	f.Add(string(make([]byte, 300)), "k", string(make([]byte, 299)), "\x00k")
	f.Fuzz(func(t *testing.T, ns1, k1, ns2, k2 string) {
		a, b := prism.Key{Namespace: prism.Namespace(ns1), Name: k1}, prism.Key{Namespace: prism.Namespace(ns2), Name: k2}
		ea, eb := appendDataKey(nil, a), appendDataKey(nil, b)
		if bytes.Equal(ea, eb) != (a == b) {
			t.Fatalf("%q and %q: encodings %q and %q", a, b, ea, eb)
		}
		if ns1 == ns2 && bytes.Compare(ea, eb) != bytes.Compare([]byte(k1), []byte(k2)) {
			t.Fatalf("order of %q and %q is not kept", k1, k2)
		}
		kind, ns, rest, err := splitKey(ea)
		if err != nil || kind != kindData || string(ns) != ns1 || string(rest) != k1 {
			t.Fatalf("%q comes apart as %c %q %q %v", ea, kind, ns, rest, err)
		}
		lower, upper := appendSpan(nil, kindData, a.Namespace), appendSpanEnd(nil, kindData, a.Namespace)
		in := func(k []byte) bool { return bytes.Compare(k, lower) >= 0 && bytes.Compare(k, upper) < 0 }
		if !in(ea) || in(eb) != (ns1 == ns2) {
			t.Fatalf("span of %q: holds its own %v, holds %q %v", ns1, in(ea), eb, in(eb))
		}
		for _, kind := range namespaceKinds {
			if kind != kindData && in(append(appendSpan(nil, kind, a.Namespace), k1...)) {
				t.Fatalf("kind %c is in the span of data", kind)
			}
		}
		// Whatever can be taken apart is put together the same again.
		if kind, ns, rest, err := splitKey([]byte(k1)); err == nil {
			again := append(appendSpan(nil, kind, prism.Namespace(ns)), rest...)
			if string(again) != k1 {
				t.Fatalf("%q comes apart and together as %q", k1, again)
			}
		}
	})
}

func sampleRecords() (key []byte, records [][]byte) {
	key = appendDataKey(nil, prism.Key{Namespace: "n", Name: "k"})
	hash := keySum(key)
	d := data{version: 1 << 40, expires: 1_700_000_000_000, ttl: 60_000, value: []byte("value")}
	r1 := make([]byte, d.size())
	d.put(hash, r1)
	c := piece{stamp: 1_700_000_000_000}
	c.begin(100)
	c.entries = appendLogged(c.entries, driver.ChangeDelete, 100, 99, "k")
	c.begin(1000)
	c.entries = appendLogged(c.entries, driver.ChangeSet, 1000, 0, "other")
	r2 := pieceRecord(hash, &c)
	m := meta{low: 5, keys: 6, bytes: 7, changes: 8, receipts: 9}
	r3 := m.append(nil)
	seal(hash, r3)
	k := kept{id: [16]byte{3}, body: [16]byte{1, 2}, answers: appendAnswers(nil, []driver.Result{
		{Version: 7, Found: true, Applied: true, Number: -8, Value: []byte("before"), ExpiresAt: time.UnixMilli(9)}, {},
	})}
	p := piece{stamp: 5}
	p.begin(6)
	p.entries = k.append(p.entries)
	receipt := cacheReceipt{body: [16]byte{3}, expires: 4, sequence: 5, answer: driver.CacheResult{Found: true, Applied: true, Number: -6, ExpiresAt: time.UnixMilli(7)}}
	cm := cacheMeta{entries: 1, bytes: 2, receipts: 3, sequence: 4}
	l := piece{stamp: 7}
	l.begin(8)
	l.entries = appendStreamed(l.entries, 9, &driver.StreamMessage{Key: "k", Payload: []byte("payload"), Attributes: map[string]string{"b": "2", "a": "1"}})
	l.begin(9)
	l.entries = appendStreamed(l.entries, 16, &driver.StreamMessage{})
	sealed := func(record []byte) []byte {
		seal(hash, record)
		return record
	}
	return key, [][]byte{
		r1, r2, r3, pieceRecord(hash, &p), putCacheEntry(hash, nil, 1_700_000_000_000, []byte("value")), cm.append(hash, nil), receipt.append(hash, nil),
		pieceRecord(hash, &l), sealed(appendTopic(nil, sampleTopic)), sealed(appendFloor(nil, &sampleFloor)), sealed(appendCommitted(nil, 1<<40)),
	}
}

var (
	sampleTopic = driver.TopicOptions{Partitions: 8, Retention: driver.Retention{Age: time.Hour, Bytes: 1 << 30}}
	sampleFloor = extent{floor: 5, next: 5, base: 6, bytes: 6, stamp: 7}
)

// pieceRecord is the record of a piece.
func pieceRecord(hash uint32, p *piece) []byte {
	record := make([]byte, p.size())
	p.put(hash, record)
	return record
}

// FuzzRecordDecode holds that no decoder panics, takes more memory than its
// input warrants, or accepts what was not written: what it accepts encodes to
// the same bytes.
func FuzzRecordDecode(f *testing.F) {
	key, records := sampleRecords()
	for _, r := range records {
		f.Add(key, r, uint16(0))
		f.Add(key, r, uint16(77))
	}
	f.Fuzz(func(t *testing.T, key, record []byte, flip uint16) {
		hash := keySum(key)
		decode := func(record []byte) (accepted bool) {
			if d, err := parseData(hash, record); err == nil {
				again := make([]byte, d.size())
				d.put(hash, again)
				accepted = true
				if len(again) == len(record) && !bytes.Equal(again, record) {
					t.Fatalf("data %+v encodes to other bytes", d)
				}
			}
			for _, each := range []func(*pieceReader){
				func(p *pieceReader) { p.logged() },
				func(p *pieceReader) {
					if k, ok := p.kept(); ok {
						if answers, err := parseAnswers(k.answers); err == nil && len(answers) > len(record) {
							t.Fatalf("%d answers out of %d bytes", len(answers), len(record))
						}
					}
				},
				func(p *pieceReader) {
					if m, ok := p.streamed(); ok {
						r := reader{b: m.attributes}
						if a := r.attributes(); len(a) > len(record) {
							t.Fatalf("%d attributes out of %d bytes", len(a), len(record))
						}
					}
				},
			} {
				p, err := parsePiece(hash, record)
				accepted = accepted || err == nil
				entries := 0
				for err == nil && p.next() {
					each(&p)
					entries++
				}
				if entries > len(record) {
					t.Fatalf("%d entries out of %d bytes", entries, len(record))
				}
			}
			if _, err := parseMeta(hash, record); err == nil {
				accepted = true
			}
			if expires, value, err := parseCacheEntry(hash, record); err == nil {
				accepted = true
				if again := putCacheEntry(hash, nil, expires, value); len(again) == len(record) && !bytes.Equal(again, record) {
					t.Fatalf("entry of a cache %d %q encodes to other bytes", expires, value)
				}
			}
			if _, err := parseCacheMeta(hash, record); err == nil {
				accepted = true
			}
			if o, err := parseTopicOptions(hash, record); err == nil {
				accepted = true
				if o.Partitions < 1 || o.Partitions > maxPartitions {
					t.Fatalf("a topic of %d partitions", o.Partitions)
				}
			}
			if e, err := parseFloor(hash, record); err == nil {
				accepted = true
				if e.floor < 0 || e.base < 0 || e.stamp < 0 {
					t.Fatalf("a partition begins at %+v", e)
				}
			}
			if _, err := parseCommitted(hash, record); err == nil {
				accepted = true
			}
			if _, _, err := pieceEnds(binary.BigEndian.AppendUint64(bytes.Clone(key), 9), record); err == nil {
				accepted = true
			}
			if _, err := parseCacheReceipt(hash, record); err == nil {
				accepted = true
			}
			return accepted
		}
		decode(record)
		// Decoders behind the seal see anything.
		if len(record) >= sealSize {
			sealed := bytes.Clone(record)
			seal(hash, sealed)
			decode(sealed)
			bit := int(flip) % (8 * len(sealed))
			sealed[bit/8] ^= 1 << (bit % 8)
			if decode(sealed) {
				t.Fatalf("accepted with bit %d flipped", bit)
			}
		}
	})
}

func TestRecordsComeBackAsWritten(t *testing.T) {
	t.Parallel()
	key, records := sampleRecords()
	hash := keySum(key)
	d, err := parseData(hash, records[0])
	if err != nil || d.version != 1<<40 || d.expires != 1_700_000_000_000 || d.ttl != 60_000 || string(d.value) != "value" {
		t.Errorf("data: %+v, %v", d, err)
	}
	p, err := parsePiece(hash, records[1])
	if err != nil || p.count != 2 || p.stamp != 1_700_000_000_000 {
		t.Errorf("changes: %+v, %v", p, err)
	}
	for i, want := range []string{"100 delete 99 k", "1000 set 0 other"} {
		more := p.next()
		l, ok := p.logged()
		got := fmt.Sprintf("%d %s %d %s", p.seq, map[driver.ChangeKind]string{driver.ChangeSet: "set", driver.ChangeDelete: "delete"}[l.kind], l.previous, l.key)
		if !more || !ok || got != want {
			t.Errorf("change %d is %q %v, want %q", i, got, ok, want)
		}
	}
	if p.next() || p.end() != nil {
		t.Errorf("after the last change: %v", p.end())
	}
	m, err := parseMeta(hash, records[2])
	if err != nil || m != (meta{5, 6, 7, 8, 9}) {
		t.Errorf("meta: %+v, %v", m, err)
	}
	p, err = parsePiece(hash, records[3])
	if err != nil || !p.next() || p.stamp != 5 || p.seq != 6 {
		t.Errorf("receipts: %+v, %v", p, err)
	}
	k, ok := p.kept()
	answers, err := parseAnswers(k.answers)
	want := []driver.Result{{Version: 7, Found: true, Applied: true, Replayed: true, Number: -8, Value: []byte("before"), ExpiresAt: time.UnixMilli(9)}, {Replayed: true}}
	if !ok || err != nil || p.end() != nil || k.id != [16]byte{3} || k.body != [16]byte{1, 2} || !reflect.DeepEqual(answers, want) {
		t.Errorf("receipt: %+v %+v, %v", k, answers, err)
	}
	ends, cached, err := parseCacheEntry(hash, records[4])
	if err != nil || ends != 1_700_000_000_000 || string(cached) != "value" {
		t.Errorf("entry of a cache: %d %q, %v", ends, cached, err)
	}
	cm, err := parseCacheMeta(hash, records[5])
	if err != nil || cm != (cacheMeta{1, 2, 3, 4}) {
		t.Errorf("meta of a cache: %+v, %v", cm, err)
	}
	cr, err := parseCacheReceipt(hash, records[6])
	if err != nil || cr.body != [16]byte{3} || cr.expires != 4 || cr.sequence != 5 || !cr.answer.Found || !cr.answer.Applied || cr.answer.Number != -6 || !cr.answer.ExpiresAt.Equal(time.UnixMilli(7)) {
		t.Errorf("receipt of a cache: %+v, %v", cr, err)
	}
	p, err = parsePiece(hash, records[7])
	for i, want := range []string{"8 9 k map[a:1 b:2] payload", "9 16  map[] "} {
		more := p.next()
		m, ok := p.streamed()
		r := reader{b: m.attributes}
		if got := fmt.Sprintf("%d %d %s %v %s", p.seq, m.before, m.key, r.attributes(), m.payload); err != nil || !more || !ok || got != want {
			t.Errorf("message %d of a log is %q %v, %v; want %q", i, got, ok, err, want)
		}
	}
	if p.next() || p.end() != nil {
		t.Errorf("after the last message: %v", p.end())
	}
	if o, err := parseTopicOptions(hash, records[8]); err != nil || o != sampleTopic {
		t.Errorf("options of a topic: %+v, %v", o, err)
	}
	if e, err := parseFloor(hash, records[9]); err != nil || e != sampleFloor {
		t.Errorf("where a partition begins: %+v, %v", e, err)
	}
	if offset, err := parseCommitted(hash, records[10]); err != nil || offset != 1<<40 {
		t.Errorf("what a group has committed: %d, %v", offset, err)
	}
	// A record under another key is as good as damaged.
	for i, r := range records {
		other := keySum(append(bytes.Clone(key), 'x'))
		if _, err := unseal(other, r); err == nil {
			t.Errorf("record %d is accepted under another key", i)
		}
		for bit := range 8 * len(r) {
			flipped := bytes.Clone(r)
			flipped[bit/8] ^= 1 << (bit % 8)
			if _, err := unseal(hash, flipped); err == nil {
				t.Errorf("record %d is accepted with bit %d flipped", i, bit)
			}
		}
		for n := range r {
			if _, err := unseal(hash, r[:n]); err == nil {
				t.Errorf("record %d is accepted cut to %d bytes", i, n)
			}
		}
	}
	newer := bytes.Clone(records[0])
	newer[0] = recordFormat + 1
	seal2 := sum(hash, newer)
	newer[1], newer[2], newer[3], newer[4] = byte(seal2), byte(seal2>>8), byte(seal2>>16), byte(seal2>>24)
	if _, err := parseData(hash, newer); err == nil {
		t.Error("a record of a newer format is accepted")
	}
}

func TestSizesAreReadPlainAndWithUnits(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]size{"0": 0, "1048576": 1 << 20, "16MiB": 16 << 20, " 4 KiB ": 4096, "1GB": 1e9, "7B": 7, "2GiB": 2 << 30, "3MB": 3e6, "1KB": 1000} {
		var s size
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%q is %d, %v; want %d", text, s, err, want)
		}
	}
	for _, text := range []string{"", "MiB", "-1", "16M", "1.5MiB", "99999999999GiB", "x"} {
		var s size
		if err := s.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken for %d", text, s)
		}
	}
}

// Keys of logs keep apart whatever a group is called, and partitions and
// offsets keep their order.
func TestKeysOfLogsComeApart(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, topic := range []string{"a", "ab"} {
		for _, group := range []string{"", "b", "\x00", "b\x00\x00\x00\x00\x01", "\x00\x00\x00\x01"} {
			for _, n := range []int32{0, 1, 256} {
				key := appendGroupKey(nil, "ns", topic, group, n)
				what := fmt.Sprintf("%q %q %d", topic, group, n)
				if other, taken := seen[string(key)]; taken {
					t.Errorf("%s has the key of %s", what, other)
				}
				seen[string(key)] = what
				_, _, rest, err := splitKey(key)
				gotTopic, gotGroup, gotN, err2 := cutTopic(string(rest))
				if err != nil || err2 != nil || gotTopic != topic || gotGroup != group || gotN != n {
					t.Errorf("%s comes apart as %q %q %d, %v %v", what, gotTopic, gotGroup, gotN, err, err2)
				}
			}
		}
	}
	for _, bad := range []string{"", "topic", "topic\x00", "topic\x00abc"} {
		if _, _, _, err := cutTopic(bad); err == nil {
			t.Errorf("%q is taken apart", bad)
		}
	}
	last := []byte(nil)
	for _, n := range []int32{0, 1, 255, 256} {
		for _, offset := range []int64{0, 1, 255, 256, 1 << 40} {
			key := appendOffsetKey(nil, "ns", "topic", n, offset)
			if bytes.Compare(last, key) >= 0 {
				t.Errorf("partition %d, offset %d does not come after the one before", n, offset)
			}
			last = key
		}
	}
}
