package loadtest

import (
	"context"
	"time"

	"github.com/prism-data-layer/prism/tui/component/tail"
	"github.com/prism-data-layer/prism/tui/page"
)

// A Live source gives a run while it goes on; its last snapshot has a Result.
type Live interface {
	Snapshots(ctx context.Context, to *tail.Sink[Snapshot]) error
}

// A Snapshot is a run at one moment. Counts and Total are of the measurement so
// far, Recent of the time since the snapshot before.
type Snapshot struct {
	Phase                      string // "preparing", "warm-up", "running", "draining", "done"
	Elapsed, Length, Remaining time.Duration
	Workload, Load             string
	Target, Rate               float64 // a second; Target 0: a closed loop
	InFlight, Backlog          int
	OK, Failed, Dropped        uint64
	Total, Recent              Percentiles
	Operations                 []Operation
	Errors                     []Error
	Faults                     []string // that act just now
	Result                     *Result
}

// Percentiles are the four that are watched.
type Percentiles struct{ P50, P95, P99, Max time.Duration }

// An Operation is one kind of call.
type Operation struct {
	Name       string
	OK, Failed uint64
	Rate       float64
	Total      Percentiles
}

// An Error is one kind of failure.
type Error struct {
	Operation, Code, Message, Trace string
	Count                           uint64
}

// A Result is how a run ended.
type Result struct {
	Passed   bool
	Achieved float64 // percent of the target
	Verdicts []Verdict
	Problem  error // there is no report
}

// A Verdict is a conclusion, in words.
type Verdict struct {
	Severity string // "note", "warn", "fail"
	Text     string
}

// Runs answers the reports that were saved, and runs the commands on them.
type Runs interface {
	page.Shell
	Runs(ctx context.Context) ([]Run, error)
}

// A Run is a report that was saved.
type Run struct {
	Name, Workload, Load string
	Started              time.Time
	Length               time.Duration
	Target, Rate         float64
	Achieved, Errors     float64 // percent
	Latency              Percentiles
	Passed, Aborted      bool
	Err                  error // it cannot be read
}
