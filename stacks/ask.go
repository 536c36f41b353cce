package stacks

import (
	"context"
	"slices"
	"sync"

	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/stacks/engine"
)

// An engineCall finds the container engine once, when it is first needed.
type engineCall struct {
	find func(context.Context) (engine.Engine, error)

	asked  bool
	engine engine.Engine // nil: not to be had
	info   engine.Info
	err    *prism.Error
}

func (c *engineCall) ask(ctx context.Context) *prism.Error {
	if c.asked {
		return c.err
	}
	c.asked = true
	if c.find == nil {
		c.err = prism.New(prism.ReasonFailedPrecond, "containers are not used").WithMeta("kind", "engine_missing")
		return c.err
	}
	e, err := c.find(ctx)
	if err == nil {
		c.info, err = e.Info(ctx)
	}
	if err != nil {
		c.err = prism.From(err)
		return c.err
	}
	c.engine = e
	return nil
}

// askEngine asks what the plan must know of the engine: what runs there for us
// already, and which images are to be pulled.
func (pl *Plan) askEngine(ctx context.Context, eng *engineCall) error {
	var list []*Instance
	var want config.Size
	for _, i := range pl.Instances {
		if i.Form == FormContainer {
			i.endpoint, i.rootless = eng.info.Endpoint, eng.info.Rootless
			i.setImages()
			list, want = append(list, i), want+i.Stack.Memory
		}
	}
	if len(list) == 0 {
		return nil
	}
	if have := eng.info.Memory; have > 0 && int64(want) > have {
		pl.warn("the containers may take %s together, and the engine has %s", want, config.Size(have>>20<<20))
	}
	return askAll(ctx, eng.engine, pl.Project.ID, list)
}

// askAll asks all at once: each question is a run of prism-compose.
func askAll(ctx context.Context, eng engine.Engine, project string, list []*Instance) error {
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		errs   []error
		absent = map[string]bool{}
		things []engine.Thing
	)
	ask := func(question func() error) {
		wg.Go(func() {
			if err := question(); err != nil {
				mu.Lock()
				errs = append(errs, err)
				mu.Unlock()
			}
		})
	}
	ask(func() (err error) {
		things, err = eng.List(ctx, project)
		return err
	})
	refs := map[string]bool{}
	for _, i := range list {
		for _, ref := range i.Images {
			refs[ref] = true
		}
	}
	for ref := range refs {
		ask(func() error {
			image, err := eng.Image(ctx, ref)
			mu.Lock()
			defer mu.Unlock()
			absent[ref] = err == nil && !image.Present
			return err
		})
	}
	wg.Wait()
	if len(errs) > 0 {
		return errs[0] // they are mostly the same: the engine went away
	}
	for _, i := range list {
		for _, t := range things {
			i.held = i.held || t.Kind == "container" && t.Stack == i.Stack.Name && t.State == "running"
		}
		for _, ref := range i.Images {
			if absent[ref] && !slices.Contains(i.Pulls, ref) {
				i.Pulls = append(i.Pulls, ref)
			}
		}
		slices.Sort(i.Pulls)
	}
	return nil
}
