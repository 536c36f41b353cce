package ts

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/client"
)

// A csvReader reads events from CSV (RFC 4180): the header says what each
// column is.
type csvReader struct {
	lines   *lines
	o       *fileOptions
	columns []column
	fields  [][]byte
	record  []byte // of several lines, or with quotes
	line    int    // where the record begins
}

// A column is what the header says of one.
type column struct {
	is   part
	name string // of a dimension or metric
	text texts
}

// A part of an event.
type part int

const (
	partTime part = iota
	partType
	partSource
	partID
	partPayload
	partDimension
	partMetric
)

// plainColumns are those that need no prefix.
var plainColumns = map[string]part{fieldTime: partTime, fieldType: partType, fieldSource: partSource, fieldID: partID, "payload": partPayload}

var byteOrderMark = []byte("\xef\xbb\xbf")

// newCSVReader reads the header.
func newCSVReader(l *lines, o *fileOptions) (*csvReader, error) {
	r := &csvReader{lines: l, o: o}
	err := r.read()
	switch {
	case errors.Is(err, io.EOF):
		return nil, cli.Usage("begin with a line of names: time,type,dim.host,metric.ms", "%s is empty", o.File)
	case err != nil:
		return nil, err
	}
	names := map[string]bool{}
	for _, field := range r.fields {
		name := strings.TrimSpace(string(field))
		if names[name] {
			return nil, cli.Usage("give each column a name of its own", "%s:1: there are two columns %q", o.File, name)
		}
		names[name] = true
		c, err := r.column(name)
		if err != nil {
			return nil, err
		}
		r.columns = append(r.columns, c)
	}
	return r, r.complete(names)
}

// column finds out what a column is.
func (r *csvReader) column(name string) (column, error) {
	plain, isPlain := plainColumns[name]
	dimension, isDimension := strings.CutPrefix(name, dimPrefix)
	metric, isMetric := strings.CutPrefix(name, metricPrefix)
	inDims, inMetrics := slices.Contains(r.o.Dims, name), slices.Contains(r.o.Metrics, name)
	switch {
	case inDims && inMetrics:
		return column{}, cli.Usage("leave it out of one of the two", "%q is in --dims and in --metrics", name)
	case inDims:
		return column{is: partDimension, name: name}, nil
	case inMetrics:
		return column{is: partMetric, name: name}, nil
	case isPlain:
		return column{is: plain}, nil
	case isDimension && dimension != "":
		return column{is: partDimension, name: dimension}, nil
	case isMetric && metric != "":
		return column{is: partMetric, name: metric}, nil
	case name == "":
		return column{}, cli.Usage("give every column a name", "%s:1: a column has no name", r.o.File)
	}
	quoted := cli.Quote(name)
	return column{}, cli.Usage("pass --dims "+quoted+" or --metrics "+quoted+", or call it "+dimPrefix+name+" or "+metricPrefix+name,
		"%s:1: the column %q is not known", r.o.File, name)
}

// complete looks for what the header must have, and for flags that name what it
// has not.
func (r *csvReader) complete(names map[string]bool) error {
	for _, list := range [][]string{r.o.Dims, r.o.Metrics} {
		for _, name := range list {
			if !names[name] {
				return cli.Usage("the columns are "+strings.Join(r.names(), ", "), "%s:1: there is no column %q", r.o.File, name)
			}
		}
	}
	if !slices.ContainsFunc(r.columns, func(c column) bool { return c.is == partTime }) {
		return cli.Usage("call the column with the times time", "%s:1: the header has no column \"time\"", r.o.File)
	}
	if r.o.Type == "" && !slices.ContainsFunc(r.columns, func(c column) bool { return c.is == partType }) {
		return cli.Usage("pass --type TYPE for all of them", "%s:1: the header has no column \"type\"", r.o.File)
	}
	return nil
}

func (r *csvReader) names() []string {
	names := make([]string, len(r.fields))
	for i, f := range r.fields {
		names[i] = string(f)
	}
	return names
}

func (r *csvReader) at() int { return r.line }

// next reads an event into m, whose maps are used again.
func (r *csvReader) next(m *client.Measurement) error {
	if err := r.read(); err != nil {
		return err
	}
	if len(r.fields) != len(r.columns) {
		return wrongLine{fmt.Errorf("there are %s, the header has %d", cli.Plural(len(r.fields), "field"), len(r.columns))}
	}
	clear(m.Dimensions)
	clear(m.Metrics)
	*m = client.Measurement{Type: r.o.Type, Source: r.o.Source, Dimensions: m.Dimensions, Metrics: m.Metrics}
	for i := range r.columns {
		if err := r.columns[i].read(m, r.fields[i], r.o.unit); err != nil {
			return wrongLine{err}
		}
	}
	return nil
}

