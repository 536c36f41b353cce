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
	active map[string]bool      // by the container's id
	read   map[string]time.Time // the last line of each, or from when it is read
	wg     sync.WaitGroup
}

func newFollower(ctx context.Context, e *engine, out *lines, prefix bool) *follower {
	return &follower{ctx: ctx, e: e, out: out, prefix: prefix, active: map[string]bool{}, read: map[string]time.Time{}}
}

// from reads of a container only what it writes from now on, unless it has been
// read before.
func (f *follower) from(id string, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.read[id]; !ok {
		f.read[id] = now
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
func (f *follower) copy(id, service string) {
	o := client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Follow: true, Timestamps: true}
	f.mu.Lock()
	if t := f.read[id]; !t.IsZero() {
		o.Since = t.Add(1).Format(time.RFC3339Nano)
	}
	f.mu.Unlock()
	stream, err := f.e.api.ContainerLogs(f.ctx, id, o)
	if err != nil {
		return
	}
	defer func() { _ = stream.Close() }()
	prefix := ""
	if f.prefix {
		prefix = service + " | "
	}
	_ = readFrames(stream, func(text []byte) { f.out.line(prefix, text, f.ctx.Done()) }, func(t time.Time) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.read[id] = t
	})
}

// maxLine is how much of a line is held until its end comes; maxFrame bounds what
// an engine may send at once (it sends 16 KiB and a time).
const (
	maxLine  = 256 << 10
	maxFrame = 1 << 20
)

// readFrames reads an engine's log stream: frames of a header (the stream's
// number, three zeros, the length), a time, a space and a line or, where the
// line is long, a part of it.
func readFrames(r io.Reader, line func([]byte), at func(time.Time)) error {
	b := bufio.NewReaderSize(r, 32<<10)
	var header [8]byte
	var frame []byte
	parts := map[byte][]byte{}
	defer func() {
		for _, rest := range parts {
			if len(rest) > 0 {
				line(rest)
			}
		}
	}()
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
			return err
		}
		text := frame
		if when, rest, ok := bytes.Cut(frame, []byte(" ")); ok {
			if t, err := time.Parse(time.RFC3339Nano, string(when)); err == nil {
				text = rest
				at(t)
			}
		}
		whole := append(parts[header[0]], text...)
		for {
			l, rest, ended := bytes.Cut(whole, []byte("\n"))
			if !ended && len(whole) < maxLine {
				break
			}
			line(l)
			whole = rest
		}
		parts[header[0]] = append([]byte(nil), whole...)
	}
}
