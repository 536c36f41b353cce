package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
)

type publishOptions struct {
	IO  *iostreams.IOStreams
	Out *cli.Output
	door

	Queue, Payload, File string
	HasPayload           bool
	Key, Once            string
	Delay                cli.DurationFlag
	Priority             int32
	Partition            int32
	HasPartition         bool
	Attributes           []string
	DryRun               bool
}

// published is what a publish did.
type published struct {
	namespace, queue, typ, id string
	partition, offset         int64
	size                      int64
}

func publishedKind() cli.Kind[published] {
	inLog := func(p published) bool { return p.typ == typeLog && p.id != "" }
	return cli.Kind[published]{Name: "PublishedMessage", Fields: []cli.Field[published]{
		cli.Text("message_id", "ID", "the message's id; of a log its partition and offset", func(p published) string { return p.id }),
		cli.Text("queue", "QUEUE", "where it waits", func(p published) string { return p.queue }),
		cli.Text("type", "TYPE", "of the queue: work or log", func(p published) string { return p.typ }),
		cli.Text("namespace", "NAMESPACE", "where the queue is", func(p published) string { return p.namespace }),
		cli.Bytes("size_bytes", "SIZE", "bytes of the payload", func(p published) int64 { return p.size }),
		cli.Int("partition", "PARTITION", "of a log: where it is", func(p published) int64 { return p.partition }).OnlyWide().Optional(inLog),
		cli.Int("offset", "OFFSET", "of a log: its place there", func(p published) int64 { return p.offset }).OnlyWide().Optional(inLog),
	}}
}

func newPublish(f *cli.Factory, run func(context.Context, *publishOptions) error) *cobra.Command {
	o := &publishOptions{IO: f.IO, door: openDoor(f)}
	cmd := &cobra.Command{
		Use:   "publish QUEUE [PAYLOAD | -]",
		Short: "Add a message to a queue or a log",
		Long: `Adds a message of up to 1 MiB. A queue that is not there is made, as the namespace says. Without
PAYLOAD it is read from --file, or from standard input with -. Messages with one --key are
delivered in order, of a work queue one at a time.`,
		Example: `  prismctl queue publish mail '{"to":"ann"}' --key ann --delay 30s --attribute kind=welcome
  prismctl queue publish orders '{"id":17}' --key ann`,
		Args:              cli.OptionalArgs("QUEUE", "PAYLOAD"),
		ValidArgsFunction: completeNames(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cli.Usage("prismctl queue publish QUEUE PAYLOAD", "prismctl queue publish needs QUEUE")
			}
			o.Queue, o.HasPartition = args[0], cmd.Flags().Changed("partition")
			if len(args) == 2 {
				o.Payload, o.HasPayload = args[1], true
			}
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddOutput(f, cmd, publishedKind().Info())
	flags := cmd.Flags()
	flags.StringVarP(&o.File, "file", "f", "", "read the payload from this `FILE`; - for standard input")
	flags.StringVar(&o.Key, "key", "", "deliver it in order with the other messages of this `KEY`")
	flags.Var(&o.Delay, "delay", "to a work queue: deliver it only after this `DURATION`")
	flags.Int32Var(&o.Priority, "priority", 0, "to a work queue: deliver it before messages of a smaller `N`, 0 to 9")
	flags.Int32Var(&o.Partition, "partition", 0, "to a log: append it to partition `N`, whatever its key")
	flags.StringArrayVar(&o.Attributes, "attribute", nil, "give it an attribute `NAME=VALUE`; may be repeated")
	flags.StringVar(&o.Once, "idempotency-key", "", "publish it once for this `KEY`, however often this is typed")
	flags.BoolVar(&o.DryRun, "dry-run", false, "look where it would go, and publish nothing")
	cli.SetDefault(cmd, "delay", "none")
	cli.SetDefault(cmd, "partition", "the key's, or any")
	return cmd
}

func runPublish(ctx context.Context, o *publishOptions) error {
	payload, err := o.payload()
	if err != nil {
		return err
	}
	attributes, err := o.attributes()
	if err != nil {
		return err
	}
	h, err := o.enter(ctx)
	if err != nil {
		return err
	}
	p := published{namespace: h.ns, queue: o.Queue, typ: typeWork, size: int64(len(payload))}
	if o.DryRun {
		return o.would(ctx, h, p)
	}
	if !o.HasPartition { // which only a log has
		var r *queuev1.WorkQueueServicePublishResponse
		r, err = h.work.Publish(ctx, &queuev1.WorkQueueServicePublishRequest{Namespace: h.ns, Queue: o.Queue, Message: &queuev1.WorkMessage{
			Payload: payload, Attributes: attributes, Key: o.Key, DelayMs: o.Delay.Milliseconds(), Priority: o.Priority, IdempotencyKey: o.Once,
		}})
		p.id = r.GetMessageId()
	}
	if o.HasPartition || isLog(err) {
		p.typ = typeLog
		err = o.append(ctx, h, &p, payload, attributes)
	}
	if err != nil {
		return explain(err, h.ns)
	}
	sentence := fmt.Sprintf("published to %s in %s (%s, message %s)", o.Queue, h.ns, cli.Size(p.size), p.id)
	next := cli.Next(model, h.ns, "queue", "subscribe", o.Queue, "--max", "1", "--ack")
	if p.typ == typeLog {
		sentence = fmt.Sprintf("published to %s in %s (%s, partition %d, offset %d)", o.Queue, h.ns, cli.Size(p.size), p.partition, p.offset)
		next = cli.Next(model, h.ns, "queue", "peek", o.Queue)
	}
	return cli.PrintChanged(o.Out, publishedKind(), p, sentence, next)
}

// onlyWork refuses what a log cannot do with a message.
func (o *publishOptions) onlyWork() error {
	if o.Delay != 0 || o.Priority != 0 {
		return cli.Usage("leave out --delay and --priority, or publish to a work queue", "%s is a log: it has neither delays nor priorities", o.Queue)
	}
	return nil
}

// append publishes to a log.
func (o *publishOptions) append(ctx context.Context, h hall, p *published, payload []byte, attributes map[string]string) error {
	if err := o.onlyWork(); err != nil {
		return err
	}
	m := &queuev1.LogMessage{Payload: payload, Attributes: attributes, Key: o.Key, IdempotencyKey: o.Once}
	if o.HasPartition {
		m.Partition = &o.Partition
	}
	r, err := h.log.Publish(ctx, &queuev1.PublishRequest{Namespace: h.ns, Topic: o.Queue, Message: m})
	p.id, p.partition, p.offset = r.GetMessageId(), int64(r.GetPartition()), r.GetOffset()
	return err
}

// would says where a message would go.
func (o *publishOptions) would(ctx context.Context, h hall, p published) error {
	i, err := h.info(ctx, o.Queue)
	sentence := fmt.Sprintf("would publish to %s in %s (%s, dry run)", o.Queue, h.ns, cli.Size(p.size))
	switch {
	case nobody(err):
		sentence = fmt.Sprintf("would make %s in %s, if publishing may, and publish to it (%s, dry run)", o.Queue, h.ns, cli.Size(p.size))
	case err != nil:
		return explain(err, h.ns)
	default:
		p.typ = i.typ()
	}
	if p.typ == typeLog {
		if err := o.onlyWork(); err != nil {
			return err
		}
	}
	return cli.PrintChanged(o.Out, publishedKind(), p, sentence, "")
}

func (o *publishOptions) attributes() (map[string]string, error) {
	if len(o.Attributes) == 0 {
		return nil, nil
	}
	m := make(map[string]string, len(o.Attributes))
	for _, text := range o.Attributes {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, cli.Usage("--attribute NAME=VALUE", "%q is no attribute", text)
		}
		m[name] = value
	}
	return m, nil
}

