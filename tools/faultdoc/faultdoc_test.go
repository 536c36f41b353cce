package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

const lines = `=== RUN   TestFault_F31
    fault_test.go:269: {"duration_ms":627,"id":"F31","starts":10,"verdict":"crash|loop","seed":0}
{"Action":"output","Package":"p","Test":"TestFault_F1","Output":"{\"id\":\"F1\",\"form\":\"full\",\"rounds\":50,\"acked\":131072,\"lost\":0,\"phantom\":0,\"seed\":18446744073709551615,\"duration_ms\":61500,\"more\":{\"reopen_p99_ms\":12,\"by\":[1,2]}}\n"}
{"Action":"pass","Package":"p","Test":"TestFault_F1"}
{"id":"A51","seed":3}
{"id":"none"}
{"id":"F2","rounds":"x"
{ not JSON
{"id":"F2"}
PASS
`

func TestTableIsMadeOfWhatTheTestsPrinted(t *testing.T) {
	t.Parallel()
	var out, errs strings.Builder
	if code := run([]string{"-commit", "abc1234"}, strings.NewReader(lines), &out, &errs); code != exitOK {
		t.Fatalf("exit %d: %s", code, errs.String())
	}
	_, table, _ := strings.Cut(out.String(), "|---|---|---|---|---|---|\n")
	want := `| F1 | full | abc1234 | 18446744073709551615 | rounds 50, acked 131072, lost 0, phantom 0, by [1,2], reopen p99 ms 12 | 61.5 |
| F2 | quick | abc1234 | – |  | – |
| F31 | quick | abc1234 | 0 | starts 10, verdict crash\|loop | 0.6 |
| A51 | quick | abc1234 | 3 |  | – |
`
	if table != want {
		t.Errorf("got\n%s\nwant\n%s", table, want)
	}
}

func TestFaultsThatDidNotRunStay(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "faults.md")
	for _, part := range []struct{ commit, in string }{
		{"old", lines}, {"new", `{"id":"F2","seed":1}` + "\n" + `{"id":"F2","seed":2}` + "\n" + `{"id":"F17","seed":3}` + "\n"},
	} {
		args := []string{"-commit", part.commit, "-out", file}
		if part.commit == "new" {
			args = append(args, "-merge")
		}
		var errs strings.Builder
		if code := run(args, strings.NewReader(part.in), nil, &errs); code != exitOK {
			t.Fatalf("exit %d: %s", code, errs.String())
		}
	}
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "|---|---|---|---|---|---|\n")
	var got []string
	for line := range strings.Lines(table) {
		cells := strings.Split(line, " | ")
		got = append(got, strings.TrimPrefix(cells[0], "| ")+" "+cells[2]+" "+cells[3])
	}
	want := []string{"F1 old 18446744073709551615", "F2 new 1", "F2 new 2", "F17 new 3", "F31 old 0", "A51 old 3"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestPageIsWrittenWhereAsked(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "faults.md")
	var out, errs strings.Builder
	if code := run([]string{"-out", file, "-form", "full"}, strings.NewReader(lines), &out, &errs); code != exitOK {
		t.Fatalf("exit %d: %s", code, errs.String())
	}
	page, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(page), "| F31 | full |") {
		t.Errorf("%v:\n%s", err, page)
	}
}

func TestNothingToWriteIsAFailure(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		in   string
		code int
	}{
		{nil, "PASS\n", exitEmpty},
		{[]string{"-nope"}, lines, exitUsage},
		{[]string{"stray"}, lines, exitUsage},
		{[]string{"-merge", "-out", "not/there.md"}, lines, exitUsage},
		{[]string{"-out", t.TempDir()}, lines, exitUsage},
	} {
		var out, errs strings.Builder
		if code := run(c.args, strings.NewReader(c.in), &out, &errs); code != c.code {
			t.Errorf("%v: exit %d, want %d (%s)", c.args, code, c.code, errs.String())
		}
	}
	var out, errs strings.Builder
	if code := run(nil, iotest.ErrReader(errors.New("gone")), &out, &errs); code != exitUsage {
		t.Errorf("unreadable input: exit %d", code)
	}
}
