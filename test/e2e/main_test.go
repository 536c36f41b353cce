package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestMain builds both programs once, unless make test has built them already
// (PRISM_TEST_BIN names their folder). With PRISM_E2E_COVER=FOLDER they count
// what they cover and leave it there.
func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if dir, err := os.MkdirTemp("", "prism-e2e-tools"); err == nil {
		defer os.RemoveAll(dir)
		os.Setenv(toolsDir, dir)
	}
	cover := os.Getenv("PRISM_E2E_COVER")
	if os.Getenv(insideTour) != "" || os.Getenv("PRISM_TEST_BIN") != "" && cover == "" {
		return m.Run()
	}
	bin, err := os.MkdirTemp("", "prism-e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(bin)
	args := []string{"build", "-trimpath", "-ldflags", "-X main.version=0.1.0", "-o", bin + "/"}
	if cover != "" {
		args = append(args, "-cover", "-coverpkg=./...")
	}
	c := exec.Command("go", append(args, "./cmd/prismd", "./cmd/prismctl")...)
	c.Dir, c.Env = filepath.Join("..", ".."), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	os.Setenv("PRISM_TEST_BIN", bin)
	return m.Run()
}

// toolsDir names a folder for what a test builds; it goes when all have run.
const toolsDir = "PRISM_E2E_TOOLS"

// need skips a test that cannot run here, loudly; with PRISM_TEST_REQUIRE=all
// it fails instead.
func need(t *testing.T, missing string) {
	t.Helper()
	switch {
	case missing == "":
	case os.Getenv("PRISM_TEST_REQUIRE") == "all":
		t.Fatalf("cannot run here: %s", missing)
	default:
		t.Skipf("NOT TESTED: %s", missing)
	}
}
