package server_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/driver/all"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/server"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

func status(t *testing.T, g *harness.Gateway) *adminv1.GetStatusResponse {
	t.Helper()
	s, err := g.Admin(t).GetStatus(harness.Context(t), &adminv1.GetStatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func namespace(t *testing.T, g *harness.Gateway, name string) *adminv1.Namespace {
	t.Helper()
	r, err := g.Admin(t).GetNamespace(harness.Context(t), &adminv1.GetNamespaceRequest{Name: name})
	if err != nil {
		t.Fatalf("namespace %s: %v", name, err)
	}
	return r.Namespace
}

func TestStatusSaysWhatTheGatewayIs(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Options{})
	s := status(t, g)
	if s.Version != "test" || s.State != "Running" || s.DataAddress != g.Addr("data") || s.AuthMode != "off" || s.Pid != int64(os.Getpid()) ||
		s.Namespaces != 1 || s.Backends != 1 || s.Principal != "dev" || s.ConfigProblem != "" || s.RssBytes == 0 || s.Goroutines == 0 {
		t.Errorf("GetStatus: %v", s)
	}
}

// The file is in force within seconds of its change; a bad one changes nothing
// and is told.
func TestReload(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Options{File: harness.Small, Watch: true})
	ctx := harness.Context(t)
	kv := g.KeyValue(t)
	if _, err := kv.Set(ctx, &kvv1.SetRequest{Namespace: "mem", Key: "k", Value: []byte("v")}); err != nil {
		t.Fatal(err)
	}

	good := strings.Replace(harness.Small, "drain:", "  - {name: late, model: keyvalue, backend: extra, access: {owners: [\"user:dev\"]}}\ndrain:", 1)
	good = strings.Replace(good, "namespaces:", "  - {name: extra, driver: memory}\nnamespaces:", 1)
	good = strings.Replace(good, "name: mem, model: keyvalue,", "name: mem, model: keyvalue, default_ttl: 5m,", 1)
	g.Write(t, good)
	harness.Eventually(t, 30*time.Second, "a new namespace is served", func() bool {
		_, err := kv.Set(ctx, &kvv1.SetRequest{Namespace: "late", Key: "k"})
		return err == nil
	})
	if n := namespace(t, g, "mem"); n.Spec.DefaultTtlMs != 300_000 || n.DeclaredIn != "prism.yaml:8" || n.Revision < 2 {
		t.Errorf("the changed namespace is %v", n)
	}

	// What a file declares, only the file changes, and it is named.
	_, err := g.Admin(t).UpdateNamespace(ctx, &adminv1.UpdateNamespaceRequest{Spec: &adminv1.NamespaceSpec{Name: "mem"}, UpdateMask: []string{"default_ttl_ms"}})
	o := harness.Read(err)
	if o.Code() != codes.FailedPrecondition || o.Info.GetReason() != string(prism.ReasonDeclaredInFile) || o.Info.Metadata["declared_in"] != "prism.yaml:8" || !strings.Contains(o.Message(), "prism.yaml:8") {
		t.Errorf("an update of a declared field: %v", err)
	}
	_, err = g.Admin(t).DeleteNamespace(ctx, &adminv1.DeleteNamespaceRequest{Name: "mem"})
	if o := harness.Read(err); o.Info.GetReason() != string(prism.ReasonDeclaredInFile) {
		t.Errorf("deleting a declared namespace: %v", err)
	}

	for what, bad := range map[string]string{
		"a typo":                 strings.Replace(good, "backend: volatile", "bakcend: volatile", 1),
		"no yaml":                "{",
		"another driver":         strings.Replace(good, "{name: extra, driver: memory}", "{name: extra, driver: pebble}", 1),
		"a model there is not":   strings.Replace(good, "name: late, model: keyvalue", "name: late, model: queue", 1),
		"a backend there is not": strings.Replace(good, "backend: extra", "backend: nowhere", 1),
	} {
		g.Write(t, bad)
		g.Server.Reload(ctx)
		if p := status(t, g).ConfigProblem; p == "" || !strings.Contains(p, "prism.yaml") && what != "another driver" && what != "a model there is not" {
			t.Errorf("%s is told as %q", what, p)
		}
		for _, ns := range []string{"mem", "late"} {
			if _, err := kv.Exists(ctx, &kvv1.ExistsRequest{Namespace: ns, Key: "k"}); err != nil {
				t.Errorf("after %s, %s: %v", what, ns, err)
			}
		}
		g.Write(t, good)
		g.Server.Reload(ctx)
		if p := status(t, g).ConfigProblem; p != "" {
			t.Errorf("the good file is in force again, and the status says %q", p)
		}
	}

	// A name that leaves the file stays, with its data.
	g.Write(t, harness.Volatile)
	g.Server.Reload(ctx)
	if n := namespace(t, g, "mem"); n.Spec.DefaultTtlMs != 0 {
		t.Errorf("the shorter file is not in force: %v", n.Spec)
	}
	if r, err := kv.Get(ctx, &kvv1.GetRequest{Namespace: "late", Key: "k"}); err != nil {
		t.Errorf("a namespace that left the file: %v, %v", r, err)
	}
	// What the file wishes of the backend moves nothing.
	g.Write(t, strings.Replace(harness.Small, "name: mem, model: keyvalue, backend: volatile", "name: mem, model: keyvalue, backend: local", 1))
	g.Server.Reload(ctx)
	if n := namespace(t, g, "mem"); n.BoundBackend != "volatile" || n.Spec.Backend != "local" || !strings.Contains(strings.Join(n.Notes, ""), "not on local") {
		t.Errorf("the wish moved the data, or the difference is not told: %v", n)
	}
}

