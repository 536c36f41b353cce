package loadtest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/loadtest/report"
	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
)

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// A reading is a command on reports that are there.
type reading struct {
	IO     *iostreams.IOStreams
	Runs   func() runs
	Output string
	Args   []string
	MaxPct string
	Files  []string
}

func newReading(f *cli.Factory) *reading {
	return &reading{IO: f.IO, Runs: func() runs { return runsOf(f) }}
}

func (o *reading) complete(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return o.Runs().names(), cobra.ShellCompDirectiveDefault
}

func newReport(f *cli.Factory, run func(context.Context, *reading) error) *cobra.Command {
	o := newReading(f)
	cmd := &cobra.Command{
		Use:   "report FILE|NAME...",
		Short: "Print a report again, or several as one",
		Long: `Prints a report that -o json, --report or --save wrote, in any format. Several reports are those of
generators that loaded one thing together: they are merged, exactly, into one.`,
		Example: "  prismctl loadtest report baseline\n  prismctl loadtest report a.json b.json -o html",
		Args:    atLeast(1, "FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Args, o.Output = args, f.Globals.Output
			return run(cmd.Context(), o)
		},
		ValidArgsFunction: o.complete,
	}
	cmd.Flags().StringArrayVar(&o.Files, "report", nil, "write it to this `FILE` too, by its name as "+strings.Join(report.Formats(), ", ")+"; may be repeated")
	return cmd
}

// atLeast wants so many arguments or more.
func atLeast(n int, name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < n {
			return cli.ExactArgs(slices.Repeat([]string{name}, n)...)(cmd, args)
		}
		return nil
	}
}

func runReport(_ context.Context, o *reading) error {
	format := cmpOr(o.Output, formatText)
	if !slices.Contains(report.Formats(), format) {
		return cli.Usage("use one of: "+strings.Join(report.Formats(), ", "), "unknown output format %q", o.Output)
	}
	all, err := o.read()
	if err != nil {
		return err
	}
	r := all[0]
	if len(all) > 1 {
		if r, err = report.Merge(all...); err != nil {
			return err
		}
	}
	if err := r.Write(o.IO.Out, format); err != nil {
		return err
	}
	for _, path := range o.Files {
		if err := writeFile(r, path); err != nil {
			return err
		}
		fmt.Fprintf(o.IO.ErrOut, "wrote %s\n", iostreams.Escape(path))
	}
	return nil
}

func (o *reading) read() ([]*report.Report, error) {
	var all []*report.Report
	for _, what := range o.Args {
		r, err := o.Runs().read(what)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

func newCompare(f *cli.Factory, run func(context.Context, *reading) error) *cobra.Command {
	o := newReading(f)
	cmd := &cobra.Command{
		Use:   "compare BEFORE AFTER",
		Short: "Compare two runs, and judge the difference",
		Long: `Compares two reports, each a file or the name it was saved under. Each change is shown with the
interval that holds it with 95 % confidence, from a bootstrap over stretches of the runs. Ends with 99
if a figure got worse by more than --max-regression and the interval rules out chance. Error rates are
compared in percentage points, of which 0.1 are allowed.`,
		Example: "  prismctl loadtest compare baseline after.json\n  prismctl loadtest compare a.json b.json --max-regression 10% -o json",
		Args:    cli.ExactArgs("BEFORE", "AFTER"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Args, o.Output = args, f.Globals.Output
			return run(cmd.Context(), o)
		},
		ValidArgsFunction: o.complete,
	}
	cmd.Flags().StringVar(&o.MaxPct, "max-regression", fmt.Sprintf("%d%%", report.DefaultMaxRegressionPct), "let a figure get worse by this `SHARE`")
	return cmd
}

func runCompare(_ context.Context, o *reading) error {
	if o.Output != "" && o.Output != formatText && o.Output != cli.FormatJSON {
		return cli.Usage("use one of: text, json", "unknown output format %q", o.Output)
	}
	most, err := strconv.ParseFloat(strings.TrimSuffix(o.MaxPct, "%"), 64)
	if err != nil || !strings.HasSuffix(o.MaxPct, "%") || !(most >= 0 && most < 1000) {
		return cli.Usage("write it as 5%", "--max-regression: %q is not a share", o.MaxPct)
	}
	all, err := o.read()
	if err != nil {
		return err
	}
	c := report.Compare(all[0], all[1], most)
	if o.Output == cli.FormatJSON {
		enc := json.NewEncoder(o.IO.Out)
		enc.SetIndent("", "  ")
		err = enc.Encode(c)
	} else {
		err = c.WriteText(o.IO.Out)
	}
	if err == nil && c.Verdict == report.Worse {
		err = failure(report.ExitThreshold, "the second run is worse: %s", worse(c))
	}
	return err
}

func worse(c *report.Comparison) string {
	var all []string
	for _, x := range c.Changes {
		if x.Verdict == report.Worse {
			all = append(all, fmt.Sprintf("%s by %+.1f", x.Metric, x.ChangePct))
		}
	}
	return strings.Join(all, ", ")
}
