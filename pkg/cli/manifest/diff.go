package manifest

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

type diffOptions struct {
	IO     *iostreams.IOStreams
	Out    *cli.Output
	Files  *files
	Client func(context.Context) (adminv1.AdminServiceClient, error)
}

// NewDiff makes the command diff, of one kind or ("") of all.
func NewDiff(f *cli.Factory, kind string) *cobra.Command { return newDiff(f, kind, runDiff) }

func newDiff(f *cli.Factory, kind string, run func(context.Context, *diffOptions) error) *cobra.Command {
	o := &diffOptions{IO: f.IO, Client: f.Admin}
	typed := verb(kind, "diff")
	cmd := &cobra.Command{
		Use:   "diff -f FILE",
		Short: "Compare files with the gateway",
		Long: `Shows what apply would change: - is what the gateway has of ` + things(kind) + `, + what the files say.
Ends with 0 if nothing differs, 1 if something does, and more if it cannot be told.`,
		Example: "  " + typed + " -f objects.yaml\n  " + typed + " -f objects.yaml -o json",
		Args:    cli.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	o.Out = cli.AddListOutput(f, cmd, kinds().Info())
	o.Files = addFiles(f, cmd, kind, typed+" -f FILE")
	return cmd
}

func runDiff(ctx context.Context, o *diffOptions) error {
	changes, err := o.compare(ctx)
	if err != nil && cli.Code(err) == cli.ExitFailure { // 1 means that something differs
		return &cli.Failure{Err: err, Exit: cli.ExitInvalid}
	}
	if err != nil {
		return err
	}
	differ := 0
	for _, ch := range changes {
		if ch.action != none {
			differ++
		}
		if ch.state == refused {
			fmt.Fprintf(o.IO.ErrOut, "apply would refuse it: %s\n", iostreams.Escape(ch.why()))
		}
	}
	if o.Out.Asked() {
		err = cli.PrintList(o.Out, kinds(), cli.Cut(o.Out, changes), "")
	} else {
		printDiff(o.IO, changes)
	}
	if err == nil && differ > 0 {
		o.Out.Note("%d of %s differ", differ, cli.Plural(len(changes), "object"))
		return cli.ErrSilent(cli.ExitFailure)
	}
	if err == nil {
		o.Out.Note("nothing differs")
	}
	return err
}

func (o *diffOptions) compare(ctx context.Context) ([]*change, error) {
	list, err := o.Files.read()
	if err != nil {
		return nil, err
	}
	c, err := o.Client(ctx)
	if err != nil {
		return nil, err
	}
	return plan(ctx, c, list)
}

// printDiff shows each difference below the object that it is of.
func printDiff(ios *iostreams.IOStreams, changes []*change) {
	p := ios.Palette(iostreams.Out)
	for _, ch := range changes {
		if ch.action == none {
			continue
		}
		fmt.Fprintf(ios.Out, "%s %s (%s)\n", ch.action, p.Bold(resource(ch.object)), iostreams.Escape(ch.origin()))
		for _, l := range ch.diff {
			paint := p.Good
			if strings.HasPrefix(l, "-") {
				paint = p.Bad
			}
			fmt.Fprintf(ios.Out, "  %s\n", paint(iostreams.Escape(l)))
		}
	}
}
