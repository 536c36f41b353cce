package powercut

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"
)

// Full reports whether the counts of the table are asked for (PRISM_FAULTS=full)
// or the quick form that runs with every change.
func Full() bool { return os.Getenv("PRISM_FAULTS") == "full" }

// Need skips a test that cannot run here, loudly; with PRISM_TEST_REQUIRE=all
// it fails instead, so that no machine that should run it passes by skipping.
func Need(t testing.TB, missing string) {
	t.Helper()
	if missing == "" {
		return
	}
	if os.Getenv("PRISM_TEST_REQUIRE") == "all" {
		t.Fatalf("cannot run here: %s", missing)
	}
	t.Skipf("NOT TESTED: %s", missing)
}

// A Report is the one line that a fault test prints.
type Report struct {
	ID       string         `json:"id"`
	Form     string         `json:"form"` // quick or full
	Rounds   int            `json:"rounds"`
	Acked    int64          `json:"acked"`
	Lost     int64          `json:"lost"`
	Phantom  int64          `json:"phantom"`
	Seed     uint64         `json:"seed"`
	Duration int64          `json:"duration_ms"`
	More     map[string]any `json:"more,omitempty"`

	begun time.Time
}

// Begin starts the report of a test.
func Begin(id string, seed uint64) *Report {
	r := &Report{ID: id, Form: "quick", Seed: seed, More: map[string]any{}, begun: time.Now()}
	if Full() {
		r.Form = "full"
	}
	return r
}

// ReportOut names the variable with a file to which the lines are added too,
// because go test keeps what a passing test prints to itself.
const ReportOut = "PRISM_FAULTS_OUT"

// Print writes the line to standard output.
func (r *Report) Print() {
	r.Duration = time.Since(r.begun).Milliseconds()
	line, err := json.Marshal(r)
	if err != nil {
		panic(err) // only of values that the test itself put into More
	}
	line = append(line, '\n')
	_, _ = os.Stdout.Write(line)
	if name := os.Getenv(ReportOut); name != "" {
		f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return
		}
		_, err = f.Write(line)
		if err = errors.Join(err, f.Close()); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
}
