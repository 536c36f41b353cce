package powercut

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
)

// A Store is an embedded store that writers of a process of its own write to,
// until the process or the power is gone. The test's program is also that
// process: its TestMain calls Child.
type Store struct {
	Suffix  string // of the ids of the reports, such as "-sqlite"
	Writers int
	// Open opens it in a folder, as the gateway would.
	Open func(dir string) (driver.Set, error)
	// Write makes a writer's n-th write, and returns when it is acked.
	Write func(ctx context.Context, set driver.Set, seed uint64, writer, n int) error
	// ReadBack compares what is there with what was acked and what had been
	// attempted; beyond that a writer may have had one write in flight.
	ReadBack func(set driver.Set, seed uint64, acked, attempted []uint32) (Tally, error)
}

// A Tally is what reading back found.
type Tally struct {
	Lost, Phantom int64
	Next          []uint32 // where each writer goes on
}

// Variables that make a test's program a process that writes.
const (
	childDir   = "PRISM_FAULT_CHILD"
	childStart = "PRISM_FAULT_START"
	childSeed  = "PRISM_FAULT_SEED"
)

// Child is the program of the writers, if it is that; it says after each OK which
// write it was, and returns only if something is wrong.
func (s Store) Child() (is bool) {
	dir := os.Getenv(childDir)
	if dir == "" {
		return false
	}
	fmt.Fprintln(os.Stderr, "writer:", s.child(dir))
	os.Exit(3)
	return true
}

func (s Store) child(dir string) error {
	var seed uint64
	if _, err := fmt.Sscan(os.Getenv(childSeed), &seed); err != nil {
		return err
	}
	start := make([]uint32, s.Writers)
	for i, text := range strings.Split(os.Getenv(childStart), ",") {
		if _, err := fmt.Sscan(text, &start[i]); err != nil {
			return err
		}
	}
	set, err := s.Open(dir)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	for w := range s.Writers {
		wg.Go(func() {
			for n := int(start[w]); ; n++ {
				if s.Write(context.Background(), set, seed, w, n) != nil {
					return // the power is gone
				}
				if WriteAck(os.Stdout, Ack{Writer: uint16(w), N: uint32(n)}) != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	select {} // wait for the kill
}

func (s Store) start(program, dir string, seed uint64, start []uint32) (*Process, error) {
	text := make([]string, len(start))
	for i, n := range start {
		text[i] = fmt.Sprint(n)
	}
	return Start(program, nil, []string{
		childDir + "=" + dir, fmt.Sprintf("%s=%d", childSeed, seed), childStart + "=" + strings.Join(text, ","),
	}, start)
}

// F1 is SIGKILL during concurrent writers, on one folder that is kept.
func (s Store) F1(t *testing.T, seed uint64) {
	rounds, enough := 5, int64(1_000)
	if Full() {
		rounds, enough = 50, 100_000
	}
	random := rand.New(rand.NewPCG(seed, 1))
	report := Begin("F1"+s.Suffix, seed)
	dir := filepath.Join(t.TempDir(), "data")
	next := make([]uint32, s.Writers)
	var opens []time.Duration
	for report.Rounds < rounds || report.Acked < enough {
		p, err := s.start(os.Args[0], dir, seed, next)
		if err != nil {
			t.Fatal(err)
		}
		first := Total(next)
		waitFor(t, p, first+1)
		time.Sleep(50*time.Millisecond + time.Duration(random.Int64N(int64(450*time.Millisecond))))
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
		acked := p.Acked() // what was said before the end counts too
		begun := time.Now()
		set, err := s.Open(dir)
		if err != nil {
			t.Fatalf("seed %d round %d: open after SIGKILL: %v", seed, report.Rounds, err)
		}
		opens = append(opens, time.Since(begun))
		found, err := s.ReadBack(set, seed, acked, acked)
		if err != nil {
			t.Fatalf("seed %d round %d: %v", seed, report.Rounds, err)
		}
		if err := set.Store.Close(); err != nil {
			t.Fatal(err)
		}
		report.Rounds++
		report.Lost += found.Lost
		report.Phantom += found.Phantom
		report.Acked += Total(acked) - first
		next = found.Next
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

// Total is how many are acked in all.
func Total(counts []uint32) (n int64) {
	for _, c := range counts {
		n += int64(c)
	}
	return n
}

// waitFor waits until the child has acked so much in all.
func waitFor(t *testing.T, p *Process, acked int64) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); Total(p.Acked()) < acked; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			err := p.Kill()
			t.Fatalf("the writer does not get on: %v", err)
		}
	}
}

// F2 is a power cut, with ext4 committing its journal every 1, 5 and 1000 s, and
// the control: the same with the fsync compiled out (build tag nofsync) must lose.
func (s Store) F2(t *testing.T, seed uint64) {
	Need(t, Available())
	rounds := 3
	if Full() {
		rounds = 50
	}
	control := filepath.Join(t.TempDir(), "control.test")
	build := exec.Command("go", "test", "-c", "-tags", "nofsync", "-o", control, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the control: %v\n%s", err, out)
	}
	report := Begin("F2"+s.Suffix, seed)
	for ; report.Rounds < rounds; report.Rounds++ {
		acked, found, err := s.cut(t, os.Args[0], seed, report.Rounds)
		if err != nil {
			t.Fatalf("seed %d round %d: %v", seed, report.Rounds, err)
		}
		report.Acked += Total(acked)
		report.Lost += found.Lost
		report.Phantom += found.Phantom
	}
	report.Print()
	if report.Lost != 0 || report.Phantom != 0 {
		t.Errorf("lost %d, phantom %d", report.Lost, report.Phantom)
	}

	report = Begin("F2"+s.Suffix+"-control", seed)
	losing := 0
	for ; report.Rounds < rounds; report.Rounds++ {
		acked, found, err := s.cut(t, control, seed, report.Rounds)
		if err != nil {
			t.Logf("control round %d: %v", report.Rounds, err) // worse than lost
			found.Lost = Total(acked)
		}
		if found.Lost > 0 {
			losing++
		}
		report.Acked += Total(acked)
		report.Lost += found.Lost
	}
	report.More["rounds_that_lost"] = losing
	report.Print()
	if losing*10 < rounds*9 {
		t.Errorf("the control lost in %d of %d rounds, want nine of ten: this test proves nothing", losing, rounds)
	}
}

// cut is one round of the recipe.
func (s Store) cut(t *testing.T, program string, seed uint64, round int) (acked []uint32, found Tally, err error) {
	t.Helper()
	disk, err := Mount(t.TempDir(), Options{Commit: []int{1, 5, 1000}[round%3]})
	if err != nil {
		return nil, found, err
	}
	defer func() {
		if cerr := disk.Close(); cerr != nil {
			t.Errorf("close the disk: %v", cerr)
		}
	}()
	dir := filepath.Join(disk.Dir(), "data")
	p, err := s.start(program, dir, seed, make([]uint32, s.Writers))
	if err != nil {
		return nil, found, err
	}
	waitFor(t, p, int64(s.Writers))
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
	set, err := s.Open(dir)
	if err != nil {
		return acked, found, err
	}
	found, err = s.ReadBack(set, seed, acked, p.Acked())
	if cerr := set.Store.Close(); err == nil {
		err = cerr
	}
	return acked, found, err
}
