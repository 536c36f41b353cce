package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/prism-data-layer/prism/loadtest"
	"github.com/prism-data-layer/prism/loadtest/pace"
	"github.com/prism-data-layer/prism/loadtest/report"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

const (
	rowLoadCPU    = "load: requests per CPU second of the generator, bare echo ÷ ghz"
	rowLoadRate   = "load: throughput measured at 1,000/s ÷ ghz's"
	rowLoadStall  = "load: p99 under stalls, open loop ÷ analytic"
	rowLoadClosed = "load: analytic p99 under stalls ÷ a closed loop's"
	rowLoadGHZ    = "load: analytic p99 under stalls ÷ ghz's"
)

// A server stops for S in every period of T and then works off what waited, at
// C requests a second, while R more come in each. One that was due t after the
// stop began has R·t before it, and is answered S + R·t/C after it: it waits
// S - t·(1-R/C), and so does all that is due before the queue is empty, at
// t = S/(1-R/C). So the share q of all requests waits longer than
//
//	S - q·T·(1-R/C)
//
// S is what the server measured, the mean of a run's stalls: its timer is not
// what is judged. C is left out, as if it had no end. It would have to be that
// of the moment after a stall, from the very clients that are judged; and with S
// half of T all that it adds is q·T·R/C, 10 ms · R/C to a value of 490 ms: 0.1 %
// where C is twenty times R, ten thousand a second.
const (
	stallEvery = time.Second
	stallFor   = 500 * time.Millisecond
	stallRate  = 503 // per second; no whole number of requests fits a stall
	stallCalls = 2   // of the closed loops
	fixedRate  = 1000
)

// stalledP99 is the analytic value in ms, of stalls of that mean length.
func stalledP99(stall time.Duration) float64 { return report.Millis(stall - stallEvery/100) }

// benchLoad measures the load generator itself, beside ghz.
func benchLoad(ctx context.Context, b *bench) error {
	if !b.wants(rowLoadCPU, rowLoadRate, rowLoadStall, rowLoadClosed, rowLoadGHZ) {
		return nil
	}
	ghz := filepath.Join(b.bin, "ghz")
	if _, err := os.Stat(ghz); err != nil {
		fmt.Fprintln(os.Stderr, "bench: no ghz beside prismd: its rows are left out")
		return nil
	}
	protos, err := b.protoset()
	if err != nil {
		return err
	}
	if b.wants(rowLoadCPU, rowLoadRate) {
		if err := b.loadEcho(ctx, ghz, protos); err != nil {
			return err
		}
	}
	if b.wants(rowLoadStall, rowLoadClosed, rowLoadGHZ) {
		return b.loadStalled(ctx, ghz, protos)
	}
	return nil
}

// requestsPerCPU are those of the client, whose CPU time is in cpu here.
func requestsPerCPU(s sample) float64 { return 1e6 / s.cpu }

// loadEcho lets both load one echo server: as fast as callers can, and at a
// rate, at which both must measure the same.
func (b *bench) loadEcho(ctx context.Context, ghz, protos string) error {
	p, err := b.echo(ctx, "default")
	if err != nil {
		return err
	}
	ours := func(model string, n int) side {
		return func(ctx context.Context, d time.Duration) (sample, error) {
			return ourLoad(ctx, p.data, d, model, strconv.Itoa(n))
		}
	}
	theirs := func(rps int) side {
		return func(ctx context.Context, d time.Duration) (sample, error) {
			return ghzLoad(ctx, ghz, protos, p.data, callers, rps, d)
		}
	}
	s, err := b.alternate(ctx, ours("closed", callers), theirs(0), ours("open", fixedRate), theirs(fixedRate))
	if err != nil {
		return err
	}
	b.compare(rowLoadCPU, "1/s", s[0], s[1], requestsPerCPU, ">=", 2)
	r := ratios(s[2], s[3], rate)
	b.add(row{
		Name: rowLoadRate, Unit: "1/s", Ours: medianOf(s[2], rate), Theirs: medianOf(s[3], rate), Ratio: median(r), Low: r[0], High: r[len(r)-1],
		Goal: "0.95–1.05", Met: median(r) >= 0.95 && median(r) <= 1.05,
	})
	return nil
}

