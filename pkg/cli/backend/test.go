package backend

import (
	"context"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

type tester interface {
	TestBackend(context.Context, *adminv1.TestBackendRequest, ...grpc.CallOption) (*adminv1.TestBackendResponse, error)
}

type testOptions struct {
	Out    *cli.Output
	Client func(context.Context) (tester, error)

	Name string
}

type step = *adminv1.TestStep

func stepKind() cli.Kind[step] {
	return cli.Kind[step]{Name: "TestStep", Fields: []cli.Field[step]{
		cli.Text("model", "MODEL", "the kind of data", func(s step) string { return s.GetModel() }),
		cli.Text("step", "STEP", "what was done", func(s step) string { return s.GetName() }),
		cli.State("result", "RESULT", "ok, or failed", func(s step) string {
			if s.GetReason() != "" {
				return "failed"
			}
			return "ok"
		}),
		cli.Micros("took_us", "TOOK", "how long it took", func(s step) int64 { return s.GetTookUs() }),
		cli.Text("reason", "REASON", "why it failed", func(s step) string { return s.GetReason() }),
		cli.Text("message", "MESSAGE", "in words", func(s step) string { return s.GetMessage() }).OnlyWide(),
	}}
}

func newTest(f *cli.Factory, run func(context.Context, *testOptions) error) *cobra.Command {
	o := &testOptions{Client: func(ctx context.Context) (tester, error) { return f.Admin(ctx) }}
	cmd := &cobra.Command{
		Use:   "test NAME",
		Short: "Write, read back and delete a little on a backend",
		Long: `Makes a small real round trip through the gateway for each kind of data that the backend can
hold, and tells how long each step took. No namespace is touched, and nothing is left behind.
Ends with 6 if a step fails.`,
		Example:           "  prismctl backend test local\n  prismctl backend test local -o json",
		Args:              cli.ExactArgs("NAME"),
		ValidArgsFunction: cli.CompleteBackends(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Name = args[0]
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddListOutput(f, cmd, stepKind().Info())
	return cmd
}

func runTest(ctx context.Context, o *testOptions) error {
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	progress := o.Out.IO.StartProgress("testing the backend")
	r, err := c.TestBackend(ctx, &adminv1.TestBackendRequest{Name: o.Name})
	progress.Stop()
	if err != nil {
		return cli.NotFoundFix(err, seeList)
	}
	if err := cli.PrintList(o.Out, stepKind(), cli.Cut(o.Out, r.GetSteps()), "the backend can hold no data"); err != nil {
		return err
	}
	for _, s := range r.GetSteps() {
		if s.GetReason() != "" {
			// Whatever the step's own reason is: the backend is what is not well.
			err := prism.New(prism.ReasonBackendUnavailable, "backend %q failed its test: %s, %s: %s", o.Name, s.GetModel(), s.GetName(), s.GetMessage())
			return cli.WithFix(err, "prismctl backend describe %s", o.Name)
		}
	}
	return nil
}
