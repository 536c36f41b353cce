package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/prism-data-layer/prism/pkg/iostreams"
)

// pageSize is how many are asked for at once.
const pageSize = 500

// Pages asks for page after page until limit things have come (0: all) or
// there are no more. get fetches one page and returns how many came and where
// the next begins. more is the cursor that was left; "" at the end.
func Pages(ctx context.Context, limit int, get func(ctx context.Context, cursor string, size int32) (n int, next string, err error)) (more string, err error) {
	cursor := ""
	for left := limit; ; {
		size := pageSize
		if limit > 0 {
			size = min(size, left)
		}
		n, next, err := get(ctx, cursor, int32(size))
		if err != nil {
			return "", err
		}
		left -= n
		if next == "" || limit > 0 && left <= 0 {
			return next, nil
		}
		if err := ctx.Err(); err != nil {
			return "", context.Cause(ctx)
		}
		cursor = next
	}
}

// laterPage is how many are asked for at once when a reader has taken a first
// page: whoever wants so many wants them soon.
const laterPage = 4000

// A Page is what one call brought: how many, and where the next one begins.
type Page[T any] struct {
	Items []T
	Next  string
}

// PagesAhead is Pages for long lists: the next page is asked for while one is
// shown.
func PagesAhead[T any](ctx context.Context, limit int, get func(ctx context.Context, cursor string, size int32) (Page[T], error), show func([]T) error) (more string, err error) {
	type answer struct {
		page Page[T]
		err  error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ask := func(cursor string, size int) <-chan answer {
		if limit > 0 {
			size = min(size, limit)
		}
		c := make(chan answer, 1)
		go func() {
			page, err := get(ctx, cursor, int32(size))
			c <- answer{page, err}
		}()
		return c
	}
	counted := limit > 0
	for coming := ask("", pageSize); ; {
		got := <-coming
		if got.err != nil {
			return "", got.err
		}
		limit -= len(got.page.Items)
		last := got.page.Next == "" || counted && limit <= 0
		if !last {
			coming = ask(got.page.Next, laterPage)
		}
		if err := show(got.page.Items); err != nil {
			return "", err
		}
		if last {
			return got.page.Next, nil
		}
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
	}
}

// Fetch is how many a command must ask for to print what --limit leaves: all,
// where they are sorted here.
func (o *Output) Fetch() int {
	if o.sortBy != "" {
		return 0
	}
	return o.Limit
}

// MoreHint says on ErrOut that a list was cut short, and how to see the rest.
func (o *Output) MoreHint(more string, shown int) {
	if more != "" && !o.globals.Quiet && o.live == nil {
		fmt.Fprintf(o.IO.ErrOut, "the first %d; --all, or --limit N, shows more\n", shown)
	}
}

// Note says on ErrOut what was done or could be done next; --quiet silences it.
func (o *Output) Note(format string, args ...any) {
	if !o.globals.Quiet {
		fmt.Fprintln(o.IO.ErrOut, said(fmt.Sprintf(format, args...)))
	}
}

// said is a sentence in which names of others may stand.
func said(sentence string) string {
	return strings.ReplaceAll(iostreams.EscapeLines(sentence), "\t", `\t`)
}

// PrintChanged prints the result of a change: the object for programs, its
// name with --quiet, and a sentence for people, with what to type next.
func PrintChanged[T any](o *Output, k Kind[T], v T, sentence, next string) error {
	if o.Machine() || o.Quiet() {
		return PrintOne(o, k, v)
	}
	if _, err := fmt.Fprintln(o.IO.Out, said(sentence)); err != nil {
		return err
	}
	if next != "" {
		o.Note("next: %s", next)
	}
	return nil
}

// Cut is what --limit leaves of a list that came whole. What is sorted is cut
// after that.
func Cut[T any](o *Output, items []T) []T {
	if n := o.Fetch(); n > 0 && len(items) > n {
		return items[:n]
	}
	return items
}
