package telemetry_test

import (
	"math"
	"testing"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/telemetry"
)

func TestFamiliesAreToldByNamespaceAndBounded(t *testing.T) {
	t.Parallel()
	m := telemetry.NewMetrics(2)
	m.PerNamespace([]telemetry.Family{
		{Name: "prism_test_hits_total", Help: "Hits.", Counter: true},
		{Name: "prism_test_bytes", Help: "Bytes."},
	}, func(emit func(prism.Namespace, ...float64)) {
		emit("a", 1, 10)
		emit("b", 2, math.NaN())
		emit("c", 3, 30)
		emit("d", 4, math.NaN())
	})
	got := scrape(t, m)
	for name, want := range map[string]float64{
		`prism_test_hits_total{namespace="a"}`: 1, `prism_test_hits_total{namespace="b"}`: 2, `prism_test_hits_total{namespace="_other"}`: 7,
		`prism_test_bytes{namespace="a"}`: 10, `prism_test_bytes{namespace="_other"}`: 30,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	for _, name := range []string{`prism_test_bytes{namespace="b"}`, `prism_test_bytes{namespace="c"}`, `prism_test_hits_total{namespace="c"}`, `prism_test_hits_total{namespace="d"}`} {
		if v, ok := got[name]; ok {
			t.Errorf("%s is told: %v", name, v)
		}
	}
}
