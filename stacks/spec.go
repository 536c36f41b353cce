package stacks

import (
	"context"
	"sync"
	"time"

	"github.com/prism-data-layer/prism/pkg/supervise"
	"github.com/prism-data-layer/prism/stacks/engine"
	"github.com/prism-data-layer/prism/stacks/probe"
)

// How long containers have to end, and the runner after them to remove them.
const (
	containerStop = 10 * time.Second
	runnerStop    = containerStop + 15*time.Second
)

// Spec describes the service for the supervisor.
func (i *Instance) Spec() supervise.Spec {
	p := proof{question: i.question}
	s := supervise.Spec{
		Name: i.Stack.Name, Path: i.Program, Args: i.args, Env: i.env, Dir: i.project.Root, After: i.after,
		Ready: supervise.Probe{Name: i.question.String(), Check: p.check, Timeout: i.startTimeout(), Every: i.probeSpec().Interval},
	}
	if i.Form == FormContainer {
		s.Args, s.Notes, s.Stop = engine.RunArgs(i.requestFile()), true, runnerStop
	}
	// Ports that containers of ours hold already are not for the supervisor to find
	// free: the runner takes them over.
	if i.held {
		return s
	}
	for _, port := range i.ports() {
		s.Listen = append(s.Listen, supervise.ListenSpec{
			Name: port.Name, Addr: loopback(i.Ports[port.Name]), Origin: i.Origins[port.Name], Own: true,
		})
	}
	return s
}

// A proof asks of each process once whether all works, such as a sign-in, and
// later only what costs little.
type proof struct {
	question probe.Question

	mu     sync.Mutex
	proved int // the pid that has passed
}

func (p *proof) check(ctx context.Context, inst supervise.Instance) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.proved == inst.PID {
		return p.question.Again(ctx)
	}
	err := p.question.Ask(ctx)
	if err == nil {
		p.proved = inst.PID
	}
	return err
}
