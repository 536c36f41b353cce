package doctor_test

import (
	"archive/zip"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/metadata"

	"github.com/prism-data-layer/prism/pkg/cli/clitest"
	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

// found runs doctor and gives the state and the text of each check.
func found(t *testing.T, r *clitest.Rig, args ...string) (map[string][2]string, clitest.Result) {
	t.Helper()
	got := r.Run(append([]string{"doctor", "-o", "json"}, args...)...)
	var list []struct{ ID, State, Text, Fix string }
	if err := json.Unmarshal([]byte(got.Out), &list); err != nil {
		t.Fatalf("%v\n%s%s", err, got.Out, got.ErrOut)
	}
	m := map[string][2]string{}
	for _, f := range list {
		if m[f.ID] != [2]string{} {
			t.Errorf("two checks are called %s", f.ID)
		}
		if f.State == "fail" && f.Fix == "" {
			t.Errorf("%s fails without a fix", f.ID)
		}
		m[f.ID] = [2]string{f.State, f.Text}
	}
	return m, got
}

func TestAHealthyGateway(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Options{})
	r := clitest.Offline(t)
	r.Env["PRISM_DATA"], r.Env["PRISM_ADMIN"], r.Env["LANG"] = g.Addr("data"), g.Addr("admin"), "C.UTF-8"
	list, got := found(t, r)
	if len(list) < 15 {
		t.Errorf("there are %d checks", len(list))
	}
	for id, state := range map[string]string{
		"config": "pass", "project": "skip", "context": "pass", "modes": "pass", "credential": "skip", "dns": "skip", "ports": "pass", "tls": "skip",
		"gateway": "pass", "auth": "pass", "version": "warn", "clock": "warn", "namespaces": "pass", "otlp": "skip", "loopback": "pass", "locale": "pass", "terminal": "pass",
	} {
		if list[id][0] != state {
			t.Errorf("%s is %v, want %s", id, list[id], state)
		}
	}
	if got.Code != 0 {
		t.Errorf("exit %d: a warning is no failure\n%s", got.Code, got.Out)
	}
}

func TestWhatIsWrongIsFound(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() }) // after the tests below, which go on in parallel
	for what, c := range map[string]struct {
		prepare func(r *clitest.Rig)
		id      string
		state   string
		text    string
	}{
		"no gateway":        {func(r *clitest.Rig) { r.Env["PRISM_DATA"], r.Env["PRISM_ADMIN"] = "127.0.0.1:1", "127.0.0.1:1" }, "gateway", "fail", "cannot reach the gateway at 127.0.0.1:1"},
		"no gateway, ports": {func(r *clitest.Rig) { r.Env["PRISM_DATA"] = "127.0.0.1:1" }, "ports", "fail", "nothing answers at 127.0.0.1:1, the data API"},
		"no gateway, skip":  {func(r *clitest.Rig) { r.Env["PRISM_ADMIN"] = "127.0.0.1:1" }, "backends", "skip", "the gateway comes first"},
		"a bad file": {func(r *clitest.Rig) {
			r.Write(".config/prism/config.yaml", "apiVersion: prism/v1\nkind: User\ncolour: never\n")
		}, "config", "fail", "config.yaml:3:1: unknown key \"colour\""},
		"a bad file, skip": {func(r *clitest.Rig) { r.Write(".config/prism/config.yaml", "kind: User\n") }, "ports", "skip", "not tried"},
		"a bad project":    {func(r *clitest.Rig) { r.Write(".prism.yaml", "apiVersion: prism/v1\nkind: Project\nwiht: []\n") }, "project", "fail", ".prism.yaml:3:1"},
		"a bad gateway file": {func(r *clitest.Rig) {
			r.Write("prism.yaml", "apiVersion: prism/v1\nbackend: []\n")
			r.Write(".prism.yaml", "apiVersion: prism/v1\n")
		}, "project", "fail", "prism.yaml:2:1"},
		"no such context": {func(r *clitest.Rig) { r.Env["PRISM_CONTEXT"] = "none" }, "context", "fail", `context "none" not found`},
		"open credentials": {func(r *clitest.Rig) {
			r.Env["PRISM_TOKEN_FILE"] = r.Write("token", "secret")
			_ = os.Chmod(r.Env["PRISM_TOKEN_FILE"], 0o644)
		}, "modes", "warn", "others can read"},
		"no credential file": {func(r *clitest.Rig) { r.Env["PRISM_TOKEN_FILE"] = "/none/token" }, "credential", "fail", "the file with the credential is not there"},
		"an unknown name":    {func(r *clitest.Rig) { r.Env["PRISM_DATA"] = "no-such-host.invalid:8980" }, "dns", "fail", "the name no-such-host.invalid is not known"},
		"no TLS there": {func(r *clitest.Rig) {
			r.Write("ca.pem", "no certificate")
			r.Env["PRISM_CA"] = r.Dir + "/ca.pem"
		}, "tls", "fail", "there is no certificate in"},
		"refused": {func(r *clitest.Rig) {
			r.Gateway.Fail = func(string, metadata.MD) error { return prism.New(prism.ReasonUnauthenticated, "who are you?") }
		}, "auth", "fail", "who are you?"},
		"draining": {func(r *clitest.Rig) { r.Gateway.SetState("Draining") }, "gateway", "fail", "it is draining"},
		"degraded": {func(*clitest.Rig) {}, "namespaces", "warn", "not well: scratch"},
		"a backend": {func(r *clitest.Rig) {
			r.Gateway.Change(func(s *clitest.State) {
				(*s.Backends)[1].Health, (*s.Backends)[1].Message = adminv1.HealthState_HEALTH_STATE_UNHEALTHY, "no answer"
			})
		}, "backend-volatile", "fail", "memory is unhealthy: no answer"},
		"no collector":     {func(r *clitest.Rig) { r.Env["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:1" }, "otlp", "warn", "no collector answers at 127.0.0.1:1"},
		"a collector":      {func(r *clitest.Rig) { r.Env["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://" + l.Addr().String() }, "otlp", "pass", "a collector listens"},
		"no engine":        {func(r *clitest.Rig) { r.Env["DOCKER_HOST"] = "unix:///none.sock" }, "engine", "skip", "no container engine answers"},
		"another locale":   {func(r *clitest.Rig) { r.Env["LANG"], r.Env["LC_ALL"] = "C", "C" }, "locale", "warn", "not UTF-8"},
		"healthy backend":  {func(*clitest.Rig) {}, "backend-local", "pass", "pebble is healthy, in 1.24ms"},
		"the same clock":   {func(*clitest.Rig) {}, "clock", "pass", "agree"},
		"the same version": {func(*clitest.Rig) {}, "version", "pass", "0.1.0"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r := clitest.New(t)
			c.prepare(r)
			list, got := found(t, r)
			if f := list[c.id]; f[0] != c.state || !strings.Contains(f[1], c.text) {
				t.Errorf("%s is %v, want %s and %q\n%s", c.id, f, c.state, c.text, got.ErrOut)
			}
			if want := 0; c.state == "fail" {
				if want = 1; got.Code != want {
					t.Errorf("exit %d, want %d", got.Code, want)
				}
			}
			if len(list) < 15 {
				t.Errorf("there are only %d checks", len(list))
			}
		})
	}
}

