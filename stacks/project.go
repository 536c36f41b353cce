package stacks

import (
	"context"

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
}

// Plan chooses form and ports for the stacks and for what they need. It starts
// and writes nothing.
//
// Its errors are mistakes of the person's: Meta "kind" is usage (a command line
// that can never be right) or another word, Meta "fix" says what to type. What
// is only not here is in Skipped.
func (p Project) Plan(ctx context.Context, names []string) (*Plan, error) { panic("soon") }

// A Plan is what will run.
type Plan struct {
	Project   Project
	Instances []*Instance // in the order in which they can be started
	Skipped   []Skipped
	Warnings  []string
}

// Skipped is a stack that was asked for, or is needed, and cannot run here.
type Skipped struct {
	Name string
	Why  string
	Fix  string // what to type
}

// Instance is the instance of the stack; nil if it is not in the plan.
func (pl *Plan) Instance(name string) *Instance { panic("soon") }

// Prepare writes what the stacks need before they start: secrets (made once),
// folders, filled-in files, requests for the runner, and stacks.json.
func (pl *Plan) Prepare() error { panic("soon") }
