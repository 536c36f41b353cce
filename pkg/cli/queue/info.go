package queue

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/prism"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
)

type infoOptions struct {
	Out *cli.Output
	door

	Queue string
}

// An info is what is known of a name: of a work queue or a log.
type info struct {
	name   string
	work   *queuev1.GetQueueInfoResponse // nil of a log
	log    *queuev1.GetTopicInfoResponse
	groups []*queuev1.Group
}

func (i info) typ() string {
	if i.work == nil {
		return typeLog
	}
	return typeWork
}

func infoOfQueue(i info) bool { return i.work != nil }
func infoOfLog(i info) bool   { return i.work == nil }

func infoKind() cli.Kind[info] {
	work := func(name, header, doc string, get func(*queuev1.GetQueueInfoResponse) int64) cli.Field[info] {
		return cli.Int(name, header, doc, func(i info) int64 { return get(i.work) }).Optional(infoOfQueue)
	}
	return cli.Kind[info]{Name: "Queue", Fields: []cli.Field[info]{
		cli.Text("queue", "QUEUE", "its name", func(i info) string { return i.name }),
		cli.Text("type", "TYPE", "work, a work queue, or log", info.typ),
		work("ready", "READY", "messages that may be delivered, or wait for their key", (*queuev1.GetQueueInfoResponse).GetReady),
		work("delayed", "DELAYED", "messages that wait for their time", (*queuev1.GetQueueInfoResponse).GetDelayed),
		work("leased", "LEASED", "messages that are being worked off", (*queuev1.GetQueueInfoResponse).GetLeased),
		work("dead", "DEAD", "messages that failed too often or were rejected", (*queuev1.GetQueueInfoResponse).GetDead),
		cli.Int("messages", "KEPT", "of a log: messages that are kept", func(i info) int64 { return i.log.GetMessageCount() }).Optional(infoOfLog),
		cli.Int("lag", "LAG", "of a log: what the group that is furthest behind has before it", info.lag).Optional(func(i info) bool { return len(i.groups) > 0 }),
		cli.Bytes("size_bytes", "SIZE", "bytes of all messages", info.size),
		cli.Millis("oldest_age_ms", "OLDEST", "age of the oldest that is ready or leased", func(i info) int64 { return i.work.GetOldestAgeMs() }).Optional(infoOfQueue),
		cli.Time("next_due_at", "NEXT DUE", "when the next delayed message becomes ready", func(i info) int64 { return i.work.GetNextDueMs() }).OnlyWide(),
		cli.Millis("lease_ms", "LEASE", "of a message that is received", func(i info) int64 { return i.work.GetSettings().GetLeaseMs() }).OnlyWide().Optional(infoOfQueue),
		cli.Int("max_attempts", "MAX ATTEMPTS", "deliveries before a message is dead", func(i info) int64 { return int64(i.work.GetSettings().GetMaxAttempts()) }).OnlyWide().Optional(infoOfQueue),
		cli.Millis("retention_ms", "RETENTION", "of messages; null of a log that keeps them for ever", info.retention).OnlyWide().Optional(func(i info) bool { return i.retention() > 0 }),
		cli.Bytes("retention_bytes", "", "of a log: what a partition keeps at most; null for no bound", func(i info) int64 { return i.log.GetRetention().GetSizeBytes() }).
			Optional(func(i info) bool { return i.log.GetRetention().GetSizeBytes() > 0 }),
		work("published", "PUBLISHED", "since the gateway was started", (*queuev1.GetQueueInfoResponse).GetPublished).OnlyWide(),
		work("delivered", "DELIVERED", "since the gateway was started", (*queuev1.GetQueueInfoResponse).GetDelivered).OnlyWide(),
		work("acknowledged", "ACKNOWLEDGED", "since the gateway was started", (*queuev1.GetQueueInfoResponse).GetAcknowledged).OnlyWide(),
		work("redelivered", "REDELIVERED", "deliveries that were not the first", (*queuev1.GetQueueInfoResponse).GetRedelivered).OnlyWide(),
		cli.Nested("partitions", "of a log", info.partitions).Optional(infoOfLog),
		cli.Nested("groups", "of a log: who reads it, and how far each has come", info.readers).Optional(infoOfLog),
	}}
}

// lag is the largest of all groups.
func (i info) lag() (n int64) {
	for _, g := range i.groups {
		n = max(n, g.GetLag())
	}
	return n
}

func (i info) size() (n int64) {
	if i.work != nil {
		return i.work.GetSizeBytes()
	}
	for _, p := range i.log.GetPartitions() {
		n += p.GetSizeBytes()
	}
	return n
}

