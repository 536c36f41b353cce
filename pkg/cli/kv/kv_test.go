package kv_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/clitest"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	keyvaluev1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

// hostile is a value that tries to move a cursor, and one that is not UTF-8.
const (
	hostile = "a\x1b[31mred\x07\nsecond \u202eline"
	binary  = "\xff\x00\xfe"
)

func rig(t *testing.T) *clitest.Rig {
	r := clitest.New(t)
	r.Each = func() {
		r.Refresh()
		r.Gateway.Put("kv", "greeting", "hello")
		r.Gateway.Put("kv", "hostile", hostile)
		r.Gateway.Put("kv", "binary", binary)
		r.Gateway.Put("kv", "wide", "猫 🐈 a very long value that does not fit into a line of eighty columns")
	}
	r.Each()
	return r
}

func TestWhatIsPrinted(t *testing.T) {
	r := rig(t)
	for name, args := range map[string][]string{
		"get":             {"kv", "get", "greeting"},
		"get-json":        {"kv", "get", "hostile", "-o", "json"},
		"get-binary":      {"kv", "get", "binary", "-o", "jsonl"},
		"get-table":       {"kv", "get", "greeting", "-o", "table"},
		"get-missing":     {"kv", "get", "nothing"},
		"get-nowhere":     {"kv", "get", "greeting", "-n", "orders"},
		"get-long-key":    {"kv", "get", strings.Repeat("k", 1025)},
		"set":             {"kv", "set", "greeting", "hi", "--ttl", "30s"},
		"set-json":        {"kv", "set", "greeting", "hi", "-o", "json"},
		"set-odd-key":     {"kv", "set", "it's \x1b[1m", "hi"},
		"set-create-only": {"kv", "set", "greeting", "hi", "--create-only"},
		"set-version":     {"kv", "set", "greeting", "hi", "--if-version", "7"},
		"set-nothing":     {"kv", "set", "greeting"},
		"set-no-key":      {"kv", "set"},
		"set-twice":       {"kv", "set", "greeting", "hi", "-f", "x"},
		"set-no-file":     {"kv", "set", "greeting", "-f", "absent"},
		"set-stdin-tty":   {"kv", "set", "empty", "-"},
		"delete":          {"kv", "delete", "greeting", "nothing"},
		"delete-json":     {"kv", "delete", "greeting", "nothing", "-o", "json"},
		"delete-many-if":  {"kv", "delete", "greeting", "nothing", "--if-version", "1"},
		"delete-nothing":  {"kv", "delete"},
		"scan":            {"kv", "scan"},
		"scan-json":       {"kv", "scan", "--limit", "2", "-o", "json"},
		"scan-keys":       {"kv", "scan", "--keys"},
		"scan-range":      {"kv", "scan", "--start", "g", "--end", "h", "--reverse", "-q"},
		"scan-none":       {"kv", "scan", "zzz"},
		"scan-nowhere":    {"kv", "scan", "-n", "orders"},
		"watch":           {"kv", "watch", "--limit", "3"},
		"watch-json":      {"kv", "watch", "s-", "--values", "--limit", "1", "-o", "json"},
		"watch-no-end":    {"kv", "watch", "--jq", ".key"},
		"watch-nowhere":   {"kv", "watch", "-n", "orders"},
		"export":          {"kv", "export"},
		"export-nowhere":  {"kv", "export", "-n", "orders"},
		"import-absent":   {"kv", "import", "absent.jsonl"},
	} {
		t.Run(name, func(t *testing.T) { r.Golden(name, args...) })
	}
}

func TestGetPrintsTheBytesInAPipe(t *testing.T) {
	r := rig(t)
	if out := r.OK("kv", "get", "binary"); out != binary+"\n" {
		t.Errorf("got %q, want the bytes and a line feed", out)
	}
	if out := r.OK("kv", "get", "binary", "--raw"); out != binary {
		t.Errorf("--raw: got %q, want the bytes alone", out)
	}
	r.TTY = true
	if out := r.OK("kv", "get", "hostile"); strings.ContainsAny(out, "\x1b\x07\u202e") {
		t.Errorf("a terminal got %q", out)
	}
}

