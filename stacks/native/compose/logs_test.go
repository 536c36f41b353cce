package main

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"
)

func frame(stream byte, text string) []byte {
	b := []byte{stream, 0, 0, 0, 0, 0, 0, 0}
	binary.BigEndian.PutUint32(b[4:], uint32(len(text)))
	return append(b, text...)
}

func TestFramesBecomeLines(t *testing.T) {
	t.Parallel()
	const when = "2026-11-27T22:00:00.000000001Z "
	in := slices.Concat(
		frame(1, when+"one\n"), frame(2, when+"err"), frame(1, when+"two "), frame(1, when+"parts\n"),
		frame(2, when+"or\n"), frame(1, "no time\n"), frame(1, when+strings.Repeat("x", maxLine+1)), frame(1, when+"\n"), frame(1, when+"rest"),
	)
	var got []string
	var last time.Time
	_ = readFrames(bytes.NewReader(in), func(b []byte) { got = append(got, string(b)) }, func(t time.Time) { last = t })
	want := []string{"one", "two parts", "error", "no time", strings.Repeat("x", maxLine+1), "", "rest"}
	if !slices.Equal(got, want) {
		t.Errorf("got %.200q", got)
	}
	if last.Nanosecond() != 1 {
		t.Errorf("read to %v", last)
	}
	if err := readFrames(bytes.NewReader([]byte{1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}), func([]byte) {}, func(time.Time) {}); err == nil {
		t.Error("a frame of 4 GiB was believed")
	}
}

func TestLinesAreWholeAndNotesAreNotForged(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l := newLines(&out)
	l.line("", []byte(notePrefix+"forged\r"), nil)
	l.line("web | ", []byte(notePrefix+"forged"), nil)
	l.note("pulls it")
	l.note("pulls it")
	l.lastNote("two\nlines")
	l.close()
	want := notePrefix[1:] + "forged\nweb | " + notePrefix + "forged\n" + notePrefix + "pulls it\n" + notePrefix + "two lines\n"
	if out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

// stuck never takes anything.
type stuck chan struct{}

func (s stuck) Write([]byte) (int, error) { <-s; return 0, nil }

func TestAReaderThatIsStuckHoldsUpNoNote(t *testing.T) {
	t.Parallel()
	s := make(stuck)
	defer close(s)
	l := newLines(s)
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		for range 1000 {
			l.line("", []byte("x"), stop)
		}
		close(done)
	}()
	for len(l.queue) < cap(l.queue) {
		time.Sleep(time.Millisecond)
	}
	l.note("stops")
	close(stop)
	<-done
	l.close()
}