// A gateway that asks for credentials makes its first key by itself, once.
func TestFirstAdminKey(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Options{File: strings.Replace(harness.Small, "mode: off", "mode: required", 1)})
	path := filepath.Join(g.Dir, "data", "admin.key")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the key's file: %v, %v", info, err)
	}
	secret, _ := os.ReadFile(path)
	key := strings.TrimSpace(string(secret))
	if _, err := g.Admin(t).GetStatus(harness.Context(t), &adminv1.GetStatusRequest{}); harness.Read(err).Code() != codes.Unauthenticated {
		t.Errorf("without it: %v", err)
	}
	s, err := g.Admin(t).GetStatus(harness.As(harness.Context(t), key), &adminv1.GetStatusRequest{})
	if err != nil || s.Principal != "user:admin" || s.AuthMode != "required" {
		t.Errorf("with it: %v, %v", s, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	g.Restart(t)
	if _, err := os.Stat(path); err == nil {
		t.Error("another key was made at the second start")
	}
	if _, err := g.Admin(t).GetStatus(harness.As(harness.Context(t), key), &adminv1.GetStatusRequest{}); err != nil {
		t.Errorf("the key after a restart: %v", err)
	}
}

func TestHealthAndStateFollowTheDrain(t *testing.T) {
	t.Parallel()
	held, release := make(chan struct{}), make(chan struct{})
	g := harness.Start(t, harness.Options{Drivers: harness.Faulty(func(_ context.Context, key string) error {
		if key == "slow" {
			close(held)
			<-release
		}
		return nil
	})})
	watch, err := healthv1.NewHealthClient(g.Dial(t, "data")).Watch(harness.Context(t), &healthv1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := watch.Recv(); err != nil || r.Status != healthv1.HealthCheckResponse_SERVING {
		t.Fatalf("health: %v, %v", r, err)
	}
	answered := make(chan error, 1)
	go func() {
		_, err := g.KeyValue(t).Get(harness.Context(t), &kvv1.GetRequest{Namespace: "mem", Key: "slow"})
		answered <- err
	}()
	<-held
	stopped := g.Draining()
	if r, err := watch.Recv(); err != nil || r.Status != healthv1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("health in a drain: %v, %v", r, err)
	}
	if s := g.Server.State(); s != server.Draining {
		t.Errorf("the state is %s", s)
	}
	close(release)
	if err := <-answered; harness.Read(err).Code() != codes.NotFound {
		t.Errorf("the call in flight: %v", err)
	}
	// The watch of health, which would never end by itself, is ended.
	if err := <-stopped; err != nil {
		t.Errorf("the drain was not clean: %v", err)
	}
	if s := g.Server.State(); s != server.Stopped {
		t.Errorf("the state is %s", s)
	}
	for i, name := range []string{"Starting", "Running", "Draining", "Stopping", "Stopped"} {
		if server.State(i).String() != name {
			t.Errorf("state %d is %s", i, server.State(i))
		}
	}
}

// A call that hears nothing is left behind when the time is over.
func TestAStuckCallDoesNotKeepTheProcess(t *testing.T) {
	t.Parallel()
	held := make(chan struct{})
	g := harness.Start(t, harness.Options{
		File: strings.Replace(harness.Volatile, "5s", "200ms", 1),
		Drivers: harness.Faulty(func(_ context.Context, key string) error {
			close(held)
			select {}
		}),
	})
	go func() { _, _ = g.KeyValue(t).Get(context.Background(), &kvv1.GetRequest{Namespace: "mem", Key: "k"}) }()
	<-held
	begun := time.Now()
	err := g.Stop()
	if took := time.Since(begun); err == nil || took > 4*time.Second {
		t.Errorf("it stopped after %v with %v", took, err)
	}
}

func TestAFolderInUseIsRefused(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Options{})
	_, err := harness.TryStart(t, harness.Options{Dir: g.Dir})
	e := prism.From(err)
	if e == nil || e.Reason != prism.ReasonFailedPrecond || !strings.Contains(e.Message, fmt.Sprint(os.Getpid())) {
		t.Errorf("a second gateway on one folder: %v", err)
	}
	if s := status(t, g); s.State != "Running" {
		t.Errorf("the first one is %s", s.State)
	}
}