func TestNoFormatLetsAValueReachATerminalUnescaped(t *testing.T) {
	r := rig(t)
	r.TTY = true
	r.Env["NO_COLOR"] = "1"
	r.Gateway.Put("kv", "k\x1b[2J\u009b", hostile)
	for _, format := range []string{"table", "wide", "json", "jsonl", "yaml", "name", "csv", "jsonpath={[*].value}", "go-template={{range .}}{{.key}}{{.value}}{{end}}", "custom-columns=K:.key,V:.value"} {
		for _, c := range r.OK("kv", "scan", "-o", format) {
			if c < ' ' && c != '\n' && c != '\t' || c >= 0x7f && c < 0xa0 || c == 0x202e {
				t.Errorf("-o %s: %U reached the terminal", format, c)
			}
		}
	}
	if out := r.OK("kv", "scan", "--jq", ".[].value"); strings.ContainsAny(out, "\x1b\x07") {
		t.Errorf("--jq: %q", out)
	}
}

func TestAValueComesFromAFileOrFromStandardInput(t *testing.T) {
	r := rig(t)
	path := r.Write("value", "from a file\n")
	r.OK("kv", "set", "a", "--file", path)
	if out := r.OK("kv", "get", "a", "--raw"); out != "from a file\n" {
		t.Errorf("got %q", out)
	}
	r.Stdin = "from a pipe"
	r.OK("kv", "set", "b", "-")
	r.OK("kv", "set", "c", "-f", "-")
	for _, key := range []string{"b", "c"} {
		if out := r.OK("kv", "get", key); out != "from a pipe\n" {
			t.Errorf("%s: got %q", key, out)
		}
	}
	r.OK("kv", "set", "d", "--", "-5")
	if out := r.OK("kv", "get", "d"); out != "-5\n" {
		t.Errorf("got %q", out)
	}
	r.Want(2, []string{"standard input is a terminal"}, func() []string { r.TTY = true; return []string{"kv", "set", "e", "-"} }()...)
}

func TestAValueOver1MiBIsRefusedBeforeItIsSent(t *testing.T) {
	r := rig(t)
	before := len(r.Gateway.Calls())
	for n, code := range map[int]int{prism.MaxValueBytes: 0, prism.MaxValueBytes + 1: 7} {
		r.Stdin = strings.Repeat("x", n)
		r.Want(code, nil, "kv", "set", "big", "-")
	}
	if calls := r.Gateway.Calls()[before:]; len(calls) != 1 {
		t.Errorf("calls: %q, want one", calls)
	}
}

func TestTheNamespaceIsFlagThenEnvironmentThenProjectThenTheModels(t *testing.T) {
	r := rig(t)
	for _, ns := range []string{"flag", "env", "project"} {
		r.OK("namespace", "create", ns)
		r.Gateway.Put(ns, "where", ns)
	}
	r.Gateway.Put("kv", "where", "kv")
	expect := func(want string, args ...string) {
		t.Helper()
		if out := r.OK(append([]string{"kv", "get", "where"}, args...)...); out != want+"\n" {
			t.Errorf("got %q, want %q", out, want)
		}
	}
	expect("kv")
	r.Write(".prism.yaml", "apiVersion: prism/v1\nkind: Project\ndefaults:\n  namespace: project\n")
	expect("project")
	r.Env["PRISM_NAMESPACE"] = "env"
	expect("env")
	expect("flag", "-n", "flag")
}

func TestScanPagesByItself(t *testing.T) {
	r := rig(t)
	for i := range 1300 {
		r.Gateway.Put("kv", fmt.Sprintf("p-%04d", i), "v")
	}
	for _, c := range []struct {
		args []string
		want int
	}{{nil, 100}, {[]string{"--all"}, 1300}, {[]string{"--limit", "0"}, 1300}, {[]string{"--limit", "700"}, 700}, {[]string{"--all", "--keys"}, 1300}} {
		out := r.OK(append([]string{"kv", "scan", "p-", "-o", "name"}, c.args...)...)
		if n := strings.Count(out, "\n"); n != c.want {
			t.Errorf("%v: %d keys, want %d", c.args, n, c.want)
		}
	}
	r.Want(0, []string{"the first 100; --all"}, "kv", "scan", "p-")
}

