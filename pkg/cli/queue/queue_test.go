package queue_test

import (
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/metadata"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/clitest"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
)

func TestMain(m *testing.M) { os.Exit(clitest.Main(m)) }

// hostile is a payload that tries to move a cursor.
const hostile = "a\x1b[31mred\x07\nsecond line"

func rig(t *testing.T) *clitest.Rig {
	r := clitest.New(t)
	r.Each = func() {
		r.Refresh()
		r.Gateway.Queues.Clear()
		ready := queuev1.MessageState_MESSAGE_STATE_READY
		due := r.Gateway.Now().UnixMilli() + 90_000
		r.Gateway.Queues.Put("mail", &queuev1.PeekedMessage{State: ready, Payload: []byte("hello"), Key: "ann", Attributes: map[string]string{"kind": "welcome", "a": "b"}})
		r.Gateway.Queues.Put("mail", &queuev1.PeekedMessage{State: ready, Payload: []byte(hostile), Priority: 7})
		r.Gateway.Queues.Put("mail", &queuev1.PeekedMessage{State: ready, Payload: []byte("\xff\x00"), Attempts: 1, Reason: "the database is down"})
		r.Gateway.Queues.Put("mail", &queuev1.PeekedMessage{State: queuev1.MessageState_MESSAGE_STATE_DELAYED, Payload: []byte("later"), DueMs: &due})
		r.Gateway.Queues.Put("mail", &queuev1.PeekedMessage{State: queuev1.MessageState_MESSAGE_STATE_DEAD, Payload: []byte("bad"), Attempts: 5, Reason: "not acknowledged in 5 deliveries"})
		r.Gateway.Queues.Put("slow", &queuev1.PeekedMessage{State: queuev1.MessageState_MESSAGE_STATE_DEAD, Payload: []byte("worse"), Attempts: 1, Reason: "cannot be read"})
	}
	r.Each()
	return r
}

