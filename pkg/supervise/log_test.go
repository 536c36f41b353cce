//go:build linux

package supervise

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
)

func book(t *testing.T, dir string) *logBook {
	t.Helper()
	b, err := openLog(dir, "app", clock.Real(), nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func texts(ls []Line) []string {
	out := make([]string, len(ls))
	for i, l := range ls {
		out[i] = l.Text
	}
	return out
}

func equal(t *testing.T, got []Line, want ...string) {
	t.Helper()
	if g, w := fmt.Sprintf("%q", texts(got)), fmt.Sprintf("%q", want); g != w {
		t.Fatalf("got %s, want %s", g, w)
	}
}

func TestLogKeepsEveryLineOfARunAndNoneOfOurOwn(t *testing.T) {
	dir := t.TempDir()
	b := book(t, dir)
	b.begin(7)
	io.WriteString(b.w, "one\n\ntwo\r\n\n\nlast without newline")
	b.finish()
	if got := fmt.Sprintf("%q", b.last(20)); got != `["one" "" "two" "" "" "last without newline"]` {
		t.Fatalf("in memory: %s", got)
	}
	b.begin(8)
	io.WriteString(b.w, "next\n")
	b.finish()
	if got := fmt.Sprintf("%q", b.last(20)); got != `["next"]` {
		t.Fatalf("of the next run: %s", got)
	}
	b.close()
	ls, err := ReadLogs(dir, LogQuery{})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, ls, "one", "", "two", "", "", "last without newline", "next")
	ls, err = ReadLogs(dir, LogQuery{Previous: true})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, ls, "one", "", "two", "", "", "last without newline")
	if ls[0].PID != 7 || time.Since(ls[0].Time) > time.Hour {
		t.Fatalf("got %+v", ls[0])
	}
}

func TestLogOfAnEarlierSupervisorIsKept(t *testing.T) {
	dir := t.TempDir()
	for i := range 2 {
		b := book(t, dir)
		b.begin(100 + i)
		fmt.Fprintf(b.w, "run %d\n", i)
		b.finish()
		b.close()
	}
	ls, err := ReadLogs(dir, LogQuery{Previous: true})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, ls, "run 0")
}

func TestLogFileIsBoundedByRotation(t *testing.T) {
	dir := t.TempDir()
	b := book(t, dir)
	line := strings.Repeat("y", 1<<20-100)
	for i := range 50 {
		fmt.Fprintf(b.w, "%d %s\n", i, line)
	}
	b.finish()
	b.close()
	files, _ := filepath.Glob(filepath.Join(dir, "app.log*"))
	var sum int64
	for _, f := range files {
		fi, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		sum += fi.Size()
	}
	if len(files) != 1+filesKept || sum > (1+filesKept)*(fileBytes+maxLineBytes) {
		t.Fatalf("%d files of %d bytes", len(files), sum)
	}
	ls, err := ReadLogs(dir, LogQuery{Tail: 3})
	if err != nil || len(ls) != 3 || !strings.HasPrefix(ls[2].Text, "49 ") || ls[2].Cut == 0 {
		t.Fatalf("%d lines, %v", len(ls), err)
	}
}

