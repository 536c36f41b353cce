package report

import (
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// ComparisonKind marks a comparison's JSON form.
const ComparisonKind = "LoadComparison"

// DefaultMaxRegressionPct is what a figure may get worse by.
const DefaultMaxRegressionPct = 5

const (
	confidencePct = 95
	// draws from the blocks of each run; the bounds then move by less than a
	// tenth of the interval from one seed to another.
	draws = 1000
	// leastBlocks to draw from: with fewer the interval would be a guess.
	leastBlocks = 8
	// errorPoints is what the share of errors may grow by, in percentage points.
	errorPoints = 0.1
)

// What became of a figure.
const (
	Same   = "same"
	Better = "better"
	Worse  = "worse"  // beyond what is allowed, and not by chance
	Unsure = "unsure" // the runs are too short or too uneven to rule it out
)

// A Change is one figure of two runs. Change and its interval are in per cent
// of the figure before, or in percentage points of an error rate; more is worse
// but for the throughput.
type Change struct {
	Metric    string   `json:"metric"`
	Before    float64  `json:"before"`
	After     float64  `json:"after"`
	ChangePct float64  `json:"change_pct"`
	LowPct    *float64 `json:"low_pct,omitempty"` // absent: too few blocks
	HighPct   *float64 `json:"high_pct,omitempty"`
	Verdict   string   `json:"verdict"`
}

// A Comparison is two runs beside each other.
type Comparison struct {
	APIVersion       string   `json:"apiVersion"`
	Kind             string   `json:"kind"`
	Before           string   `json:"before"` // which run
	After            string   `json:"after"`
	ConfidencePct    float64  `json:"confidence_pct"`
	MaxRegressionPct float64  `json:"max_regression_pct"`
	Changes          []Change `json:"changes"`
	Notes            []string `json:"notes"`
	Verdict          string   `json:"verdict"`
}

// Compare says what got better or worse. Its intervals come from a bootstrap
// over the blocks of each run: whole stretches of a run are drawn, because
// requests that are near in time are alike, and an interval that took each for
// a draw of its own would be far too narrow.
func Compare(before, after *Report, maxRegressionPct float64) *Comparison {
	c := &Comparison{
		APIVersion: APIVersion, Kind: ComparisonKind, Before: runName(before), After: runName(after),
		ConfidencePct: confidencePct, MaxRegressionPct: maxRegressionPct, Notes: differences(before, after), Verdict: Same,
	}
	figures := []figure{
		{"p50_ms", relative, maxRegressionPct},
		{"p95_ms", relative, maxRegressionPct},
		{"p99_ms", relative, maxRegressionPct},
		{"throughput_rps", shrinking, maxRegressionPct},
		{"error_pct", points, errorPoints},
	}
	was, is := before.compared(), after.compared()
	bounds := intervals(newDraw(before), newDraw(after), figures)
	for i, f := range figures {
		c.Changes = append(c.Changes, f.change(was[i], is[i], bounds[i]))
	}
	for _, x := range c.Changes {
		switch {
		case x.Verdict == Worse, c.Verdict == Worse:
			c.Verdict = Worse
		case x.Verdict == Unsure, c.Verdict == Unsure:
			c.Verdict = Unsure
		case x.Verdict == Better:
			c.Verdict = Better
		}
	}
	return c
}

func runName(r *Report) string {
	return strings.TrimSpace(clean(r.Workload, 40) + " " + r.StartedAt.UTC().Format(time.RFC3339) + " " + clean(r.RunID, 40))
}

// differences are why two runs may not be alike.
func differences(a, b *Report) []string {
	notes := []string{}
	say := func(what, x, y string) {
		if x != y {
			notes = append(notes, fmt.Sprintf("%s differs: %s and %s", what, clean(x, 80), clean(y, 80)))
		}
	}
	say("the workload", a.Workload, b.Workload)
	say("the load", a.Plan.Load(), b.Plan.Load())
	say("the machine", a.Environment.Host+" "+a.Environment.CPU, b.Environment.Host+" "+b.Environment.CPU)
	keys := map[string]bool{}
	for k := range a.Options {
		keys[k] = true
	}
	for k := range b.Options {
		keys[k] = true
	}
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if k != "prefix" && !strings.HasSuffix(k, ".prefix") { // each run has its own
			say(clean(k, 40), a.Options[k], b.Options[k])
		}
	}
	for _, r := range []*Report{a, b} {
		if r.Aborted {
			notes = append(notes, runName(r)+" was aborted")
		}
	}
	return notes
}

// A figure is compared; apart is by how much it got worse.
type figure struct {
	name    string
	apart   func(before, after float64) float64
	allowed float64
}

func relative(before, after float64) float64 { return (after/before - 1) * 100 }

func shrinking(before, after float64) float64 { return (1 - after/before) * 100 }

func points(before, after float64) float64 { return after - before }

// compared are the figures, in their order.
func (r *Report) compared() [5]float64 {
	l := r.Response
	return [...]float64{l.P50Ms, l.P95Ms, l.P99Ms, r.ThroughputRPS, r.Requests.ErrorPct}
}

// A span is an interval; unknown when there were too few blocks.
type span struct {
	low, high float64
	known     bool
}

