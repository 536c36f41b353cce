package queue

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/prism"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
)

type createOptions struct {
	Out *cli.Output
	door
	Changed func(flag string) bool

	Queue            string
	Lease, Retention cli.DurationFlag
	MaxAttempts      int32
	Log              bool
	Partitions       int32
	RetentionBytes   string
	DryRun           bool
}

// made is what a create did.
type made struct {
	namespace, queue, typ string
	created               bool
}

func madeKind() cli.Kind[made] {
	return cli.Kind[made]{Name: "QueueCreation", Fields: []cli.Field[made]{
		cli.Text("queue", "QUEUE", "its name", func(m made) string { return m.queue }),
		cli.Text("type", "TYPE", "work, a work queue, or log", func(m made) string { return m.typ }),
		cli.Text("namespace", "NAMESPACE", "where it is", func(m made) string { return m.namespace }),
		cli.Bool("created", "CREATED", "false if it was there, with the same settings", func(m made) bool { return m.created }),
	}}
}

func newCreate(f *cli.Factory, run func(context.Context, *createOptions) error) *cobra.Command {
	o := &createOptions{door: openDoor(f)}
	cmd := &cobra.Command{
		Use:   "create QUEUE",
		Short: "Make a queue or a log with settings of its own",
		Long: `Makes a work queue, or with --log a log. One that is there with the same settings is no error.
Publishing makes queues too, with the defaults.`,
		Example: `  prismctl queue create slow --lease 10m --max-attempts 20 --retention 30d
  prismctl queue create payments --log --partitions 3 --retention 30d`,
		Args: cli.ExactArgs("QUEUE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Queue, o.Changed = args[0], cmd.Flags().Changed
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddOutput(f, cmd, madeKind().Info())
	flags := cmd.Flags()
	flags.BoolVar(&o.Log, "log", false, "make a log")
	flags.Int32Var(&o.Partitions, "partitions", 0, "of a log: part it in `N`, each in order")
	flags.Var(&o.Retention, "retention", "forget messages after this `DURATION`: of a queue, those that nobody works off")
	flags.StringVar(&o.RetentionBytes, "retention-bytes", "", "of a log: keep at most this `SIZE` in each partition")
	flags.Var(&o.Lease, "lease", "of a queue: hold a message that is received for this `DURATION`")
	flags.Int32Var(&o.MaxAttempts, "max-attempts", 0, "of a queue: make a dead letter after `N` deliveries")
	flags.BoolVar(&o.DryRun, "dry-run", false, "look whether it is there, and make nothing")
	cli.SetDefault(cmd, "partitions", "8")
	cli.SetDefault(cmd, "retention-bytes", "no bound")
	cli.SetDefault(cmd, "lease", "30s")
	cli.SetDefault(cmd, "max-attempts", "5")
	cli.SetDefault(cmd, "retention", "7d")
	return cmd
}

// check refuses flags of the other type.
func (o *createOptions) check() error {
	other, is := []string{"partitions", "retention-bytes"}, "for logs: add --log"
	if o.Log {
		other, is = []string{"lease", "max-attempts"}, "for work queues: leave it or --log out"
	}
	for _, flag := range other {
		if o.Changed(flag) {
			return cli.Usage("prismctl queue create --help", "--%s is %s", flag, is)
		}
	}
	return nil
}

// defaultRetention is what a log has of which only the size is said.
const defaultRetention = 7 * 24 * 3_600_000

func (o *createOptions) topic(ns string) (*queuev1.CreateTopicRequest, error) {
	r := &queuev1.CreateTopicRequest{Namespace: ns, Topic: o.Queue, Partitions: o.Partitions}
	if o.Retention == 0 && o.RetentionBytes == "" {
		return r, nil
	}
	r.Retention = &queuev1.Retention{AgeMs: defaultRetention}
	if o.Retention != 0 {
		r.Retention.AgeMs = o.Retention.Milliseconds()
	}
	if o.RetentionBytes != "" {
		size, err := config.ParseSize(o.RetentionBytes)
		if err != nil {
			return nil, cli.Usage("--retention-bytes 1GiB", "%q is not a size", o.RetentionBytes)
		}
		r.Retention.SizeBytes = int64(size)
	}
	return r, nil
}

func runCreate(ctx context.Context, o *createOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	h, err := o.enter(ctx)
	if err != nil {
		return err
	}
	m := made{h.ns, o.Queue, typeWork, false}
	if o.Log {
		m.typ = typeLog
	}
	if o.DryRun {
		return o.would(ctx, h, m)
	}
	if m.created, err = o.create(ctx, h); err != nil {
		return taken(err, h.ns)
	}
	sentence := fmt.Sprintf("made %s %s in %s", noun(m.typ), o.Queue, h.ns)
	if !m.created {
		sentence = fmt.Sprintf("%s %s is there already in %s, with these settings", noun(m.typ), o.Queue, h.ns)
	}
	return cli.PrintChanged(o.Out, madeKind(), m, sentence, cli.Next(model, h.ns, "queue", "publish", o.Queue, "hello"))
}

func (o *createOptions) create(ctx context.Context, h hall) (bool, error) {
	if o.Log {
		r, err := o.topic(h.ns)
		if err != nil {
			return false, err
		}
		a, err := h.log.CreateTopic(ctx, r)
		return a.GetCreated(), err
	}
	a, err := h.work.CreateQueue(ctx, &queuev1.CreateQueueRequest{Namespace: h.ns, Queue: o.Queue, Settings: &queuev1.QueueSettings{
		LeaseMs: o.Lease.Milliseconds(), MaxAttempts: o.MaxAttempts, RetentionMs: o.Retention.Milliseconds(),
	}})
	return a.GetCreated(), err
}

// taken is explain for who makes a name.
func taken(err error, ns string) error {
	if errors.Is(err, prism.ReasonWrongKind) {
		return cli.WithFix(err, "choose another name: one stays what it was made as")
	}
	return explain(err, ns)
}

// would says what a create would do.
func (o *createOptions) would(ctx context.Context, h hall, m made) error {
	if _, err := o.topic(h.ns); err != nil {
		return err
	}
	i, err := h.info(ctx, o.Queue)
	switch {
	case nobody(err):
		m.created = true
		return cli.PrintChanged(o.Out, madeKind(), m, fmt.Sprintf("would make %s %s in %s (dry run)", noun(m.typ), o.Queue, h.ns), "")
	case err != nil:
		return explain(err, h.ns)
	case i.typ() != m.typ:
		return taken(prism.New(prism.ReasonWrongKind, "%q is a %s", o.Queue, noun(i.typ())), h.ns)
	}
	return cli.PrintChanged(o.Out, madeKind(), m, fmt.Sprintf("%s %s is there already in %s (dry run)", noun(m.typ), o.Queue, h.ns), "")
}
