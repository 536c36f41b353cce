// Package queue is `prismctl queue`: publish messages, work them off, and look
// at what waits and at what failed, through the gateway's data API.
package queue

import (
	b64 "encoding/base64"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// model names the default namespace of these commands.
const model = "queue"

// New is the noun.
func New(f *cli.Factory) *cobra.Command {
	return cli.Group("queue", "Publish messages and work them off",
		"Works on the namespace that -n names, else the one of the context; dev up makes one called queue.",
		"  prismctl queue publish mail hello\n  prismctl queue subscribe mail --max 1 --ack",
		newPublish(f, runPublish), newSubscribe(f, runSubscribe), newPeek(f, runPeek), newInfo(f, runInfo),
		newList(f, runList), newCreate(f, runCreate), newDLQ(f, runPeek), newRedrive(f, runRedrive))
}

// explain turns what the gateway said of a queue into what a person needs.
func explain(err error, namespace string) error {
	e := prism.From(err)
	switch {
	case e.Reason == prism.ReasonNotFound && strings.HasPrefix(e.Message, "queue "):
		return cli.WithFix(err, "prismctl queue list -n %s shows the queues; publishing makes one", namespace)
	case e.Reason == prism.ReasonNotFound:
		return cli.WithFix(err, "prismctl namespace list")
	case e.Reason == prism.ReasonAlreadyExists:
		return cli.WithFix(err, "prismctl queue info shows its settings; a queue keeps those that it was made with")
	}
	return err
}

// away reports whether a command that waits should go on waiting.
func away(err error) bool { return errors.Is(err, prism.ReasonUnavailable) }

// fields of a payload: text where it is text.
func payloadFields[T any](get func(T) []byte) []cli.Field[T] {
	return []cli.Field[T]{
		cli.Text("payload", "PAYLOAD", "the payload; null where it is not UTF-8", func(v T) string { return string(get(v)) }).
			Optional(func(v T) bool { return utf8.Valid(get(v)) }),
		cli.Text("payload_base64", "", "the payload, where it is not UTF-8", func(v T) string { return b64.StdEncoding.EncodeToString(get(v)) }).
			Optional(func(v T) bool { return !utf8.Valid(get(v)) }),
	}
}

// attributesOf is a map as an object in the order of names.
func attributesOf(m map[string]string) any {
	o := cli.Object{}
	for _, name := range sortedNames(m) {
		o = append(o, cli.Member{Name: name, Value: m[name]})
	}
	return o
}