func (b *bench) loadStalled(ctx context.Context, ghz, protos string) error {
	p, err := b.echo(ctx, "stall")
	if err != nil {
		return err
	}
	clients, done, err := stubs(p.data, 1, false)
	if err != nil {
		return err
	}
	defer done()
	long := max(b.length, 5*time.Second) // whole periods, and requests enough for a p99
	var open, analytic, shares, closed, theirs []float64
	for range b.rounds {
		for _, one := range []struct {
			run  func() (sample, error)
			take func(p99, analytic float64)
		}{
			{
				func() (sample, error) { return ourLoad(ctx, p.data, long, "open", strconv.Itoa(stallRate)) },
				func(p99, want float64) {
					open, analytic, shares = append(open, p99), append(analytic, want), append(shares, p99/want)
				},
			},
			{
				func() (sample, error) { return ourLoad(ctx, p.data, long, "closed", strconv.Itoa(stallCalls)) },
				func(p99, want float64) { closed = append(closed, want/p99) },
			},
			{
				func() (sample, error) { return ghzLoad(ctx, ghz, protos, p.data, stallCalls, 0, long) },
				func(p99, want float64) { theirs = append(theirs, want/p99) },
			},
		} {
			if _, err := clients[0].Count(ctx, &kvv1.CountRequest{}); err != nil { // begin anew
				return err
			}
			s, err := one.run()
			if err != nil {
				return err
			}
			stall, err := clients[0].Count(ctx, &kvv1.CountRequest{})
			if err != nil {
				return err
			}
			one.take(s.p99, stalledP99(time.Duration(stall.GetCount())))
		}
	}
	slices.Sort(shares)
	ratio := median(shares)
	b.add(row{
		Name: rowLoadStall, Unit: "ms", Ours: median(open), Theirs: median(analytic), Ratio: ratio, Low: shares[0], High: shares[len(shares)-1],
		Goal: "0.99–1.01", Met: ratio >= 0.99 && ratio <= 1.01,
	})
	b.note(rowLoadClosed, "times", median(closed))
	b.note(rowLoadGHZ, "times", median(theirs))
	return nil
}

// protoset writes the descriptors that ghz needs.
func (b *bench) protoset() (string, error) {
	var set descriptorpb.FileDescriptorSet
	seen := map[string]bool{}
	var add func(protoreflect.FileDescriptor)
	add = func(f protoreflect.FileDescriptor) {
		if seen[f.Path()] {
			return
		}
		seen[f.Path()] = true
		for i := range f.Imports().Len() {
			add(f.Imports().Get(i))
		}
		set.File = append(set.File, protodesc.ToFileDescriptorProto(f))
	}
	add(kvv1.File_prism_keyvalue_v1_keyvalue_proto)
	text, err := proto.Marshal(&set)
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "prism-bench-")
	if err != nil {
		return "", err
	}
	b.undo = append(b.undo, func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "keyvalue.protoset")
	return path, os.WriteFile(path, text, 0o600)
}

// run runs a client as a process of its own; its CPU time is known when it has
// ended.
func run(ctx context.Context, name string, args ...string) ([]byte, float64, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", filepath.Base(name), err)
	}
	return out, (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), nil
}

func ghzLoad(ctx context.Context, ghz, protos, addr string, n, rps int, d time.Duration) (sample, error) {
	out, used, err := run(ctx, ghz, "--insecure", "--protoset", protos, "--call", "prism.keyvalue.v1.KeyValueService/Get",
		"-d", `{"namespace":"mem","key":"bench-key-000001"}`, "-c", strconv.Itoa(n), "-r", strconv.Itoa(rps), "--connections", strconv.Itoa(min(n, connections)),
		"-z", d.String(), "--duration-stop", "wait", "-O", "json", addr)
	if err != nil {
		return sample{}, err
	}
	var got struct {
		Count   float64
		Rps     float64
		Latency []struct {
			Percentage int
			Latency    time.Duration
		} `json:"latencyDistribution"`
	}
	if err := json.Unmarshal(out, &got); err != nil {
		return sample{}, err
	}
	s := sample{rate: got.Rps, ops: got.Count, cpu: used / got.Count * 1e6}
	for _, l := range got.Latency {
		if l.Percentage == 99 {
			s.p99 = report.Millis(l.Latency)
		}
	}
	return s, nil
}

