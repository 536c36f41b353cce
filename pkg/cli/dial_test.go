package cli

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/iostreams"
)

func factory(t *testing.T, env map[string]string) *Factory {
	t.Helper()
	ios, _, _, _ := iostreams.Test()
	ios.SetEnv(env)
	f := NewFactory(ios, Build{Version: "0"})
	f.Place = Place{Dir: t.TempDir(), Home: t.TempDir(), Temp: t.TempDir()}
	f.Globals.Timeout = time.Second
	t.Cleanup(f.Close)
	return f
}

func TestPlainTextIsForLoopbackAndForWhoSaysInsecure(t *testing.T) {
	for _, c := range []struct {
		address string
		tls     bool
		want    string
	}{
		{"127.0.0.1:1", true, "insecure"},
		{"[::1]:1", true, "insecure"},
		{"localhost:1", true, "insecure"},
		{"unix:/run/prism.sock", true, "insecure"},
		{"prism.example.com:1", true, "tls"},
		{"10.0.0.7:1", true, "tls"},
		{"10.0.0.7", true, "tls"},
		{"10.0.0.7:1", false, "insecure"},
	} {
		creds, err := credentialsFor(&Target{TLS: c.tls}, c.address)
		if err != nil {
			t.Fatal(err)
		}
		if got := creds.Info().SecurityProtocol; got != c.want {
			t.Errorf("%s, TLS %v: got %s, want %s", c.address, c.tls, got, c.want)
		}
	}
}

func TestCertificatesThatCannotBeReadAreToldBeforeDialling(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(bad, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"absent.pem": "cannot be read", bad: "there is no certificate"} {
		if _, err := credentialsFor(&Target{TLS: true, CAFile: path}, "127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", path, err)
		}
	}
	f := factory(t, map[string]string{config.EnvCA: bad, config.EnvAdmin: "h:1", config.EnvData: "h:1"})
	if _, err := f.Admin(context.Background()); err == nil {
		t.Error("Admin took the file")
	}
	if _, err := f.KeyValue(context.Background()); err == nil {
		t.Error("KeyValue took the file")
	}
}

func TestATokenFileIsReadAndItsAbsenceTold(t *testing.T) {
	f := factory(t, nil)
	path := filepath.Join(f.Place.Dir, "token")
	if err := os.WriteFile(path, []byte(" canary \n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.Globals.TokenFile = path
	target, err := f.Target()
	if err != nil || target.Token != "canary" {
		t.Errorf("got %+v, %v", target, err)
	}
	for _, path := range []string{filepath.Join(f.Place.Dir, "absent"), f.Place.Dir} {
		f := factory(t, map[string]string{config.EnvTokenFile: path})
		if _, err := f.Target(); Code(err) != ExitAuth {
			t.Errorf("%s: got %v", path, err)
		}
		if _, err := f.Namespace("kv"); Code(err) != ExitAuth {
			t.Errorf("%s: Namespace got %v", path, err)
		}
	}
}

func TestAHostThatDoesNotAnswerIsToldWithinASecondOrSo(t *testing.T) {
	if transportCause(`connection error: desc = "something odd"`) != "something odd" {
		t.Error(transportCause(`connection error: desc = "something odd"`))
	}
	for text, want := range map[string]string{
		`connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:1: connect: connection refused"`:                            "connection refused",
		`dial tcp: lookup nowhere.invalid on 1.1.1.1:53: no such host`:                                                                            "no such host",
		`connection error: desc = "transport: Error while dialing: dial tcp 10.255.255.1:1: i/o timeout"`:                                         "i/o timeout",
		`latest connection error: context deadline exceeded`:                                                                                      "no answer to a connection attempt",
		`connection error: desc = "transport: authentication handshake failed: tls: failed to verify certificate: x509: certificate signed by x"`: " failed to verify certificate: x509: certificate signed by x\"",
	} {
		if got := transportCause(text); strings.TrimSpace(got) != strings.TrimSpace(want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestTheSystemsPlaceHasAFolder(t *testing.T) {
	if p := SystemPlace(); p.Dir == "" || p.Home == "" || p.Temp == "" {
		t.Errorf("%+v", p)
	}
	t.Setenv("HOME", "")
	if p := SystemPlace(); p.Home != p.Dir {
		t.Errorf("without HOME: %+v", p)
	}
}

func TestCertificatesThatCannotBeUsedAreRefused(t *testing.T) {
	dir := t.TempDir()
	junk := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(junk, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		target Target
		err    string
	}{
		{Target{Data: "127.0.0.1:8980", TLS: true, CAFile: junk}, "no certificate in"},
		{Target{Data: "gw.example:8980", TLS: true, CAFile: filepath.Join(dir, "none")}, "cannot be read"},
	} {
		if _, err := c.target.TLSConfig(c.target.Data); err == nil || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%+v: %v; want %q", c.target, err, c.err)
		}
	}
}
