package dev

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/checkup"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/supervise"
)

type bundleOptions struct {
	IO      *iostreams.IOStreams
	Build   cli.Build
	Project func() (project, error)
	Doctor  *doctorOptions

	File string
}

func newBundle(f *cli.Factory, run func(context.Context, *bundleOptions) error) *cobra.Command {
	o := &bundleOptions{
		IO: f.IO, Build: f.Build, Project: func() (project, error) { return find(f) },
		Doctor: &doctorOptions{IO: f.IO, Clock: f.Clock, Up: upOf(f)},
	}
	return &cobra.Command{
		Use:     "bundle FILE",
		Short:   "Write what a bug report needs, without secrets",
		Long:    "Writes a zip file with versions, configuration, status, doctor's findings, metrics and recent logs.\nSecrets are taken out: what the project's secret files and variables hold, and what looks like one.\nLook into it before you give it away: what applications wrote into keys and logs is there as it was.",
		Example: "  prismctl dev bundle bug.zip\n  prismctl dev bundle /tmp/prism.zip",
		Args:    cli.ExactArgs("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.File = args[0]; !filepath.IsAbs(o.File) {
				o.File = filepath.Join(f.Place.Dir, o.File)
			}
			return run(cmd.Context(), o)
		},
	}
}

// bundleLines bounds the logs of a bundle.
const bundleLines = 2000

func runBundle(ctx context.Context, o *bundleOptions) error {
	p, err := o.Project()
	if err != nil {
		return err
	}
	hide, err := checkup.NewRedactor(p.state, filepath.Join(p.Root, ".prism", "data"))
	if err != nil {
		return err
	}
	file := func(path string) func(context.Context) ([]byte, error) {
		return func(context.Context) ([]byte, error) { return checkup.ReadIf(path) }
	}
	of := func(read func(context.Context, project) ([]byte, error)) func(context.Context) ([]byte, error) {
		return func(ctx context.Context) ([]byte, error) { return read(ctx, p) }
	}
	return checkup.Bundle(ctx, o.IO, o.File, hide, []checkup.Part{
		{Name: "versions.json", Read: of(o.versions)},
		{Name: "status.json", Read: of(o.status)},
		{Name: "doctor.json", Read: of(o.doctor)},
		{Name: "metrics.txt", Read: of(o.metrics)},
		{Name: "logs.jsonl", Read: of(o.logs)},
		{Name: "config/prism.yaml", Read: file(p.file)},
		{Name: "config/.prism.yaml", Read: file(p.File)},
		{Name: "config/gateway.yaml", Read: file(filepath.Join(p.state, "gateway.yaml"))},
		{Name: "state/stacks.json", Read: file(filepath.Join(p.state, "stacks.json"))},
		{Name: "state/wish.json", Read: file(p.wishFile())},
		{Name: "state/supervisor.out", Read: file(filepath.Join(p.state, "supervisor.out"))},
	})
}

func (o *bundleOptions) versions(ctx context.Context, p project) ([]byte, error) {
	list, err := p.versions(ctx, o.Doctor.Clock.Now())
	if err != nil {
		return nil, err
	}
	var objects []cli.Object
	for _, v := range list {
		objects = append(objects, versions().Object(v))
	}
	return checkup.JSON(map[string]any{"prismctl": o.Build, "go": runtime.Version(), "system": runtime.GOOS + "/" + runtime.GOARCH, "stacks": objects})
}

func (o *bundleOptions) status(ctx context.Context, p project) ([]byte, error) {
	st, err := p.status(ctx)
	if err != nil {
		return nil, err
	}
	p.parts(ctx, &st)
	return checkup.JSON(st)
}

func (o *bundleOptions) doctor(ctx context.Context, p project) ([]byte, error) {
	return checkup.JSON(o.Doctor.examine(ctx, p))
}

// metrics are those of the gateway that runs.
func (o *bundleOptions) metrics(ctx context.Context, p project) ([]byte, error) {
	st, err := p.status(ctx)
	s := st.Service(gateway)
	if err != nil || !st.Running || s == nil {
		return nil, nil //nolint:nilerr // the status says it
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, addressOf("metrics", s.Listen["metrics"]), nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	return io.ReadAll(io.LimitReader(res.Body, checkup.MostBytes))
}

func (o *bundleOptions) logs(_ context.Context, p project) ([]byte, error) {
	lines, err := supervise.ReadLogs(p.logs(), supervise.LogQuery{Tail: bundleLines})
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	for _, l := range lines {
		if err := enc.Encode(l); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}
