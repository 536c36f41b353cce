// Command testsum reads `go test -json` and prints what a person wants of it:
// the ok lines, the whole output of what failed, and every skipped test with its
// reason, so that nothing is skipped in silence.
//
//	go test -json ./... | testsum -add totals
//	testsum -total totals
//
// It exits 1 when a test or a build failed, and with -require also when a test
// was skipped: on a machine that should have everything, that is a failure.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// Exit codes.
const (
	exitOK    = 0
	exitRed   = 1
	exitUsage = 2
)

func run(args []string, in io.Reader, out, errs io.Writer) int {
	flags := flag.NewFlagSet("testsum", flag.ContinueOnError)
	flags.SetOutput(errs)
	require := flags.Bool("require", false, "a skipped test is a failure")
	add := flags.String("add", "", "add the counts to this file")
	total := flags.String("total", "", "print the sum of this file and read nothing else")
	if err := flags.Parse(args); err != nil || flags.NArg() > 0 {
		return exitUsage
	}
	fail := func(err error) int {
		fmt.Fprintln(errs, "testsum:", err)
		return exitUsage
	}
	if *total != "" {
		sum, err := readCounts(*total)
		if err != nil {
			return fail(err)
		}
		for _, r := range sum.Red {
			fmt.Fprintf(out, "RED %s\n%s", r.Name, r.Said)
		}
		fmt.Fprintln(out, sum)
		return sum.verdict(*require)
	}
	s := summary{out: out, held: map[string][]string{}, ran: map[string]bool{}, blame: map[string][]string{}}
	if err := s.read(in); err != nil {
		return fail(err)
	}
	s.print()
	if *add != "" {
		if err := addCounts(*add, s.counts); err != nil {
			return fail(err)
		}
	}
	return s.counts.verdict(*require)
}

// An event is one line of test2json.
type event struct {
	Action      string
	Package     string
	ImportPath  string // of build events
	Test        string
	Output      string
	Elapsed     float64
	FailedBuild string
}

// A summary holds back the output of tests until it is known whether they fail.
type summary struct {
	out    io.Writer
	held   map[string][]string // package and test → its output
	ran    map[string]bool     // packages that had a test
	blame  map[string][]string // package → output of its build
	skips  []string
	counts counts
}

func (s *summary) read(in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil || e.Action == "" {
			fmt.Fprintln(s.out, lines.Text())
			continue
		}
		s.take(e)
	}
	return lines.Err()
}

func (s *summary) take(e event) {
	id := e.Package + " " + e.Test
	switch e.Action {
	case "output":
		s.held[id] = append(s.held[id], e.Output)
	case "build-output":
		s.blame[e.ImportPath] = append(s.blame[e.ImportPath], e.Output)
	case "build-fail":
		fmt.Fprint(s.out, strings.Join(s.blame[e.ImportPath], ""))
	case "pass", "fail", "skip":
		if e.Test == "" {
			s.endPackage(e)
		} else {
			s.ran[e.Package] = true
			s.endTest(e, id)
		}
		delete(s.held, id)
	}
}

func (s *summary) endTest(e event, id string) {
	switch e.Action {
	case "pass":
		s.counts.Passed++
	case "fail":
		s.counts.Failed++
		fmt.Fprint(s.out, strings.Join(s.held[id], ""))
		s.counts.Red = append(s.counts.Red, failure{id, digest(s.held[id])})
	case "skip":
		s.counts.Skipped++
		s.skips = append(s.skips, id+": "+reason(s.held[id]))
	}
}

// reason is what a test said before it was skipped.
func reason(output []string) string {
	var said []string
	for _, line := range output {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "=== ") && !strings.HasPrefix(line, "--- ") {
			said = append(said, line)
		}
	}
	if said == nil {
		return "no reason given"
	}
	return strings.Join(said, " ")
}

