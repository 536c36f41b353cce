package gateway_test

import (
	"fmt"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

// withKinds is a configuration with namespaces of queues that differ in what
// publishing makes.
const withKinds = `apiVersion: prism/v1
auth: {mode: off}
backends:
  - {name: volatile, driver: memory}
namespaces:
  - {name: either, model: queue, backend: volatile, access: {owners: ["user:dev"]}}
  - {name: manual, model: queue, backend: volatile, auto_create: false, access: {owners: ["user:dev"]}}
  - {name: logs, model: queue, backend: volatile, default_kind: log, limits: {queues: 1, message_bytes: 3B}, access: {owners: ["user:dev"]}}
drain: {timeout: 5s}
`

func TestANameIsOneKindOverTheWire(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Options{File: withKinds})
	ctx, conn := harness.Context(t), g.Dial(t, "data")
	logs, work := queuev1.NewQueueServiceClient(conn), queuev1.NewWorkQueueServiceClient(conn)
	log := func(ns, name, payload string) error {
		_, err := logs.Publish(ctx, &queuev1.PublishRequest{Namespace: ns, Topic: name, Message: &queuev1.LogMessage{Payload: []byte(payload)}})
		return err
	}
	job := func(ns, name, payload string) error {
		_, err := work.Publish(ctx, &queuev1.WorkQueueServicePublishRequest{Namespace: ns, Queue: name, Message: &queuev1.WorkMessage{Payload: []byte(payload)}})
		return err
	}
	must[any](t)(nil, log("either", "a", "x"))
	o := want(t, "work in a log", job("either", "a", "x"), codes.FailedPrecondition, prism.ReasonWrongKind)
	if o.Info.GetMetadata()["kind"] != "log" {
		t.Errorf("its metadata is %v", o.Info.GetMetadata())
	}
	_, err := work.CreateQueue(ctx, &queuev1.CreateQueueRequest{Namespace: "either", Queue: "a"})
	want(t, "a queue of that name", err, codes.FailedPrecondition, prism.ReasonWrongKind)
	must[any](t)(nil, job("either", "b", "x"))
	want(t, "a log entry in a work queue", log("either", "b", "x"), codes.FailedPrecondition, prism.ReasonWrongKind)
	st := must[logStream](t)(logs.Subscribe(ctx, &queuev1.SubscribeRequest{Namespace: "either", Topic: "b", Group: "g"}))
	_, err = st.Recv()
	want(t, "a group of a work queue", err, codes.FailedPrecondition, prism.ReasonWrongKind)

	o = want(t, "a log nobody made", log("manual", "a", "x"), codes.NotFound, prism.ReasonNotFound)
	if o.Info.GetMetadata()["auto_create"] != "false" {
		t.Errorf("its metadata is %v", o.Info.GetMetadata())
	}
	want(t, "a queue nobody made", job("manual", "a", "x"), codes.NotFound, prism.ReasonNotFound)
	must[any](t)(work.CreateQueue(ctx, &queuev1.CreateQueueRequest{Namespace: "manual", Queue: "a"}))
	must[any](t)(nil, job("manual", "a", "x"))

	o = want(t, "a queue where logs are made", job("logs", "a", "x"), codes.NotFound, prism.ReasonNotFound)
	if o.Info.GetMetadata()["default_kind"] != "log" {
		t.Errorf("its metadata is %v", o.Info.GetMetadata())
	}
	must[any](t)(nil, log("logs", "a", "xyz"))
	want(t, "four bytes", log("logs", "a", "wxyz"), codes.InvalidArgument, prism.ReasonInvalidArgument, "message.payload")
	o = want(t, "a second log", log("logs", "b", "x"), codes.ResourceExhausted, prism.ReasonQuotaExceeded)
	if q := o.Quota.GetViolations(); len(q) != 1 || q[0].Subject != "namespace:logs" {
		t.Errorf("its quota is %v", q)
	}

	// A change of the settings is in force at once, and the names stay.
	_, err = g.Admin(t).UpdateNamespace(ctx, &adminv1.UpdateNamespaceRequest{Spec: &adminv1.NamespaceSpec{Name: "manual"}, UpdateMask: []string{"no_auto_create"}})
	want(t, "what a file declares", err, codes.FailedPrecondition, prism.ReasonDeclaredInFile)
	must[any](t)(g.Admin(t).CreateNamespace(ctx, &adminv1.CreateNamespaceRequest{Spec: &adminv1.NamespaceSpec{Name: "made", Model: "queue", Backend: "volatile", NoAutoCreate: true}}))
	want(t, "before the change", log("made", "a", "x"), codes.NotFound, prism.ReasonNotFound)
	must[any](t)(g.Admin(t).UpdateNamespace(ctx, &adminv1.UpdateNamespaceRequest{Spec: &adminv1.NamespaceSpec{Name: "made"}, UpdateMask: []string{"no_auto_create"}}))
	must[any](t)(nil, log("made", "a", "x"))
	want(t, "after the change", job("made", "a", "x"), codes.FailedPrecondition, prism.ReasonWrongKind)
}

// Callers of both services that use one name at once agree on what it is.
func TestOneKindWinsOverTheWire(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Options{File: withKinds})
	ctx, conn := harness.Context(t), g.Dial(t, "data")
	logs, work := queuev1.NewQueueServiceClient(conn), queuev1.NewWorkQueueServiceClient(conn)
	for round := range 20 {
		name := fmt.Sprint("n", round)
		errs := make([]error, 8)
		var all sync.WaitGroup
		for i := range errs {
			all.Go(func() {
				if i%2 == 0 {
					_, errs[i] = logs.CreateTopic(ctx, &queuev1.CreateTopicRequest{Namespace: "either", Topic: name})
				} else {
					_, errs[i] = work.CreateQueue(ctx, &queuev1.CreateQueueRequest{Namespace: "either", Queue: name})
				}
			})
		}
		all.Wait()
		_, noLog := logs.GetTopicInfo(ctx, &queuev1.GetTopicInfoRequest{Namespace: "either", Topic: name})
		for i, err := range errs {
			if won := (noLog == nil) == (i%2 == 0); won {
				must[any](t)(nil, err)
			} else {
				want(t, "the other kind", err, codes.FailedPrecondition, prism.ReasonWrongKind)
			}
		}
	}
}
