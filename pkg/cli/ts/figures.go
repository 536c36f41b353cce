package ts

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
	timeseriesv1 "github.com/prism-data-layer/prism/proto/prism/timeseries/v1"
)

// figureForms are what --select takes.
const figureForms = "write count, sum(ms), avg(ms), min(ms), max(ms) or a percentile: p50(ms), p95(ms), p99.9(ms)"

// functions are the words of --select but for percentiles.
var functions = []struct {
	word string
	f    timeseriesv1.Function
}{
	{"count", timeseriesv1.Function_FUNCTION_COUNT},
	{"sum", timeseriesv1.Function_FUNCTION_SUM},
	{"avg", timeseriesv1.Function_FUNCTION_AVG},
	{"min", timeseriesv1.Function_FUNCTION_MIN},
	{"max", timeseriesv1.Function_FUNCTION_MAX},
}

// A figure is one of --select, with the name of its column.
type figure struct {
	name string
	*timeseriesv1.Aggregate
}

// parseFigures reads --select: 'count, avg(ms), p95(ms)'.
func parseFigures(text string) ([]figure, error) {
	var list []figure
	seen := map[string]bool{}
	for rest, more := text, true; more; {
		var word string
		word, rest, more = cutFigure(rest)
		f, err := parseFigure(strings.TrimSpace(word))
		if err != nil {
			return nil, err
		}
		if seen[f.name] {
			return nil, cli.Usage("name it once", "--select has %s twice", f.name)
		}
		seen[f.name] = true
		list = append(list, f)
	}
	return list, nil
}

// cutFigure cuts at the first comma outside of parentheses.
func cutFigure(text string) (before, after string, found bool) {
	depth := 0
	for i, c := range []byte(text) {
		switch {
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth <= 0:
			return text[:i], text[i+1:], true
		}
	}
	return text, "", false
}

func parseFigure(text string) (figure, error) {
	wrong := func(format string, args ...any) (figure, error) {
		return figure{}, cli.Usage(figureForms, "--select: "+format, args...)
	}
	if text == "" {
		return wrong("a figure is missing")
	}
	word, rest, called := strings.Cut(text, "(")
	word = strings.TrimSpace(word)
	metric, closed := strings.CutSuffix(rest, ")")
	metric = strings.TrimSpace(metric)
	switch {
	case called && !closed:
		return wrong("%q has no closing parenthesis", text)
	case called && metric == "":
		return wrong("%q names no metric", text)
	}
	a, err := function(word)
	if err != nil {
		return figure{}, err
	}
	if a.Metric = metric; metric == "" {
		if a.Function != timeseriesv1.Function_FUNCTION_COUNT {
			return wrong("%q needs a metric: %s(ms)", text, word)
		}
		return figure{word, a}, nil
	}
	return figure{word + "(" + metric + ")", a}, nil
}

// function is the function that a word means.
func function(word string) (*timeseriesv1.Aggregate, error) {
	words := []string{"p50", "p95", "p99"}
	for _, f := range functions {
		if f.word == word {
			return &timeseriesv1.Aggregate{Function: f.f}, nil
		}
		words = append(words, f.word)
	}
	if digits, ok := strings.CutPrefix(word, "p"); ok {
		if p, err := strconv.ParseFloat(digits, 64); err == nil && strings.Trim(digits, "0123456789.") == "" {
			if p > 100 {
				return nil, cli.Usage(figureForms, "--select: a percentile is at most p100, not %q", word)
			}
			return &timeseriesv1.Aggregate{Function: timeseriesv1.Function_FUNCTION_QUANTILE, Quantile: p / 100}, nil
		}
	}
	fix := figureForms
	if near := config.Nearest(word, words); near != "" {
		fix = fmt.Sprintf("did you mean %q? %s", near, figureForms)
	}
	return nil, cli.Usage(fix, "--select: there is no function %q", word)
}
