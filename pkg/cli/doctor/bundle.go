package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/prism-data-layer/prism/pkg/cli/checkup"
	"github.com/prism-data-layer/prism/pkg/config"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

// redactor knows what this person and this machine keep secret.
func (o *options) redactor() (*checkup.Redactor, error) {
	r, err := checkup.NewRedactor(filepath.Dir(o.Factory.UserFile()))
	if err != nil {
		return nil, err
	}
	r.Add(o.IO.Env(config.EnvToken))
	for _, file := range o.private()[1:] {
		text, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err // a secret that cannot be read cannot be taken out
		}
		r.Add(string(text))
	}
	return r, nil
}

func (o *options) parts() []checkup.Part {
	text := func(path string) func(context.Context) ([]byte, error) {
		return func(context.Context) ([]byte, error) { return checkup.ReadIf(path) }
	}
	place, _, _ := o.Factory.Project() //nolint:errcheck // doctor.json says it
	parts := []checkup.Part{
		{Name: "versions.json", Read: o.versions},
		{Name: "doctor.json", Read: func(ctx context.Context) ([]byte, error) { return checkup.JSON(checkup.Run(ctx, o.checks())) }},
		{Name: "settings.txt", Read: o.settings},
		{Name: "environment.txt", Read: o.environment},
		{Name: "config/config.yaml", Read: text(o.Factory.UserFile())},
		{Name: "config/.prism.yaml", Read: text(place.File)},
	}
	tell := func(name string, ask func(context.Context, adminv1.AdminServiceClient) (proto.Message, error)) {
		parts = append(parts, checkup.Part{Name: "gateway/" + name, Read: func(ctx context.Context) ([]byte, error) { return o.told(ctx, ask) }})
	}
	tell("status.json", func(ctx context.Context, c adminv1.AdminServiceClient) (proto.Message, error) {
		return c.GetStatus(ctx, &adminv1.GetStatusRequest{})
	})
	tell("backends.json", func(ctx context.Context, c adminv1.AdminServiceClient) (proto.Message, error) {
		return c.ListBackends(ctx, &adminv1.ListBackendsRequest{})
	})
	tell("namespaces.json", func(ctx context.Context, c adminv1.AdminServiceClient) (proto.Message, error) {
		return c.ListNamespaces(ctx, &adminv1.ListNamespacesRequest{Limit: mostNamespaces})
	})
	tell("stats.json", func(ctx context.Context, c adminv1.AdminServiceClient) (proto.Message, error) {
		return c.GetStats(ctx, &adminv1.GetStatsRequest{})
	})
	tell("traces.json", func(ctx context.Context, c adminv1.AdminServiceClient) (proto.Message, error) {
		return c.ListTraces(ctx, &adminv1.ListTracesRequest{Errors: true})
	})
	return parts
}

// mostNamespaces bounds what a bundle tells of.
const mostNamespaces = 1000

// told is what the gateway answers, as JSON.
func (o *options) told(ctx context.Context, ask func(context.Context, adminv1.AdminServiceClient) (proto.Message, error)) ([]byte, error) {
	c, err := o.admin()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	m, err := ask(ctx, c)
	if err != nil {
		return nil, err
	}
	return protojson.MarshalOptions{Multiline: true}.Marshal(m)
}

func (o *options) versions(context.Context) ([]byte, error) {
	return checkup.JSON(map[string]any{"prismctl": o.Build, "go": runtime.Version(), "system": runtime.GOOS + "/" + runtime.GOARCH})
}

// settings are those in force; secrets are hidden in them already.
func (o *options) settings(context.Context) ([]byte, error) {
	s, err := o.Factory.Settings()
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	for _, v := range s.List() {
		fmt.Fprintf(&b, "%s: %s (%s)\n", v.Name, v.Display(), v.Origin)
	}
	return []byte(b.String()), nil
}

// environment are the variables that prismctl goes by.
func (o *options) environment(context.Context) ([]byte, error) {
	var b strings.Builder
	for _, v := range config.Variables() {
		if value, set := o.IO.LookupEnv(v.Name); set {
			fmt.Fprintf(&b, "%s=%s\n", v.Name, value)
		}
	}
	return []byte(b.String()), nil
}