func (f figure) change(before, after float64, between span) Change {
	x := Change{Metric: f.name, Before: before, After: after, ChangePct: f.apart(before, after)}
	if math.IsNaN(x.ChangePct) || math.IsInf(x.ChangePct, 0) { // there was nothing before
		x.ChangePct, x.Verdict = 0, Same
		if before != after {
			x.Verdict = Unsure
		}
		return x
	}
	switch {
	case x.ChangePct > f.allowed && between.low > 0:
		x.Verdict = Worse
	case between.high > f.allowed:
		x.Verdict = Unsure
	case between.high < 0 && -x.ChangePct > f.allowed:
		x.Verdict = Better
	default:
		x.Verdict = Same
	}
	if f.name == "throughput_rps" { // shown as people think of it
		x.ChangePct, between.low, between.high = -x.ChangePct, -between.high, -between.low
	}
	if between.known {
		x.LowPct, x.HighPct = &between.low, &between.high
	}
	return x
}

// intervals hold the middle 95 % of what redrawn runs say.
func intervals(a, b *draw, figures []figure) []span {
	out := make([]span, len(figures))
	for i := range out {
		out[i] = span{low: math.Inf(-1), high: math.Inf(1)}
	}
	if len(a.blocks) < leastBlocks || len(b.blocks) < leastBlocks {
		return out
	}
	random := rand.New(rand.NewPCG(1, 2)) // the same files give the same answer
	all := make([][]float64, len(figures))
	for range draws {
		was, is := a.again(random), b.again(random)
		for i, f := range figures {
			if d := f.apart(was[i], is[i]); !math.IsNaN(d) && !math.IsInf(d, 0) {
				all[i] = append(all[i], d)
			}
		}
	}
	const tail = (100 - confidencePct) / 2.0 / 100
	for i, d := range all {
		if len(d) < draws/2 {
			continue
		}
		slices.Sort(d)
		out[i] = span{d[int(tail*float64(len(d)))], d[min(int((1-tail)*float64(len(d))), len(d)-1)], true}
	}
	return out
}

// A draw is a run made of blocks of a run, some of them twice and some left out.
type draw struct {
	blocks []Block
	counts [][]int64 // of a block, by bin
	values []int64   // of the bins, in order
	weight []int64   // how often each block is in the draw
	bins   []int64
}

func newDraw(r *Report) *draw {
	d := &draw{blocks: r.Blocks, weight: make([]int64, len(r.Blocks))}
	all := make([]map[int64]int64, len(r.Blocks))
	seen := map[int64]bool{}
	for i, b := range r.Blocks {
		all[i] = map[int64]int64{}
		for _, bar := range b.histogram().h.Distribution() {
			if bar.Count > 0 {
				all[i][bar.To] = bar.Count
				seen[bar.To] = true
			}
		}
	}
	d.values = slices.Sorted(maps.Keys(seen))
	d.bins = make([]int64, len(d.values))
	for _, m := range all {
		row := make([]int64, len(d.values))
		for i, v := range d.values {
			row[i] = m[v]
		}
		d.counts = append(d.counts, row)
	}
	return d
}

// again draws as many blocks as there are, and tells their figures.
func (d *draw) again(random *rand.Rand) [5]float64 {
	clear(d.weight)
	for range d.blocks {
		d.weight[random.IntN(len(d.blocks))]++
	}
	clear(d.bins)
	var total int64
	var ok, failed, length float64
	for i, w := range d.weight {
		if w == 0 {
			continue
		}
		for j, n := range d.counts[i] {
			d.bins[j] += w * n
			total += w * n
		}
		ok, failed = ok+float64(w)*float64(d.blocks[i].OK), failed+float64(w)*float64(d.blocks[i].Failed)
		length += float64(w) * d.blocks[i].LengthS
	}
	return [...]float64{d.at(50, total), d.at(95, total), d.at(99, total), ok / length, failed / (ok + failed) * 100}
}

func (d *draw) at(p float64, total int64) float64 {
	left := int64(math.Ceil(p / 100 * float64(total)))
	for j, n := range d.bins {
		if left -= n; left <= 0 {
			return Millis(time.Duration(d.values[j]))
		}
	}
	return math.NaN()
}

// WriteText writes the comparison for people.
func (c *Comparison) WriteText(w io.Writer) error {
	row(w, "before", "%s", c.Before)
	row(w, "after", "%s", c.After)
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "figure\tbefore\tafter\tchange\t%d %% interval\tverdict\t\n", confidencePct)
	for _, x := range c.Changes {
		unit := "%"
		if x.Metric == "error_pct" {
			unit = " pp"
		}
		between := "too few blocks"
		if x.LowPct != nil {
			between = fmt.Sprintf("%+.2f to %+.2f%s", *x.LowPct, *x.HighPct, unit)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%+.2f%s\t%s\t%s\t\n", x.Metric, ms(x.Before), ms(x.After), x.ChangePct, unit, between, x.Verdict)
	}
	t.Flush()
	fmt.Fprintln(w)
	for _, n := range c.Notes {
		row(w, "note", "%s", n)
	}
	_, err := fmt.Fprintf(w, "%-12s %s\n", "verdict", c.word())
	return err
}

func (c *Comparison) word() string {
	switch c.Verdict {
	case Worse:
		return fmt.Sprintf("WORSE: a figure got worse by more than %g%%, and not by chance", c.MaxRegressionPct)
	case Unsure:
		return fmt.Sprintf("unsure: a change for the worse of more than %g%% cannot be ruled out; longer runs would tell", c.MaxRegressionPct)
	case Better:
		return "better"
	}
	return fmt.Sprintf("same: no figure got worse by more than %g%%", c.MaxRegressionPct)
}
