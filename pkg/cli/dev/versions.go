package dev

import (
	"context"
	"os/exec"
	"regexp"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/supervise"
	"github.com/prism-data-layer/prism/stacks"
)

type versionsOptions struct {
	Out     *cli.Output
	Clock   clock.Clock
	Project func() (project, error)
}

// The words for how what runs and what is wanted compare.
const (
	driftNone   = "same"
	driftYes    = "differs"
	driftUnseen = "not running"
)

// A version is one image of a stack: which one is pinned, which is wanted here,
// which runs.
type version struct {
	Stack, Image            string
	Pinned, Wanted, Running string
	Form                    string
	Drift                   string
	Updated                 time.Time
	Every                   string
	Due                     bool
	Breaking                []string
}

func versions() cli.Kind[version] {
	return cli.Kind[version]{Name: "DevVersion", Fields: []cli.Field[version]{
		cli.Text("name", "STACK", "the stack", func(v version) string { return v.Stack }),
		cli.Text("image", "IMAGE", "the image's name in the stack", func(v version) string { return v.Image }),
		cli.Text("wanted", "WANTED", "what dev up would run in a container: the pinned image, or the one of .prism.yaml", func(v version) string { return v.Wanted }),
		cli.Text("running", "RUNNING", "what runs: an image, or what a native program says of itself", func(v version) string { return v.Running }),
		cli.State("drift", "DRIFT", "same, differs, or not running", func(v version) string { return v.Drift }),
		cli.Bool("due", "DUE", "whether the pinned version is older than it should get", func(v version) bool { return v.Due }),
		cli.Time("chosen_at", "CHOSEN", "when the pinned version was chosen", func(v version) int64 { return millis(v.Updated) }),
		cli.Text("every", "", "how often it is due for renewal", func(v version) string { return v.Every }),
		cli.Text("pinned", "", "the image that was chosen with this version of prismctl", func(v version) string { return v.Pinned }),
		cli.Text("form", "FORM", "container or native, of what runs", func(v version) string { return v.Form }).OnlyWide(),
		cli.Words("breaking", "", "what changed for users with the pinned version", func(v version) []string { return v.Breaking }),
	}}
}

func newVersions(f *cli.Factory, run func(context.Context, *versionsOptions) error) *cobra.Command {
	o := &versionsOptions{Clock: f.Clock, Project: func() (project, error) { return find(f) }}
	cmd := &cobra.Command{
		Use:     "versions",
		Short:   "Compare pinned, wanted and running versions of stacks",
		Long:    "Shows of every stack which image is pinned, which one this folder wants, and what runs; whether they\ndiffer, and whether the pinned one is due for renewal. It looks at this machine only.",
		Example: "  prismctl dev versions\n  prismctl dev versions -o json --jq '.[] | select(.drift == \"differs\")'",
		Args:    cli.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	o.Out = cli.AddListOutput(f, cmd, versions().Info())
	return cmd
}

func runVersions(ctx context.Context, o *versionsOptions) error {
	p, err := o.Project()
	if err != nil {
		return err
	}
	list, err := p.versions(ctx, o.Clock.Now())
	if err != nil {
		return err
	}
	return cli.PrintList(o.Out, versions(), list, "there are no stacks")
}

// versions compares every image of every stack with what is wanted and runs.
func (p project) versions(ctx context.Context, now time.Time) ([]version, error) {
	all, err := stacks.Catalog()
	if err != nil {
		return nil, err
	}
	records, err := stacks.Running(p.state)
	if err != nil {
		return nil, advised(err)
	}
	st, err := p.status(ctx)
	if err != nil {
		return nil, err
	}
	var list []version
	for _, s := range all {
		for n, image := range s.Images {
			v := version{
				Stack: s.Name, Image: image.Name, Pinned: image.Image, Wanted: p.wantedImage(s, n), Every: image.Every, Breaking: image.Breaking, Drift: driftUnseen,
			}
			if v.Updated, err = time.Parse(time.DateOnly, image.Updated); err == nil {
				v.Due = due(v.Updated, v.Every, now)
			}
			p.compare(ctx, &v, s, st, records)
			list = append(list, v)
		}
	}
	return list, nil
}

// wantedImage is the nth image of a stack as this folder wants it.
func (p project) wantedImage(s *stacks.Stack, n int) string {
	image := s.Images[n]
	if p.own != nil {
		if ref := p.own.Images[s.Name+"."+image.Name]; ref != "" {
			return ref
		}
		if ref := p.own.Images[s.Name]; ref != "" && n == 0 {
			return ref
		}
	}
	return image.Image
}

// compare fills in what runs.
func (p project) compare(ctx context.Context, v *version, s *stacks.Stack, st supervise.Status, records []stacks.Record) {
	service := st.Service(s.Name)
	i := slices.IndexFunc(records, func(r stacks.Record) bool { return r.Name == s.Name })
	if service == nil || service.PID == 0 || i < 0 {
		return
	}
	r := records[i]
	v.Form = string(r.Form)
	if r.Form == stacks.FormContainer {
		if v.Running = r.Images[v.Image]; v.Running == v.Wanted {
			v.Drift = driftNone
		} else {
			v.Drift = driftYes
		}
		return
	}
	v.Running = nativeVersion(ctx, r.Program, s.Native)
	wanted := number.FindString(tagOf(v.Wanted))
	if running := number.FindString(v.Running); running != "" && running == wanted {
		v.Drift = driftNone
	} else {
		v.Drift = driftYes
	}
}

// number is a version in what a program or a tag says.
var number = regexp.MustCompile(`\d+(\.\d+)+`)

// tagOf is the tag of an image's reference.
func tagOf(ref string) string {
	for i := len(ref) - 1; i >= 0 && ref[i] != '/'; i-- {
		if ref[i] == ':' {
			return ref[i+1:]
		}
	}
	return ""
}

// versionTime is how long a program may take to tell its version.
const versionTime = 2 * time.Second

// nativeVersion is the first line that a program says of its version.
func nativeVersion(ctx context.Context, program string, n *stacks.Native) string {
	if n == nil || len(n.Version) == 0 {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, versionTime)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, n.Version...).CombinedOutput()
	if err != nil {
		return ""
	}
	return firstLine(string(out))
}

// due reports whether a version is older than it should get.
func due(chosen time.Time, every string, now time.Time) bool {
	months := map[string]int{"monthly": 1, "quarterly": 3, "yearly": 12}[every]
	return months > 0 && !now.Before(chosen.AddDate(0, months, 0))
}
