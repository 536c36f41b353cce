package data

import (
	"strings"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// Missing is the refusal of a call that the namespace's backend cannot serve. It
// lists what there is of the same model.
func Missing(set *driver.Set, ns prism.Namespace, capability string) *prism.Error {
	model, _, _ := strings.Cut(capability, "_")
	return prism.New(prism.ReasonCapabilityMissing, "namespace %q lacks %s", ns, capability).
		WithMeta("missing", capability).
		WithMeta("capabilities", strings.Join(set.NamesOf(model), ",")).
		WithNamespace(ns)
}
