package faults_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/prism-data-layer/prism/test/faults/powercut"
	"github.com/prism-data-layer/prism/test/harness"

	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

// F21: the gateway is killed, and all of its clients connect again while it
// starts, a thousand a second, with grpc-go's own settings. All are served within
// thirty seconds.
func TestFault_F21_ReconnectStorm(t *testing.T) {
	const spread = time.Millisecond // between two of them
	clients, within := 500, 2*time.Minute
	if powercut.Full() {
		clients, within = 10_000, 30*time.Second
	}
	report := powercut.Begin("F21", 0)
	p := newPrismd(t, harness.Small+"limits: {max_connections: 12000}\n")
	p.start()
	p.ready()
	stubs := make([]kvv1.KeyValueServiceClient, clients)
	for i := range stubs {
		conn, err := grpc.NewClient(p.addr("data"), grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithReadBufferSize(1<<10), grpc.WithWriteBufferSize(1<<10))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		stubs[i] = kvv1.NewKeyValueServiceClient(conn)
	}
	// all lets every client write its key, one after the other, as many at once as
	// there are slots.
	all := func(ctx context.Context, at int, round string) (refused int64) {
		t.Helper()
		var wg sync.WaitGroup
		var failed, again atomic.Int64
		slots := make(chan struct{}, at)
		pace := time.NewTicker(spread)
		defer pace.Stop()
		for i, stub := range stubs {
			<-pace.C
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				for {
					_, err := stub.Set(ctx, &kvv1.SetRequest{Namespace: "disk", Key: key(0, i), Value: []byte(round)}, grpc.WaitForReady(true))
					if err == nil {
						return
					}
					if ctx.Err() != nil {
						failed.Add(1)
						return
					}
					again.Add(1)
				}
			})
		}
		wg.Wait()
		if n := failed.Load(); n > 0 {
			t.Fatalf("%s: %d of %d clients were not served", round, n, clients)
		}
		return again.Load()
	}
	before, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	all(before, 200, "before")
	p.signal(syscall.SIGKILL)
	p.wait(5 * time.Second)
	p.start()
	begun := time.Now()
	storm, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	report.More["calls_again"] = all(storm, clients, "storm")
	report.More["served_after_ms"] = time.Since(begun).Milliseconds()
	r, err := stubs[0].Get(t.Context(), &kvv1.GetRequest{Namespace: "disk", Key: key(0, clients-1)})
	if err != nil || string(r.Value) != "storm" {
		t.Errorf("the last client's key is %v, %v", r, err)
	}
	report.Rounds, report.Acked = 1, int64(2*clients)
	report.More["clients"], report.More["peak_mib"] = clients, peakMiB(p.cmd.Process.Pid)
	report.Print()
	select {
	case <-p.done:
		t.Errorf("prismd ended:\n%s", p.log)
	default:
	}
}

// peakMiB is the most memory that a process has had; 0 where the system does not
// tell.
func peakMiB(pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kib, _ := strconv.Atoi(fields[0])
	return kib >> 10
}
