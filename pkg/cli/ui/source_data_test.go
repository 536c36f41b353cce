package ui_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/prism-data-layer/prism/pkg/cli/clitest"
	"github.com/prism-data-layer/prism/pkg/cli/ui"
	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	keyvaluev1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	pubsubv1 "github.com/prism-data-layer/prism/proto/prism/pubsub/v1"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
	"github.com/prism-data-layer/prism/tui"
	"github.com/prism-data-layer/prism/tui/theme"
	"github.com/prism-data-layer/prism/tui/tuitest"
)

// look opens a page of a gateway that answers over gRPC.
func look(t *testing.T, rig *clitest.Rig, view string) *tuitest.Screen {
	t.Helper()
	f, _, _, _ := rig.Factory()
	f.Globals.Timeout = 5 * time.Second
	t.Cleanup(f.Close)
	pages, err := ui.Pages(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	return tuitest.Open(t, tui.Options{Pages: pages, View: view, Mode: theme.Mono}, 140, 50).Start()
}

// withModels has a namespace of each model.
func withModels(t *testing.T) *clitest.Rig {
	t.Helper()
	rig := clitest.New(t)
	rig.Gateway.Change(func(s *clitest.State) {
		for _, model := range []string{"cache", "queue", "pubsub", "timeseries"} {
			*s.Namespaces = append(*s.Namespaces, &adminv1.Namespace{Spec: &adminv1.NamespaceSpec{Name: model, Model: model}, State: adminv1.NamespaceState_NAMESPACE_STATE_ACTIVE})
		}
	})
	return rig
}

func TestTheDataPagesLeadToEachModel(t *testing.T) {
	t.Parallel()
	rig := withModels(t)
	rig.Gateway.Put("kv", "greeting", "hello")
	rig.Gateway.Queues.Clear()
	rig.Gateway.Queues.Put("mail", &queuev1.PeekedMessage{Payload: []byte("dear"), State: queuev1.MessageState_MESSAGE_STATE_READY})
	rig.Gateway.PubSub.OnSubscribe = func(_ *pubsubv1.SubscribeRequest, st grpc.ServerStreamingServer[pubsubv1.SubscribeResponse]) error {
		return st.Send(&pubsubv1.SubscribeResponse{Dropped: 3, Events: []*pubsubv1.Event{{Topic: "orders.created", Payload: []byte("paid"), TimeMs: rig.Gateway.Now().UnixMilli()}}})
	}
	look(t, rig, "data").Wants("kv", "✓ active", "1,200", "timeseries")
	look(t, rig, "data kv").Wants("greeting", "5 B", "hello")
	look(t, rig, "data cache").Wants("hit ratio", "a cache cannot list its keys")
	look(t, rig, "data queue").Wants("mail", "Ready of mail", "dear")
	look(t, rig, "data pubsub").Wants("orders.>", "orders.created", "paid", "3 not shown")
	look(t, rig, "data timeseries").Wants("count of the last 1h", "http_request", "ms=12.5", "host=web-1")
	look(t, rig, "data nothing").Wants(`namespace "nothing" not found`)
}

func TestKeysAreSetAndDeletedFromThePage(t *testing.T) {
	t.Parallel()
	rig := withModels(t)
	for i := range 1200 {
		rig.Gateway.Put("kv", fmt.Sprintf("key-%04d", i), strings.Repeat("x", i%50))
	}
	s := look(t, rig, "keyvalue kv").Wants("Keys 500 · more below")
	s.Keys("G").Wants("key-0499").Pass(1).Keys("G").Pass(1).Wants("Keys 1200", "key-0999")
	s.Keys("n", "ctrl+u").Type("a-new-key").Keys("tab").Type("its value").Keys("ctrl+s").Wants("set a-new-key")
	s.Pass(3).Keys("g").Pass(2).Keys("g").Wants("a-new-key", "its value")
	s.Keys("t").Type("90s").Keys("ctrl+s").Wants("expires in 1m30s")
	s.Pass(4).Keys("x").Wants("Delete a-new-key?").Keys("y").Pass(1)
	rig.Gateway.Change(func(st *clitest.State) {
		if _, there := st.Data["kv"]["a-new-key"]; there {
			t.Error("the key is still there")
		}
	})
}

func TestChangesAreWatched(t *testing.T) {
	t.Parallel()
	rig := withModels(t)
	rig.Gateway.Put("kv", "greeting", "hello")
	rig.Gateway.OnWatch = func(_ *keyvaluev1.WatchRequest, st grpc.ServerStreamingServer[keyvaluev1.WatchResponse]) error {
		return st.Send(&keyvaluev1.WatchResponse{Changes: []*keyvaluev1.Change{{Key: "seen\x1b[2J", Kind: keyvaluev1.ChangeKind_CHANGE_KIND_EXPIRE, Version: 7, TimeMs: rig.Gateway.Now().UnixMilli()}}})
	}
	look(t, rig, "keyvalue kv").Keys("w").Wants("2 Changes 1", `seen\x1b[2J`, "expire", "the gateway ended the stream")
}

// The numbers are those that prismctl prints.
func TestTheQueuePageCountsAsPrismctlDoes(t *testing.T) {
	t.Parallel()
	rig := withModels(t)
	for range 3 {
		rig.Gateway.Queues.Put("mail", &queuev1.PeekedMessage{Payload: []byte("dear"), State: queuev1.MessageState_MESSAGE_STATE_DEAD, Reason: "no such address"})
	}
	rig.Gateway.Queues.Put("mail", &queuev1.PeekedMessage{Payload: []byte("ready"), State: queuev1.MessageState_MESSAGE_STATE_READY})
	counts := strings.Fields(rig.OK("queue", "list", "-n", "queue", "-o", "custom-columns=READY:.ready,DEAD:.dead", "--no-headers"))
	s := look(t, rig, "queues queue").Keys("t", "t", "t", "2")
	s.Wants("Dead of mail 4", "no such address", "1 Queues 2 · "+counts[1]+" dead")
	s.Keys("1", "R").Wants("Deliver 4 dead letters").Keys("y").Pass(2).Lacks("no such address")
	if !slices.Contains(rig.Gateway.Calls(), "Redrive") {
		t.Error("nothing was redriven")
	}
}

func TestALogShowsItsNewestMessages(t *testing.T) {
	t.Parallel()
	rig := withModels(t)
	for i := range 5 {
		rig.OK("queue", "publish", "orders", fmt.Sprintf("order %d", i), "-n", "queue")
	}
	look(t, rig, "queues queue").Keys("down").Pass(1).Wants("log", "Newest of orders 8", "order 4")
}

func TestAForbiddenNamespaceSaysSo(t *testing.T) {
	t.Parallel()
	rig := withModels(t)
	rig.Gateway.Fail = func(method string, _ metadata.MD) error {
		if strings.Contains(method, "AdminService") {
			return nil
		}
		return prism.New(prism.ReasonPermissionDenied, "you may not read this namespace")
	}
	for _, view := range []string{"keyvalue kv", "cache cache", "queues queue", "series timeseries"} {
		look(t, rig, view).Wants("✗ you may not read this namespace", "next attempt in")
	}
}
