// Package dev is `prismctl dev`: a gateway and everything around it on this
// machine, supervised.
//
// A command line and .prism.yaml make a wish, a wish makes a plan, and a plan is
// a list of services for package supervise: prismd, the stacks (package stacks)
// and the project's own programs. What runs is never remembered here: it is
// asked of the supervisor.
package dev

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/supervise"
	"github.com/prism-data-layer/prism/stacks"
)

// New is the noun, without dashboards.
func New(f *cli.Factory) *cobra.Command { return NewWith(f, nil) }

// NewWith is the noun with the dashboards that attach --ui opens.
func NewWith(f *cli.Factory, show Show) *cobra.Command {
	return cli.Group("dev", "Run a gateway on this machine",
		"Starts a gateway for the folder you are in and the stacks that it is to have beside it, keeps them\nrunning, and stops them without a trace. With no prism.yaml it uses embedded stores in .prism/data\nand needs nothing else.",
		"  prismctl dev up\n  prismctl dev up --detach --with redis,nats\n  prismctl dev status",
		newUp(f, runUp), newDown(f, runDown), newStatus(f, runStatus), newLogs(f, runLogs),
		newRestart(f, runRestart), newAttach(f, show, runAttach), newEnv(f, runEnv), newDoctor(f, runDoctor),
		newList(f, runList), newGraph(f, runGraph), newOpen(f, runOpen), newVersions(f, runVersions),
		newUpdate(f, runUpdate), newReset(f, runReset), newExport(f, runExport), newCI(f, runCI), newBundle(f, runBundle))
}

// gateway is the name of prismd among the services.
const gateway = "prismd"

// A project is the folder that dev works for.
type project struct {
	config.Place
	own    *config.Project // its .prism.yaml; nil without one
	file   string          // prism.yaml; "" for the built-in settings
	dirs   config.Dirs
	state  string // the supervisor's folder
	socket string
	look   func(string) (string, bool) // the environment
}

// find finds the project of the folder that the command runs in.
func find(f *cli.Factory) (project, error) {
	place, err := config.FindProject(f.Place.Dir)
	if err != nil {
		return project{}, err
	}
	var own *config.Project
	if place.File != "" {
		if own, err = config.LoadProject(place.File, config.Load{Lookup: f.IO.LookupEnv, Stacks: stacks.Names()}); err != nil {
			return project{}, err
		}
	}
	dirs := f.Dirs()
	return project{
		Place: place, own: own, file: place.GatewayFile(own), dirs: dirs,
		state: place.StateDir(dirs), socket: place.Socket(dirs, f.Place.Temp), look: f.IO.LookupEnv,
	}, nil
}

// options are the supervisor's, without services.
func (p project) options() supervise.Options {
	return supervise.Options{ID: p.ID, Root: p.Root, Dir: p.state, Socket: p.socket}
}

func (p project) logs() string { return filepath.Join(p.state, "logs") }

// status asks the supervisor, or reads what the last one has left.
func (p project) status(ctx context.Context) (supervise.Status, error) {
	c, err := supervise.Dial(p.socket)
	if err == nil {
		return c.Status(ctx)
	}
	if !notRunning(err) {
		return supervise.Status{}, err
	}
	return supervise.Inspect(p.state)
}

// notRunning reports whether err says that there is no supervisor.
func notRunning(err error) bool {
	var e *prism.Error
	return errors.As(err, &e) && e.Meta["kind"] == "not_running"
}

// client is the running supervisor's.
func (p project) client() (*supervise.Client, error) {
	c, err := supervise.Dial(p.socket)
	if err != nil && notRunning(err) {
		err = cli.WithFix(prism.New(prism.ReasonUnavailable, "nothing runs for %s", p.Root), "prismctl dev up")
	}
	return c, err
}

// Context is the connection to the gateway that dev up runs for a folder; nil
// if none was ever started there.
func Context(place config.Place, dirs config.Dirs) (*config.Context, error) {
	st, err := supervise.Inspect(place.StateDir(dirs))
	if err != nil {
		return nil, nil // damaged: dev up makes another
	}
	s := st.Service(gateway)
	if s == nil || s.Listen["data"] == "" {
		return nil, nil
	}
	c := &config.Context{Name: place.ContextName(), Data: s.Listen["data"], Admin: s.Listen["admin"], Insecure: true}
	if key := filepath.Join(place.DataDir(), "admin.key"); exists(key) {
		c.TokenFile = key
	}
	return c, nil
}
