package engine

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// What is said to prism-compose and by it stands once more in its own module,
// stacks/native/compose: change both.

// A request says what is wanted.
type request struct {
	Project string            `json:"project,omitempty"`
	Root    string            `json:"root,omitempty"`
	Stack   string            `json:"stack,omitempty"`
	Dir     string            `json:"dir,omitempty"`
	Env     map[string]string `json:"env,omitempty"`
	Open    bool              `json:"open,omitempty"`
	Stop    time.Duration     `json:"stop,omitempty"`
	Volumes bool              `json:"volumes,omitempty"`
	Ref     string            `json:"ref,omitempty"`
}

// An answer is a line: one of these.
type answer struct {
	Info  *Info    `json:"info"`
	Thing *Thing   `json:"thing"`
	Image *Image   `json:"image"`
	Note  string   `json:"note"`
	Error *failure `json:"error"`
}

type failure struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
	Fix     string `json:"fix"`
}

func (p Project) request() request {
	return request{Project: p.ID, Root: p.Root, Stack: p.Stack, Dir: p.Dir, Env: p.Env, Open: p.Open}
}

// WriteRequest writes what the runner is to run: for its owner's eyes, whole or
// not at all. Its containers have stop to end; the runner itself needs up to
// [RunnerStop] more.
func WriteRequest(file string, p Project, stop time.Duration) error {
	r := p.request()
	r.Stop = stop
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".request-*") // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// RunnerStop is how long a runner may need, beyond its containers, to end: to
// remove them, look again, and write its last lines.
const RunnerStop = 15 * time.Second

// RunArgs are the arguments with which prism-compose is the runner of a request
// that [WriteRequest] wrote.
func RunArgs(requestFile string) []string { return []string{"run", "--request", requestFile} }

// reasons of kinds; all else is unavailable.
func reason(kind string) prism.Reason {
	switch kind {
	case "engine_missing", "engine_old", "port_taken", "left":
		return prism.ReasonFailedPrecond
	case "engine_forbidden":
		return prism.ReasonPermissionDenied
	case "compose_invalid", "compose_refused":
		return prism.ReasonInvalidConfig
	case "image_missing":
		return prism.ReasonNotFound
	case "foreign":
		return prism.ReasonAlreadyExists
	case "usage":
		return prism.ReasonInvalidArgument
	}
	return prism.ReasonUnavailable
}

func (f *failure) error() error {
	err := prism.New(reason(f.Kind), "%s", f.Message).WithMeta("kind", f.Kind)
	if f.Fix != "" {
		err = err.WithMeta("fix", f.Fix)
	}
	return err
}
