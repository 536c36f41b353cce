package loadtest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/loadtest"
	"github.com/prism-data-layer/prism/loadtest/otlp"
	"github.com/prism-data-layer/prism/loadtest/report"
	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// fromEnv is the --otlp that means the collector of the environment.
const fromEnv = "env"

// figuresFlush is how long a run's last figures may take to be sent.
const figuresFlush = 2 * time.Second

// figures are what --otlp sends, and where.
type figures struct {
	collector string
	export    *otlp.Export
}

// collector is where --otlp points to; empty without it.
func (o *runOptions) collector() (string, error) {
	text := o.OTLP
	switch text {
	case "":
		return "", nil
	case fromEnv:
		if text = o.IO.Env(config.EnvOTLP); text == "" {
			return "", cli.Usage("set it, or name the collector: --otlp localhost:4317", "--otlp env: %s is not set", config.EnvOTLP)
		}
	}
	where, err := otlp.Endpoint(text)
	if err != nil {
		return "", cli.Usage("write it as localhost:4317 or https://HOST:4317", "--otlp: %s", prism.From(err).Message)
	}
	return where, nil
}

// startFigures has the plan's snapshots sent, where the job asks for it.
func (o *runOptions) startFigures(ctx context.Context, j *job, plan *loadtest.Plan) (*figures, error) {
	if j.collector == "" {
		return nil, nil
	}
	x, err := otlp.Start(ctx, otlp.Options{Endpoint: j.collector, Version: o.Version, Run: j.run, Scenario: j.scenario.Name, Clock: o.Clock})
	if err != nil {
		return nil, err
	}
	show := plan.Progress
	plan.Bounds = otlp.Bounds()
	plan.Progress = func(s report.Snapshot) {
		x.Observe(s)
		show(s)
	}
	return &figures{j.collector, x}, nil
}

// end sends what is left, and remembers what is to be told.
func (f *figures) end(ctx context.Context, j *job) {
	if f == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), figuresFlush)
	defer cancel()
	got := f.export.Close(ctx)
	j.sent = &got
}

// tellFigures says where the figures are, or how many are not.
func (o *runOptions) tellFigures(j *job) {
	if j.sent == nil {
		return
	}
	if n := j.sent.Dropped; n > 0 {
		fmt.Fprintf(o.IO.ErrOut, "warning: the collector %s did not take %d of %s of figures: %s\n",
			j.collector, n, cli.Plural(int64(n+j.sent.Sent), "report"), iostreams.Escape(report.CleanMessage(j.sent.Err.Error())))
	}
	if link := o.IO.Env(config.EnvRunURL); link != "" && j.sent.Sent > 0 {
		fmt.Fprintf(o.IO.ErrOut, "figures: %s with prism.run.id = %s\n", iostreams.Escape(strings.ReplaceAll(link, "{run}", j.run)), j.run)
	}
}
