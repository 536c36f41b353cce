package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
)

type publisher interface {
	Publish(context.Context, *queuev1.WorkQueueServicePublishRequest, ...grpc.CallOption) (*queuev1.WorkQueueServicePublishResponse, error)
}

type publishOptions struct {
	IO        *iostreams.IOStreams
	Out       *cli.Output
	Client    func(context.Context) (publisher, error)
	Namespace func() (string, error)

	Queue, Payload, File string
	HasPayload           bool
	Key, Once            string
	Delay                cli.DurationFlag
	Priority             int32
	Attributes           []string
}

// published is what a publish did.
type published struct {
	namespace, queue, id string
	size                 int64
}

func publishedKind() cli.Kind[published] {
	return cli.Kind[published]{Name: "PublishedMessage", Fields: []cli.Field[published]{
		cli.Text("message_id", "ID", "the message's id", func(p published) string { return p.id }),
		cli.Text("queue", "QUEUE", "where it waits", func(p published) string { return p.queue }),
		cli.Text("namespace", "NAMESPACE", "where the queue is", func(p published) string { return p.namespace }),
		cli.Bytes("size_bytes", "SIZE", "bytes of the payload", func(p published) int64 { return p.size }),
	}}
}

func newPublish(f *cli.Factory, run func(context.Context, *publishOptions) error) *cobra.Command {
	o := &publishOptions{
		IO:        f.IO,
		Client:    func(ctx context.Context) (publisher, error) { return f.WorkQueue(ctx) },
		Namespace: func() (string, error) { return f.Namespace(model) },
	}
	cmd := &cobra.Command{
		Use:   "publish QUEUE [PAYLOAD | -]",
		Short: "Add a message to a queue",
		Long: `Adds a message of up to 1 MiB. A queue that is not there is made. Without PAYLOAD it is read
from --file, or from standard input with -. Messages with one --key are delivered in order, one
at a time.`,
		Example: `  prismctl queue publish mail hello
  prismctl queue publish mail '{"to":"ann"}' --key ann --delay 30s --attribute kind=welcome`,
		Args: cli.OptionalArgs("QUEUE", "PAYLOAD"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cli.Usage("prismctl queue publish QUEUE PAYLOAD", "prismctl queue publish needs QUEUE")
			}
			o.Queue = args[0]
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
	flags.Var(&o.Delay, "delay", "deliver it only after this `DURATION`")
	flags.Int32Var(&o.Priority, "priority", 0, "deliver it before messages of a smaller `N`, 0 to 9")
	flags.StringArrayVar(&o.Attributes, "attribute", nil, "give it an attribute `NAME=VALUE`; may be repeated")
	flags.StringVar(&o.Once, "idempotency-key", "", "publish it once for this `KEY`, however often this is typed")
	cli.SetDefault(cmd, "delay", "none")
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
	ns, err := o.Namespace()
	if err != nil {
		return err
	}
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	r, err := c.Publish(ctx, &queuev1.WorkQueueServicePublishRequest{Namespace: ns, Queue: o.Queue, Message: &queuev1.WorkMessage{
		Payload: payload, Attributes: attributes, Key: o.Key, DelayMs: o.Delay.Milliseconds(), Priority: o.Priority, IdempotencyKey: o.Once,
	}})
	if err != nil {
		return explain(err, ns)
	}
	p := published{ns, o.Queue, r.GetMessageId(), int64(len(payload))}
	sentence := fmt.Sprintf("published to %s in %s (%s, message %s)", o.Queue, ns, cli.Size(p.size), p.id)
	return cli.PrintChanged(o.Out, publishedKind(), p, sentence, "prismctl queue subscribe "+cli.Quote(o.Queue)+" --max 1 --ack")
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

func sortedNames(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

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
