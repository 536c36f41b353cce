//go:build unix

package root_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/root"
)

func TestTheFirstSignalCancelsAndTheSecondEnds(t *testing.T) {
	for sig, want := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		ended := make(chan int, 1)
		ctx, stop := root.Signals(context.Background(), func(code int) { ended <- code })
		send := func() {
			if err := syscall.Kill(syscall.Getpid(), sig); err != nil {
				t.Fatal(err)
			}
		}
		send()
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Second):
			t.Fatalf("%v did not cancel", sig)
		}
		if got := cli.Code(context.Cause(ctx)); got != want {
			t.Errorf("%v: the cause is code %d, want %d", sig, got, want)
		}
		time.Sleep(100 * time.Millisecond) // sooner it would be one and the same
		send()
		select {
		case got := <-ended:
			if got != want {
				t.Errorf("a second %v ended with %d, want %d", sig, got, want)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("a second %v did not end the process", sig)
		}
		stop()
	}
}
