package loadtest

import (
	"context"
	"crypto/tls"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/loadtest/workload/kv"
	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
)

func TestTLSIsForEverythingButLoopback(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	junk := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(junk, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		target cli.Target
		tls    bool
		err    string
	}{
		{cli.Target{Data: "127.0.0.1:8980", TLS: true}, false, ""},
		{cli.Target{Data: "localhost:8980", TLS: true}, false, ""},
		{cli.Target{Data: "gw.example:8980", TLS: true}, true, ""},
		{cli.Target{Data: "gw.example:8980"}, false, ""},
		{cli.Target{Data: "127.0.0.1:8980", TLS: true, CAFile: junk}, false, "no certificate in"},
		{cli.Target{Data: "gw.example:8980", TLS: true, CAFile: filepath.Join(dir, "none")}, false, "cannot be read"},
	} {
		cfg, err := tlsFor(&c.target)
		if (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%+v: %v; want %q", c.target, err, c.err)
		}
		if (cfg != nil) != c.tls || cfg != nil && cfg.MinVersion != tls.VersionTLS12 {
			t.Errorf("%+v: TLS %v; want %v", c.target, cfg != nil, c.tls)
		}
	}
}

// broken is a store that does not let go of keys.
type broken struct {
	store
	asked int
}

func (b *broken) DeleteAll(context.Context, []string) error {
	if b.asked++; b.asked < 3 {
		return nil
	}
	return prism.New(prism.ReasonDiskFull, "disk full")
}

func TestKeysThatStayAreSaidToBeThere(t *testing.T) {
	t.Parallel()
	ios, _, _, errOut := iostreams.Test()
	o := &runOptions{IO: ios}
	err := o.clearUp(t.Context(), &broken{}, kv.Config{Keys: 5000, Prefix: "loadtest/x/"}, "kv")
	var f *cli.Failure
	if !errors.As(err, &f) || f.Exit != cli.ExitPartial || !strings.Contains(f.Fix, "--prefix loadtest/x/") || !strings.Contains(err.Error(), "disk full") || errOut.String() != "" {
		t.Errorf("got %v, %q", err, errOut)
	}
}
