package ts

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/client"
)

// readAll reads a file as an import with --skip-invalid does.
func readAll(t testing.TB, e events) (read []string, wrong []string) {
	t.Helper()
	m := client.Measurement{Dimensions: map[string]string{}, Metrics: map[string]float64{}}
	for {
		err := e.next(&m)
		var w wrongLine
		switch {
		case errors.Is(err, io.EOF):
			return read, wrong
		case errors.As(err, &w):
			wrong = append(wrong, fmt.Sprintf("%d: %v", e.at(), err))
		case err != nil:
			t.Fatal(err)
		default:
			read = append(read, fmt.Sprintf("%d: %d %s %s %v %v %q %s", e.at(), m.Time.UnixNano(), m.Type, m.Source, m.Dimensions, m.Metrics, m.Payload, m.ID))
		}
	}
}

func csvOf(t testing.TB, text string, o fileOptions) *csvReader {
	t.Helper()
	o.File = "events.csv"
	r, err := newCSVReader(newLines(strings.NewReader(text)), &o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func compare(t *testing.T, what string, got, want []string) {
	t.Helper()
	if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		t.Errorf("%s: got\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestCSVIsReadWithItsQuotesAndItsWrongLines(t *testing.T) {
	text := "\xef\xbb\xbftime,type,source,dim.host,ms,payload,id\r\n" +
		"1,a,s,h,1.5,p,1\r\n" +
		"\n" +
		"2,,,,,,\n" + // empty is none, of the type the default
		"3,a,,\"x,\"\"y\"\"\nz\",-2e3,,\n" + // on two lines
		"4,a,,h,NaN,,\n" +
		"5,a\n" +
		"6,a,,h\"h,1,,\n" + // this quote opens nothing
		"7,a,,\"h\"h,1,,\n" +
		"8,b,,h,1e400,,\n" +
		"9,c,,,7,,\n" +
		"10,c,,\"h,1,,\n\n"
	read, wrong := readAll(t, csvOf(t, text, fileOptions{Metrics: []string{"ms"}, Type: "default", unit: 1}))
	compare(t, "events", read, []string{
		`2: 1 a s map[host:h] map[ms:1.5] "p" 1`,
		`4: 2 default  map[] map[] "" `,
		"5: 3 a  map[host:x,\"y\"\nz] map[ms:-2000] \"\" ",
		`12: 9 c  map[] map[ms:7] "" `,
	})
	compare(t, "wrong lines", wrong, []string{
		`7: ms "NaN" is not a finite number`,
		`8: there are 2 fields, the header has 7`,
		`9: a quote stands within a field: write the whole field in quotes, and two for one`,
		`10: something follows a closing quote`,
		`11: ms "1e400" is not a finite number`,
		`13: a quote is not closed`,
	})
}

func TestJSONLinesAreReadStrictly(t *testing.T) {
	text := `{"time":"2026-03-01T12:00:00.000000001Z","type":"a","dimensions":{"host":"h"},"metrics":{"ms":1.5},"payload_base64":"/wA=","id":"1"}

{"apiVersion":"prism/v1","kind":"SeriesEvent","time":5,"source":"s","payload":null,"payload_base64":null}
{"time":5,"metric":{"ms":1}}
{"time":5,"metrics":{"ms":"fast"}}
{"type":"a"}
{"time":5,"payload":"a","payload_base64":"YQ=="}
{"time":5,"payload_base64":"?"}
{"time":5} {}
[5]
`
	r := &jsonReader{lines: newLines(strings.NewReader(text)), o: &fileOptions{Type: "default", unit: 1e9}}
	read, wrong := readAll(t, r)
	compare(t, "events", read, []string{
		`1: 1772366400000000001 a  map[host:h] map[ms:1.5] "\xff\x00" 1`,
		`3: 5000000000 default s map[] map[] "" `,
	})
	compare(t, "wrong lines", wrong, []string{
		`4: the field "metric" is not known: it is time, type, source, id, dimensions, metrics, payload or payload_base64`,
		`5: metrics must not be a string`,
		`6: time is missing`,
		`7: "payload" and "payload_base64" are both there`,
		`8: "payload_base64" is not base64`,
		`9: something follows the object`,
		`10: not a JSON object on one line`,
	})
}

func TestALineThatIsTooLongIsReadOver(t *testing.T) {
	text := "time,type\n1," + strings.Repeat("x", maxLine) + "\n2,b\n"
	read, wrong := readAll(t, csvOf(t, text, fileOptions{unit: 1}))
	compare(t, "events", read, []string{`3: 2 b  map[] map[] "" `})
	compare(t, "wrong lines", wrong, []string{"2: the line is longer than 8 MiB"})
}

func TestTimesAreRFC3339OrNumbersOfAUnit(t *testing.T) {
	for _, c := range []struct {
		unit unit
		text string
		want int64
		err  string
	}{
		{0, "2026-03-01T12:00:00Z", 1772366400e9, ""},
		{1e9, "2026-03-01T13:00:00.5+01:00", 1772366400.5e9, ""},
		{1e9, "1772366400", 1772366400e9, ""},
		{1e9, "1.5", 1.5e9, ""},
		{1e9, "1.123456789999", 1123456789, ""},
		{1e6, "1.25", 1250000, ""},
		{1, "7", 7, ""},
		{1, "7.9", 7, ""},
		{0, "7", 0, "is a number: pass --time-unit"},
		{1e9, "", 0, "is missing"},
		{1e9, "1.x", 0, "is not a number"},
		{1e9, "yesterday", 0, "is not RFC 3339"},
		{0, "2026-03-01 12:00:00", 0, "is not RFC 3339"},
		{1e9, "0", 0, "is not between"},
		{1e9, "-5", 0, "is not between"},
		{1e9, "9999999999999", 0, "is not between"},
		{0, "1969-12-31T23:59:59Z", 0, "is not between"},
		{0, "2300-01-01T00:00:00Z", 0, "is not between"},
	} {
		got, err := c.unit.parseTime([]byte(c.text))
		switch {
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%q of %d: %v, %v; want an error with %q", c.text, c.unit, got, err, c.err)
		case c.err == "" && (err != nil || got.UnixNano() != c.want):
			t.Errorf("%q of %d: %d, %v; want %d", c.text, c.unit, got.UnixNano(), err, c.want)
		}
	}
}

func TestConditionsAreRead(t *testing.T) {
	for text, want := range map[string]string{
		"host=web-1":      `host FILTER_OP_IN ["web-1"]`,
		"host=a,b":        `host FILTER_OP_IN ["a" "b"]`,
		`host=a\,b,c\\`:   `host FILTER_OP_IN ["a,b" "c\\"]`,
		`host=\=x`:        `host FILTER_OP_IN ["=x"]`,
		"host=":           `host FILTER_OP_IN [""]`,
		"host!=a,b":       `host FILTER_OP_NOT_IN ["a" "b"]`,
		"host^=web,-":     `host FILTER_OP_PREFIX ["web,-"]`,
		"host":            `host FILTER_OP_EXISTS []`,
		"!host":           `host FILTER_OP_ABSENT []`,
		"http.route=/a=b": `http.route FILTER_OP_IN ["/a=b"]`,
	} {
		f, err := parseFilter(text)
		if got := fmt.Sprintf("%s %s %q", f.GetDimension(), f.GetOp(), f.GetValues()); err != nil || got != want {
			t.Errorf("%s: got %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "!", "=a", "!=a", "host==a", "host=~a", "host~=a", "host>=5", "host > 5", "host like a"} {
		if f, err := parseFilter(text); err == nil {
			t.Errorf("%q is taken as %v", text, f)
		}
	}
}

func TestFiguresAreRead(t *testing.T) {
	figures, err := parseFigures("count, count(ms),sum( a,b ) , p99.9(f(x)), p0(ms)")
	var got []string
	for _, f := range figures {
		got = append(got, fmt.Sprintf("%s %s %s %v", f.name, f.Function, f.Metric, f.Quantile))
	}
	want := []string{"count FUNCTION_COUNT  0", "count(ms) FUNCTION_COUNT ms 0", "sum(a,b) FUNCTION_SUM a,b 0", "p99.9(f(x)) FUNCTION_QUANTILE f(x) 0.9990000000000001", "p0(ms) FUNCTION_QUANTILE ms 0"}
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v\ngot  %q\nwant %q", err, got, want)
	}
	for _, text := range []string{"", "count,", "avg", "avg()", "avg(ms", "p101(ms)", "p(ms)", "p1e2(ms)", "median(ms)", "count,count"} {
		if list, err := parseFigures(text); err == nil {
			t.Errorf("%q is taken as %v", text, list)
		}
	}
}

func BenchmarkCSV(b *testing.B) {
	var text strings.Builder
	text.WriteString("time,host,ms\n")
	const n = 100_000
	for i := range n {
		fmt.Fprintf(&text, "2026-03-01T12:%02d:%02d.%03dZ,web-%d,%d.5\n", i/60%60, i%60, i%1000, i%10, i*37%500)
	}
	b.SetBytes(int64(text.Len()))
	b.ReportAllocs()
	for b.Loop() {
		r := csvOf(b, text.String(), fileOptions{Dims: []string{"host"}, Metrics: []string{"ms"}, Type: "t"})
		m := client.Measurement{Dimensions: map[string]string{}, Metrics: map[string]float64{}}
		for range n {
			if err := r.next(&m); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "lines/s")
}
