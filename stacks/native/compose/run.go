package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/docker/compose/v5/pkg/api"
	"github.com/docker/compose/v5/pkg/compose"
)

// A runner is one stack's life in containers.
type runner struct {
	r       Request
	project *types.Project
	e       *engine
	lines   *lines
	follow  *follower
}

// drainTime is how long the last lines of a container that has ended may take.
const drainTime = 2 * time.Second

// run brings the stack up, or takes over what of it runs, and watches it. It ends
// when ctx does, when all its tasks are done and nothing else is there to run,
// or with the error of a container that ended; then its containers and networks
// are gone, or it says which are not. An engine that goes away is waited for.
func run(ctx context.Context, r Request, lines *lines) error {
	project, err := load(ctx, r)
	if err != nil {
		return err
	}
	e, err := connect(ctx)
	if err != nil {
		return err
	}
	defer e.close()
	reading, stop := context.WithCancel(context.Background())
	defer stop()
	x := &runner{r: r, project: project, e: e, lines: lines, follow: newFollower(reading, e, lines, len(project.Services) > 1)}
	for {
		err := x.session(ctx)
		if ctx.Err() == nil && x.gone(err) {
			lines.note("waits for the container engine: " + err.Error())
			if x.await(ctx) == nil {
				lines.note("the container engine is back")
				continue
			}
		}
		if ctx.Err() != nil {
			err = nil
		}
		return join(err, x.down())
	}
}

func join(err, down error) error {
	switch {
	case err == nil:
		return down
	case down == nil:
		return err
	}
	return fmt.Errorf("%w; and then: %w", err, down)
}

// errStream is the end of the engine's events.
var errStream = errors.New("its events ended")

// gone reports whether a session ended because the engine did. Containers that
// an ending engine has ended look like such that ended by themselves, and it
// still answers on connections that it has: so it is asked on a new one.
func (x *runner) gone(err error) bool {
	return err != nil && (errors.Is(err, errStream) || dial(x.e.endpoint) != nil || x.e.ask(context.Background()) != nil)
}

// Waits for an engine that is away: soon at first, then once a second.
const (
	firstWait = 100 * time.Millisecond
	mostWait  = time.Second
)

func (x *runner) await(ctx context.Context) error {
	for wait := firstWait; ; wait = min(2*wait, mostWait) {
		if err := sleep(ctx, wait); err != nil {
			return err
		}
		if dial(x.e.endpoint) == nil && x.e.ask(ctx) == nil {
			return nil
		}
	}
}

// session is the time from one meeting with the engine to the next.
func (x *runner) session(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	networks, volumes := map[string]bool{}, map[string]bool{}
	for _, n := range x.project.Networks {
		networks[n.Name] = true
	}
	for _, v := range x.project.Volumes {
		volumes[v.Name] = true
	}
	if err := x.e.foreign(ctx, x.r, networks, volumes); err != nil {
		return err
	}
	for _, name := range x.project.ServiceNames() {
		if err := x.e.have(ctx, x.project.Services[name].Image, x.lines.note); err != nil {
			return err
		}
	}
	w, err := x.watch(ctx)
	if err != nil {
		return err
	}
	if err := x.up(ctx); err != nil {
		return x.whyNot(ctx, err)
	}
	x.lines.note("runs")
	return x.wait(ctx, w)
}

// up creates and starts what is not there yet or differs from what it was made
// of, in the order of depends_on.
func (x *runner) up(ctx context.Context) error {
	c, err := x.compose()
	if err != nil {
		return err
	}
	return c.Up(ctx, x.project, api.UpOptions{
		Create: api.CreateOptions{
			RemoveOrphans: true, Inherit: true, QuietPull: true,
			Recreate: api.RecreateDiverged, RecreateDependencies: api.RecreateDiverged,
		},
		Start: api.StartOptions{Project: x.project},
	})
}

func (x *runner) compose() (api.Compose, error) {
	return compose.NewComposeService(x.e.cli,
		compose.WithStreams(io.Discard, io.Discard, strings.NewReader("")),
		compose.WithEventProcessor(narrator{x.lines.note}),
		compose.WithPrompt(func(string, bool) (bool, error) { return false, nil }), // such as: may the data go?
	)
}

// whyNot looks for a better reason than the library's.
func (x *runner) whyNot(ctx context.Context, err error) error {
	if x.gone(err) {
		return err
	}
	if ended, look := x.ended(ctx); look == nil && ended != nil {
		return ended
	}
	text := err.Error()
	if strings.Contains(text, "port is already allocated") || strings.Contains(text, "address already in use") {
		return fail(kindPort, "a port is taken: %v", err).fix("prismctl dev up --auto-ports")
	}
	return err
}

// down stops the stack in the reverse order, as long as its time allows, and
// removes its containers and networks. Volumes stay.
func (x *runner) down() error {
	x.lines.note("stops")
	stop := x.r.Stop
	if stop <= 0 {
		stop = removeStop
	}
	ctx, cancel := context.WithTimeout(context.Background(), stop)
	defer cancel()
	c, err := x.compose()
	if err == nil {
		err = c.Stop(ctx, x.project.Name, api.StopOptions{Project: x.project})
	}
	if err != nil && x.gone(err) && x.await(ctx) != nil {
		return fail(kindLeft, "the container engine does not answer: containers of %s may be left", x.project.Name).
			fix("%s, then prismctl dev down", startFix())
	}
	x.follow.drain(drainTime)
	ctx, cancel = context.WithTimeout(context.Background(), removeTime)
	defer cancel()
	_, err = x.e.remove(ctx, x.r.Project, x.r.Stack, false, 0)
	return err
}

// removeTime is how long removing what was stopped, or killing it, may take.
const removeTime = 12 * time.Second

// A narrator tells what the library does.
type narrator struct{ note func(string) }

func (narrator) Start(context.Context, string) {}
func (narrator) Done(string, bool)             {}

func (n narrator) On(all ...api.Resource) {
	for _, r := range all {
		if r.Status == api.Working && r.Text != "" {
			n.note(strings.ToLower(r.Text) + " " + strings.ToLower(r.ID))
		}
	}
}
