package main

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"time"
)

// lines writes whole lines, one after another: the containers' and our notes.
// Nobody may be reading any more while we take containers down: then
// containers' lines wait and notes are dropped.
type lines struct {
	queue chan []byte
	done  chan struct{}
	once  sync.Once

	mu   sync.Mutex
	last string // the last note
}

func newLines(out io.Writer) *lines {
	l := &lines{queue: make(chan []byte, 256), done: make(chan struct{})}
	go func() {
		defer close(l.done)
		for b := range l.queue {
			_, _ = out.Write(b)
		}
	}()
	return l
}

// flushTime is how long a reader has for what is still to be written.
const flushTime = time.Second

// close writes what waits. Nothing may be written after it.
func (l *lines) close() {
	l.once.Do(func() { close(l.queue) })
	select {
	case <-l.done:
	case <-time.After(flushTime):
	}
}

// line writes a container's line; stop gives it up.
func (l *lines) line(prefix string, text []byte, stop <-chan struct{}) {
	text = bytes.TrimSuffix(text, []byte("\r"))
	if prefix == "" && bytes.HasPrefix(text, []byte(notePrefix)) {
		text = text[1:] // a container is no part of ours: its notes are output
	}
	b := make([]byte, 0, len(prefix)+len(text)+1)
	b = append(append(append(b, prefix...), text...), '\n')
	select {
	case l.queue <- b:
	case <-stop:
	}
}

// note tells what is being done; what was said just now is not said again.
func (l *lines) note(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if text == l.last {
		return
	}
	l.last = text
	select {
	case l.queue <- noteLine(text):
	default:
	}
}

// lastNote is the reason of our end: it waits a little for its place.
func (l *lines) lastNote(text string) {
	select {
	case l.queue <- noteLine(text):
	case <-time.After(flushTime):
	}
}

func noteLine(text string) []byte {
	return []byte(notePrefix + strings.Join(strings.Fields(text), " ") + "\n")
}
