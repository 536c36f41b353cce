package cli_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/clitest"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/iostreams"
)

// A gateway that takes its time is told of after 300 ms, on a terminal only, and
// nothing of that is left.
func TestASlowAnswerIsWaitedForInWords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		tty      bool
		env      map[string]string
		animated bool
	}{
		{"terminal", true, nil, true},
		{"pipe", false, nil, false},
		{"CI", true, map[string]string{"CI": "true"}, false},
		{"words", true, map[string]string{"PRISM_NO_SPINNER": "1"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := clitest.New(t)
			r.TTY = c.tty
			for k, v := range c.env {
				r.Env[k] = v
			}
			var ios *iostreams.IOStreams
			var fake *clock.Fake
			r.Prepare = func(f *cli.Factory) { ios, fake = f.IO, f.Clock.(*clock.Fake) }
			r.Gateway.Fail = func(string, metadata.MD) error {
				if !c.animated {
					return nil
				}
				for end := time.Now().Add(10 * time.Second); fake.Timers() == 0 && time.Now().Before(end); {
					time.Sleep(time.Millisecond)
				}
				fake.Advance(300 * time.Millisecond)
				for end := time.Now().Add(10 * time.Second); fake.Timers() == 0 && time.Now().Before(end); {
					time.Sleep(time.Millisecond) // the next frame's: the first is drawn
				}
				return nil
			}
			got := r.Run("namespace", "list")
			said := strings.Contains(got.ErrOut, "waiting for the gateway at 127.0.0.1:8980 0s")
			if got.Code != 0 || said != c.animated || ios == nil {
				t.Errorf("exit %d, animated %v: %q", got.Code, said, got.ErrOut)
			}
			if said && !strings.HasSuffix(got.ErrOut, "\r\x1b[K") {
				t.Errorf("it was not taken away: %q", got.ErrOut)
			}
		})
	}
}
