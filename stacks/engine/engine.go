// Package engine runs stacks in containers, on the machine's container engine,
// by the program prism-compose (stacks/native/compose), which holds the Compose
// library.
//
// A stack's containers belong to one process, the runner ([Engine.Run]): it
// brings them up, copies what they write, tells when one of them ends that
// should not, and takes them down when it is told to stop. What a killed runner
// leaves is found by its labels: the next one takes it over, and
// [Engine.Remove] removes it.
package engine

import (
	"context"
	"io"
	"time"
)

// The labels of everything that is made here: containers, networks, volumes.
const (
	LabelProject = "prism.project" // the project's id
	LabelStack   = "prism.stack"   // the stack's name
	LabelRoot    = "prism.root"    // the project's folder
)

// A Project is one stack as one project runs it.
type Project struct {
	ID    string            // of the project
	Root  string            // its folder
	Stack string            // the stack's name
	Dir   string            // the folder with compose.yaml and what it names
	Env   map[string]string // what ${…} in compose.yaml means; nothing else is looked up
}

// Name is Compose's name for the project; it stands in the names of containers,
// networks and volumes.
func (p Project) Name() string { return "prism-" + p.ID + "-" + p.Stack }

// Info is what an engine says of itself.
type Info struct {
	Endpoint string `json:"endpoint"` // unix:///var/run/docker.sock
	Version  string `json:"version"`
	API      string `json:"api"`
	OS       string `json:"os"`
	Memory   int64  `json:"memory_bytes"`
	Rootless bool   `json:"rootless"`
}

// A Thing is a container, a network or a volume with our labels.
type Thing struct {
	Kind    string    `json:"kind"` // "container", "network", "volume"
	Name    string    `json:"name"`
	ID      string    `json:"id"`
	Project string    `json:"project"`
	Root    string    `json:"root,omitempty"`
	Stack   string    `json:"stack"`
	Service string    `json:"service,omitempty"` // of compose.yaml
	Image   string    `json:"image,omitempty"`
	State   string    `json:"state,omitempty"` // the engine's word: running, exited, …
	Exit    int       `json:"exit,omitempty"`
	OOM     bool      `json:"oom,omitempty"`
	Created time.Time `json:"created,omitzero"`
}

// An Image is what the engine has of a reference.
type Image struct {
	Ref     string
	Present bool
	ID      string
	Size    int64
}

// Run options.
type Run struct {
	Out  io.Writer         // the containers' lines, each after "SERVICE | "
	Note func(text string) // what is being done and waited for, for people: "pulls redis:8 (12 of 40 MB)"
	Stop time.Duration     // how long containers have to end
}

// An Engine is a container engine of this machine.
//
// Errors of finding it tell apart, in Meta "kind", and say what to type:
// engine_missing (no socket), engine_stopped (a socket that nobody answers),
// engine_forbidden (no permission), engine_old (its API is too old).
type Engine interface {
	// Program is the path of prism-compose.
	Program() string

	// Info asks who it is.
	Info(ctx context.Context) (Info, error)

	// Check reads a stack's compose.yaml and refuses what it may not hold:
	// mistakes (with file and line), mounts from outside the project, privileges,
	// ports that are not on loopback.
	Check(ctx context.Context, p Project) error

	// Run is the runner's whole life: it pulls what is missing, takes over or
	// brings up the stack, copies its lines, and waits. When ctx ends it takes the
	// containers and networks down, verifies that none is left, and returns nil. A
	// container that ends by itself ends Run with an error that names it, its exit
	// code or that memory ran out; one that is a task (`restart: "no"` and nothing
	// else) may end with 0. An engine that goes away is waited for.
	Run(ctx context.Context, p Project, o Run) error

	// List is everything with our labels: of a project, or of all ("").
	List(ctx context.Context, project string) ([]Thing, error)

	// Remove removes what a project (and of it a stack, or all: "") has:
	// containers, networks, and volumes where asked for. It looks again and
	// returns what was removed; what is still there is an error that names it.
	Remove(ctx context.Context, project, stack string, volumes bool) ([]Thing, error)

	// Image looks for a reference; it pulls nothing.
	Image(ctx context.Context, ref string) (Image, error)

	// Pull gets an image.
	Pull(ctx context.Context, ref string, note func(string)) error

	Close() error
}
