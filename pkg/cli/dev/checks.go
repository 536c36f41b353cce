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
	"strings"
	"time"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/supervise"
	"github.com/prism-data-layer/prism/stacks"
)

// checks are all of doctor's, in the order in which they are printed. Their ids
// are stable: monitors know them.
func (o *doctorOptions) checks(p project) []func(context.Context) []finding {
	one := func(f finding) []finding { return []finding{f} }
	return []func(context.Context) []finding{
		func(context.Context) []finding { return one(checkConfig(p)) },
		func(context.Context) []finding { return one(checkOwn(p)) },
		func(ctx context.Context) []finding { return one(o.checkProgram(ctx)) },
		func(context.Context) []finding { return one(checkFolder("data", p.Root)) },
		func(context.Context) []finding { return one(checkFolder("state", filepath.Dir(p.dirs.State))) },
		func(context.Context) []finding { return one(checkModes(p)) },
		func(context.Context) []finding { return one(checkStateFiles(p)) },
		func(context.Context) []finding { return one(checkSocket(p)) },
		func(context.Context) []finding { return one(checkIsolation()) },
		func(context.Context) []finding { return one(checkFiles()) },
		func(context.Context) []finding { return one(checkMemory()) },
		func(context.Context) []finding { return one(checkDisk(p)) },
		func(ctx context.Context) []finding { return one(o.checkClock(ctx, p)) },
		func(context.Context) []finding { return one(o.checkTerminal()) },
		func(ctx context.Context) []finding { return one(checkLoopback(ctx)) },
		func(ctx context.Context) []finding { return one(o.checkPorts(ctx, p)) },
		func(ctx context.Context) []finding { return one(checkRunning(ctx, p)) },
		func(ctx context.Context) []finding { return one(checkOthers(p)) },
		func(ctx context.Context) []finding { return o.checkEngine(ctx, p) },
		func(ctx context.Context) []finding { return o.checkStacks(ctx, p) },
	}
}

func checkConfig(p project) finding {
	if p.file == "" {
		return finding{"config", pass, "no prism.yaml: the built-in settings hold", ""}
	}
	if _, err := config.LoadGateway(p.file, config.Load{Dir: filepath.Dir(p.file)}); err != nil {
		return finding{"config", bad, firstLine(err.Error()), "prismctl config validate " + filepath.Base(p.file)}
	}
	return finding{"config", pass, filepath.Base(p.file) + " is valid", ""}
}

// checkOwn: one that cannot be read was refused before.
func checkOwn(p project) finding {
	if p.own == nil {
		return finding{"project", pass, "no " + config.ProjectFile + ": nothing is started beside the gateway unless it is asked for", ""}
	}
	return finding{"project", pass, config.ProjectFile + " is valid", ""}
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
		return finding{"prismd", bad, err.Error(), "make build"}
	}
	return finding{"prismd", pass, "found, of the same version", ""}
}

func checkFolder(id, dir string) finding {
	for at := dir; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err == nil && info.IsDir() {
			f, err := os.CreateTemp(at, ".prism-doctor-*")
			if err != nil {
				return finding{id, bad, "the folder for " + id + " cannot be written to", "make it writable, or choose another"}
			}
			f.Close()
			os.Remove(f.Name())
			return finding{id, pass, "the folder for " + id + " can be written to", ""}
		}
		if filepath.Dir(at) == at {
			return finding{id, bad, "there is no folder for " + id, "set HOME, or XDG_STATE_HOME"}
		}
	}
}

// checkModes: the folder of state holds passwords and logs.
func checkModes(p project) finding {
	for _, dir := range []string{p.state, p.logs()} {
		if info, err := os.Stat(dir); err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
			return finding{"modes", warn, fmt.Sprintf("others can look into %s (%s)", dir, info.Mode().Perm()), "prismctl dev doctor --fix"}
		}
	}
	return finding{"modes", pass, "state and logs are for your eyes only", ""}
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
		return finding{"state-files", bad, "cannot be read: " + strings.Join(names, ", "), "prismctl dev doctor --fix"}
	}
	return finding{"state-files", pass, "what the last up has left can be read", ""}
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
		return finding{"socket", bad, err.Error(), "remove what is in the way"}
	}
	return finding{"socket", pass, "the control socket is ours", ""}
}

func checkIsolation() finding {
	if runtime.GOOS != "linux" {
		return finding{"isolation", warn, "no cgroups on this system: a service that leaves its process group escapes", "use Linux where that matters"}
	}
	if _, err := exec.LookPath("true"); err != nil {
		return finding{"isolation", warn, "PATH holds no programs", "set PATH"}
	}
	return finding{"isolation", pass, "every descendant of a service is ended with it", ""}
}

