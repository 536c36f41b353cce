package main

import (
	"regexp"
	"time"
)

// What is read and written stands here once more as in package stacks/engine of
// Prism's own module, which cannot be imported: change both. Its tests run this
// program.

const maxRequest = 4 << 20

// A Request says what is wanted. Each command reads what it needs.
type Request struct {
	Project string            `json:"project,omitempty"` // its id
	Root    string            `json:"root,omitempty"`    // its folder
	Stack   string            `json:"stack,omitempty"`
	Dir     string            `json:"dir,omitempty"`  // with compose.yaml
	Env     map[string]string `json:"env,omitempty"`  // for compose.yaml
	Open    bool              `json:"open,omitempty"` // ports may be on other addresses than loopback
	Stop    time.Duration     `json:"stop,omitempty"` // how long containers have to end
	Volumes bool              `json:"volumes,omitempty"`
	Ref     string            `json:"ref,omitempty"` // of an image
}

// An Answer is a line: one of these.
type Answer struct {
	Info  *Info    `json:"info,omitempty"`
	Thing *Thing   `json:"thing,omitempty"`
	Image *Image   `json:"image,omitempty"`
	Note  string   `json:"note,omitempty"`
	Error *Failure `json:"error,omitempty"`
}

type Info struct {
	Endpoint string `json:"endpoint"`
	Version  string `json:"version"`
	API      string `json:"api"`
	OS       string `json:"os"`
	Memory   int64  `json:"memory_bytes"`
	Rootless bool   `json:"rootless"`
}

// A Thing is a container, a network or a volume with our labels.
type Thing struct {
	Kind    string    `json:"kind"`
	Name    string    `json:"name"`
	ID      string    `json:"id"`
	Project string    `json:"project"`
	Root    string    `json:"root,omitempty"`
	Stack   string    `json:"stack"`
	Service string    `json:"service,omitempty"`
	Image   string    `json:"image,omitempty"`
	State   string    `json:"state,omitempty"`
	Exit    int       `json:"exit,omitempty"`
	OOM     bool      `json:"oom,omitempty"`
	Created time.Time `json:"created,omitzero"`

	volumes []string // of a container: those without a name
}

type Image struct {
	Ref     string `json:"ref"`
	Present bool   `json:"present"`
	ID      string `json:"id,omitempty"`
	Size    int64  `json:"size,omitempty"`
}

// The labels of everything that is made here, and the one by which a service
// says that it may end.
const (
	labelProject = "prism.project"
	labelStack   = "prism.stack"
	labelRoot    = "prism.root"
	labelTask    = "prism.task"
)

// notePrefix begins a line that is a note for the supervisor and not output: the
// constant NotePrefix of Prism's package supervise.
const notePrefix = "\x00prism-note "

// name is Compose's name for the stack of a project.
func (r Request) name() string { return "prism-" + r.Project + "-" + r.Stack }

// valid refuses names that could be more than a name.
func (r Request) valid() error {
	word := regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)
	for what, name := range map[string]string{"project": r.Project, "stack": r.Stack} {
		if !word.MatchString(name) {
			return fail(kindRefused, "%q is no name of a %s: it has small letters, digits, - and _, at most 63", name, what)
		}
	}
	return nil
}
