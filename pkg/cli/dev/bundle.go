package dev

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
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

// Bounds of a bundle.
const (
	bundleLines = 2000 // of logs
	bundleBytes = 4 << 20
)

func runBundle(ctx context.Context, o *bundleOptions) error {
	p, err := o.Project()
	if err != nil {
		return err
	}
	if _, err := os.Lstat(o.File); err == nil {
		return cli.WithFix(prism.New(prism.ReasonAlreadyExists, "%s is there already", o.File), "name another file, or remove it")
	}
	hide, err := p.redactor()
	if err != nil {
		return err
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	var names []string
	add := func(name string, text []byte) error {
		w, err := z.Create(name)
		if err != nil {
			return err
		}
		names = append(names, name)
		_, err = w.Write(hide.clean(text))
		return err
	}
	for _, part := range []struct {
		name string
		read func(context.Context, project) ([]byte, error)
	}{
		{"versions.json", o.versions},
		{"status.json", o.status},
		{"doctor.json", o.doctor},
		{"metrics.txt", o.metrics},
		{"logs.jsonl", o.logs},
		{"config/prism.yaml", func(_ context.Context, p project) ([]byte, error) { return readIf(p.file) }},
		{"config/.prism.yaml", func(_ context.Context, p project) ([]byte, error) { return readIf(p.File) }},
		{"config/gateway.yaml", func(_ context.Context, p project) ([]byte, error) {
			return readIf(filepath.Join(p.state, "gateway.yaml"))
		}},
		{"state/stacks.json", func(_ context.Context, p project) ([]byte, error) {
			return readIf(filepath.Join(p.state, "stacks.json"))
		}},
		{"state/wish.json", func(_ context.Context, p project) ([]byte, error) { return readIf(p.wishFile()) }},
		{"state/supervisor.out", func(_ context.Context, p project) ([]byte, error) {
			return readIf(filepath.Join(p.state, "supervisor.out"))
		}},
	} {
		text, err := part.read(ctx, p)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil { // that it cannot be had is worth knowing too
			text = []byte(err.Error() + "\n")
			part.name += ".error"
		}
		if text == nil {
			continue
		}
		if err := add(part.name, text); err != nil {
			return err
		}
	}
	if err := z.Close(); err != nil {
		return err
	}
	f, err := os.OpenFile(o.File, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(b.Bytes()); err == nil {
		err = f.Close()
	}
	if err != nil {
		os.Remove(o.File)
		return err
	}
	for _, name := range names {
		fmt.Fprintln(o.IO.Out, name)
	}
	fmt.Fprintf(o.IO.ErrOut, "wrote %s (%s); %s known to this project were taken out\n", iostreams.Escape(o.File), size(uint64(b.Len())), cli.Plural(hide.known(), "secret"))
	return nil
}

func readIf(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, bundleBytes))
}

func indented(v any) ([]byte, error) {
	text, err := json.MarshalIndent(v, "", "  ")
	return append(text, '\n'), err
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
	return indented(map[string]any{"prismctl": o.Build, "go": runtime.Version(), "system": runtime.GOOS + "/" + runtime.GOARCH, "stacks": objects})
}

func (o *bundleOptions) status(ctx context.Context, p project) ([]byte, error) {
	st, err := p.status(ctx)
	if err != nil {
		return nil, err
	}
	p.parts(ctx, &st)
	return indented(st)
}

func (o *bundleOptions) doctor(ctx context.Context, p project) ([]byte, error) {
	return indented(o.Doctor.examine(ctx, p))
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
	return io.ReadAll(io.LimitReader(res.Body, bundleBytes))
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
