package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// Dirs are a person's folders, after the XDG base directory specification.
type Dirs struct {
	Config  string // the person's file
	State   string // state and logs of dev up
	Cache   string // completions
	Data    string // programs that dev up starts
	Runtime string // the control socket
}

// FindDirs reads the XDG variables; home and temp stand in where they are not
// set. A relative path in a variable is ignored, as the specification asks.
func FindDirs(lookup func(string) (string, bool), home, temp string) Dirs {
	at := func(name string, fallback ...string) string {
		if v, ok := lookup(name); ok && filepath.IsAbs(v) {
			return filepath.Join(v, "prism")
		}
		return filepath.Join(append(fallback, "prism")...)
	}
	d := Dirs{
		Config: at("XDG_CONFIG_HOME", home, ".config"),
		State:  at("XDG_STATE_HOME", home, ".local", "state"),
		Cache:  at("XDG_CACHE_HOME", home, ".cache"),
		Data:   at("XDG_DATA_HOME", home, ".local", "share"),
	}
	if v, ok := lookup("XDG_RUNTIME_DIR"); ok && filepath.IsAbs(v) {
		d.Runtime = filepath.Join(v, "prism")
	} else {
		d.Runtime = filepath.Join(temp, fmt.Sprintf("prism-%d", os.Getuid()))
	}
	return d
}

// SystemDirs is FindDirs for this process.
func SystemDirs() (Dirs, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		if home, err = os.Getwd(); err != nil {
			return Dirs{}, prism.New(prism.ReasonFailedPrecond, "there is no home folder: set HOME").WithCause(err)
		}
	}
	return FindDirs(os.LookupEnv, home, os.TempDir()), nil
}

// UserFile is the path of the person's file.
func (d Dirs) UserFile() string { return filepath.Join(d.Config, "config.yaml") }

// Native is the folder of the programs that dev up starts beside the gateway.
func (d Dirs) Native() string { return filepath.Join(d.Data, "native") }

// A Place is a project: a folder with an identity.
type Place struct {
	Root string // the real path of the folder
	File string // its .prism.yaml; "" if there is none
	ID   string // base name and 6 hex digits: the same for the same folder, whatever led to it
}

// FindProject looks for .prism.yaml in dir and upwards; without one, dir itself
// is the project.
func FindProject(dir string) (Place, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Place{}, err
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return Place{}, prism.New(prism.ReasonFailedPrecond, "the folder cannot be read").WithCause(err)
	}
	root, file := real, ""
	for at := real; ; at = filepath.Dir(at) {
		f := filepath.Join(at, ProjectFile)
		if info, err := os.Stat(f); err == nil && info.Mode().IsRegular() {
			root, file = at, f
			break
		}
		if filepath.Dir(at) == at {
			break
		}
	}
	return Place{Root: root, File: file, ID: projectID(root)}, nil
}

// projectID makes a legal name of the folder's, told apart by its path.
func projectID(root string) string {
	sum := sha256.Sum256([]byte(root))
	base := nearestName(filepath.Base(root))
	if base == "" {
		base = "project"
	}
	return strings.TrimRight(base[:min(len(base), 40)], "-") + "-" + hex.EncodeToString(sum[:3])
}

// ContextName is the context that dev up makes for the project.
func (p Place) ContextName() string { return "dev-" + p.ID }

// GatewayFile is the project's prism.yaml, or what its .prism.yaml names; ""
// if the file is not there.
func (p Place) GatewayFile(project *Project) string {
	name := "prism.yaml"
	if project != nil && project.Gateway != "" {
		name = project.Gateway
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(p.Root, name)
	}
	if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) && (project == nil || !project.Declared("gateway")) {
		return ""
	}
	return name
}

// DataDir is where dev up keeps the project's data.
func (p Place) DataDir() string { return filepath.Join(p.Root, ".prism", "data") }

// StateDir is where dev up keeps state, logs and its lock.
func (p Place) StateDir(d Dirs) string { return filepath.Join(d.State, "dev", p.ID) }

// A socket's address is at most 108 bytes on Linux and 104 on macOS, its end
// included.
const maxSocketPath = 103

// Socket is the path of the control socket: in the runtime folder, or in the
// temporary folder where that path would be too long to listen on.
func (p Place) Socket(d Dirs, temp string) string {
	sum := sha256.Sum256([]byte(p.Root + "\x00" + d.State))
	short := "prism-" + hex.EncodeToString(sum[:8]) + ".sock"
	for _, path := range []string{
		filepath.Join(d.Runtime, p.ID+".sock"),
		filepath.Join(d.Runtime, short),
		filepath.Join(temp, fmt.Sprintf("prism-%d", os.Getuid()), short),
	} {
		if len(path) <= maxSocketPath {
			return path
		}
	}
	return filepath.Join(string(filepath.Separator), "tmp", fmt.Sprintf("prism-%d", os.Getuid()), short)
}

// MakeDataDir makes the project's data folder, with a .gitignore of its own
// beside it. A symbolic link in its place is refused.
func (p Place) MakeDataDir() (string, error) {
	root, err := os.OpenRoot(p.Root)
	if err != nil {
		return "", prism.New(prism.ReasonFailedPrecond, "the project folder cannot be opened").WithCause(err)
	}
	defer root.Close()
	for _, dir := range []string{".prism", filepath.Join(".prism", "data")} {
		if info, err := root.Lstat(dir); err == nil && !info.IsDir() {
			return "", prism.New(prism.ReasonFailedPrecond, "%s is in the way: it is not a folder", dir)
		}
		if err := root.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return "", prism.New(prism.ReasonFailedPrecond, "%s cannot be made", dir).WithCause(err)
		}
	}
	f, err := root.OpenFile(filepath.Join(".prism", ".gitignore"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return p.DataDir(), nil
	}
	if err != nil {
		return "", prism.New(prism.ReasonFailedPrecond, ".prism/.gitignore cannot be written").WithCause(err)
	}
	_, err = f.WriteString("*\n")
	return p.DataDir(), errors.Join(err, f.Close())
}

// MakePrivate makes a folder for one person's eyes, and refuses one that is a
// link, is another's, or lets others write: what lies in it is trusted.
func MakePrivate(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return prism.New(prism.ReasonFailedPrecond, "the folder for %s cannot be made", filepath.Base(dir)).WithCause(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return prism.New(prism.ReasonFailedPrecond, "the folder %s cannot be made", filepath.Base(dir)).WithCause(err)
	}
	info, err := os.Lstat(dir)
	switch {
	case err != nil:
		return prism.New(prism.ReasonFailedPrecond, "the folder %s cannot be read", filepath.Base(dir)).WithCause(err)
	case !info.IsDir():
		return prism.New(prism.ReasonPermissionDenied, "%s is not a folder, or is a link to one", filepath.Base(dir))
	case !ownedByUs(info):
		return prism.New(prism.ReasonPermissionDenied, "the folder %s belongs to another user", filepath.Base(dir))
	case info.Mode().Perm()&0o022 != 0 && os.PathSeparator == '/':
		return prism.New(prism.ReasonPermissionDenied, "others may write into the folder %s", filepath.Base(dir))
	}
	return nil
}
