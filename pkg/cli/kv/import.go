package kv

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	keyvaluev1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

type importClient interface {
	BatchSet(context.Context, *keyvaluev1.BatchSetRequest, ...grpc.CallOption) (*keyvaluev1.BatchSetResponse, error)
}

type importOptions struct {
	IO    *iostreams.IOStreams
	Clock clock.Clock
	Out   *cli.Output
	cli.Door[importClient]

	File               string
	CreateOnly, DryRun bool
}

// imported is the summary of an import.
type imported struct {
	namespace               string
	keys, failed, gone, old int64
	problems                []any
}

func importedKind() cli.Kind[imported] {
	return cli.Kind[imported]{Name: "Import", Fields: []cli.Field[imported]{
		cli.Text("namespace", "NAMESPACE", "to where", func(i imported) string { return i.namespace }),
		cli.Int("keys", "KEYS", "how many were stored", func(i imported) int64 { return i.keys }),
		cli.Int("failed", "FAILED", "how many lines were not", func(i imported) int64 { return i.failed }),
		cli.Int("existing", "EXISTING", "with --create-only: how many were there already", func(i imported) int64 { return i.old }),
		cli.Int("expired", "EXPIRED", "how many had ended since the export", func(i imported) int64 { return i.gone }),
		cli.Nested("problems", "the first lines that failed", func(i imported) any { return i.problems }),
	}}
}

func newImport(f *cli.Factory, run func(context.Context, *importOptions) error) *cobra.Command {
	o := &importOptions{
		IO:    f.IO,
		Clock: f.Clock,
		Door:  cli.OpenDoor(f, model, func(ctx context.Context) (importClient, error) { return f.KeyValue(ctx) }),
	}
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Store keys and values from JSON lines",
		Long: `Stores what kv export has written, from a file or, with -, from standard input. A line that
cannot be stored is reported with its number and does not stop the rest; then the exit code is 8.`,
		Example: "  prismctl kv import sessions.jsonl --dry-run\n  prismctl kv import sessions.jsonl -n kv --create-only",
		Args:    cli.ExactArgs("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.File = args[0]
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddOutput(f, cmd, importedKind().Info())
	cmd.Flags().BoolVar(&o.CreateOnly, "create-only", false, "leave keys alone that are there")
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "read the lines, and change nothing")
	return cmd
}

// Bounds of one batch: items as the gateway takes them, and bytes well below
// the largest message.
const (
	batchBytes  = 2 << 20
	maxLine     = 8 << 20 // a value of 1 MiB may be six times as long in JSON
	maxProblems = 10
)

// importer is an import under way.
type importer struct {
	*importOptions
	client importClient
	sum    imported

	batch []*keyvaluev1.SetRequest
	lines []int // of the batch
	size  int
}

func runImport(ctx context.Context, o *importOptions) error {
	ns, err := o.Namespace()
	if err != nil {
		return err
	}
	in, err := cli.OpenInput(o.IO, o.File)
	if err != nil {
		return err
	}
	defer in.Close()
	i := &importer{importOptions: o, sum: imported{namespace: ns}}
	if !o.DryRun {
		if i.client, err = o.Client(ctx); err != nil {
			return err
		}
	}
	progress := o.IO.StartProgress("importing into " + ns)
	err = i.read(ctx, in)
	progress.Stop()
	if err != nil && i.sum.keys == 0 {
		return explain(err, ns, "")
	}
	return i.finish(err)
}

func (i *importer) finish(err error) error {
	s := i.sum
	verb := "imported"
	if i.DryRun {
		verb = "would import"
	}
	sentence := fmt.Sprintf("%s %s into %s", verb, cli.Plural(s.keys, "key"), s.namespace)
	for _, part := range []struct {
		n    int64
		what string
	}{{s.failed, "failed"}, {s.old, "there already"}, {s.gone, "expired since"}} {
		if part.n > 0 {
			sentence += fmt.Sprintf(", %d %s", part.n, part.what)
		}
	}
	next := "prismctl kv scan -n " + s.namespace
	if i.DryRun || err != nil || s.failed > 0 {
		next = ""
	}
	if e := cli.PrintChanged(i.Out, importedKind(), s, sentence, next); e != nil {
		return e
	}
	switch {
	case err != nil:
		return cli.Partial("run the same import again: storing a key twice does no harm", "the import stopped after %s: %v", cli.Plural(s.keys, "key"), err)
	case s.failed > 0 && s.keys == 0:
		return &cli.Failure{Err: prism.New(prism.ReasonInvalidArgument, "no line of %s could be stored", i.File), Fix: "write one object a line: {\"key\":\"a\",\"value\":\"b\"}"}
	case s.failed > 0:
		return cli.Partial("correct those lines and import them again", "%s could not be stored", cli.Plural(s.failed, "line"))
	}
	return nil
}

func (i *importer) read(ctx context.Context, in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	n := 0
	for lines.Scan() {
		n++
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		if err := i.add(ctx, n, line); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			i.fail(n+1, "the line is too long")
			return errors.Join(i.flush(ctx), prism.New(prism.ReasonInvalidArgument, "line %d is longer than %s", n+1, cli.Size(maxLine)))
		}
		return err
	}
	return i.flush(ctx)
}

func (i *importer) add(ctx context.Context, n int, line []byte) error {
	r, err := parseRecord(line)
	if err != nil {
		i.fail(n, err.Error())
		return nil
	}
	req, err := r.request(i.CreateOnly, i.Clock.Now())
	switch {
	case err != nil:
		i.fail(n, err.Error())
		return nil
	case req == nil:
		i.sum.gone++
		return nil
	}
	size := len(req.Key) + len(req.Value) + 64
	if len(i.batch) > 0 && (len(i.batch) == prism.MaxBatchItems || i.size+size > batchBytes) {
		if err := i.flush(ctx); err != nil {
			return err
		}
	}
	i.batch, i.lines, i.size = append(i.batch, req), append(i.lines, n), i.size+size
	return nil
}

func (i *importer) flush(ctx context.Context) error {
	if len(i.batch) == 0 {
		return nil
	}
	defer func() { i.batch, i.lines, i.size = i.batch[:0], i.lines[:0], 0 }()
	if i.DryRun {
		i.sum.keys += int64(len(i.batch))
		return nil
	}
	r, err := i.client.BatchSet(ctx, &keyvaluev1.BatchSetRequest{Namespace: i.sum.namespace, Items: i.batch})
	if err != nil {
		return err
	}
	for at, result := range r.GetResults() {
		item := result.GetError()
		if item == nil {
			i.sum.keys++
			continue
		}
		e := wire.FromItem(item)
		if i.CreateOnly && e.Reason == prism.ReasonAlreadyExists {
			i.sum.old++
			continue
		}
		i.fail(i.lines[at], e.Message)
	}
	return nil
}

// fail counts a line and shows the first few.
func (i *importer) fail(line int, why string) {
	i.sum.failed++
	switch {
	case i.sum.failed <= maxProblems:
		fmt.Fprintf(i.IO.ErrOut, "%s:%d: %s\n", iostreams.Escape(i.File), line, iostreams.Escape(why))
		i.sum.problems = append(i.sum.problems, cli.Object{{Name: "line", Value: int64(line)}, {Name: "message", Value: why}})
	case i.sum.failed == maxProblems+1:
		fmt.Fprintln(i.IO.ErrOut, "further lines are counted, not shown")
	}
}
