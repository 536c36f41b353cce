package data

import (
	"strings"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// Missing is the refusal of a call that the namespace's backend cannot serve.
func Missing(set *driver.Set, ns prism.Namespace, capability string) *prism.Error {
	return prism.New(prism.ReasonCapabilityMissing, "namespace %q lacks %s", ns, capability).
		WithMeta("missing", capability).
		WithMeta("capabilities", strings.Join(set.Names(), ",")).
		WithNamespace(ns)
}
