// Package report holds what a load test found: the report and its JSON form,
// the exact histograms it is made from, thresholds, verdicts, and the writers
// for people. Package loadtest fills it; commands and the terminal interface
// show it.
package report

import "time"

// APIVersion and Kind mark the JSON form. Fields are only ever added to it.
const (
	APIVersion = "prism/v1"
	Kind       = "LoadReport"
)

// What a run can ask a program to exit with; see the help topic exit-codes.
const (
	ExitOK          = 0
	ExitFailed      = 1
	ExitThreshold   = 99
	ExitInterrupted = 130
)

// Interrupted is the AbortReason of a run that its caller ended.
const Interrupted = "interrupted"

// A Report is a whole run. Times carry their unit in the name; counts are of
// requests whose intended start lies after the warm-up.
type Report struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`

	Workload    string            `json:"workload"`
	Options     map[string]string `json:"options,omitempty"` // the workload's own: mix, keys, sizes
	Plan        Plan              `json:"plan"`
	Command     string            `json:"command,omitempty"` // what runs the same test again
	RunID       string            `json:"run_id,omitempty"`  // a word of the run's own
	StartedAt   time.Time         `json:"started_at"`
	Aborted     bool              `json:"aborted"`
	AbortReason string            `json:"abort_reason,omitempty"`

	DurationS     float64 `json:"duration_s"` // measured: without warm-up, up to the abort
	ElapsedS      float64 `json:"elapsed_s"`  // all of it: warm-up and the wait for the last answers too
	TargetRPS     float64 `json:"target_rps,omitempty"`
	AchievedRPS   float64 `json:"achieved_rps"`   // requests started per second
	AchievedPct   float64 `json:"achieved_pct"`   // of the target; 100 in a closed loop
	ThroughputRPS float64 `json:"throughput_rps"` // successful answers per second, those after the end not counted

	Requests   Requests         `json:"requests"`
	WarmUp     WarmUp           `json:"warm_up"`
	Attempts   *Attempts        `json:"attempts,omitempty"`
	Response   Latency          `json:"response"` // from the intended start
	Service    Latency          `json:"service"`  // from the send
	Operations []Operation      `json:"operations"`
	Streams    []Stream         `json:"streams,omitempty"`
	Events     []Event          `json:"events,omitempty"`
	Errors     []Error          `json:"errors"`
	Generator  Generator        `json:"generator"`
	Timeline   []Point          `json:"timeline"`
	Blocks     []Block          `json:"blocks,omitempty"`
	Thresholds []ThresholdCheck `json:"thresholds"`
	Verdicts   []Verdict        `json:"verdicts"`

	Environment Environment `json:"environment"`
}

// A Plan is what was asked for.
type Plan struct {
	Model          string  `json:"model"` // "open" or "closed"
	Profile        string  `json:"profile,omitempty"`
	RateRPS        float64 `json:"rate_rps,omitempty"`    // the highest rate of the profile
	Workers        int     `json:"workers,omitempty"`     // of a closed loop
	MaxInFlight    int     `json:"max_in_flight"`         // more requests wait
	MaxBacklog     int     `json:"max_backlog,omitempty"` // more are dropped
	DurationS      float64 `json:"duration_s"`
	WarmUpS        float64 `json:"warm_up_s"`
	GraceS         float64 `json:"grace_s"`
	TimeoutMs      float64 `json:"timeout_ms,omitempty"`
	MaxRequests    uint64  `json:"max_requests,omitempty"`
	MaxErrors      uint64  `json:"max_errors,omitempty"`
	Seed           uint64  `json:"seed"`
	Precise        bool    `json:"precise"`
	AllowShortfall bool    `json:"allow_shortfall"`
}

// Requests are counts that add up: Scheduled = Started + Dropped, and Started =
// OK + Failed + Unfinished.
type Requests struct {
	Scheduled  uint64  `json:"scheduled"`
	Started    uint64  `json:"started"`
	OK         uint64  `json:"ok"`
	Failed     uint64  `json:"failed"`
	Missed     uint64  `json:"missed"`     // of OK: the key was not there
	Dropped    uint64  `json:"dropped"`    // due, and never started
	Late       uint64  `json:"late"`       // of Started: more than 10 ms after their time
	Waited     uint64  `json:"waited"`     // of Started: had to wait for a free slot
	Unfinished uint64  `json:"unfinished"` // cut off by an abort
	ErrorPct   float64 `json:"error_pct"`  // Failed of OK + Failed

	SentBytes     uint64 `json:"sent_bytes"`
	ReceivedBytes uint64 `json:"received_bytes"`
}

// Finished is how many requests have an outcome.
func (r Requests) Finished() uint64 { return r.OK + r.Failed }

// WarmUp is what ran before the measurement and is in no other figure.
type WarmUp struct {
	DurationS float64 `json:"duration_s"`
	OK        uint64  `json:"ok"`
	Failed    uint64  `json:"failed"`
	Dropped   uint64  `json:"dropped"`
	PreparedS float64 `json:"prepared_s"` // filling the store, before the warm-up
}

// Attempts count what the client made of the requests, so that its cleverness
// hides nothing. Sends that carried several requests are counted by Coalesced:
// the requests that travelled in a message with others.
type Attempts struct {
	Attempts  uint64 `json:"attempts"`
	Retries   uint64 `json:"retries"`
	Hedges    uint64 `json:"hedges"`
	Coalesced uint64 `json:"coalesced"`
}

// Since is what was added after the earlier reading.
func (a Attempts) Since(earlier Attempts) Attempts {
	return Attempts{a.Attempts - earlier.Attempts, a.Retries - earlier.Retries, a.Hedges - earlier.Hedges, a.Coalesced - earlier.Coalesced}
}

// An Operation is the share of one kind of call. Failed calls are in its
// Response and Service too: a timeout is a latency that a caller saw.
type Operation struct {
	Name          string   `json:"name"`
	SharePct      float64  `json:"share_pct"`
	OK            uint64   `json:"ok"`
	Failed        uint64   `json:"failed"`
	Missed        uint64   `json:"missed"`
	ErrorPct      float64  `json:"error_pct"`
	ThroughputRPS float64  `json:"throughput_rps"`
	Items         uint64   `json:"items,omitempty"` // that OK carried, where requests carry several
	SentBytes     uint64   `json:"sent_bytes"`
	ReceivedBytes uint64   `json:"received_bytes"`
	Response      Latency  `json:"response"`
	Service       Latency  `json:"service"`
	FailedService *Latency `json:"failed_service,omitempty"` // of the failed ones alone
}

// A Stream is messages that came back apart from the requests: to subscribers,
// to consumers.
type Stream struct {
	Name          string  `json:"name"`
	Messages      uint64  `json:"messages"`
	Expected      *int64  `json:"expected,omitempty"` // for what was sent; absent: nobody knows
	Failed        uint64  `json:"failed"`             // times that receiving failed
	Bytes         uint64  `json:"bytes"`
	ThroughputRPS float64 `json:"throughput_rps"`
	FirstMs       float64 `json:"first_message_ms"` // from the start of the measurement
	Delay         Latency `json:"delay"`            // from the send of the request that made it
	Response      Latency `json:"response"`         // from that request's intended start
}

// Missing is how many of the expected messages had not come at the end.
func (s Stream) Missing() uint64 {
	if s.Expected == nil || *s.Expected <= int64(s.Messages) {
		return 0
	}
	return uint64(*s.Expected) - s.Messages
}

// An Event was done to the system under test during the run.
type Event struct {
	Name  string  `json:"name"`
	AtS   float64 `json:"at_s"` // from the start of the measurement
	ForS  float64 `json:"for_s"`
	Error string  `json:"error,omitempty"` // it could not be done, or not undone
}

// A Block is a stretch of the run with its whole distribution: comparing takes
// its confidence from how blocks differ.
type Block struct {
	LengthS float64 `json:"length_s"`
	OK      uint64  `json:"ok"`
	Failed  uint64  `json:"failed"`
	HDR     string  `json:"hdr_v2_ns,omitempty"` // response times
}

// An Error is one kind of failure: the first line of its message, how often,
// and one trace to look at.
type Error struct {
	Operation string `json:"operation"`
	Reason    string `json:"reason"`
	Code      string `json:"code,omitempty"`
	Status    string `json:"status,omitempty"`
	Message   string `json:"message"`
	Count     uint64 `json:"count"`
	TraceID   string `json:"trace_id,omitempty"`
}

// Generator is the load generator's own health.
type Generator struct {
	Lag             Latency `json:"lag"` // how late it started requests for which a slot was free
	CPUS            float64 `json:"cpu_s"`
	CPUPct          float64 `json:"cpu_pct"` // of all cores
	CPUPerRequestUs float64 `json:"cpu_per_request_us"`
	GCPauses        uint32  `json:"gc_pauses"`
	GCPauseMs       float64 `json:"gc_pause_ms"`
	PeakInFlight    int     `json:"peak_in_flight"`
	PeakBacklog     int     `json:"peak_backlog"`
	OpenFiles       int     `json:"open_files,omitempty"`
	Stuck           int     `json:"stuck,omitempty"` // requests that did not return even when cancelled
}

// A Point is one interval of the run; AtS is its end, from the start of the
// measurement.
type Point struct {
	AtS           float64 `json:"at_s"`
	TargetRPS     float64 `json:"target_rps,omitempty"`
	ThroughputRPS float64 `json:"throughput_rps"`
	OK            uint64  `json:"ok"`
	Failed        uint64  `json:"failed"`
	P50Ms         float64 `json:"p50_ms"`
	P95Ms         float64 `json:"p95_ms"`
	P99Ms         float64 `json:"p99_ms"`
	MaxMs         float64 `json:"max_ms"`
}

// Pass reports whether the run did what it was asked to.
func (r *Report) Pass() bool { return r.ExitCode() == ExitOK }

// ExitCode is what a program that ran this test should exit with.
func (r *Report) ExitCode() int {
	if r.Aborted && r.AbortReason == Interrupted {
		return ExitInterrupted
	}
	for _, t := range r.Thresholds {
		if !t.Pass {
			return ExitThreshold
		}
	}
	for _, v := range r.Verdicts {
		if v.Severity == Fail {
			return ExitFailed
		}
	}
	return ExitOK
}
