//go:build unix

package handover

import (
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
)

func env(kv map[string]string) func(string) string {
	return func(k string) string { return kv[k] }
}

func TestVariablesMeantForAnotherProcessAreNotOurs(t *testing.T) {
	for name, kv := range map[string]map[string]string{
		"nothing set":      {},
		"no pid":           {EnvFDs: "1", EnvNames: "data"},
		"another pid":      {EnvPID: "41", EnvFDs: "1", EnvNames: "data"},
		"pid is not a pid": {EnvPID: "me", EnvFDs: "1"},
	} {
		names, err := announced(env(kv), 42)
		if err != nil || len(names) != 0 {
			t.Errorf("%s: got %v, %v, want nothing", name, names, err)
		}
	}
}

func TestBrokenAnnouncementsAreErrors(t *testing.T) {
	for name, kv := range map[string]map[string]string{
		"count is a word":  {EnvPID: "42", EnvFDs: "two"},
		"count negative":   {EnvPID: "42", EnvFDs: "-1"},
		"count huge":       {EnvPID: "42", EnvFDs: "1000000"},
		"two of one name":  {EnvPID: "42", EnvFDs: "2", EnvNames: "data:data"},
		"two without name": {EnvPID: "42", EnvFDs: "2"},
	} {
		if names, err := announced(env(kv), 42); err == nil {
			t.Errorf("%s: got %v, want an error", name, names)
		}
	}
}

func TestNamesComeInOrder(t *testing.T) {
	names, err := announced(env(map[string]string{EnvPID: "42", EnvFDs: "2", EnvNames: "data:admin"}), 42)
	if err != nil || strings.Join(names, " ") != "data admin" {
		t.Fatalf("got %v, %v", names, err)
	}
	if got := Env(names); got[0] != "LISTEN_FDS=2" || got[1] != "LISTEN_FDNAMES=data:admin" {
		t.Fatalf("Env: %v", got)
	}
}

// inherited is a descriptor as a parent would hand it over.
func inherited(t *testing.T) (fd uintptr, addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	fd = dupRaw(t, f)
	f.Close()
	return fd, l.Addr().String()
}

func TestAdoptedSocketServes(t *testing.T) {
	fd, addr := inherited(t)
	ls, err := adopt([]string{"data"}, fd)
	if err != nil {
		t.Fatal(err)
	}
	l := ls["data"]
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err == nil {
			io.WriteString(c, "hello")
			c.Close()
		}
	}()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := io.ReadAll(c)
	if string(got) != "hello" {
		t.Fatalf("got %q", got)
	}
}

func TestWhatDoesNotListenIsRefusedAndLeftAlone(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if _, err := adopt([]string{"data"}, w.Fd()); err == nil || !strings.Contains(err.Error(), `"data"`) {
		t.Fatalf("got %v, want an error that names the socket", err)
	}
	if _, err := w.Write([]byte("x")); err != nil {
		t.Fatalf("the stray descriptor was closed: %v", err)
	}
	if _, err := adopt([]string{"data"}, 9999); err == nil {
		t.Fatal("a descriptor that is not open was adopted")
	}
}

func TestListenersForgetsTheVariables(t *testing.T) {
	t.Setenv(EnvPID, strconv.Itoa(os.Getpid()))
	t.Setenv(EnvFDs, "0")
	t.Setenv(EnvNames, "")
	ls, err := Listeners()
	if err != nil || len(ls) != 0 {
		t.Fatalf("got %v, %v", ls, err)
	}
	if v, ok := os.LookupEnv(EnvPID); ok {
		t.Fatalf("%s=%q is still set", EnvPID, v)
	}
}

func TestListenersReportsABrokenHandOver(t *testing.T) {
	t.Setenv(EnvPID, strconv.Itoa(os.Getpid()))
	t.Setenv(EnvFDs, "many")
	t.Setenv(EnvNames, "")
	if _, err := Listeners(); err == nil {
		t.Fatal("no error")
	}
}
