package dev

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/supervise"
	"github.com/prism-data-layer/prism/stacks"
)

type openOptions struct {
	IO      *iostreams.IOStreams
	Project func() (project, error)
	Start   func(url string) error // the browser

	Name string
}

func newOpen(f *cli.Factory, run func(context.Context, *openOptions) error) *cobra.Command {
	o := &openOptions{IO: f.IO, Project: func() (project, error) { return find(f) }}
	o.Start = func(url string) error { return browse(f.IO, url) }
	cmd := &cobra.Command{
		Use:     "open NAME",
		Short:   "Open a page of a service",
		Long:    "Prints the address of a service's page and what to know to sign in, and on a terminal opens it in\na browser. NAME is a service, or one of the names that dev up prints.",
		Example: "  prismctl dev open signoz\n  prismctl dev open prismd",
		Args:    cli.ExactArgs("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Name = args[0]
			return run(cmd.Context(), o)
		},
	}
	return cmd
}

func runOpen(ctx context.Context, o *openOptions) error {
	p, err := o.Project()
	if err != nil {
		return err
	}
	st, err := p.status(ctx)
	if err != nil {
		return err
	}
	if !st.Running {
		return cli.WithFix(prism.New(prism.ReasonUnavailable, "nothing runs for %s", p.Root), "prismctl dev up")
	}
	links, err := p.links(st)
	if err != nil {
		return err
	}
	var names []string
	for _, l := range links {
		if l.service != o.Name && l.Name != o.Name {
			names = append(names, l.service)
			continue
		}
		fmt.Fprintln(o.IO.Out, l.URL)
		if l.Note != "" {
			fmt.Fprintln(o.IO.ErrOut, iostreams.Escape(l.Note))
		}
		if page := strings.HasPrefix(l.URL, "http://") || strings.HasPrefix(l.URL, "https://"); page && o.IO.IsTTY(iostreams.Out) {
			if err := o.Start(l.URL); err != nil {
				fmt.Fprintln(o.IO.ErrOut, "no browser was opened: "+iostreams.Escape(err.Error()))
			}
		}
		return nil
	}
	return cli.WithFix(prism.NotFound("page", o.Name), "%s", cli.Meant(o.Name, names))
}

// A page is a link of a service.
type page struct {
	service string
	stacks.Link
}

// links are the pages of what runs.
func (p project) links(st supervise.Status) ([]page, error) {
	records, err := stacks.Running(p.state)
	if err != nil {
		return nil, advised(err)
	}
	var list []page
	for _, s := range st.Services {
		if addr := s.Listen["metrics"]; s.Name == gateway && addr != "" {
			list = append(list, page{gateway, stacks.Link{Name: "metrics", URL: addressOf("metrics", addr)}})
		}
		for _, r := range records {
			if r.Name == s.Name {
				for _, l := range r.Links {
					list = append(list, page{r.Name, l})
				}
			}
		}
	}
	return list, nil
}

// browse opens a page as the system does, or as BROWSER says.
func browse(io *iostreams.IOStreams, url string) error {
	var args []string
	switch browser := io.Env("BROWSER"); {
	case browser != "":
		args = []string{browser, url}
	case runtime.GOOS == "darwin":
		args = []string{"open", url}
	case runtime.GOOS == "windows":
		args = []string{"rundll32", "url.dll,FileProtocolHandler", url}
	default:
		args = []string{"xdg-open", url}
	}
	cmd := exec.Command(args[0], args[1:]...)
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release()
}