// enoughFiles is what a gateway with 1,000 connections needs, with room.
const enoughFiles = 4096

func checkFiles() finding {
	n, err := openFiles()
	switch {
	case err != nil:
		return finding{"files", warn, "the limit of open files is not known", ""}
	case n < enoughFiles:
		return finding{"files", warn, fmt.Sprintf("only %d files may be open", n), "ulimit -n 65536"}
	}
	return finding{"files", pass, fmt.Sprintf("%d files may be open", n), ""}
}

// enoughMemory is what a gateway and a store want to be at ease.
const enoughMemory = 512 << 20

func checkMemory() finding {
	total, free, err := memory()
	switch {
	case err != nil:
		return finding{"memory", pass, "this system does not tell its memory", ""}
	case free < enoughMemory:
		return finding{"memory", warn, fmt.Sprintf("%s of %s of memory are free", size(free), size(total)), "end what needs much, or leave stacks out"}
	}
	return finding{"memory", pass, fmt.Sprintf("%s of %s of memory are free", size(free), size(total)), ""}
}

func checkDisk(p project) finding {
	free, err := freeDisk(p.Root)
	switch {
	case err != nil:
		return finding{"disk", warn, "the room on the disk is not known: " + err.Error(), ""}
	case free < minDisk:
		return finding{"disk", bad, size(free) + " of disk are free", "make room: the stores refuse writes on a full disk"}
	}
	return finding{"disk", pass, size(free) + " of disk are free", ""}
}

// The first day on which this program can run, and how far two clocks of one
// machine may be apart.
var beganAt = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

const clockSlack = 2 * time.Second

// checkClock compares our clock with the gateway's where one runs; a clock that
// was never set is seen without.
func (o *doctorOptions) checkClock(ctx context.Context, p project) finding {
	if o.Clock.Now().Before(beganAt) {
		return finding{"clock", bad, "the clock says " + o.Clock.Now().Format(time.DateOnly), "set the clock: certificates and expiries depend on it"}
	}
	st, err := p.status(ctx)
	if s := st.Service(gateway); err == nil && st.Running && s != nil && s.State == supervise.Ready {
		if theirs, err := dateOf(ctx, addressOf("metrics", s.Listen["metrics"])); err == nil {
			if apart := o.Clock.Now().Sub(theirs).Abs(); apart > clockSlack {
				return finding{"clock", warn, "the gateway's clock and ours are " + apart.Round(time.Second).String() + " apart", "set the clock"}
			}
		}
	}
	return finding{"clock", pass, "the clock is set", ""}
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

func (o *doctorOptions) checkTerminal() finding {
	switch {
	case !o.IO.IsTTY(iostreams.Err):
		return finding{"terminal", pass, "no terminal: changes are told line by line", ""}
	case o.IO.Env("TERM") == "dumb" || o.IO.Env("TERM") == "":
		return finding{"terminal", warn, "TERM names no terminal that can be redrawn: changes are told line by line", "set TERM"}
	case !o.IO.UTF8():
		return finding{"terminal", warn, "the locale is not UTF-8: signs are drawn in ASCII", "export LANG=C.UTF-8"}
	case o.IO.Width() < 80:
		return finding{"terminal", warn, fmt.Sprintf("it is %d columns wide: tables are cut", o.IO.Width()), "make it 80 columns wide"}
	}
	return finding{"terminal", pass, "it can be redrawn", ""}
}

// checkLoopback: everything is reached there, by number and by name.
func checkLoopback(ctx context.Context) finding {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return finding{"loopback", bad, "nothing can listen on " + loopback, "bring the interface lo up"}
	}
	l.Close()
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupHost(ctx, "localhost")
	if err != nil || len(addrs) == 0 {
		return finding{"loopback", warn, "the name localhost is not known", "write 127.0.0.1 localhost into the hosts file"}
	}
	for _, a := range addrs {
		if ip := net.ParseIP(a); ip == nil || !ip.IsLoopback() {
			return finding{"loopback", warn, "localhost is " + a, "write 127.0.0.1 localhost into the hosts file"}
		}
	}
	return finding{"loopback", pass, "127.0.0.1 and localhost are this machine", ""}
}

