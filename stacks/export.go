package stacks

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/prism-data-layer/prism/pkg/config"
)

// Export writes files with which docker compose up works, without us, into
// dir/STACK: compose.yaml, what it mounts, and .env with what it names.
func (i *Instance) Export(dir string) error {
	folder := filepath.Join(dir, i.Stack.Name)
	if err := i.writeFiles(folder); err != nil {
		return err
	}
	if err := config.WriteFile(filepath.Join(folder, "compose.yaml"), i.compose); err != nil {
		return err
	}
	if i.composeNames("PRISM_DATA") {
		if err := os.MkdirAll(filepath.Join(folder, "data"), 0o700); err != nil {
			return cannot("make", folder, err)
		}
	}
	env := i.composeEnv(".", "./data")
	for name, value := range env {
		if strings.HasPrefix(name, "PRISM_FILE_") {
			env[name] = "./" + value
		}
	}
	env["COMPOSE_PROJECT_NAME"] = i.Compose().Name()
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(env)) {
		fmt.Fprintf(&b, "%s='%s'\n", name, env[name])
	}
	return config.WriteFile(filepath.Join(folder, ".env"), []byte(b.String()))
}
