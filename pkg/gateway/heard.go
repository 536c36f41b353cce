package gateway

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/telemetry"
	"github.com/prism-data-layer/prism/pkg/wire/frame"
)

// This file tells of calls to those who listen (see telemetry.Calls).

// about notes what a call is about, if anybody listens.
func (c *call) about(req any) {
	if !c.road.Calls.Heard() {
		return
	}
	c.heard = &telemetry.EndedCall{}
	c.heard.Subject, c.heard.Ops = subjectOf(req)
}

// tell tells how the call ended.
func (c *call) tell(end *telemetry.Ending, named string) {
	e := c.heard
	if e == nil { // its listener came while it ran, or it was refused
		e = &telemetry.EndedCall{Ops: 1}
	}
	e.Start, e.Took, e.Method, e.Reason = c.start, end.Took, end.Method, end.Reason
	e.Session, e.Principal, e.Namespace = c.session.ID(), c.session.Principal().Name(), prism.Namespace(named)
	e.Trace, e.Received, e.Sent = telemetry.TraceID(c.note), int(c.in), int(c.out)
	c.road.Calls.Tell(e)
}

// tell tells how an operation of a frame ended.
func (p *pipeline[O, R]) tell(note *telemetry.Call, f *frame.Op, key string, start time.Time, took time.Duration, sent int, err error) {
	e := telemetry.EndedCall{
		Start: start, Took: took, Method: p.c.method.Service + "/" + f.Name(),
		Session: p.c.session.ID(), Principal: p.principal, Namespace: p.c.target.Namespace(),
		Subject: telemetry.Subject(key), Ops: 1, Received: len(key) + len(f.Value), Sent: sent, Trace: telemetry.TraceID(note),
	}
	if own, ok := telemetry.ParseTraceparent(f.Traceparent); ok {
		e.Trace = own.ID()
	}
	if err != nil {
		e.Reason, e.Sent = prism.From(err).Reason, 0
	}
	p.road.Calls.Tell(&e)
}

// tell tells how a batch of n events ended.
func (in *ingest) tell(n int, start time.Time, err error) {
	if !in.c.road.Calls.Heard() {
		return
	}
	e := telemetry.EndedCall{
		Start: start, Took: in.c.road.Clock.Now().Sub(start), Method: in.c.method.rpc,
		Session: in.c.session.ID(), Principal: in.principal, Namespace: in.c.target.Namespace(),
		Ops: n, Trace: telemetry.TraceID(in.c.note),
	}
	if err != nil {
		e.Reason = prism.From(err).Reason
	}
	in.c.road.Calls.Tell(&e)
}

// The fields of requests that name what they are about, and those that hold the
// operations of a batch. A token, such as a lease, is no name.
var (
	nameFields  = []protoreflect.Name{"key", "topic", "queue", "pattern", "prefix", "durable_name", "source", "start"}
	batchFields = []protoreflect.Name{"keys", "items", "messages", "events", "message_ids", "leases"}
)

// subjectOf is the key or name that a request is about, the first of several,
// and how many operations it asks for.
func subjectOf(req any) (name string, n int) {
	if r, ok := req.(*frame.AppendRequest); ok {
		return "", len(r.Batch.Columns.Times)
	}
	m, ok := req.(proto.Message)
	if !ok {
		return "", 1
	}
	r := m.ProtoReflect()
	name, n = nameIn(r), 1
	for _, field := range batchFields {
		f := r.Descriptor().Fields().ByName(field)
		if f == nil || !f.IsList() {
			continue
		}
		list := r.Get(f).List()
		if n = list.Len(); n == 0 || name != "" {
			continue
		}
		switch first := list.Get(0); {
		case f.Message() != nil:
			name = nameIn(first.Message())
		case field == "keys":
			name = first.String()
		}
	}
	return telemetry.Subject(name), n
}

// nameIn finds the name in a message, or in the event that it holds.
func nameIn(r protoreflect.Message) string {
	for _, field := range nameFields {
		f := r.Descriptor().Fields().ByName(field)
		if f != nil && f.Kind() == protoreflect.StringKind && !f.IsList() && r.Get(f).String() != "" {
			return r.Get(f).String()
		}
	}
	if f := r.Descriptor().Fields().ByName("event"); f != nil && f.Message() != nil && !f.IsList() && r.Has(f) {
		return nameIn(r.Get(f).Message())
	}
	return ""
}
