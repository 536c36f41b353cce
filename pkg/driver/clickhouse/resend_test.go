package clickhouse_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/clickhouse"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A cutter stands before a server and, when it is told, swallows the answers to
// requests that hold a mark.
type cutter struct {
	addr string
	mark []byte
	cuts atomic.Int64 // still to come
	did  atomic.Int64
}

func newCutter(t *testing.T, server, mark string) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{addr: l.Addr().String(), mark: []byte(mark)}
	ctx, stop := context.WithCancel(context.Background())
	var open sync.WaitGroup
	open.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() { c.serve(ctx, client, server) })
		}
	})
	t.Cleanup(func() {
		stop()
		_ = l.Close()
		open.Wait()
	})
	return c
}

func (c *cutter) serve(ctx context.Context, client net.Conn, server string) {
	defer func() { _ = client.Close() }()
	backend, err := new(net.Dialer).DialContext(ctx, "tcp", server)
	if err != nil {
		return
	}
	defer func() { _ = backend.Close() }()
	defer context.AfterFunc(ctx, func() { _, _ = client.Close(), backend.Close() })()
	var marked atomic.Bool
	var both sync.WaitGroup
	both.Go(func() {
		_, _ = io.Copy(backend, io.TeeReader(client, writer(func(b []byte) {
			if bytes.Contains(b, c.mark) {
				marked.Store(true)
			}
		})))
		_ = backend.Close()
	})
	buffer := make([]byte, 64<<10)
	for {
		n, err := backend.Read(buffer)
		if err != nil || marked.Load() && c.cuts.Add(-1) >= 0 {
			if err == nil {
				c.did.Add(1)
			}
			break
		}
		if _, err := client.Write(buffer[:n]); err != nil {
			break
		}
	}
	_, _ = client.Close(), backend.Close()
	both.Wait()
}

type writer func([]byte)

func (w writer) Write(b []byte) (int, error) {
	w(b)
	return len(b), nil
}

func openAt(t *testing.T, options string) driver.Set {
	t.Helper()
	set, err := clickhouse.Spec().Open(t.Context(), driver.Config{Name: "clickhouse", Log: slog.New(slog.DiscardHandler), Options: decode(options)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = set.Store.Close() })
	return set
}

// A server that knows tokens is sent the block again, and stores it once, in the
// rollups too.
func TestABlockWhoseAnswerIsLostIsStoredOnce(t *testing.T) {
	bridge.need(t)
	server := bridge.server(t)
	c := newCutter(t, server.HTTP, "insert_deduplication_token")
	s := openAt(t, "protocol: http\naddrs: [\""+c.addr+"\"]\n"+rollups+"\ndatabase: "+database(t, server))
	for range 3 {
		c.cuts.Store(1)
		if err := send(t.Context(), s, ticks(0, 120)); err != nil {
			t.Fatal(err)
		}
	}
	if c.did.Load() != 3 {
		t.Fatalf("%d answers were swallowed, want 3", c.did.Load())
	}
	got, err := read(t.Context(), s)
	if err != nil || len(got) != 120 || got[0] != 3 || got[119] != 3 {
		t.Errorf("each of 120 events was sent three times; read %v, %v", got, err)
	}
	a, err := s.TimeSeriesAggregation.AggregateEvents(t.Context(), "ns", driver.AggregateQuery{
		Selection: driver.Selection{Start: base - base%int64(time.Hour), End: base - base%int64(time.Hour) + int64(time.Hour)}, Bucket: int64(time.Hour), Max: 10,
		Values: []driver.Aggregate{{Function: driver.AggregateCount}, {Function: driver.AggregateCount, Metric: "n"}},
	})
	if err != nil || a.Source != "1h" || len(a.Rows) != 1 || a.Rows[0].Values[0].Value != 360 || a.Rows[0].Values[1].Value != 360 {
		t.Errorf("got %+v, %v, want 360 from 1h", a, err)
	}
}

// One that does not is told of by an error that says what is not known.
func TestAnUnknownOutcomeIsToldAsSuch(t *testing.T) {
	old.need(t)
	server := old.server(t)
	c := newCutter(t, server.Native, "FORMAT Native")
	s := openAt(t, "addrs: [\""+c.addr+"\"]\ndatabase: "+database(t, server))
	c.cuts.Store(1)
	batch := ticks(0, 10)
	batch.IDs.Data = []byte("0123456789")
	for i := range 10 {
		batch.IDs.Ends = append(batch.IDs.Ends, uint32(i+1))
	}
	err := send(t.Context(), s, batch)
	if !errors.Is(err, prism.ReasonBackendUnavailable) || !bytes.Contains([]byte(err.Error()), []byte("not known")) {
		t.Errorf("append whose answer was lost: %v", err)
	}
	res, err := s.TimeSeries.AppendEvents(t.Context(), "ns", batch, driver.Receipt{})
	if err != nil || res.Stored != 10 {
		t.Errorf("sent again: %+v, %v", res, err)
	}
}