func TestWhatIsPrinted(t *testing.T) {
	r := rig(t)
	for name, args := range map[string][]string{
		"publish":            {"queue", "publish", "mail", "hello"},
		"publish-json":       {"queue", "publish", "new", "hello", "--key", "ann", "--delay", "30s", "--priority", "3", "--attribute", "a=b", "-o", "json"},
		"publish-nothing":    {"queue", "publish", "mail"},
		"publish-no-queue":   {"queue", "publish"},
		"publish-twice":      {"queue", "publish", "mail", "hello", "-f", "x"},
		"publish-no-file":    {"queue", "publish", "mail", "-f", "absent"},
		"publish-attribute":  {"queue", "publish", "mail", "hello", "--attribute", "ab"},
		"publish-stdin-tty":  {"queue", "publish", "mail", "-"},
		"publish-nowhere":    {"queue", "publish", "mail", "hello", "-n", "orders"},
		"subscribe":          {"queue", "subscribe", "mail", "--max", "3", "--ack"},
		"subscribe-json":     {"queue", "subscribe", "mail", "--max", "1", "-o", "json"},
		"subscribe-limit":    {"queue", "subscribe", "mail", "--limit", "1", "-o", "name"},
		"subscribe-negative": {"queue", "subscribe", "mail", "--max", "-1"},
		"subscribe-no-end":   {"queue", "subscribe", "mail", "--jq", ".payload"},
		"subscribe-missing":  {"queue", "subscribe", "none", "--max", "1"},
		"peek":               {"queue", "peek", "mail"},
		"peek-delayed":       {"queue", "peek", "mail", "--state", "delayed", "-o", "json"},
		"peek-state":         {"queue", "peek", "mail", "--state", "lost"},
		"peek-none":          {"queue", "peek", "slow"},
		"peek-some":          {"queue", "peek", "mail", "--limit", "1"},
		"dlq":                {"queue", "dlq", "mail"},
		"dlq-json":           {"queue", "dlq", "slow", "--all", "-o", "json"},
		"info":               {"queue", "info", "mail"},
		"info-json":          {"queue", "info", "mail", "-o", "json"},
		"info-missing":       {"queue", "info", "none"},
		"list":               {"queue", "list"},
		"list-nowhere":       {"queue", "list", "-n", "orders"},
		"create":             {"queue", "create", "new", "--lease", "10m"},
		"create-again":       {"queue", "create", "mail", "-o", "json"},
		"create-other":       {"queue", "create", "mail", "--max-attempts", "9"},
		"create-log":         {"queue", "create", "payments", "--log", "--partitions", "3", "--retention-bytes", "1GiB"},
		"create-log-again":   {"queue", "create", "orders", "--log", "--partitions", "2", "-o", "json"},
		"create-log-other":   {"queue", "create", "mail", "--log"},
		"create-log-lease":   {"queue", "create", "payments", "--log", "--lease", "5m"},
		"create-no-log":      {"queue", "create", "payments", "--partitions", "5"},
		"create-log-size":    {"queue", "create", "payments", "--log", "--retention-bytes", "big"},
		"create-dry":         {"queue", "create", "new", "--dry-run"},
		"create-dry-there":   {"queue", "create", "orders", "--log", "--dry-run", "-o", "json"},
		"create-dry-other":   {"queue", "create", "orders", "--dry-run"},
		"publish-log":        {"queue", "publish", "orders", "{}", "--key", "ann"},
		"publish-log-json":   {"queue", "publish", "orders", "{}", "--partition", "1", "--attribute", "a=b", "-o", "json"},
		"publish-log-delay":  {"queue", "publish", "orders", "{}", "--delay", "1m"},
		"publish-log-none":   {"queue", "publish", "orders", "{}", "--partition", "7"},
		"publish-log-other":  {"queue", "publish", "mail", "{}", "--partition", "1"},
		"publish-dry":        {"queue", "publish", "orders", "{}", "--dry-run", "-o", "json"},
		"publish-dry-new":    {"queue", "publish", "new", "{}", "--dry-run"},
		"publish-dry-no":     {"queue", "publish", "orders", "{}", "--priority", "1", "--dry-run"},
		"subscribe-log":      {"queue", "subscribe", "orders", "--to", "latest"},
		"subscribe-range":    {"queue", "subscribe", "orders", "--from", "50s", "--to", "40s", "-o", "json"},
		"subscribe-one":      {"queue", "subscribe", "orders", "--from", "1", "--to", "9", "--partition", "0", "-o", "name"},
		"subscribe-follow":   {"queue", "subscribe", "orders", "--partition", "0", "--max", "2", "-o", "name"},
		"subscribe-group":    {"queue", "subscribe", "orders", "--group", "billing", "--max", "2", "--ack"},
		"subscribe-nobody":   {"queue", "subscribe", "orders", "--ack", "--max", "1"},
		"subscribe-lease":    {"queue", "subscribe", "orders", "--lease", "1m", "--max", "1"},
		"subscribe-both":     {"queue", "subscribe", "orders", "--group", "billing", "--to", "latest"},
		"subscribe-no-place": {"queue", "subscribe", "orders", "--from", "soon", "--max", "1"},
		"subscribe-before":   {"queue", "subscribe", "orders", "--to", "earliest"},
		"subscribe-no-part":  {"queue", "subscribe", "orders", "--partition", "2", "--to", "latest"},
		"subscribe-no-log":   {"queue", "subscribe", "mail", "--group", "billing", "--max", "1"},
		"peek-log":           {"queue", "peek", "orders"},
		"peek-log-json":      {"queue", "peek", "orders", "--from", "40s", "-o", "json"},
		"peek-log-some":      {"queue", "peek", "orders", "--limit", "2", "-o", "wide"},
		"peek-log-state":     {"queue", "peek", "orders", "--state", "dead"},
		"peek-log-none":      {"queue", "peek", "orders", "--from", "latest"},
		"peek-log-other":     {"queue", "peek", "mail", "--partition", "0"},
		"dlq-log":            {"queue", "dlq", "orders"},
		"info-log":           {"queue", "info", "orders"},
		"info-log-json":      {"queue", "info", "orders", "-o", "json"},
		"list-wide":          {"queue", "list", "-o", "wide"},
		"list-some":          {"queue", "list", "--limit", "1", "-o", "name"},
		"groups":             {"queue", "groups", "orders"},
		"groups-json":        {"queue", "groups", "orders", "-o", "json"},
		"groups-other":       {"queue", "groups", "mail"},
		"seek":               {"queue", "seek", "orders", "--group", "billing", "--to", "earliest"},
		"seek-dry":           {"queue", "seek", "orders", "--group", "billing", "--to-time", "40s", "--dry-run", "-o", "json"},
		"seek-one":           {"queue", "seek", "orders", "--group", "new", "--to-offset", "1", "--partition", "0", "-o", "json"},
		"seek-latest":        {"queue", "seek", "orders", "--group", "billing", "--to", "latest"},
		"seek-no-group":      {"queue", "seek", "orders", "--to", "latest"},
		"seek-no-place":      {"queue", "seek", "orders", "--group", "billing"},
		"seek-two-places":    {"queue", "seek", "orders", "--group", "billing", "--to", "latest", "--to-offset", "1"},
		"seek-bad-place":     {"queue", "seek", "orders", "--group", "billing", "--to", "middle"},
		"seek-bad-time":      {"queue", "seek", "orders", "--group", "billing", "--to-time", "soon"},
		"seek-bad-offset":    {"queue", "seek", "orders", "--group", "billing", "--to-offset", "-1"},
		"seek-no-part":       {"queue", "seek", "orders", "--group", "billing", "--to", "latest", "--partition", "2"},
		"seek-other":         {"queue", "seek", "mail", "--group", "billing", "--to", "latest"},
		"seek-missing":       {"queue", "seek", "none", "--group", "billing", "--to", "latest"},
		"redrive-dry":        {"queue", "redrive", "mail", "--dry-run"},
		"redrive-dry-named":  {"queue", "redrive", "mail", "5", "17", "--dry-run", "-o", "json"},
		"redrive-dry-log":    {"queue", "redrive", "orders", "--dry-run"},
		"redrive":            {"queue", "redrive", "mail"},
		"redrive-named":      {"queue", "redrive", "mail", "5", "17", "-o", "json"},
		"redrive-no-queue":   {"queue", "redrive"},
	} {
		t.Run(name, func(t *testing.T) { r.Golden(name, args...) })
	}
}

