package cache_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/prism-data-layer/prism/pkg/cli/clitest"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// hostile is a value that tries to move a cursor, binary one that is not UTF-8.
const (
	hostile = "a\x1b[31mred\x07\nsecond \u202eline"
	binary  = "\xff\x00\xfe"
)

func rig(t *testing.T) *clitest.Rig {
	r := clitest.New(t)
	r.Each = func() {
		r.Refresh()
		r.Gateway.CachePut("greeting", "hello", 15*time.Minute)
		r.Gateway.CachePut("hostile", hostile, time.Hour)
		r.Gateway.CachePut("binary", binary, time.Hour)
		r.Gateway.CachePut("visits", "41", time.Hour)
	}
	r.Each()
	return r
}

func TestWhatIsPrinted(t *testing.T) {
	r := rig(t)
	for name, args := range map[string][]string{
		"get":            {"cache", "get", "greeting"},
		"get-hostile":    {"cache", "get", "hostile", "-o", "json"},
		"get-json":       {"cache", "get", "greeting", "-o", "json"},
		"get-binary":     {"cache", "get", "binary", "-o", "jsonl"},
		"get-missing":    {"cache", "get", "nothing"},
		"get-nowhere":    {"cache", "get", "greeting", "-n", "orders"},
		"get-long-key":   {"cache", "get", strings.Repeat("k", 1025)},
		"set":            {"cache", "set", "greeting", "hi", "--ttl", "30s"},
		"set-json":       {"cache", "set", "greeting", "hi", "-o", "json"},
		"set-if-absent":  {"cache", "set", "greeting", "hi", "--if-absent"},
		"set-if-present": {"cache", "set", "nothing", "hi", "--if-present"},
		"set-both":       {"cache", "set", "greeting", "hi", "--if-present", "--if-absent"},
		"set-nothing":    {"cache", "set", "greeting"},
		"set-no-key":     {"cache", "set"},
		"set-nowhere":    {"cache", "set", "greeting", "hi", "-n", "orders"},
		"delete":         {"cache", "delete", "greeting", "nothing"},
		"delete-json":    {"cache", "delete", "greeting", "nothing", "-o", "json"},
		"delete-none":    {"cache", "delete"},
		"delete-nowhere": {"cache", "rm", "greeting", "-n", "orders"},
		"exists":         {"cache", "exists", "greeting"},
		"exists-json":    {"cache", "exists", "nothing", "-o", "json"},
		"exists-nowhere": {"cache", "exists", "greeting", "-n", "orders"},
		"incr":           {"cache", "incr", "visits"},
		"incr-json":      {"cache", "incr", "budget", "--by=-5", "--initial", "100", "-o", "json"},
		"incr-word":      {"cache", "incr", "greeting"},
		"incr-nowhere":   {"cache", "incr", "visits", "-n", "orders"},
		"stats":          {"cache", "stats"},
		"stats-json":     {"cache", "stats", "-o", "json"},
		"stats-nowhere":  {"cache", "stats", "-n", "orders"},
	} {
		t.Run(name, func(t *testing.T) { r.Golden(name, args...) })
	}
}

func TestGetPrintsTheBytesInAPipe(t *testing.T) {
	r := rig(t)
	if out := r.OK("cache", "get", "binary"); out != binary+"\n" {
		t.Errorf("got %q, want the bytes and a line feed", out)
	}
	if out := r.OK("cache", "get", "binary", "--raw"); out != binary {
		t.Errorf("--raw: got %q, want the bytes alone", out)
	}
	r.TTY = true
	if out := r.OK("cache", "get", "hostile"); strings.ContainsAny(out, "\x1b\x07\u202e") {
		t.Errorf("a terminal got %q", out)
	}
}

func TestAValueComesFromAFileOrFromStandardInput(t *testing.T) {
	r := rig(t)
	path := r.Write("value", "from a file\n")
	r.OK("cache", "set", "a", "--file", path)
	if out := r.OK("cache", "get", "a", "--raw"); out != "from a file\n" {
		t.Errorf("got %q", out)
	}
	r.Stdin = "from a pipe"
	r.OK("cache", "set", "b", "-")
	if out := r.OK("cache", "get", "b"); out != "from a pipe\n" {
		t.Errorf("got %q", out)
	}
	r.Want(2, []string{"the value is given twice"}, "cache", "set", "c", "v", "--file", path)
	r.Want(3, []string{"absent"}, "cache", "set", "c", "--file", "absent")
	for n, code := range map[int]int{prism.MaxValueBytes: 0, prism.MaxValueBytes + 1: 7} {
		r.Stdin = strings.Repeat("x", n)
		r.Want(code, nil, "cache", "set", "big", "-")
	}
	r.Want(7, nil, "cache", "set", "big", strings.Repeat("x", prism.MaxValueBytes+1))
}

func TestDeleteAsksInAProtectedContext(t *testing.T) {
	r := rig(t)
	r.Write(".config/prism/config.yaml", "apiVersion: prism/v1\nkind: User\ncurrent: prod\ncontexts:\n  - name: prod\n    protected: true\n")
	before := len(r.Gateway.Calls())
	r.Want(2, []string{"--yes"}, "cache", "delete", "greeting")
	if calls := r.Gateway.Calls()[before:]; len(calls) != 0 {
		t.Errorf("calls without confirmation: %q", calls)
	}
}

func TestWhatWasDeletedBeforeAFailureIsTold(t *testing.T) {
	r := rig(t)
	n := 0
	r.Gateway.Fail = func(string, metadata.MD) error {
		if n++; n > 1 {
			return prism.New(prism.ReasonBackendUnavailable, "backend %q is down", "volatile")
		}
		return nil
	}
	got := r.Run("cache", "delete", "greeting", "visits")
	if got.Code == 0 || !strings.Contains(got.ErrOut, "1 key deleted") || !strings.Contains(got.Out, "deleted greeting") {
		t.Errorf("exit %d\n%s%s", got.Code, got.Out, got.ErrOut)
	}
}
