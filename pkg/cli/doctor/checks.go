package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/checkup"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/prism"
)

type finding = checkup.Finding

// checks are all of doctor's, in the order in which they are printed.
func (o *options) checks() []checkup.Check {
	of := func(check func() finding) checkup.Check {
		return checkup.One(func(context.Context) finding { return check() })
	}
	dirs := o.Factory.Dirs()
	return []checkup.Check{
		of(o.checkConfig),
		of(o.checkProject),
		of(o.checkContext),
		of(o.checkModes),
		of(o.checkCredential),
		checkup.One(o.checkNames),
		checkup.One(o.checkPorts),
		checkup.One(o.checkTLS),
		of(o.checkGateway),
		of(o.checkAuth),
		of(o.checkVersion),
		of(o.checkClock),
		func(context.Context) []finding { return o.checkBackends() },
		checkup.One(o.checkNamespaces),
		checkup.One(o.checkOTLP),
		checkup.One(o.checkEngine),
		checkup.Folder("config-folder", filepath.Dir(o.Factory.UserFile())),
		checkup.Folder("state", dirs.State),
		checkup.Disk(existing(dirs.State)),
		checkup.Memory(),
		checkup.OpenFiles(),
		checkup.Loopback(),
		checkup.Terminal(o.IO),
		of(o.checkLocale),
	}
}

