package supervise

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
)

// Bounds of a service's log.
const (
	maxTextBytes = 64 << 10 // of a line in memory and in streams; the rest is only counted
	maxLineBytes = 4 << 20  // of a line in the file
	ringLines    = 1000     // lines kept in memory
	ringBytes    = 4 << 20  // and at most so much text
	fileBytes    = 8 << 20  // a file this long is put away as .1
	filesKept    = 3        // .1 to .3
)

// A Line is one line that a service wrote to stdout or stderr. Text is as it
// came, control characters included: whoever prints it makes it safe.
type Line struct {
	Service string    `json:"service"`
	Time    time.Time `json:"time"` // when we read it
	PID     int       `json:"pid"`  // of the run that wrote it
	Text    string    `json:"text"`
	Cut     int       `json:"cut,omitempty"`    // bytes left out of Text
	Missed  int       `json:"missed,omitempty"` // lines of this stream dropped before this one: its reader was too slow
}

// stamp is fixed in width, so that a file can be cut by column.
const stamp = "2006-01-02T15:04:05.000000000Z"

// A logBook is the log of one service over all its runs: a pipe that every run
// writes to, a file that is rotated, the last lines in memory, and the merged
// stream of the supervisor.
type logBook struct {
	name string
	path string
	clk  clock.Clock
	fan  *fan[Line]        // shared by all services; may be nil
	note func(text string) // told of notes; nil: there are none, such lines are output

	r, w *os.File // the pipe; w is nil in the watcher
	end  string   // a line that only we can write: the run is over, all of it is read
	done chan struct{}

	mu      sync.Mutex
	file    *os.File
	buf     *bufio.Writer
	size    int64
	broken  error // why the file is not written
	pid     int
	ring    []Line
	ringLen int
	ended   chan struct{} // closed when the end line came through
}

func logPath(dir, name string) string { return filepath.Join(dir, name+".log") }

// openLog opens the log of a service in dir. With r nil it makes the pipe.
func openLog(dir, name string, clk clock.Clock, lines *fan[Line], r *os.File, note func(string)) (*logBook, error) {
	b := &logBook{name: name, path: logPath(dir, name), clk: clk, fan: lines, note: note, r: r, end: "\x00end of run " + newNonce(), done: make(chan struct{})}
	if err := b.openFile(); err != nil {
		return nil, err
	}
	if r == nil {
		var err error
		if b.r, b.w, err = os.Pipe(); err != nil {
			b.file.Close()
			return nil, err
		}
	}
	go b.read()
	return b, nil
}

func (b *logBook) openFile() error {
	f, err := openRegular(b.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE)
	if err != nil {
		return err
	}
	fi, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	b.file, b.size, b.buf = f, fi.Size(), bufio.NewWriterSize(f, 64<<10)
	return nil
}

// begin notes that the next lines are of this run.
func (b *logBook) begin(pid int) {
	b.mu.Lock()
	b.pid = pid
	b.mu.Unlock()
}

// finish waits until all that the run wrote has been read. Nothing of the run
// may be alive.
func (b *logBook) finish() {
	b.mu.Lock()
	ended := make(chan struct{})
	b.ended = ended
	b.mu.Unlock()
	fmt.Fprintf(b.w, "\n%s\n", b.end)
	select {
	case <-ended:
	case <-b.done:
	case <-time.After(5 * time.Second): // a file system that hangs must not hang us
	}
}

// close stops reading. Lines that are still in the pipe are read first.
func (b *logBook) close() {
	if b.w != nil {
		b.w.Close()
		select {
		case <-b.done:
		case <-time.After(time.Second): // a stray process still holds the pipe
		}
	}
	b.r.Close()
	<-b.done
}

