package cli

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Place is where a command runs: what it reads beside its flags.
type Place struct {
	Dir  string // the working folder
	Home string
	Temp string
	// Dev is the gateway that dev up runs for a project, if one runs; nil:
	// nobody knows.
	Dev func(config.Place, config.Dirs) (*config.Context, error)
}

// SystemPlace is the process's own.
func SystemPlace() Place {
	dir, _ := os.Getwd()
	home, err := os.UserHomeDir()
	if err != nil {
		home = dir
	}
	return Place{Dir: dir, Home: home, Temp: os.TempDir()}
}

// Dirs are the person's folders.
func (f *Factory) Dirs() config.Dirs {
	return config.FindDirs(f.IO.LookupEnv, f.Place.Home, f.Place.Temp)
}

// UserFile is the path of the person's file.
func (f *Factory) UserFile() string {
	if f.Globals.Config != "" {
		return f.Globals.Config
	}
	if v := f.IO.Env(config.EnvConfig); v != "" {
		return v
	}
	return f.Dirs().UserFile()
}

// User reads the person's file; each time anew, so that a change is seen.
func (f *Factory) User() (*config.User, error) {
	return config.LoadUser(f.UserFile(), config.Load{Lookup: f.IO.LookupEnv})
}

// Project finds the project that the command runs in.
func (f *Factory) Project() (config.Place, *config.Project, error) {
	place, err := config.FindProject(f.Place.Dir)
	if err != nil || place.File == "" {
		return place, nil, err
	}
	p, err := config.LoadProject(place.File, config.Load{Lookup: f.IO.LookupEnv})
	return place, p, err
}

// resolve reads the files and puts the layers together.
func (f *Factory) resolve() (*config.Settings, error) {
	place, project, err := f.Project()
	if err != nil {
		return nil, err
	}
	user, err := f.User()
	if err != nil {
		return nil, err
	}
	l := config.Layers{Flags: f.Globals.given(), Lookup: f.IO.LookupEnv, Project: project, User: user, Path: f.Dirs().UserFile()}
	if f.Place.Dev != nil {
		if l.Dev, err = f.Place.Dev(place, f.Dirs()); err != nil {
			return nil, err
		}
	}
	s, err := config.Resolve(l)
	switch {
	case err == nil:
		return s, nil
	case errors.Is(err, prism.ReasonNotFound):
		return nil, WithFix(err, "prismctl context list")
	case strings.HasPrefix(err.Error(), "--"): // a flag, not a file
		return nil, &Failure{Err: err, Exit: ExitUsage, Fix: "prismctl help flags"}
	}
	return nil, err
}

// given lists the global flags that were set, by the setting they give.
func (g *Globals) given() map[string]string {
	flags := map[string]string{}
	for name, v := range map[string]string{
		"config": g.Config, "context": g.Context, "namespace": g.Namespace, "data": g.Data, "admin": g.Admin,
		"output": g.Output, "color": g.Color, "ca": g.CA, "token_file": g.TokenFile,
	} {
		if v != "" {
			flags[name] = v
		}
	}
	if g.Insecure {
		flags["insecure"] = "true"
	}
	if g.Timeout != 0 {
		flags["timeout"] = config.FormatDuration(g.Timeout)
	}
	return flags
}

// target makes a Target of the settings.
func (f *Factory) target() (*Target, error) {
	s, err := f.Settings()
	if err != nil {
		return nil, err
	}
	c := s.Context()
	t := &Target{
		Context: c.Name, Data: c.Data, Admin: c.Admin, CAFile: c.CA, TLS: !c.Insecure, Protected: c.Protected,
		Namespace: c.Namespace, Token: s.String("token"),
	}
	if t.Token == "" && c.TokenFile != "" {
		data, err := os.ReadFile(c.TokenFile)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, prism.New(prism.ReasonUnauthenticated, "the file with the credential is not there: %s", c.TokenFile)
		case err != nil:
			return nil, prism.New(prism.ReasonUnauthenticated, "the file with the credential cannot be read").WithCause(err)
		}
		t.Token = strings.TrimSpace(string(data))
	}
	return t, nil
}

// Apply reads the settings that shape output, once flags are parsed.
func (f *Factory) Apply(readFiles bool) error {
	if _, err := parseColor(f.Globals.Color); err != nil {
		return err
	}
	if readFiles {
		s, err := f.Settings()
		if err != nil {
			return err
		}
		f.Globals.Output, f.Globals.Color = formatOf(s, f.Globals.Output), s.String("color")
		f.Globals.Timeout = s.Duration("timeout")
	}
	if f.Globals.Timeout <= 0 {
		f.Globals.Timeout = DefaultTimeout
	}
	mode, err := parseColor(f.Globals.Color)
	if err != nil {
		return err
	}
	if err := f.Globals.checkTimes(); err != nil {
		return err
	}
	f.IO.SetColor(mode)
	f.IO.SetNoInput(f.Globals.NoInput)
	f.IO.SetNoPager(f.Globals.NoPager)
	return nil
}

// formatOf leaves the default unsaid, so that a command can tell whether a
// format was asked for.
func formatOf(s *config.Settings, flag string) string {
	if v := s.Get("output"); v.Layer != config.LayerDefault {
		return v.Value
	}
	return flag
}
