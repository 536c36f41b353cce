package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/prism-data-layer/prism/pkg/client"
	"github.com/prism-data-layer/prism/pkg/server"
	"github.com/prism-data-layer/prism/pkg/wire"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

// What is asked for, everywhere: 64-byte values under 16-byte keys, by 64
// callers over 4 connections.
const (
	callers     = 64
	connections = 4
	keys        = 10_000
)

var value = []byte(strings.Repeat("v", 64))

func key(i uint32) string { return fmt.Sprintf("bench-key-%06d", i%keys) }

const memoryConfig = `apiVersion: prism/v1
backends:
  - {name: volatile, driver: memory}
  - {name: local, driver: pebble, options: {memtable: 64MiB, cache: 256MiB}}
namespaces:
  - {name: mem, model: keyvalue, backend: volatile, access: {owners: ["user:dev"]}}
  - {name: disk, model: keyvalue, backend: local, access: {owners: ["user:dev"]}}
limits: {max_sessions: 20000}
log: {level: error}
`

// echoServer answers the same messages without doing anything for them.
type echoServer struct {
	kvv1.UnimplementedKeyValueServiceServer
}

func (echoServer) Get(context.Context, *kvv1.GetRequest) (*kvv1.GetResponse, error) {
	return &kvv1.GetResponse{Value: value, Version: 1}, nil
}

func (echoServer) Set(context.Context, *kvv1.SetRequest) (*kvv1.SetResponse, error) {
	return &kvv1.SetResponse{Version: 1}, nil
}

// serveEcho runs an echo server: "default@ADDR" as grpc-go comes, "tuned@ADDR"
// with prismd's own settings, "stall@ADDR" that stops now and then, "REDIS@ADDR" as grpc-go comes in front of a Redis.
func serveEcho(spec string) {
	kind, addr, _ := strings.Cut(spec, "@")
	var opts []grpc.ServerOption
	var service kvv1.KeyValueServiceServer = echoServer{}
	switch kind {
	case "default":
	case "tuned":
		opts = server.GRPCOptions()
		server.Tune()
	case "stall":
		service = newStallServer()
	default:
		service = newHop(kind)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		fatal(err)
	}
	s := grpc.NewServer(opts...)
	kvv1.RegisterKeyValueServiceServer(s, service)
	fatal(s.Serve(l))
}

// stubs are stock clients on a number of connections; tuned ones use our codec
// and windows.
func stubs(addr string, n int, tuned bool) ([]kvv1.KeyValueServiceClient, func(), error) {
	opts := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	if tuned {
		opts = append(opts, grpc.WithDefaultCallOptions(grpc.ForceCodecV2(wire.Codec())),
			grpc.WithInitialWindowSize(4<<20), grpc.WithInitialConnWindowSize(16<<20))
	}
	var list []kvv1.KeyValueServiceClient
	var conns []*grpc.ClientConn
	for range n {
		c, err := grpc.NewClient(addr, opts...)
		if err != nil {
			return nil, nil, err
		}
		conns = append(conns, c)
		list = append(list, kvv1.NewKeyValueServiceClient(c))
	}
	return list, func() {
		for _, c := range conns {
			c.Close()
		}
	}, nil
}

// loop calls op from n goroutines for the given time and returns the sample.
func loop(ctx context.Context, p *process, n int, d time.Duration, op func(ctx context.Context, caller int, i uint32) error) (sample, error) {
	var done atomic.Int64
	var failed atomic.Pointer[error]
	end := time.Now().Add(d)
	before := p.cpuSeconds()
	start := time.Now()
	var wg sync.WaitGroup
	for c := range n {
		wg.Go(func() {
			count := int64(0)
			for i := uint32(c * 7919); ; i++ {
				if count&15 == 0 && !time.Now().Before(end) {
					break
				}
				if err := op(ctx, c, i); err != nil {
					failed.Store(&err)
					return
				}
				count++
			}
			done.Add(count)
		})
	}
	wg.Wait()
	if e := failed.Load(); e != nil {
		return sample{}, *e
	}
	took := time.Since(start).Seconds()
	n64 := float64(done.Load())
	return sample{rate: n64 / took, ops: n64, cpu: (p.cpuSeconds() - before) / n64 * 1e6}, nil
}

// benchWire measures what a call costs.
func benchWire(ctx context.Context, b *bench) error {
	if !b.wants("unary") && !b.wants("coalesced") && !b.wants("CPU") {
		return nil
	}
	gw, err := b.prismd(ctx, memoryConfig)
	if err != nil {
		return err
	}
	tuned, err := b.echo(ctx, "tuned")
	if err != nil {
		return err
	}
	plain, err := b.echo(ctx, "default")
	if err != nil {
		return err
	}
	unary := func(p *process, ours bool) side {
		return func(ctx context.Context, d time.Duration) (sample, error) {
			list, done, err := stubs(p.data, connections, ours)
			if err != nil {
				return sample{}, err
			}
			defer done()
			return loop(ctx, p, callers, d, func(ctx context.Context, c int, i uint32) error {
				_, err := list[c%connections].Get(ctx, &kvv1.GetRequest{Namespace: "mem", Key: key(i)})
				return err
			})
		}
	}
	sdk, err := client.Dial(gw.data) // as it comes: one connection
	if err != nil {
		return err
	}
	defer sdk.Close()
	kv := sdk.KeyValue("mem")
	for i := range uint32(keys) {
		if _, err := kv.Set(ctx, key(i), value); err != nil {
			return err
		}
	}
	coalesced := func(ctx context.Context, d time.Duration) (sample, error) {
		return loop(ctx, gw, callers, d, func(ctx context.Context, _ int, i uint32) error {
			_, err := kv.Get(ctx, key(i))
			return err
		})
	}
	s, err := b.alternate(ctx, unary(gw, true), unary(tuned, true), unary(plain, false), unary(gw, false), coalesced)
	if err != nil {
		return err
	}
	b.compare("unary Get on memory ÷ bare echo, same settings", "calls/s", s[0], s[1], rate, ">=", 0.95)
	b.compare("unary Get on memory ÷ bare echo, defaults, stock client", "calls/s", s[3], s[2], rate, ">=", 1.5)
	b.compare("server CPU per unary Get ÷ that default echo", "µs", s[3], s[2], cpu, "<=", 0.55)
	b.compare("SDK coalesced Get, 64 callers ÷ unary Get", "calls/s", s[4], s[0], rate, ">=", 12)
	b.note("CPU seconds per million unary Gets", "s", medianOf(s[0], cpu))
	b.note("CPU seconds per million coalesced Gets", "s", medianOf(s[4], cpu))
	return nil
}