func (i info) retention() int64 {
	if i.work != nil {
		return i.work.GetSettings().GetRetentionMs()
	}
	return i.log.GetRetention().GetAgeMs()
}

func (i info) partitions() any {
	list := make([]any, len(i.log.GetPartitions()))
	for n, p := range i.log.GetPartitions() {
		list[n] = cli.Object{
			{Name: "partition", Value: int64(p.GetPartition())},
			{Name: "earliest_offset", Value: p.GetEarliestOffset()},
			{Name: "latest_offset", Value: p.GetLatestOffset()},
			{Name: "messages", Value: p.GetMessageCount()},
			{Name: "size_bytes", Value: p.GetSizeBytes()},
		}
	}
	return list
}

func (i info) readers() any {
	list := make([]any, len(i.groups))
	for n, g := range i.groups {
		list[n] = cli.Object{
			{Name: "group", Value: g.GetGroup()}, {Name: "members", Value: int64(g.GetMembers())}, {Name: "lag", Value: g.GetLag()},
		}
	}
	return list
}

// info asks of a name what it is and holds.
func (h hall) info(ctx context.Context, name string) (i info, err error) {
	i.name = name
	i.work, err = h.work.GetQueueInfo(ctx, &queuev1.GetQueueInfoRequest{Namespace: h.ns, Queue: name})
	if !isLog(err) {
		return i, err
	}
	i.work = nil
	return i, h.logInfo(ctx, &i)
}

func (h hall) logInfo(ctx context.Context, i *info) (err error) {
	if i.log, err = h.log.GetTopicInfo(ctx, &queuev1.GetTopicInfoRequest{Namespace: h.ns, Topic: i.name}); err != nil {
		return err
	}
	r, err := h.log.ListGroups(ctx, &queuev1.ListGroupsRequest{Namespace: h.ns, Topic: i.name})
	switch e := prism.From(err); {
	case err == nil:
		i.groups = r.GetGroups()
	case e.Reason == prism.ReasonCapabilityMissing: // a store without groups
		return nil
	}
	return err
}

func newInfo(f *cli.Factory, run func(context.Context, *infoOptions) error) *cobra.Command {
	o := &infoOptions{door: openDoor(f)}
	cmd := &cobra.Command{
		Use:   "info QUEUE",
		Short: "Show what a queue or a log holds and how it is set",
		Long: `Counts the messages, and shows the settings that it was made with. Of a work queue: how many are
in each state. Of a log: its partitions, and how far each group has come.`,
		Example:           "  prismctl queue info mail\n  prismctl queue info orders -o json",
		Args:              cli.ExactArgs("QUEUE"),
		ValidArgsFunction: completeNames(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Queue = args[0]
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddOutput(f, cmd, infoKind().Info())
	return cmd
}

func runInfo(ctx context.Context, o *infoOptions) error {
	h, err := o.enter(ctx)
	if err != nil {
		return err
	}
	i, err := h.info(ctx, o.Queue)
	if err != nil {
		return explain(err, h.ns)
	}
	return cli.PrintOne(o.Out, infoKind(), i)
}

// A named is a name and what it is.
type named struct{ name, typ string }

// names lists the queues and logs of the namespace, by name. A namespace may
// have one kind alone.
func (h hall) names(ctx context.Context) ([]named, error) {
	var all []named
	_, errWork := cli.Pages(ctx, 0, func(ctx context.Context, cursor string, size int32) (int, string, error) {
		page, err := h.work.ListQueues(ctx, &queuev1.ListQueuesRequest{Namespace: h.ns, Limit: size, Cursor: cursor})
		for _, name := range page.GetQueues() {
			all = append(all, named{name, typeWork})
		}
		return len(page.GetQueues()), page.GetCursor(), err
	})
	_, errLog := cli.Pages(ctx, 0, func(ctx context.Context, cursor string, size int32) (int, string, error) {
		page, err := h.log.ListTopics(ctx, &queuev1.ListTopicsRequest{Namespace: h.ns, Limit: size, Cursor: cursor})
		for _, name := range page.GetTopics() {
			all = append(all, named{name, typeLog})
		}
		return len(page.GetTopics()), page.GetCursor(), err
	})
	lacks := func(err error) bool { return err != nil && prism.From(err).Reason == prism.ReasonCapabilityMissing }
	switch {
	case errWork != nil && (!lacks(errWork) || lacks(errLog)):
		return nil, errWork
	case errLog != nil && !lacks(errLog):
		return nil, errLog
	}
	slices.SortFunc(all, func(a, b named) int {
		if a.name < b.name {
			return -1
		}
		return 1
	})
	return all, nil
}
