// Package trace is `prismctl trace`: what the gateway keeps of calls that
// failed, were slow, or were recorded.
package trace

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

type getter interface {
	GetTrace(context.Context, *adminv1.GetTraceRequest, ...grpc.CallOption) (*adminv1.GetTraceResponse, error)
}

type showOptions struct {
	Out    *cli.Output
	Client func(context.Context) (getter, error)
	Link   func(id string) string

	ID string
}

// New is the noun, which is the verb too: what follows it is a trace.
func New(f *cli.Factory) *cobra.Command {
	cmd := cli.Group("trace ID", "Show what the gateway did for a call",
		"Shows a trace: which call came, what each backend did for it and how long that took. The gateway\nkeeps its part of the last 1,000 traces of calls that failed, were slow or were recorded by their\ncaller, as all of prismctl's are, and a share of the others. Errors name their trace.",
		"  prismctl trace 4bf92f3577b34da6a3ce929d0e0e4736\n  prismctl trace list --errors",
		newList(f, runList))
	o := &showOptions{
		Client: func(ctx context.Context) (getter, error) { return f.Admin(ctx) },
		Link:   f.TraceLink,
	}
	o.Out = cli.AddOutput(f, cmd, kind(o.Link).Info())
	cmd.ValidArgsFunction = complete(f)
	help := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) == 1 && isID(args[0]):
			o.ID = strings.ToLower(args[0])
			return runShow(cmd.Context(), o)
		case len(args) > 1 && isID(args[0]):
			return cli.Usage("prismctl trace "+args[0], "one trace is shown at a time")
		}
		return help(cmd, args)
	}
	return cmd
}

// isID reports whether a word is a trace id: 32 hexadecimal digits.
func isID(s string) bool {
	return len(s) == 32 && strings.Trim(strings.ToLower(s), "0123456789abcdef") == ""
}

type trace = *adminv1.Trace

// kind describes a trace. What is told of it as a whole is that of its first
// call.
func kind(link func(string) string) cli.Kind[trace] {
	return cli.Kind[trace]{Name: "Trace", Fields: []cli.Field[trace]{
		cli.Text("trace_id", "TRACE", "the trace id, as errors and log lines tell it", func(t trace) string { return t.GetTraceId() }),
		cli.Time("started_at", "STARTED", "when the first call began", func(t trace) int64 { return first(t).GetStartUs() / 1000 }),
		cli.Text("call", "CALL", "the first call", func(t trace) string { return shortName(first(t).GetName()) }),
		cli.Text("namespace", "NAMESPACE", "its namespace", func(t trace) string { return first(t).GetAttributes()["prism.namespace"] }).OnlyWide(),
		cli.Micros("duration_us", "DURATION", "from the begin of the first span to the end of the last", func(t trace) int64 { return span(t).Microseconds() }),
		cli.Int("span_count", "SPANS", "calls and their parts", func(t trace) int64 { return int64(len(t.GetSpans())) }),
		cli.Text("error", "ERROR", "the first error in it; empty: none", failure),
		cli.Bool("slow", "SLOW", "whether it was kept for being slow", slow).OnlyWide(),
		cli.Text("url", "", "where else it can be seen: PRISM_TRACE_URL with the id in it", func(t trace) string { return link(t.GetTraceId()) }).
			Optional(func(t trace) bool { return link(t.GetTraceId()) != "" }),
		cli.Nested("spans", "its calls and their parts, the first to begin first", spans),
	}}
}

func first(t trace) *adminv1.Span {
	if len(t.GetSpans()) == 0 {
		return nil
	}
	return t.Spans[0]
}

func span(t trace) time.Duration {
	var end int64
	for _, s := range t.GetSpans() {
		end = max(end, s.StartUs+s.DurationUs)
	}
	return time.Duration(end-first(t).GetStartUs()) * time.Microsecond
}

func failure(t trace) string {
	for _, s := range t.GetSpans() {
		if s.Error != "" {
			return s.Error
		}
	}
	return ""
}

func slow(t trace) bool {
	for _, s := range t.GetSpans() {
		if s.Slow {
			return true
		}
	}
	return false
}

func spans(t trace) any {
	list := make([]any, 0, len(t.GetSpans()))
	for _, s := range t.GetSpans() {
		attributes := cli.Object{}
		for _, name := range names(s) {
			attributes = append(attributes, cli.Member{Name: name, Value: s.Attributes[name]})
		}
		list = append(list, cli.Object{
			{Name: "span_id", Value: s.SpanId},
			{Name: "parent_span_id", Value: s.ParentSpanId},
			{Name: "name", Value: s.Name},
			{Name: "service", Value: s.Service},
			{Name: "start_us", Value: s.StartUs},
			{Name: "duration_us", Value: s.DurationUs},
			{Name: "error", Value: s.Error},
			{Name: "attributes", Value: attributes},
		})
	}
	return list
}

// shortName is a call without its package: KeyValueService/Get.
func shortName(name string) string {
	if at := strings.LastIndexByte(name[:max(strings.LastIndexByte(name, '/'), 0)], '.'); at >= 0 {
		return name[at+1:]
	}
	return name
}

func runShow(ctx context.Context, o *showOptions) error {
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	r, err := c.GetTrace(ctx, &adminv1.GetTraceRequest{TraceId: o.ID})
	if err != nil {
		if link := o.Link(o.ID); link != "" {
			return cli.NotFoundFix(err, "look at "+link+", or type: prismctl trace list")
		}
		return cli.NotFoundFix(err, "prismctl trace list")
	}
	if o.Out.Machine() || o.Out.Quiet() {
		return cli.PrintOne(o.Out, kind(o.Link), r.GetTrace())
	}
	return printTree(o.Out, r.GetTrace(), o.Link(o.ID))
}

func complete(f *cli.Factory) cobra.CompletionFunc {
	return cli.Complete(f, func(ctx context.Context) ([]cli.Candidate, error) {
		c, err := f.Admin(ctx)
		if err != nil {
			return nil, err
		}
		r, err := c.ListTraces(ctx, &adminv1.ListTracesRequest{Limit: 20})
		var list []cli.Candidate
		for _, t := range r.GetTraces() {
			list = append(list, cli.Candidate{Name: t.TraceId, Note: shortName(first(t).GetName())})
		}
		return list, err
	})
}
