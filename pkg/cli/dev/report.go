package dev

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/supervise"
)

// A report is what dev ci has seen.
type report struct {
	Project string       `json:"project"`
	Started time.Time    `json:"started"`
	TookMS  int64        `json:"took_ms"`
	Cases   []reportCase `json:"cases"`
}

// A reportCase is a part that should become ready, or the command.
type reportCase struct {
	Name    string   `json:"name"`
	Passed  bool     `json:"passed"`
	TookMS  int64    `json:"took_ms"`
	Message string   `json:"message,omitempty"`
	LastLog []string `json:"last_log,omitempty"`
}

func (r *report) services(st supervise.Status) {
	for _, s := range st.Services {
		c := reportCase{Name: s.Name, Passed: s.State.Up(), TookMS: s.ReadyMS}
		if !c.Passed {
			c.Message, c.LastLog = plight(s), s.LastLog
		}
		r.Cases = append(r.Cases, c)
	}
}

func (r *report) command(command []string, took time.Duration, err error) {
	c := reportCase{Name: strings.Join(command, " "), Passed: err == nil, TookMS: took.Milliseconds()}
	if err != nil {
		c.Message = err.Error()
	}
	r.Cases = append(r.Cases, c)
}

func (r *report) write(format, file string) error {
	var b bytes.Buffer
	if format == "json" {
		enc := json.NewEncoder(&b)
		enc.SetIndent("", "  ")
		if err := enc.Encode(r); err != nil {
			return err
		}
	} else if err := r.junit(&b); err != nil {
		return err
	}
	return cli.Replace(file, 0o644, func(w io.Writer) error {
		_, err := w.Write(b.Bytes())
		return err
	})
}

type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Time     float64     `xml:"time,attr"`
	Stamp    string      `xml:"timestamp,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	Time    float64       `xml:"time,attr"`
	Failure *junitFailure `xml:"failure,omitempty"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// junit writes the report as programs of builds read it.
func (r *report) junit(b *bytes.Buffer) error {
	s := junitSuite{Name: "prismctl dev ci " + r.Project, Tests: len(r.Cases), Time: seconds(r.TookMS), Stamp: r.Started.UTC().Format("2006-01-02T15:04:05")}
	for _, c := range r.Cases {
		j := junitCase{Name: printable(c.Name), Class: "prismctl.dev", Time: seconds(c.TookMS)}
		if !c.Passed {
			s.Failures++
			j.Failure = &junitFailure{printable(c.Message), printable(strings.Join(c.LastLog, "\n"))}
		}
		s.Cases = append(s.Cases, j)
	}
	b.WriteString(xml.Header)
	enc := xml.NewEncoder(b)
	enc.Indent("", "  ")
	if err := enc.Encode(s); err != nil {
		return err
	}
	b.WriteByte('\n')
	return nil
}

func seconds(ms int64) float64 { return float64(ms) / 1000 }

// printable leaves out what XML cannot hold.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || r < ' ' && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, s)
}
