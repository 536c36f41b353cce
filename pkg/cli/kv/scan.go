package kv

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	keyvaluev1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

type scanner interface {
	Scan(context.Context, *keyvaluev1.ScanRequest, ...grpc.CallOption) (*keyvaluev1.ScanResponse, error)
	ScanKeys(context.Context, *keyvaluev1.ScanKeysRequest, ...grpc.CallOption) (*keyvaluev1.ScanKeysResponse, error)
}

type scanOptions struct {
	Out *cli.Output
	cli.Door[scanner]

	Prefix, Start, End string
	Reverse, Keys      bool
}

// usual is how many keys are shown unless a flag says otherwise.
const usual = "100"

func newScan(f *cli.Factory, run func(context.Context, *scanOptions) error) *cobra.Command {
	o := &scanOptions{
		Door: cli.OpenDoor(f, model, func(ctx context.Context) (scanner, error) { return f.KeyValue(ctx) }),
	}
	cmd := &cobra.Command{
		Use:     "scan [PREFIX]",
		Aliases: []string{"list", "ls"},
		Short:   "List keys and values in order",
		Long:    "Lists the keys that begin with PREFIX, in byte order, page by page: it may be stopped at any\ntime, and a reader that has seen enough (head) ends it.",
		Example: "  prismctl kv scan\n  prismctl kv scan session- --keys --all -o name\n  prismctl kv scan --start a --end n --reverse --limit 10",
		Args:    cli.OptionalArgs("PREFIX"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Prefix = strings.Join(args, "")
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddListOutput(f, cmd, kind().Info())
	flags := cmd.Flags()
	flags.StringVar(&o.Start, "start", "", "from this `KEY` on")
	flags.StringVar(&o.End, "end", "", "up to this `KEY`, which is not shown")
	flags.BoolVar(&o.Reverse, "reverse", false, "from the last to the first")
	flags.BoolVar(&o.Keys, "keys", false, "without the values")
	cli.SetDefault(cmd, "start", "the first")
	cli.SetDefault(cmd, "end", "the last")
	cli.SetDefault(cmd, "limit", usual)
	_ = flags.Lookup("limit").Value.Set(usual)
	return cmd
}

func runScan(ctx context.Context, o *scanOptions) error {
	c, ns, err := o.Enter(ctx)
	if err != nil {
		return err
	}
	list := cli.NewList(o.Out, kind(), "there are no such keys in "+ns+"; prismctl kv set KEY VALUE makes one")
	more, err := cli.PagesAhead(ctx, o.Out.Fetch(), o.pages(c, ns), func(entries []entry) error {
		for _, e := range entries {
			if err := list.Add(e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return explain(err, ns, "")
	}
	if err := list.Close(); err != nil {
		return err
	}
	o.Out.MoreHint(more, list.Len())
	return nil
}

// pages fetches one page.
func (o *scanOptions) pages(c scanner, ns string) func(context.Context, string, int32) (cli.Page[entry], error) {
	if o.Keys {
		return func(ctx context.Context, cursor string, size int32) (p cli.Page[entry], err error) {
			page, err := c.ScanKeys(ctx, &keyvaluev1.ScanKeysRequest{Namespace: ns, Prefix: o.Prefix, Start: o.Start, End: o.End, Reverse: o.Reverse, Limit: size, Cursor: cursor})
			for _, k := range page.GetKeys() {
				e := &keyvaluev1.Entry{Key: k.GetKey(), Version: k.GetVersion(), ExpiresAtMs: k.ExpiresAtMs}
				p.Items = append(p.Items, entry{namespace: ns, Entry: e, size: k.GetSizeBytes(), noValue: true})
			}
			p.Next = page.GetCursor()
			return p, err
		}
	}
	return func(ctx context.Context, cursor string, size int32) (p cli.Page[entry], err error) {
		page, err := c.Scan(ctx, &keyvaluev1.ScanRequest{Namespace: ns, Prefix: o.Prefix, Start: o.Start, End: o.End, Reverse: o.Reverse, Limit: size, Cursor: cursor})
		p.Items = make([]entry, len(page.GetEntries()))
		for i, e := range page.GetEntries() {
			p.Items[i] = newEntry(ns, e)
		}
		p.Next = page.GetCursor()
		return p, err
	}
}