func TestFormsForMonitorsAndFix(t *testing.T) {
	t.Parallel()
	r := clitest.New(t)
	r.Env["DOCKER_HOST"] = "unix:///none.sock"
	if got := r.Run("doctor", "-o", "nagios"); got.Code > 1 || !strings.HasPrefix(got.Out, "PRISM WARNING - namespaces: not well: scratch") || !strings.Contains(got.Out, " | pass=") || !strings.Contains(got.Out, " skip=") {
		t.Errorf("nagios: exit %d\n%s", got.Code, got.Out)
	}
	if got := r.OK("doctor", "-o", "prometheus"); !strings.Contains(got, `prism_check{check="engine",state="skip"} 1`) || !strings.Contains(got, `prism_check{check="engine",state="pass"} 0`) {
		t.Errorf("prometheus:\n%s", got)
	}
	r.Want(2, []string{"unknown output format"}, "doctor", "-o", "icinga")
	file := r.Write(".config/prism/config.yaml", "apiVersion: prism/v1\nkind: User\n")
	r.Want(0, []string{"fixed: closed /home/ann/.config/prism/config.yaml to others"}, "doctor", "--fix")
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v (%v)", info.Mode(), err)
	}
	r.Want(0, []string{"nothing to fix"}, "doctor", "--fix")
}

// A secret that stands wherever one can stand is in no part of the bundle.
func TestTheBundleHoldsNoSecret(t *testing.T) {
	t.Parallel()
	r := clitest.New(t)
	const canary, other = "cAnArY-0123456789", "0tHeR-cAnArY-98765"
	r.Env["PRISM_TOKEN"] = canary
	r.Env["PRISM_TOKEN_FILE"] = r.Write("mine/prod.token", other+"\n")
	r.Write(".config/prism/config.yaml", "apiVersion: prism/v1\nkind: User\ncontexts:\n  - {name: prod, token_file: "+r.Env["PRISM_TOKEN_FILE"]+"} # token "+other+"\n")
	r.Write(".prism.yaml", "apiVersion: prism/v1\nkind: Project\nservices:\n  - {name: a, command: [x], env: {DB: \"postgres://ann:"+canary+"@db/x\"}}\n")
	r.Gateway.Change(func(s *clitest.State) {
		b := (*s.Backends)[0]
		b.LastError = "cannot sign in with password " + canary
		b.Options = map[string]string{"api_key": other, "note": "Bearer " + canary}
		b.Facts["url"] = "redis://x:" + canary + "@h"
		(*s.Namespaces)[0].Spec.Description = "token=" + other
	})
	got := r.Want(0, []string{"secrets known here were taken out"}, "doctor", "--bundle", "bug.zip")
	for _, name := range []string{"versions.json", "doctor.json", "settings.txt", "environment.txt", "config/config.yaml", "config/.prism.yaml", "gateway/status.json", "gateway/backends.json", "gateway/namespaces.json", "gateway/traces.json"} {
		if !strings.Contains(got.Out, name+"\n") {
			t.Errorf("there is no %s:\n%s", name, got.Out)
		}
	}
	file := filepath.Join(r.Dir, "bug.zip")
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the bundle is %v, %v", info, err)
	}
	z, err := zip.OpenReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for _, f := range z.File {
		text, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{canary, other} {
			if strings.Contains(string(data), secret) {
				t.Errorf("%s holds a secret:\n%s", f.Name, data)
			}
		}
		if f.Name == "gateway/backends.json" && !strings.Contains(string(data), "[removed]") {
			t.Errorf("nothing was taken out of it:\n%s", data)
		}
	}
	r.Want(5, []string{"is there already"}, "doctor", "--bundle", "bug.zip")
}
