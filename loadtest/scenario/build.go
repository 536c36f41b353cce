package scenario

import (
	"hash/fnv"
	"time"

	"github.com/prism-data-layer/prism/loadtest"
	"github.com/prism-data-layer/prism/loadtest/pace"
	"github.com/prism-data-layer/prism/loadtest/report"
	"github.com/prism-data-layer/prism/loadtest/workload/kv"
	"github.com/prism-data-layer/prism/loadtest/workload/pubsub"
	"github.com/prism-data-layer/prism/loadtest/workload/queue"
	"github.com/prism-data-layer/prism/loadtest/workload/session"
	"github.com/prism-data-layer/prism/loadtest/workload/ts"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// Models are those that have a workload.
func Models() []string { return []string{"kv", "cache", "queue", "pubsub", "ts", "session"} }

// Operations are the calls of a model's workload.
func Operations(model string) []string {
	switch model {
	case "kv", "cache":
		return kv.Operations()
	case "queue":
		return queue.Operations()
	case "pubsub":
		return pubsub.Operations()
	case "ts":
		return ts.Operations()
	case "session":
		return session.Operations()
	}
	return nil
}

// DefaultMix is that of a model's workload.
func DefaultMix(model string) string {
	switch model {
	case "kv", "cache":
		return kv.DefaultMix
	case "queue":
		return queue.DefaultMix
	case "pubsub":
		return "publish=1"
	case "ts":
		return ts.DefaultMix
	}
	return session.DefaultMix
}

// A Place is where a part of a run keeps its things: no other run's, and no
// other part's, are under it.
type Place struct {
	Run  string // a word of small letters and digits
	Part string // "" when there is one part
}

// Keys begin with it.
func (p Place) Keys() string { return "loadtest/" + p.join("/") + "/" }

// Topics begin with it.
func (p Place) Topics() string { return "loadtest." + p.join(".") + "." }

// Name is one queue, and how the names of sources begin.
func (p Place) Name() string { return "loadtest-" + p.join("-") }

func (p Place) join(by string) string {
	if p.Part == "" {
		return p.Run
	}
	return p.Run + by + p.Part
}

// mark is the run in messages.
func (p Place) mark() uint64 {
	h := fnv.New64a()
	h.Write([]byte(p.join("/")))
	return h.Sum64()
}

// Build makes the workload on a target, which must be the Target of the model's
// package.
func (w *Workload) Build(target any, seed uint64, p Place) (loadtest.Workload, error) {
	switch w.Model {
	case "kv", "cache":
		t, _ := target.(kv.Target)
		return kv.New(t, kv.Config{Model: w.Model, Mix: w.Mix, Keys: uint64(w.Keys), Order: w.Order, Values: w.ValueSize.Sizes, Prefix: p.Keys(), Seed: seed})
	case "queue":
		t, _ := target.(queue.Target)
		return queue.New(t, queue.Config{Mix: w.Mix, Consumers: w.Consumers, Batch: w.Batch, Values: w.ValueSize.Sizes, Seed: seed, Run: p.mark()})
	case "pubsub":
		t, _ := target.(pubsub.Target)
		return pubsub.New(t, pubsub.Config{Subscribers: w.Subscribers, Topics: uint64(w.Keys), Order: w.Order, Prefix: p.Topics(), Values: w.ValueSize.Sizes, Seed: seed, Run: p.mark()})
	case "ts":
		t, _ := target.(ts.Target)
		return ts.New(t, ts.Config{Mix: w.Mix, Sources: uint64(w.Keys), Order: w.Order, Prefix: p.Name() + "-", Batch: w.Batch, Seed: seed})
	case "session":
		t, _ := target.(session.Target)
		return session.New(t, session.Config{Mix: w.Mix, Sessions: uint64(w.Keys), Order: w.Order, Seed: seed})
	}
	return nil, prism.InvalidField("model", "has no workload")
}

// Label is what the part is called.
func (w *Workload) Label() string {
	if w.Name != "" {
		return w.Name
	}
	return w.Model
}

// Build makes the workload of all parts; targets are theirs, in their order.
func (s *Scenario) Build(run string, targets []any) (loadtest.Workload, error) {
	if len(s.Workloads) == 1 {
		return s.Workloads[0].Build(targets[0], uint64(s.Seed), Place{Run: run})
	}
	var parts []loadtest.Part
	for i := range s.Workloads {
		w := &s.Workloads[i]
		built, err := w.Build(targets[i], loadtest.Hash(uint64(s.Seed), uint64(i)), s.Place(run, i))
		if err != nil {
			return nil, err
		}
		parts = append(parts, loadtest.Part{Name: w.Label(), Weight: uint64(max(w.Share, 1)), Workload: built})
	}
	return loadtest.Combine(parts...)
}

// Place is that of a part.
func (s *Scenario) Place(run string, part int) Place {
	if len(s.Workloads) == 1 {
		return Place{Run: run}
	}
	return Place{Run: run, Part: s.Workloads[part].Label()}
}

// Schedule is the load over time; none for a closed loop.
func (s *Scenario) Schedule() (pace.Schedule, error) {
	if s.Closed > 0 {
		return pace.Schedule{}, nil
	}
	if len(s.Phases) == 0 {
		return pace.Profile{
			Kind: s.Profile, Rate: s.Rate, Start: s.Start, Peak: s.Peak, Steps: s.Steps,
			Hold: s.Hold, Every: s.Every, For: s.For,
		}.Schedule()
	}
	var all []pace.Phase
	for _, p := range s.Phases {
		one := pace.Phase{From: p.From, To: p.To, For: p.For}
		if p.Declared("rate") {
			one.From, one.To = p.Rate, p.Rate
		}
		all = append(all, one)
	}
	return pace.New(all...)
}

// Plan is the run without its workload and its events.
func (s *Scenario) Plan() (loadtest.Plan, error) {
	p := loadtest.Plan{
		Closed: s.Closed, WarmUp: s.WarmUp, MaxInFlight: s.MaxInFlight,
		Seed: uint64(s.Seed), Precise: s.Precise, AllowShortfall: s.Shortfall,
	}
	if s.Closed > 0 {
		p.Duration = s.For
	}
	var err error
	if p.Schedule, err = s.Schedule(); err != nil {
		return p, err
	}
	for _, text := range s.Thresholds {
		ts, err := report.ParseThresholds(text)
		if err != nil {
			return p, err
		}
		p.Thresholds = append(p.Thresholds, ts...)
	}
	return p, nil
}

// Length is how long it measures.
func (s *Scenario) Length() time.Duration {
	length := s.For
	for _, p := range s.Phases {
		length += p.For
	}
	return length
}