func (o *publishOptions) payload() ([]byte, error) {
	switch {
	case o.HasPayload && o.File != "":
		return nil, cli.Usage("leave out PAYLOAD or --file", "the payload is given twice")
	case o.File != "":
		return readPayload(o.IO, o.File)
	case o.HasPayload && o.Payload == "-":
		return readPayload(o.IO, "-")
	case o.HasPayload:
		return []byte(o.Payload), nil
	}
	return nil, cli.Usage("prismctl queue publish "+cli.Quote(o.Queue)+" PAYLOAD, or --file FILE", "prismctl queue publish needs PAYLOAD")
}

// readPayload reads no more than a payload may have, and one byte to tell. A
// terminal as standard input is refused: nobody would know that they have to
// type.
func readPayload(ios *iostreams.IOStreams, path string) ([]byte, error) {
	in := ios.In
	if path == "-" {
		if ios.IsTTY(iostreams.In) {
			return nil, cli.Usage("name a file, or pipe something in", "standard input is a terminal")
		}
	} else {
		f, err := os.Open(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, cli.WithFix(prism.NotFound("file", path), "name a file that is there, or - for standard input")
		case err != nil:
			return nil, &cli.Failure{Err: err, Exit: cli.ExitFailure}
		}
		defer f.Close()
		in = f
	}
	payload, err := io.ReadAll(io.LimitReader(in, prism.MaxValueBytes+1))
	if err != nil {
		return nil, &cli.Failure{Err: err, Exit: cli.ExitFailure}
	}
	if len(payload) > prism.MaxValueBytes {
		return nil, prism.InvalidField("payload", "must be at most 1 MiB")
	}
	return payload, nil
}