func TestSubscribeAcknowledgesOnlyWhenAsked(t *testing.T) {
	r := rig(t)
	r.OK("queue", "subscribe", "mail", "--max", "1")
	if out := r.OK("queue", "peek", "mail", "--state", "leased", "-o", "name"); out != "1\n" {
		t.Errorf("leased: %q", out)
	}
	r.OK("queue", "subscribe", "mail", "--max", "2", "--ack")
	if out := r.OK("queue", "info", "mail", "-o", "jsonpath={.ready} {.leased}"); strings.TrimSpace(out) != "0 1" {
		t.Errorf("left: %q", out)
	}
}

func TestAPayloadComesFromAFileOrFromStandardInput(t *testing.T) {
	r := rig(t)
	path := r.Write("payload", "from a file\n")
	r.OK("queue", "publish", "files", "--file", path)
	r.Stdin = "from a pipe"
	r.OK("queue", "publish", "files", "-")
	if out := r.OK("queue", "peek", "files", "--jq", ".[].payload"); out != "from a file\n\nfrom a pipe\n" {
		t.Errorf("got %q", out)
	}
	big := r.Write("big", strings.Repeat("x", prism.MaxValueBytes+1))
	if res := r.Run("queue", "publish", "files", "--file", big); res.Code == 0 || !strings.Contains(res.ErrOut, "1 MiB") {
		t.Errorf("a payload that is too large: %+v", res)
	}
}

func TestSubscribeWaitsForAGatewayThatIsAway(t *testing.T) {
	r := rig(t)
	pausesPass(t, r)
	var calls atomic.Int64
	r.Gateway.Fail = func(method string, _ metadata.MD) error {
		if strings.HasSuffix(method, "Receive") && calls.Add(1) == 2 {
			return prism.New(prism.ReasonUnavailable, "the gateway is stopping")
		}
		return nil
	}
	r.Gateway.Queues.Put("one", &queuev1.PeekedMessage{State: queuev1.MessageState_MESSAGE_STATE_READY, Payload: []byte("first")})
	go func() {
		for calls.Load() < 2 {
		}
		r.Gateway.Queues.Put("one", &queuev1.PeekedMessage{State: queuev1.MessageState_MESSAGE_STATE_READY, Payload: []byte("second")})
	}()
	res := r.Run("queue", "subscribe", "one", "--max", "2", "-o", "name")
	if res.Code != 0 || res.Out != "1\n2\n" || !strings.Contains(res.ErrOut, "the gateway is away") || !strings.Contains(res.ErrOut, "the gateway is back") {
		t.Errorf("got %+v", res)
	}
}

