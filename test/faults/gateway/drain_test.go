package faults_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/prism-data-layer/prism/pkg/client"
	"github.com/prism-data-layer/prism/pkg/prism"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	"github.com/prism-data-layer/prism/test/faults/powercut"
	"github.com/prism-data-layer/prism/test/harness"
)

// F22: restarts by SIGTERM under load. No call fails, of the SDK with its
// defaults nor of a bare stub with grpc-go's; streams end with a position.
func TestFault_F22_DrainUnderLoad(t *testing.T) {
	rounds, calls, streams := 3, int64(3000), 10
	if powercut.Full() {
		rounds, calls, streams = 20, 100_000, 100
	}
	report := powercut.Begin("F22", seedOf(t))
	p := newPrismd(t, harness.Small)
	p.start()
	p.ready()
	c, err := client.Dial(p.addr("data"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var done, failed, bare, resumed atomic.Int64
	fail := func(format string, args ...any) {
		if failed.Add(1) <= 10 {
			t.Errorf(format, args...)
		}
	}
	for w := range 8 {
		wg.Go(func() {
			kv := c.KeyValue("disk")
			for n := 0; ctx.Err() == nil; n++ {
				k := key(w, n%500)
				if _, err := kv.Set(ctx, k, []byte(fmt.Sprint(n))); err != nil && ctx.Err() == nil {
					fail("SDK set: %v", err)
				}
				e, err := kv.Get(ctx, k)
				switch {
				case ctx.Err() != nil:
					return
				case err != nil:
					fail("SDK get: %v", err)
				case string(e.Value) != fmt.Sprint(n):
					fail("SDK get: %q after a set of %d", e.Value, n)
				}
				done.Add(2)
			}
		})
	}
	for w := range 4 {
		stub := kvv1.NewKeyValueServiceClient(p.dial())
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				var err error
				if n%4 == 0 {
					_, err = stub.Set(ctx, &kvv1.SetRequest{Namespace: "disk", Key: key(100+w, n%100), Value: []byte("v")})
				} else {
					_, err = stub.Exists(ctx, &kvv1.ExistsRequest{Namespace: "disk", Key: key(100+w, n%100)})
				}
				if err != nil && ctx.Err() == nil {
					fail("stub: %v", err)
				}
				bare.Add(1)
				done.Add(1)
			}
		})
	}
	// Streams of bare stubs, which go on by what the end says.
	for range streams {
		stub := kvv1.NewKeyValueServiceClient(p.dial())
		wg.Go(func() {
			position := ""
			for ctx.Err() == nil {
				st, err := stub.Watch(ctx, &kvv1.WatchRequest{Namespace: "disk", Prefix: "w00", Position: position})
				for err == nil {
					_, err = st.Recv()
				}
				if ctx.Err() != nil {
					return
				}
				o := harness.Read(err)
				if o.Code() != codes.Unavailable || o.Info.GetReason() != string(prism.ReasonDraining) || o.Resume.GetPosition() == "" {
					fail("a stream ended with %v (%v)", err, o.Resume)
					return
				}
				position = o.Resume.Position
				resumed.Add(1)
				time.Sleep(time.Duration(o.Resume.RetryAfterMs) * time.Millisecond)
			}
		})
	}
	var slowest time.Duration
	for round := range rounds {
		time.Sleep(300 * time.Millisecond)
		harness.Eventually(t, 5*time.Minute, "enough calls were made", func() bool { return done.Load() >= calls*int64(round+1)/int64(rounds) })
		order := watchOrder(t, p)
		begun := time.Now()
		p.signal(syscall.SIGTERM)
		if code := p.wait(15 * time.Second); code != 0 {
			t.Fatalf("round %d: exit code %d:\n%s", round, code, p.log)
		}
		slowest = max(slowest, time.Since(begun))
		if err := order(); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
		p.start()
		p.ready()
		report.Rounds++
	}
	stop()
	wg.Wait()
	report.Acked = done.Load()
	report.More["failed"] = failed.Load()
	report.More["bare_calls"] = bare.Load()
	report.More["streams"] = streams
	report.More["stream_resumptions"] = resumed.Load()
	report.More["slowest_exit_ms"] = slowest.Milliseconds()
	report.Print()
	if failed.Load() != 0 {
		t.Errorf("%d of %d calls failed", failed.Load(), done.Load())
	}
	if slowest > 10*time.Second {
		t.Errorf("an exit took %v", slowest)
	}
	if resumed.Load() < int64(streams) {
		t.Errorf("%d streams were resumed, of %d in %d rounds", resumed.Load(), streams, report.Rounds)
	}
}

