package engine

import (
	"os"
	"os/exec"
	"path/filepath"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// The program and the variable that names it.
const (
	Name     = "prism-compose"
	Variable = "PRISM_NATIVE_COMPOSE"
)

// Find looks for prism-compose: as the environment says, beside the running
// program, in the folder of native programs, on PATH. It asks no engine.
func Find(lookup func(string) (string, bool), native string) (Engine, error) {
	if path, ok := lookup(Variable); ok && path != "" {
		if !executable(path) {
			return nil, missing("%s names %s, which cannot be executed", Variable, path)
		}
		return client{path}, nil
	}
	folders := []string{native}
	if self, err := os.Executable(); err == nil {
		folders = []string{filepath.Dir(self), native}
	}
	for _, dir := range folders {
		if path := filepath.Join(dir, Name); dir != "" && executable(path) {
			return client{path}, nil
		}
	}
	if path, err := exec.LookPath(Name); err == nil {
		return client{path}, nil
	}
	return nil, missing("%s, which runs stacks in containers, is neither beside this program nor in %s nor on PATH", Name, native)
}

func executable(path string) bool {
	found, err := exec.LookPath(path) // a path with a slash: it only looks at it
	return err == nil && found == path
}

func missing(format string, args ...any) error {
	return prism.New(prism.ReasonFailedPrecond, format, args...).
		WithMeta("kind", "compose_missing").
		WithMeta("fix", "run tools/compose.sh of the source, or name it with "+Variable)
}
