package version_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/clitest"
)

func TestBothVersionsAreShown(t *testing.T) {
	got := clitest.New(t).Run("version")
	want := "client: prismctl 0.1.0 (" + runtime.Version() + ", " + runtime.GOOS + "/" + runtime.GOARCH + ")\nserver: prismd 0.1.0 (go1.26.8)\n"
	if got.Code != 0 || got.Out != want || got.ErrOut != "" {
		t.Errorf("got %+v, want %q", got, want)
	}
}

func TestSkewIsWarnedOf(t *testing.T) {
	r := clitest.New(t)
	for version, skew := range map[string]bool{"0.1.0": false, "0.1.7": false, "0.2.0": true, "1.1.0": true, "dev": true} {
		r.Prepare = func(f *cli.Factory) { f.Build.Version = version }
		got := r.Run("version")
		if warned := strings.Contains(got.ErrOut, "warning: prismctl and prismd have different versions"); warned != skew {
			t.Errorf("client %s, server 0.1.0: warned is %v, want %v", version, warned, skew)
		}
		if out := r.OK("version", "--jq", ".skew"); out != map[bool]string{true: "true\n", false: "false\n"}[skew] {
			t.Errorf("client %s: skew is %s", version, out)
		}
	}
}

func TestAGatewayThatIsNotThereIsNoError(t *testing.T) {
	r := clitest.Offline(t)
	got := r.Run("version")
	if got.Code != 0 || !strings.Contains(got.Out, "server: not reached (cannot reach the gateway at 127.0.0.1:1)") {
		t.Errorf("got %+v", got)
	}
	if out := r.OK("version", "--client", "--jq", ".server_version"); out != "\n" {
		t.Errorf("got %q", out)
	}
	if out := r.OK("version", "-q"); out != "0.1.0\n" {
		t.Errorf("got %q", out)
	}
	if out := r.OK("version", "--client"); strings.Contains(out, "server") {
		t.Errorf("got %q", out)
	}
}
