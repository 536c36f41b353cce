// Package queue is `prismctl queue`: publish messages to work queues and logs,
// work them off, and look at what waits and at what failed, through the
// gateway's data API.
package queue

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/prism"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
)

// model names the default namespace of these commands.
const model = "queue"

// New is the noun.
func New(f *cli.Factory) *cobra.Command {
	return cli.Group("queue", "Publish messages, work them off, and replay logs",
		`Works on the namespace that -n names, else the one of the context; dev up makes one called queue.
A name is a work queue, whose messages are leased until they are acknowledged, or a log, whose
messages stay where they are while groups of readers move on; the commands see which by themselves.`,
		"  prismctl queue publish mail hello\n  prismctl queue subscribe mail --max 1 --ack",
		newPublish(f, runPublish), newSubscribe(f, runSubscribe), newPeek(f, runPeek), newInfo(f, runInfo),
		newList(f, runList), newCreate(f, runCreate), newGroups(f, runGroups), newSeek(f, runSeek),
		newDLQ(f, runPeek), newRedrive(f, runRedrive))
}

// services are the two that a name may be of.
type services struct {
	work queuev1.WorkQueueServiceClient
	log  queuev1.QueueServiceClient
}

// A door is where the calls of a command go.
type door struct{ cli.Door[services] }

func openDoor(f *cli.Factory) door {
	return door{cli.OpenDoor(f, model, func(ctx context.Context) (s services, err error) {
		if s.work, err = f.WorkQueue(ctx); err != nil {
			return s, err
		}
		s.log, err = f.Log(ctx)
		return s, err
	})}
}

// A hall is a namespace with both of its services.
type hall struct {
	services
	ns string
}

func (d door) enter(ctx context.Context) (hall, error) {
	s, ns, err := d.Enter(ctx)
	return hall{s, ns}, err
}

// The types of a name.
const (
	typeLog  = "log"
	typeWork = "work"
)

// noun is what people call a name of that type.
func noun(t string) string {
	if t == typeLog {
		return "log"
	}
	return "queue"
}

// isLog reports whether work queues have refused a call because of a log: the
// name is one, publishing would make one, or the namespace has nothing else.
func isLog(err error) bool {
	e := prism.From(err)
	switch {
	case err == nil:
		return false
	case e.Reason == prism.ReasonWrongKind:
		return e.Meta["kind"] == typeLog
	case e.Reason == prism.ReasonCapabilityMissing:
		return e.Meta["missing"] == "queue_basic"
	}
	return e.Reason == prism.ReasonNotFound && e.Meta["default_kind"] == typeLog
}

// nobody reports whether the name is not there, in a namespace that is.
func nobody(err error) bool {
	e := prism.From(err)
	return err != nil && e.Reason == prism.ReasonNotFound && (strings.HasPrefix(e.Message, "queue ") || strings.HasPrefix(e.Message, "topic "))
}

// explain turns what the gateway said of a name into what a person needs.
func explain(err error, namespace string) error {
	e := prism.From(err)
	switch {
	case e.Reason == prism.ReasonNotFound && e.Meta["auto_create"] != "":
		return cli.WithFix(err, "make it first: prismctl queue create NAME, or with --log")
	case e.Reason == prism.ReasonNotFound && e.Meta["default_kind"] == typeWork:
		return cli.WithFix(err, "make it first: prismctl queue create NAME --log")
	case nobody(err):
		return cli.WithFix(err, "prismctl queue list -n %s shows the queues; publishing makes one", namespace)
	case e.Reason == prism.ReasonNotFound:
		return cli.WithFix(err, "prismctl namespace list")
	case e.Reason == prism.ReasonAlreadyExists:
		return cli.WithFix(err, "prismctl queue info shows its settings; a queue keeps those that it was made with")
	case e.Reason == prism.ReasonWrongKind && e.Meta["kind"] == typeLog:
		return cli.WithFix(err, "a log has no leases and no dead letters; prismctl queue peek and subscribe read it")
	case e.Reason == prism.ReasonWrongKind:
		return cli.WithFix(err, "a work queue has no groups and no partitions; prismctl queue redrive delivers dead letters again")
	case e.Reason == prism.ReasonCompacted:
		return cli.WithFix(err, "prismctl queue info shows the offsets that are kept; --from earliest begins with the oldest")
	}
	return err
}

// away reports whether a command that waits should go on waiting.
func away(err error) bool {
	return errors.Is(err, prism.ReasonUnavailable) || errors.Is(err, prism.ReasonDraining) || errors.Is(err, prism.ReasonMoved)
}

// completeNames completes to the queues and logs of the namespace.
func completeNames(f *cli.Factory) cobra.CompletionFunc {
	d := openDoor(f)
	return cli.Complete(f, func(ctx context.Context) ([]cli.Candidate, error) {
		h, err := d.enter(ctx)
		if err != nil {
			return nil, err
		}
		names, err := h.names(ctx)
		if err != nil {
			return nil, err
		}
		list := make([]cli.Candidate, len(names))
		for i, n := range names {
			list[i] = cli.Candidate{Name: n.name, Note: noun(n.typ)}
		}
		return list, nil
	})
}

// completeGroups completes to the groups of the log that is typed already.
func completeGroups(f *cli.Factory) cobra.CompletionFunc {
	d := openDoor(f)
	return func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		if len(args) != 1 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return cli.Complete(f, func(ctx context.Context) ([]cli.Candidate, error) {
			h, err := d.enter(ctx)
			if err != nil {
				return nil, err
			}
			r, err := h.log.ListGroups(ctx, &queuev1.ListGroupsRequest{Namespace: h.ns, Topic: args[0]})
			if err != nil {
				return nil, err
			}
			var list []cli.Candidate
			for _, g := range r.GetGroups() {
				list = append(list, cli.Candidate{Name: g.GetGroup(), Note: cli.Plural(g.GetLag(), "message") + " behind"})
			}
			return list, nil
		})(cmd, nil, word)
	}
}
