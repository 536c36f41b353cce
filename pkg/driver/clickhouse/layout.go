package clickhouse

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A layout is how events lie in the table: which columns it has, and what stands
// in a statement for a dimension or a metric.
type layout struct {
	kind string // layoutMap, layoutArrays or layoutColumns
	// modern servers, from 22.3 on, have LowCardinality, Map, DateTime64, codecs,
	// TTL and tokens for blocks.
	modern     bool
	codec      string
	dimensions []string
	metrics    []string
}

// A column of the table.
type column struct{ name, kind, codec string }

func (c column) String() string {
	if c.codec == "" {
		return quoted(c.name) + " " + c.kind
	}
	return quoted(c.name) + " " + c.kind + " CODEC(" + c.codec + ")"
}

// Names of columns; those of declared dimensions and metrics begin with
// dimensionPrefix and metricPrefix.
const (
	colNamespace, colType, colSource = "namespace", "type", "source"
	colTime, colSeq, colMissing      = "time", "seq", "missing"
	colPayload, colID                = "payload", "id"
	colDimensions, colMetrics        = "dimensions", "metrics"
	dimensionPrefix, metricPrefix    = "d_", "m_"
	ofNames, ofValues                = "_names", "_values"
)

// word is the type of strings that repeat.
func (l *layout) word() string {
	if l.modern {
		return "LowCardinality(String)"
	}
	return "String"
}

func (l *layout) timeType() string {
	if l.modern {
		return "DateTime64(9, 'UTC')"
	}
	return "Int64"
}

// declared is how many dimensions and metrics have a column of their own. Column
// missing has a bit for each of them, dimensions first: an event has none. So no
// column needs to be Nullable, and an empty string is a value.
func (l *layout) declared() int { return len(l.dimensions) + len(l.metrics) }

func (l *layout) missingType() string {
	if l.declared() <= 8 {
		return "UInt8"
	}
	return "UInt64"
}

// columns are those of the table, in the order in which blocks have them.
func (l *layout) columns() []column {
	values := map[string]string{"lz4": "LZ4", "zstd": "ZSTD(1)"}[l.codec]
	cs := []column{
		{colNamespace, l.word(), values},
		{colType, l.word(), values},
		{colSource, l.word(), values},
		{colTime, l.timeType(), "DoubleDelta, LZ4"},
		{colSeq, "UInt64", "Delta, " + values},
		{colPayload, "String", "ZSTD(3)"},
		{colID, "String", values},
	}
	if l.declared() > 0 {
		cs = append(cs, column{colMissing, l.missingType(), values})
	}
	for _, d := range l.dimensions {
		cs = append(cs, column{dimensionPrefix + columnName(d), l.word(), values})
	}
	for _, m := range l.metrics {
		cs = append(cs, column{metricPrefix + columnName(m), "Float64", values})
	}
	switch l.kind {
	case layoutMap:
		cs = append(cs, column{colDimensions, "Map(" + l.word() + ", String)", values}, column{colMetrics, "Map(" + l.word() + ", Float64)", values})
	case layoutArrays:
		cs = append(cs,
			column{colDimensions + ofNames, "Array(" + l.word() + ")", values}, column{colDimensions + ofValues, "Array(String)", values},
			column{colMetrics + ofNames, "Array(" + l.word() + ")", values}, column{colMetrics + ofValues, "Array(Float64)", values})
	}
	if !l.modern {
		for i := range cs {
			cs[i].codec = ""
		}
	}
	return cs
}

// String says what the table was made with, to compare it with what is wanted.
func (l *layout) String() string {
	return fmt.Sprintf("layout %s, dimensions [%s], metrics [%s]", l.kind, strings.Join(l.dimensions, " "), strings.Join(l.metrics, " "))
}

// An operand is what stands in a statement for something that an event may
// lack: whether it has it, and the value, which means nothing if it has not.
type operand struct{ has, value string }

// orNull is the value, NULL where the event has none.
func (o operand) orNull() string { return "if(" + o.has + ", " + o.value + ", NULL)" }

func bit(n int) string { return "bitAnd(missing, " + integer(uint64(1)<<n) + ") = 0" }

// An empty type or source is none.
func eventType() operand { return operand{"type != ''", "toString(type)"} }
func source() operand    { return operand{"source != ''", "toString(source)"} }

func (l *layout) dimension(name string) operand {
	for i, d := range l.dimensions {
		if d == name {
			return operand{bit(i), "toString(" + quoted(dimensionPrefix+columnName(d)) + ")"}
		}
	}
	return l.undeclared(colDimensions, name, "''")
}

func (l *layout) metric(name string) operand {
	for i, m := range l.metrics {
		if m == name {
			return operand{bit(len(l.dimensions) + i), quoted(metricPrefix + columnName(m))}
		}
	}
	return l.undeclared(colMetrics, name, "toFloat64(0)")
}

func (l *layout) undeclared(column, name, none string) operand {
	key := literal(name)
	switch l.kind {
	case layoutMap:
		return operand{"mapContains(" + column + ", " + key + ")", column + "[" + key + "]"}
	case layoutArrays:
		names, values := column+ofNames, column+ofValues
		return operand{"has(" + names + ", " + key + ")", values + "[indexOf(" + names + ", " + key + ")]"}
	}
	return operand{"0", none}
}

// nanoseconds is the time of an event as a number.
func (l *layout) nanoseconds() string {
	if l.modern {
		return "toUnixTimestamp64Nano(time)"
	}
	return colTime
}

// moment is a time that column time can be compared with.
func (l *layout) moment(ns int64) string {
	if l.modern {
		return "fromUnixTimestamp64Nano(toInt64('" + fmt.Sprint(ns) + "'), 'UTC')"
	}
	return integer(ns)
}

// partition is the day of an event.
func (l *layout) partition() string {
	if l.modern {
		return "toYYYYMMDD(time)"
	}
	return "intDiv(time, 86400000000000)"
}

// check refuses a batch with what has no place in the table.
func (l *layout) check(batch *driver.EventBatch) error {
	if l.kind != layoutColumns {
		return nil
	}
	for i := range batch.Dimensions {
		if name := batch.Dimensions[i].Name; !slices.Contains(l.dimensions, name) {
			return prism.New(prism.ReasonInvalidArgument, "dimension %q has no column, and the backend's layout keeps only what has", name).
				WithField("dimensions", "must be among those of the backend's option dimensions")
		}
	}
	for i := range batch.Metrics {
		if name := batch.Metrics[i].Name; !slices.Contains(l.metrics, name) {
			return prism.New(prism.ReasonInvalidArgument, "metric %q has no column, and the backend's layout keeps only what has", name).
				WithField("metrics", "must be among those of the backend's option metrics")
		}
	}
	return nil
}
