// Package faults_test breaks the store of time series in a file: a process that
// appends, each batch synced before it is acked, is killed or loses its power.
package faults_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/sqlite"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/test/faults/powercut"
)

const namespace = prism.Namespace("faults")

func store() powercut.Store {
	return powercut.Store{Suffix: "-sqlite", Writers: 16, Open: open, Write: write, ReadBack: readBack}
}

// The same program is test and writer.
func TestMain(m *testing.M) {
	if !store().Child() {
		os.Exit(m.Run())
	}
}

func open(dir string) (driver.Set, error) {
	return sqlite.Spec().Open(context.Background(), driver.Config{
		Name: "faults", Dir: dir, Clock: clock.Real(), Log: slog.New(slog.DiscardHandler), Options: func(any) error { return nil },
	})
}

// most is how many events an append has at most. A writer's n-th append has
// eventsOf of them: all are there, or none.
const most = 8

func eventsOf(n int) int { return 1 + n%most }

// timeOf is of the i-th event of a writer's n-th append; nobody else has it.
func timeOf(writer, n, i int) int64 { return int64(writer+1)<<40 + int64(n)*most + int64(i) }

// payloadOf makes 16 to 215 bytes that nothing else has.
func payloadOf(seed uint64, at int64) []byte {
	r := rand.New(rand.NewPCG(seed, uint64(at)))
	p := make([]byte, 0, 224)
	for size := 16 + r.IntN(200); len(p) < size; {
		p = binary.LittleEndian.AppendUint64(p, r.Uint64())
	}
	return p
}

func write(ctx context.Context, set driver.Set, seed uint64, writer, n int) error {
	b := &driver.EventBatch{
		Types: driver.Coded{Dictionary: []string{"tick"}}, Sources: driver.Coded{Dictionary: []string{fmt.Sprint("writer-", writer)}},
		Metrics: []driver.Metric{{Name: "n"}},
	}
	for i := range eventsOf(n) {
		at := timeOf(writer, n, i)
		b.Times = append(b.Times, at)
		b.Metrics[0].Values = append(b.Metrics[0].Values, float64(n))
		b.Payloads.Data = append(b.Payloads.Data, payloadOf(seed, at)...)
		b.Payloads.Ends = append(b.Payloads.Ends, uint32(len(b.Payloads.Data)))
	}
	_, err := set.TimeSeries.AppendEvents(ctx, namespace, b, driver.Receipt{})
	return err
}

// readBack wants each append that was acked whole, with its exact payloads, and
// no event twice.
func readBack(set driver.Set, seed uint64, acked, attempted []uint32) (powercut.Tally, error) {
	t := powercut.Tally{Next: slices.Clone(acked)}
	got, err := all(set)
	if err != nil {
		return t, err
	}
	for w := range acked {
		for n := 0; n <= int(attempted[w]); n++ {
			there := 0
			for i := range eventsOf(n) {
				at := timeOf(w, n, i)
				payload, ok := got[at]
				if !ok {
					continue
				}
				if payload != string(payloadOf(seed, at)) {
					return t, fmt.Errorf("event %d of append %d of writer %d has a wrong payload", i, n, w)
				}
				delete(got, at)
				there++
			}
			switch {
			case there != 0 && there != eventsOf(n):
				return t, fmt.Errorf("append %d of writer %d is there in part", n, w)
			case there == 0 && n < int(acked[w]):
				t.Lost++
			case there != 0:
				t.Next[w] = max(t.Next[w], uint32(n)+1)
			}
		}
	}
	t.Phantom = int64(len(got))
	return t, nil
}

// all are the payloads of what is there, by time.
func all(set driver.Set) (map[int64]string, error) {
	ctx := context.Background()
	r, err := set.TimeSeries.QueryEvents(ctx, namespace, driver.EventQuery{Selection: driver.Selection{Start: 0, End: prism.MaxEventTime}, Page: 10_000})
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	got := map[int64]string{}
	for {
		p, err := r.Page(ctx)
		if err != nil || p.Events.Len() == 0 {
			return got, err
		}
		for i := range p.Events.Len() {
			at := p.Events.Times[i]
			if _, twice := got[at]; twice {
				return nil, fmt.Errorf("the event of %d is there twice", at)
			}
			got[at] = string(p.Events.Payloads.At(i))
		}
	}
}

func seedOf(t *testing.T) uint64 {
	t.Helper()
	seed := rand.Uint64()
	if s := os.Getenv("PRISM_FAULT_TEST_SEED"); s != "" {
		if _, err := fmt.Sscan(s, &seed); err != nil {
			t.Fatal(err)
		}
	}
	return seed
}

// F1: SIGKILL during 16 writers of time series.
func TestFault_F1_SeriesKill(t *testing.T) { store().F1(t, seedOf(t)) }

// F2: power cut under them, and the control without fsync, which must lose.
func TestFault_F2_SeriesPowerCut(t *testing.T) { store().F2(t, seedOf(t)) }