// existing is the nearest folder above that is there.
func existing(dir string) string {
	for {
		if info, err := os.Stat(dir); err == nil && info.IsDir() || filepath.Dir(dir) == dir {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

func (o *options) checkConfig() finding {
	file := o.Factory.UserFile()
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return finding{ID: "config", State: checkup.Pass, Text: "you have no configuration: defaults hold"}
	}
	if _, err := o.Factory.User(); err != nil {
		return finding{ID: "config", State: checkup.Fail, Text: firstLine(err.Error()), Fix: "prismctl config edit"}
	}
	return finding{ID: "config", State: checkup.Pass, Text: filepath.Base(file) + " is valid"}
}

func (o *options) checkProject() finding {
	place, project, err := o.Factory.Project()
	if err != nil {
		return finding{ID: "project", State: checkup.Fail, Text: firstLine(err.Error()), Fix: "prismctl config validate " + cli.Quote(place.File)}
	}
	file := place.GatewayFile(project)
	if file == "" {
		return finding{ID: "project", State: checkup.Skip, Text: "no project's files here"}
	}
	if _, err := config.LoadGateway(file, config.Load{Lookup: o.IO.LookupEnv}); err != nil {
		return finding{ID: "project", State: checkup.Fail, Text: firstLine(err.Error()), Fix: "prismctl config validate " + cli.Quote(file)}
	}
	return finding{ID: "project", State: checkup.Pass, Text: filepath.Base(file) + " is valid"}
}

// without is a check that the configuration stands in the way of.
func without(id string, err error) finding {
	return finding{ID: id, State: checkup.Skip, Text: "not tried: " + prism.From(err).Message}
}

func (o *options) checkContext() finding {
	t, err := o.Factory.Target()
	switch {
	case errors.Is(err, prism.ReasonUnauthenticated): // its credential, which is another check's
		return finding{ID: "context", State: checkup.Pass, Text: "it is there; its credential is not"}
	case err != nil:
		return finding{ID: "context", State: checkup.Fail, Text: firstLine(err.Error()), Fix: "prismctl context list"}
	case t.Context == "":
		return finding{ID: "context", State: checkup.Pass, Text: fmt.Sprintf("none in use: %s and %s are asked", t.Data, t.Admin)}
	}
	return finding{ID: "context", State: checkup.Pass, Text: fmt.Sprintf("%s: data %s, admin %s", t.Context, t.Data, t.Admin)}
}

// private are the files that nobody else should read: your own file, which says
// where credentials are, and the credentials.
func (o *options) private() []string {
	files := []string{o.Factory.UserFile()}
	u, err := o.Factory.User()
	if err == nil {
		for _, c := range u.Contexts {
			if c.TokenFile != "" {
				files = append(files, c.TokenFile)
			}
		}
	}
	if v := o.IO.Env(config.EnvTokenFile); v != "" {
		files = append(files, v)
	}
	return files
}

// open lists the private files that others can read, each with its mode.
func (o *options) open() (files []string, modes []fs.FileMode) {
	for _, file := range o.private() {
		info, err := os.Lstat(file)
		if err == nil && info.Mode().IsRegular() && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
			files, modes = append(files, file), append(modes, info.Mode().Perm())
		}
	}
	return files, modes
}

func (o *options) checkModes() finding {
	files, modes := o.open()
	if len(files) > 0 {
		return finding{ID: "modes", State: checkup.Warn, Text: fmt.Sprintf("others can read %s (%s)", strings.Join(files, ", "), modes[0]), Fix: "prismctl doctor --fix"}
	}
	return finding{ID: "modes", State: checkup.Pass, Text: "your configuration and credentials are for your eyes only"}
}

// repair closes the private files to others.
func (o *options) repair() (done []string, err error) {
	files, modes := o.open()
	for i, file := range files {
		if err := os.Chmod(file, modes[i]&0o700); err != nil {
			return done, err
		}
		done = append(done, "closed "+file+" to others")
	}
	return done, nil
}

func (o *options) checkCredential() finding {
	t, err := o.Factory.Target()
	switch {
	case errors.Is(err, prism.ReasonUnauthenticated):
		return finding{ID: "credential", State: checkup.Fail, Text: prism.From(err).Message, Fix: "prismctl help auth"}
	case err != nil:
		return without("credential", err)
	case t.Token == "":
		return finding{ID: "credential", State: checkup.Skip, Text: "none is sent: enough for a gateway with authentication off"}
	}
	return finding{ID: "credential", State: checkup.Pass, Text: "one is sent with every call"}
}

func (o *options) checkGateway() finding {
	s, err := o.status()
	switch {
	case err != nil && errors.Is(err, prism.ReasonUnavailable):
		return finding{ID: "gateway", State: checkup.Fail, Text: prism.From(err).Message, Fix: "prismctl dev up, or correct the context: prismctl context show"}
	case err != nil:
		return finding{ID: "gateway", State: checkup.Fail, Text: prism.From(err).Message, Fix: "prismctl errors lookup " + prism.From(err).Code()}
	case !strings.EqualFold(s.GetState(), "running"):
		return finding{ID: "gateway", State: checkup.Fail, Text: "it is " + strings.ToLower(s.GetState()), Fix: "prismctl health"}
	case s.GetConfigProblem() != "":
		return finding{ID: "gateway", State: checkup.Warn, Text: "its last configuration was refused: " + firstLine(s.GetConfigProblem()), Fix: "correct its file: prismctl config validate FILE"}
	}
	return finding{ID: "gateway", State: checkup.Pass, Text: fmt.Sprintf("running, with %s and %s", cli.Plural(int(s.GetNamespaces()), "namespace"), cli.Plural(int(s.GetBackends()), "backend"))}
}

func (o *options) checkAuth() finding {
	s, err := o.status()
	switch {
	case err != nil && (errors.Is(err, prism.ReasonUnauthenticated) || errors.Is(err, prism.ReasonPermissionDenied)):
		return finding{ID: "auth", State: checkup.Fail, Text: prism.From(err).Message, Fix: "prismctl help auth"}
	case err != nil:
		return finding{ID: "auth", State: checkup.Skip, Text: "not tried: the gateway comes first"}
	}
	return finding{ID: "auth", State: checkup.Pass, Text: fmt.Sprintf("authentication is %s; you are %s", s.GetAuthMode(), s.GetPrincipal())}
}

func (o *options) checkVersion() finding {
	s, err := o.status()
	switch {
	case err != nil:
		return finding{ID: "version", State: checkup.Skip, Text: "not tried: the gateway comes first"}
	case cli.Skew(o.Build.Version, s.GetVersion()):
		return finding{ID: "version", State: checkup.Warn, Text: fmt.Sprintf("prismctl is %s and the gateway %s", o.Build.Version, s.GetVersion()), Fix: "use the prismctl of the gateway's release"}
	}
	return finding{ID: "version", State: checkup.Pass, Text: "prismctl and the gateway are of one version, " + s.GetVersion()}
}

// checkClock: a difference makes certificates, expiries and relative times wrong.
func (o *options) checkClock() finding {
	if o.Clock.Now().Before(checkup.BeganAt) {
		return finding{ID: "clock", State: checkup.Fail, Text: "the clock says " + o.Clock.Now().Format(time.DateOnly), Fix: "set the clock: certificates and expiries depend on it"}
	}
	s, err := o.status()
	if err != nil {
		return finding{ID: "clock", State: checkup.Skip, Text: "not compared: the gateway comes first"}
	}
	if apart := s.apart.Abs(); apart > checkup.ClockSlack {
		return finding{ID: "clock", State: checkup.Warn, Text: "the gateway's clock and ours are " + cli.Duration(apart.Round(time.Second)) + " apart", Fix: "set the clock that is wrong"}
	}
	return finding{ID: "clock", State: checkup.Pass, Text: "the gateway's clock and ours agree"}
}

func (o *options) checkLocale() finding {
	if !o.IO.UTF8() {
		return finding{ID: "locale", State: checkup.Warn, Text: "the locale is not UTF-8: signs are drawn in ASCII", Fix: "export LANG=C.UTF-8"}
	}
	return finding{ID: "locale", State: checkup.Pass, Text: "the locale is UTF-8"}
}
