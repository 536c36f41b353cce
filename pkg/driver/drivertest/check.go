package drivertest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
)

// A State is how a promise came out on a backend.
type State string

// The states. A promise that did not run is never told as kept.
const (
	Passed State = "passed"
	Failed State = "failed"
	// NotApplicable: the Set lacks the capability, or what else it needs.
	NotApplicable State = "n/a"
	NotRun        State = "not run" // the backend was not there to be asked
)

// An Outcome is what became of one promise on one backend.
type Outcome struct {
	Backend    string `json:"backend"`
	Capability string `json:"capability"`
	Promise    string `json:"promise"`
	State      State  `json:"state"`
	Message    string `json:"message,omitempty"` // why it failed or did not run
}

// longest is how long a promise may take before it counts as hung.
const longest = 2 * time.Minute

// A promise is one line of the contract and the test that holds a driver to it.
type promise struct {
	name string
	test func(*T)
	// needs lists, apart from the capability it stands under, what the test
	// uses: capabilities, and of the harness reopen, bounds, clock, anybytes,
	// remembers, and direct where the wire has no way to ask.
	needs string
}

type suite struct {
	capability string
	promises   []promise
}

// suites is the contract in the order of the capability table. What holds for
// a store as such comes first.
func suites() []suite {
	return []suite{
		{"store", storePromises},
		{"keyvalue_basic", basicPromises},
		{"keyvalue_versioned", versionedPromises},
		{"keyvalue_ttl", ttlPromises},
		{"keyvalue_scan", scanPromises},
		{"keyvalue_ordered_scan", orderedPromises},
		{"keyvalue_batch", batchPromises},
		{"keyvalue_atomic", atomicPromises},
		{"keyvalue_cas", casPromises},
		{"keyvalue_transactional", transactionalPromises},
		{"keyvalue_watch", watchPromises},
		{"cache_basic", cachePromises},
		{"cache_bounded", cacheBoundedPromises},
		{"cache_lock", cacheLockPromises},
		{"queue_basic", queuePromises},
		{"queue_visibility", queueVisibilityPromises},
		{"queue_delayed", queueDelayedPromises},
		{"queue_priority", queuePriorityPromises},
		{"queue_dead_letter", queueDeadPromises},
		{"stream_basic", streamPromises},
		{"stream_partitioning", partitioningPromises},
		{"stream_replay", replayPromises},
		{"stream_retention", retentionPromises},
		{"stream_consumer_groups", groupPromises},
		{"pubsub_basic", pubsubPromises},
		{"pubsub_wildcards", pubsubWildcardPromises},
		{"pubsub_groups", pubsubGroupPromises},
		{"pubsub_filtering", pubsubFilterPromises},
		{"pubsub_ordering", pubsubOrderingPromises},
		{"pubsub_persistent", pubsubPersistentPromises},
		{"timeseries_basic", slices.Concat(timeseriesPromises, timeseriesQueryPromises)},
		{"timeseries_aggregation", timeseriesAggregationPromises},
		{"timeseries_retention", timeseriesRetentionPromises},
	}
}

// Check runs every promise that h's Set has capabilities for, one after the
// other, and tells how each came out. Only names, if any, run: capabilities or
// promises.
func Check(ctx context.Context, h Harness, only ...string) []Outcome {
	has, err := h.features()
	var outcomes []Outcome
	for _, s := range suites() {
		for _, p := range s.promises {
			if len(only) > 0 && !slices.Contains(only, s.capability) && !slices.Contains(only, p.name) {
				continue
			}
			o := Outcome{Backend: h.Name, Capability: s.capability, Promise: p.name}
			switch {
			case err != nil:
				o.State, o.Message = NotRun, err.Error()
			case ctx.Err() != nil:
				o.State, o.Message = NotRun, ctx.Err().Error()
			case !s.asked(p, has):
				o.State = NotApplicable
			default:
				o = h.check(s, p)
			}
			outcomes = append(outcomes, o)
		}
	}
	return outcomes
}

// features are the words that a promise's needs are looked up in.
func (h Harness) features() (map[string]bool, error) {
	has := map[string]bool{"store": true, "bounds": h.Bounds, "anybytes": !h.Wire, "direct": !h.Wire, "remembers": !h.Forgets}
	var r recorder
	r.run(func() {
		opened := h.Open(&r, Options{})
		for _, name := range opened.Set.Names() {
			has[name] = true
		}
		has["reopen"] = opened.Reopen != nil
		has["clock"] = opened.Clock != nil
	})
	if m := r.message(); m != "" {
		return nil, fmt.Errorf("%s", m)
	}
	return has, nil
}

func (s suite) asked(p promise, has map[string]bool) bool {
	for _, need := range append(strings.Fields(p.needs), s.capability) {
		if !has[need] {
			return false
		}
	}
	return true
}

// check runs one promise in a store of its own.
func (h Harness) check(s suite, p promise) Outcome {
	o := Outcome{Backend: h.Name, Capability: s.capability, Promise: p.name, State: Passed}
	r := &recorder{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.run(func() {
			ctx, cancel := context.WithTimeout(context.Background(), longest)
			r.Cleanup(cancel)
			t := &T{recorder: r, Ctx: ctx, harness: h}
			p.test(t)
		})
	}()
	hung := time.NewTimer(longest + 10*time.Second)
	defer hung.Stop()
	select {
	case <-done:
	case <-hung.C:
		r.Errorf("did not end within %v", longest)
	}
	if m := r.message(); m != "" {
		o.State, o.Message = Failed, m
	}
	return o
}

// known are the words that may stand in a promise's needs.
func known(word string) bool {
	if slices.Contains([]string{"store", "reopen", "bounds", "clock", "anybytes", "direct", "remembers"}, word) {
		return true
	}
	return slices.ContainsFunc(driver.Capabilities(), func(c driver.Capability) bool { return c.Name == word })
}
