// Package scenario reads what a load test is to do from a file or from the
// catalogue, and makes the plan and the workloads of it. Whoever runs it gives
// it the targets.
package scenario

import (
	"time"

	"github.com/prism-data-layer/prism/pkg/config"
)

// Kind is that of a scenario's file.
const Kind = "LoadScenario"

// A Scenario is one load test.
type Scenario struct {
	config.Where
	APIVersion string `yaml:"apiVersion" check:"required,example=prism/v1" doc:"The version of the file's form: prism/v1."`
	Kind       string `yaml:"kind" default:"LoadScenario" doc:"LoadScenario."`
	Name       string `yaml:"name" check:"required,name,example=checkout" doc:"Its name, in the report."`
	About      string `yaml:"about" doc:"What it stands for, in a line."`

	Profile string        `yaml:"profile" enum:"constant|ramp|step|spike|burst|soak" default:"constant" doc:"The shape of the load."`
	Rate    float64       `yaml:"rate" doc:"Requests per second: of a ramp and of steps, those at the end."`
	Start   float64       `yaml:"start_rate" doc:"Where a ramp and steps begin; the rate between bursts."`
	Peak    float64       `yaml:"peak_rate" doc:"Of a spike or a burst. Ten times the rate if absent, the rate for a burst."`
	Steps   int           `yaml:"steps" default:"5" doc:"How many steps."`
	Hold    time.Duration `yaml:"hold" doc:"Of a ramp: how long it stays at the rate in the end. Of a spike or a burst: how long it lasts."`
	Every   time.Duration `yaml:"every" doc:"From one burst to the next."`
	For     time.Duration `yaml:"duration" doc:"How long it is measured."`
	Phases  []Phase       `yaml:"phases" doc:"The load as a list of phases, instead of a profile."`
	Closed  int           `yaml:"closed" doc:"Instead of a rate: so many workers that wait for each answer."`

	WarmUp      time.Duration `yaml:"warm_up" default:"1s" doc:"What runs before it and is in no figure."`
	MaxInFlight int           `yaml:"max_in_flight" default:"1024" doc:"Requests at once; more wait, and are late."`
	Connections int           `yaml:"connections" default:"1" doc:"Connections over which it is spread."`
	Sessions    int           `yaml:"sessions" default:"1" doc:"Sessions, each with connections of its own, among which requests go round."`
	Seed        int64         `yaml:"seed" default:"1" check:"min=0" doc:"The same one asks for the same things in the same order."`
	Precise     bool          `yaml:"precise" doc:"Whether to start to within microseconds, for a good part of a core."`
	Shortfall   bool          `yaml:"allow_shortfall" doc:"Whether achieving less than 95 % of the rate is no failure."`
	Thresholds  []string      `yaml:"thresholds" doc:"Conditions that must hold, such as p99<20ms."`

	Workloads []Workload `yaml:"workloads" check:"required" doc:"What is asked for."`
	Faults    []Fault    `yaml:"faults" doc:"What goes wrong meanwhile. The gateway must allow faults."`
}

// A Phase is a stretch of the load.
type Phase struct {
	config.Where
	Name string        `yaml:"name" doc:"Its name, for the reader."`
	Rate float64       `yaml:"rate" doc:"A constant rate, per second."`
	From float64       `yaml:"from" doc:"The rate at its start."`
	To   float64       `yaml:"to" doc:"The rate at its end; in between it goes in a straight line."`
	For  time.Duration `yaml:"for" check:"required,example=30s" doc:"How long it lasts."`
}

// A Workload is a part of the requests.
type Workload struct {
	config.Where
	Model     string `yaml:"model" check:"required" enum:"kv|cache|queue|pubsub|ts|session" doc:"Which API is used."`
	Name      string `yaml:"name" check:"name" doc:"Its name in the report; the model's if absent."`
	Namespace string `yaml:"namespace" check:"name" doc:"The namespace; if absent, the one of the command or the model's own."`
	Share     int64  `yaml:"share" default:"1" check:"min=1" doc:"Its share of the requests, relative to the others."`

	Mix         string `yaml:"mix" doc:"The shares of its operations, such as get=90,set=10."`
	Keys        int64  `yaml:"keys" check:"min=1" doc:"How many keys, topics, sources or sessions it works on."`
	Order       string `yaml:"order" doc:"How they are chosen: uniform, zipf, zipf(1.2) or sequential."`
	ValueSize   Sizes  `yaml:"value_size" doc:"The size of a value, such as 128B, 64B-4KiB for a range or 64B,1KiB for a list."`
	Batch       int    `yaml:"batch" doc:"Messages that a consumer takes at once, or events of an append."`
	Consumers   int    `yaml:"consumers" doc:"Of a queue: consumers beside the requests; -1 for none."`
	Subscribers int    `yaml:"subscribers" doc:"Of pubsub: subscribers; -1 for none."`
}

// A Fault is added to a backend of the gateway and removed again.
type Fault struct {
	config.Where
	At      time.Duration `yaml:"at" doc:"When it begins, from the start of the measurement."`
	For     time.Duration `yaml:"for" check:"required,example=2s" doc:"How long it lasts."`
	Backend string        `yaml:"backend" check:"required,name,example=local" doc:"The backend."`
	Calls   string        `yaml:"calls" enum:"all|read|write" default:"all" doc:"Which calls it meets."`
	Latency time.Duration `yaml:"latency" doc:"What is added to each call."`
	Jitter  time.Duration `yaml:"jitter" doc:"What is added at random on top, at most."`
	Errors  Percent       `yaml:"errors" doc:"The share of calls that fail, such as 5%."`
	Reason  string        `yaml:"reason" doc:"The reason of the failures."`
}