// read puts a field where it belongs; an empty one is none.
func (c *column) read(m *client.Measurement, field []byte, u unit) (err error) {
	switch {
	case c.is == partTime:
		m.Time, err = u.parseTime(field)
		return err
	case len(field) == 0:
		return nil
	}
	switch c.is {
	case partType:
		m.Type = c.text.of(field)
	case partSource:
		m.Source = c.text.of(field)
	case partID:
		m.ID = string(field)
	case partPayload:
		m.Payload = field
	case partDimension:
		m.Dimensions[c.name] = c.text.of(field)
	case partMetric:
		m.Metrics[c.name], err = parseMetric(c.name, field)
	}
	return err
}

func parseMetric(name string, field []byte) (float64, error) {
	v, err := strconv.ParseFloat(string(field), 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, fmt.Errorf("%s %q is not a finite number", name, field)
	}
	return v, nil
}

// read splits the next record into fields. Empty lines are no records.
func (r *csvReader) read() error {
	for {
		line, err := r.lines.next()
		r.line = r.lines.number
		if err != nil {
			return err
		}
		if r.line == 1 {
			line = bytes.TrimPrefix(line, byteOrderMark)
		}
		if bytes.IndexByte(line, '"') >= 0 {
			return r.quoted(line)
		}
		if line = trimEnd(line); len(line) > 0 {
			r.split(line)
			return nil
		}
	}
}

// split cuts a line that has no quotes.
func (r *csvReader) split(line []byte) {
	r.fields = r.fields[:0]
	for {
		i := bytes.IndexByte(line, ',')
		if i < 0 {
			r.fields = append(r.fields, line)
			return
		}
		r.fields = append(r.fields, line[:i])
		line = line[i+1:]
	}
}

// quoted reads a record with quotes, which may go on over several lines.
func (r *csvReader) quoted(line []byte) error {
	r.record = append(r.record[:0], line...)
	open := within(bytes.TrimPrefix(line, []byte{'"'}), opens(line))
	for open {
		more, err := r.lines.next()
		switch {
		case errors.Is(err, io.EOF):
			return wrongLine{errors.New("a quote is not closed")}
		case err != nil:
			return err
		case len(r.record)+len(more) > maxLine:
			return wrongLine{errors.New("a quote is not closed within 8 MiB")}
		}
		r.record = append(r.record, more...)
		open = within(more, true)
	}
	rest := trimEnd(r.record)
	r.fields = r.fields[:0]
	for {
		field, after, err := cutField(rest)
		if err != nil {
			return wrongLine{err}
		}
		r.fields = append(r.fields, field)
		if after == nil {
			return nil
		}
		rest = after[1:]
	}
}

// opens reports whether a field begins with a quote: only there it opens one.
func opens(field []byte) bool { return len(field) > 0 && field[0] == '"' }

// within reports whether text ends within quotes; quoted says that it begins
// there.
func within(text []byte, quoted bool) bool {
	for {
		if quoted {
			i := bytes.IndexByte(text, '"')
			if i < 0 {
				return true
			}
			if text = text[i+1:]; opens(text) { // two are one, and close nothing
				text = text[1:]
				continue
			}
		}
		i := bytes.IndexByte(text, ',')
		if i < 0 {
			return false
		}
		text = text[i+1:]
		if quoted = opens(text); quoted {
			text = text[1:]
		}
	}
}

// cutField cuts the first field off; after begins with a comma, or is nil at the
// end. Two quotes in quotes are one, in place.
func cutField(rest []byte) (field, after []byte, err error) {
	if !opens(rest) {
		i := bytes.IndexByte(rest, ',')
		if i < 0 {
			i = len(rest)
		}
		if bytes.IndexByte(rest[:i], '"') >= 0 {
			return nil, nil, errors.New("a quote stands within a field: write the whole field in quotes, and two for one")
		}
		return rest[:i], tail(rest, i), nil
	}
	to := 0 // of what the field is, which is not longer than it was
	for i := 1; i < len(rest); i++ {
		if rest[i] != '"' {
			rest[to] = rest[i]
			to++
			continue
		}
		if i+1 < len(rest) && rest[i+1] == '"' {
			rest[to] = '"'
			to++
			i++
			continue
		}
		if i+1 < len(rest) && rest[i+1] != ',' {
			return nil, nil, errors.New("something follows a closing quote")
		}
		return rest[:to], tail(rest, i+1), nil
	}
	return nil, nil, errors.New("a quote is not closed")
}

func tail(rest []byte, at int) []byte {
	if at >= len(rest) {
		return nil
	}
	return rest[at:]
}
