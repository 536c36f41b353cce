package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// maxErrorLines is how tall an error may be without -v.
const maxErrorLines = 6

// PrintError shows err on ErrOut in the shape that every command shares:
//
//	error: what went wrong
//	  cause: why
//	  fix: what to type
//	  docs: where it is explained
//
// With a format for programs it is one JSON object instead.
func (f *Factory) PrintError(err error) {
	var silent ErrSilent
	switch {
	case err == nil, errors.As(err, &silent):
		return
	case asJSON(f.Globals.Output):
		f.printErrorJSON(err)
		return
	case errors.Is(err, context.Canceled) && Code(err) >= ExitInterrupted:
		fmt.Fprintln(f.IO.ErrOut, cancelWord(err))
		return
	}
	var rendered interface{ Render() string }
	if errors.As(err, &rendered) { // a file's problems come first, for editors
		fmt.Fprint(f.IO.ErrOut, rendered.Render())
	}
	lines := f.complaint(err, rendered != nil)
	if f.Globals.Verbose == 0 && len(lines) > maxErrorLines {
		lines = lines[:maxErrorLines]
	}
	p := f.IO.Palette(iostreams.Err)
	for i, l := range lines {
		switch {
		case i == 0:
			fmt.Fprintf(f.IO.ErrOut, "%s %s\n", p.Bad(l.key+":"), l.text)
		default:
			fmt.Fprintf(f.IO.ErrOut, "  %s %s\n", p.Bold(l.key+":"), l.text)
		}
	}
}

func cancelWord(err error) string {
	var i Interrupt
	if errors.As(err, &i) {
		return i.Error()
	}
	return "cancelled"
}

func asJSON(format string) bool { return format == FormatJSON || format == FormatJSONL }

type line struct{ key, text string }

// complaint lists the lines of an error, most needed first; when there is no
// room for all fields, the last field line says how many are left out.
func (f *Factory) complaint(err error, rendered bool) []line {
	e, fix, docs := dissect(err)
	lines := []line{{"error", iostreams.Escape(e.Message)}}
	var tail []line
	if fix = withRetry(fix, e); fix != "" {
		tail = append(tail, line{"fix", iostreams.Escape(fix)})
	}
	tail = append(tail, line{"docs", docs})
	if e.TraceID != "" || e.RequestID != "" {
		tail = append(tail, line{"trace", f.traceText(e)})
	}
	if cause := causeOf(e); cause != "" {
		lines = append(lines, line{"cause", iostreams.Escape(cause)})
	}
	if !rendered {
		lines = append(lines, fieldLines(e, maxErrorLines-len(lines)-len(tail), f.Globals.Verbose > 0)...)
	}
	lines = append(lines, tail...)
	if f.Globals.Verbose > 0 {
		lines = append(lines, line{"code", e.Code() + " " + string(e.Reason)})
		for _, k := range sortedKeys(e.Meta) {
			lines = append(lines, line{iostreams.Escape(k), iostreams.Escape(e.Meta[k])})
		}
	}
	return lines
}

// dissect finds the prism error, the remedy and the topic in err.
func dissect(err error) (e *prism.Error, fix, docs string) {
	e = prism.From(err)
	var own *prism.Error
	if !errors.As(err, &own) && e.Reason == prism.ReasonInternal {
		// Not from the gateway: a file, a pipe, the system. Its own words say
		// more than "internal error".
		e = &prism.Error{Reason: prism.ReasonFailedPrecond, Message: strings.ReplaceAll(err.Error(), "\n", "; ")}
		docs = "prismctl help errors"
	}
	disk := diskFix(err)
	for failure := (*Failure)(nil); errors.As(err, &failure); err = failure.Err {
		if fix == "" {
			fix = failure.Fix
		}
		if docs == "" {
			docs = failure.Docs
		}
	}
	if fix == "" {
		fix = disk
	}
	if docs == "" {
		docs = "prismctl errors lookup " + e.Code()
		if fix == "" {
			fix = remedy(e)
		}
	}
	return e, fix, docs
}

// metaAddress is the fact that an error of the transport carries.
const metaAddress = "address"

