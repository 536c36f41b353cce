package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"time"
)

type junitSuite struct {
	XMLName   xml.Name    `xml:"testsuite"`
	Name      string      `xml:"name,attr"`
	Tests     int         `xml:"tests,attr"`
	Failures  int         `xml:"failures,attr"`
	Time      string      `xml:"time,attr"`
	Timestamp string      `xml:"timestamp,attr"`
	Cases     []junitCase `xml:"testcase"`
	Out       string      `xml:"system-out,omitempty"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Time    string        `xml:"time,attr"`
	Failure *junitFailure `xml:"failure,omitempty"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
}

// WriteJUnit writes the thresholds, and the run itself, as test cases.
func (r *Report) WriteJUnit(w io.Writer) error {
	took := fmt.Sprintf("%.3f", r.ElapsedS)
	s := junitSuite{Name: "load test " + clean(r.Workload, 80), Time: took, Timestamp: r.StartedAt.UTC().Format(time.RFC3339), Out: clean(r.Command, 1000)}
	add := func(name, failure string) {
		c := junitCase{Class: "loadtest." + clean(r.Workload, 80), Name: clean(name, 200), Time: took}
		if failure != "" {
			c.Failure = &junitFailure{Message: clean(failure, 1000)}
			s.Failures++
		}
		s.Cases = append(s.Cases, c)
	}
	failed := ""
	for _, v := range r.Verdicts {
		if v.Severity == Fail || v.Code == "aborted" {
			failed += v.Text + "; "
		}
	}
	add("run", failed)
	for _, t := range r.Thresholds {
		failed := ""
		if !t.Pass {
			failed = "measured " + t.Actual
		}
		add(t.Expression, failed)
	}
	s.Tests = len(s.Cases)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(s); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	_, err := io.WriteString(w, "\n")
	return err
}
