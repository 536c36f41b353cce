package series

import (
	"context"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/component/toast"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/page"
)

// The actions of the page.
const (
	actChart  keys.Action = "series-chart"
	actWider  keys.Action = "series-wider"
	actCloser keys.Action = "series-closer"
	actCopy   keys.Action = "series-copy"
)

// ranges are what the page steps through.
func ranges() []time.Duration {
	const day = 24 * time.Hour
	return []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 6 * time.Hour, day, 7 * day, 30 * day, 90 * day}
}

// Keys is what keys do on the page.
func (m *Model) Keys() keys.Table {
	return append(keys.Table{
		{Action: actChart, Keys: []string{"f"}, Label: "chart", Help: "choose what the chart shows: the figure, type, dimension, range"},
		{Action: actWider, Keys: []string{">"}, Label: "wider", Help: "a longer range"},
		{Action: actCloser, Keys: []string{"<"}, Label: "closer", Help: "a shorter range"},
		{Action: actCopy, Keys: []string{"C"}, Help: "copy the prismctl command that prints what the chart shows"},
	}, m.Split.Keys()...)
}

// Do performs an action of Keys.
func (m *Model) Do(a keys.Action) tea.Cmd {
	switch a {
	case actChart:
		return page.Do(m.form())
	case actWider, actCloser:
		all := ranges()
		m.ask.Change(func(q *Query) {
			if i := slices.IndexFunc(all, func(d time.Duration) bool { return d > q.Range }); a == actWider && i >= 0 {
				q.Range = all[i]
			} else if i, _ := slices.BinarySearch(all, q.Range); a == actCloser && i > 0 {
				q.Range = all[i-1]
			}
		})
		m.Feed().Hurry()
		return m.Live.Hurry()
	case actCopy:
		c := m.aggregate(m.ask.Get())
		return toast.Copy(c, "the command: "+c)
	}
	return m.Split.Do(a)
}

func (m *Model) form() page.Form {
	q := m.ask.Get()
	read := func(v map[string]string) (Query, map[string]string) {
		wrong := map[string]string{}
		d, err := parseSpan(v["range"])
		if err != nil || d < time.Second || d > 10*365*24*time.Hour {
			wrong["range"] = "write it as 15m, 6h or 7d"
		}
		if v["function"] != "count" && v["metric"] == "" {
			wrong["metric"] = "of which metric?"
		}
		if name, _, ok := strings.Cut(v["where"], "="); v["where"] != "" && (!ok || name == "") {
			wrong["where"] = "write it as host=a"
		}
		return Query{
			Namespace: m.namespace, Function: v["function"], Metric: v["metric"], Type: v["type"], Where: v["where"], By: v["by"], Range: d, Buckets: buckets,
		}, wrong
	}
	return page.Form{
		Title: "Chart of " + text.Clean(m.namespace), Verb: "Show",
		Fields: []page.Field{
			{Name: "function", Label: "Figure", Value: q.Function, Options: Functions()},
			{Name: "metric", Label: "Of metric", Value: q.Metric, When: func(v map[string]string) bool { return v["function"] != "count" }},
			{Name: "range", Label: "Range", Value: span(q.Range), Help: "up to now: 15m, 6h, 7d"},
			{Name: "type", Label: "Type", Value: q.Type, Help: "only events of this type; empty: all"},
			{Name: "where", Label: "Where", Value: q.Where, Help: "only where a dimension has this value: host=a"},
			{Name: "by", Label: "By", Value: q.By, Help: "a line for each: type, source or a dimension"},
		},
		Check: func(v map[string]string) map[string]string {
			if _, wrong := read(v); len(wrong) > 0 {
				return wrong
			}
			return nil
		},
		Command: func(v map[string]string) string {
			q, _ := read(v)
			return m.aggregate(q)
		},
		Do: func(_ context.Context, v map[string]string, _ func(string)) (string, error) {
			q, _ := read(v)
			m.ask.Set(q)
			return "", nil
		},
	}
}

// parseSpan reads a duration in which d is a day.
func parseSpan(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		d, err := time.ParseDuration(days + "h")
		return 24 * d, err
	}
	return time.ParseDuration(s)
}