func (s *summary) endPackage(e event) {
	switch e.Action {
	case "pass":
		// With a coverage profile, go test passes a package that has none.
		if !s.ran[e.Package] {
			fmt.Fprintf(s.out, "?   \t%s\t[no tests]\n", e.Package)
			return
		}
		fmt.Fprintf(s.out, "ok  \t%s\t%.3fs\n", e.Package, e.Elapsed)
	case "fail":
		s.counts.Packages++
		// A test that was still running is red, too.
		if said := slices.Concat(s.blame[e.FailedBuild], s.held[e.Package+" "]); len(s.running(e.Package)) > 0 || s.blamed(e.Package) == 0 {
			s.counts.Red = append(s.counts.Red, failure{e.Package, digest(said)})
		}
		if e.FailedBuild == "" { // what a package says besides its tests: a panic, a race
			fmt.Fprint(s.out, strings.Join(s.held[e.Package+" "], ""))
			// A test that was still running has said why in its own name.
			for _, id := range s.running(e.Package) {
				fmt.Fprint(s.out, strings.Join(s.held[id], ""))
			}
		}
		fmt.Fprintf(s.out, "FAIL\t%s\t%.3fs\n", e.Package, e.Elapsed)
	}
}

func (s *summary) running(pkg string) []string {
	var ids []string
	for id := range s.held {
		if strings.HasPrefix(id, pkg+" ") && id != pkg+" " {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (s *summary) print() {
	for _, skip := range s.skips {
		fmt.Fprintln(s.out, "NOT RUN", skip)
	}
	fmt.Fprintln(s.out, s.counts)
}

// blamed counts the red tests of a package.
func (s *summary) blamed(pkg string) (n int) {
	for _, r := range s.counts.Red {
		if strings.HasPrefix(r.Name, pkg+" ") {
			n++
		}
	}
	return n
}

// A red test and the beginning and the end of what it said: what is told once
// more at the end, where a long log is cut.
type failure struct{ Name, Said string }

const (
	digestHead  = 6
	digestTail  = 6
	digestWidth = 240
)

func digest(output []string) string {
	lines := strings.Split(strings.TrimRight(strings.Join(output, ""), "\n"), "\n")
	if skip := len(lines) - digestHead - digestTail; skip > 0 {
		lines = slices.Concat(lines[:digestHead], []string{fmt.Sprintf("… %d lines", skip)}, lines[len(lines)-digestTail:])
	}
	var b strings.Builder
	for _, l := range lines {
		if r := []rune(l); len(r) > digestWidth {
			l = string(r[:digestWidth]) + "…"
		}
		b.WriteString("    " + l + "\n")
	}
	return b.String()
}

// counts are of tests and their subtests; Packages counts the red ones.
type counts struct {
	Passed, Failed, Skipped, Packages int
	Red                               []failure `json:",omitempty"`
}

func (c counts) String() string {
	text := fmt.Sprintf("%d passed, %d failed, %d not run", c.Passed, c.Failed, c.Skipped)
	if c.Packages > 0 {
		text += fmt.Sprintf(", %d packages FAIL", c.Packages)
	}
	return text
}

func (c counts) verdict(require bool) int {
	if c.Failed > 0 || c.Packages > 0 || require && c.Skipped > 0 || c.Passed == 0 {
		return exitRed
	}
	return exitOK
}

func addCounts(file string, c counts) error {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	err = json.NewEncoder(f).Encode(c)
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

func readCounts(file string) (sum counts, err error) {
	f, err := os.Open(file)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	for lines := json.NewDecoder(f); ; {
		var c counts
		if err := lines.Decode(&c); err == io.EOF {
			return sum, nil
		} else if err != nil {
			return sum, fmt.Errorf("%s: %w", file, err)
		}
		sum.Passed += c.Passed
		sum.Failed += c.Failed
		sum.Skipped += c.Skipped
		sum.Packages += c.Packages
		sum.Red = append(sum.Red, c.Red...)
	}
}
