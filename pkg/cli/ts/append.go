package ts

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/client"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	timeseriesv1 "github.com/prism-data-layer/prism/proto/prism/timeseries/v1"
)

type appendClient interface {
	describer
	AppendEvents(context.Context, *timeseriesv1.AppendEventsRequest, ...grpc.CallOption) (*timeseriesv1.AppendEventsResponse, error)
}

type appendOptions struct {
	IO    *iostreams.IOStreams
	Clock clock.Clock
	Out   *cli.Output
	SDK   func(...client.Option) (*client.Client, error)
	cli.Door[appendClient]

	fileOptions
	Time, ID, Payload     string
	Pairs, Numbers        []string // --dim and --metric
	SkipInvalid           bool
	Async, DryRun         bool
	single, onlyWithFiles []string // flags that were given, of one event and of files
}

// fileOptions say how a file is read.
type fileOptions struct {
	File, Format, TimeUnit string
	Dims, Metrics          []string // columns without a prefix
	Type, Source           string   // of events that say none

	unit unit
}

// The formats of files.
const (
	formatCSV   = "csv"
	formatJSONL = "jsonl"
)

// Flags that belong to one event, and to files.
var (
	singleFlags = []string{"time", "id", "payload", "dim", "metric"}
	fileFlags   = []string{"format", "dims", "metrics", "skip-invalid"}
)

func newAppend(f *cli.Factory, run func(context.Context, *appendOptions) error) *cobra.Command {
	o := &appendOptions{
		IO: f.IO, Clock: f.Clock, SDK: f.SDK,
		Door: cli.OpenDoor(f, model, func(ctx context.Context) (appendClient, error) { return f.TimeSeries(ctx) }),
	}
	cmd := &cobra.Command{
		Use:   "append",
		Short: "Store one event, or those of a file",
		Long: `Stores the event that the flags describe, or with --file those of CSV or of JSON lines, which are
sent while they are read; - is standard input.

The first line of CSV names the columns: time, type, source, id, payload, and dimensions and metrics
as dim.NAME and metric.NAME, or by any name that --dims or --metrics has. JSON lines are what
prismctl ts query -o jsonl prints. A wrong line ends the import, with its number; with --skip-invalid
it is counted and left out, and the exit code is 8. What was sent is stored, duplicates and rejected
together.`,
		Example: `  prismctl ts append --type http_request --source web-1 --dim route=/cart --metric ms=12.5
  prismctl ts append --file events.csv --dims host --metrics ms --time-unit s --type http_request
  prismctl ts query --all -o jsonl | prismctl ts append --file - --format jsonl -n copy`,
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.single, o.onlyWithFiles = given(cmd, singleFlags), given(cmd, fileFlags)
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddOutput(f, cmd, appendedKind().Info())
	o.addTo(cmd)
	return cmd
}

func given(cmd *cobra.Command, names []string) (list []string) {
	for _, name := range names {
		if cmd.Flags().Changed(name) {
			list = append(list, "--"+name)
		}
	}
	return list
}

func (o *appendOptions) addTo(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&o.Type, "type", "", "the event's `TYPE`; of a file's events those that say none")
	flags.StringVar(&o.Source, "source", "", "the event's `SOURCE`; of a file's events those that say none")
	flags.StringVar(&o.Time, "time", "", "when it was: a `TIME` in RFC 3339, or a number with --time-unit")
	flags.StringVar(&o.ID, "id", "", "store it once for this `ID`, however often it comes within ten minutes")
	flags.StringVar(&o.Payload, "payload", "", "the event's payload: a `TEXT`")
	flags.StringArrayVar(&o.Pairs, "dim", nil, "give it a dimension `NAME=VALUE`; may be repeated")
	flags.StringArrayVar(&o.Numbers, "metric", nil, "give it a metric `NAME=NUMBER`; may be repeated")
	flags.StringVarP(&o.File, "file", "f", "", "store the events of this `FILE`; - for standard input")
	flags.StringVar(&o.Format, "format", "", "the `FORMAT` of the file: csv or jsonl")
	flags.StringVar(&o.TimeUnit, "time-unit", "", "times may be numbers of this `UNIT` since 1970: s, ms, us or ns")
	flags.StringSliceVar(&o.Dims, "dims", nil, "these `COLUMNS` of CSV are dimensions")
	flags.StringSliceVar(&o.Metrics, "metrics", nil, "these `COLUMNS` of CSV are metrics")
	flags.BoolVar(&o.SkipInvalid, "skip-invalid", false, "count wrong lines and go on")
	flags.BoolVar(&o.Async, "async", false, "do not wait for the store: the gateway holds events until it has them")
	flags.BoolVar(&o.DryRun, "dry-run", false, "read everything, and store nothing")
	cli.SetDefault(cmd, "time", "now")
	cli.SetDefault(cmd, "format", "the file's extension")
	cli.SetDefault(cmd, "dims", "those called dim.NAME")
	cli.SetDefault(cmd, "metrics", "those called metric.NAME")
	cli.Enum(cmd, "format", formatCSV, formatJSONL)
	cli.Enum(cmd, "time-unit", unitWords()...)
}

// appended is what became of events.
type appended struct {
	namespace                                   string
	sent, stored, duplicates, rejected, unknown int64
	skipped                                     int64
	first, last                                 int64 // times; 0: there was no event
	problems                                    []any
}

// saw takes an event's time into account.
func (a *appended) saw(ns int64) {
	if a.first == 0 {
		a.first, a.last = ns, ns
	}
	a.first, a.last = min(a.first, ns), max(a.last, ns)
}

