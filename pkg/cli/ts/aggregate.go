package ts

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
	timeseriesv1 "github.com/prism-data-layer/prism/proto/prism/timeseries/v1"
)

type aggregator interface {
	QueryAggregates(context.Context, *timeseriesv1.QueryAggregatesRequest, ...grpc.CallOption) (*timeseriesv1.QueryAggregatesResponse, error)
}

type aggregateOptions struct {
	Clock   clock.Clock
	Out     *cli.Output
	Globals *cli.Globals
	cli.Door[aggregator]

	selection
	Bucket cli.DurationFlag
	By     []string
	Select string
	Fill   string

	figures []figure
	groups  []group
}

// fills are the words of --fill.
var fills = []struct {
	word string
	fill timeseriesv1.Fill
}{
	{"none", timeseriesv1.Fill_FILL_UNSPECIFIED},
	{"empty", timeseriesv1.Fill_FILL_EMPTY},
	{"zero", timeseriesv1.Fill_FILL_ZERO},
	{"previous", timeseriesv1.Fill_FILL_PREVIOUS},
	{"linear", timeseriesv1.Fill_FILL_LINEAR},
}

func fillWords() []string {
	words := make([]string, len(fills))
	for i, f := range fills {
		words[i] = f.word
	}
	return words
}

func newAggregate(f *cli.Factory, run func(context.Context, *aggregateOptions) error) *cobra.Command {
	o := &aggregateOptions{
		Clock: f.Clock, Globals: f.Globals,
		Door: cli.OpenDoor(f, model, func(ctx context.Context) (aggregator, error) { return f.TimeSeries(ctx) }),
	}
	cmd := &cobra.Command{
		Use:   "aggregate",
		Short: "Show figures by bucket of time and group",
		Long: `Computes figures of events: how many there are, and of their metrics sum(NAME), avg(NAME), min(NAME),
max(NAME) and percentiles such as p95(NAME), for each bucket of time and each group. Buckets begin
at multiples of their length since 1970; without --bucket there is one for the whole range. -v says
what was read: events as they are, or a rollup of them.`,
		Example: "  prismctl ts aggregate --bucket 1m --by host,type --select 'count, avg(ms), p95(ms)'\n  prismctl ts aggregate --since 1h --bucket 5m --fill zero -o csv",
		Args:    cli.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	o.Out = cli.AddListOutput(f, cmd, rowKind(nil, nil, nil).Info())
	check := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if err := o.parse(); err != nil {
			return err
		}
		o.Out.Refine(o.kind(nil).Info())
		return check(cmd, args)
	}
	o.addTo(cmd)
	flags := cmd.Flags()
	flags.Var(&o.Bucket, "bucket", "figures for each `DURATION`, such as 1m or 1h")
	flags.StringSliceVar(&o.By, "by", nil, "for each value of these `NAMES`: type, source or dimensions (dim.type is a dimension called type)")
	flags.StringVar(&o.Select, "select", "count", "the `FIGURES`, with commas between them: count, avg(ms), p95(ms)")
	flags.StringVar(&o.Fill, "fill", "none", "what becomes of buckets without events: `WORD` is "+strings.Join(fillWords(), ", "))
	cli.SetDefault(cmd, "bucket", "the whole range")
	cli.SetDefault(cmd, "by", "all together")
	cli.Enum(cmd, "fill", fillWords()...)
	_ = cmd.RegisterFlagCompletionFunc("by", cobra.FixedCompletions([]string{fieldType, fieldSource}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// A group is one of --by, with the name of its column.
type group struct {
	name string
	*timeseriesv1.GroupKey
}

// The columns that every row has.
const (
	valuesField = "values"
	groupField  = "group"
	filledField = "filled"
)

// parse reads the flags that decide what the columns are.
func (o *aggregateOptions) parse() (err error) {
	if o.figures, err = parseFigures(o.Select); err != nil {
		return err
	}
	o.groups = nil
	for _, name := range o.By {
		g := groupOf(strings.TrimSpace(name))
		switch {
		case g.name == "":
			return cli.Usage("write --by host,type", "--by: a name is missing")
		case slices.ContainsFunc(o.groups, func(other group) bool { return other.name == g.name }):
			return cli.Usage("name it once", "--by has %s twice", g.name)
		}
		o.groups = append(o.groups, g)
	}
	return nil
}

// groupOf reads a name of --by. A dimension that is called like a column keeps
// its prefix.
func groupOf(name string) group {
	switch name {
	case fieldType:
		return group{name, &timeseriesv1.GroupKey{Key: &timeseriesv1.GroupKey_EventType{EventType: true}}}
	case fieldSource:
		return group{name, &timeseriesv1.GroupKey{Key: &timeseriesv1.GroupKey_Source{Source: true}}}
	}
	dimension := strings.TrimPrefix(name, dimPrefix)
	label := dimension
	switch dimension {
	case fieldTime, fieldType, fieldSource, groupField, valuesField, filledField:
		label = dimPrefix + dimension
	}
	return group{label, &timeseriesv1.GroupKey{Key: &timeseriesv1.GroupKey_Dimension{Dimension: dimension}}}
}

type row = *timeseriesv1.AggregateRow

// kind is that of the rows that were asked for. Where the range is not cut into
// buckets, when it begins is no news.
func (o *aggregateOptions) kind(rows []row) cli.Kind[row] {
	k := rowKind(o.groups, o.figures, rows)
	if o.Bucket == 0 {
		k.Fields[0] = k.Fields[0].OnlyWide()
	}
	return k
}

// rowKind is the kind of rows with these columns; of rows it looks at how many
// decimals tables need.
func rowKind(groups []group, figures []figure, rows []row) cli.Kind[row] {
	k := cli.Kind[row]{Name: "Aggregate", Fields: []cli.Field[row]{
		cli.Nanos(fieldTime, "TIME", "where its bucket begins, or the range", func(r row) int64 { return r.GetBucketStartNs() }),
	}}
	for i, g := range groups {
		k.Fields = append(k.Fields, cli.Text(g.name, header(g.name), "of the group", func(r row) string { return r.Group[i].GetValue() }).
			Optional(func(r row) bool { return r.Group[i].Value != nil }).PartOf(groupField))
	}
	for i, f := range figures {
		has := func(r row) bool { return r.Values[i].Value != nil }
		column := cli.Number(f.name, header(f.name), "of the bucket and group", func(r row) float64 { return r.Values[i].GetValue() })
		if n := decimals(rows, i); n > 0 {
			column = column.WithDecimals(n)
		} else {
			column = cli.Int(f.name, header(f.name), "of the bucket and group", func(r row) int64 { return int64(r.Values[i].GetValue()) })
		}
		k.Fields = append(k.Fields, column.Optional(has).PartOf(valuesField))
	}
	k.Fields = append(k.Fields,
		cli.Nested(groupField, "what --by names: null where the events have none", func(r row) any { return groupObject(groups, r) }),
		cli.Nested(valuesField, "what --select names: null where no event has the metric", func(r row) any { return valuesObject(figures, r) }),
		cli.Bool(filledField, "FILLED", "made by --fill, without events", func(r row) bool { return r.GetFilled() }).OnlyWide())
	return k
}

// header is what stands above a column; the name may be anybody's.
func header(name string) string { return strings.ToUpper(iostreams.Escape(name)) }

func groupObject(groups []group, r row) cli.Object {
	o := make(cli.Object, len(groups))
	for i, g := range groups {
		o[i].Name = g.name
		if v := r.Group[i]; v.Value != nil {
			o[i].Value = v.GetValue()
		}
	}
	return o
}

func valuesObject(figures []figure, r row) cli.Object {
	o := make(cli.Object, len(figures))
	for i, f := range figures {
		o[i].Name = f.name
		if v := r.Values[i]; v.Value != nil {
			o[i].Value = number(v.GetValue())
		}
	}
	return o
}

// decimals is how many a column needs: none where all are whole, more where all
// are small.
func decimals(rows []row, column int) int {
	most, whole := 0.0, true
	for _, r := range rows {
		v := r.Values[column].GetValue()
		if _, is := number(v).(int64); !is {
			whole = false
		}
		most = max(most, math.Abs(v))
	}
	switch {
	case whole:
		return 0
	case most < 0.1:
		return 6
	}
	return 3
}

func runAggregate(ctx context.Context, o *aggregateOptions) error {
	req, err := o.request()
	if err != nil {
		return err
	}
	c, ns, err := o.Enter(ctx)
	if err != nil {
		return err
	}
	req.Namespace = ns
	progress := o.Out.IO.StartProgress("aggregating " + ns)
	r, err := c.QueryAggregates(ctx, req)
	progress.Stop()
	if err != nil {
		return o.explain(err, ns)
	}
	for _, row := range r.GetRows() {
		if len(row.Group) != len(o.groups) || len(row.Values) != len(o.figures) {
			return prism.New(prism.ReasonInternal, "the gateway's answer has other columns than were asked for")
		}
	}
	rows := cli.Cut(o.Out, r.GetRows())
	if err := cli.PrintList(o.Out, o.kind(rows), rows, "there are no such events in "+ns); err != nil {
		return err
	}
	if len(rows) < len(r.GetRows()) {
		o.Out.MoreHint("more", len(rows))
	}
	if o.Globals.Chatty() {
		fmt.Fprintf(o.Out.IO.ErrOut, "read: %s\n", r.GetSource())
	}
	return nil
}

func (o *aggregateOptions) request() (*timeseriesv1.QueryAggregatesRequest, error) {
	which, err := o.proto(o.Clock.Now())
	if err != nil {
		return nil, err
	}
	if o.Bucket < 0 {
		return nil, cli.Usage("write how long: 1m, 1h", "--bucket must not be negative")
	}
	req := &timeseriesv1.QueryAggregatesRequest{Selection: which, BucketNs: int64(time.Duration(o.Bucket))}
	for _, g := range o.groups {
		req.GroupBy = append(req.GroupBy, g.GroupKey)
	}
	for _, f := range o.figures {
		req.Aggregates = append(req.Aggregates, f.Aggregate)
	}
	i := slices.IndexFunc(fills, func(f struct {
		word string
		fill timeseriesv1.Fill
	},
	) bool {
		return f.word == o.Fill
	})
	switch {
	case i > 0 && o.Bucket == 0:
		return nil, cli.Usage("add --bucket 1m, or leave out --fill", "--fill needs buckets")
	case i > 0 && o.Since == 0 && (o.Start == "" || o.End == ""):
		return nil, cli.Usage("add --since 1h, or --start and --end", "--fill needs a range: it makes every bucket of it")
	}
	req.Fill = fills[i].fill
	return req, nil
}

// explain adds what to do about an answer that is too large.
func (o *aggregateOptions) explain(err error, ns string) error {
	if e := prism.From(err); len(e.Fields) > 0 && e.Fields[0].Field == "bucket_ns" {
		return cli.WithFix(err, "take a longer --bucket, a shorter range or fewer --by")
	}
	return explain(err, ns)
}
