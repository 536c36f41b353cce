// Bench prints what the gateway costs, each figure beside something that people
// know, measured in the same run: ours and theirs alternately, five rounds,
// medians. `make bench` runs it; -only RE picks rows.
//
// Servers are processes of their own on loopback: prismd as built, and echo
// servers with the same messages, which are this program started again.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"time"
)

// groups measure what -only picks of their rows.
var groups = []func(context.Context, *bench) error{
	benchWire, benchAllocs, benchPebble, benchMemory, benchStart, benchScan, benchDev, benchUI, benchLogs, benchTelemetry,
	benchQueue, benchQueueDelay, benchWaiting, benchFanOut, benchPubSubDelay, benchRedis, benchHop, benchEvents, benchFullSchema, benchLoad,
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "echo" {
		serveEcho(os.Args[2])
		return
	}
	if len(os.Args) > 1 && os.Args[1] == "write-logs" {
		writeLogs()
	}
	if len(os.Args) > 5 && os.Args[1] == "load" {
		generate(os.Args[2:])
		return
	}
	debug.SetGCPercent(400) // the client of both sides should cost little
	bin := flag.String("bin", "bin", "the `folder` of prismd and prismctl")
	only := flag.String("only", "", "run only the rows whose name matches the `regexp`")
	rounds := flag.Int("rounds", 5, "rounds of each row")
	length := flag.Duration("length", 2*time.Second, "of one measurement")
	out := flag.String("json", "", "write the figures to a `file` too")
	page := flag.String("md", "", "write the table to a Markdown `file` too")
	profile := flag.String("cpuprofile", "", "write a CPU profile of the client's side to a `file`")
	flag.Parse()
	if *profile != "" {
		defer profiled(*profile)()
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	pick, err := regexp.Compile(*only)
	if err != nil {
		fatal(err)
	}
	b := &bench{bin: *bin, rounds: *rounds, length: *length, pick: pick}
	for _, g := range groups {
		err := g(ctx, b)
		b.cleanUp() // servers and heaps of one group would slow the next
		debug.FreeOSMemory()
		if err != nil {
			fatal(err)
		}
	}
	b.print(os.Stdout)
	if *out != "" {
		if err := b.write(*out); err != nil {
			fatal(err)
		}
	}
	if *page != "" {
		if err := b.writePage(*page); err != nil {
			fatal(err)
		}
	}
}

// profiled profiles this program, which is the client of both sides, until the
// func that it returns is called.
func profiled(path string) func() {
	f, err := os.Create(path)
	if err == nil {
		err = pprof.StartCPUProfile(f)
	}
	if err != nil {
		fatal(err)
	}
	return func() { pprof.StopCPUProfile(); f.Close() }
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "bench:", err)
	os.Exit(1)
}

// A side is one thing that is measured: it runs for the given time and answers
// operations a second and the server's CPU time for one in microseconds.
type side func(ctx context.Context, d time.Duration) (sample, error)

type sample struct {
	rate  float64 // operations a second
	ops   float64
	cpu   float64 // µs of the server's CPU for one operation
	store float64 // µs of the CPU of the store behind it for one operation
	p90   float64 // ms
	p99   float64 // ms
}

// alternate measures the sides in turn, b.rounds times, and returns the samples
// of each.
func (b *bench) alternate(ctx context.Context, sides ...side) ([][]sample, error) {
	samples := make([][]sample, len(sides))
	for round := -1; round < b.rounds; round++ {
		for i, s := range sides {
			d := b.length
			if round < 0 {
				d /= 4 // warm-up
			}
			got, err := s(ctx, d)
			if err != nil {
				return nil, err
			}
			if round >= 0 {
				samples[i] = append(samples[i], got)
			}
			if err := ctx.Err(); err != nil {
				return nil, err
			}
		}
	}
	return samples, nil
}

// ratios are those of one round each, sorted.
func ratios(ours, theirs []sample, of func(sample) float64) []float64 {
	var r []float64
	for i := range ours {
		r = append(r, of(ours[i])/of(theirs[i]))
	}
	slices.Sort(r)
	return r
}

func median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	if len(v) == 0 {
		return 0
	}
	return v[len(v)/2]
}

func medianOf(s []sample, of func(sample) float64) float64 {
	var v []float64
	for _, x := range s {
		v = append(v, of(x))
	}
	return median(v)
}

func rate(s sample) float64  { return s.rate }
func cpu(s sample) float64   { return s.cpu }
func store(s sample) float64 { return s.store }
func p90(s sample) float64   { return s.p90 }
func p99(s sample) float64   { return s.p99 }
