package manifest

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

type exportOptions struct {
	IO     *iostreams.IOStreams
	Client func(context.Context) (adminv1.AdminServiceClient, error)

	Kind, Name string // "": all
}

// NewExport makes the command export, of one kind or ("") of all.
func NewExport(f *cli.Factory, kind string) *cobra.Command { return newExport(f, kind, runExport) }

func newExport(f *cli.Factory, kind string, run func(context.Context, *exportOptions) error) *cobra.Command {
	o := &exportOptions{IO: f.IO, Client: f.Admin}
	typed := verb(kind, "export")
	cmd := &cobra.Command{
		Use:   "export [NAME]",
		Short: "Write " + things(kind) + " as files for apply",
		Long: `Writes ` + things(kind) + ` as YAML, in the form that apply reads: applied again it changes
nothing. Of a namespace it writes where its data is, not where it was wished to be. What the
gateway's own file declares is written too, with a line that says so; defaults are left out.`,
		Example: "  " + typed + "\n  " + typed + " kv",
		Args:    cli.OptionalArgs("NAME"),
	}
	switch kind {
	case config.KindNamespace:
		cmd.ValidArgsFunction = cli.CompleteNamespaces(f)
	case config.KindBackend:
		cmd.ValidArgsFunction = cli.CompleteBackends(f)
		cmd.Example = "  " + typed + "\n  " + typed + " local"
	default:
		cmd.Use, cmd.Args = "export [KIND [NAME]]", cli.OptionalArgs("KIND", "NAME")
		cmd.Example = "  prismctl export\n  prismctl export namespace kv"
		cmd.ValidArgsFunction = cobra.FixedCompletions([]string{"namespace", "backend"}, cobra.ShellCompDirectiveNoFileComp)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if out := cmd.Flag("output"); out.Changed && out.Value.String() != cli.FormatYAML {
			return cli.Usage("leave out -o, or pass -o yaml", "export writes YAML, not %s", out.Value)
		}
		var err error
		if o.Kind, o.Name, err = wanted(kind, args); err != nil {
			return err
		}
		return run(cmd.Context(), o)
	}
	return cmd
}

// wanted reads the arguments.
func wanted(kind string, args []string) (of, name string, err error) {
	if kind == "" && len(args) > 0 {
		switch strings.ToLower(args[0]) {
		case "namespace", "namespaces", "ns":
			kind = config.KindNamespace
		case "backend", "backends", "be":
			kind = config.KindBackend
		default:
			return "", "", cli.Usage("use namespace or backend", "%q is not a kind that can be exported", args[0])
		}
		args = args[1:]
	}
	return kind, strings.Join(args, ""), nil
}

func runExport(ctx context.Context, o *exportOptions) error {
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	n := 0
	write := func(object config.Object, declaredIn string) {
		if n++; n > 1 {
			b.WriteString("---\n")
		}
		if declaredIn != "" {
			fmt.Fprintf(&b, "# Declared in %s, and changed there.\n", iostreams.Escape(declaredIn))
		}
		b.Write(config.MarshalObject(object))
	}
	if o.Kind != config.KindNamespace {
		r, err := c.ListBackends(ctx, &adminv1.ListBackendsRequest{})
		if err != nil {
			return err
		}
		for _, be := range r.GetBackends() {
			if o.Name != "" && be.GetName() != o.Name {
				continue
			}
			object, err := backendOf(be)
			if err != nil {
				return err
			}
			write(config.Object{Kind: config.KindBackend, Backend: object}, be.GetDeclaredIn())
		}
		if o.Name != "" && n == 0 {
			return cli.NotFoundFix(prism.NotFound("backend", o.Name), "prismctl backend list")
		}
	}
	if o.Kind != config.KindBackend {
		if err := o.namespaces(ctx, c, write); err != nil {
			return err
		}
	}
	if n == 0 {
		fmt.Fprintf(o.IO.ErrOut, "there are no %s\n", things(o.Kind))
	}
	_, err = o.IO.Out.Write(b.Bytes())
	return err
}

func (o *exportOptions) namespaces(ctx context.Context, c adminv1.AdminServiceClient, write func(config.Object, string)) error {
	one := func(n *adminv1.Namespace) {
		if s := n.GetState(); s != adminv1.NamespaceState_NAMESPACE_STATE_DELETING && s != adminv1.NamespaceState_NAMESPACE_STATE_DELETED {
			write(config.Object{Kind: config.KindNamespace, Namespace: namespaceOf(n)}, n.GetDeclaredIn())
		}
	}
	if o.Name == "" {
		return eachNamespace(ctx, c, one)
	}
	r, err := c.GetNamespace(ctx, &adminv1.GetNamespaceRequest{Name: o.Name})
	if err != nil {
		return cli.NotFoundFix(err, "prismctl namespace list")
	}
	one(r.GetNamespace())
	return nil
}
