package redis_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/redis/redistest"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// rawCluster talks to a cluster without the driver.
func rawCluster(t *testing.T, c *redistest.Cluster) *goredis.ClusterClient {
	t.Helper()
	all := goredis.NewClusterClient(&goredis.ClusterOptions{Addrs: c.Addrs()})
	t.Cleanup(func() { _ = all.Close() })
	return all
}

// keysAt are all keys of a cluster, with the slot of each.
func keysAt(t *testing.T, c *goredis.ClusterClient) map[string]int64 {
	t.Helper()
	var mu sync.Mutex
	all := map[string]int64{}
	err := c.ForEachMaster(t.Context(), func(ctx context.Context, node *goredis.Client) error {
		names, err := node.Keys(ctx, "*").Result()
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		for _, name := range names {
			if all[name], err = node.ClusterKeySlot(ctx, name).Result(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestANamespaceIsSpreadOverACluster(t *testing.T) {
	t.Parallel()
	cluster := redistest.Seven().Cluster(t, 0)
	s, c := openAt(t, cluster.Addrs()[1:2], ""), rawCluster(t, cluster)
	const n = 600
	for i := range n {
		if _, err := set(t.Context(), s, prism.Key{Namespace: "ns", Name: fmt.Sprint("k", i)}, "v", none); err != nil {
			t.Fatal(err)
		}
	}
	if s.KeyValueTransactional != nil || s.KeyValueWatch != nil || s.KeyValueOrderedScan == nil {
		t.Errorf("it has %v", s.Names())
	}
	for _, node := range cluster.Nodes {
		size, err := node.Ask("DBSIZE")
		if i, _ := strconv.Atoi(size); err != nil || i < n/10 {
			t.Errorf("node %s has %s keys of %d, %v", node.Addr, size, n, err)
		}
	}
	h := s.Store.Health(t.Context())
	if h.State != driver.Healthy || h.Facts["mode"] != "cluster" || h.Facts["masters"] != "3" || !strings.Contains(h.Facts["lacks"], "one-slot") {
		t.Errorf("Health is %v %s, %v", h.State, h.Message, h.Facts)
	}
	if u, err := s.Store.Usage(t.Context(), "ns"); err != nil || u.Keys != n || u.Bytes < n {
		t.Errorf("Usage: %+v %v", u, err)
	}
	if err := s.Store.Drop(t.Context(), "ns"); err != nil {
		t.Fatal(err)
	}
	for name := range keysAt(t, c) {
		if meta := strings.HasPrefix(name, "{p1:2:ns:") && strings.HasSuffix(name, "}m"); !meta && name != "{p1}slots" {
			t.Errorf("Drop leaves %q", name)
		}
	}
}

// Whatever bytes a namespace has, its keys do not meet another's, and what one script
// touches is in one slot: otherwise the cluster refuses it.
func TestNamespacesOnAClusterNeverMeet(t *testing.T) {
	t.Parallel()
	cluster := shared.cluster(t)
	c := rawCluster(t, cluster)
	names := []prism.Namespace{"a", "a}b", "a}c", "{a", "}", "{", "{}", "}{", "a:0}kk", "a\x00", "\x00", "3:a:0", "a{b}c", "\xff}\xfe", "*", "a]"}
	for placement, more := range map[string]string{"spread": "", "one-slot": "placement: one-slot"} {
		s := openAt(t, cluster.Addrs(), more)
		keys := []string{"k", "}", "{", "{x}", "0}kk", "\x00", ":"}
		for i, ns := range names {
			for j, k := range keys {
				once := driver.Receipt{ID: [16]byte{byte(i), byte(j)}, Keep: time.Hour}
				key := prism.Key{Namespace: ns + prism.Namespace(placement), Name: k}
				value := fmt.Sprintf("%q %q", ns, k)
				if _, err := s.KeyValue.Set(t.Context(), key, []byte(value), driver.SetOptions{TTL: time.Hour}, once); err != nil {
					t.Fatalf("%s: Set %q: %v", placement, key, err)
				}
				results := make([]driver.CacheResult, 1)
				ops := []driver.CacheOp{{Kind: driver.CacheSet, Key: k, Value: []byte(value), Receipt: once}}
				if err := s.Cache.Do(t.Context(), key.Namespace, ops, results); err != nil || results[0].Err != nil {
					t.Fatalf("%s: cache Set %q: %v %v", placement, key, err, results[0].Err)
				}
			}
		}
		for _, ns := range names {
			page, err := s.KeyValueScan.Scan(t.Context(), ns+prism.Namespace(placement), driver.Query{Limit: 100, MaxBytes: 1 << 20}, nil)
			if err != nil || len(page.Entries) != len(keys) {
				t.Errorf("%s: %q has %d keys, want %d, %v", placement, ns, len(page.Entries), len(keys), err)
			}
			for _, e := range page.Entries {
				if want := fmt.Sprintf("%q %q", ns, e.Key); string(e.Value) != want {
					t.Errorf("%s: %q %q holds %s", placement, ns, e.Key, e.Value)
				}
			}
		}
		for i, ns := range names {
			if err := s.Store.Drop(t.Context(), ns+prism.Namespace(placement)); err != nil {
				t.Fatal(err)
			}
			// What a Drop takes too much is missed when its turn comes.
			for j := i; j < min(i+2, len(names)); j++ {
				n, err := s.KeyValueScan.Count(t.Context(), names[j]+prism.Namespace(placement), driver.Query{})
				if want := int64((j - i) * len(keys)); err != nil || n != want {
					t.Fatalf("%s: after Drop of %q there are %d keys in %q, want %d, %v", placement, ns, n, names[j], want, err)
				}
			}
		}
	}
	slots := map[string]int64{}
	for name, slot := range keysAt(t, c) {
		if before, _, ok := strings.Cut(name, "}"); ok && strings.HasPrefix(name, "{p1:") {
			if had, there := slots[before]; there && had != slot {
				t.Errorf("%q lies in slot %d, what begins alike in %d", name, slot, had)
			}
			slots[before] = slot
		}
	}
}

func TestABucketKeepsItsPartOfTheReceipts(t *testing.T) {
	t.Parallel()
	const bound = 2560
	s := openAt(t, shared.cluster(t).Addrs(), fmt.Sprintf("receipts: %d", bound))
	k := prism.Key{Namespace: "receipts of a bucket", Name: "k"}
	const n = 30
	for i := range n {
		if _, err := set(t.Context(), s, k, "v", driver.Receipt{ID: [16]byte{byte(i)}, Keep: time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	for i := n - 1; i >= 0; i-- {
		// An answer that comes again is no new receipt; the first that does not ends it.
		r, err := set(t.Context(), s, k, "v", driver.Receipt{ID: [16]byte{byte(i)}, Keep: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		if want := i >= n-bound/256; r.Replayed != want {
			t.Errorf("receipt %d of %d: known %v, want %v", i, n, r.Replayed, want)
		}
		if !r.Replayed {
			break
		}
	}
}

// No two changes of a namespace have one version, though 256 buckets give them out.
func TestVersionsOfBucketsAreApart(t *testing.T) {
	t.Parallel()
	s := openAt(t, shared.cluster(t).Addrs(), "")
	seen := map[uint64]string{}
	for range 20 {
		ops := make([]driver.Op, 500)
		for i := range ops {
			ops[i] = driver.Op{Kind: driver.OpSet, Key: fmt.Sprint("k", i)}
		}
		results := make([]driver.Result, len(ops))
		if err := s.KeyValueBatch.Batch(t.Context(), "versions apart", ops, results); err != nil {
			t.Fatal(err)
		}
		for i, r := range results {
			if r.Err != nil {
				t.Fatal(r.Err)
			}
			if other, there := seen[r.Version]; there {
				t.Fatalf("%s and %s have version %d", other, ops[i].Key, r.Version)
			}
			seen[r.Version] = ops[i].Key
		}
	}
}

// What has ended leaves the index in all slots, also when the gateway that wrote it is gone.
func TestExpiredKeysAreSweptInAllSlots(t *testing.T) {
	t.Parallel()
	cluster := redistest.Seven().Cluster(t, 0)
	a := openAt(t, cluster.Addrs(), "")
	const n = 300
	ops, results := make([]driver.Op, n), make([]driver.Result, n)
	for i := range ops {
		ops[i] = driver.Op{Kind: driver.OpSet, Key: fmt.Sprint("k", i), Options: driver.SetOptions{TTL: 2 * time.Second}}
	}
	if err := a.KeyValueBatch.Batch(t.Context(), "ns", ops, results); err != nil {
		t.Fatal(err)
	}
	c := rawCluster(t, cluster)
	eventually(t, "told of", func() bool {
		bits, err := c.BitCount(t.Context(), "{p1}slots", nil).Result()
		return err == nil && bits > 100
	})
	if err := a.Store.Close(); err != nil {
		t.Fatal(err)
	}
	b := openAt(t, cluster.Addrs(), "")
	eventually(t, "swept", func() bool {
		u, err := b.Store.Usage(t.Context(), "other") // touches nothing of ns
		if err != nil {
			t.Fatal(err)
		}
		left := int64(0)
		for name := range keysAt(t, c) {
			if strings.HasSuffix(name, "}i") {
				left++
			}
		}
		return u.Keys+left == 0
	})
}

func TestSlotsThatMoveLoseNothing(t *testing.T) {
	t.Parallel()
	cluster := redistest.Seven().Cluster(t, 0)
	s := openAt(t, cluster.Addrs(), "")
	l := startLoad(t, s, "moving")
	l.progress(t, 500)
	moved := map[int64]bool{}
	for _, slot := range keysAt(t, rawCluster(t, cluster)) {
		if !moved[slot] && len(moved) < 20 {
			moved[slot] = true
			m := moving(t, cluster, slot)
			l.progress(t, 20)
			m.rest()
		}
	}
	if len(moved) < 5 {
		t.Fatalf("only %d slots had keys", len(moved))
	}
	l.progress(t, 500)
	if lost := l.end(t, [counters]int64{}); lost != 0 {
		t.Errorf("%d answered increments are gone", lost)
	}
	page, err := s.KeyValueScan.Scan(t.Context(), "moving", driver.Query{Limit: 100, MaxBytes: 1 << 20}, nil)
	if err != nil || len(page.Entries) != len(l.acked) {
		t.Errorf("a scan sees %d keys of %d, %v", len(page.Entries), len(l.acked), err)
	}
}

// A slot of which half has moved takes no change that would break off in the middle.
func TestNothingIsDoneByHalfInASlotThatMoves(t *testing.T) {
	t.Parallel()
	cluster := redistest.Seven().Cluster(t, 0)
	s := openAt(t, cluster.Addrs(), "")
	if _, err := s.KeyValue.Set(t.Context(), key, []byte("v"), driver.SetOptions{TTL: time.Hour}, kept); err != nil {
		t.Fatal(err)
	}
	var home string
	var slot int64
	for name, at := range keysAt(t, rawCluster(t, cluster)) {
		if p, ok := strings.CutSuffix(name, "kk"); ok {
			home, slot = p, at
		}
	}
	move := moving(t, cluster, slot)
	move.key(home + "i")
	_, err := s.KeyValue.Delete(t.Context(), key, none)
	if !errors.Is(err, prism.ReasonBackendUnavailable) || !prism.From(err).Retryable() {
		t.Errorf("Delete: %v, want BACKEND_UNAVAILABLE", err)
	}
	move.rest()
	n, err := s.KeyValueScan.Count(t.Context(), key.Namespace, driver.Query{})
	e, found, failed := s.KeyValue.Get(t.Context(), key)
	if n != 1 || err != nil || !found || string(e.Value) != "v" || failed != nil {
		t.Errorf("there are %d keys, %v; Get: %+v %v %v", n, err, e, found, failed)
	}
	if r, err := s.KeyValue.Delete(t.Context(), key, none); !r.Found || err != nil {
		t.Errorf("Delete where all has moved: %+v %v", r, err)
	}
}

// A move is what redis-cli --cluster reshard does with a slot.
type move struct {
	t        *testing.T
	cluster  *redistest.Cluster
	from, to *redistest.Server
	slot     string
}

// moving begins to move a slot to the next node.
func moving(t *testing.T, cluster *redistest.Cluster, slot int64) move {
	t.Helper()
	m := move{t: t, cluster: cluster, slot: strconv.FormatInt(slot, 10)}
	for i := range int64(3) {
		if slot >= i*16384/3 && slot < (i+1)*16384/3 {
			m.from, m.to = cluster.Nodes[i], cluster.Nodes[(i+1)%3]
		}
	}
	ask(t, m.to, "CLUSTER", "SETSLOT", m.slot, "IMPORTING", ask(t, m.from, "CLUSTER", "MYID"))
	ask(t, m.from, "CLUSTER", "SETSLOT", m.slot, "MIGRATING", ask(t, m.to, "CLUSTER", "MYID"))
	return m
}

// key moves one key.
func (m move) key(name string) {
	m.t.Helper()
	host, port, _ := strings.Cut(m.to.Addr, ":")
	ask(m.t, m.from, "MIGRATE", host, port, name, "0", "5000")
}

// rest moves what is left, and gives the slot away.
func (m move) rest() {
	m.t.Helper()
	for {
		name := ask(m.t, m.from, "CLUSTER", "GETKEYSINSLOT", m.slot, "1")
		if name == "" {
			break
		}
		m.key(name)
	}
	owner := ask(m.t, m.to, "CLUSTER", "MYID")
	ask(m.t, m.to, "CLUSTER", "SETSLOT", m.slot, "NODE", owner)
	for _, n := range m.cluster.Nodes {
		ask(m.t, n, "CLUSTER", "SETSLOT", m.slot, "NODE", owner)
	}
}

func TestEventsReachEveryNodeOfACluster(t *testing.T) {
	t.Parallel()
	cluster := shared.cluster(t)
	var subs []driver.Subscriber
	for _, addr := range cluster.Addrs() {
		s := openAt(t, []string{addr}, "")
		subs = append(subs,
			subscribed(t)(s.PubSub.Subscribe(t.Context(), events, follow("a.b"))),
			subscribed(t)(s.PubSubWildcards.SubscribePattern(t.Context(), events, follow("a.*"))))
	}
	s := openAt(t, cluster.Addrs(), "")
	const n = 200
	list := make([]driver.Event, n)
	for i := range list {
		list[i] = driver.Event{ID: fmt.Sprint(i), Topic: "a.b", Payload: []byte{byte(i)}, Time: time.UnixMilli(1)}
	}
	if err := publish(t.Context(), s, list...); err != nil {
		t.Fatal(err)
	}
	for i, sub := range subs {
		for j, e := range read(t, sub, n) {
			if e.ID != fmt.Sprint(j) {
				t.Fatalf("subscription %d: event %d is %s", i, j, e.ID)
			}
		}
	}
}

func TestAClusterThatDidNotAnswerIsNotTakenForOneServer(t *testing.T) {
	t.Parallel()
	cluster := redistest.Seven().Cluster(t, 0)
	for _, n := range cluster.Nodes {
		if err := n.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	guessed := openAt(t, cluster.Addrs()[:1], "")
	told := openAt(t, cluster.Addrs()[:1], "mode: cluster")
	for what, s := range map[string]driver.Set{"guessed": guessed, "told": told} {
		if _, err := set(t.Context(), s, key, "v", none); !errors.Is(err, prism.ReasonBackendUnavailable) {
			t.Errorf("%s: %v, want BACKEND_UNAVAILABLE", what, err)
		}
	}
	for _, n := range cluster.Nodes {
		if err := n.Start(); err != nil {
			t.Fatal(err)
		}
	}
	if err := cluster.Settled(); err != nil {
		t.Fatal(err)
	}
	if _, err := set(t.Context(), guessed, key, "v", none); !errors.Is(err, prism.ReasonFailedPrecond) || !strings.Contains(err.Error(), "mode: cluster") {
		t.Errorf("taken for one server: %v, want FAILED_PRECONDITION with what to set", err)
	}
	eventually(t, "a cluster that comes back is used", func() bool { return second(set(t.Context(), told, key, "v", none)) == nil })
}

func TestABatchOnAClusterHasAResultForEachOperation(t *testing.T) {
	t.Parallel()
	cluster := redistest.Seven().Cluster(t, 0, "--cluster-require-full-coverage", "no")
	s := openAt(t, cluster.Addrs(), "")
	const n = 300
	ops, results := make([]driver.Op, n), make([]driver.Result, n)
	for i := range ops {
		ops[i] = driver.Op{Kind: driver.OpIncrement, Key: fmt.Sprint("k", i), Delta: 1}
	}
	if err := s.KeyValueBatch.Batch(t.Context(), "ns", ops, results); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Nodes[0].Kill(); err != nil {
		t.Fatal(err)
	}
	if err := s.KeyValueBatch.Batch(t.Context(), "ns", ops, results); err != nil {
		t.Fatal(err)
	}
	reasons := map[prism.Reason]int{}
	for _, r := range results {
		if r.Err != nil {
			reasons[prism.From(r.Err).Reason]++
		} else if r.Number != 2 {
			t.Errorf("counted %d", r.Number)
		}
	}
	if failed := reasons[prism.ReasonBackendUnavailable]; failed == 0 || failed > n*2/3 || len(reasons) != 1 {
		t.Errorf("of %d operations fail %v, with %v", n, reasons, slices.Collect(maps.Keys(reasons)))
	}
}
