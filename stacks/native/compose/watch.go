package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"
)

// A watched stack: ended is told of each container that may have ended, lost of
// the end of the engine's events.
type watched struct {
	ended chan struct{}
	lost  chan error
}

// watch opens the engine's events, which begin before anything is started, and
// copies the lines of what runs and of what will.
func (x *runner) watch(ctx context.Context) (*watched, error) {
	filters := ours(x.r.Project, x.r.Stack).Add("type", string(events.ContainerEventType))
	stream := x.e.api.Events(ctx, client.EventsListOptions{Filters: filters})
	now := time.Now()
	there, err := x.e.containers(ctx, x.r.Project, x.r.Stack)
	if err != nil {
		return nil, err
	}
	for _, t := range there {
		x.follow.from(t.ID, now)
		if t.State == string(container.StateRunning) {
			x.follow.follow(t.ID, t.Service)
		}
	}
	w := &watched{ended: make(chan struct{}, 1), lost: make(chan error, 1)}
	go func() {
		for {
			select {
			case m := <-stream.Messages:
				switch m.Action {
				case events.ActionStart:
					x.follow.follow(m.Actor.ID, m.Actor.Attributes[serviceLabel])
				case events.ActionDie, events.ActionDestroy:
					select {
					case w.ended <- struct{}{}:
					default:
					}
				}
			case err := <-stream.Err:
				w.lost <- fmt.Errorf("%w: %w", errStream, err)
				return
			}
		}
	}()
	return w, nil
}

// wait looks at the containers whenever one of them ends, until one did that
// should not, or all are done.
func (x *runner) wait(ctx context.Context, w *watched) error {
	for {
		if err := x.all(ctx); err != errRuns {
			if err == nil || ctx.Err() != nil {
				return err
			}
			return x.settle(ctx, w, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-w.lost:
			return err
		case <-w.ended:
		case <-time.After(lookAgain): // for an event that did not come
		}
	}
}

const lookAgain = 10 * time.Second

// settleTime is how long an engine that is ending may take to close its events
// after it has ended a container: then the container did not end by itself.
const settleTime = 500 * time.Millisecond

func (x *runner) settle(ctx context.Context, w *watched, ended error) error {
	select {
	case err := <-w.lost:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(settleTime):
		return ended
	}
}

// errRuns says that there is something to wait for.
var errRuns = errors.New("it runs")

// all is errRuns while all is well, nil when all are tasks and done, or the reason
// why the stack does not run.
func (x *runner) all(ctx context.Context) error {
	ended, err := x.ended(ctx)
	switch {
	case err != nil:
		return err
	case ended != nil:
		return ended
	}
	for _, s := range x.project.Services {
		if !isTask(s.Labels) {
			return errRuns
		}
	}
	there, err := x.e.inspected(ctx, x.r.Project, x.r.Stack)
	if err != nil {
		return err
	}
	for _, t := range there {
		if t.State != string(container.StateExited) {
			return errRuns
		}
	}
	return nil
}

func isTask(labels map[string]string) bool { return labels[labelTask] == "true" }

// ended is what is wrong with the containers, if anything.
func (x *runner) ended(ctx context.Context) (wrong *Failure, err error) {
	there, err := x.e.inspected(ctx, x.r.Project, x.r.Stack)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, t := range there {
		seen[t.Service] = true
		if wrong == nil {
			wrong = x.wrong(t)
		}
	}
	for _, name := range x.project.ServiceNames() {
		if !seen[name] && wrong == nil {
			wrong = fail(kindEnded, "the container of %s is gone: somebody removed it", name)
		}
	}
	return wrong, nil
}

// wrong is why a container is not as it should be.
func (x *runner) wrong(t Thing) *Failure {
	svc, ok := x.project.Services[t.Service]
	if !ok {
		return nil
	}
	who := fmt.Sprintf("container %s (%s)", t.Name, t.Image)
	switch {
	case t.OOM:
		limit := ""
		if n := memoryLimit(int64(svc.MemLimit), svc.Deploy); n > 0 {
			limit = " of " + units.BytesSize(float64(n))
		}
		return fail(kindEnded, "%s ran out of memory: its limit%s was not enough", who, limit)
	case t.State == string(container.StateExited) && isTask(svc.Labels) && t.Exit == 0:
		return nil
	case t.State == string(container.StateExited), t.State == string(container.StateDead):
		return fail(kindEnded, "%s ended with %s", who, exitText(t.Exit))
	}
	return nil
}

// exitText is an exit code, with the signal that it may stand for.
func exitText(code int) string {
	signals := map[int]string{130: "SIGINT", 134: "SIGABRT", 137: "SIGKILL", 139: "SIGSEGV", 143: "SIGTERM"}
	text := fmt.Sprintf("exit code %d", code)
	if s, ok := signals[code]; ok {
		text += " (" + s + ")"
	}
	return strings.TrimSpace(text)
}

func memoryLimit(limit int64, d *types.DeployConfig) int64 {
	if limit == 0 && d != nil && d.Resources.Limits != nil {
		return int64(d.Resources.Limits.MemoryBytes)
	}
	return limit
}
