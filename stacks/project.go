package stacks

import (
	"context"
	"io/fs"
	"path/filepath"

	"github.com/prism-data-layer/prism/stacks/catalog"
	"github.com/prism-data-layer/prism/stacks/engine"
)

// A Form is how a stack runs.
type Form string

// The forms.
const (
	FormAuto      Form = "auto" // containers where an engine answers, else native
	FormContainer Form = "container"
	FormNative    Form = "native"
)

// A Project is a folder that stacks run for, and what its owner has chosen.
type Project struct {
	ID     string
	Root   string                      // its folder; data are in .prism/STACK of it
	State  string                      // the supervisor's folder; stacks.json and stacks/STACK are in it
	Native string                      // the folder of native programs
	Socket string                      // the supervisor's; Unix sockets of stacks are named after it
	Lookup func(string) (string, bool) // finds variables that name programs

	Form   Form              // for all; "" is FormAuto
	Forms  map[string]Form   // for a stack
	Offset int               // added to every port of the catalogue
	Auto   bool              // ports are the system's choice, which is kept as long as they are free
	Ports  map[string]int    // chosen by a person: "redis" (its first port) or "dex.telemetry"
	Images map[string]string // other than the pinned ones: "redis" (its first image) or "signoz.clickhouse"

	// Engine finds the container engine's client; nil: there is none. It is asked
	// only when a stack could run in containers.
	Engine func(context.Context) (engine.Engine, error)

	folders fs.FS // another catalogue, in tests
	cost    int   // another cost of bcrypt, in tests; 0: the usual
}

// find finds a stack of the project's catalogue.
func (p Project) find(name string) (*Stack, error) { return findIn(p.catalogue(), name) }

func (p Project) catalogue() fs.FS {
	if p.folders != nil {
		return p.folders
	}
	return catalog.Folders()
}

// folder is where a stack's filled-in files and secrets are.
func (p Project) folder(stack string) string { return filepath.Join(p.State, "stacks", stack) }

// form is the one that a person has chosen for a stack.
func (p Project) form(stack string) Form {
	for _, f := range []Form{p.Forms[stack], p.Form} {
		if f != "" {
			return f
		}
	}
	return FormAuto
}
