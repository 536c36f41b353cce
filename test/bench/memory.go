package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/prism-data-layer/prism/pkg/client"
	"github.com/prism-data-layer/prism/pkg/wire"
	sessionv1 "github.com/prism-data-layer/prism/proto/prism/session/v1"
)

// benchMemory measures what a gateway holds: idle, and with a million keys and
// ten thousand sessions.
func benchMemory(ctx context.Context, b *bench) error {
	if !b.wants("RSS") {
		return nil
	}
	idle, err := b.prismd(ctx, "")
	if err != nil {
		return err
	}
	time.Sleep(2 * time.Second)
	b.figure("prismd RSS, idle, built-in settings", "MiB", idle.rss(), "<=", 40)

	gw, err := b.prismd(ctx, memoryConfig)
	if err != nil {
		return err
	}
	if err := fill(ctx, gw, 1_000_000); err != nil {
		return err
	}
	if err := openSessions(ctx, gw, 10_000); err != nil {
		return err
	}
	time.Sleep(2 * time.Second)
	b.figure("prismd RSS, 1,000,000 keys on memory, 10,000 sessions", "MiB", gw.rss(), "<=", 500)
	b.note("the same at its peak", "MiB", gw.status("VmHWM:"))
	return nil
}

// fill writes n keys by batches.
func fill(ctx context.Context, gw *process, n int) error {
	c, err := client.Dial(gw.data)
	if err != nil {
		return err
	}
	defer c.Close()
	kv := c.KeyValue("mem")
	var wg sync.WaitGroup
	errs := make(chan error, callers)
	for w := range callers {
		wg.Go(func() {
			for i := w; i < n; i += callers {
				if _, err := kv.Set(ctx, fmt.Sprintf("key-%012d", i), value); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	return <-errs
}

func openSessions(ctx context.Context, gw *process, n int) error {
	c, err := client.Dial(gw.data, client.WithoutSession())
	if err != nil {
		return err
	}
	defer c.Close()
	svc := sessionv1.NewSessionServiceClient(c.Conn())
	var wg sync.WaitGroup
	errs := make(chan error, callers)
	for w := range callers {
		wg.Go(func() {
			for i := w; i < n; i += callers {
				r, err := svc.CreateSession(ctx, &sessionv1.CreateSessionRequest{ClientId: "bench"})
				if err == nil {
					_, err = svc.Heartbeat(metadata.AppendToOutgoingContext(ctx, wire.SessionToken, r.SessionToken), &sessionv1.HeartbeatRequest{})
				}
				if err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	return <-errs
}

// benchStart measures how long a person waits.
func benchStart(ctx context.Context, b *bench) error {
	if !b.wants("start") {
		return nil
	}
	ctl, err := filepath.Abs(filepath.Join(b.bin, "prismctl"))
	if err != nil {
		return err
	}
	run := func(name string, args ...string) side {
		return func(ctx context.Context, _ time.Duration) (sample, error) {
			const times = 20
			start := time.Now()
			for range times {
				if err := exec.CommandContext(ctx, name, args...).Run(); err != nil {
					return sample{}, err
				}
			}
			return sample{rate: time.Since(start).Seconds() / times * 1000}, nil
		}
	}
	if docker, err := exec.LookPath("docker"); err == nil {
		s, err := b.alternate(ctx, run(ctl, "--version"), run(docker, "--version"))
		if err != nil {
			return err
		}
		b.compare("start: prismctl --version ÷ docker --version", "ms", s[0], s[1], rate, "<=", 1.5)
		b.figure("start: prismctl --version", "ms", medianOf(s[0], rate), "<=", 20)
	}
	s, err := b.alternate(ctx, run(ctl, "completion", "bash"))
	if err != nil {
		return err
	}
	b.figure("start: prismctl completion bash", "ms", medianOf(s[0], rate), "<=", 50)
	var ups []float64
	for range b.rounds {
		p, took, err := devUp(ctx, ctl)
		if err == nil {
			err = p.down(ctx)
		}
		if err != nil {
			return err
		}
		ups = append(ups, took)
	}
	b.figure("start: dev up in an empty folder, to ready", "s", median(ups), "<=", 3)
	return nil
}
