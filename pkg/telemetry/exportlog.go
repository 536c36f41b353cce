package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/trace"
)

// Logger is l whose records go to the collector too, without their secrets.
func (x *Export) Logger(l *slog.Logger) *slog.Logger {
	return slog.New(both{l.Handler(), &logHandler{x: x}})
}

// both hands records to the log that there is, which decides what is logged, and
// to the collector.
type both struct {
	slog.Handler
	sent *logHandler
}

func (b both) Handle(ctx context.Context, r slog.Record) error {
	return errors.Join(b.Handler.Handle(ctx, r), b.sent.Handle(ctx, r))
}

func (b both) WithAttrs(a []slog.Attr) slog.Handler {
	return both{b.Handler.WithAttrs(a), b.sent.withAttrs(a)}
}

func (b both) WithGroup(name string) slog.Handler {
	return both{b.Handler.WithGroup(name), b.sent.withGroup(name)}
}

// A logHandler makes records of the collector's form. Groups become parts of
// names.
type logHandler struct {
	x      *Export
	groups []string
	attrs  []attribute.KeyValue
}

func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	if !h.x.logs.offer() {
		return nil
	}
	var out log.Record
	out.SetTimestamp(r.Time)
	out.SetBody(attribute.StringValue(scrub(r.Message)))
	out.SetSeverity(log.SeverityInfo + log.Severity(r.Level))
	out.SetSeverityText(r.Level.String())
	attrs := slices.Clone(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		attrs = appendAttr(attrs, h.groups, a)
		return true
	})
	if i := idsOf(ctx); i != nil {
		attrs = append(attrs, attribute.String("prism.request_id", i.request()))
		ctx = trace.ContextWithSpanContext(ctx, spanContext(i.trace.trace, i.trace.span))
	}
	out.AddAttributes(attrs...)
	h.x.logger.Emit(context.WithoutCancel(ctx), out)
	return nil
}

func (h *logHandler) withAttrs(list []slog.Attr) *logHandler {
	next := &logHandler{x: h.x, groups: h.groups, attrs: slices.Clone(h.attrs)}
	for _, a := range list {
		next.attrs = appendAttr(next.attrs, h.groups, a)
	}
	return next
}

func (h *logHandler) withGroup(name string) *logHandler {
	return &logHandler{x: h.x, groups: append(slices.Clone(h.groups), name), attrs: h.attrs}
}

// appendAttr adds a, without what is secret in it.
func appendAttr(list []attribute.KeyValue, groups []string, a slog.Attr) []attribute.KeyValue {
	a.Value = a.Value.Resolve()
	if a.Value.Kind() == slog.KindGroup {
		if a.Key != "" {
			groups = append(slices.Clone(groups), a.Key)
		}
		for _, inner := range a.Value.Group() {
			list = appendAttr(list, groups, inner)
		}
		return list
	}
	if a.Equal(slog.Attr{}) {
		return list
	}
	a = redact(groups, a)
	name := ""
	for _, g := range groups {
		name += g + "."
	}
	return append(list, attribute.KeyValue{Key: attribute.Key(name + a.Key), Value: valueOf(a.Value)})
}

func valueOf(v slog.Value) attribute.Value {
	switch v.Kind() {
	case slog.KindBool:
		return attribute.BoolValue(v.Bool())
	case slog.KindInt64:
		return attribute.Int64Value(v.Int64())
	case slog.KindFloat64:
		return attribute.Float64Value(v.Float64())
	case slog.KindDuration:
		return attribute.Int64Value(v.Duration().Nanoseconds())
	}
	return attribute.StringValue(v.String())
}
