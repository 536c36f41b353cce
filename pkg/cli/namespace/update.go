package namespace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

type updater interface {
	GetNamespace(context.Context, *adminv1.GetNamespaceRequest, ...grpc.CallOption) (*adminv1.GetNamespaceResponse, error)
	UpdateNamespace(context.Context, *adminv1.UpdateNamespaceRequest, ...grpc.CallOption) (*adminv1.UpdateNamespaceResponse, error)
}

type updateOptions struct {
	IO      *iostreams.IOStreams
	Out     *cli.Output
	Client  func(context.Context) (updater, error)
	Changed func(flag string) bool

	Name, Description, Durability string
	DefaultTTL, MaxTTL, Retention cli.DurationFlag
	RPS, Burst                    int64
	AutoCreate                    bool
	DefaultKind                   string
	AddOwners, RemoveOwners       []string
	Grants, Revoke                []string
	IfRevision                    int64
	DryRun                        bool
}

func newUpdate(f *cli.Factory, run func(context.Context, *updateOptions) error) *cobra.Command {
	o := &updateOptions{IO: f.IO, Client: func(ctx context.Context) (updater, error) { return f.Admin(ctx) }}
	cmd := &cobra.Command{
		Use:   "update NAME",
		Short: "Change a namespace",
		Long: `Changes the fields that flags name, and shows what changed. It fails if somebody else changed
the namespace in between. A field that a file declares is changed in that file.`,
		Example: `  prismctl namespace update kv --description 'keys and values'
  prismctl namespace update kv --request-rps 5000 --burst 500
  prismctl namespace update kv --grant service:checkout=read --revoke user:ann --dry-run`,
		Args:              cli.ExactArgs("NAME"),
		ValidArgsFunction: cli.CompleteNamespaces(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Name, o.Changed = args[0], cmd.Flags().Changed
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddOutput(f, cmd, kind().Info())
	flags := cmd.Flags()
	flags.StringVar(&o.Description, "description", "", "say in a `TEXT` what it is for")
	flags.StringVar(&o.Durability, "durability", "", "the `NEED`: strong or relaxed")
	cli.Enum(cmd, "durability", "strong", "relaxed")
	flags.Var(&o.DefaultTTL, "default-ttl", "the time to live of a write that names none, a `DURATION`; 0 for none")
	flags.Var(&o.MaxTTL, "max-ttl", "the longest time to live, a `DURATION`; 0 for no bound")
	flags.Var(&o.Retention, "retention", "of a namespace of time series: keep events for this `DURATION`; 0 for ever")
	flags.Int64Var(&o.RPS, "request-rps", 0, "let through at most `N` requests a second; 0 for no bound")
	flags.Int64Var(&o.Burst, "burst", 0, "let through `N` at once; 0 for as many as the rate")
	flags.BoolVar(&o.AutoCreate, "auto-create", true, "of a queue namespace: publishing makes topics and queues")
	flags.StringVar(&o.DefaultKind, "default-kind", "", "of a queue namespace: the only `KIND` that publishing makes, log or work; '' for either")
	cli.Enum(cmd, "default-kind", "log", "work")
	flags.StringArrayVar(&o.AddOwners, "add-owner", nil, "let this `PRINCIPAL` do everything; may be given again")
	flags.StringArrayVar(&o.RemoveOwners, "remove-owner", nil, "no longer let this `PRINCIPAL` do everything; may be given again")
	flags.StringArrayVar(&o.Grants, "grant", nil, "let others in: a `GRANT` is PRINCIPAL=read,write; may be given again")
	flags.StringArrayVar(&o.Revoke, "revoke", nil, "let this `PRINCIPAL` in no longer; may be given again")
	flags.Int64Var(&o.IfRevision, "if-revision", 0, "only if the namespace still has revision `N`")
	flags.BoolVar(&o.DryRun, "dry-run", false, "show what would change, and change nothing")
	for _, name := range []string{"description", "durability", "default-ttl", "max-ttl", "retention", "request-rps", "burst", "auto-create", "default-kind"} {
		cli.SetDefault(cmd, name, "unchanged")
	}
	cli.SetDefault(cmd, "if-revision", "the one that was read")
	return cmd
}

func runUpdate(ctx context.Context, o *updateOptions) error {
	grants, err := parseGrants(o.Grants)
	if err != nil {
		return err
	}
	mask := o.mask()
	if len(mask) == 0 {
		return cli.Usage("prismctl namespace update --help", "nothing to change: name at least one field")
	}
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	got, err := c.GetNamespace(ctx, &adminv1.GetNamespaceRequest{Name: o.Name})
	if err != nil {
		return cli.NotFoundFix(err, seeList)
	}
	before := got.GetNamespace()
	spec := &adminv1.NamespaceSpec{Name: o.Name} // a gateway that answers without one is of another version
	proto.Merge(spec, before.GetSpec())
	o.apply(spec, grants)
	revision := before.GetRevision()
	if o.IfRevision != 0 {
		revision = o.IfRevision
	}
	r, err := c.UpdateNamespace(ctx, &adminv1.UpdateNamespaceRequest{Spec: spec, UpdateMask: mask, DryRun: o.DryRun, IfRevision: revision})
	if errors.Is(err, prism.ReasonVersionMismatch) {
		return cli.WithFix(err, "look at it with prismctl namespace describe %s, then try again", o.Name)
	}
	if err != nil {
		return cli.NotFoundFix(err, seeList)
	}
	after := r.GetNamespace()
	if !o.Out.Machine() && !o.Out.Quiet() {
		for _, l := range cli.Diff(kind(), before, after, "revision", "updated_at") {
			fmt.Fprintln(o.IO.Out, iostreams.Escape(l))
		}
	}
	sentence := fmt.Sprintf("updated namespace %s (%s)", o.Name, strings.Join(mask, ", "))
	next := "prismctl namespace describe " + o.Name
	if o.DryRun {
		sentence, next = fmt.Sprintf("would update namespace %s (dry run)", o.Name), ""
	}
	return cli.PrintChanged(o.Out, kind(), after, sentence, next)
}

// mask names the fields that flags change, as the API calls them.
func (o *updateOptions) mask() []string {
	var mask []string
	for _, m := range []struct {
		field string
		flags []string
	}{
		{"description", []string{"description"}},
		{"needs", []string{"durability"}},
		{"limits", []string{"request-rps", "burst"}},
		{"access", []string{"add-owner", "remove-owner", "grant", "revoke"}},
		{"default_ttl_ms", []string{"default-ttl"}},
		{"max_ttl_ms", []string{"max-ttl"}},
		{"retention_ms", []string{"retention"}},
		{"no_auto_create", []string{"auto-create"}},
		{"default_kind", []string{"default-kind"}},
	} {
		if slices.ContainsFunc(m.flags, o.Changed) {
			mask = append(mask, m.field)
		}
	}
	return mask
}

func (o *updateOptions) apply(spec *adminv1.NamespaceSpec, grants []*adminv1.Grant) {
	if o.Changed("description") {
		spec.Description = o.Description
	}
	if o.Changed("durability") {
		if spec.Needs == nil {
			spec.Needs = &adminv1.Needs{}
		}
		spec.Needs.Durability = o.Durability
	}
	if o.Changed("default-ttl") {
		spec.DefaultTtlMs = o.DefaultTTL.Milliseconds()
	}
	if o.Changed("max-ttl") {
		spec.MaxTtlMs = o.MaxTTL.Milliseconds()
	}
	if o.Changed("retention") {
		spec.RetentionMs = o.Retention.Milliseconds()
	}
	if o.Changed("auto-create") {
		spec.NoAutoCreate = !o.AutoCreate
	}
	if o.Changed("default-kind") {
		spec.DefaultKind = o.DefaultKind
	}
	if o.Changed("request-rps") || o.Changed("burst") {
		o.applyLimits(spec)
	}
	if len(o.AddOwners)+len(o.RemoveOwners)+len(grants)+len(o.Revoke) > 0 {
		o.applyAccess(spec, grants)
	}
}

func (o *updateOptions) applyLimits(spec *adminv1.NamespaceSpec) {
	if spec.Limits == nil {
		spec.Limits = &adminv1.NamespaceLimits{}
	}
	if o.Changed("request-rps") {
		spec.Limits.RequestRps = o.RPS
	}
	if o.Changed("burst") {
		spec.Limits.Burst = o.Burst
	}
}

func (o *updateOptions) applyAccess(spec *adminv1.NamespaceSpec, grants []*adminv1.Grant) {
	if spec.Access == nil {
		spec.Access = &adminv1.Access{}
	}
	owners := slices.DeleteFunc(spec.Access.Owners, func(p string) bool { return slices.Contains(o.RemoveOwners, p) })
	for _, p := range o.AddOwners {
		if !slices.Contains(owners, p) {
			owners = append(owners, p)
		}
	}
	spec.Access.Owners = owners
	spec.Access.Consumers = withGrants(spec.Access.Consumers, grants, o.Revoke)
}