// remedy is what to do about a reason in general; for a gateway that cannot be
// reached it depends on where it should be.
func remedy(e *prism.Error) string {
	address := e.Meta[metaAddress]
	switch {
	case address == "":
		return e.Reason.Info().Fix
	case isLoopback(address):
		return "prismctl dev up"
	}
	return "prismctl context show tells what is dialled; correct it with prismctl context add"
}

func withRetry(fix string, e *prism.Error) string {
	wait := e.RetryAfter()
	if e.Retry <= 0 || wait <= 0 {
		return fix
	}
	again := "try again in " + Duration(wait.Round(time.Millisecond))
	if fix == "" {
		return again
	}
	return fix + "; " + again
}

func (f *Factory) traceText(e *prism.Error) string {
	var parts []string
	if e.TraceID != "" {
		parts = append(parts, e.TraceID)
	}
	if e.RequestID != "" {
		parts = append(parts, "request "+e.RequestID)
	}
	text := iostreams.Escape(strings.Join(parts, " "))
	if link := f.TraceLink(e.TraceID); link != "" {
		text += " open: " + f.IO.Link(iostreams.Err, link, link)
	}
	return text
}

// causeOf is the quota that was met and the nearest causes that say something
// new.
func causeOf(e *prism.Error) string {
	var parts []string
	if q := e.Quota; q != nil {
		parts = append(parts, strings.TrimPrefix(q.Subject+": "+q.Message, ": "))
	}
	seen := e.Message
	for err := e.Err; err != nil && len(parts) < 4; {
		var next *prism.Error
		if !errors.As(err, &next) {
			if text := err.Error(); !strings.Contains(seen, text) {
				parts = append(parts, text)
			}
			break
		}
		if next.Message != "" && !strings.Contains(seen, next.Message) {
			parts, seen = append(parts, next.Message), seen+next.Message
		}
		err = next.Err
	}
	return strings.ReplaceAll(strings.Join(parts, "; "), "\n", "; ")
}

func fieldLines(e *prism.Error, room int, all bool) []line {
	fields := e.Fields
	if len(fields) == 1 && strings.Contains(e.Message, fields[0].Message) {
		return nil // the message is the field's
	}
	var lines []line
	for i, v := range fields {
		if !all && i == max(room, 1)-1 && len(fields)-i > 1 {
			lines = append(lines, line{"and", fmt.Sprintf("%d more fields; -v shows all", len(fields)-i)})
			break
		}
		lines = append(lines, line{"field", iostreams.Escape(v.Field + " " + v.Message)})
	}
	return lines
}

func (f *Factory) printErrorJSON(err error) {
	e, fix, docs := dissect(err)
	fields := make([]any, len(e.Fields))
	for i, v := range e.Fields {
		fields[i] = Object{{"field", v.Field}, {"message", v.Message}}
	}
	meta := make(Object, 0, len(e.Meta))
	for _, k := range sortedKeys(e.Meta) {
		meta = append(meta, Member{k, e.Meta[k]})
	}
	var quota any
	if q := e.Quota; q != nil {
		quota = Object{{"subject", q.Subject}, {"message", q.Message}}
	}
	message := e.Message
	if Code(err) >= ExitInterrupted && errors.Is(err, context.Canceled) {
		message = cancelWord(err)
	}
	var b bytes.Buffer
	writeJSON(&b, Object{
		{"apiVersion", APIVersion},
		{"kind", "Error"},
		{"code", e.Code()},
		{"reason", string(e.Reason)},
		{"message", message},
		{"cause", causeOf(e)},
		{"hint", fix},
		{"docs", docs},
		{"exit_code", int64(Code(err))},
		{"retryable", e.Retryable()},
		{"retry_after_ms", e.RetryAfter().Milliseconds()},
		{"namespace", e.Namespace},
		{"backend", e.Backend},
		{"request_id", e.RequestID},
		{"trace_id", e.TraceID},
		{"fields", fields},
		{"quota", quota},
		{"metadata", meta},
	}, "", "")
	b.WriteByte('\n')
	_, _ = f.IO.ErrOut.Write(b.Bytes())
}
