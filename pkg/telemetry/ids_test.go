package telemetry_test

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/telemetry"
)

func TestATraceparentSurvivesTheRoundTrip(t *testing.T) {
	t.Parallel()
	tr, ok := telemetry.ParseTraceparent(parent)
	if !ok || tr.String() != parent || !tr.Sampled() || tr.SpanID() != "b7ad6b7169203331" {
		t.Errorf("got %v %v", tr, ok)
	}
	for range 100 {
		tr := telemetry.NewTrace()
		back, ok := telemetry.ParseTraceparent(tr.String())
		if !ok || back != tr || tr.Sampled() {
			t.Fatalf("%s came back as %s, %v", tr, back, ok)
		}
	}
}

func TestBadTraceparentsAreRefused(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", "00", parent[:54], parent + "0", parent + "-00",
		"ff" + parent[2:], strings.ToUpper(parent), strings.Replace(parent, "-", "_", 1),
		"00-00000000000000000000000000000000-b7ad6b7169203331-01",
		"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
		"00-0af7651916cd43dd8448eb211c80319x-b7ad6b7169203331-01",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333x-01",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g",
		"0x-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"01" + parent[2:] + "x",
	} {
		if tr, ok := telemetry.ParseTraceparent(s); ok || tr.Valid() {
			t.Errorf("%q was taken as %s", s, tr)
		}
	}
	if _, ok := telemetry.ParseTraceparent("01" + parent[2:] + "-more"); !ok {
		t.Error("a later version with more fields was refused")
	}
}

func TestACallKeepsItsCallersTraceAndGetsASpan(t *testing.T) {
	t.Parallel()
	ctx := telemetry.WithIDs(t.Context(), "req-1", parent)
	tr := telemetry.TraceOf(ctx)
	if telemetry.TraceID(ctx) != "0af7651916cd43dd8448eb211c80319c" || !tr.Sampled() || tr.SpanID() == "b7ad6b7169203331" {
		t.Errorf("got %s", tr)
	}
	if got := telemetry.RequestID(ctx); got != "req-1" {
		t.Errorf("request id: got %q", got)
	}
}

func TestIDsAreMadeWhenTheCallerSendsNoneOrNonsense(t *testing.T) {
	t.Parallel()
	hex := regexp.MustCompile(`^[0-9a-f]{16}$`)
	seen := map[string]bool{}
	for _, given := range []string{"", "a b", "x\n", "é", strings.Repeat("a", telemetry.MaxRequestIDBytes+1), "\x1b[2J"} {
		ctx := telemetry.WithIDs(t.Context(), given, given)
		id, trace := telemetry.RequestID(ctx), telemetry.TraceID(ctx)
		if !hex.MatchString(id) || id != telemetry.RequestID(ctx) || len(trace) != 32 {
			t.Errorf("given %q: got %q, trace %q", given, id, trace)
		}
		if seen[id] || seen[trace] {
			t.Errorf("%s or %s was made twice", id, trace)
		}
		seen[id], seen[trace] = true, true
	}
	if longest := strings.Repeat("aZ0-_.", 10) + "abcd"; telemetry.RequestID(telemetry.WithIDs(t.Context(), longest, "")) != longest {
		t.Error("a request id of the largest size was refused")
	}
}

func TestOutsideOfACallThereAreNoIDs(t *testing.T) {
	t.Parallel()
	if telemetry.RequestID(t.Context()) != "" || telemetry.TraceID(t.Context()) != "" || telemetry.TraceOf(t.Context()).Valid() {
		t.Error("a bare context has ids")
	}
}

func TestIDsPassThroughOtherContexts(t *testing.T) {
	t.Parallel()
	type k struct{}
	ctx := context.WithValue(t.Context(), k{}, "v")
	ctx, cancel := context.WithCancel(telemetry.WithIDs(ctx, "req-1", ""))
	defer cancel()
	if telemetry.RequestID(ctx) != "req-1" || ctx.Value(k{}) != "v" {
		t.Error("a value got lost")
	}
}

func TestMakingIDsAllocatesOnce(t *testing.T) {
	ctx := t.Context()
	if n := testing.AllocsPerRun(1000, func() { _ = telemetry.WithIDs(ctx, "", "") }); n > 1 {
		t.Errorf("%v allocations, want at most 1", n)
	}
}

func FuzzTraceparent(f *testing.F) {
	f.Add(parent)
	f.Add("01" + parent[2:] + "-x")
	f.Fuzz(func(t *testing.T, s string) {
		tr, ok := telemetry.ParseTraceparent(s)
		if ok != tr.Valid() {
			t.Fatalf("%q: ok %v, valid %v", s, ok, tr.Valid())
		}
		if back, again := telemetry.ParseTraceparent(tr.String()); ok && (!again || back != tr) {
			t.Fatalf("%q: %s came back as %s", s, tr, back)
		}
	})
}
