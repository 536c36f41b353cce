package cli

import (
	"strings"

	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

// EnumWord is the word of an enum for people and programs: ACTIVE of
// NAMESPACE_STATE_ACTIVE is "active"; what is not set is "unknown".
func EnumWord(name, prefix string) string {
	word := strings.ToLower(strings.TrimPrefix(name, prefix))
	if word == "unspecified" {
		return "unknown"
	}
	return word
}

// OperationKind is the kind of what runs on in the gateway.
func OperationKind() Kind[*adminv1.Operation] {
	type op = *adminv1.Operation
	return Kind[op]{Name: "Operation", Fields: []Field[op]{
		Text("operation_id", "OPERATION", "its id", func(o op) string { return o.GetOperationId() }),
		Text("operation", "KIND", "what is done", func(o op) string { return o.GetKind() }),
		Text("resource", "RESOURCE", "to what", func(o op) string { return o.GetResource() }),
		State("state", "STATE", "running, done or failed", func(o op) string {
			return EnumWord(o.GetState().String(), "OPERATION_STATE_")
		}),
		Text("message", "MESSAGE", "how it goes", func(o op) string { return o.GetMessage() }),
		Time("started_at", "STARTED", "when it began", func(o op) int64 { return o.GetStartedAtMs() }),
		Time("ended_at", "ENDED", "when it ended", func(o op) int64 { return o.GetEndedAtMs() }),
	}}
}

// Diff lists the fields in which two things differ: "- field: before" and
// "+ field: after". Fields in without are left out.
func Diff[T any](k Kind[T], before, after T, without ...string) []string {
	var lines []string
	a, b := k.cells(before), k.cells(after)
	for i, c := range k.Info().Columns {
		was, is := flat(machine(c.Type, a[i])), flat(machine(c.Type, b[i]))
		skip := false
		for _, w := range without {
			skip = skip || w == c.Name
		}
		if skip || was == is {
			continue
		}
		lines = append(lines, "- "+c.Name+": "+was, "+ "+c.Name+": "+is)
	}
	return lines
}
