package faults_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver/redis/redistest"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	"github.com/prism-data-layer/prism/test/faults/powercut"
	"github.com/prism-data-layer/prism/test/harness"
)

// F13: the power goes from a Redis, in each way that it can be told to sync. What
// is lost is within what the gateway says of an ack, and only what keeps
// everything is told as durable. always is the promise, the others its controls.
func TestFault_F13_PowerCut(t *testing.T) {
	powercut.Need(t, powercut.Available())
	rounds := 1
	if powercut.Full() {
		rounds = 10
	}
	for _, c := range []struct {
		mode, says string
		durable    bool
		// keeps is the age from which on what was acked is there; 0: no age.
		keeps time.Duration
		loses bool
	}{
		{"always", "fsynced to the server's append-only file (appendfsync always)", true, 0, false},
		{"everysec", "may take the last second or two", false, 2 * time.Second, true},
		{"no", "may take half a minute and more", false, 0, true},
	} {
		t.Run(c.mode, func(t *testing.T) {
			report := powercut.Begin("F13-powercut-"+c.mode, 0)
			losing := 0
			for range rounds {
				acked, lost, oldest := cutRedis(t, c.mode, func(b *adminv1.Backend) {
					if b.Durable != c.durable || !strings.Contains(b.Durability, c.says) {
						t.Errorf("appendfsync %s is told as durable %v: %s", c.mode, b.Durable, b.Durability)
					}
				})
				report.Rounds++
				report.Acked += int64(acked)
				report.Lost += int64(lost)
				if lost > 0 {
					losing++
					report.More["oldest_lost_ms"] = max(most(report.More["oldest_lost_ms"]), oldest.Milliseconds())
				}
				if c.keeps > 0 && oldest > slack(c.keeps) {
					t.Errorf("a write was acked %v before the cut, and is lost", oldest)
				}
			}
			report.More["rounds_that_lost"] = losing
			report.Print()
			switch {
			case c.durable && report.Lost > 0:
				t.Errorf("%d of %d acked writes are lost", report.Lost, report.Acked)
			case c.loses && losing*10 < rounds*9:
				t.Errorf("%d of %d rounds lost, want nine of ten: this test proves nothing", losing, rounds)
			}
		})
	}
}

// cutRedis is one round of the power-cut recipe: how many writes were acked, how
// many of them are lost, and how old the oldest of those was at the cut. told is
// shown what the gateway says, before and after.
func cutRedis(t *testing.T, mode string, told func(*adminv1.Backend)) (acked, lost int, oldest time.Duration) {
	t.Helper()
	disk, err := powercut.Mount(t.TempDir(), powercut.Options{})
	if err != nil {
		t.Fatal(err)
	}
	server, err := redistest.Run(program(t), "--dir", disk.Dir(), "--appendonly", "yes", "--appendfsync", mode)
	if err != nil {
		t.Fatal(err, disk.Close())
	}
	defer func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := disk.Close(); err != nil {
			t.Error(err)
		}
	}()
	r := newDistant(t, remoteRows()[0], server.Addr, server, "")
	told(r.status())
	const writers = 8
	var mu sync.Mutex
	when := map[int]time.Time{} // of the acks
	over := make(chan struct{})
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for n := w; ; n += writers {
				select {
				case <-over:
					return
				default:
				}
				if r.try(r.write, n, 5*time.Second) != nil {
					return // the power is gone
				}
				mu.Lock()
				when[n] = time.Now()
				mu.Unlock()
			}
		})
	}
	lasting(t, 3*time.Second)
	mu.Lock() // what is acked from now on races the cut
	cut := time.Now()
	err = disk.Cut()
	snapshot := when
	when = map[int]time.Time{}
	mu.Unlock()
	close(over)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if err := disk.Remount(); err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	r.until("the backend is green", slack(10*time.Second), green)
	told(r.status())
	for n, at := range snapshot {
		switch err := r.try(r.read, n, 5*time.Second); {
		case errors.Is(err, errNothing):
			lost++
			oldest = max(oldest, cut.Sub(at))
		case err != nil:
			t.Fatalf("read after the cut: %v (%s)", err, harness.Reason(err))
		}
	}
	return len(snapshot), lost, oldest
}

func program(t *testing.T) string {
	t.Helper()
	program, missing := redistest.Seven().Find()
	powercut.Need(t, missing)
	return program
}