// checkPorts opens what up would open, for a moment.
func (o *doctorOptions) checkPorts(ctx context.Context, p project) finding {
	if _, err := supervise.Dial(p.socket); err == nil {
		return finding{"ports", pass, "in use by this project", ""}
	}
	pl, err := makePlan(ctx, o.Up, p)
	if err != nil {
		return finding{"ports", warn, "not tried: the checks above come first", ""}
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
		return finding{"ports", bad, "in use by others: " + strings.Join(taken, ", "), "prismctl dev up names who; --auto-ports takes others"}
	}
	return finding{"ports", pass, "all are free", ""}
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
		return finding{"running", bad, prism.From(err).Message, "prismctl dev down"}
	case !st.Running && leftovers(st) != nil:
		return finding{"running", bad, "a killed supervisor has left " + strings.Join(leftovers(st), ", "), "prismctl dev doctor --fix"}
	case !st.Running && st.Supervisor == 0 && st.Service(gateway) == nil:
		return finding{"running", pass, "nothing runs here yet", "prismctl dev up"}
	case !st.Running:
		return finding{"running", pass, "nothing runs here now", "prismctl dev up"}
	case !st.Ready:
		return finding{"running", bad, notReady(st).Error(), "prismctl dev logs"}
	}
	return finding{"running", pass, "all that runs here is ready", ""}
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
		return finding{"projects", warn, err.Error(), ""}
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
		return finding{"projects", warn, "killed supervisors have left processes of " + strings.Join(wrong, ", "), "prismctl dev down --all"}
	}
	return finding{"projects", pass, fmt.Sprintf("%s of this machine, of which %d run", cli.Plural(len(all), "project"), running), ""}
}

// engineTime bounds what is asked of the engine.
const engineTime = 3 * time.Second

// checkEngine looks for the container engine: that its client is here, that it
// answers and lets us in, and which images are there.
func (o *doctorOptions) checkEngine(ctx context.Context, p project) []finding {
	ctx, cancel := context.WithTimeout(ctx, engineTime)
	defer cancel()
	state := warn // stacks have native forms
	if p.usedContainers() {
		state = bad
	}
	broken := func(id string, err error) finding {
		e := prism.From(err)
		return finding{id, state, e.Message, e.Meta["fix"]}
	}
	e, err := p.engine()(ctx)
	if err != nil {
		return []finding{broken("compose", err), {"engine", warn, "not asked: prism-compose comes first", ""}, {"images", warn, "not asked", ""}, {"containers", pass, "none was ever used here", ""}}
	}
	list := []finding{{"compose", pass, "prism-compose is here", ""}}
	info, err := e.Info(ctx)
	if err != nil {
		return append(list, broken("engine", err), finding{"images", warn, "not asked", ""}, finding{"containers", warn, "not asked", ""})
	}
	list = append(list, finding{"engine", pass, fmt.Sprintf("%s answers: version %s, API %s", info.Endpoint, info.Version, info.API), ""})
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
		list = append(list, finding{"images", pass, "pulled when first needed: " + strings.Join(missing, ", "), ""})
	default:
		list = append(list, finding{"images", pass, "all are here", ""})
	}
	things, err := e.List(ctx, p.ID)
	_, dial := supervise.Dial(p.socket)
	switch {
	case err != nil:
		list = append(list, broken("containers", err))
	case dial != nil && len(things) > 0 && containers(things) > 0:
		list = append(list, finding{"containers", bad, cli.Plural(containers(things), "container") + " of this project, and no supervisor", "prismctl dev down"})
	default:
		list = append(list, finding{"containers", pass, cli.Plural(containers(things), "container") + " of this project", ""})
	}
	return list
}

// checkStacks says of each stack whether it could be started here, and what of
// it was never tried.
func (o *doctorOptions) checkStacks(ctx context.Context, p project) []finding {
	ctx, cancel := context.WithTimeout(ctx, engineTime)
	defer cancel()
	all, err := stacks.Catalog()
	if err != nil {
		return []finding{{"stacks", bad, err.Error(), ""}}
	}
	var list []finding
	for _, s := range all {
		id := "stack-" + s.Name
		pl, err := p.stackProject(wish{Form: o.Up.Form}).Plan(ctx, []string{s.Name})
		untried := ""
		if s.Missing != "" {
			untried = "; never tried: " + s.Missing
		}
		switch {
		case err != nil:
			list = append(list, finding{id, warn, prism.From(err).Message, prism.From(err).Meta["fix"]})
		case pl.Instance(s.Name) == nil:
			why, fix := "it cannot run here", ""
			for _, skip := range pl.Skipped {
				why, fix = skip.Why, skip.Fix
			}
			list = append(list, finding{id, warn, "skipped here: " + why + untried, fix})
		default:
			list = append(list, finding{id, pass, fmt.Sprintf("dev up --with %s starts it (%s)%s", s.Name, pl.Instance(s.Name).Form, untried), ""})
		}
	}
	return list
}