// sums hashes every file below dir but the lock.
func sums(t *testing.T, dir string) map[string][sha256.Size]byte {
	t.Helper()
	out := map[string][sha256.Size]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "prismd.lock" {
			return err
		}
		b, err := os.ReadFile(path)
		out[path] = sha256.Sum256(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Data of a newer format is refused with both versions named, and no byte of it
// is changed.
func TestANewerFormatIsRefusedAndLeftAlone(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		age  func(t *testing.T, data string)
		says []string
	}{
		"control store": {func(t *testing.T, data string) {
			f, err := os.OpenFile(filepath.Join(data, "control.db"), os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = f.Close() }()
			if _, err := f.WriteAt(binary.BigEndian.AppendUint32(nil, 77), 60); err != nil {
				t.Fatal(err)
			}
		}, []string{"77", "1"}},
		"pebble": {func(t *testing.T, data string) {
			if err := os.WriteFile(filepath.Join(data, "backends", "local", "FORMAT"), []byte("prism-pebble 77\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, []string{"77", "1"}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			g := harness.Start(t, harness.Options{File: harness.Small})
			if _, err := g.KeyValue(t).Set(harness.Context(t), &kvv1.SetRequest{Namespace: "disk", Key: "k"}); err != nil {
				t.Fatal(err)
			}
			if err := g.Stop(); err != nil {
				t.Fatal(err)
			}
			data := filepath.Join(g.Dir, "data")
			c.age(t, data)
			before := sums(t, data)
			_, err := harness.TryStart(t, harness.Options{File: harness.Small, Dir: g.Dir})
			if e := prism.From(err); e == nil || e.Reason != prism.ReasonNewerFormat {
				t.Fatalf("it was opened: %v", err)
			}
			for _, v := range c.says {
				if !strings.Contains(err.Error(), v) {
					t.Errorf("%q does not name %s", err, v)
				}
			}
			after := sums(t, data)
			for path, sum := range before {
				if after[path] != sum {
					t.Errorf("%s was changed", strings.TrimPrefix(path, data))
				}
			}
			for path := range after {
				if _, ok := before[path]; !ok {
					t.Errorf("%s was made", strings.TrimPrefix(path, data))
				}
			}
		})
	}
}

// The drivers that a file may name are those of the build.
func TestTheFileKnowsTheDriversOfTheBuild(t *testing.T) {
	if got, want := fmt.Sprint(config.Drivers()), fmt.Sprint(all.Drivers().Names()); got != want {
		t.Errorf("the configuration knows %s, the build has %s", got, want)
	}
}

// A gateway that has stopped, or could not start, leaves nothing running.
func TestNothingIsLeftRunning(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	c := config.Default()
	c.Listen.Data, c.Listen.Admin, c.Listen.Metrics = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	c.DataDir = t.TempDir()
	o := server.Options{Config: c, Dir: c.DataDir, Drivers: all.Drivers(), Log: slog.New(slog.DiscardHandler)}
	s, err := server.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, nil) }()
	conn, err := net.Dial("tcp", s.Addr("data"))
	if err != nil {
		t.Fatal(err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	_ = conn.Close()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	c.Listen.Admin = config.Address(taken.Addr().String())
	if _, err := server.New(t.Context(), o); err == nil || !strings.Contains(err.Error(), "admin") {
		t.Errorf("a port that is taken: %v", err)
	}
	goleak.VerifyNone(t, ignore)
}

// unreadStreams are streams whose client reads nothing of what is sent.
var unreadStreams = map[string]func(t *testing.T, kv kvv1.KeyValueServiceClient){
	"a watch": func(t *testing.T, kv kvv1.KeyValueServiceClient) {
		st, err := kv.Watch(t.Context(), &kvv1.WatchRequest{Namespace: "mem", IncludeValues: true})
		if err == nil {
			_, err = st.Recv()
		}
		for i := range 40 {
			if err == nil {
				_, err = kv.Set(t.Context(), &kvv1.SetRequest{Namespace: "mem", Key: fmt.Sprint(i), Value: make([]byte, 256<<10)})
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	},
	"a pipeline": func(t *testing.T, kv kvv1.KeyValueServiceClient) {
		_, err := kv.Set(t.Context(), &kvv1.SetRequest{Namespace: "mem", Key: "k", Value: make([]byte, 1<<20)})
		if err != nil {
			t.Fatal(err)
		}
		st, err := kv.Pipeline(t.Context())
		if err == nil {
			err = st.Send(&kvv1.PipelineRequest{Message: &kvv1.PipelineRequest_Open{Open: &kvv1.PipelineOpen{Namespace: "mem"}}})
		}
		for id := range uint64(8) {
			if err == nil {
				get := &kvv1.PipelineOp{Op: &kvv1.PipelineOp_Get{Get: &kvv1.GetRequest{Key: "k"}}}
				err = st.Send(&kvv1.PipelineRequest{Message: &kvv1.PipelineRequest_Frame{Frame: &kvv1.PipelineFrame{Id: id + 1, Ops: []*kvv1.PipelineOp{get, get, get, get}}}})
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	},
	"a transaction": func(t *testing.T, kv kvv1.KeyValueServiceClient) {
		_, err := kv.Set(t.Context(), &kvv1.SetRequest{Namespace: "mem", Key: "k", Value: make([]byte, 1<<20)})
		if err != nil {
			t.Fatal(err)
		}
		st, err := kv.Transaction(t.Context())
		if err == nil {
			err = st.Send(&kvv1.TransactionRequest{Step: &kvv1.TransactionRequest_Begin{Begin: &kvv1.TransactionBegin{Namespace: "mem", TimeoutMs: 60_000}}})
		}
		for range 8 {
			if err == nil {
				err = st.Send(&kvv1.TransactionRequest{Step: &kvv1.TransactionRequest_Get{Get: &kvv1.TransactionGet{Key: "k"}}})
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	},
}

// A client that does not read cannot hold the gateway: nothing has to be cut
// off when it stops.
func TestAReaderWhoDoesNotReadHoldsNoDrain(t *testing.T) {
	t.Parallel()
	for name, open := range unreadStreams {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := harness.Start(t, harness.Options{File: strings.Replace(harness.Volatile, "drain: {timeout: 5s}", "drain: {timeout: 2m}", 1)})
			open(t, g.KeyValue(t))
			if err := g.Stop(); err != nil {
				t.Errorf("the drain ended with %v", err)
			}
		})
	}
}
