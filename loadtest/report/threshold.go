package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Threshold is one promise that a run must keep: `p99<20ms`,
// `error_rate<0.1%`, `rps>=4000`, `get:service_p95<=2ms`.
type Threshold struct {
	Operation string // "" for the whole run
	Metric    string // p50 … p99.99, any other percentile, max, min, mean, stdev; error_rate; rps; or a count
	Service   bool   // from the send instead of from the intended start
	Op        string // < <= > >= ==
	Value     float64

	kind kind
}

// A ThresholdCheck is a threshold and how the run did.
type ThresholdCheck struct {
	Expression string `json:"expression"`
	Actual     string `json:"actual"`
	Pass       bool   `json:"pass"`
}

type kind uint8

const (
	asTime  kind = iota // Value in nanoseconds
	asPct               // Value in per cent
	asRate              // Value per second
	asCount             // Value is a whole number
)

// thresholdHelp is the fix that every parse error carries.
const thresholdHelp = "write METRIC OP VALUE, such as p99<20ms, error_rate<0.1% or rps>=4000"

// ParseThresholds reads thresholds separated by commas. Every time needs its
// unit and every rate of errors its %, so that nobody guesses.
func ParseThresholds(s string) ([]Threshold, error) {
	var all []Threshold
	for part := range strings.SplitSeq(s, ",") {
		t, err := ParseThreshold(part)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

// ParseThreshold reads one threshold.
func ParseThreshold(s string) (Threshold, error) {
	text := strings.TrimSpace(s)
	bad := func(format string, args ...any) (Threshold, error) {
		return Threshold{}, prism.InvalidField("threshold", fmt.Sprintf("%q: %s; %s", text, fmt.Sprintf(format, args...), thresholdHelp))
	}
	i := strings.IndexAny(text, "<>=")
	if i < 0 {
		return bad("no comparison")
	}
	t := Threshold{Op: text[i : i+1]}
	if strings.HasPrefix(text[i+1:], "=") {
		t.Op += "="
	}
	if t.Op == "=" {
		return bad("= compares nothing, == does")
	}
	name, value := strings.TrimSpace(text[:i]), strings.TrimSpace(text[i+len(t.Op):])
	if op, rest, ok := strings.Cut(name, ":"); ok {
		if !validOperation(op) {
			return bad("%q is not an operation", op)
		}
		t.Operation, name = op, rest
	}
	var ok bool
	if t.Metric, t.Service, t.kind, ok = metric(name); !ok {
		return bad("unknown metric %q", name)
	}
	if t.Operation != "" && !perOperation(t.Metric, t.kind) {
		return bad("%s is known for the whole run only", t.Metric)
	}
	if t.Value, ok = t.parseValue(value); !ok {
		return bad("%q is not %s", value, t.kind.wants())
	}
	return t, nil
}

var counts = [...]string{"errors", "dropped", "late", "waited", "retries", "missed"}

// metric knows the names. A percentile is written the way it is said, without
// leading or trailing noughts, so that it has one spelling.
func metric(name string) (canonical string, service bool, k kind, ok bool) {
	canonical, service = strings.CutPrefix(name, "service_")
	switch canonical {
	case "max", "min", "mean", "stdev":
		return canonical, service, asTime, true
	}
	if digits, isP := strings.CutPrefix(canonical, "p"); isP {
		p, err := strconv.ParseFloat(digits, 64)
		if err == nil && p > 0 && p <= 100 && strconv.FormatFloat(p, 'f', -1, 64) == digits {
			return canonical, service, asTime, true
		}
		return "", false, 0, false
	}
	switch {
	case service:
		return "", false, 0, false
	case canonical == "error_rate":
		return canonical, false, asPct, true
	case canonical == "rps", canonical == "achieved_rps":
		return canonical, false, asRate, true
	}
	return canonical, false, asCount, slices.Contains(counts[:], canonical)
}

func perOperation(metric string, k kind) bool {
	return k == asTime || k == asPct || metric == "rps" || metric == "errors" || metric == "missed"
}

func (k kind) wants() string {
	return [...]string{
		"a time with its unit (20ms, 1.5s)", "a percentage from 0% to 100%",
		"a number per second", "a whole number",
	}[k]
}

func (t Threshold) parseValue(s string) (float64, bool) {
	switch t.kind {
	case asTime:
		d, err := time.ParseDuration(s)
		// "0" alone parses as a duration; here even nothing needs a unit.
		return float64(d), err == nil && d >= 0 && s != "0" && s != "+0" && s != "-0"
	case asPct:
		digits, ok := strings.CutSuffix(s, "%")
		v, valid := number(digits)
		return v, ok && valid && v <= 100
	case asRate:
		return number(s)
	}
	n, err := strconv.ParseUint(s, 10, 53)
	return float64(n), err == nil
}

// number takes plain decimals only: no sign, exponent, hexadecimal or NaN.
func number(s string) (float64, bool) {
	if strings.Trim(s, "0123456789.") != "" {
		return 0, false
	}
	v, err := strconv.ParseFloat(s, 64)
	return v, err == nil && !math.IsInf(v, 0)
}

// String is the canonical spelling; parsing it gives t again.
func (t Threshold) String() string {
	var b strings.Builder
	if t.Operation != "" {
		b.WriteString(t.Operation + ":")
	}
	if t.Service {
		b.WriteString("service_")
	}
	b.WriteString(t.Metric + t.Op + t.show(t.Value))
	return b.String()
}

func (t Threshold) show(v float64) string {
	switch t.kind {
	case asTime:
		return time.Duration(v).String()
	case asPct:
		return strconv.FormatFloat(v, 'f', -1, 64) + "%"
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// Check compares thresholds with the run. One about an operation that the run
// does not have fails: it was not kept.
func (r *Report) Check(ts []Threshold) []ThresholdCheck {
	checks := make([]ThresholdCheck, 0, len(ts))
	for _, t := range ts {
		c := ThresholdCheck{Expression: t.String()}
		v, ok := r.measured(t)
		if !ok {
			c.Actual = "not measured"
		} else {
			c.Actual, c.Pass = t.round(v), t.holds(v)
		}
		checks = append(checks, c)
	}
	return checks
}

func (t Threshold) holds(v float64) bool {
	switch t.Op {
	case "<":
		return v < t.Value
	case "<=":
		return v <= t.Value
	case ">":
		return v > t.Value
	case ">=":
		return v >= t.Value
	}
	return v == t.Value
}

// round shows a measured value with the digits that mean something.
func (t Threshold) round(v float64) string {
	switch t.kind {
	case asTime:
		return ms(v/1e6) + " ms"
	case asPct:
		return percent(v)
	case asRate:
		return decimal(v, 1)
	}
	return t.show(v)
}

// measured finds t's figure in the run; false when nothing was measured, which
// no threshold may pass on.
func (r *Report) measured(t Threshold) (float64, bool) {
	response, service := r.Response, r.Service
	figures := map[string]float64{
		"error_rate": r.Requests.ErrorPct, "rps": r.ThroughputRPS, "achieved_rps": r.AchievedRPS,
		"errors": float64(r.Requests.Failed), "dropped": float64(r.Requests.Dropped),
		"late": float64(r.Requests.Late), "waited": float64(r.Requests.Waited), "missed": float64(r.Requests.Missed),
	}
	if r.Attempts != nil {
		figures["retries"] = float64(r.Attempts.Retries)
	}
	if t.Operation != "" {
		o, ok := r.named(t.Operation)
		if !ok {
			return 0, false
		}
		response, service = o.Response, o.Service
		figures["error_rate"], figures["rps"] = o.ErrorPct, o.ThroughputRPS
		figures["errors"], figures["missed"] = float64(o.Failed), float64(o.Missed)
	}
	if t.kind != asTime {
		v, ok := figures[t.Metric]
		// No request at all is not an error rate of 0.
		return v, ok && (t.Metric != "error_rate" || response.Count > 0)
	}
	l := response
	if t.Service {
		l = service
	}
	h := l.Histogram()
	if h == nil {
		return 0, false
	}
	switch t.Metric {
	case "max":
		return float64(h.Max()), true
	case "min":
		return float64(h.Min()), true
	case "mean":
		return float64(h.Mean()), true
	case "stdev":
		return float64(h.Stdev()), true
	}
	p, err := strconv.ParseFloat(t.Metric[1:], 64)
	return float64(h.At(p)), err == nil
}

// named finds an operation, or a stream as if it were one: its response is from
// the request's intended start, its service from the send, and what it missed
// are messages that never came.
func (r *Report) named(name string) (Operation, bool) {
	for _, o := range r.Operations {
		if o.Name == name {
			return o, true
		}
	}
	for _, s := range r.Streams {
		if s.Name == name {
			return Operation{
				OK: s.Messages, Failed: s.Failed, Missed: s.Missing(), ErrorPct: share(s.Failed, s.Messages+s.Failed),
				ThroughputRPS: s.ThroughputRPS, Response: s.Response, Service: s.Delay,
			}, true
		}
	}
	return Operation{}, false
}

// validOperation is a name, or those of a part and its operation with a dot.
func validOperation(s string) bool {
	part, op, two := strings.Cut(s, ".")
	return prism.ValidName(part) && (!two || prism.ValidName(op))
}
