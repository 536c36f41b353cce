// Package ts is `prismctl ts`: append events to time series, read them back and
// aggregate them, through the gateway's data API.
package ts

import (
	b64 "encoding/base64"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/prism"
	timeseriesv1 "github.com/prism-data-layer/prism/proto/prism/timeseries/v1"
)

// model names the default namespace of these commands.
const model = "timeseries"

// New is the noun.
func New(f *cli.Factory) *cobra.Command {
	return cli.Group("ts", "Append events to time series, and aggregate them",
		`Works on the namespace that -n names, else the one of the context; dev up makes one called
timeseries. An event has a time, a type, and may have a source, dimensions to filter and group by,
and metrics, which are numbers.`,
		"  prismctl ts append --type http_request --dim route=/cart --metric ms=12.5\n  prismctl ts aggregate --bucket 1m --by route --select 'count, p95(ms)'",
		newAppend(f, runAppend), newQuery(f, runQuery), newAggregate(f, runAggregate), newInfo(f, runInfo))
}

// The names of an event's fields, in JSON, in the header of a CSV file and where
// groups are named.
const (
	fieldTime   = "time"
	fieldType   = "type"
	fieldSource = "source"
	fieldID     = "id"
)

// The prefixes that say of a name what it is.
const (
	dimPrefix    = "dim."
	metricPrefix = "metric."
)

type event = *timeseriesv1.Event

func eventKind() cli.Kind[event] {
	text := func(e event) bool { return len(e.GetPayload()) > 0 && utf8.Valid(e.GetPayload()) }
	bytes := func(e event) bool { return len(e.GetPayload()) > 0 && !utf8.Valid(e.GetPayload()) }
	return cli.Kind[event]{Name: "SeriesEvent", Fields: []cli.Field[event]{
		cli.Nanos(fieldTime, "TIME", "when it was", func(e event) int64 { return e.GetTimeNs() }),
		cli.Text(fieldType, "TYPE", "what kind of event it is", func(e event) string { return e.GetEventType() }),
		cli.Text(fieldSource, "SOURCE", "where it is from", func(e event) string { return e.GetSource() }),
		cli.Nested("dimensions", "what it is about", func(e event) any { return object(e.GetDimensions(), text2any) }).InTables("DIMENSIONS"),
		cli.Nested("metrics", "what was measured", func(e event) any { return object(e.GetMetrics(), number) }).InTables("METRICS"),
		cli.Text(fieldID, "ID", "keeps it from being stored twice", func(e event) string { return e.GetEventId() }).OnlyWide(),
		cli.Text("payload", "PAYLOAD", "its payload; null where there is none or it is not UTF-8", func(e event) string { return string(e.GetPayload()) }).OnlyWide().Optional(text),
		cli.Text("payload_base64", "", "the payload, where it is not UTF-8", func(e event) string { return b64.StdEncoding.EncodeToString(e.GetPayload()) }).Optional(bytes),
	}}
}

// object is a map in the order of its names.
func object[V any](m map[string]V, value func(V) any) cli.Object {
	o := make(cli.Object, 0, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		o = append(o, cli.Member{Name: name, Value: value(m[name])})
	}
	return o
}

func text2any(s string) any { return s }

// number is a figure as programs get it: one without a fraction has no exponent
// either.
func number(f float64) any {
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return int64(f)
	}
	return f
}

// explain turns what the gateway said into what a person needs.
func explain(err error, namespace string) error {
	e := prism.From(err)
	switch {
	case e.Reason == prism.ReasonNotFound && strings.HasPrefix(e.Message, "namespace "):
		return cli.WithFix(err, "prismctl namespace create %s --model timeseries", cli.Quote(namespace))
	case e.Reason == prism.ReasonBufferFull:
		return cli.WithFix(err, "leave out --async: then it waits for the store")
	}
	return err
}
