package dev

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/supervise"
)

type doctorOptions struct {
	Out     *cli.Output
	Up      *upOptions // what up would do
	Project func() (project, error)
}

// A finding is what one check has found.
type finding struct {
	ID, State, Text, Fix string
}

// The states of a finding.
const (
	pass = "pass"
	warn = "warn"
	bad  = "fail"
)

func findings() cli.Kind[finding] {
	return cli.Kind[finding]{Name: "DevCheck", Fields: []cli.Field[finding]{
		cli.Text("id", "CHECK", "its stable name", func(x finding) string { return x.ID }),
		cli.State("state", "STATE", "pass, warn or fail", func(x finding) string { return x.State }),
		cli.Text("text", "FOUND", "what was found", func(x finding) string { return x.Text }),
		cli.Text("fix", "FIX", "what to do", func(x finding) string { return x.Fix }),
	}}
}

func newDoctor(f *cli.Factory, run func(context.Context, *doctorOptions) error) *cobra.Command {
	o := &doctorOptions{
		Project: func() (project, error) { return find(f) },
		Up:      &upOptions{IO: f.IO, Version: f.Build.Version},
	}
	cmd := &cobra.Command{
		Use:     "doctor",
		Short:   "Check what dev up needs",
		Long:    "Checks the configuration, the programs, the folders and the machine, and says of each what to do.\nEnds with 1 if a check fails.",
		Example: "  prismctl dev doctor\n  prismctl dev doctor -o json",
		Args:    cli.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	o.Out = cli.AddListOutput(f, cmd, findings().Info())
	return cmd
}

func runDoctor(ctx context.Context, o *doctorOptions) error {
	p, err := o.Project()
	if err != nil {
		return err
	}
	list := []finding{
		checkConfig(p), o.checkProgram(ctx), checkFolder("data", p.Root), checkFolder("state", filepath.Dir(p.dirs.State)),
		checkSocket(p), checkIsolation(), checkFiles(), o.checkPorts(ctx, p), checkRunning(ctx, p),
	}
	for _, s := range stores {
		list = append(list, o.checkStore(s, p))
	}
	if err := cli.PrintList(o.Out, findings(), list, ""); err != nil {
		return err
	}
	for _, x := range list {
		if x.State == bad {
			return cli.ErrSilent(cli.ExitFailure)
		}
	}
	return nil
}

func checkConfig(p project) finding {
	if p.file == "" {
		return finding{"config", pass, "no prism.yaml: the built-in settings hold", ""}
	}
	if _, err := config.LoadGateway(p.file, config.Load{Dir: filepath.Dir(p.file)}); err != nil {
		return finding{"config", bad, strings.SplitN(err.Error(), "\n", 2)[0], "prismctl config validate " + filepath.Base(p.file)}
	}
	return finding{"config", pass, filepath.Base(p.file) + " is valid", ""}
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

// checkStore looks for the program of a store. One that is not there is in the
// way only of --with.
func (o *doctorOptions) checkStore(s store, p project) finding {
	if _, err := s.find(o.Up, p.dirs.Native()); err != nil {
		return finding{s.name, warn, "dev up --with " + s.name + " cannot start it: " + err.Error(), s.hint}
	}
	return finding{s.name, pass, "dev up --with " + s.name + " starts it", ""}
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
	for _, l := range pl.specs[0].Listen {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", l.Addr)
		if err != nil {
			taken = append(taken, l.Addr+" ("+l.Origin+")")
			continue
		}
		listener.Close()
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
	switch {
	case err != nil:
		return finding{"running", bad, prism.From(err).Message, "prismctl dev down"}
	case !st.Running && st.Supervisor == 0 && st.Service(gateway) == nil:
		return finding{"running", pass, "nothing runs here yet", "prismctl dev up"}
	case !st.Running:
		return finding{"running", pass, "nothing runs here now", "prismctl dev up"}
	case !st.Ready:
		return finding{"running", bad, notReady(st).Error(), "prismctl dev logs"}
	}
	return finding{"running", pass, "the gateway is ready", ""}
}
