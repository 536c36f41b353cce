package dev

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/checkup"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// preflightTime bounds what is asked before anything is started.
const preflightTime = 2 * time.Second

// smallForSignoz is what a machine should have that runs Signoz beside all else.
const smallForSignoz = 4 << 30

// preflight looks, all at once, at what would be short: memory, and room for
// data and images. It warns; whether a port is free is only known to who opens
// it, and the supervisor opens all of them before it starts anything.
func (pl *plan) preflight(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, preflightTime)
	defer cancel()
	var wg sync.WaitGroup
	found := make([]string, 3)
	for i, check := range []func(context.Context) string{pl.lacksMemory, pl.lacksDisk, pl.lacksSignoz} {
		wg.Go(func() { found[i] = check(ctx) })
	}
	wg.Wait()
	for _, text := range found {
		if text != "" {
			pl.warnings = append(pl.warnings, text)
		}
	}
}

// needs are what the containers of the plan may take, and their images on disk.
func (pl *plan) needs() (memory, disk uint64) {
	for _, i := range pl.contained() {
		memory += uint64(i.Stack.Memory)
		disk += uint64(i.Stack.Disk)
	}
	return memory, disk
}

func (pl *plan) lacksMemory(context.Context) string {
	need, _ := pl.needs()
	_, free, err := checkup.FreeMemory()
	if err != nil || need <= free {
		return ""
	}
	return fmt.Sprintf("the containers may take %s of memory, and %s are free", size(need), size(free))
}

func (pl *plan) lacksSignoz(context.Context) string {
	total, _, err := checkup.FreeMemory()
	if i := pl.stacks.Instance("signoz"); i == nil || err != nil || total >= smallForSignoz {
		return ""
	}
	return fmt.Sprintf("signoz wants a machine of %s, and this one has %s of memory", size(smallForSignoz), size(total))
}

func (pl *plan) lacksDisk(context.Context) string {
	need := uint64(checkup.EnoughDisk)
	for _, i := range pl.contained() {
		if len(i.Pulls) > 0 {
			need += uint64(i.Stack.Disk)
		}
	}
	free, err := checkup.FreeDisk(pl.Root)
	if err != nil || free >= need {
		return ""
	}
	return fmt.Sprintf("data and images want %s of disk, and %s are free", size(need), size(free))
}

// checkCompose lets the engine's library read every compose file. All that is
// wrong is one error.
func (pl *plan) checkCompose(ctx context.Context) error {
	list := pl.contained()
	if len(list) == 0 {
		return nil
	}
	e, err := pl.stacks.Project.Engine(ctx)
	if err != nil {
		return advised(err)
	}
	errs := make([]error, len(list))
	var wg sync.WaitGroup
	for n, i := range list {
		wg.Go(func() { errs[n] = e.Check(ctx, i.Compose()) })
	}
	wg.Wait()
	var first *prism.Error
	var more []string
	for n, err := range errs {
		switch {
		case err == nil:
		case first == nil && errors.As(err, &first):
		default:
			more = append(more, list[n].Stack.Name+": "+prism.From(err).Message)
		}
	}
	if first == nil {
		return nil
	}
	first.Message = strings.Join(append([]string{first.Message}, more...), "; ")
	return advised(first)
}

func size(n uint64) string { return cli.Size(int64(n)) }