// watchOrder looks on while a gateway drains; what it returns tells whether
// NOT_SERVING was heard before the connection was said goodbye to.
func watchOrder(t *testing.T, p *prismd) func() error {
	t.Helper()
	conn := p.dial()
	st, err := healthv1.NewHealthClient(conn).Watch(t.Context(), &healthv1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := st.Recv(); err != nil || r.Status != healthv1.HealthCheckResponse_SERVING {
		t.Fatalf("health: %v, %v", r, err)
	}
	told, gone := make(chan time.Time, 1), make(chan time.Time, 1)
	go func() {
		defer close(told)
		for {
			r, err := st.Recv()
			if err != nil {
				return
			}
			if r.Status == healthv1.HealthCheckResponse_NOT_SERVING {
				told <- time.Now()
				return
			}
		}
	}()
	go func() {
		for s := conn.GetState(); s == connectivity.Ready; s = conn.GetState() {
			conn.WaitForStateChange(t.Context(), s)
		}
		gone <- time.Now()
	}()
	return func() error {
		defer func() { _ = conn.Close() }()
		at, ok := <-told
		if !ok {
			return errors.New("NOT_SERVING was not told")
		}
		if away := <-gone; away.Before(at) {
			return fmt.Errorf("the connection went %v before NOT_SERVING", at.Sub(away))
		}
		return nil
	}
}

// F23: what a stop meets: a second signal, a start that is not over, a call
// that never ends.
func TestFault_F23_StopsThatAreNotPlain(t *testing.T) {
	report := powercut.Begin("F23", seedOf(t))
	const file = `apiVersion: prism/v1
auth: {mode: off}
backends:
  - {name: volatile, driver: memory}
  - {name: local, driver: pebble, options: {memtable: 1MiB, cache: 1MiB}}
namespaces:
  - {name: mem, model: keyvalue, backend: volatile, access: {owners: ["user:dev"]}}
  - {name: disk, model: keyvalue, backend: local, access: {owners: ["user:dev"]}}
drain: {timeout: 1s}
`
	// hang leaves a call behind that never ends, after a write that was acked.
	hang := func(t *testing.T, p *prismd) {
		stub := kvv1.NewKeyValueServiceClient(p.dial())
		if _, err := stub.Set(t.Context(), &kvv1.SetRequest{Namespace: "disk", Key: "acked", Value: []byte("v")}); err != nil {
			t.Fatal(err)
		}
		begun := make(chan struct{})
		go func() {
			close(begun)
			_, _ = stub.Get(context.Background(), &kvv1.GetRequest{Namespace: "mem", Key: "stuck"})
		}()
		<-begun
		time.Sleep(100 * time.Millisecond)
	}
	intact := func(t *testing.T, p *prismd) {
		p.env = nil
		p.start()
		p.ready()
		r, err := kvv1.NewKeyValueServiceClient(p.dial()).Get(t.Context(), &kvv1.GetRequest{Namespace: "disk", Key: "acked"})
		if err != nil || string(r.Value) != "v" {
			t.Errorf("what was acked is %v, %v", r, err)
		}
	}
	t.Run("a stuck call is cut off at the end of the drain", func(t *testing.T) {
		p := newPrismd(t, file, asStuck+"=1")
		p.start()
		p.ready()
		hang(t, p)
		begun := time.Now()
		p.signal(syscall.SIGTERM)
		code := p.wait(15 * time.Second)
		took := time.Since(begun)
		report.More["stuck_exit_code"], report.More["stuck_ms"] = code, took.Milliseconds()
		if code != 143 || took < time.Second || took > 5*time.Second {
			t.Errorf("exit code %d after %v, want 143 after a second and a little:\n%s", code, took, p.log)
		}
		intact(t, p)
	})
	t.Run("a second signal does not wait", func(t *testing.T) {
		slow := newPrismd(t, file+"sessions: {idle: 5m}\n", asStuck+"=1")
		slow.t = t
		slow.start()
		slow.ready()
		hang(t, slow)
		begun := time.Now()
		slow.signal(syscall.SIGTERM)
		slow.signal(syscall.SIGINT) // two TERMs at once are one signal to the kernel
		code := slow.wait(10 * time.Second)
		took := time.Since(begun)
		report.More["second_signal_exit_code"], report.More["second_signal_ms"] = code, took.Milliseconds()
		if code != 143 || took > 4*time.Second {
			t.Errorf("exit code %d after %v:\n%s", code, took, slow.log)
		}
		intact(t, slow)
	})
	t.Run("a signal during the start ends it", func(t *testing.T) {
		p := newPrismd(t, file, asSlow+"=1")
		p.start()
		time.Sleep(500 * time.Millisecond)
		p.signal(syscall.SIGTERM)
		code := p.wait(10 * time.Second)
		report.More["starting_exit_code"] = code
		if code != 0 {
			t.Errorf("exit code %d:\n%s", code, p.log)
		}
		p.env = nil
		p.start()
		p.ready()
	})
	report.Rounds = 3
	report.Print()
}
