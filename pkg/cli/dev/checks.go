package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/checkup"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/supervise"
	"github.com/prism-data-layer/prism/stacks"
)

// finding is short for what stands in every line here.
type finding = checkup.Finding

// checks are all of doctor's, in the order in which they are printed. Their ids
// are stable: monitors know them.
func (o *doctorOptions) checks(p project) []checkup.Check {
	of := func(check func(project) finding) checkup.Check {
		return checkup.One(func(context.Context) finding { return check(p) })
	}
	in := func(check func(context.Context, project) finding) checkup.Check {
		return checkup.One(func(ctx context.Context) finding { return check(ctx, p) })
	}
	return []checkup.Check{
		of(checkConfig),
		of(checkOwn),
		checkup.One(o.checkProgram),
		checkup.Folder("data", p.Root),
		checkup.Folder("state", filepath.Dir(p.dirs.State)),
		of(checkModes),
		of(checkStateFiles),
		of(checkSocket),
		checkup.One(func(context.Context) finding { return checkIsolation() }),
		checkup.OpenFiles(),
		checkup.Memory(),
		checkup.Disk(p.Root),
		in(o.checkClock),
		checkup.Terminal(o.IO),
		checkup.Loopback(),
		in(o.checkPorts),
		in(checkRunning),
		of(checkOthers),
		func(ctx context.Context) []finding { return o.checkEngine(ctx, p) },
		func(ctx context.Context) []finding { return o.checkStacks(ctx, p) },
	}
}

func checkConfig(p project) finding {
	if p.file == "" {
		return finding{ID: "config", State: checkup.Pass, Text: "no prism.yaml: the built-in settings hold"}
	}
	if _, err := config.LoadGateway(p.file, config.Load{Dir: filepath.Dir(p.file)}); err != nil {
		return finding{ID: "config", State: checkup.Fail, Text: firstLine(err.Error()), Fix: "prismctl config validate " + filepath.Base(p.file)}
	}
	return finding{ID: "config", State: checkup.Pass, Text: filepath.Base(p.file) + " is valid"}
}

// checkOwn: one that cannot be read was refused before.
func checkOwn(p project) finding {
	if p.own == nil {
		return finding{ID: "project", State: checkup.Pass, Text: "no " + config.ProjectFile + ": nothing is started beside the gateway unless it is asked for"}
	}
	return finding{ID: "project", State: checkup.Pass, Text: config.ProjectFile + " is valid"}
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

func (o *doctorOptions) checkProgram(ctx context.Context) finding {
	path, err := findGateway(o.Up)
	if err == nil {
		err = o.Up.sameVersion(ctx, path)
	}
	if err != nil {
		return finding{ID: "prismd", State: checkup.Fail, Text: err.Error(), Fix: "make build"}
	}
	return finding{ID: "prismd", State: checkup.Pass, Text: "found, of the same version"}
}

// checkModes: the folder of state holds passwords and logs.
func checkModes(p project) finding {
	for _, dir := range []string{p.state, p.logs()} {
		if info, err := os.Stat(dir); err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
			return finding{ID: "modes", State: checkup.Warn, Text: fmt.Sprintf("others can look into %s (%s)", dir, info.Mode().Perm()), Fix: "prismctl dev doctor --fix"}
		}
	}
	return finding{ID: "modes", State: checkup.Pass, Text: "state and logs are for your eyes only"}
}

// closeFolder closes a folder of ours to others.
func closeFolder(dir string) (mended bool, err error) {
	info, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil || !info.IsDir() || runtime.GOOS == "windows" || info.Mode().Perm()&0o077 == 0 {
		return false, err
	}
	return true, os.Chmod(dir, 0o700)
}

// brokenState are the files in the state folder that cannot be read.
func brokenState(p project) []string {
	var names []string
	if st, err := supervise.Inspect(p.state); err == nil && st.ID == "" && len(st.Warnings) > 0 {
		names = append(names, "state.json")
	}
	if _, err := stacks.Running(p.state); err != nil {
		names = append(names, "stacks.json")
	}
	if _, err := p.lastWish(); err != nil {
		names = append(names, filepath.Base(p.wishFile()))
	}
	return names
}

func checkStateFiles(p project) finding {
	if names := brokenState(p); names != nil {
		return finding{ID: "state-files", State: checkup.Fail, Text: "cannot be read: " + strings.Join(names, ", "), Fix: "prismctl dev doctor --fix"}
	}
	return finding{ID: "state-files", State: checkup.Pass, Text: "what the last up has left can be read"}
}

// setAside keeps what cannot be read for whoever wants to look, as .bad.
func (p project) setAside() (done []string, err error) {
	for _, name := range brokenState(p) {
		path := filepath.Join(p.state, name)
		if err := os.Rename(path, path+".bad"); err != nil {
			return done, err
		}
		done = append(done, "put "+name+" aside as "+name+".bad")
	}
	return done, nil
}

