package loadtest

import (
	"context"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/loadtest/report"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Workload turns the number of a request into a call. What request n does
// depends only on n and the workload's seed, never on who runs it or when, so
// that two runs of one plan ask for the same things.
type Workload interface {
	// Name is the workload's name in the report.
	Name() string
	// Operations are the kinds of call, in the report's order. The list does
	// not change.
	Operations() []string
	// Options are what the workload was set up with, for the report.
	Options() map[string]string
	// Do makes request n and waits for its answer. It is called from many
	// goroutines at once and returns when ctx ends.
	Do(ctx context.Context, n uint64) Outcome
}

// A Preparer fills the store before the run, unmeasured.
type Preparer interface {
	Prepare(ctx context.Context) error
}

// A Counter knows what its client made of the requests so far. Run reads it
// when the measurement starts and when it ends; ok is false when the workload's
// target does not count.
type Counter interface {
	Attempts() (a report.Attempts, ok bool)
}

// A Receiver is a workload whose messages come back apart from the requests:
// to subscribers, to consumers.
type Receiver interface {
	// Streams are the ways on which messages come, for the report.
	Streams() []string
	// Receive starts whatever waits for messages and returns when it waits.
	// Each message is given to got, from any goroutine, until stop is called or
	// ctx ends; stop waits for the goroutines.
	Receive(ctx context.Context, got func(Message)) (stop func(), err error)
	// Expected says how many messages each stream owes, given how many requests
	// of each operation succeeded; < 0: nobody knows.
	Expected(ok []uint64) []int64
}

// A Message is one that came, or why none does.
type Message struct {
	Stream int    // index into Streams
	N      uint64 // the request that sent it
	Sent   time.Time
	Bytes  int
	Err    error // the receiving failed; the rest is empty
}

// An Ender ends what the workload kept open, after the run and unmeasured.
type Ender interface {
	End(ctx context.Context) error
}

// An Outcome is what became of one request.
type Outcome struct {
	Operation int // index into Operations
	Err       error
	Missed    bool // it succeeded, and what it asked for was not there
	Items     int  // what it carried, such as events of a batch; 0 counts as 1

	SentBytes, ReceivedBytes int
}

// A Mix shares requests out among operations.
type Mix struct {
	text  string
	upTo  []uint64 // of the space of 2^64, the share of the operations up to this one
	start uint64
}

// maxWeight keeps the sum of weights far from overflow.
const maxWeight = 1_000_000

// ParseMix reads shares such as "get=90,set=10". They are weights: their sum
// need not be 100. Every name must be one of operations; those left out get
// nothing.
func ParseMix(s string, operations []string) (Mix, error) {
	weights := make([]uint64, len(operations))
	seen := make([]bool, len(operations))
	var sum uint64
	for part := range strings.SplitSeq(s, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok {
			return Mix{}, badMix("%q is not OPERATION=SHARE", part)
		}
		i := slices.Index(operations, name)
		if i < 0 {
			return Mix{}, badMix("unknown operation %q; there are %s", name, strings.Join(operations, ", "))
		}
		if seen[i] {
			return Mix{}, badMix("%s appears twice", name)
		}
		w, err := strconv.ParseUint(value, 10, 64)
		if err != nil || w > maxWeight {
			return Mix{}, badMix("the share of %s must be a whole number from 0 to %d", name, maxWeight)
		}
		seen[i], weights[i] = true, w
		sum += w
	}
	if sum == 0 {
		return Mix{}, badMix("all shares are 0")
	}
	m := Mix{upTo: make([]uint64, len(weights))}
	var shares []string
	var below uint64
	for i, w := range weights {
		if w > 0 {
			shares = append(shares, fmt.Sprintf("%s=%d", operations[i], w))
		}
		below += w
		m.upTo[i] = ^uint64(0)
		if below < sum {
			m.upTo[i], _ = bits.Div64(below, 0, sum)
		}
	}
	m.text = strings.Join(shares, ",")
	return m, nil
}

func badMix(format string, args ...any) error {
	return prism.InvalidField("mix", fmt.Sprintf(format, args...))
}

// Seeded gives the same mix with another order.
func (m Mix) Seeded(seed uint64) Mix {
	m.start = Hash(seed, 0)
	return m
}

// golden is 2^64 divided by the golden ratio. Its multiples fall into every
// part of the space evenly: after n requests each operation has had its share
// to within a few requests, where dice would be off by the root of n.
const golden = 0x9E3779B97F4A7C15

// Pick is the operation of request n.
func (m Mix) Pick(n uint64) int {
	x := m.start + n*golden
	for i, limit := range m.upTo {
		if x < limit {
			return i
		}
	}
	return len(m.upTo) - 1
}

// String is the mix in canonical form.
func (m Mix) String() string { return m.text }

// Hash mixes a seed with a request's number into 64 even bits (SplitMix64).
func Hash(seed, n uint64) uint64 {
	x := seed*0xD1342543DE82EF95 + n*golden + golden
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}