func appendedKind() cli.Kind[appended] {
	some := func(a appended) bool { return a.first != 0 }
	return cli.Kind[appended]{Name: "Append", Fields: []cli.Field[appended]{
		cli.Text("namespace", "NAMESPACE", "to where", func(a appended) string { return a.namespace }),
		cli.Int("sent", "SENT", "how many events: stored, duplicates, rejected and unknown together", func(a appended) int64 { return a.sent }),
		cli.Int("stored", "STORED", "with --async: taken by the gateway", func(a appended) int64 { return a.stored }),
		cli.Int("duplicates", "DUPLICATES", "not stored because their id was there", func(a appended) int64 { return a.duplicates }),
		cli.Int("rejected", "REJECTED", "refused by the gateway", func(a appended) int64 { return a.rejected }),
		cli.Int("unknown", "UNKNOWN", "whether they are stored is not known", func(a appended) int64 { return a.unknown }),
		cli.Int("skipped", "SKIPPED", "lines that are no events", func(a appended) int64 { return a.skipped }),
		cli.Nanos("first_at", "FIRST", "time of the oldest", func(a appended) int64 { return a.first }).Optional(some),
		cli.Nanos("last_at", "LAST", "time of the newest", func(a appended) int64 { return a.last }).Optional(some),
		cli.Nested("problems", "the first lines that are wrong or were refused", func(a appended) any { return a.problems }),
	}}
}

func runAppend(ctx context.Context, o *appendOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	if o.File != "" {
		return runImport(ctx, o)
	}
	e, err := o.event()
	if err != nil {
		return err
	}
	ns, err := o.Namespace()
	if err != nil {
		return err
	}
	sum := appended{namespace: ns, sent: 1, first: e.TimeNs, last: e.TimeNs}
	if o.DryRun {
		return cli.PrintChanged(o.Out, appendedKind(), sum, "would append 1 event to "+ns+" (dry run)", "")
	}
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	r, err := c.AppendEvents(ctx, &timeseriesv1.AppendEventsRequest{
		Namespace: ns, Async: o.Async, Events: &timeseriesv1.AppendEventsRequest_Rows{Rows: &timeseriesv1.EventRows{Events: []*timeseriesv1.Event{e}}},
	})
	if err != nil {
		return explain(err, ns)
	}
	for _, x := range r.GetRejections() {
		return wire.FromItem(x.GetError())
	}
	sum.stored, sum.duplicates, sum.rejected = r.GetAccepted(), r.GetDuplicates(), r.GetRejected()
	sentence := "appended 1 event to " + ns
	if sum.duplicates > 0 {
		sentence = fmt.Sprintf("not appended to %s: an event with the id %s is there already", ns, cli.Quote(o.ID))
	}
	return cli.PrintChanged(o.Out, appendedKind(), sum, sentence, cli.Next(model, ns, "ts", "query", "--descending", "--limit", "1"))
}

// check reads the flags that are words, and refuses those that do not go
// together.
func (o *appendOptions) check() error {
	if o.TimeUnit != "" {
		for _, u := range units {
			if u.word == o.TimeUnit {
				o.unit = u.unit
			}
		}
	}
	switch {
	case o.File == "" && len(o.onlyWithFiles) > 0:
		return cli.Usage("add --file FILE", "%s is about a file", o.onlyWithFiles[0])
	case o.File == "" && o.Type == "":
		return cli.Usage("prismctl ts append --type TYPE, or --file FILE", "prismctl ts append needs --type or --file")
	case o.File == "":
		return nil
	case len(o.single) > 0:
		return cli.Usage("leave out "+o.single[0]+" or --file", "%s is about one event", o.single[0])
	}
	if o.Format == "" {
		switch strings.ToLower(filepath.Ext(o.File)) {
		case ".csv":
			o.Format = formatCSV
		case ".jsonl", ".ndjson":
			o.Format = formatJSONL
		default:
			return cli.Usage("add --format csv or --format jsonl", "the format of %s is not known", o.File)
		}
	}
	if o.Format == formatJSONL && len(o.Dims)+len(o.Metrics) > 0 {
		return cli.Usage("leave them out: JSON lines say it themselves", "--dims and --metrics are about columns of CSV")
	}
	return nil
}

// event is the one that the flags describe.
func (o *appendOptions) event() (*timeseriesv1.Event, error) {
	e := &timeseriesv1.Event{
		TimeNs: o.Clock.Now().UnixNano(), EventType: o.Type, Source: o.Source, EventId: o.ID,
		Dimensions: map[string]string{}, Metrics: map[string]float64{},
	}
	if len(o.Payload) > prism.MaxValueBytes {
		return nil, prism.InvalidField("payload", "must be at most 1 MiB")
	}
	e.Payload = []byte(o.Payload)
	if o.Time != "" {
		at, err := o.unit.parseTime([]byte(o.Time))
		if err != nil {
			return nil, cli.Usage("write a time such as 2026-03-01T12:00:00Z", "--time: %v", err)
		}
		e.TimeNs = at.UnixNano()
	}
	for _, text := range o.Pairs {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, cli.Usage("--dim NAME=VALUE", "%q is no dimension", text)
		}
		e.Dimensions[name] = value
	}
	for _, text := range o.Numbers {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, cli.Usage("--metric NAME=NUMBER", "%q is no metric", text)
		}
		v, err := parseMetric(name, []byte(value))
		if err != nil {
			return nil, cli.Usage("--metric NAME=NUMBER", "--metric: %v", err)
		}
		e.Metrics[name] = v
	}
	return e, nil
}

func unitWords() []string {
	words := make([]string, len(units))
	for i, u := range units {
		words[i] = u.word
	}
	return words
}
