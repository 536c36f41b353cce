package telemetry

import (
	"context"
	"fmt"
	"io"
	"log/slog"
)

// LogOptions say how the log looks.
type LogOptions struct {
	Format string       // "json" or "text"; empty: text
	Level  slog.Leveler // nil: info; a *slog.LevelVar can change while running
}

// NewLogger writes records to w, one line each. Attributes whose names look
// like secrets are replaced (see redact), and records logged with a call's
// context carry its request_id and trace_id.
func NewLogger(w io.Writer, o LogOptions) (*slog.Logger, error) {
	h := &slog.HandlerOptions{Level: o.Level, ReplaceAttr: redact}
	switch o.Format {
	case "", "text":
		return slog.New(idHandler{slog.NewTextHandler(w, h)}), nil
	case "json":
		return slog.New(idHandler{slog.NewJSONHandler(w, h)}), nil
	}
	return nil, fmt.Errorf("log format %q is neither json nor text", o.Format)
}

// ParseLevel reads debug, info, warn or error.
func ParseLevel(s string) (slog.Level, error) {
	var l slog.Level
	switch s {
	case "":
		return slog.LevelInfo, nil
	case "debug", "info", "warn", "error":
		return l, l.UnmarshalText([]byte(s))
	}
	return l, fmt.Errorf("log level %q is none of debug, info, warn, error", s)
}

// idHandler adds the ids of the call that a record's context belongs to.
type idHandler struct{ slog.Handler }

func (h idHandler) Handle(ctx context.Context, r slog.Record) error {
	if id := RequestID(ctx); id != "" {
		r = r.Clone()
		r.AddAttrs(slog.String("request_id", id), slog.String("trace_id", TraceID(ctx)))
	}
	return h.Handler.Handle(ctx, r)
}

func (h idHandler) WithAttrs(a []slog.Attr) slog.Handler { return idHandler{h.Handler.WithAttrs(a)} }

func (h idHandler) WithGroup(n string) slog.Handler { return idHandler{h.Handler.WithGroup(n)} }
