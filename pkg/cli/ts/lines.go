package ts

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"sync/atomic"
)

// maxLine bounds a line, and so the memory: a payload of 1 MiB may be six times
// as long in JSON.
const maxLine = 8 << 20

// lines reads a file line by line; nothing more of it is kept.
type lines struct {
	in     *bufio.Reader
	long   []byte // a line that is longer than in's buffer
	number int    // of the line that was read last
	bytes  atomic.Int64
}

func newLines(in io.Reader) *lines { return &lines{in: bufio.NewReaderSize(in, 256<<10)} }

var errLong = errors.New("the line is longer than 8 MiB")

// next returns a line with its end, valid until the next call. io.EOF is the
// end. A line that is too long is read over.
func (l *lines) next() ([]byte, error) {
	line, err := l.in.ReadSlice('\n')
	l.bytes.Add(int64(len(line)))
	if err == nil {
		l.number++
		return line, nil
	}
	l.long = append(l.long[:0], line...)
	tooLong := false
	for errors.Is(err, bufio.ErrBufferFull) {
		line, err = l.in.ReadSlice('\n')
		l.bytes.Add(int64(len(line)))
		if tooLong = tooLong || len(l.long)+len(line) > maxLine; !tooLong {
			l.long = append(l.long, line...)
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(l.long) == 0 {
		return nil, io.EOF
	}
	l.number++
	if tooLong {
		return nil, wrongLine{errLong}
	}
	return l.long, nil
}

// trimEnd is a line without its end.
func trimEnd(line []byte) []byte {
	line = bytes.TrimSuffix(line, []byte{'\n'})
	return bytes.TrimSuffix(line, []byte{'\r'})
}

// A wrongLine is an error of one line: reading can go on after it.
type wrongLine struct{ error }

// texts gives bytes as strings and makes each only once, as far as it
// remembers: most columns say the same again and again.
type texts struct {
	last  string
	known map[string]string
}

// maxTexts bounds what a column's texts remember.
const maxTexts = 1 << 12

func (t *texts) of(b []byte) string {
	if string(b) == t.last {
		return t.last
	}
	s, ok := t.known[string(b)]
	if !ok {
		if t.known == nil || len(t.known) >= maxTexts {
			t.known = map[string]string{}
		}
		s = string(b)
		t.known[s] = s
	}
	t.last = s
	return s
}