func TestLineOfAMegabyteIsCutInMemoryAndWholeInTheFile(t *testing.T) {
	r := supervise(t, Options{Services: []Spec{childSpec("app", "longline", "")}})
	r.ready()
	until(t, "the line after it is there", func() bool { l := r.service("app").logs.last(1); return len(l) == 1 && l[0] == "after the long line" })
	var got []Line
	if err := r.Logs(context.Background(), LogQuery{}, func(l Line) error { got = append(got, l); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || len(got[0].Text) != maxTextBytes || len(got[0].Text)+got[0].Cut != 1<<20+3 {
		t.Fatalf("%d lines, the first has %d + %d bytes", len(got), len(got[0].Text), got[0].Cut)
	}
	b, err := os.ReadFile(r.service("app").logs.path)
	if err != nil || bytes.Count(b, []byte("x")) != 1<<20 {
		t.Fatalf("the file has %d of it, %v", bytes.Count(b, []byte("x")), err)
	}
}

func TestManyLinesDoNotHoldUpTheChildNorASlowReader(t *testing.T) {
	const n = 50_000
	r := supervise(t, Options{Services: []Spec{childSpec("app", "spam", itoa(n))}})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r.lines.subscribe(ctx, 1) // never read
	began := time.Now()
	r.ready()
	until(t, "it has said all", func() bool { l := r.service("app").logs.last(1); return len(l) == 1 && l[0] == "spam is over" })
	if took := time.Since(began); took > 5*n/10_000*time.Second {
		t.Fatalf("%d lines took %s", n, took)
	}
	count := 0
	if err := r.Logs(ctx, LogQuery{Grep: "^spam line"}, func(Line) error { count++; return nil }); err != nil || count != n {
		t.Fatalf("%d of %d lines are in the file, %v", count, n, err)
	}
}

// A reader that is slow, and one that does not read at all, cost a bounded
// memory and hold up nobody.
func TestFloodCostsNeitherMemoryNorOtherReaders(t *testing.T) {
	r := supervise(t, Options{Services: []Spec{childSpec("app", "flood", ""), childSpec("other", "talk", "hello")}})
	r.ready()
	stuck, err := net.Dial("unix", r.opts.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer stuck.Close()
	fmt.Fprintf(stuck, `{"v":1,"op":"logs","logs":{"follow":true,"tail":1}}`+"\n")
	for range 3 {
		r.lines.subscribeBounded(t.Context(), 4096, followBytes) // never read
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	lines, missed, bytes, peak := 0, 0, 0, uint64(0)
	var m runtime.MemStats
	err = r.Logs(ctx, LogQuery{Services: []string{"app"}, Follow: true, Tail: 1}, func(l Line) error {
		lines++
		missed += l.Missed
		bytes += len(l.Text) + l.Cut
		if lines%500 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
		}
		if bytes > 80<<20 {
			return io.EOF
		}
		return nil
	})
	if err != io.EOF {
		t.Fatal(err)
	}
	// What waits for those that do not read, which is the same for all of them,
	// for one that does, the ring, and what is under way.
	if most := uint64(2*followBytes + ringBytes + 20<<20); peak > most {
		t.Errorf("the heap grew to %d MiB, at most %d are allowed", peak>>20, most>>20)
	}
	began := time.Now()
	if st, err := dial(t, r.opts.Socket).Status(ctx); err != nil || !st.Ready {
		t.Errorf("status in the flood: %+v, %v", st, err)
	}
	t.Logf("%d lines of %d MiB were read and %d missed; heap %d MiB; status in %s", lines, bytes>>20, missed, peak>>20, time.Since(began))
}

func TestSubscriberThatMissedLinesIsTold(t *testing.T) {
	var f fan[Line]
	c := f.subscribe(context.Background(), 2)
	told := func(l *Line, n int) { l.Missed = n }
	for i := range 5 {
		f.send(Line{Text: itoa(i)}, told)
	}
	<-c
	<-c
	f.send(Line{Text: "5"}, told)
	if l := <-c; l.Text != "5" || l.Missed != 3 {
		t.Fatalf("got %+v", l)
	}
	f.close()
	if _, ok := <-c; ok {
		t.Fatal("not closed")
	}
	if _, ok := <-f.subscribe(context.Background(), 1); ok {
		t.Fatal("a closed fan took a subscriber")
	}
}

func TestLogsOfTwoServicesAreMergedByTime(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, rows ...string) {
		if err := os.WriteFile(logPath(dir, name), []byte(strings.Join(rows, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a", "2026-01-01T00:00:01.000000000Z 1 a1", "not ours", "2026-01-01T00:00:03.000000000Z 1 a3 x", "2026-01-01T00:00:05.000000000Z one a5")
	write("b", "2026-01-01T00:00:02.000000000Z 2 b2", "2026-01-01T00:00:04.000000000Z 2 b4 x")
	for name, c := range map[string]struct {
		q    LogQuery
		want string
	}{
		"all":    {LogQuery{}, "a1 b2 a3 x b4 x"},
		"one":    {LogQuery{Services: []string{"b"}}, "b2 b4 x"},
		"grep":   {LogQuery{Grep: "x$"}, "a3 x b4 x"},
		"tail":   {LogQuery{Tail: 1}, "b4 x"},
		"since":  {LogQuery{Since: time.Date(2026, 1, 1, 0, 0, 3, 0, time.UTC)}, "a3 x b4 x"},
		"nobody": {LogQuery{Services: []string{"c"}}, ""},
	} {
		ls, err := ReadLogs(dir, c.q)
		if got := strings.Join(texts(ls), " "); err != nil || got != c.want {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, c.want)
		}
	}
	for name, q := range map[string]LogQuery{
		"grep": {Grep: "("}, "tail": {Tail: -1}, "previous": {Previous: true, Follow: true}, "follow": {Follow: true},
		"level": {Level: "loud"}, "back": {Back: 2},
	} {
		if _, err := ReadLogs(dir, q); !errors.Is(err, prism.ReasonInvalidArgument) || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestPreviousGoesBackOverManyRuns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var rows []string
	for i := range 4 {
		for j := range 2 {
			rows = append(rows, fmt.Sprintf("2026-01-01T00:00:0%d.%d00000000Z %d run%d", i, j, 70+i, i))
		}
	}
	if err := os.WriteFile(logPath(dir, "a"), []byte(strings.Join(rows, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for back, want := range map[int]string{0: "run2 run2", 1: "run2 run2", 2: "run1 run1", 3: "run0 run0", 4: "", maxBack: ""} {
		ls, err := ReadLogs(dir, LogQuery{Previous: true, Back: back})
		if got := strings.Join(texts(ls), " "); err != nil || got != want {
			t.Errorf("%d back: got %q, %v, want %q", back, got, err, want)
		}
	}
}

func TestLevelLetsThroughWhatNamesAtLeastThat(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var rows []string
	for i, text := range []string{
		`{"time":"2026-01-01T00:00:00Z","level":"DEBUG","msg":"j-debug level=ERROR"}`,
		`time=2026-01-01T00:00:00Z level=INFO msg=t-info`,
		`gateway | {"level":"WARN+1","msg":"j-warn"}`,
		`level=ERROR msg=t-error`,
		`{"level":"fatal","msg":"j-fatal"}`,
		`{"level":"","msg":"empty"}`,
		`ERROR a word is no level`,
		`level=high water`,
	} {
		rows = append(rows, fmt.Sprintf("2026-01-01T00:00:0%d.000000000Z 1 %s", i, text))
	}
	if err := os.WriteFile(logPath(dir, "a"), []byte(strings.Join(rows, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for level, want := range map[string]int{"": 8, "debug": 5, "info": 4, "warn": 3, "WARNING": 3, "error": 2} {
		if ls, err := ReadLogs(dir, LogQuery{Level: level}); err != nil || len(ls) != want {
			t.Errorf("%q: %d lines, %v, want %d", level, len(ls), err, want)
		}
	}
}

func TestSubscriberIsBoundedInBytesToo(t *testing.T) {
	t.Parallel()
	f := fan[string]{weigh: func(s string) int { return len(s) }}
	c, took := f.subscribeBounded(t.Context(), 100, 10)
	send := func(v string) { f.send(v, nil) }
	send("12345")
	send("67890")
	send("x") // too much
	got := <-c
	took(got)
	send("abcde")
	send("y") // too much again
	f.close()
	for v := range c {
		got += " " + v
	}
	if got != "12345 67890 abcde" {
		t.Errorf("got %q", got)
	}
}

func TestFollowedLogHasNoGapAndNoDouble(t *testing.T) {
	r := supervise(t, Options{Services: []Spec{childSpec("app", "spam", "3000"), childSpec("other", "talk", "hello")}})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	next := 0
	stop := errors.New("enough")
	err := r.Logs(ctx, LogQuery{Services: []string{"app"}, Follow: true}, func(l Line) error {
		if l.Text == "spam is over" {
			return stop
		}
		if want := fmt.Sprintf("spam line number %d with some text to it", next); l.Text != want || l.Missed != 0 {
			return fmt.Errorf("got %q (missed %d), want %q", l.Text, l.Missed, want)
		}
		next++
		return nil
	})
	if err != stop || next != 3000 {
		t.Fatalf("%d lines, %v", next, err)
	}
	if err := r.Logs(ctx, LogQuery{Services: []string{"nobody"}}, func(Line) error { return nil }); !errors.Is(err, prism.ReasonNotFound) {
		t.Fatalf("got %v", err)
	}
}

func FuzzLogLine(f *testing.F) {
	f.Add([]byte("2026-01-01T00:00:01.000000000Z 1 a1"))
	f.Add([]byte("2026-01-01T00:00:01.000000000Z "))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, ok := parseLine("app", b)
		if ok && len(l.Text)+l.Cut > len(b) {
			t.Fatalf("%q has more text than there was", b)
		}
	})
}

func FuzzStateFile(f *testing.F) {
	f.Add([]byte(`{"format":1,"processes":[{"name":"a","pid":7,"start":9}]}`))
	f.Add([]byte(`{"format":2}`))
	f.Add([]byte(`{`))
	f.Fuzz(func(t *testing.T, b []byte) {
		st, err := decodeState(b)
		if (st == nil) == (err == nil) {
			t.Fatalf("%q: %v, %v", b, st, err)
		}
		if st == nil {
			return
		}
		for _, p := range st.Processes {
			if ourCgroup(p.Cgroup, "t") && !strings.HasPrefix(p.Cgroup, "/") {
				t.Fatalf("%q may be killed", p.Cgroup)
			}
		}
	})
}