func ourLoad(ctx context.Context, addr string, d time.Duration, model, n string) (sample, error) {
	out, used, err := run(ctx, os.Args[0], "load", addr, d.String(), model, n)
	if err != nil {
		return sample{}, err
	}
	var r report.Report
	if err := json.Unmarshal(out, &r); err != nil {
		return sample{}, err
	}
	if r.Requests.Failed > 0 {
		return sample{}, fmt.Errorf("load: %+v", r.Errors)
	}
	ops := float64(r.Requests.OK)
	return sample{rate: r.ThroughputRPS, ops: ops, cpu: used / ops * 1e6, p99: r.Response.P99Ms}, nil
}

// generate is the process of our generator: ADDR DURATION open|closed N.
func generate(args []string) {
	d, err := time.ParseDuration(args[1])
	if err != nil {
		fatal(err)
	}
	n, err := strconv.Atoi(args[3])
	if err != nil {
		fatal(err)
	}
	clients, done, err := stubs(args[0], min(n, connections), true)
	if err != nil {
		fatal(err)
	}
	defer done()
	plan := loadtest.Plan{AllowShortfall: true}
	if args[2] == "open" {
		plan.Precise = true
		if plan.Schedule, err = pace.Constant(float64(n), d); err != nil {
			fatal(err)
		}
	} else {
		plan.Closed, plan.Duration = n, d
	}
	r, err := loadtest.Run(context.Background(), plan, &gets{clients: clients})
	if err != nil {
		fatal(err)
	}
	if err := r.WriteJSON(os.Stdout); err != nil {
		fatal(err)
	}
}

// gets asks for one key, as ghz does.
type gets struct {
	clients []kvv1.KeyValueServiceClient
}

func (*gets) Name() string               { return "gets" }
func (*gets) Operations() []string       { return []string{"get"} }
func (*gets) Options() map[string]string { return nil }

func (g *gets) Do(ctx context.Context, n uint64) loadtest.Outcome {
	_, err := g.clients[n%uint64(len(g.clients))].Get(ctx, &kvv1.GetRequest{Namespace: "mem", Key: "bench-key-000001"})
	return loadtest.Outcome{Err: err}
}

// A stallServer stops for stallFor in every stallEvery.
type stallServer struct {
	echoServer
	gate sync.RWMutex

	mu      sync.Mutex
	stalled time.Duration // since it was last asked
	stalls  time.Duration
}

func newStallServer() *stallServer {
	s := new(stallServer)
	go s.stall()
	return s
}

// stall holds the gate, as a rule to within microseconds.
func (s *stallServer) stall() {
	sleep, ctx := pace.Precise(), context.Background()
	begun := time.Now()
	for n := time.Duration(1); ; n++ {
		at := begun.Add(n * stallEvery)
		sleep(ctx, time.Until(at))
		s.gate.Lock()
		from := time.Now()
		sleep(ctx, time.Until(at.Add(stallFor)))
		s.gate.Unlock()
		s.note(time.Since(from))
	}
}

func (s *stallServer) note(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stalled, s.stalls = s.stalled+d, s.stalls+1
}

func (s *stallServer) Get(ctx context.Context, r *kvv1.GetRequest) (*kvv1.GetResponse, error) {
	s.gate.RLock()
	defer s.gate.RUnlock()
	return s.echoServer.Get(ctx, r)
}

// Count answers the mean length of the stalls since it was last asked, in ns.
func (s *stallServer) Count(context.Context, *kvv1.CountRequest) (*kvv1.CountResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	mean := s.stalled / max(s.stalls, 1)
	s.stalled, s.stalls = 0, 0
	return &kvv1.CountResponse{Count: int64(mean)}, nil
}
