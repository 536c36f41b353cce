// Package engine runs stacks in containers, on the machine's container engine,
// by the program prism-compose (stacks/native/compose), which holds the Compose
// library. This package is its client.
//
// A stack's containers belong to one process, the runner: prism-compose run,
// which the supervisor starts with a request in a file ([WriteRequest],
// [RunArgs]). It brings them up, copies what they write, tells when one of them
// ends that should not, and takes them down when it is told to stop. What a
// killed runner leaves is found by its labels: the next one takes it over, and
// [Engine.Remove] removes it.
package engine

import (
	"context"
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
	Open  bool              // whether ports may be on other addresses than loopback
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
	Ref     string `json:"ref"`
	Present bool   `json:"present"`
	ID      string `json:"id,omitempty"`
	Size    int64  `json:"size,omitempty"`
}

// An Engine is a container engine of this machine.
//
// Errors are prism.Errors. Meta "kind" tells programs what it is, Meta "fix" what
// to type next: compose_missing (no prism-compose), compose_failed (it broke),
// engine_missing (no socket), engine_stopped (a socket that nobody answers),
// engine_forbidden (no permission), engine_old (its API is too old),
// engine_failed (it answered with an error), and what the methods say.
type Engine interface {
	// Program is the path of prism-compose.
	Program() string

	// Info asks the engine who it is.
	Info(ctx context.Context) (Info, error)

	// Check reads a stack's compose.yaml, asking no engine, and refuses what it may
	// not hold: mistakes (compose_invalid, with file and line), mounts from outside
	// the project, privileges, ports that are not on loopback (compose_refused).
	// Files that it mounts must be there.
	Check(ctx context.Context, p Project) error

	// List is everything with our labels: of a project, or of all ("").
	List(ctx context.Context, project string) ([]Thing, error)

	// Remove removes what a project (and of it a stack, or all: "") has:
	// containers, networks, and volumes where asked for. It looks again and
	// returns what was removed; what is still there is an error (left) that names
	// it.
	Remove(ctx context.Context, project, stack string, volumes bool) ([]Thing, error)

	// Image looks for a reference; it pulls nothing.
	Image(ctx context.Context, ref string) (Image, error)

	// Pull gets an image and tells how far it is. One that cannot be had is an
	// error (image_missing).
	Pull(ctx context.Context, ref string, note func(string)) error
}
