package loadtest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/prism-data-layer/prism/loadtest/report"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Part is a workload and its share of a combination's requests.
type Part struct {
	Name   string // before its operations in the report; no two are the same
	Weight uint64
	Workload
}

// roundLimit bounds the table by which requests are dealt.
const roundLimit = 10_000

// Combine shares requests out among workloads by weight. Each part sees its own
// requests numbered from 0 without a gap, so that what it does is what it does
// alone. Operations are called PART.OPERATION.
func Combine(parts ...Part) (Workload, error) {
	if len(parts) == 0 {
		return nil, prism.InvalidField("workloads", "must not be empty")
	}
	c := &combined{parts: parts}
	var round, divisor uint64
	seen := map[string]bool{}
	for _, p := range parts {
		if p.Weight == 0 || p.Weight > maxWeight {
			return nil, prism.InvalidField("share", fmt.Sprintf("of %s must be from 1 to %d", p.Name, maxWeight))
		}
		if seen[p.Name] {
			return nil, prism.InvalidField("name", fmt.Sprintf("%s appears twice", p.Name))
		}
		seen[p.Name] = true
		round, divisor = round+p.Weight, gcd(p.Weight, divisor)
	}
	if round /= divisor; round > roundLimit {
		return nil, prism.InvalidField("share", fmt.Sprintf("the shares must add up to at most %d", roundLimit))
	}
	c.deal(round, divisor)
	for i, p := range parts {
		for j, o := range p.Operations() {
			if j == 0 {
				c.first = append(c.first, len(c.operations))
			}
			c.operations = append(c.operations, p.Name+"."+o)
		}
		if r, ok := p.Workload.(Receiver); ok {
			c.receivers = append(c.receivers, receiver{r, i, len(c.streams)})
			for _, s := range r.Streams() {
				c.streams = append(c.streams, p.Name+"."+s)
			}
		}
	}
	return c, nil
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

type combined struct {
	parts      []Part
	first      []int // index of a part's first operation
	operations []string
	streams    []string
	receivers  []receiver

	// A round is as long as the sum of the weights: position n%len(turns) goes
	// to a part, and is its rank-th in the round.
	turns []turn
	at    [][]uint64 // positions of a part's turns
}

type turn struct {
	part int
	rank uint64
}

type receiver struct {
	Receiver
	part, stream int
}

// deal spreads each part's turns evenly over the round: always the part goes
// next that is furthest behind its share.
func (c *combined) deal(round, divisor uint64) {
	c.at = make([][]uint64, len(c.parts))
	credit := make([]int64, len(c.parts))
	for at := range round {
		next := -1
		for i, p := range c.parts {
			credit[i] += int64(p.Weight / divisor)
			if next < 0 || credit[i] > credit[next] {
				next = i
			}
		}
		credit[next] -= int64(round)
		c.turns = append(c.turns, turn{next, uint64(len(c.at[next]))})
		c.at[next] = append(c.at[next], at)
	}
}

func (c *combined) Name() string         { return "mix" }
func (c *combined) Operations() []string { return c.operations }

func (c *combined) Options() map[string]string {
	all := map[string]string{}
	for _, p := range c.parts {
		all[p.Name+".share"] = fmt.Sprint(p.Weight)
		for k, v := range p.Options() {
			all[p.Name+"."+k] = v
		}
	}
	return all
}

func (c *combined) Do(ctx context.Context, n uint64) Outcome {
	round := uint64(len(c.turns))
	t := c.turns[n%round]
	o := c.parts[t.part].Do(ctx, n/round*uint64(len(c.at[t.part]))+t.rank)
	o.Operation += c.first[t.part]
	return o
}

// whole is the number in the combination of a part's request n.
func (c *combined) whole(part int, n uint64) uint64 {
	per := uint64(len(c.at[part]))
	return n/per*uint64(len(c.turns)) + c.at[part][n%per]
}

// Prepare prepares one part after the other.
func (c *combined) Prepare(ctx context.Context) error {
	for _, p := range c.parts {
		if w, ok := p.Workload.(Preparer); ok {
			if err := w.Prepare(ctx); err != nil {
				return fmt.Errorf("%s: %w", p.Name, err)
			}
		}
	}
	return nil
}

// End ends all parts, whatever becomes of one.
func (c *combined) End(ctx context.Context) error {
	var all []error
	for _, p := range c.parts {
		if w, ok := p.Workload.(Ender); ok {
			all = append(all, w.End(ctx))
		}
	}
	return errors.Join(all...)
}

// Attempts are those of all parts. Parts on one client would count it twice, so
// that only the first that counts is asked.
func (c *combined) Attempts() (report.Attempts, bool) {
	for _, p := range c.parts {
		if w, ok := p.Workload.(Counter); ok {
			if a, ok := w.Attempts(); ok {
				return a, true
			}
		}
	}
	return report.Attempts{}, false
}

func (c *combined) Streams() []string { return c.streams }

func (c *combined) Receive(ctx context.Context, got func(Message)) (func(), error) {
	var stops []func()
	stop := func() {
		var all sync.WaitGroup
		for _, s := range stops {
			all.Go(s)
		}
		all.Wait()
	}
	for _, r := range c.receivers {
		s, err := r.Receive(ctx, func(m Message) {
			m.Stream += r.stream
			m.N = c.whole(r.part, m.N)
			got(m)
		})
		if err != nil {
			stop()
			return nil, fmt.Errorf("%s: %w", c.parts[r.part].Name, err)
		}
		stops = append(stops, s)
	}
	return stop, nil
}

func (c *combined) Expected(ok []uint64) []int64 {
	var all []int64
	for _, r := range c.receivers {
		from := c.first[r.part]
		all = append(all, r.Expected(ok[from:from+len(c.parts[r.part].Operations())])...)
	}
	return all
}