func checkSocket(p project) finding {
	if _, err := supervise.Dial(p.socket); err != nil && !notRunning(err) {
		return finding{ID: "socket", State: checkup.Fail, Text: err.Error(), Fix: "remove what is in the way"}
	}
	return finding{ID: "socket", State: checkup.Pass, Text: "the control socket is ours"}
}

func checkIsolation() finding {
	if runtime.GOOS != "linux" {
		return finding{ID: "isolation", State: checkup.Warn, Text: "no cgroups on this system: a service that leaves its process group escapes", Fix: "use Linux where that matters"}
	}
	if _, err := exec.LookPath("true"); err != nil {
		return finding{ID: "isolation", State: checkup.Warn, Text: "PATH holds no programs", Fix: "set PATH"}
	}
	return finding{ID: "isolation", State: checkup.Pass, Text: "every descendant of a service is ended with it"}
}

// checkClock compares our clock with the gateway's where one runs; a clock that
// was never set is seen without.
func (o *doctorOptions) checkClock(ctx context.Context, p project) finding {
	if o.Clock.Now().Before(checkup.BeganAt) {
		return finding{ID: "clock", State: checkup.Fail, Text: "the clock says " + o.Clock.Now().Format(time.DateOnly), Fix: "set the clock: certificates and expiries depend on it"}
	}
	st, err := p.status(ctx)
	if s := st.Service(gateway); err == nil && st.Running && s != nil && s.State == supervise.Ready {
		if theirs, err := dateOf(ctx, addressOf("metrics", s.Listen["metrics"])); err == nil {
			if apart := o.Clock.Now().Sub(theirs).Abs(); apart > checkup.ClockSlack {
				return finding{ID: "clock", State: checkup.Warn, Text: "the gateway's clock and ours are " + apart.Round(time.Second).String() + " apart", Fix: "set the clock"}
			}
		}
	}
	return finding{ID: "clock", State: checkup.Pass, Text: "the clock is set"}
}

// dateOf is the time on the clock of an HTTP server, to the second.
func dateOf(ctx context.Context, url string) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, url, nil)
	if err != nil {
		return time.Time{}, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return time.Time{}, err
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<10)) //nolint:errcheck // only its head counts
	return http.ParseTime(res.Header.Get("Date"))
}

// checkPorts opens what up would open, for a moment.
func (o *doctorOptions) checkPorts(ctx context.Context, p project) finding {
	if _, err := supervise.Dial(p.socket); err == nil {
		return finding{ID: "ports", State: checkup.Pass, Text: "in use by this project"}
	}
	pl, err := makePlan(ctx, o.Up, p)
	if err != nil {
		return finding{ID: "ports", State: checkup.Skip, Text: "not tried: the checks above come first"}
	}
	var taken []string
	for _, s := range pl.specs {
		for _, l := range s.Listen {
			listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", l.Addr)
			if err != nil {
				taken = append(taken, l.Addr+" ("+l.Origin+")")
				continue
			}
			listener.Close()
		}
	}
	if taken != nil {
		return finding{ID: "ports", State: checkup.Fail, Text: "in use by others: " + strings.Join(taken, ", "), Fix: "prismctl dev up names who; --auto-ports takes others"}
	}
	return finding{ID: "ports", State: checkup.Pass, Text: "all are free"}
}

func checkRunning(ctx context.Context, p project) finding {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	st, err := p.status(ctx)
	if err == nil {
		p.parts(ctx, &st)
	}
	switch {
	case err != nil:
		return finding{ID: "running", State: checkup.Fail, Text: prism.From(err).Message, Fix: "prismctl dev down"}
	case !st.Running && leftovers(st) != nil:
		return finding{ID: "running", State: checkup.Fail, Text: "a killed supervisor has left " + strings.Join(leftovers(st), ", "), Fix: "prismctl dev doctor --fix"}
	case !st.Running && st.Supervisor == 0 && st.Service(gateway) == nil:
		return finding{ID: "running", State: checkup.Pass, Text: "nothing runs here yet", Fix: "prismctl dev up"}
	case !st.Running:
		return finding{ID: "running", State: checkup.Pass, Text: "nothing runs here now", Fix: "prismctl dev up"}
	case !st.Ready:
		return finding{ID: "running", State: checkup.Fail, Text: notReady(st).Error(), Fix: "prismctl dev logs"}
	}
	return finding{ID: "running", State: checkup.Pass, Text: "all that runs here is ready"}
}

// leftovers are processes without a supervisor.
func leftovers(st supervise.Status) (list []string) {
	for _, s := range st.Services {
		if s.PID != 0 {
			list = append(list, fmt.Sprintf("%s, pid %d", s.Name, s.PID))
		}
	}
	return list
}

