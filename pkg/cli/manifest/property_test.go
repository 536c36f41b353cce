package manifest_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

// What export writes, apply takes, and changes nothing by it: for whatever the
// admin API lets a namespace and a backend be.
func TestWhatIsExportedChangesNothing(t *testing.T) {
	t.Parallel()
	r, g := rig(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	ctx, admin := harness.Context(t), g.Admin(t)
	for i := range 5 {
		options := map[string]string{"receipts": fmt.Sprint(1 + random.IntN(1000))}
		if random.IntN(2) == 0 {
			options = nil
		}
		if _, err := admin.AddBackend(ctx, &adminv1.AddBackendRequest{Name: fmt.Sprintf("b%d", i), Driver: "memory", Options: options}); err != nil {
			t.Fatal(err)
		}
	}
	const many = 120
	for i := range many {
		spec := randomSpec(random, fmt.Sprintf("n%d", i))
		if _, err := admin.CreateNamespace(ctx, &adminv1.CreateNamespaceRequest{Spec: spec}); err != nil {
			t.Fatalf("seed %d: %v is refused: %v", seed, spec, err)
		}
	}
	text := r.OK("export")
	file := r.Write("all.yaml", text)
	if got := r.Run("diff", "-f", file); got.Code != 0 {
		t.Errorf("seed %d: diff finds\n%s%s", seed, got.Out, got.ErrOut)
	}
	got := changes(t, r.OK("apply", "-f", file, "-o", "json"))
	for name, c := range got {
		if c != [2]string{"none", "unchanged"} {
			t.Errorf("seed %d: %s: %v", seed, name, c)
		}
	}
	if len(got) != many+1+5+1 {
		t.Errorf("%d objects were exported", len(got))
	}
	for _, event := range []string{"n0", "n1"} {
		if n := namespace(t, g, event); n.GetRevision() != 1 {
			t.Errorf("%s has revision %d", event, n.GetRevision())
		}
	}

	// The same on an empty gateway: all of it is made, and is the same then.
	other, _ := rig(t)
	other.OK("apply", "-f", other.Write("all.yaml", text))
	if copied := other.OK("export"); copied != text {
		t.Errorf("seed %d: the copy differs", seed)
	}
}

func randomSpec(r *rand.Rand, name string) *adminv1.NamespaceSpec {
	some := func(most int64) int64 {
		if r.IntN(2) == 0 {
			return 0
		}
		return 1 + r.Int64N(most)
	}
	pick := func(words ...string) string { return words[r.IntN(len(words))] }
	const day = 24 * 3600 * 1000
	s := &adminv1.NamespaceSpec{
		Name: name, Model: pick("keyvalue", "cache", "queue", "pubsub", "timeseries"), Backend: pick("volatile", "b0", "b1"),
		Description: pick("", "words", "two\nlines", "# : - \"'{}[]", "${HOME} $${x}", " 猫\u202e\u2029\u007f ", "yes", "1e3", strings.Repeat("x", 500)),
		Needs:       &adminv1.Needs{Durability: pick("", "strong", "relaxed"), TtlMs: some(3650 * day), ReadRps: some(1e9), WriteRps: some(1e9), SizeBytes: some(1 << 50)},
		Limits:      &adminv1.NamespaceLimits{RequestRps: some(1e9), Burst: some(1e9), Receipts: some(1e8)},
		MaxTtlMs:    some(3650 * day),
	}
	if s.DefaultTtlMs = some(3650 * day); s.MaxTtlMs > 0 && s.DefaultTtlMs > s.MaxTtlMs {
		s.DefaultTtlMs = s.MaxTtlMs
	}
	switch s.Model {
	case "queue":
		s.NoAutoCreate, s.DefaultKind = r.IntN(2) == 0, pick("", "log", "work")
		s.Limits.Queues, s.Limits.Partitions, s.Limits.Groups, s.Limits.MessageBytes = some(1e6), some(1e6), some(1e5), some(1<<20)
	case "timeseries":
		s.RetentionMs = some(36500 * day)
		if r.IntN(2) == 0 {
			s.Limits.BufferBytes = 64<<10 + r.Int64N(4<<30-64<<10)
		}
	}
	if r.IntN(2) == 0 {
		s.Access = &adminv1.Access{}
		for range r.IntN(3) {
			s.Access.Owners = append(s.Access.Owners, pick("team", "user", "group", "service")+":"+pick("a", "a.b-c_d@e/f+g", "x.*"))
		}
		for range r.IntN(4) {
			g := &adminv1.Grant{Principal: pick("team", "user", "group", "service") + ":" + pick("a", "z.*", "*"), Permissions: []string{"read"}}
			if r.IntN(2) == 0 {
				g.Permissions = append(g.Permissions, "write")
			}
			s.Access.Consumers = append(s.Access.Consumers, g)
		}
	}
	return s
}
