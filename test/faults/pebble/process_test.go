package faults_test

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/test/faults/powercut"
)

// F1: SIGKILL during 16 concurrent writers, on one folder that is kept.
func TestFault_F1_Kill(t *testing.T) {
	rounds, enough := 5, int64(1_000)
	if powercut.Full() {
		rounds, enough = 50, 100_000
	}
	seed := seedOf(t)
	random := rand.New(rand.NewPCG(seed, 1))
	report := powercut.Begin("F1", seed)
	dir := filepath.Join(t.TempDir(), "data")
	next := make([]uint32, writers)
	var opens []time.Duration
	for report.Rounds < rounds || report.Acked < enough {
		p, err := startChild(os.Args[0], dir, seed, next)
		if err != nil {
			t.Fatal(err)
		}
		first := total(next)
		waitFor(t, p, first+1)
		time.Sleep(50*time.Millisecond + time.Duration(random.Int64N(int64(450*time.Millisecond))))
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
		acked := p.Acked() // what was said before the end counts too
		begun := time.Now()
		set, err := open(dir, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatalf("seed %d round %d: open after SIGKILL: %v", seed, report.Rounds, err)
		}
		opens = append(opens, time.Since(begun))
		found, err := readBack(set, seed, acked, acked)
		if err != nil {
			t.Fatalf("seed %d round %d: %v", seed, report.Rounds, err)
		}
		if err := set.Store.Close(); err != nil {
			t.Fatal(err)
		}
		report.Rounds++
		report.Lost += found.lost
		report.Phantom += found.phantom
		report.Acked += total(acked) - first
		next = found.next
		if report.Rounds > 20*rounds {
			t.Fatalf("only %d acked in %d rounds", report.Acked, report.Rounds)
		}
	}
	slices.Sort(opens)
	slowest := opens[(len(opens)*99-1)/100]
	report.More["reopen_p99_ms"] = slowest.Milliseconds()
	report.Print()
	if report.Lost != 0 || report.Phantom != 0 {
		t.Errorf("lost %d, phantom %d", report.Lost, report.Phantom)
	}
	if slowest >= 2*time.Second {
		t.Errorf("reopen p99 is %v, want below 2s", slowest)
	}
}

// waitFor waits until the child has acked so much in all.
func waitFor(t *testing.T, p *powercut.Process, acked int64) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); total(p.Acked()) < acked; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			err := p.Kill()
			t.Fatalf("the writer does not get on: %v", err)
		}
	}
}

// F2: power cut, with ext4 committing its journal every 1, 5 and 1000 s, and
// the control: the same with the fsync compiled out must lose.
func TestFault_F2_PowerCut(t *testing.T) {
	powercut.Need(t, powercut.Available())
	rounds := 3
	if powercut.Full() {
		rounds = 50
	}
	seed := seedOf(t)
	control := filepath.Join(t.TempDir(), "control.test")
	build := exec.Command("go", "test", "-c", "-tags", "nofsync", "-o", control, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the control: %v\n%s", err, out)
	}
	report := powercut.Begin("F2", seed)
	for ; report.Rounds < rounds; report.Rounds++ {
		acked, found, err := powerCut(t, os.Args[0], seed, report.Rounds)
		if err != nil {
			t.Fatalf("seed %d round %d: %v", seed, report.Rounds, err)
		}
		report.Acked += total(acked)
		report.Lost += found.lost
		report.Phantom += found.phantom
	}
	report.Print()
	if report.Lost != 0 || report.Phantom != 0 {
		t.Errorf("lost %d, phantom %d", report.Lost, report.Phantom)
	}

	report = powercut.Begin("F2-control", seed)
	losing := 0
	for ; report.Rounds < rounds; report.Rounds++ {
		acked, found, err := powerCut(t, control, seed, report.Rounds)
		if err != nil {
			t.Logf("control round %d: %v", report.Rounds, err) // worse than lost
			found.lost = total(acked)
		}
		if found.lost > 0 {
			losing++
		}
		report.Acked += total(acked)
		report.Lost += found.lost
	}
	report.More["rounds_that_lost"] = losing
	report.Print()
	if losing*10 < rounds*9 {
		t.Errorf("the control lost in %d of %d rounds, want nine of ten: this test proves nothing", losing, rounds)
	}
}

// powerCut is one round of the recipe.
func powerCut(t *testing.T, program string, seed uint64, round int) (acked []uint32, found tally, err error) {
	t.Helper()
	disk, err := powercut.Mount(t.TempDir(), powercut.Options{Commit: []int{1, 5, 1000}[round%3]})
	if err != nil {
		return nil, found, err
	}
	defer func() {
		if cerr := disk.Close(); cerr != nil {
			t.Errorf("close the disk: %v", cerr)
		}
	}()
	dir := filepath.Join(disk.Dir(), "data")
	p, err := startChild(program, dir, seed, make([]uint32, writers))
	if err != nil {
		return nil, found, err
	}
	waitFor(t, p, writers)
	time.Sleep(500*time.Millisecond + time.Duration(rand.Int64N(int64(300*time.Millisecond))))
	acked = p.Acked() // before the cut; later acks race it
	if err := disk.Cut(); err != nil {
		_ = p.Kill()
		return acked, found, fmt.Errorf("cut: %w", err)
	}
	if err := p.Kill(); err != nil {
		return acked, found, err
	}
	if err := disk.Remount(); err != nil {
		return acked, found, err
	}
	set, err := open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		return acked, found, err
	}
	found, err = readBack(set, seed, acked, p.Acked())
	if cerr := set.Store.Close(); err == nil {
		err = cerr
	}
	return acked, found, err
}
