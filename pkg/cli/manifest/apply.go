package manifest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

type applyOptions struct {
	IO     *iostreams.IOStreams
	Out    *cli.Output
	Files  *files
	Client func(context.Context) (adminv1.AdminServiceClient, error)

	Kind   string // the only one; "": any
	DryRun bool
}

// NewApply makes the command apply, of one kind or ("") of all.
func NewApply(f *cli.Factory, kind string) *cobra.Command { return newApply(f, kind, runApply) }

func newApply(f *cli.Factory, kind string, run func(context.Context, *applyOptions) error) *cobra.Command {
	o := &applyOptions{IO: f.IO, Kind: kind, Client: f.Admin}
	typed := verb(kind, "apply")
	cmd := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Make " + things(kind) + " as files say",
		Long: `Makes the gateway have what files say of ` + things(kind) + `: what is missing is created, what
differs is changed, and the rest is left alone. A file holds any number of documents, divided by ---,
in the words of the gateway's own file; what a document leaves out has its default, but for access,
which then stays as it is. Backends come before namespaces. Nothing is ever deleted.
If something fails the command goes on, says what was not done and ends with 8; run it again.`,
		Example: "  " + typed + " -f objects.yaml --dry-run\n  prismctl export | " + typed + " -f -",
		Args:    cli.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	if kind != "" {
		cmd.Example = "  " + typed + " -f objects.yaml --dry-run\n  " + typed + " -f objects.yaml -o json"
	}
	o.Out = cli.AddListOutput(f, cmd, kinds().Info())
	o.Files = addFiles(f, cmd, kind, typed+" -f FILE")
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "show what would change, and change nothing")
	return cmd
}

func runApply(ctx context.Context, o *applyOptions) error {
	list, err := o.Files.read()
	if err != nil {
		return err
	}
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	changes, err := plan(ctx, c, list)
	if err != nil {
		return err
	}
	if refusal := firstOf(changes, refused); refusal == nil {
		if o.DryRun {
			judge(ctx, c, changes)
		} else {
			carryOut(ctx, c, changes)
		}
	}
	if o.DryRun && !o.Out.Asked() {
		printDiff(o.IO, changes)
	} else if err := cli.PrintList(o.Out, kinds(), cli.Cut(o.Out, changes), ""); err != nil {
		return err
	}
	return o.verdict(ctx, changes)
}

// judge lets the gateway look at each change that it can judge by itself.
func judge(ctx context.Context, c adminv1.AdminServiceClient, changes []*change) {
	fresh := map[string]bool{} // backends that are not there yet
	for _, ch := range changes {
		switch {
		case ch.state != planned:
		case ch.object.Backend != nil:
			fresh[ch.object.Backend.Name] = true
		case fresh[ch.spec.GetBackend()]:
		default:
			if err := ch.send(ctx, c, true); err != nil {
				ch.refuse(err)
			}
		}
	}
}

// carryOut makes the changes one after the other. One that fails takes those
// with it that build on it; a gateway that is gone, and Ctrl-C, take the rest.
func carryOut(ctx context.Context, c adminv1.AdminServiceClient, changes []*change) {
	var stopped error
	missing := map[string]bool{} // backends that could not be added
	for _, ch := range changes {
		switch {
		case ch.state != planned:
			continue
		case ctx.Err() != nil:
			stopped = context.Cause(ctx)
		case ch.object.Namespace != nil && missing[ch.spec.GetBackend()]:
			ch.state, ch.err = notDone, prism.New(prism.ReasonFailedPrecond, "backend %q could not be added", ch.spec.GetBackend())
			continue
		}
		if stopped != nil {
			ch.state, ch.err = notDone, stopped
			continue
		}
		ch.state = done
		if err := ch.send(ctx, c, false); err != nil {
			ch.state, ch.err = failed, err
			if ch.object.Backend != nil {
				missing[ch.object.Backend.Name] = true
			}
			if errors.Is(err, prism.ReasonUnavailable) {
				stopped = err
			}
		}
	}
}

func firstOf(changes []*change, state string) *change {
	for _, ch := range changes {
		if ch.state == state {
			return ch
		}
	}
	return nil
}

func named(changes []*change, states ...string) (names []string) {
	for _, state := range states {
		for _, ch := range changes {
			if ch.state == state {
				names = append(names, resource(ch.object))
			}
		}
	}
	return names
}

// verdict says how it went.
func (o *applyOptions) verdict(ctx context.Context, changes []*change) error {
	if bad := firstOf(changes, refused); bad != nil {
		for _, ch := range changes {
			if ch.state == refused && ch != bad {
				fmt.Fprintf(o.IO.ErrOut, "refused too: %s: %s\n", resource(ch.object), iostreams.Escape(ch.why()))
			}
		}
		o.Out.Note("nothing was changed")
		return bad.err
	}
	undone, did := named(changes, failed, notDone), named(changes, done)
	bad := firstOf(changes, failed)
	switch {
	case ctx.Err() != nil && len(undone) > 0:
		o.Out.Note("done: %s; not done: %s", some(did), some(undone))
		return context.Cause(ctx)
	case bad != nil && len(did) == 0:
		return bad.err
	case bad != nil:
		err := prism.New(prism.ReasonFailedPrecond, "partly done: not %s, but %s", some(undone), some(did)).WithCause(bad.err)
		return &cli.Failure{Err: err, Exit: cli.ExitPartial, Fix: "mend the cause and run it again: what is done stays as it is"}
	}
	o.Out.Note("%s", sum(changes, o.DryRun))
	if len(did) > 0 {
		o.Out.Note("next: %s", verb(o.Kind, "export"))
	}
	return nil
}

// some names a few, and counts the rest.
func some(names []string) string {
	const most = 5
	switch {
	case len(names) == 0:
		return "nothing"
	case len(names) > most:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// sum counts what was or would be done.
func sum(changes []*change, dry bool) string {
	count := map[string]int{}
	for _, ch := range changes {
		count[ch.action]++
	}
	text := fmt.Sprintf("%d created, %d changed, %d as they should be", count[create], count[update], count[none])
	if dry {
		text = fmt.Sprintf("would create %d and change %d; %d are as they should be (dry run)", count[create], count[update], count[none])
	}
	return text
}
