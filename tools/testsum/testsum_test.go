package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

const green = `{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"noise of A\n"}
{"Action":"pass","Package":"p","Test":"TestA","Elapsed":0.1}
{"Action":"output","Package":"p","Output":"PASS\n"}
{"Action":"pass","Package":"p","Elapsed":1.5}
`

const skipped = `{"Action":"output","Package":"p","Test":"TestB","Output":"=== RUN   TestB\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:7: no redis here\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"--- SKIP: TestB (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestB","Elapsed":0}
{"Action":"skip","Package":"p","Test":"TestC","Elapsed":0}
`

const red = `{"Action":"output","Package":"q","Test":"TestD","Output":"    d_test.go:9: got 1, want 2\n"}
{"Action":"fail","Package":"q","Test":"TestD","Elapsed":0}
{"Action":"output","Package":"q","Test":"TestE","Output":"panic: E\n"}
{"Action":"output","Package":"q","Output":"exit status 2\n"}
{"Action":"fail","Package":"q","Elapsed":0}
`

const broken = `{"ImportPath":"r","Action":"build-output","Output":"r.go:1: syntax error\n"}
{"ImportPath":"r","Action":"build-fail"}
{"Action":"fail","Package":"r","Elapsed":0,"FailedBuild":"r"}
`

func TestOnlyWhatMattersIsPrinted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, in string
		args     []string
		code     int
		want     []string
		not      string
	}{
		{"green", green, nil, exitOK, []string{"ok  \tp\t1.500s", "1 passed, 0 failed, 0 not run\n"}, "noise"},
		{"skipped", green + skipped, nil, exitOK, []string{"NOT RUN p TestB: b_test.go:7: no redis here\n", "NOT RUN p TestC: no reason given", "2 not run"}, "--- SKIP"},
		{"skipped where all is required", green + skipped, []string{"-require"}, exitRed, []string{"2 not run"}, ""},
		{"red", green + red, nil, exitRed, []string{"got 1, want 2", "panic: E", "exit status 2", "FAIL\tq", "1 passed, 1 failed, 0 not run, 1 packages FAIL"}, "noise"},
		{"not built", green + broken, nil, exitRed, []string{"r.go:1: syntax error", "FAIL\tr"}, ""},
		{"no test at all", "", nil, exitRed, []string{"0 passed"}, ""},
		{"a package without tests", green + `{"Action":"pass","Package":"none","Elapsed":0}`, nil, exitOK, []string{"?   \tnone\t[no tests]"}, "ok  \tnone"},
		{"a line that is no event", "go: warning\n" + green, nil, exitOK, []string{"go: warning\n"}, ""},
	} {
		var out, errs strings.Builder
		code := run(c.args, strings.NewReader(c.in), &out, &errs)
		if code != c.code {
			t.Errorf("%s: exit %d, want %d\n%s%s", c.name, code, c.code, out.String(), errs.String())
		}
		for _, w := range c.want {
			if !strings.Contains(out.String(), w) {
				t.Errorf("%s: lacks %q:\n%s", c.name, w, out.String())
			}
		}
		if c.not != "" && strings.Contains(out.String(), c.not) {
			t.Errorf("%s: has %q:\n%s", c.name, c.not, out.String())
		}
	}
}

func TestCountsOfSeveralRunsAreSummed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "totals")
	var out, errs strings.Builder
	for range 2 {
		if code := run([]string{"-add", file}, strings.NewReader(green+skipped), &out, &errs); code != exitOK {
			t.Fatalf("exit %d: %s", code, errs.String())
		}
	}
	out.Reset()
	if code := run([]string{"-total", file}, nil, &out, &errs); code != exitOK || out.String() != "2 passed, 0 failed, 4 not run\n" {
		t.Errorf("exit %d: %q", code, out.String())
	}
	if code := run([]string{"-total", file, "-require"}, nil, &out, &errs); code != exitRed {
		t.Errorf("skipped where all is required: exit %d", code)
	}
	run([]string{"-add", file}, strings.NewReader(red+broken), &out, &errs)
	out.Reset()
	if code := run([]string{"-total", file}, nil, &out, &errs); code != exitRed {
		t.Errorf("a red run among them: exit %d", code)
	}
	// What failed is told once more, where it is seen.
	for _, w := range []string{"RED q TestD\n        d_test.go:9: got 1, want 2\n", "RED r\n    r.go:1: syntax error\n"} {
		if !strings.Contains(out.String(), w) {
			t.Errorf("lacks %q:\n%s", w, out.String())
		}
	}
}

func TestALongComplaintIsCutInTheMiddle(t *testing.T) {
	t.Parallel()
	var said []string
	for i := range 40 {
		said = append(said, fmt.Sprintf("line %d %s\n", i, strings.Repeat("x", 300)))
	}
	got := digest(said)
	if n := strings.Count(got, "\n"); n != digestHead+1+digestTail || !strings.Contains(got, "… 28 lines") || !strings.Contains(got, "line 39") || len(got) > 13*(digestWidth+10) {
		t.Errorf("got %s", got)
	}
}

func TestBadUseIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, args := range [][]string{{"-nope"}, {"stray"}, {"-total", filepath.Join(dir, "absent")}, {"-add", filepath.Join(dir, "no", "folder")}} {
		var out, errs strings.Builder
		if code := run(args, strings.NewReader(green), &out, &errs); code != exitUsage || args[0] != "stray" && errs.Len() == 0 {
			t.Errorf("%v: exit %d, said %q", args, code, errs.String())
		}
	}
	bad := filepath.Join(dir, "bad")
	if err := addCounts(bad, counts{Passed: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := readCounts(filepath.Join("testsum_test.go")); err == nil {
		t.Error("a file of something else was summed")
	}
}
