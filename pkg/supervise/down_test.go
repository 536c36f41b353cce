//go:build linux

package supervise

import (
	"context"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// down runs `dev down` as the user whose supervisor it is.
func down(t *testing.T, sc script, m mark) {
	t.Helper()
	cmd := program(t, "down", sc, m)
	cmd.Stderr = nil
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("down: %v: %s", err, out)
	}
}

// services are what a down has to do with: a server, one with grandchildren,
// one that ignores SIGTERM.
func (sc script) withServices() script {
	sc.GraceMS = 200
	sc.Services = []scriptService{
		{Name: "gateway", Mode: "serve", Listen: "127.0.0.1:0"},
		{Name: "family", Mode: "family"},
		{Name: "stubborn", Mode: "stubborn", StopMS: 300},
	}
	return sc
}

func TestFault_F38_DownLeavesNothingAfterEachFault(t *testing.T) {
	began := time.Now()
	faults := map[string]func(t *testing.T, sc script, m mark){
		"none": func(t *testing.T, sc script, m mark) { startSupervisor(t, sc, m).hear(t, "ready") },
		"it never ran": func(t *testing.T, sc script, m mark) {
			p := startSupervisor(t, sc, m)
			p.hear(t, "ready")
			p.cmd.Process.Signal(syscall.SIGTERM)
			p.cmd.Wait()
		},
		"F30, the supervisor is killed": func(t *testing.T, sc script, m mark) {
			p := startSupervisor(t, sc, m)
			p.hear(t, "ready")
			p.cmd.Process.Kill()
			p.cmd.Wait()
		},
		"F30, its watcher too": func(t *testing.T, sc script, m mark) { killBoth(t, sc, m) },
		"F30, its watcher hangs": func(t *testing.T, sc script, m mark) {
			p := startSupervisor(t, sc, m)
			p.hear(t, "ready")
			st, err := readState(sc.Dir)
			if err != nil {
				t.Fatal(err)
			}
			syscall.Kill(st.Watcher.PID, syscall.SIGSTOP)
			p.cmd.Process.Kill()
			p.cmd.Wait()
		},
		"F31, crash loop": func(t *testing.T, sc script, m mark) {
			sc.Services = append(sc.Services, scriptService{Name: "broken", Mode: "crash", Arg: "3"})
			startSupervisor(t, sc, m)
			until(t, "it crashed twice", func() bool {
				ls, _ := ReadLogs(filepath.Join(sc.Dir, "logs"), LogQuery{Grep: "crash line 29"})
				return len(ls) >= 2
			})
		},
		"F32, a service is killed": func(t *testing.T, sc script, m mark) {
			startSupervisor(t, sc, m).hear(t, "ready")
			st, err := readState(sc.Dir)
			if err != nil {
				t.Fatal(err)
			}
			syscall.Kill(st.Processes[1].PID, syscall.SIGKILL)
		},
		"F35, never ready": func(t *testing.T, sc script, m mark) {
			sc.Services[0].Mode, sc.Services[0].Arg = "late", "1h"
			sc.Services[0].ReadyMS, sc.Services[0].StopMS = 100, 300
			startSupervisor(t, sc, m).hear(t, "error")
		},
		"F39, the state is lost": func(t *testing.T, sc script, m mark) {
			killBoth(t, sc, m)
			if err := os.WriteFile(statePath(sc.Dir), []byte("{"), 0o600); err != nil {
				t.Fatal(err)
			}
		},
	}
	var runs atomic.Int64
	t.Cleanup(func() { report(t, "F38", began, map[string]any{"rounds": runs.Load(), "left": 0}) })
	variant := -1
	everyone(t, func(t *testing.T, sc script) {
		variant++
		for i, name := range slices.Sorted(maps.Keys(faults)) {
			if !full() && i%3 != variant {
				continue // each fault meets one of the three
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel() // some of them wait for long
				sc := sc.withServices()
				sc.Dir += itoa(int(runs.Add(1)))
				m := newMark()
				faults[name](t, sc, m)
				down(t, sc, m)
				nothingLeft(t, sc.Dir, m)
				down(t, sc, m) // of nothing it is no error
			})
		}
	})
}

// Whoever of the two is killed in the middle, the supervisor or the command:
// the second down ends it.
func TestFault_F38_SecondDownFinishesWhatAKilledOneBegan(t *testing.T) {
	began := time.Now()
	rng, seed := seeded(t)
	n := rounds(1, 20)
	runs := 0
	everyone(t, func(t *testing.T, sc script) {
		for name, kill := range map[string]func(t *testing.T, p *supervisorProcess, first *exec.Cmd){
			"the supervisor": func(_ *testing.T, p *supervisorProcess, _ *exec.Cmd) { p.cmd.Process.Kill(); p.cmd.Wait() },
			"the command":    func(_ *testing.T, _ *supervisorProcess, first *exec.Cmd) { first.Process.Kill() },
			"both": func(_ *testing.T, p *supervisorProcess, first *exec.Cmd) {
				first.Process.Kill()
				p.cmd.Process.Kill()
				p.cmd.Wait()
			},
		} {
			t.Run(name, func(t *testing.T) {
				for range n {
					sc := sc.withServices()
					sc.Dir += itoa(runs)
					m := newMark()
					p := startSupervisor(t, sc, m)
					p.hear(t, "ready")
					until(t, "all have forked", func() bool { return len(m.living()) >= 8 })
					watchStop(t, sc, rng, func() *exec.Cmd {
						first := program(t, "down", sc, m)
						first.Stderr = nil
						if err := first.Start(); err != nil {
							t.Fatal(err)
						}
						return first
					}, func(first *exec.Cmd) { kill(t, p, first); first.Wait() })
					down(t, sc, m)
					nothingLeft(t, sc.Dir, m)
					runs++
				}
			})
		}
		t.Run("the command that cleans up", func(t *testing.T) {
			for range n {
				sc := sc.withServices()
				sc.Dir += itoa(runs)
				m := newMark()
				killBoth(t, sc, m)
				first := program(t, "down", sc, m)
				first.Stderr = nil
				if err := first.Start(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Duration(rng.IntN(300)) * time.Millisecond) // anywhere in it
				first.Process.Kill()
				first.Wait()
				down(t, sc, m)
				nothingLeft(t, sc.Dir, m)
				runs++
			}
		})
	})
	report(t, "F38", began, map[string]any{"rounds": runs, "left": 0, "seed": seed})
}

// watchStop begins a stop, and kills at some moment after the first service
// was told to end.
func watchStop(t *testing.T, sc script, rng *rand.Rand, begin func() *exec.Cmd, kill func(*exec.Cmd)) {
	t.Helper()
	stopping := make(chan struct{}, 16)
	attached := make(chan struct{})
	go dial(t, filepath.Join(sc.Dir, "control.sock")).Events(context.Background(), func(Status) error { close(attached); return nil }, func(e Event) error {
		if e.State == Stopping {
			select {
			case stopping <- struct{}{}:
			default:
			}
		}
		return nil
	})
	<-attached
	first := begin()
	select {
	case <-stopping:
	case <-time.After(patience):
		t.Fatal("nothing stops")
	}
	time.Sleep(time.Duration(rng.IntN(300)) * time.Millisecond)
	kill(first)
}