// checkOthers looks at the other projects of this machine.
func checkOthers(p project) finding {
	all, err := supervise.List(filepath.Join(p.dirs.State, "dev"))
	if err != nil {
		return finding{ID: "projects", State: checkup.Warn, Text: err.Error()}
	}
	var wrong []string
	running := 0
	for _, st := range all {
		if st.Running {
			running++
		}
		if st.ID != p.ID && !st.Running && leftovers(st) != nil {
			wrong = append(wrong, st.ID)
		}
	}
	if wrong != nil {
		return finding{ID: "projects", State: checkup.Warn, Text: "killed supervisors have left processes of " + strings.Join(wrong, ", "), Fix: "prismctl dev down --all"}
	}
	return finding{ID: "projects", State: checkup.Pass, Text: fmt.Sprintf("%s of this machine, of which %d run", cli.Plural(len(all), "project"), running)}
}

// engineTime bounds what is asked of the engine.
const engineTime = 3 * time.Second

// checkEngine looks for the container engine: that its client is here, that it
// answers and lets us in, and which images are there.
func (o *doctorOptions) checkEngine(ctx context.Context, p project) []finding {
	ctx, cancel := context.WithTimeout(ctx, engineTime)
	defer cancel()
	state := checkup.Warn // stacks have native forms
	if p.usedContainers() {
		state = checkup.Fail
	}
	broken := func(id string, err error) finding {
		e := prism.From(err)
		return finding{ID: id, State: state, Text: e.Message, Fix: e.Meta["fix"]}
	}
	e, err := p.engine()(ctx)
	if err != nil {
		return []finding{broken("compose", err), {ID: "engine", State: checkup.Skip, Text: "not asked: prism-compose comes first"}, {ID: "images", State: checkup.Skip, Text: "not asked"}, {ID: "containers", State: checkup.Skip, Text: "not asked"}}
	}
	list := []finding{{ID: "compose", State: checkup.Pass, Text: "prism-compose is here"}}
	info, err := e.Info(ctx)
	if err != nil {
		return append(list, broken("engine", err), finding{ID: "images", State: checkup.Skip, Text: "not asked"}, finding{ID: "containers", State: checkup.Skip, Text: "not asked"})
	}
	list = append(list, finding{ID: "engine", State: checkup.Pass, Text: fmt.Sprintf("%s answers: version %s, API %s", info.Endpoint, info.Version, info.API)})
	var missing []string
	all, err := stacks.Catalog()
	for _, s := range all {
		for n := range s.Images {
			ref := p.wantedImage(s, n)
			if image, err := e.Image(ctx, ref); err != nil || !image.Present {
				missing = append(missing, ref)
			}
		}
	}
	switch {
	case err != nil:
		list = append(list, broken("images", err))
	case missing != nil:
		list = append(list, finding{ID: "images", State: checkup.Pass, Text: "pulled when first needed: " + strings.Join(missing, ", ")})
	default:
		list = append(list, finding{ID: "images", State: checkup.Pass, Text: "all are here"})
	}
	things, err := e.List(ctx, p.ID)
	_, dial := supervise.Dial(p.socket)
	switch {
	case err != nil:
		list = append(list, broken("containers", err))
	case dial != nil && len(things) > 0 && containers(things) > 0:
		list = append(list, finding{ID: "containers", State: checkup.Fail, Text: cli.Plural(containers(things), "container") + " of this project, and no supervisor", Fix: "prismctl dev down"})
	default:
		list = append(list, finding{ID: "containers", State: checkup.Pass, Text: cli.Plural(containers(things), "container") + " of this project"})
	}
	return list
}

// checkStacks says of each stack whether it could be started here. That one
// cannot is a warning only where it is asked for.
func (o *doctorOptions) checkStacks(ctx context.Context, p project) []finding {
	ctx, cancel := context.WithTimeout(ctx, engineTime)
	defer cancel()
	all, err := stacks.Catalog()
	if err != nil {
		return []finding{{ID: "stacks", State: checkup.Fail, Text: err.Error()}}
	}
	wanted := o.Up.names(p.own)
	sp := p.stackProject(o.Up.wish)
	var list []finding
	for _, s := range all {
		f := finding{ID: "stack-" + s.Name, State: checkup.Pass, Untried: s.Missing}
		pl, err := sp.Plan(ctx, []string{s.Name})
		switch {
		case err != nil:
			f.State, f.Text, f.Fix = checkup.Warn, prism.From(err).Message, prism.From(err).Meta["fix"]
		case pl.Instance(s.Name) == nil:
			f.Text = "it cannot run here"
			for _, skip := range pl.Skipped {
				f.Text, f.Fix = "skipped here: "+skip.Why, skip.Fix
			}
			if slices.Contains(wanted, s.Name) {
				f.State = checkup.Warn
			}
		default:
			f.Text = fmt.Sprintf("dev up --with %s starts it (%s)", s.Name, pl.Instance(s.Name).Form)
		}
		list = append(list, f)
	}
	return list
}
