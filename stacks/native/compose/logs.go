package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"sync"
	"time"

	"github.com/moby/moby/client"
)

// A follower copies what containers write. It remembers how far it has read, so
// that no line comes twice when the engine has been away.
type follower struct {
	ctx    context.Context // of all reading: lines come until the containers have stopped
	e      *engine
	out    *lines
	prefix bool // whether lines say whose they are

	mu     sync.Mutex
	active map[string]bool     // by the container's id
	read   map[string]position // how far each was read
	wg     sync.WaitGroup
}

// A position in a container's log: a time, and how many bytes of that time have
// been read, as all parts of a long line have the time of its beginning.
type position struct {
	at   time.Time
	seen int
}

func newFollower(ctx context.Context, e *engine, out *lines, prefix bool) *follower {
	return &follower{ctx: ctx, e: e, out: out, prefix: prefix, active: map[string]bool{}, read: map[string]position{}}
}

// from reads of a container only what it writes from now on, unless it has been
// read before.
func (f *follower) from(id string, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.read[id]; !ok {
		f.read[id] = position{at: now}
	}
}

// follow copies a container's lines until it ends; once for each.
func (f *follower) follow(id, service string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.active[id] {
		return
	}
	f.active[id] = true
	f.wg.Go(func() {
		f.copy(id, service)
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.active, id)
	})
}

// drain waits for the last lines of containers that have ended.
func (f *follower) drain(d time.Duration) {
	done := make(chan struct{})
	go func() { f.wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(d):
	}
}

// copy ends with the container, the engine or the run; who watches these knows why.
// An engine may end what it is asked to follow before the container's last frame:
// so what has been written is read once more.
func (f *follower) copy(id, service string) {
	prefix := ""
	if f.prefix {
		prefix = service + " | "
	}
	l := newLog(func(text []byte) { f.out.line(prefix, text, f.ctx.Done()) })
	defer l.flush()
	for _, follow := range []bool{true, false} {
		if f.request(id, l, follow) != io.EOF {
			return
		}
	}
}

func (f *follower) request(id string, l *log, follow bool) error {
	o := client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Follow: follow, Timestamps: true}
	f.mu.Lock()
	l.resume(f.read[id])
	f.mu.Unlock()
	if at := l.position.at; !at.IsZero() {
		o.Since = at.Format(time.RFC3339Nano)
	}
	stream, err := f.e.api.ContainerLogs(f.ctx, id, o)
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }()
	return l.read(stream, func(p position) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.read[id] = p
	})
}

// maxLine is how much of a line is held until its end comes; maxFrame bounds what
// an engine may send at once (it sends 16 KiB and a time).
const (
	maxLine  = 256 << 10
	maxFrame = 1 << 20
)

// A log makes lines of an engine's log stream, which may be read in more than one
// piece: frames of a header (the stream's number, three zeros, the length), a
// time, a space and a line or, where the line is long, a part of it.
type log struct {
	position
	skip  int // bytes of the position's time that have been read before
	line  func([]byte)
	parts map[byte][]byte // what of a line has come, by stream
}

func newLog(line func([]byte)) *log { return &log{line: line, parts: map[byte][]byte{}} }

func (l *log) resume(p position) { l.position, l.skip = position{at: p.at}, p.seen }

// read ends with the stream, which is io.EOF between two frames; it tells at of
// every frame how far it is.
func (l *log) read(r io.Reader, at func(position)) error {
	b := bufio.NewReaderSize(r, 32<<10)
	var header [8]byte
	var frame []byte
	for {
		if _, err := io.ReadFull(b, header[:]); err != nil {
			return err
		}
		n := binary.BigEndian.Uint32(header[4:])
		if n > maxFrame {
			return io.ErrShortBuffer
		}
		frame = append(frame[:0], make([]byte, n)...)
		if _, err := io.ReadFull(b, frame); err != nil {
			return io.ErrUnexpectedEOF
		}
		l.frame(header[0], frame)
		at(l.position)
	}
}

func (l *log) frame(stream byte, text []byte) {
	if when, rest, ok := bytes.Cut(text, []byte(" ")); ok {
		if t, err := time.Parse(time.RFC3339Nano, string(when)); err == nil {
			text = l.at(t, rest)
		}
	}
	whole := append(l.parts[stream], text...)
	for {
		one, rest, ended := bytes.Cut(whole, []byte("\n"))
		if !ended && len(whole) < maxLine {
			break
		}
		l.line(one)
		whole = rest
	}
	l.parts[stream] = append([]byte(nil), whole...)
}

// at takes what came at a time, and gives what of it is new.
func (l *log) at(t time.Time, text []byte) []byte {
	if !t.Equal(l.position.at) {
		l.position, l.skip = position{at: t}, 0
	}
	l.seen += len(text)
	old := min(l.skip, len(text))
	l.skip -= old
	return text[old:]
}

// flush gives out lines that have no end.
func (l *log) flush() {
	for _, rest := range l.parts {
		if len(rest) > 0 {
			l.line(rest)
		}
	}
	clear(l.parts)
}
