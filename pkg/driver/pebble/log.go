package pebble

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"
)

// logger passes pebble's own messages on.
type logger struct {
	log *slog.Logger
	fs  vfs.FS
	// fatal is told of what pebble cannot go on after; it does not return to
	// the caller, because pebble relies on that.
	fatal func(error)
}

var _ pebble.Logger = (*logger)(nil)

func (l *logger) Infof(format string, args ...any) {
	if strings.Contains(format, "stopped reading at offset") {
		for _, a := range args {
			if o, ok := a.(wal.Offset); ok {
				l.tail(o)
			}
		}
	}
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug(fmt.Sprintf(format, args...))
	}
}

func (l *logger) Errorf(format string, args ...any) { l.log.Error(fmt.Sprintf(format, args...)) }

func (l *logger) Fatalf(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	for _, a := range args {
		if cause, ok := a.(error); ok { // formats have %v or %s
			err = &fatalError{err.Error(), cause}
		}
	}
	l.fatal(err)
}

// fatalError is what pebble said, with its cause kept.
type fatalError struct {
	text  string
	cause error
}

func (e *fatalError) Error() string { return e.text }
func (e *fatalError) Unwrap() error { return e.cause }

// tail warns if the log ends in the middle of a record, which then was never
// acked. What follows a clean end is nothing, zeros, or records of the log
// whose file was used again; those carry another log's number.
func (l *logger) tail(o wal.Offset) {
	const chunkHeader = 11 // checksum 4, length 2, type 1, log number 4
	f, err := l.fs.Open(o.PhysicalFile)
	if err != nil {
		return
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return
	}
	head := make([]byte, 64)
	n, err := f.ReadAt(head, o.Physical)
	if err != nil && err != io.EOF {
		return
	}
	head = head[:n]
	if len(bytes.Trim(head, "\x00")) == 0 {
		return
	}
	var number uint64
	name := o.PhysicalFile[strings.LastIndexAny(o.PhysicalFile, `/\`)+1:]
	if _, err := fmt.Sscanf(name, "%d", &number); err != nil {
		return
	}
	if len(head) >= chunkHeader && uint64(binary.LittleEndian.Uint32(head[7:])) != number&0xffffffff {
		return
	}
	l.log.Warn("the log ends in an incomplete record, which was never acked; it is left out",
		"file", name, "offset", o.Physical, "bytes", st.Size()-o.Physical)
}
