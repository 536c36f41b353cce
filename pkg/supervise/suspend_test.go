//go:build linux

package supervise

import (
	"context"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Everything is suspended, as a laptop that is shut or a machine that is
// paused, and goes on as if nothing had been.
func TestFault_F30_SuspendedAndResumed(t *testing.T) {
	began := time.Now()
	rng, seed := seeded(t)
	// Longer than a probe and its pause, so that a clock would call it dead.
	asleep, afterwards := 2500*time.Millisecond, time.Second
	probe := scriptService{ReadyMS: 1000, EveryMS: 50}
	if full() {
		asleep, afterwards, probe = time.Minute, 15*time.Second, scriptService{}
	}
	var mu sync.Mutex // of rng and restarts
	restarts := 0
	everyone(t, func(t *testing.T, sc script) {
		t.Parallel()
		gateway := probe
		gateway.Name, gateway.Mode, gateway.Listen = "gateway", "serve", "127.0.0.1:0"
		sc.Services = []scriptService{gateway, {Name: "family", Mode: "family"}}
		m := newMark()
		p := startSupervisor(t, sc, m)
		p.hear(t, "ready")
		until(t, "it has forked", func() bool { return len(m.living()) >= 6 })
		c := dial(t, filepath.Join(sc.Dir, "control.sock"))
		c.Silence = 3 * patience // we are awake meanwhile
		before, err := c.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var events []Event // read when the stream is over
		attached, over := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(over)
			c.Events(ctx, func(Status) error { close(attached); return nil }, func(e Event) error {
				events = append(events, e)
				return nil
			})
		}()
		<-attached
		all := m.living()
		for _, pid := range all {
			syscall.Kill(pid, syscall.SIGSTOP)
		}
		time.Sleep(asleep)
		mu.Lock()
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		mu.Unlock()
		for _, pid := range all {
			syscall.Kill(pid, syscall.SIGCONT)
		}
		time.Sleep(afterwards)
		after, err := c.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		<-over
		if !after.Ready || after.Watcher != before.Watcher || len(after.Warnings) > 0 {
			t.Errorf("got %+v", after)
		}
		for i, s := range after.Services {
			if s.PID != before.Services[i].PID || s.Restarts != 0 {
				t.Errorf("%s was started again: %+v", s.Name, s)
			}
			mu.Lock()
			restarts += s.Restarts
			mu.Unlock()
		}
		if len(events) > 0 {
			t.Errorf("told of %+v", events)
		}
		if pid, err := ask(after.Service("gateway").Listen["data"], patience); err != nil || pid != after.Service("gateway").PID {
			t.Errorf("pid %d answered, %v", pid, err)
		}
	})
	t.Cleanup(func() {
		report(t, "F30", began, map[string]any{"rounds": 1, "suspended_ms": asleep.Milliseconds(), "restarts": restarts, "degraded": 0, "seed": seed})
	})
}
