package queue_test

import (
	"context"
	"os"
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
	now := clock.NewFake(r.Gateway.Now())
	r.Prepare = func(f *cli.Factory) { f.Clock = now }
	var calls atomic.Int64
	r.Gateway.Fail = func(method string, _ metadata.MD) error {
		if strings.HasSuffix(method, "Receive") && calls.Add(1) == 2 {
			return prism.New(prism.ReasonUnavailable, "the gateway is stopping")
		}
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { // the pause goes by as soon as it is waited for
		for ctx.Err() == nil {
			if now.Timers() > 0 {
				now.Advance(clitest.Second)
			}
		}
	}()
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