// pausesPass makes the pauses of commands go by as soon as they are waited for.
func pausesPass(t *testing.T, r *clitest.Rig) {
	now := clock.NewFake(r.Gateway.Now())
	r.Prepare = func(f *cli.Factory) { f.Clock = now }
	go func() {
		for t.Context().Err() == nil {
			if now.Timers() > 0 {
				now.Advance(clitest.Second)
			}
			runtime.Gosched()
		}
	}()
}

// A stream that ends because the gateway stops is opened again, and goes on
// after what was shown.
func TestALogIsFollowedOverARestart(t *testing.T) {
	for what, args := range map[string][]string{
		"a group":    {"--group", "new", "--ack"},
		"without it": {"--partition", "0"},
	} {
		t.Run(what, func(t *testing.T) {
			r := rig(t)
			pausesPass(t, r)
			logs := r.Gateway.Logs()
			var opened atomic.Int64
			r.Gateway.Fail = func(method string, _ metadata.MD) error {
				if strings.HasSuffix(method, "QueueService/Subscribe") || strings.HasSuffix(method, "QueueService/Read") {
					if opened.Add(1) == 2 { // the first attempt to go on finds nobody
						logs.Append("orders", 0, &queuev1.Message{Payload: []byte("third"), TimeMs: r.Gateway.Now().UnixMilli()})
						return prism.New(prism.ReasonUnavailable, "the gateway is stopping")
					}
				}
				return nil
			}
			go func() {
				for opened.Load() < 2 {
					logs.EndStreams()
					runtime.Gosched()
				}
			}()
			all := "4"
			if what != "a group" {
				all = "3"
			}
			res := r.Run(append([]string{"queue", "subscribe", "orders", "--max", all, "-o", "name"}, args...)...)
			if res.Code != 0 || !strings.Contains(res.ErrOut, "the gateway is away") || !strings.Contains(res.ErrOut, "the gateway is back") {
				t.Errorf("got %+v", res)
			}
			for _, id := range []string{"0-0", "0-1", "0-2"} {
				if strings.Count(res.Out, id+"\n") != 1 {
					t.Errorf("%s does not stand once in %q", id, res.Out)
				}
			}
		})
	}
}

func TestASubscriberOfALogHasNoPartitionsToSpare(t *testing.T) {
	r := rig(t)
	r.OK("queue", "create", "wide", "--log", "--partitions", "65")
	r.Want(2, []string{"65 partitions", "--group"}, "queue", "subscribe", "wide")
	r.OK("queue", "publish", "wide", "x", "--partition", "64")
	if out := r.OK("queue", "subscribe", "wide", "--to", "latest", "-o", "name"); out != "64-0\n" {
		t.Errorf("got %q", out)
	}
}

func TestSeekMovesWhatTheGroupReadsNext(t *testing.T) {
	r := rig(t)
	r.OK("queue", "seek", "orders", "--group", "billing", "--to", "latest")
	if out := r.OK("queue", "groups", "orders", "-o", "jsonpath={..lag}"); strings.TrimSpace(out) != "0" {
		t.Errorf("the lag is %q", out)
	}
	r.OK("queue", "seek", "orders", "--group", "billing", "--to-offset", "1", "--partition", "0")
	if out := r.OK("queue", "subscribe", "orders", "--group", "billing", "--max", "1", "--ack", "-o", "name"); out != "0-1\n" {
		t.Errorf("it reads %q", out)
	}
	r.OK("queue", "seek", "orders", "--group", "billing", "--to", "earliest", "--dry-run")
	if out := r.OK("queue", "info", "orders", "-o", "jsonpath={.lag}"); strings.TrimSpace(out) != "0" {
		t.Errorf("after a dry run the lag is %q", out)
	}
}
