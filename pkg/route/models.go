package route

import (
	"slices"
	"strings"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A model is a kind of data API that a namespace can have.
type model struct {
	name string
	// any are the capabilities of which a backend must have one.
	any []string
	// prefer is the capability by which a backend is chosen where nobody names
	// one; empty: a durable one is.
	prefer string
}

// models are those that this gateway serves.
var models = []model{
	{name: "keyvalue", any: []string{"keyvalue_basic"}},
	{name: "queue", any: []string{"queue_basic", "stream_basic"}},
	{name: "cache", any: []string{"cache_basic"}, prefer: "cache_bounded"},
	{name: "pubsub", any: []string{"pubsub_basic"}},
	{name: "timeseries", any: []string{"timeseries_basic"}},
}

// Models lists the names of the models that this gateway serves.
func Models() []string {
	names := make([]string, len(models))
	for i := range models {
		names[i] = models[i].name
	}
	return names
}

func modelOf(name string) (model, error) {
	i := slices.IndexFunc(models, func(m model) bool { return m.name == name })
	if i < 0 {
		return model{}, prism.InvalidField("model", "must be one of "+strings.Join(Models(), ", ")+": this gateway has no other yet")
	}
	return models[i], nil
}

// servedBy reports whether a backend can serve the model.
func (m model) servedBy(set *driver.Set) bool { return slices.ContainsFunc(m.any, set.Has) }

// capabilities lists what a backend has for the model.
func (m model) capabilities(set *driver.Set) []string {
	var families []string
	for _, c := range m.any {
		family, _, _ := strings.Cut(c, "_")
		families = append(families, family)
	}
	return set.NamesOf(families...)
}

// preferredOn reports whether the model goes there by itself.
func (m model) preferredOn(set *driver.Set) bool {
	if m.prefer != "" {
		return set.Has(m.prefer)
	}
	return set.Info.Durable
}
