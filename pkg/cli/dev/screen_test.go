package dev

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/clipperhouse/displaywidth"

	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/supervise"
)

func services(n int) supervise.Status {
	st := supervise.Status{Services: []supervise.ServiceStatus{
		{Name: "redis", State: supervise.Ready, ReadyMS: 1500, Listen: map[string]string{"client": "127.0.0.1:6379"}},
		{Name: "prismd", State: supervise.Starting, Restarts: 2, Message: "waits for\x1b[31m dex " + strings.Repeat("long ", 30), Listen: map[string]string{"data": "127.0.0.1:8980", "admin": "127.0.0.1:8981", "metrics": "127.0.0.1:9090"}},
	}}
	for len(st.Services) < n {
		st.Services = append(st.Services, supervise.ServiceStatus{Name: "more", State: supervise.Crashed})
	}
	return st
}

func TestTableFitsIntoEightyColumnsAndIsSafe(t *testing.T) {
	t.Parallel()
	ios, _, _, _ := iostreams.Test()
	ios.SetTTY(true, true, true)
	ios.SetSize(80, 24)
	ios.SetEnv(map[string]string{"NO_COLOR": "1"})
	begun := iostreams.TestTime()
	lines := (&screen{io: ios, begun: begun}).lines(services(2), begun.Add(2*time.Second))
	want := []string{"SERVICE  STATE     ELAPSED  PORT            RESTARTS", "redis    ready     1.5s     6379            0", "prismd   starting  2.0s     8980,8981,9090  2         waits for"}
	for i, w := range want {
		if !strings.HasPrefix(strings.TrimRight(lines[i], " "), w) {
			t.Errorf("line %d is %q, want %q", i, lines[i], w)
		}
		if n := displaywidth.String(lines[i]); n > 80 || strings.Contains(lines[i], "\x1b") {
			t.Errorf("line %d has %d columns, or an escape: %q", i, n, lines[i])
		}
	}
}

func TestTableIsDrawnOverItselfAndNeverScrolls(t *testing.T) {
	t.Parallel()
	ios, _, _, errOut := iostreams.Test()
	ios.SetTTY(true, true, true)
	ios.SetSize(80, 10)
	s := &screen{io: ios, begun: iostreams.TestTime()}
	s.draw(services(30), iostreams.TestTime())
	first := errOut.String()
	if n := strings.Count(first, "\n"); n != 9 || !strings.Contains(first, "23 more") || strings.Contains(first, "A\r") {
		t.Errorf("%d lines on 10 rows:\n%q", n, first)
	}
	errOut.Reset()
	s.draw(services(3), iostreams.TestTime())
	if got := errOut.String(); !regexp.MustCompile(`^\x1b\[\?7l\x1b\[9A\r`).MatchString(got) || !strings.HasSuffix(got, clearBelow+wrapOn) {
		t.Errorf("it does not go up by what it drew:\n%q", got)
	}
}
