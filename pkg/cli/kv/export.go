package kv

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
	keyvaluev1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

type exportClient interface {
	Scan(context.Context, *keyvaluev1.ScanRequest, ...grpc.CallOption) (*keyvaluev1.ScanResponse, error)
}

type exportOptions struct {
	IO  *iostreams.IOStreams
	Out *cli.Output
	cli.Door[exportClient]

	Prefix, File string
	Force        bool
}

// exported is the summary of an export.
type exported struct {
	namespace, file string
	keys, size      int64
}

func exportedKind() cli.Kind[exported] {
	return cli.Kind[exported]{Name: "Export", Fields: []cli.Field[exported]{
		cli.Text("namespace", "NAMESPACE", "from where", func(e exported) string { return e.namespace }),
		cli.Text("file", "FILE", "to where", func(e exported) string { return e.file }),
		cli.Int("keys", "KEYS", "how many", func(e exported) int64 { return e.keys }),
		cli.Bytes("size_bytes", "SIZE", "bytes written", func(e exported) int64 { return e.size }),
	}}
}

func newExport(f *cli.Factory, run func(context.Context, *exportOptions) error) *cobra.Command {
	o := &exportOptions{
		IO:   f.IO,
		Door: cli.OpenDoor(f, model, func(ctx context.Context) (exportClient, error) { return f.KeyValue(ctx) }),
	}
	cmd := &cobra.Command{
		Use:   "export [PREFIX]",
		Short: "Write keys and values as JSON lines",
		Long: `Writes every key that begins with PREFIX as one JSON object a line: key, value (value_base64
where it is not UTF-8) and expires_at. To standard output, or to a file that appears only when
it is complete, with a summary.`,
		Example: "  prismctl kv export\n  prismctl kv export session- --file sessions.jsonl --force",
		Args:    cli.OptionalArgs("PREFIX"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Prefix = strings.Join(args, "")
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddOutput(f, cmd, exportedKind().Info())
	cmd.Flags().StringVarP(&o.File, "file", "f", "", "write to this `FILE`")
	cmd.Flags().BoolVar(&o.Force, "force", false, "replace a file that is there")
	cli.SetDefault(cmd, "file", "standard output")
	return cmd
}

func runExport(ctx context.Context, o *exportOptions) error {
	c, ns, err := o.Enter(ctx)
	if err != nil {
		return err
	}
	if o.File == "" || o.File == "-" {
		_, err := o.copy(ctx, c, ns, o.IO.Out)
		return explainAll(err, ns)
	}
	if _, err := os.Lstat(o.File); err == nil && !o.Force {
		return cli.WithFix(prism.New(prism.ReasonAlreadyExists, "the file %s is there already", o.File), "pass --force to replace it")
	}
	var sum exported
	err = cli.Replace(o.File, 0o600, func(w io.Writer) (err error) {
		progress := o.IO.StartProgress("exporting " + ns)
		defer progress.Stop()
		sum, err = o.copy(ctx, c, ns, w)
		return explainAll(err, ns)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return prism.NotFound("folder", filepath.Dir(o.File))
	}
	if err != nil {
		return err
	}
	sum.file = o.File
	sentence := fmt.Sprintf("exported %s of %s to %s (%s)", cli.Plural(sum.keys, "key"), ns, iostreams.Escape(o.File), cli.Size(sum.size))
	return cli.PrintChanged(o.Out, exportedKind(), sum, sentence, "prismctl kv import "+cli.Quote(o.File)+" -n NAMESPACE")
}

func explainAll(err error, ns string) error {
	if err == nil {
		return nil
	}
	return explain(err, ns, "")
}

// copy writes every entry to w.
func (o *exportOptions) copy(ctx context.Context, c exportClient, ns string, w io.Writer) (exported, error) {
	sum := exported{namespace: ns}
	out := bufio.NewWriterSize(&counted{w, &sum.size}, 64<<10)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	_, err := cli.Pages(ctx, 0, func(ctx context.Context, cursor string, size int32) (int, string, error) {
		page, err := c.Scan(ctx, &keyvaluev1.ScanRequest{Namespace: ns, Prefix: o.Prefix, Limit: size, MaxBytes: prism.MaxPageBytes, Cursor: cursor})
		if err != nil {
			return 0, "", err
		}
		for _, e := range page.GetEntries() {
			if err := enc.Encode(recordOf(e)); err != nil {
				return 0, "", err
			}
			sum.keys++
		}
		return len(page.GetEntries()), page.GetCursor(), nil
	})
	if e := out.Flush(); err == nil {
		err = e
	}
	return sum, err
}

type counted struct {
	w io.Writer
	n *int64
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	*c.n += int64(n)
	return n, err
}
