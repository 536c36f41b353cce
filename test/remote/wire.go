// Package remote runs a driver.Set on the other side of a Unix socket. It is
// test code: it proves that nothing in the driver contract needs a shared
// process, by passing the same suites as the driver it stands before.
//
// Frames are gob messages. Calls are multiplexed: each has a number, and a
// cancel frame ends the one it names. A caller that gives up waits for the
// driver's verdict, so that no answer is lost and each mutation is known to
// have happened or not.
package remote

import (
	"context"
	"encoding/gob"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// call names what a request asks for.
type call uint8

const (
	callHello call = iota + 1
	callCancel
	callHealth
	callUsage
	callDrop
	callClose
	callOp // one operation on one key
	callScan
	callOrderedScan
	callCount
	callOrderedCount
	callFirst
	callBatch
	callCommit
	callWatch
	callNext
	callCloseWatch
	callExport
	callExportReceipts
	callImport
)

// A request is one call with whatever arguments it has.
type request struct {
	ID        uint64
	Call      call
	Timeout   time.Duration // until the caller's deadline; 0: none
	Namespace prism.Namespace
	Ops       []driver.Op
	Checks    []driver.Check
	Receipt   driver.Receipt
	Query     driver.Query
	Prefix    string
	Token     opaque // of a scan, or the position of a watch
	Handle    uint64 // of a watcher
	Keys      []string
	Receipts  []driver.ReceiptID
	Parcel    driver.Parcel
}

// A response answers the request with the same ID.
type response struct {
	ID      uint64
	Fault   *fault
	Info    driver.Info
	Names   []string
	Health  driver.Health
	Usage   driver.Usage
	Results []driver.Result
	Faults  map[int]fault // of single results
	Entries []driver.Entry
	Found   bool
	Count   int64
	Changes []driver.Change
	Token   opaque // the next page, or the position after a batch
	Handle  uint64
	Parcel  driver.Parcel
}

// opaque keeps nil apart from empty, which gob does not.
type opaque struct {
	Set   bool
	Bytes []byte
}

func seal(b []byte) opaque { return opaque{b != nil, b} }

func (o opaque) open() []byte {
	if o.Set && o.Bytes == nil {
		return []byte{}
	}
	return o.Bytes
}

// A fault is an error on its way: the fields of a prism.Error, the text of its
// cause, and which context error it was, if any.
type fault struct {
	Error    prism.Error
	Cause    string
	Canceled bool
	Deadline bool
}

func pack(err error) *fault {
	if err == nil {
		return nil
	}
	f := &fault{
		Error:    *prism.From(err),
		Canceled: errors.Is(err, context.Canceled),
		Deadline: errors.Is(err, context.DeadlineExceeded),
	}
	if f.Error.Err != nil {
		f.Cause, f.Error.Err = f.Error.Err.Error(), nil
	}
	return f
}

func (f *fault) unpack() error {
	if f == nil {
		return nil
	}
	e := f.Error
	switch {
	case f.Canceled:
		e.Err = context.Canceled
	case f.Deadline:
		e.Err = context.DeadlineExceeded
	case f.Cause != "":
		e.Err = errors.New(f.Cause)
	}
	return &e
}

// link sends and receives frames; sending is safe for concurrent use.
type link struct {
	conn net.Conn
	dec  *gob.Decoder
	mu   sync.Mutex
	enc  *gob.Encoder
}

func newLink(c net.Conn) *link {
	return &link{conn: c, dec: gob.NewDecoder(c), enc: gob.NewEncoder(c)}
}

func (l *link) send(v any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.enc.Encode(v)
}
