package ts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/client"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
	timeseriesv1 "github.com/prism-data-layer/prism/proto/prism/timeseries/v1"
)

// events is a file of them.
type events interface {
	// next reads one into m, which is valid until the next call. io.EOF is the end,
	// and after a wrongLine reading goes on.
	next(m *client.Measurement) error
	// at is the line where the last one begins.
	at() int
}

// An importer is an import under way.
type importer struct {
	*appendOptions
	lines    *lines
	events   events
	size     int64 // of the file; 0: not known
	started  time.Time
	appender *client.Appender // nil: nothing is sent

	sent, answered, wrong atomic.Int64 // events, and lines or events that are wrong
	stop                  atomic.Bool  // the gateway has refused an event

	mu       sync.Mutex
	runs     []run
	problems []any
	skipped  int64
	first    appended // of it, the times
}

// A run is events whose lines follow each other as they do: what is one more
// event is one more line.
type run struct {
	event int64
	line  int64
}

// maxRuns bounds what is remembered of lines; events that are refused come back
// long before they are forgotten.
const maxRuns = 1 << 20

// maxProblems is how many wrong lines are shown.
const maxProblems = 10

// errWrong ends an import at a wrong line, which has been shown.
var errWrong = errors.New("wrong line")

func runImport(ctx context.Context, o *appendOptions) error {
	ns, err := o.Namespace()
	if err != nil {
		return err
	}
	in, err := cli.OpenInput(o.IO, o.File)
	if err != nil {
		return err
	}
	defer in.Close()
	i := &importer{appendOptions: o, lines: newLines(in), size: sizeOf(in), started: o.IO.Now()}
	if err := i.open(); err != nil {
		return err
	}
	if !o.DryRun {
		if err := i.reach(ctx, ns); err != nil {
			return err
		}
		sdk, err := o.SDK(client.WithoutSession())
		if err != nil {
			return err
		}
		defer sdk.Close()
		// What was read is still sent, for a moment, when the command is interrupted.
		i.appender = sdk.TimeSeries(ns).Appender(context.WithoutCancel(ctx), client.AppenderOptions{Async: o.Async, Answered: i.settled})
	}
	progress := o.IO.StartProgress("importing into " + ns)
	progress.Measure(i.measure)
	err = i.read(ctx)
	sum, err := i.close(ctx, err)
	progress.Stop()
	sum.namespace = ns
	return i.finish(sum, err)
}

// sizeOf is how large a file is, if it is one.
func sizeOf(in io.Reader) int64 {
	if f, ok := in.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			return info.Size()
		}
	}
	return 0
}

func (i *importer) open() (err error) {
	if i.Format == formatCSV {
		i.events, err = newCSVReader(i.lines, &i.fileOptions)
		return err
	}
	i.events = &jsonReader{lines: i.lines, o: &i.fileOptions}
	return nil
}

// reach asks, without the SDK, which would wait for a gateway that is not there.
// Who may write but not read is let through.
func (i *importer) reach(ctx context.Context, ns string) error {
	c, err := i.Client(ctx)
	if err != nil {
		return err
	}
	_, err = c.DescribeSeries(ctx, &timeseriesv1.DescribeSeriesRequest{Namespace: ns})
	if err == nil || errors.Is(err, prism.ReasonPermissionDenied) {
		return nil
	}
	return explain(err, ns)
}

// measure is how far it has come, for a person who waits.
func (i *importer) measure() string {
	n := i.sent.Load()
	text := fmt.Sprintf("%d events", n)
	if took := i.IO.Now().Sub(i.started).Seconds(); took > 0 {
		text += fmt.Sprintf(", %.0f/s", float64(n)/took)
	}
	if i.size > 0 {
		text += fmt.Sprintf(", %d%%", min(100*i.lines.bytes.Load()/i.size, 100))
	}
	if wrong := i.wrong.Load(); wrong > 0 {
		text += fmt.Sprintf(", %d wrong", wrong)
	}
	return text
}

// lookEvery is after how many events an interrupt is looked for.
const lookEvery = 1 << 10

// read sends every event.
func (i *importer) read(ctx context.Context) error {
	m := client.Measurement{Dimensions: map[string]string{}, Metrics: map[string]float64{}}
	for n := 0; !i.stop.Load(); n++ {
		if n%lookEvery == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		err := i.events.next(&m)
		if err == nil && m.Type == "" {
			err = wrongLine{errors.New("type is missing: pass --type TYPE for all that have none")}
		}
		if err == nil {
			err = i.add(ctx, &m)
		}
		if err == nil {
			continue
		}
		var wrong wrongLine
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case !errors.As(err, &wrong):
			return err
		}
		i.mu.Lock()
		i.skipped++
		i.problem(int64(i.events.at()), err.Error())
		i.mu.Unlock()
		if !i.SkipInvalid {
			return errWrong
		}
	}
	return errWrong
}

func (i *importer) add(ctx context.Context, m *client.Measurement) error {
	n, line := i.sent.Load(), int64(i.events.at())
	if len(i.runs) == 0 || line-n != i.runs[len(i.runs)-1].line-i.runs[len(i.runs)-1].event {
		i.mu.Lock()
		if len(i.runs) == maxRuns {
			i.runs = append(i.runs[:0], i.runs[maxRuns/2:]...)
		}
		i.runs = append(i.runs, run{n, line})
		i.mu.Unlock()
	}
	i.first.saw(m.Time.UnixNano())
	if i.appender != nil {
		if err := i.appender.Add(ctx, *m); err != nil {
			return err
		}
	}
	i.sent.Add(1)
	return nil
}

