package cli

import (
	"slices"
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
// "+ field: after", each where there is one. Fields in without are left out.
func Diff[T any](k Kind[T], before, after T, without ...string) []string {
	var names []string
	was, is := map[string]string{}, map[string]string{}
	a, b := k.cells(before), k.cells(after)
	for i, c := range k.Info().Columns {
		if !slices.Contains(without, c.Name) {
			names = append(names, leaves(c.Name, machine(c.Type, a[i]), was)...)
			names = append(names, leaves(c.Name, machine(c.Type, b[i]), is)...)
		}
	}
	var lines []string
	seen := map[string]bool{}
	for _, name := range names {
		if seen[name] || was[name] == is[name] {
			continue
		}
		seen[name] = true
		if v := was[name]; v != "" {
			lines = append(lines, "- "+name+": "+v)
		}
		if v := is[name]; v != "" {
			lines = append(lines, "+ "+name+": "+v)
		}
	}
	return lines
}

// leaves puts the parts of a value into m by their path: "limits.burst". What
// is empty or zero is the same as not there.
func leaves(path string, v any, m map[string]string) []string {
	switch v := v.(type) {
	case Object:
		var names []string
		for _, e := range v {
			names = append(names, leaves(path+"."+e.Name, e.Value, m)...)
		}
		return names
	case nil:
		return nil
	}
	if text := flat(v); text != "" && text != "0" && text != "false" {
		m[path] = text
		return []string{path}
	}
	return nil
}
