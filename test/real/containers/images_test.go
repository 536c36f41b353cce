package containers_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/exec"
	"github.com/testcontainers/testcontainers-go/wait"
)

// The images that tools/images.sh makes run as the ones they stand for: the same
// commands, variables and users.

func run(t *testing.T, image string, opts ...testcontainers.ContainerCustomizer) *testcontainers.DockerContainer {
	t.Helper()
	needEngine(t)
	c, err := testcontainers.Run(t.Context(), image, opts...)
	testcontainers.CleanupContainer(t, c)
	if err != nil {
		t.Fatalf("start %s: %v (tools/images.sh makes it)", image, err)
	}
	return c
}

func TestPostgresMakesTheDatabaseThatItsVariablesName(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(secret, []byte("s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := run(t, "prism-test/postgres:15",
		testcontainers.WithEnv(map[string]string{"POSTGRES_USER": "prism", "POSTGRES_DB": "orders", "POSTGRES_PASSWORD_FILE": "/run/password"}),
		testcontainers.WithFiles(testcontainers.ContainerFile{HostFilePath: secret, ContainerFilePath: "/run/password", FileMode: 0o600}),
		testcontainers.WithWaitStrategyAndDeadline(patience, wait.ForLog("database system is ready to accept connections")))
	for password, want := range map[string]string{"s3cret": "prism|orders", "wrong": "password authentication failed"} {
		_, r, err := c.Exec(t.Context(), []string{"psql", "-h", "127.0.0.1", "-U", "prism", "-Atc", "SELECT current_user, current_database()", "orders"},
			exec.WithEnv([]string{"PGPASSWORD=" + password}), exec.Multiplexed())
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, r); !strings.Contains(got, want) {
			t.Errorf("with the password %q: %q, want %q", password, got, want)
		}
	}
}

func TestNATSRunsWithJetStream(t *testing.T) {
	run(t, "prism-test/nats:2.9", testcontainers.WithCmd("nats-server", "-js", "-sd", "/data"),
		testcontainers.WithWaitStrategyAndDeadline(patience, wait.ForLog("Server is ready")))
}

func TestDexKeepsItsDataAsAnOrdinaryUser(t *testing.T) {
	config := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(config, []byte("issuer: http://127.0.0.1:5556/dex\nweb: {http: '0.0.0.0:5556'}\nstorage: {type: sqlite3, config: {file: /var/dex/dex.db}}\nenablePasswordDB: true\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := run(t, "prism-test/dex:2.45.1", testcontainers.WithEntrypoint("dex", "serve", "/etc/dex.yaml"), testcontainers.WithExposedPorts("5556/tcp"),
		testcontainers.WithFiles(testcontainers.ContainerFile{HostFilePath: config, ContainerFilePath: "/etc/dex.yaml", FileMode: 0o644}),
		testcontainers.WithWaitStrategyAndDeadline(patience, wait.ForHTTP("/dex/.well-known/openid-configuration").WithPort("5556/tcp")))
	if r, err := c.CopyFileFromContainer(t.Context(), "/var/dex/dex.db"); err != nil || !strings.HasPrefix(read(t, r), "SQLite") {
		t.Errorf("no data in /var/dex: %v", err)
	}
}

func TestTheCollectorTakesOTLP(t *testing.T) {
	config := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(config, []byte(`
receivers: {otlp: {protocols: {http: {endpoint: "0.0.0.0:4318"}}}}
exporters: {debug: {}}
service: {pipelines: {traces: {receivers: [otlp], exporters: [debug]}}}
`), 0o644); err != nil {
		t.Fatal(err)
	}
	c := run(t, "prism-test/otelcol:0.161.0", testcontainers.WithCmd("--config", "/etc/otelcol.yaml"), testcontainers.WithExposedPorts("4318/tcp"),
		testcontainers.WithFiles(testcontainers.ContainerFile{HostFilePath: config, ContainerFilePath: "/etc/otelcol.yaml", FileMode: 0o644}),
		testcontainers.WithWaitStrategyAndDeadline(patience, wait.ForLog("Everything is ready")))
	addr, err := c.PortEndpoint(t.Context(), "4318/tcp", "")
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.Post("http://"+addr+"/v1/traces", "application/json", strings.NewReader(`{"resourceSpans":[]}`))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("an empty export: %s", res.Status)
	}
}

func TestTheHelperEndsAsItIsTold(t *testing.T) {
	c := run(t, "prism-test/helper:1", testcontainers.WithCmd("task", "7"), testcontainers.WithWaitStrategyAndDeadline(patience, wait.ForExit()))
	if s, err := c.State(t.Context()); err != nil || s.ExitCode != 7 || s.OOMKilled {
		t.Errorf("task 7: %+v, %v", s, err)
	}
	const limit = 32 << 20
	c = run(t, "prism-test/helper:1", testcontainers.WithCmd("leak", "200"), testcontainers.WithWaitStrategyAndDeadline(patience, wait.ForExit()),
		testcontainers.WithHostConfigModifier(func(h *container.HostConfig) { h.Memory, h.MemorySwap = limit, limit }))
	if s, err := c.State(t.Context()); err != nil || !s.OOMKilled || s.ExitCode != 137 {
		t.Errorf("leak: %+v, %v; want it killed for memory", s, err)
	}
}
