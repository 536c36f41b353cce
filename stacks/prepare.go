package stacks

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/stacks/engine"
)

// Prepare writes what the stacks need before they start: secrets (made once),
// folders, filled-in files, requests for the runner, and stacks.json.
func (pl *Plan) Prepare() error {
	if len(pl.Instances) > 0 {
		place := config.Place{Root: pl.Project.Root}
		if _, err := place.MakeDataDir(); err != nil { // with its .gitignore
			return err
		}
	}
	for _, i := range pl.Instances {
		if err := i.prepare(); err != nil {
			return err
		}
	}
	return pl.record()
}

func (i *Instance) prepare() error {
	if err := i.writeFiles(i.folder()); err != nil {
		return err
	}
	if i.Form == FormNative {
		return os.MkdirAll(i.Data, 0o700)
	}
	if i.composeNames("PRISM_DATA") {
		if err := os.MkdirAll(i.Data, 0o700); err != nil {
			return cannot("make", i.Data, err)
		}
	}
	if err := config.WriteFile(filepath.Join(i.folder(), "compose.yaml"), i.compose); err != nil {
		return err
	}
	return engine.WriteRequest(i.requestFile(), i.Compose(), containerStop)
}

func (i *Instance) requestFile() string { return filepath.Join(i.folder(), "run.json") }

// writeFiles writes secrets and filled-in files into a folder that is only its
// owner's.
func (i *Instance) writeFiles(folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return cannot("make", folder, err)
	}
	if err := os.Chmod(folder, 0o700); err != nil {
		return cannot("close to others", folder, err)
	}
	for name := range i.secrets {
		if _, err := i.secret(name); err != nil {
			return err
		}
	}
	funcs := i.funcs(i)
	for _, f := range i.files() {
		text, err := fs.ReadFile(i.project.catalogue(), path.Join(i.Stack.Name, f.Name))
		if err != nil {
			return err
		}
		filled, err := execute(string(text), funcs)
		if err != nil {
			return prism.New(prism.ReasonInvalidConfig, "%s of the stack %s cannot be filled in", f.Name, i.Stack.Name).WithCause(err)
		}
		if err := i.writeFile(filepath.Join(folder, f.Name), filled, f.Secret); err != nil {
			return err
		}
	}
	return nil
}

// writeFile writes a file in place: a container that runs has it mounted. Users
// of containers are not this one, so they may read it; the folder around it
// keeps other people of this machine out.
func (i *Instance) writeFile(file, text string, secret bool) error {
	mode := fs.FileMode(0o644)
	if secret && i.Form == FormNative {
		mode = 0o600
	}
	if old, err := os.ReadFile(file); err == nil && string(old) == text {
		return os.Chmod(file, mode)
	}
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		return cannot("write", file, err)
	}
	return os.Chmod(file, mode)
}

func cannot(what, file string, err error) error {
	return prism.New(prism.ReasonFailedPrecond, "cannot %s %s", what, filepath.Base(file)).WithCause(err)
}
