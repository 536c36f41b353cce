package namespace

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

type creator interface {
	CreateNamespace(context.Context, *adminv1.CreateNamespaceRequest, ...grpc.CallOption) (*adminv1.CreateNamespaceResponse, error)
}

type createOptions struct {
	Out    *cli.Output
	Client func(context.Context) (creator, error)

	Name, Model, Backend, Description, Durability string
	DefaultTTL, MaxTTL, Retention                 cli.DurationFlag
	RPS, Burst                                    int64
	AutoCreate                                    bool
	DefaultKind                                   string
	Owners, Grants                                []string
	DryRun                                        bool
}

func newCreate(f *cli.Factory, run func(context.Context, *createOptions) error) *cobra.Command {
	o := &createOptions{Client: func(ctx context.Context) (creator, error) { return f.Admin(ctx) }}
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Create a namespace",
		Long: `Creates a namespace, ready to use when the command ends. The backend that is chosen now
holds the data from then on; without --backend the gateway takes its default.`,
		Example: `  prismctl namespace create orders
  prismctl namespace create sessions --backend volatile --default-ttl 30m
  prismctl namespace create jobs --model queue --auto-create=false
  prismctl namespace create shop --owner team:shop --grant 'service:checkout.*=read,write' --dry-run`,
		Args: cli.ExactArgs("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Name = args[0]
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddOutput(f, cmd, kind().Info())
	flags := cmd.Flags()
	flags.StringVar(&o.Model, "model", "keyvalue", "the `MODEL` of its data API: "+strings.Join(models(), ", "))
	cli.Enum(cmd, "model", models()...)
	flags.StringVar(&o.Backend, "backend", "", "keep the data on this `BACKEND`")
	flags.StringVar(&o.Description, "description", "", "say in a `TEXT` what it is for")
	flags.StringVar(&o.Durability, "durability", "", "the `NEED`: strong or relaxed")
	cli.Enum(cmd, "durability", "strong", "relaxed")
	flags.Var(&o.DefaultTTL, "default-ttl", "the time to live of a write that names none, a `DURATION`")
	flags.Var(&o.MaxTTL, "max-ttl", "the longest time to live, a `DURATION`")
	flags.Var(&o.Retention, "retention", "of a namespace of time series: keep events for this `DURATION`")
	flags.Int64Var(&o.RPS, "request-rps", 0, "let through at most `N` requests a second")
	flags.Int64Var(&o.Burst, "burst", 0, "let through `N` at once")
	flags.BoolVar(&o.AutoCreate, "auto-create", true, "of a queue namespace: publishing makes topics and queues")
	flags.StringVar(&o.DefaultKind, "default-kind", "", "of a queue namespace: the only `KIND` that publishing makes, log or work")
	cli.Enum(cmd, "default-kind", "log", "work")
	flags.StringArrayVar(&o.Owners, "owner", nil, "let this `PRINCIPAL` do everything; may be given again")
	flags.StringArrayVar(&o.Grants, "grant", nil, "let others in: a `GRANT` is PRINCIPAL=read,write; may be given again")
	flags.BoolVar(&o.DryRun, "dry-run", false, "check, and change nothing")
	cli.SetDefault(cmd, "backend", "the gateway's")
	cli.SetDefault(cmd, "durability", "strong")
	cli.SetDefault(cmd, "default-ttl", "none")
	cli.SetDefault(cmd, "max-ttl", "no bound")
	cli.SetDefault(cmd, "retention", "for ever")
	cli.SetDefault(cmd, "request-rps", "no bound")
	cli.SetDefault(cmd, "burst", "as the rate")
	cli.SetDefault(cmd, "default-kind", "what is published to")
	return cmd
}

func runCreate(ctx context.Context, o *createOptions) error {
	spec, err := o.spec()
	if err != nil {
		return err
	}
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	r, err := c.CreateNamespace(ctx, &adminv1.CreateNamespaceRequest{Spec: spec, DryRun: o.DryRun})
	if err != nil {
		return err
	}
	n := r.GetNamespace()
	name := n.GetSpec().GetName()
	sentence, next := fmt.Sprintf("created namespace %s%s", name, where(n)), firstUse(n.GetSpec())
	if o.DryRun {
		sentence, next = fmt.Sprintf("would create namespace %s%s (dry run)", name, where(n)), ""
	}
	return cli.PrintChanged(o.Out, kind(), n, sentence, next)
}

// models are those that a namespace can be of.
func models() []string { return []string{"keyvalue", "cache", "queue", "pubsub", "timeseries"} }

// firstUse is what to type next in a new namespace: a write in its model's words.
func firstUse(n *adminv1.NamespaceSpec) string {
	verb := map[string]string{
		"keyvalue":   "kv set greeting hello",
		"cache":      "cache set greeting hello --ttl 5m",
		"queue":      "queue publish mail hello",
		"pubsub":     "pubsub publish greetings.new hello",
		"timeseries": "ts append --type greeting --metric n=1",
	}[n.GetModel()]
	if n.GetNoAutoCreate() {
		verb = "queue create mail"
		if n.GetDefaultKind() == "log" {
			verb += " --log"
		}
	}
	if verb == "" {
		return ""
	}
	return "prismctl " + verb + " -n " + n.GetName()
}

func (o *createOptions) spec() (*adminv1.NamespaceSpec, error) {
	grants, err := parseGrants(o.Grants)
	if err != nil {
		return nil, err
	}
	spec := &adminv1.NamespaceSpec{
		Name: o.Name, Model: o.Model, Backend: o.Backend, Description: o.Description,
		DefaultTtlMs: o.DefaultTTL.Milliseconds(), MaxTtlMs: o.MaxTTL.Milliseconds(), RetentionMs: o.Retention.Milliseconds(),
		NoAutoCreate: !o.AutoCreate, DefaultKind: o.DefaultKind,
	}
	if o.Durability != "" {
		spec.Needs = &adminv1.Needs{Durability: o.Durability}
	}
	if o.RPS != 0 || o.Burst != 0 {
		spec.Limits = &adminv1.NamespaceLimits{RequestRps: o.RPS, Burst: o.Burst}
	}
	if len(o.Owners) > 0 || len(grants) > 0 {
		spec.Access = &adminv1.Access{Owners: o.Owners, Consumers: grants}
	}
	return spec, nil
}