func TestExportAndImportBringEverythingBack(t *testing.T) {
	r := rig(t)
	r.OK("kv", "set", "short", "lived", "--ttl", "1h")
	file := r.Dir + "/all.jsonl"
	if out := r.OK("kv", "export", "--file", file); !strings.HasPrefix(out, "exported 5 keys of kv to /home/ann/all.jsonl (") {
		t.Errorf("got %q", out)
	}
	r.Want(5, []string{"is there already", "--force"}, "kv", "export", "--file", file)
	r.OK("kv", "export", "--file", file, "--force")
	want := r.OK("kv", "export")
	r.OK("namespace", "create", "copy")
	if out := r.OK("kv", "import", file, "-n", "copy"); out != "imported 5 keys into copy\n" {
		t.Errorf("got %q", out)
	}
	if got := r.OK("kv", "export", "-n", "copy"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	r.Stdin = want
	if out := r.OK("kv", "import", "-", "-n", "copy", "--create-only", "-o", "json", "--json", "keys,existing,failed"); out != "{\n  \"keys\": 0,\n  \"existing\": 5,\n  \"failed\": 0\n}\n" {
		t.Errorf("got %s", out)
	}
	if left, _ := os.ReadDir(r.Dir); len(left) != 1 {
		t.Errorf("files are left over: %v", left)
	}
}

func TestWhatScanPrintsCanBeImported(t *testing.T) {
	r := rig(t)
	r.Stdin = r.OK("kv", "scan", "-o", "jsonl")
	r.OK("namespace", "create", "copy")
	r.OK("kv", "import", "-", "-n", "copy")
	if got, want := r.OK("kv", "export", "-n", "copy"), r.OK("kv", "export"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

const mixed = `{"key":"good","value":"1"}
not json

{"value":"no key"}
{"key":"no value"}
{"key":"both","value":"1","value_base64":"MQ=="}
{"key":"base64","value_base64":"*"}
{"key":"","value":"empty key"}
{"key":"old","value":"1","expires_at":"2020-01-01T00:00:00Z"}
{"key":"also good","value_base64":"/wD+"}
`

func TestABadLineIsToldWithItsNumberAndDoesNotStopTheRest(t *testing.T) {
	r := rig(t)
	r.Write("mixed.jsonl", mixed)
	r.Golden("import-mixed", "kv", "import", r.Dir+"/mixed.jsonl")
	r.Golden("import-mixed-json", "kv", "import", r.Dir+"/mixed.jsonl", "-o", "json")
	r.Golden("import-dry", "kv", "import", r.Dir+"/mixed.jsonl", "--dry-run")
	r.Write("bad.jsonl", strings.Repeat("nonsense\n", 12))
	r.Golden("import-bad", "kv", "import", r.Dir+"/bad.jsonl")
}

func TestAnImportThatBreaksOffIsExit8AndSaysHowFarItCame(t *testing.T) {
	r := rig(t)
	var calls atomic.Int32
	r.Gateway.Fail = func(method string, _ metadata.MD) error {
		if strings.HasSuffix(method, "BatchSet") && calls.Add(1) == 2 {
			return prism.New(prism.ReasonDiskFull, "the disk is full")
		}
		return nil
	}
	var b strings.Builder
	for i := range 1500 {
		fmt.Fprintf(&b, "{\"key\":\"k%d\",\"value\":\"v\"}\n", i)
	}
	r.Stdin = b.String()
	got := r.Want(8, []string{"stopped after 1000 keys", "the disk is full"}, "kv", "import", "-")
	if got.Out != "imported 1000 keys into kv\n" {
		t.Errorf("got %q", got.Out)
	}
	r.Stdin = b.String()
	calls.Store(1)
	r.Want(6, []string{"the disk is full"}, "kv", "import", "-")
}

func TestALineThatIsTooLongIsTold(t *testing.T) {
	r := rig(t)
	r.Stdin = "{\"key\":\"a\",\"value\":\"1\"}\n" + strings.Repeat("x", 9<<20)
	r.Want(8, []string{"line 2", "too long"}, "kv", "import", "-")
}

func TestDeleteThatBreaksOffIsExit8(t *testing.T) {
	r := rig(t)
	var calls atomic.Int32
	r.Gateway.Fail = func(string, metadata.MD) error {
		if calls.Add(1) == 2 {
			return prism.New(prism.ReasonUnavailable, "gone")
		}
		return nil
	}
	r.Want(8, []string{"1 key deleted, then: gone"}, "kv", "delete", "greeting", "hostile")
}

func TestDeleteAsksInAProtectedContext(t *testing.T) {
	r := rig(t)
	r.Write(".config/prism/config.yaml", "apiVersion: prism/v1\nkind: User\ncurrent: prod\ncontexts:\n  - name: prod\n    protected: true\n")
	r.Want(2, []string{"pass --yes"}, "kv", "delete", "greeting")
	r.OK("kv", "delete", "greeting", "--yes")
}

// watching answers watches one after the other.
func watching(g *clitest.Gateway, answers ...func(*keyvaluev1.WatchRequest, grpc.ServerStreamingServer[keyvaluev1.WatchResponse]) error) {
	var n atomic.Int32
	g.OnWatch = func(r *keyvaluev1.WatchRequest, s grpc.ServerStreamingServer[keyvaluev1.WatchResponse]) error {
		return answers[min(int(n.Add(1)), len(answers))-1](r, s)
	}
}

func send(s grpc.ServerStreamingServer[keyvaluev1.WatchResponse], position string, keys ...string) error {
	m := &keyvaluev1.WatchResponse{Position: position}
	for _, k := range keys {
		m.Changes = append(m.Changes, &keyvaluev1.Change{Kind: keyvaluev1.ChangeKind_CHANGE_KIND_SET, Key: k, Version: 1})
	}
	return s.Send(m)
}

func TestAWatchGoesOnWhereItWasAfterARestart(t *testing.T) {
	r := rig(t)
	fake := clock.NewFake(r.Gateway.Now())
	r.Prepare = func(f *cli.Factory) { f.Clock = fake }
	var from []string
	watching(r.Gateway,
		func(q *keyvaluev1.WatchRequest, s grpc.ServerStreamingServer[keyvaluev1.WatchResponse]) error {
			from = append(from, q.Position)
			_ = send(s, "p-1", "a")
			return wire.ToStatusResume(prism.New(prism.ReasonDraining, "about to stop"), "p-1b").Err()
		},
		func(q *keyvaluev1.WatchRequest, s grpc.ServerStreamingServer[keyvaluev1.WatchResponse]) error {
			from = append(from, q.Position)
			return wire.ToStatus(prism.New(prism.ReasonUnavailable, "not yet")).Err()
		},
		func(q *keyvaluev1.WatchRequest, s grpc.ServerStreamingServer[keyvaluev1.WatchResponse]) error {
			from = append(from, q.Position)
			return send(s, "p-2", "b", "c")
		},
	)
	done := make(chan clitest.Result)
	go func() { done <- r.Run("kv", "watch", "--limit", "2", "-o", "name") }()
	for {
		select {
		case got := <-done:
			if got.Code != 0 || got.Out != "a\nb\n" {
				t.Errorf("got %+v, want a and b", got)
			}
			if want := "the gateway is away; waiting to go on\nthe gateway is back\n"; got.ErrOut != want {
				t.Errorf("errors: %q, want %q", got.ErrOut, want)
			}
			if strings.Join(from, " ") != " p-1b p-1b" {
				t.Errorf("went on from %q", from)
			}
			return
		default:
			if fake.Timers() > 0 {
				fake.Advance(10 * time.Second)
			}
			time.Sleep(time.Millisecond)
		}
	}
}

func TestAWatchEndsWithTheErrorThatCannotBeContinued(t *testing.T) {
	r := rig(t)
	watching(r.Gateway, func(*keyvaluev1.WatchRequest, grpc.ServerStreamingServer[keyvaluev1.WatchResponse]) error {
		return wire.ToStatus(prism.New(prism.ReasonCompacted, "that position is gone")).Err()
	})
	r.Want(5, []string{"that position is gone"}, "kv", "watch", "--from", "p-0")
}

func TestCtrlCEndsAWatchWith130(t *testing.T) {
	r := rig(t)
	ctx, cancel := context.WithCancelCause(context.Background())
	r.Context = ctx
	watching(r.Gateway, func(_ *keyvaluev1.WatchRequest, s grpc.ServerStreamingServer[keyvaluev1.WatchResponse]) error {
		_ = send(s, "p-1", "a")
		cancel(cli.Interrupt{})
		<-s.Context().Done()
		return s.Context().Err()
	})
	got := r.Want(130, nil, "kv", "watch", "-o", "name")
	if got.ErrOut != "cancelled\n" {
		t.Errorf("errors: %q, want the word cancelled", got.ErrOut)
	}
}

func TestAWatchEndsWhenTheGatewayEndsIt(t *testing.T) {
	r := rig(t)
	watching(r.Gateway, func(_ *keyvaluev1.WatchRequest, s grpc.ServerStreamingServer[keyvaluev1.WatchResponse]) error {
		return send(s, "p-1", "a")
	})
	if out := r.OK("kv", "watch", "-o", "name"); out != "a\n" {
		t.Errorf("got %q", out)
	}
}

func TestAGatewayThatIsNotThereIsExit6(t *testing.T) {
	r := clitest.Offline(t)
	r.Write("a.jsonl", `{"key":"a","value":"b"}`)
	for _, line := range []string{"kv get a", "kv set a b", "kv delete a", "kv scan", "kv scan --keys", "kv watch", "kv export", "kv import " + r.Dir + "/a.jsonl", "kv export -f " + r.Dir + "/x"} {
		r.Want(6, []string{"cannot reach the gateway at 127.0.0.1:1"}, strings.Fields(line)...)
	}
	if _, err := os.Stat(r.Dir + "/x"); err == nil {
		t.Error("a failed export left a file")
	}
}
