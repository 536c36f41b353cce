package stacks

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// program finds a native program: as the environment says, in the folder of
// native programs, on PATH.
func (p Project) program(n *Native) (string, *prism.Error) {
	if path, ok := p.variable(n.Variable); ok {
		if !isProgram(path) {
			return "", usage("name a program, or leave it out", "%s names %s, which is not a program", n.Variable, path)
		}
		return path, nil
	}
	if path := filepath.Join(p.Native, n.Programs[0]); isProgram(path) {
		return path, nil
	}
	for _, name := range n.Programs {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	err := prism.New(prism.ReasonFailedPrecond, "%s is neither on PATH nor in %s", n.Programs[0], p.Native).WithMeta("kind", "program_missing")
	return "", fixed(err, n.Hint+", or name it with "+n.Variable)
}

func (p Project) variable(name string) (string, bool) {
	if p.Lookup == nil {
		return "", false
	}
	v, ok := p.Lookup(name)
	return v, ok && v != ""
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && (runtime.GOOS == "windows" || info.Mode()&0o111 != 0)
}
