package stacks

import (
	"github.com/prism-data-layer/prism/pkg/supervise"
	"github.com/prism-data-layer/prism/stacks/engine"
	"github.com/prism-data-layer/prism/stacks/probe"
)

// An Instance is a stack as a project runs it.
type Instance struct {
	Stack   *Stack
	Form    Form
	Program string            // the native program; with containers the runner
	Data    string            // the folder of its data in the project
	Ports   map[string]int    // by name
	Origins map[string]string // where a port comes from, for people
	Images  map[string]string // by name; none natively
}

// A Var is a variable for an application.
type Var struct{ Name, Value string }

// A Link is what a person opens or signs in with.
type Link struct {
	Name string `json:"name"`
	URL  string `json:"url"`
	Note string `json:"note,omitempty"`
}

// Spec describes the service for the supervisor.
func (i *Instance) Spec() supervise.Spec { panic("soon") }

// Probe is the question whether it works.
func (i *Instance) Probe() probe.Question { panic("soon") }

// Backend is what the gateway gets: options are a YAML flow mapping.
func (i *Instance) Backend() (name, driver, options string, ok bool) { panic("soon") }

// GatewayEnv are variables for prismd, NAME=value.
func (i *Instance) GatewayEnv() []string { panic("soon") }

// Env are variables for applications.
func (i *Instance) Env() []Var { panic("soon") }

// Links are what a person opens or signs in with.
func (i *Instance) Links() []Link { panic("soon") }

// Compose is the stack for the container engine.
func (i *Instance) Compose() engine.Project { panic("soon") }

// Export writes files with which docker compose up works in dir/STACK.
func (i *Instance) Export(dir string) error { panic("soon") }
