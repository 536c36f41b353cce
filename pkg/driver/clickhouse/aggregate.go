package clickhouse

import (
	"context"
	"fmt"
	"strings"

	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// AggregateEvents asks the server for all of it in one statement.
func (s *store) AggregateEvents(ctx context.Context, ns prism.Namespace, q driver.AggregateQuery) (driver.Aggregates, error) {
	if err := s.begin(ctx); err != nil {
		return driver.Aggregates{}, err
	}
	defer s.leave()
	p := choose(&q, s.schema.rollups)
	statement := s.schema.aggregate(ns, &q)
	if p.rollup != nil {
		statement = s.schema.aggregateRollup(ns, &q, p)
	}
	answer := driver.Aggregates{Source: p.source()}
	err := s.rows(ctx, statement, func(rows chdriver.Rows) error {
		r, err := scanAggregate(rows, &q)
		answer.Rows = append(answer.Rows, r)
		return err
	})
	if err != nil {
		return driver.Aggregates{}, err
	}
	if len(answer.Rows) > q.Max {
		return driver.Aggregates{}, prism.InvalidField("bucket_ns", fmt.Sprintf("makes more than %d rows; ask for longer buckets, a shorter range or fewer groups", q.Max))
	}
	return answer, nil
}

func scanAggregate(rows chdriver.Rows, q *driver.AggregateQuery) (r driver.AggregateRow, err error) {
	texts, floats := make([]*string, len(q.Groups)), make([]*float64, len(q.Values))
	into := []any{&r.Bucket}
	for i := range texts {
		into = append(into, &texts[i])
	}
	for i := range floats {
		into = append(into, &floats[i])
	}
	if err := rows.Scan(into...); err != nil {
		return r, err
	}
	for _, t := range texts {
		if t == nil {
			r.Group = append(r.Group, driver.OptionalText{})
			continue
		}
		r.Group = append(r.Group, driver.OptionalText{Value: *t, Valid: true})
	}
	for _, f := range floats {
		if f == nil {
			r.Values = append(r.Values, driver.OptionalFloat{})
			continue
		}
		r.Values = append(r.Values, driver.OptionalFloat{Value: *f, Valid: true})
	}
	if q.Bucket == 0 {
		r.Bucket = q.Start
	}
	return r, nil
}

// bucket is the start of the bucket of a time.
func bucket(time string, length int64) string {
	if length == 0 {
		return "toInt64(0)"
	}
	n := integer(length)
	return "toInt64(intDiv(" + time + ", " + n + ") * " + n + ")"
}

// aggregate computes from events.
func (sc *schema) aggregate(ns prism.Namespace, q *driver.AggregateQuery) string {
	l := sc.layout
	columns := []string{bucket(l.nanoseconds(), q.Bucket) + " AS b"}
	by := []string{"b"}
	for i, g := range q.Groups {
		columns = append(columns, fmt.Sprintf("%s AS g%d", l.group(g).orNull(), i))
		by = append(by, fmt.Sprintf("g%d", i))
	}
	for i, v := range q.Values {
		columns = append(columns, fmt.Sprintf("%s AS v%d", l.figure(v), i))
	}
	return "SELECT " + strings.Join(columns, ", ") + " FROM " + sc.events() + " WHERE " + l.where(ns, &q.Selection) +
		" GROUP BY " + strings.Join(by, ", ") + some("count()") + " LIMIT " + integer(q.Max+1)
}

// some leaves out the group of no events, which a server may make of a constant.
func some(events string) string { return " HAVING " + events + " > 0" }

func (l *layout) group(g driver.GroupKey) operand {
	switch g.Kind {
	case driver.GroupType:
		return eventType()
	case driver.GroupSource:
		return source()
	}
	return l.dimension(g.Name)
}

// figure is one figure of events.
func (l *layout) figure(v driver.Aggregate) string {
	if v.Metric == "" && v.Function == driver.AggregateCount {
		return "toNullable(toFloat64(count()))"
	}
	m := l.metric(v.Metric)
	n := "countIf(" + m.has + ")"
	of := "(" + m.value + ", " + m.has + ")"
	switch v.Function {
	case driver.AggregateCount:
		return "toNullable(toFloat64(" + n + "))"
	case driver.AggregateSum:
		return "if(" + n + " = 0, NULL, sumIf" + of + ")"
	case driver.AggregateAvg:
		return "if(" + n + " = 0, NULL, sumIf" + of + " / " + n + ")"
	case driver.AggregateMin:
		return "if(" + n + " = 0, NULL, minIf" + of + ")"
	case driver.AggregateMax:
		return "if(" + n + " = 0, NULL, maxIf" + of + ")"
	}
	return "if(" + n + " = 0, NULL, quantileExactIf(" + decimal(v.Quantile) + ")" + of + ")"
}

// aggregateRollup computes from a rollup where it has whole buckets, and from
// events at the edges of the range.
func (sc *schema) aggregateRollup(ns prism.Namespace, q *driver.AggregateQuery, p plan) string {
	metrics := metricsOf(q)
	var by, groups, figures []string
	for i := range q.Groups {
		by = append(by, fmt.Sprintf("g%d", i))
		groups = append(groups, fmt.Sprintf("g%d", i))
	}
	for _, v := range q.Values {
		figures = append(figures, figureOfParts(v, metrics))
	}
	parts := []string{sc.partOfRollup(ns, q, p, metrics)}
	if q.Start < p.start {
		parts = append(parts, sc.partOfEvents(ns, q, q.Start, p.start, metrics))
	}
	if p.end < q.End {
		parts = append(parts, sc.partOfEvents(ns, q, p.end, q.End, metrics))
	}
	return "SELECT b, " + strings.Join(append(groups, figures...), ", ") + " FROM (" + strings.Join(parts, " UNION ALL ") +
		") GROUP BY " + strings.Join(append([]string{"b"}, by...), ", ") + some("sum(c)") + " LIMIT " + integer(q.Max+1)
}

// metricsOf are the metrics of a query, each once.
func metricsOf(q *driver.AggregateQuery) map[string]int {
	metrics := map[string]int{}
	for _, v := range q.Values {
		if _, ok := metrics[v.Metric]; !ok && !counts(v) {
			metrics[v.Metric] = len(metrics)
		}
	}
	return metrics
}

// counts reports whether a figure is the number of events.
func counts(v driver.Aggregate) bool { return v.Function == driver.AggregateCount && v.Metric == "" }

// figureOfParts puts the parts of a figure together: c is the number of events,
// n, s, l and h with a number are count, sum, least and greatest of a metric.
func figureOfParts(v driver.Aggregate, metrics map[string]int) string {
	if counts(v) {
		return "toNullable(toFloat64(sum(c)))"
	}
	i := metrics[v.Metric]
	n := fmt.Sprintf("sum(n%d)", i)
	switch v.Function {
	case driver.AggregateCount:
		return "toNullable(toFloat64(" + n + "))"
	case driver.AggregateSum:
		return fmt.Sprintf("if(%s = 0, NULL, sum(s%d))", n, i)
	case driver.AggregateAvg:
		return fmt.Sprintf("if(%s = 0, NULL, sum(s%d) / %s)", n, i, n)
	case driver.AggregateMin:
		return fmt.Sprintf("if(%s = 0, NULL, minIf(l%d, n%d > 0))", n, i, i)
	}
	return fmt.Sprintf("if(%s = 0, NULL, maxIf(h%d, n%d > 0))", n, i, i)
}

func (sc *schema) partOfRollup(ns prism.Namespace, q *driver.AggregateQuery, p plan, metrics map[string]int) string {
	l := sc.layout
	columns := sc.partHead("toUnixTimestamp64Nano(bucket)", q)
	columns = append(columns, fmt.Sprintf("sumIf(events, kind = %d) AS c", rollupEvents))
	names := []string{}
	for _, name := range ordered(metrics) {
		i, is := metrics[name], all(fmt.Sprintf("kind = %d", rollupMetrics), "metric = "+literal(name))
		columns = append(columns, fmt.Sprintf("sumIf(events, %s) AS n%d, sumIf(total, %s) AS s%d, minIf(low, %s) AS l%d, maxIf(high, %s) AS h%d", is, i, is, i, is, i, is, i))
		names = append(names, name)
	}
	wanted := fmt.Sprintf("kind = %d", rollupEvents)
	if len(names) > 0 {
		wanted = anyOf(wanted, all(fmt.Sprintf("kind = %d", rollupMetrics), "metric IN "+literals(names)))
	}
	conditions := append([]string{
		"namespace = " + literal(string(ns)), "bucket >= " + l.moment(p.start), "bucket < " + l.moment(p.end), wanted,
	}, l.selected(&q.Selection)...)
	return "SELECT " + strings.Join(columns, ", ") + " FROM " + sc.all(p.rollup.table()) + " WHERE " + all(conditions...) + sc.partTail(q)
}

func (sc *schema) partOfEvents(ns prism.Namespace, q *driver.AggregateQuery, start, end int64, metrics map[string]int) string {
	l := sc.layout
	columns := append(sc.partHead(l.nanoseconds(), q), "count() AS c")
	for _, name := range ordered(metrics) {
		i, m := metrics[name], l.metric(name)
		of := "(" + m.value + ", " + m.has + ")"
		columns = append(columns, fmt.Sprintf("countIf(%s) AS n%d, sumIf%s AS s%d, minIf%s AS l%d, maxIf%s AS h%d", m.has, i, of, i, of, i, of, i))
	}
	edge := q.Selection
	edge.Start, edge.End = start, end
	return "SELECT " + strings.Join(columns, ", ") + " FROM " + sc.events() + " WHERE " + l.where(ns, &edge) + sc.partTail(q)
}

func (sc *schema) partHead(time string, q *driver.AggregateQuery) []string {
	columns := []string{bucket(time, q.Bucket) + " AS b"}
	for i, g := range q.Groups {
		columns = append(columns, fmt.Sprintf("%s AS g%d", sc.layout.group(g).orNull(), i))
	}
	return columns
}

func (sc *schema) partTail(q *driver.AggregateQuery) string {
	by := []string{"b"}
	for i := range q.Groups {
		by = append(by, fmt.Sprintf("g%d", i))
	}
	return " GROUP BY " + strings.Join(by, ", ")
}

// ordered are the metrics in the order of their numbers.
func ordered(metrics map[string]int) []string {
	names := make([]string, len(metrics))
	for name, i := range metrics {
		names[i] = name
	}
	return names
}
