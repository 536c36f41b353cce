package stacks

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

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
	Pulls   []string          // the images that are not there yet

	project  Project
	after    []string // what must be ready before it
	endpoint string   // of the container engine
	rootless bool
	held     bool // its containers run already: a runner that was killed has left them

	compose  []byte          // compose.yaml; nil natively
	secrets  map[string]bool // those that its texts name
	args     []string
	env      []string
	question probe.Question
	backend  *Backend
	options  string
	gateway  []string
	vars     []Var
	links    []Link
}

// A Var is a variable for an application.
type Var struct{ Name, Value string }

// A Link is what a person opens or signs in with.
type Link struct {
	Name string `json:"name"`
	URL  string `json:"url"`
	Note string `json:"note,omitempty"`
}

// native is what holds for the native form; nil in containers.
func (i *Instance) native() *Native {
	if i.Form == FormNative {
		return i.Stack.Native
	}
	return nil
}

// folder holds its filled-in files and secrets.
func (i *Instance) folder() string { return i.project.folder(i.Stack.Name) }

// Probe is the question whether it works.
func (i *Instance) Probe() probe.Question { return i.question }

// Backend is what the gateway gets: options are a YAML flow mapping.
func (i *Instance) Backend() (name, driver, options string, ok bool) {
	if i.backend == nil {
		return "", "", "", false
	}
	return i.Stack.Name, i.backend.Driver, i.options, true
}

// GatewayEnv are variables for prismd, NAME=value.
func (i *Instance) GatewayEnv() []string { return i.gateway }

// Env are variables for applications.
func (i *Instance) Env() []Var { return i.vars }

// Links are what a person opens or signs in with.
func (i *Instance) Links() []Link { return i.links }

// Compose is the stack for the container engine. Its folder is there after
// [Plan.Prepare].
func (i *Instance) Compose() engine.Project {
	return engine.Project{
		ID: i.project.ID, Root: i.project.Root, Stack: i.Stack.Name, Dir: i.folder(),
		Env: i.composeEnv(i.folder(), i.Data),
	}
}

// composeEnv is what compose.yaml may name.
func (i *Instance) composeEnv(folder, data string) map[string]string {
	env := map[string]string{"PRISM_PROJECT": i.project.ID, "PRISM_DATA": data}
	uid, gid := os.Getuid(), os.Getgid()
	if i.rootless || uid < 0 { // root there is this user here
		uid, gid = 0, 0
	}
	env["PRISM_UID"], env["PRISM_GID"] = itoa(uid), itoa(gid)
	for name, n := range i.Ports {
		env["PRISM_PORT_"+variable(name)] = itoa(n)
	}
	for name, ref := range i.Images {
		env["PRISM_IMAGE_"+variable(name)] = ref
	}
	for _, name := range i.Stack.Secrets {
		if i.composeNames("PRISM_SECRET_" + variable(name)) {
			env["PRISM_SECRET_"+variable(name)], _ = readSecret(i.secretFile(name)) //nolint:errcheck // it is there after Prepare
		}
	}
	for _, f := range i.files() {
		env["PRISM_FILE_"+variable(f.Name)] = filepath.Join(folder, f.Name)
	}
	return env
}

// composeNames reports whether compose.yaml names a variable.
func (i *Instance) composeNames(name string) bool {
	return bytes.Contains(i.compose, []byte("${"+name+"}"))
}

// files are those that its form needs.
func (i *Instance) files() []File {
	var list []File
	for _, f := range i.Stack.Files {
		if f.Form == "" || f.Form == string(i.Form) {
			list = append(list, f)
		}
	}
	return list
}

// setCompose reads compose.yaml, and marks the secrets that it names.
func (i *Instance) setCompose() error {
	text, err := fs.ReadFile(i.project.catalogue(), path.Join(i.Stack.Name, "compose.yaml"))
	if err != nil {
		return err
	}
	i.compose = text
	for _, name := range i.Stack.Secrets {
		if i.composeNames("PRISM_SECRET_" + variable(name)) {
			i.secrets[name] = true
		}
	}
	return nil
}

// setImages takes the pinned images, or those that a person has chosen.
func (i *Instance) setImages() {
	i.Images = map[string]string{}
	for n, image := range i.Stack.Images {
		ref := image.Image
		if other := i.project.Images[i.Stack.Name]; other != "" && n == 0 {
			ref = other
		}
		if other := i.project.Images[i.Stack.Name+"."+image.Name]; other != "" {
			ref = other
		}
		i.Images[image.Name] = ref
	}
}

// variable makes a part of a variable's name of a name.
func variable(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= '0' && r <= '9', r >= 'A' && r <= 'Z':
			return r
		}
		return '_'
	}, name)
}

// probeSpec is the stack.yaml's probe in its form.
func (i *Instance) probeSpec() Probe {
	if n := i.native(); n != nil && n.Probe != nil {
		return *n.Probe
	}
	return i.Stack.Probe
}

// pullTime is how much longer a start may take while images are pulled.
const pullTime = 15 * time.Minute

func (i *Instance) startTimeout() time.Duration {
	t := i.probeSpec().Timeout
	if len(i.Pulls) > 0 {
		t += pullTime
	}
	return t
}
