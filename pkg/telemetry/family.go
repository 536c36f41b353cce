package telemetry

import (
	"math"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Family is a metric that somebody else keeps for each namespace.
type Family struct {
	Name    string // begins with "prism_"
	Help    string
	Counter bool // only grows; else a gauge
}

// PerNamespace asks read at each scrape: it calls emit for each namespace, with a
// value for each family in their order; NaN is none. Namespaces beyond the bound
// are not told apart but added up.
func (m *Metrics) PerNamespace(families []Family, read func(emit func(ns prism.Namespace, values ...float64))) {
	c := &familyCollector{families: families, read: read, most: m.maxNamespaces}
	for _, f := range families {
		c.descs = append(c.descs, prometheus.NewDesc(f.Name, f.Help, []string{"namespace"}, nil))
	}
	m.registry.MustRegister(c)
}

type familyCollector struct {
	families []Family
	descs    []*prometheus.Desc
	read     func(emit func(ns prism.Namespace, values ...float64))
	most     int
}

func (c *familyCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
}

func (c *familyCollector) Collect(ch chan<- prometheus.Metric) {
	n := 0
	var rest []float64
	c.read(func(ns prism.Namespace, values ...float64) {
		if n++; n <= c.most {
			c.send(ch, string(ns), values)
			return
		}
		if rest == nil {
			rest = make([]float64, len(values))
		}
		for i, v := range values {
			if !math.IsNaN(v) {
				rest[i] += v
			}
		}
	})
	c.send(ch, Other, rest)
}

func (c *familyCollector) send(ch chan<- prometheus.Metric, ns string, values []float64) {
	for i, v := range values {
		if math.IsNaN(v) {
			continue
		}
		kind := prometheus.GaugeValue
		if c.families[i].Counter {
			kind = prometheus.CounterValue
		}
		ch <- prometheus.MustNewConstMetric(c.descs[i], kind, v, ns)
	}
}
