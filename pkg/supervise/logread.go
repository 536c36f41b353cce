package supervise

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// A LogQuery says which lines are wanted.
type LogQuery struct {
	Services []string  `json:"services,omitempty"` // none: all
	Since    time.Time `json:"since,omitzero"`
	Grep     string    `json:"grep,omitempty"`     // a regular expression (RE2)
	Level    string    `json:"level,omitempty"`    // debug, info, warn or error: lines that name at least this one; others have none and are left out
	Tail     int       `json:"tail,omitempty"`     // only the last so many; 0: all
	Previous bool      `json:"previous,omitempty"` // the run before the last one, not the later lines
	Back     int       `json:"back,omitempty"`     // with Previous: how many runs before the last one; 1
	Follow   bool      `json:"follow,omitempty"`   // then go on with what comes
}

// followBytes bounds what waits for a reader that is slower than the services.
const followBytes = 8 << 20

// filter is a compiled query.
type filter struct {
	LogQuery
	re    *regexp.Regexp
	level slog.Level
}

// maxBack bounds how many runs are kept while a log is read.
const maxBack = 100

func (q LogQuery) compile() (filter, error) {
	f := filter{LogQuery: q}
	if q.Tail < 0 {
		return f, prism.InvalidField("tail", "must not be negative")
	}
	if q.Back < 0 || q.Back > maxBack || q.Back > 0 && !q.Previous {
		return f, prism.InvalidField("back", "is how many runs back, at most 100, and needs previous")
	}
	f.Back = max(1, q.Back)
	if q.Level != "" {
		var ok bool
		if f.level, ok = levelNamed(q.Level); !ok {
			return f, prism.InvalidField("level", "must be debug, info, warn or error")
		}
	}
	if q.Previous && q.Follow {
		return f, prism.InvalidField("previous", "is over and cannot be followed")
	}
	if q.Grep != "" {
		re, err := regexp.Compile(q.Grep)
		if err != nil {
			return f, prism.InvalidField("grep", err.Error())
		}
		f.re = re
	}
	return f, nil
}

func (f *filter) service(name string) bool {
	return len(f.Services) == 0 || slices.Contains(f.Services, name)
}

func (f *filter) match(l Line) bool {
	if !f.service(l.Service) || l.Time.Before(f.Since) || f.re != nil && !f.re.MatchString(l.Text) {
		return false
	}
	if f.Level == "" {
		return true
	}
	level, named := levelOf(l.Text)
	return named && level >= f.level
}

// ReadLogs reads the log files in dir, merged by time. No supervisor needs to
// run; Follow is for those that do and is refused here.
func ReadLogs(dir string, q LogQuery) ([]Line, error) {
	f, err := q.compile()
	if err != nil {
		return nil, err
	}
	if q.Follow {
		return nil, prism.InvalidField("follow", "needs a running supervisor")
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var parts []io.ReadCloser
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".log"); ok && f.service(name) {
			parts, names = append(parts, openHistory(logPath(dir, name))), append(names, name)
		}
	}
	return f.merge(names, parts)
}

// openHistory opens a log file and its rotated parts, oldest first, up to
// where they are now.
func openHistory(path string) io.ReadCloser {
	h := &history{}
	for i := filesKept; i >= 0; i-- {
		f, err := openRegular(rotated(path, i), os.O_RDONLY)
		if err != nil {
			continue
		}
		h.files = append(h.files, f)
		if fi, err := f.Stat(); err == nil {
			h.parts = append(h.parts, io.LimitReader(f, fi.Size()))
		}
	}
	h.Reader = io.MultiReader(h.parts...)
	return h
}

type history struct {
	io.Reader
	parts []io.Reader
	files []*os.File
}

func (h *history) Close() error {
	closeAll(h.files)
	return nil
}

