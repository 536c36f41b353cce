package faults_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/prism-data-layer/prism/pkg/client"
	"github.com/prism-data-layer/prism/pkg/driver/clickhouse/clickhousetest"
	"github.com/prism-data-layer/prism/pkg/driver/redis/redistest"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	timeseriesv1 "github.com/prism-data-layer/prism/proto/prism/timeseries/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

// A remote is a kind of server that the faults of backends are tried on: one
// row, and each of them runs on it.
type remote struct {
	name string
	// start starts a server that keeps what is acked as well as its kind can.
	start func(t *testing.T) (addr string, s breakable)
	// bare starts one without data that keeps less.
	bare func(t *testing.T) (addr string, s breakable)
	// durable is whether the first is to be told as such; says and bareSays are
	// of what the gateway says of the two.
	durable        bool
	says, bareSays string

	// backend is its entry in prism.yaml, behind addr, without the braces.
	backend func(addr string) string
	remoteModel
}

// A remoteModel is what is asked of a server, by what its namespace "far" is of.
type remoteModel struct {
	model string
	// write and read are small calls on the namespace; what n was written is
	// read back, or errNothing.
	write, read func(ctx context.Context, conn *grpc.ClientConn, n int) error
	// send is write by the SDK, which tries again.
	send func(ctx context.Context, c *client.Client, n int) error
}

// A breakable is a real server.
type breakable interface {
	Start() error
	Stop() error
	Kill() error
	Freeze() error
	Thaw() error
}

var (
	errOther   = errors.New("the answer of another request")
	errNothing = errors.New("there is nothing")
)

func remoteRows() []remote {
	redis := func(args ...string) func(t *testing.T) (string, breakable) {
		return func(t *testing.T) (string, breakable) {
			s := redistest.Seven().Start(t, args...)
			return s.Addr, s
		}
	}
	native := func(t *testing.T) (string, breakable) {
		s := clickhousetest.Server18(t)
		return s.Native, s
	}
	bridge := func(options ...clickhousetest.Option) func(t *testing.T) (string, breakable) {
		return func(t *testing.T) (string, breakable) {
			s := clickhousetest.Bridge(t, options...)
			return s.HTTP, s
		}
	}
	clickhouse := func(more string) func(string) string {
		return func(addr string) string {
			return fmt.Sprintf("name: remote, driver: clickhouse, options: {%saddrs: [%q], database: default, timeout: 1s, dial_timeout: 1s}", more, addr)
		}
	}
	return []remote{
		{
			name:  "redis",
			start: redis("--appendonly", "yes", "--appendfsync", "always"), bare: redis("--appendonly", "no"),
			durable: true, says: "fsync", bareSays: "memory",
			backend: func(addr string) string {
				return fmt.Sprintf("name: remote, driver: redis, options: {addrs: [%q], timeout: 1s, dial_timeout: 1s}", addr)
			},
			remoteModel: keys(),
		},
		{
			name:  "clickhouse-18", // the native protocol
			start: native, bare: native,
			// It has no fsync_after_insert: there is none that would be durable.
			durable: false, says: "when it likes", bareSays: "when it likes",
			backend: clickhouse(""), remoteModel: events(),
		},
		{
			name:  "clickhouse-26", // HTTP
			start: bridge(clickhousetest.Fsync()), bare: bridge(),
			durable: true, says: "fsynced", bareSays: "when it likes",
			backend: clickhouse("protocol: http, "), remoteModel: events(),
		},
	}
}

func rowName(n int) string { return fmt.Sprintf("key-%d", n) }

// keys are those of a key-value namespace.
func keys() remoteModel {
	return remoteModel{
		model: "keyvalue",
		write: func(ctx context.Context, conn *grpc.ClientConn, n int) error {
			_, err := kvv1.NewKeyValueServiceClient(conn).Set(ctx, &kvv1.SetRequest{Namespace: "far", Key: rowName(n), Value: []byte(rowName(n))})
			return err
		},
		read: func(ctx context.Context, conn *grpc.ClientConn, n int) error {
			r, err := kvv1.NewKeyValueServiceClient(conn).Get(ctx, &kvv1.GetRequest{Namespace: "far", Key: rowName(n)})
			switch {
			case harness.Read(err).Code() == codes.NotFound:
				return errNothing
			case err == nil && string(r.Value) != rowName(n):
				return fmt.Errorf("%w: %q for %q", errOther, r.Value, rowName(n))
			}
			return err
		},
		send: func(ctx context.Context, c *client.Client, n int) error {
			_, err := c.KeyValue("far").Set(ctx, rowName(n), []byte(rowName(n)))
			return err
		},
	}
}

// events are those of a namespace of time series: each key is a time of its own.
func events() remoteModel {
	at := func(n int) int64 { return time.Date(2026, 1, 1, 0, 0, 0, n, time.UTC).UnixNano() }
	return remoteModel{
		model: "timeseries",
		write: func(ctx context.Context, conn *grpc.ClientConn, n int) error {
			_, err := timeseriesv1.NewTimeSeriesServiceClient(conn).AppendEvents(ctx, appendOne("far", &timeseriesv1.Event{TimeNs: at(n), EventType: rowName(n)}))
			return err
		},
		read: func(ctx context.Context, conn *grpc.ClientConn, n int) error {
			start, end := at(n), at(n+1)
			r, err := timeseriesv1.NewTimeSeriesServiceClient(conn).QueryEvents(ctx, &timeseriesv1.QueryEventsRequest{
				Namespace: "far", Selection: &timeseriesv1.Selection{StartNs: &start, EndNs: &end}, Limit: 1,
			})
			switch {
			case err != nil:
				return err
			case len(r.Events) == 0:
				return errNothing
			case r.Events[0].EventType != rowName(n):
				return fmt.Errorf("%w: %q for %q", errOther, r.Events[0].EventType, rowName(n))
			}
			return nil
		},
		send: func(ctx context.Context, c *client.Client, n int) error {
			_, err := c.TimeSeries("far").Append(ctx, client.Measurement{Time: time.Unix(0, at(n)), Type: rowName(n)})
			return err
		},
	}
}

func appendOne(ns string, e *timeseriesv1.Event) *timeseriesv1.AppendEventsRequest {
	return &timeseriesv1.AppendEventsRequest{
		Namespace: ns, Events: &timeseriesv1.AppendEventsRequest_Rows{Rows: &timeseriesv1.EventRows{Events: []*timeseriesv1.Event{e}}},
	}
}