// lineOf is the line of an event; 0: it is forgotten. With the lock held.
func (i *importer) lineOf(event int64) int64 {
	at := sort.Search(len(i.runs), func(at int) bool { return i.runs[at].event > event }) - 1
	if at < 0 {
		return 0
	}
	return i.runs[at].line + event - i.runs[at].event
}

// settled is told what became of a batch.
func (i *importer) settled(first int64, a client.Appended, err *prism.Error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answered.Add(a.Accepted + a.Duplicates + a.Rejected)
	for _, x := range a.Rejections {
		i.problem(i.lineOf(first+int64(x.Index)), x.Err.Message)
	}
	i.wrong.Add(a.Rejected - int64(len(a.Rejections))) // those that are not listed
	if a.Rejected > 0 && !i.SkipInvalid || err != nil {
		i.stop.Store(true)
	}
}

// problem counts a wrong line and shows the first few. With the lock held.
func (i *importer) problem(line int64, why string) {
	switch n := i.wrong.Add(1); {
	case n <= maxProblems:
		fmt.Fprintf(i.IO.ErrOut, "%s:%d: %s\n", iostreams.Escape(i.File), line, iostreams.Escape(why))
		i.problems = append(i.problems, cli.Object{{Name: "line", Value: line}, {Name: "message", Value: why}})
	case n == maxProblems+1:
		fmt.Fprintln(i.IO.ErrOut, "further lines are counted, not shown")
	}
}

// grace is how long an interrupted import waits for the answers to what it sent.
const grace = 300 * time.Millisecond

// close waits for the answers. err is why reading ended early, if it did.
func (i *importer) close(ctx context.Context, err error) (appended, error) {
	sum := i.first
	sum.sent = i.sent.Load()
	if i.appender != nil {
		waiting, cancel := ctx, context.CancelFunc(func() {})
		if ctx.Err() != nil {
			waiting, cancel = context.WithTimeout(context.WithoutCancel(ctx), grace)
		}
		defer cancel()
		totals, failed := i.appender.Close(waiting)
		sum.sent, sum.stored, sum.duplicates = totals.Sent, totals.Accepted, totals.Duplicates
		sum.rejected, sum.unknown = totals.Rejected, totals.Failed
		switch {
		case ctx.Err() != nil:
			err = context.Cause(ctx)
		case failed != nil:
			err = failed
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	sum.skipped, sum.problems = i.skipped, i.problems
	return sum, err
}

// finish prints the totals and makes of them an exit code.
func (i *importer) finish(sum appended, err error) error {
	bad := sum.skipped + sum.rejected + sum.unknown
	if sum.sent == 0 && err != nil && !errors.Is(err, errWrong) {
		return explain(err, sum.namespace)
	}
	next := ""
	if err == nil && bad == 0 && !i.DryRun {
		next = cli.Next(model, sum.namespace, "ts", "aggregate", "--bucket", "1m")
	}
	if e := cli.PrintChanged(i.Out, appendedKind(), sum, i.sentence(sum), next); e != nil {
		return e
	}
	done := sum.stored + sum.duplicates
	if i.DryRun {
		done = sum.sent
	}
	stopped := errors.Is(err, errWrong)
	switch {
	case err != nil && !stopped && errors.Is(err, context.Canceled):
		return err
	case err != nil && !stopped && done == 0:
		return explain(err, sum.namespace)
	case err != nil && !stopped:
		return cli.Partial("events that have an id can be sent again within ten minutes", "the import ended early: %v", err)
	case bad == 0:
		return nil
	case done == 0:
		return &cli.Failure{Err: prism.New(prism.ReasonInvalidArgument, "no event of %s was stored", i.File), Fix: "prismctl ts append --help says what lines are"}
	case stopped:
		return cli.Partial("correct the line and append what follows; --skip-invalid goes on past such lines", "the import stopped at a wrong line")
	}
	return cli.Partial("correct those lines and append them", "%s not stored", cli.Plural(bad, "line"))
}

func (i *importer) sentence(sum appended) string {
	if i.DryRun {
		text := fmt.Sprintf("would send %s to %s", cli.Plural(sum.sent, "event"), sum.namespace)
		if sum.first != 0 {
			text += fmt.Sprintf(", from %s to %s", moment(sum.first), moment(sum.last))
		}
		return text + skippedText(sum) + " (dry run)"
	}
	stored := "stored"
	if i.Async {
		stored = "taken"
	}
	text := fmt.Sprintf("sent %s to %s: %d %s, %s, %d rejected", cli.Plural(sum.sent, "event"), sum.namespace, sum.stored, stored,
		cli.Plural(sum.duplicates, "duplicate"), sum.rejected)
	if sum.unknown > 0 {
		text += fmt.Sprintf(", %d unknown", sum.unknown)
	}
	text += skippedText(sum)
	if took := i.IO.Now().Sub(i.started); took > 0 {
		text += fmt.Sprintf("; %s, %.0f events/s", cli.Duration(took), float64(sum.sent)/took.Seconds())
	}
	return text
}

func skippedText(sum appended) string {
	if sum.skipped == 0 {
		return ""
	}
	return ", " + cli.Plural(sum.skipped, "line") + " skipped"
}

func moment(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339Nano) }