// read is the reader of the pipe. It never waits for anything but the file, so
// that a child that writes much is not held up.
func (b *logBook) read() {
	defer close(b.done)
	in := bufio.NewReaderSize(b.r, maxTextBytes)
	var (
		text    []byte // of the line so far, at most maxTextBytes
		total   int    // its whole length
		written int    // of it, into the file
		blank   bool   // an empty line that may be the newline before our end line
	)
	for {
		chunk, err := in.ReadSlice('\n')
		whole := err == nil
		if whole {
			chunk = chunk[:len(chunk)-1]
		}
		if len(chunk) > 0 || whole {
			if whole && total == 0 && len(chunk) == 0 && !blank && in.Buffered() > 0 {
				blank = true // decided by the next line
				continue
			}
			if whole && total == 0 && string(chunk) == b.end {
				blank = false
				b.sawEnd()
				continue
			}
			b.mu.Lock()
			if blank {
				b.emit(nil, 0)
				b.startLine()
				b.endLine()
				blank = false
			}
			if whole && total == 0 && b.note != nil {
				if text, ok := noteIn(chunk); ok {
					b.mu.Unlock()
					b.note(text)
					continue
				}
			}
			if total == 0 {
				b.startLine()
			}
			if room := maxTextBytes - len(text); room > 0 {
				text = append(text, chunk[:min(room, len(chunk))]...)
			}
			if room := maxLineBytes - written; room > 0 {
				n := min(room, len(chunk))
				b.write(chunk[:n])
				written += n
			}
			total += len(chunk)
			if whole {
				b.endLine()
				b.emit(text, total-len(text))
				text, total, written = text[:0], 0, 0
			}
			if in.Buffered() == 0 {
				b.flush()
			}
			b.mu.Unlock()
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			b.mu.Lock()
			if total > 0 {
				b.endLine()
				b.emit(text, total-len(text))
			}
			b.flush()
			b.file.Close()
			b.mu.Unlock()
			return
		}
	}
}

func (b *logBook) sawEnd() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flush()
	if b.ended != nil {
		close(b.ended)
		b.ended = nil
	}
}

// emit gives a line to the memory and to the stream. b.mu is held.
func (b *logBook) emit(text []byte, cut int) {
	l := Line{Service: b.name, Time: b.clk.Now().UTC(), PID: b.pid, Text: strings.TrimSuffix(string(text), "\r"), Cut: cut}
	b.ring = append(b.ring, l)
	b.ringLen += len(l.Text)
	for len(b.ring) > ringLines || b.ringLen > ringBytes && len(b.ring) > 1 {
		b.ringLen -= len(b.ring[0].Text)
		b.ring = b.ring[1:]
	}
	if b.fan != nil {
		b.fan.send(l, func(l *Line, n int) { l.Missed = n })
	}
}

// startLine and endLine frame a line in the file: time, pid, text.
func (b *logBook) startLine() {
	if b.size >= fileBytes {
		b.rotate()
	}
	var head [len(stamp) + 24]byte
	h := b.clk.Now().UTC().AppendFormat(head[:0], stamp)
	h = append(h, ' ')
	h = strconv.AppendInt(h, int64(b.pid), 10)
	b.write(append(h, ' '))
}

func (b *logBook) endLine() { b.write([]byte{'\n'}) }

// write writes to the file. A full disk costs lines of the file, never the
// child or the memory; the next line tries again.
func (b *logBook) write(p []byte) {
	n, err := b.buf.Write(p)
	b.size += int64(n)
	b.check(err)
}

func (b *logBook) flush() { b.check(b.buf.Flush()) }

func (b *logBook) check(err error) {
	if err != nil {
		b.broken = err
		b.buf.Reset(b.file) // bufio keeps its first error for ever
	}
}

// rotate puts the file away: .log → .log.1 → .log.2 → .log.3.
func (b *logBook) rotate() {
	b.flush()
	for i := filesKept; i > 0; i-- {
		os.Rename(rotated(b.path, i-1), rotated(b.path, i))
	}
	old := b.file
	if err := b.openFile(); err != nil {
		b.broken, b.size = err, 0
		return
	}
	old.Close()
}

func rotated(path string, i int) string {
	if i == 0 {
		return path
	}
	return path + "." + strconv.Itoa(i)
}

// last returns the last n lines of the present run, as text.
func (b *logBook) last(n int) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for i := len(b.ring) - 1; i >= 0 && len(out) < n; i-- {
		if b.ring[i].PID == b.pid {
			out = append(out, b.ring[i].Text)
		}
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}

// snapshot flushes the file and calls f while no line can be written.
func (b *logBook) snapshot(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flush()
	f()
}

// err is why the file is not complete; nil if it is.
func (b *logBook) err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.broken
}