// merge reads the histories and puts the wanted lines in order of time.
func (f *filter) merge(names []string, parts []io.ReadCloser) ([]Line, error) {
	var out []Line
	var errs []error
	for i, p := range parts {
		lines, err := f.readHistory(names[i], p)
		p.Close()
		errs = append(errs, err)
		out = append(out, lines...)
	}
	slices.SortStableFunc(out, func(a, b Line) int { return a.Time.Compare(b.Time) })
	if f.Tail > 0 && len(out) > f.Tail {
		out = out[len(out)-f.Tail:]
	}
	return out, errors.Join(errs...)
}

func (f *filter) readHistory(name string, r io.Reader) ([]Line, error) {
	in := bufio.NewReaderSize(r, maxTextBytes+len(stamp)+24)
	var out []Line      // of the present run
	var before [][]Line // of those before it, as many as can be asked for
	pid := -1
	for {
		head, err := in.ReadSlice('\n')
		cut := 0
		l, ok := parseLine(name, head)
		for errors.Is(err, bufio.ErrBufferFull) {
			var more []byte
			more, err = in.ReadSlice('\n')
			cut += len(bytes.TrimSuffix(more, []byte{'\n'}))
		}
		if ok {
			l.Cut += cut
			if f.Previous && l.PID != pid {
				if pid != -1 {
					before = append(before, out)
				}
				if len(before) > f.Back {
					before = before[1:]
				}
				out, pid = nil, l.PID
			}
			if f.match(l) {
				out = append(out, l)
			}
			// Enough is enough: keep what can still be asked for.
			if f.Tail > 0 && len(out) > 2*f.Tail+1000 {
				out = slices.Clone(out[len(out)-f.Tail:])
			}
		}
		if err != nil {
			if f.Previous {
				out = nil
				if len(before) == f.Back {
					out = before[0]
				}
			}
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return out, err
		}
	}
}

// parseLine reads a line of a log file; ok is false for what we did not write.
func parseLine(service string, b []byte) (l Line, ok bool) {
	b = bytes.TrimSuffix(b, []byte{'\n'})
	if len(b) < len(stamp)+1 || b[len(stamp)] != ' ' {
		return l, false
	}
	t, err := time.Parse(stamp, string(b[:len(stamp)]))
	if err != nil {
		return l, false
	}
	pid, text, _ := bytes.Cut(b[len(stamp)+1:], []byte{' '})
	l = Line{Service: service, Time: t, Text: string(bytes.TrimSuffix(text, []byte{'\r'}))}
	if l.PID, err = strconv.Atoi(string(pid)); err != nil {
		return l, false
	}
	if n := len(l.Text); n > maxTextBytes {
		l.Text, l.Cut = l.Text[:maxTextBytes], n-maxTextBytes
	}
	return l, true
}

// Logs calls each for every line that q asks for, until there are no more or,
// when it follows, until ctx ends, the supervisor stops or each fails.
func (s *Supervisor) Logs(ctx context.Context, q LogQuery, each func(Line) error) error {
	f, err := q.compile()
	if err != nil {
		return err
	}
	for _, name := range q.Services {
		if s.service(name) == nil {
			return prism.NotFound("service", name)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var live <-chan Line
	var took func(Line)
	var parts []io.ReadCloser
	var names []string
	if f.Follow {
		live, took = s.lines.subscribeBounded(ctx, 4096, followBytes)
	}
	cutoff := map[string]time.Time{} // the file is read up to here
	for _, svc := range s.services {
		if !f.service(svc.spec.Name) {
			continue
		}
		svc.logs.snapshot(func() {
			parts, names = append(parts, openHistory(svc.logs.path)), append(names, svc.spec.Name)
			cutoff[svc.spec.Name] = s.clk.Now()
		})
	}
	past, err := f.merge(names, parts)
	if err != nil {
		return err
	}
	for _, l := range past {
		if err := each(l); err != nil {
			return err
		}
	}
	if live == nil {
		return nil
	}
	for l := range live {
		took(l)
		if !f.match(l) || !l.Time.After(cutoff[l.Service]) {
			continue
		}
		if err := each(l); err != nil {
			return err
		}
	}
	return nil
}
