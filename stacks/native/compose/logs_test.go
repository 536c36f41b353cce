package main

import (
	"bytes"
	"encoding/binary"
	"io"
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
	var last position
	l := newLog(func(b []byte) { got = append(got, string(b)) })
	if err := l.read(bytes.NewReader(in), func(p position) { last = p }); err != io.EOF {
		t.Errorf("ended with %v", err)
	}
	l.flush()
	want := []string{"one", "two parts", "error", "no time", strings.Repeat("x", maxLine+1), "", "rest"}
	if !slices.Equal(got, want) {
		t.Errorf("got %.200q", got)
	}
	if last.at.Nanosecond() != 1 {
		t.Errorf("read to %v", last)
	}
	if err := l.read(bytes.NewReader([]byte{1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}), func(position) {}); err == nil || err == io.EOF {
		t.Error("a frame of 4 GiB was believed")
	}
}

// The first piece ends within a line; the second begins at its time again.
func TestALogIsReadOnWhereItEnded(t *testing.T) {
	t.Parallel()
	const first, second = "2026-11-27T22:00:00.000000001Z ", "2026-11-27T22:00:00.000000002Z "
	var got []string
	var last position
	l := newLog(func(b []byte) { got = append(got, string(b)) })
	at := func(p position) { last = p }
	_ = l.read(bytes.NewReader(slices.Concat(frame(1, first+"one\n"), frame(1, second+"part "), frame(1, second+"two "))), at)
	l.resume(last)
	_ = l.read(bytes.NewReader(slices.Concat(frame(1, second+"part "), frame(1, second+"two "), frame(1, second+"three"))), at)
	l.resume(last)
	_ = l.read(bytes.NewReader(slices.Concat(frame(1, second+"part "), frame(1, second+"two "), frame(1, second+"three"))), at)
	l.flush()
	if want := []string{"one", "part two three"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
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
