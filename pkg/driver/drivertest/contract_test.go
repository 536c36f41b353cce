package drivertest

import (
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/driver"
)

func TestEveryCapabilityHasPromises(t *testing.T) {
	t.Parallel()
	all := suites()
	if all[0].capability != storeCapability {
		t.Errorf("the first suite is %s", all[0].capability)
	}
	for i, c := range driver.Capabilities() {
		if all[i+1].capability != c.Name {
			t.Errorf("suite %d is %s, want %s", i+1, all[i+1].capability, c.Name)
		}
	}
}

func TestPromisesAreNamedOnceAndNeedWhatIsThere(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, s := range suites() {
		if len(s.promises) == 0 {
			t.Errorf("%s has no promise", s.capability)
		}
		for _, p := range s.promises {
			if seen[p.name] {
				t.Errorf("%q is promised twice", p.name)
			}
			seen[p.name] = true
			if strings.Contains(subtest(p.name), "/") {
				t.Errorf("%q would be two subtests", p.name)
			}
			for _, word := range strings.Fields(p.needs) {
				if !known(word) {
					t.Errorf("%q needs %q, which nothing has", p.name, word)
				}
			}
		}
	}
	t.Logf("%d promises", len(seen))
}
