package drivertest

import (
	"strings"
	"testing"
)

// MatrixOut names the variable with the file that Run adds its outcomes to, as
// JSON lines.
const MatrixOut = "PRISM_MATRIX_OUT"

// Run runs every promise as a subtest, capability/promise, of what h's Set has.
// The rest is no subtest, so nothing is skipped.
func Run(t *testing.T, h Harness) {
	has, err := h.features()
	if err != nil {
		t.Fatalf("open %s: %v", h.Name, err)
	}
	var log outcomeLog
	for _, s := range suites() {
		var asked []promise
		for _, p := range s.promises {
			if s.asked(p, has) {
				asked = append(asked, p)
				continue
			}
			log.add(Outcome{Backend: h.Name, Capability: s.capability, Promise: p.name, State: NotApplicable})
		}
		if len(asked) == 0 {
			continue
		}
		t.Run(s.capability, func(t *testing.T) {
			for _, p := range asked {
				t.Run(subtest(p.name), func(t *testing.T) {
					if !h.Serial {
						t.Parallel()
					}
					o := h.check(s, p)
					log.add(o)
					if o.State == Failed {
						t.Error(o.Message)
					}
				})
			}
		})
	}
	if err := log.flush(); err != nil {
		t.Errorf("write the outcomes: %v", err)
	}
}

// Unasked notes that a backend was not there to be asked, so that the matrix says
// so of each promise.
func Unasked(t *testing.T, name, why string) {
	t.Helper()
	var log outcomeLog
	for _, s := range suites() {
		for _, p := range s.promises {
			log.add(Outcome{Backend: name, Capability: s.capability, Promise: p.name, State: NotRun, Message: why})
		}
	}
	if err := log.flush(); err != nil {
		t.Errorf("write the outcomes: %v", err)
	}
}

// subtest is a promise as a name of a subtest: no slash in it.
func subtest(promise string) string { return strings.ReplaceAll(promise, "/", " or ") }
