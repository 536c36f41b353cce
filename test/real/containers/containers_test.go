// Package containers_test runs what Prism stores data in as its users may run it:
// in containers, by testcontainers-go. tools/containers.sh sees to an engine and
// to images.
package containers_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"
)

// patience is how long a container may take to be made and to be ready.
const patience = 3 * time.Minute

// needEngine ends a test where no engine answers.
func needEngine(t *testing.T) {
	t.Helper()
	if err := answers(t.Context()); err != nil {
		missing(t, err.Error())
	}
}

// engine ends a test where no engine answers or no image is named.
func engine(t *testing.T, image string) string {
	t.Helper()
	needEngine(t)
	name := os.Getenv(image)
	if name == "" {
		missing(t, image+" names no image")
	}
	return name
}

func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("PRISM_TEST_REQUIRE") == "all" {
		t.Fatalf("cannot run here: %s (tools/containers.sh sees to it)", what)
	}
	t.Skipf("NOT TESTED: %s (tools/containers.sh sees to it)", what)
}

func read(t *testing.T, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func answers(ctx context.Context) error {
	provider, err := testcontainers.NewDockerProvider()
	if err != nil {
		return err
	}
	defer func() { _ = provider.Close() }()
	return provider.Health(ctx)
}

// start starts a container that ends with its test, and gives the address of
// its port.
func start(t *testing.T, image, port string, ready wait.Strategy, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := testcontainers.Run(ctx, image, testcontainers.WithExposedPorts(port), testcontainers.WithCmd(args...), testcontainers.WithWaitStrategyAndDeadline(patience, ready))
	testcontainers.CleanupContainer(t, c)
	if err != nil {
		t.Fatalf("start %s: %v", image, err)
	}
	addr, err := c.PortEndpoint(ctx, port, "")
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

func TestRedisInAContainerPassesConformance(t *testing.T) {
	addr := start(t, engine(t, "PRISM_TEST_IMAGE_REDIS"), "6379/tcp", wait.ForLog("Ready to accept connections"), "redis-server", "--protected-mode", "no", "--save", "")
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-v", "-timeout", "15m", "-run", "^TestConformance$/^redis-8$", "./pkg/driver/redis")
	cmd.Dir = "../../.."
	cmd.Env = append(os.Environ(), "PRISM_TEST_REDIS8="+addr)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	passed := strings.Count(string(out), "--- PASS: TestConformance/redis-8/")
	if passed == 0 {
		t.Fatalf("nothing was tested:\n%s", out)
	}
	t.Logf("%d promises are kept by Redis at %s", passed, addr)
}

func TestClickHouseInAContainerAnswers(t *testing.T) {
	addr := start(t, engine(t, "PRISM_TEST_IMAGE_CLICKHOUSE"), "8123/tcp", wait.ForHTTP("/ping").WithPort("8123/tcp"))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+"/", strings.NewReader("SELECT sum(number) FROM numbers(1000)"))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if got := fmt.Sprintf("%d %s", res.StatusCode, text); err != nil || got != "200 499500\n" {
		t.Errorf("it answers %q, %v", got, err)
	}
}
